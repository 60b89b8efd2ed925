"""The width of the interval of a comparison against the number of seeds, predicted from a pilot of a few seeds."""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from jaxsgd.analysis.compare import compare
from jaxsgd.analysis.seeds_needed import predicted_width, seeds_needed
from jaxsgd.error import InputError
from jaxsgd.number import short_number
from jaxsgd.plot.axis import Selection, budget, check_open, find_axis, lasting_colours, metric_label, setting
from jaxsgd.plot.finding import as_sentence
from jaxsgd.plot.layout import entry, label_ends, panels, write_key
from jaxsgd.plot.scale import padded, use_log
from jaxsgd.plot.style import DASHED, INK, slide, styled
from jaxsgd.results.axes import selected
from jaxsgd.results.metric import metric_named

FARTHEST = 100
"""The x axis ends at so many times the pilot's seeds, at most."""


@styled
def seeds(
    ds: xr.Dataset,
    axis: str = "optimizer",
    metric: str | None = None,
    reference: Any = None,
    wanted: float | None = None,
    power: float = 0.8,
    select: Selection | None = None,
) -> Figure:
    """The reach of the 95 % interval of a paired difference, half its width, at more seeds than a pilot has.

    A line and a 90 % band for each value of the axis, from the pilot on. A diamond marks the number of seeds that is needed,
    with its own 90 % interval (`jaxsgd.analysis.seeds_needed`).

    Args:
      ds: a result with a few seeds: the pilot.
      axis: the axis whose values are compared.
      metric: by which settings are judged; by default "validation_loss" if the result has it, else "train_loss", else
        "loss_epoch".
      reference: the value of the axis that the others are compared with; by default the first.
      wanted: the smallest difference that matters to you; by default the differences of the pilot.
      power: probability with which the interval excludes zero at the number of seeds that is needed.
      select: by axis, the value or values to show. Every other axis must have one value.

    Raises:
      InputError: as `jaxsgd.compare` and `jaxsgd.analysis.seeds_needed`; if no difference has an interval, with the reason.
    """
    whole, ds = ds, selected(ds, select)
    metric = metric_named(ds, metric)
    lines_by = find_axis(ds, axis)
    if len(lines_by) < 2:
        raise InputError(f"a comparison needs two values of {axis} or more, got {lines_by.text(0)}")
    check_open(ds, (lines_by.dim,), "the figure of seeds")
    compared = compare(ds, axis, metric, reference=reference)
    compared = compared.isel({dim: 0 for dim in compared.dims if dim != lines_by.dim})
    needed = seeds_needed(compared, wanted, power=power)
    at = lines_by.values.tolist().index(compared.attrs["reference"])
    places = [place for place in range(len(lines_by)) if place != at]
    known = [line for line in range(len(places)) if not needed["no_number"].values[line]]
    if not known:
        raise InputError(f"no number of seeds: {needed['no_number'].values[0]}")

    pairs = compared["pairs"].values[places]
    first = int(pairs[known].min())
    reached = needed["seeds"].values[known]
    wide = max(4 * int(pairs[known].max()), *(int(1.5 * count) for count in reached if np.isfinite(count)), 0)
    numbers = np.unique(np.geomspace(first, min(wide, FARTHEST * first), 120).round().astype(int))
    numbers = np.union1d(numbers, pairs[known])
    width = predicted_width(compared, numbers.tolist())
    names = [lines_by.phrase(places[line]) for line in known]
    counts = [reached[line] for line in range(len(known))]
    figure = slide(_title(names, counts, wanted), f"{setting(ds, (lines_by.dim,))}, {budget(ds)}; a pilot of {first} seeds")
    axes = panels(figure)[0][0]
    shades = [lasting_colours(whole, lines_by)[places[line]] for line in known]
    use_log(axes.xaxis)
    use_log(axes.yaxis)
    halves = {name: width[name].values[known] / 2 for name in ("width", "low", "high")}
    for line, shade in enumerate(shades):
        own = int(pairs[known[line]])
        axes.fill_between(numbers, halves["low"][line], halves["high"][line], color=shade, alpha=0.18, linewidth=0)
        axes.plot(numbers, halves["width"][line], color=shade, linewidth=2.2, zorder=3)
        axes.plot(own, halves["width"][line][numbers == own], "o", color=shade, markersize=8, zorder=4, clip_on=False)
        count = counts[line]
        if np.isfinite(count) and numbers[0] <= count <= numbers[-1]:
            y = float(np.interp(count, numbers[numbers >= own], halves["width"][line][numbers >= own]))
            ends = np.clip([needed["low"].values[known[line]], needed["high"].values[known[line]]], numbers[0], numbers[-1])
            axes.plot(ends, [y, y], color=shade, linewidth=1.4, zorder=3)
            axes.plot(count, y, "D", color=shade, markersize=8, markeredgecolor="white", zorder=5)
    label_ends(axes, halves["width"][:, -1], names, shades)
    values = np.concatenate([part[np.isfinite(part)] for part in halves.values()] + ([[wanted]] if wanted else []))
    if wanted:
        axes.axhline(wanted, color=INK, linewidth=1.2, linestyle=DASHED)
    axes.set_xlim(numbers[0], numbers[-1])
    axes.set_ylim(*padded(float(values.min()), float(values.max()), log=True))
    axes.set_xlabel("seeds, the pilot's among them")
    axes.set_ylabel(f"reach of the 95 % interval, \N{PLUS-MINUS SIGN}, of the difference in\n{metric_label(ds, metric)}")
    key = [
        entry("pilot", color=INK, marker="o", markersize=8, linestyle=""),
        entry("predicted, 90 % band", color=INK, linewidth=2.2),
        entry("seeds needed, 90 % interval", color=INK, marker="D", markersize=8, linewidth=1.4),
    ]
    key += [entry("wanted difference", color=INK, linewidth=1.2, linestyle=DASHED)] if wanted else []
    write_key(figure, key, _note(needed, wanted, power))
    return figure


def _title(names: list[str], counts: list[float], wanted: float | None) -> str:
    """Return the finding: how many seeds are needed, at least and at most."""
    goal = f"A difference of {short_number(wanted, 3)}" if wanted else "The difference of the pilot"
    texts = [f"{count:,.0f} seeds" if np.isfinite(count) else "more than a million seeds" for count in counts]
    if len(names) == 1:
        return f"{goal} needs about {texts[0]} ({names[0]})"
    few, many = int(np.argmin(counts)), int(np.argmax(counts))
    if counts[few] == counts[many]:
        return f"{goal} needs about {texts[few]}"
    return f"{goal} needs about {texts[few].removesuffix(' seeds')} ({names[few]}) to {texts[many]} ({names[many]})"


def _note(needed: xr.Dataset, wanted: float | None, power: float) -> str:
    note = f"With the seeds needed, the interval excludes zero with probability {power:g}"
    note += "." if wanted else ", if the difference is the pilot's."
    if np.isinf(needed["high"].values).any():
        note += " An interval without an end: the difference may be zero."
    for reason in dict.fromkeys(filter(None, needed["no_number"].values.tolist())):
        note += f" {as_sentence(f'no number: {reason}')}"
    return note
