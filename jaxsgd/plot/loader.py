"""The mixing of data loaders: a metric and the stripe index against the size of its buffer or its blocks."""

import json
from typing import NamedTuple

import numpy as np
import xarray as xr
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from jaxsgd.analysis.choice import too_few
from jaxsgd.analysis.compare import compare
from jaxsgd.error import InputError
from jaxsgd.family import without_numbers
from jaxsgd.measure.observable import direction
from jaxsgd.order import built_in
from jaxsgd.plot.axis import Selection, budget, check_open, find_axis, measure_label, metric_words, setting, table
from jaxsgd.plot.finding import as_sentence, list_names
from jaxsgd.plot.layout import entry, label_ends, medians_of, panels, write_key
from jaxsgd.plot.scale import is_log, share_range, short_number, use_log
from jaxsgd.plot.style import COLOURS, DASHED, INK, PALE, slide, styled
from jaxsgd.results.axes import selected
from jaxsgd.results.metric import final, metric_named, readable_index

LOW, HIGH = 25, 75
"""Percentiles of the seeds between which the bars lie."""

UNIFORM = "reshuffle"
"""The order that mixes best, with which the title compares the others."""


class Line(NamedTuple):
    """The orders of a family; L orders.

    Attributes:
      family: its name, such as "buffer".
      places: [L], where they stand on the axis of orders, the smallest first.
      share: [L], samples in the buffer or block, as a share of the data.
      sizes: [L], the same in samples.
      names: their L names.
    """

    family: str
    places: Int[np.ndarray, " L"]
    share: Float[np.ndarray, " L"]
    sizes: Int[np.ndarray, " L"]
    names: list[str]


@styled
def loader(ds: xr.Dataset, metric: str | None = None, select: Selection | None = None) -> Figure:
    """A metric and the stripe index against the size of a loader's buffer or blocks, as a share of the data.

    A line for each family of orders with numbers in brackets: `buffer(k)` by k, `blocks(k)` by k, `block_buffer(k, n)` by k n,
    and those of your own that state a `size`. The other orders are lines across the figure. The title says from which size on a
    family ties with `reshuffle`: from there on, no 95 % interval of the paired difference lies on the worse side of 0.

    Args:
      ds: a result with several orders, some with numbers in brackets.
      metric: the metric on the left; by default "validation_loss" if the result has it, else the loss.
      select: by axis, the value or values to show. Every axis but the orders must have one value.

    Raises:
      InputError: for a result without such orders, a metric that it does not have, or another axis with several values.
    """
    ds = selected(ds, select)
    metric = metric_named(ds, metric)
    if metric == "stripe_index":
        raise InputError("the figure shows the stripe index already, on the right: name another metric")
    axis = find_axis(ds, "order")
    check_open(ds, (axis.dim,), "the figure of loaders")
    lines, others = _lines(ds, axis.values.tolist())
    if not lines:
        raise InputError("the figure of loaders needs orders with a buffer or blocks, such as buffer(100) and buffer(500)")
    gone = table(ds, "diverged", (axis.dim,)) | table(ds, "missing", (axis.dim,))
    shown = ds.assign(left=final(ds, metric), right=readable_index(ds))
    values = [np.where(gone, np.nan, table(shown, name, (axis.dim,)).astype(np.float64)) for name in ("left", "right")]

    words = metric_words(ds, metric)
    title, doubt = _title(ds, lines, metric, words)
    figure = slide(title, f"{setting(ds, (axis.dim,))}, {budget(ds)}")
    left, right = panels(figure, 1, 2, (0.12, 0.05))[0]
    look = {"marker": "o", "markersize": 6, "linewidth": 1.6}
    key = [entry(line.family, color=shade, **look) for line, shade in zip(lines, COLOURS, strict=False)]
    runs = values[0].shape[-1]
    note = f"{medians_of(runs)}{'; bars: the middle half of them' if runs > 1 else ''}."
    write_key(figure, key, f"{note} {as_sentence(doubt)}" if doubt else note)
    for axes, content in ((left, values[0]), (right, values[1])):
        medians = np.array([np.nanmedian(own) if np.isfinite(own).any() else np.nan for own in content])
        for line, shade in zip(lines, COLOURS, strict=False):
            _draw_line(axes, line, content, shade)
        across = [place for place in others if np.isfinite(medians[place])]
        for place in across:
            axes.axhline(medians[place], color=INK, linewidth=1.2, linestyle=DASHED, zorder=2)
        label_ends(axes, medians[across], [axis.phrase(place) for place in across], [INK] * len(across), joined=False)
        use_log(axes.xaxis)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{short_number(100 * share)} %"))
        axes.set_xlabel("samples in the buffer or block (share of the data)")
    finite = values[0][np.isfinite(values[0])]
    if len(finite):
        share_range([left], finite.min(), finite.max(), is_log(finite.min(), finite.max()))
    left.set_ylabel(measure_label(ds, metric))
    right.set_ylim(-0.15, 1.05)
    right.axhline(0, color=PALE, linewidth=1, zorder=1)
    right.set_ylabel("stripe index (share of variance)")
    return figure


def _lines(ds: xr.Dataset, names: list[str]) -> tuple[list[Line], list[int]]:
    """Return the families with a size, the one with most orders first, and the places of all other orders."""
    samples = int(json.loads(ds.attrs["manifest"])["num_samples"])
    families: dict[str, list[tuple[int, int]]] = {}
    others = []
    for place, name in enumerate(names):
        order = built_in(name)
        if order is None or order.size is None:
            others.append(place)
        else:
            families.setdefault(without_numbers(name), []).append((min(order.size, samples), place))
    lines = []
    for family, members in sorted(families.items(), key=lambda item: -len(item[1])):
        sizes, places = (np.array(column) for column in zip(*sorted(members), strict=True))
        lines.append(Line(family, places, sizes / samples, sizes, [names[place] for place in places]))
    return lines, others


def _draw_line(axes: Axes, line: Line, values: np.ndarray, shade: str) -> None:
    """Draw the medians of a family, with bars over the middle half of the seeds."""
    own = values[line.places]
    known = np.isfinite(own).any(axis=-1)
    if known.any():
        low, middle, high = np.nanpercentile(own[known], (LOW, 50, HIGH), axis=-1)
        axes.plot(line.share[known], middle, "o-", color=shade, markersize=6, linewidth=1.6, zorder=4, clip_on=False)
        axes.vlines(line.share[known], low, high, color=shade, linewidth=2, zorder=3)


def _title(ds: xr.Dataset, lines: list[Line], metric: str, words: str) -> tuple[str, str]:
    """Return the finding: from which size on each family ties with the uniform order; and why there is none, else ""."""
    without = f"{words.capitalize()} by the size of the buffer"
    if UNIFORM not in ds["order"].values:
        return without, ""
    compared = compare(ds, "order", metric, reference=UNIFORM).squeeze()
    pairs = compared.sel(order=[name for line in lines for name in line.names])
    doubt = too_few(int(pairs.pairs.max()))
    if doubt or (pairs.no_interval != "").all():
        return without, doubt or f"no interval: {pairs.no_interval.values[0]}"
    sign = direction(metric)
    clauses = []
    for line in lines:
        if line.family == "blocks":  # not a buffer: smaller blocks mix better
            continue
        own = compared.sel(order=line.names)
        worse = np.flatnonzero(~own.tie.values & ~(sign * own.difference.values < 0))
        first = int(worse[-1]) + 1 if len(worse) else 0
        if first < len(line.names):
            clauses.append(f"{line.family} from {100 * line.share[first]:.2g} % of the data")
    if not clauses:
        return f"No buffer here ties with {UNIFORM} in {words}", ""
    return f"{words.capitalize()} ties with {UNIFORM}: {list_names(clauses)}", ""
