"""A final value along one searched axis, a line for each value of another: where the best setting lies, and how narrowly."""

from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import ScaledTranslation

from jaxsgd.analysis.choice import best_place, is_edge, seed_median
from jaxsgd.error import InputError
from jaxsgd.measure.observable import direction
from jaxsgd.number import short_number, value_text
from jaxsgd.plot.axis import (
    Axis,
    Selection,
    budget,
    check_different,
    find_axis,
    lasting_colours,
    measure_label,
    metric_words,
    open_axes,
    setting,
)
from jaxsgd.plot.facets import Facets, facet_panels, facets, panel_table
from jaxsgd.plot.finding import best_title
from jaxsgd.plot.layout import MIDDLE_HALF, band_entry, entry, label_outside, line_entries, medians_of, page, write_key
from jaxsgd.plot.scale import is_log, padded, plain_numbers, share_range, use_log
from jaxsgd.plot.style import COLOURS, INK, slide, styled
from jaxsgd.results.axes import axis_names, seed_dims, selected
from jaxsgd.results.metric import cost, metric_named, time_dim
from jaxsgd.study.dimensions import SIZE_AXES

ROOM_BELOW = 0.06
"""Room under the lines, as a share of their range."""

ABOVE_START = 2
"""Times the value of a run's first epoch above which a line leaves the panel."""

FEWEST = 3
"""Values of an axis from which it is drawn along where none is named."""


class Slices(NamedTuple):
    """The content of all panels: P panels, V lines, L places along the axis from the least value to the greatest.

    Attributes:
      median, low, high: [P, V, L], over the seeds; infinite where too many diverged, NaN where nothing was run.
      diverged: [P, V, L], runs that did.
      start: what runs that came down began with, median over them; infinite where nothing is known of it.
      best: [P, V], the place of each line's best; -1 without any.
      at_edge: [P, V], whether a better one may lie beyond it.
      runs: of each setting.
    """

    median: np.ndarray
    low: np.ndarray
    high: np.ndarray
    diverged: np.ndarray
    start: float
    best: np.ndarray
    at_edge: np.ndarray
    runs: int


@styled
def slices(
    ds: xr.Dataset,
    x: str | None = None,
    axis: str | None = None,
    metric: str | None = None,
    select: Selection | None = None,
) -> Figure:
    """A metric at the end of the run against a searched axis, one line per value of another axis; draws are points.

    A line is the median over the seeds, its band their middle half. A run that diverged counts as infinitely bad, and a cross
    at the top is wherever one did. The best of each line is marked: by a diamond where it is the first or last along the axis.
    Axes whose values differ twentyfold are logarithmic; the y axis is the same for all panels, and lines far above where
    runs began leave it.

    Args:
      ds: a result.
      x: the numeric axis along which to look; by default the learning rate, else the longest searched one.
      axis: the axis of the lines, one for each of its values; by default the optimizer, else the batch count, else the longest.
      metric: a metric at the end of the run; by default "validation_loss" or "train_loss" where there is one, and otherwise
        "loss_epoch".
      select: by axis, the value or values to show. Up to two other axes may keep several values: they become panels.

    Raises:
      InputError: for an unknown axis or value, an axis x without numbers, or too many other axes.
    """
    whole, ds = ds, selected(ds, select)
    metric = metric_named(ds, metric)
    along = _along(ds, x)
    lines_by = find_axis(ds, axis or _lines(ds, along))
    check_different(along, lines_by)
    panels_by = facets(ds, (lines_by.dim, along.dim), "the figure of slices")
    dims = (*panels_by.dims, lines_by.dim, along.dim)
    order = np.argsort(along.values, kind="stable")
    ds = ds.isel({along.dim: order})
    along = find_axis(ds, along.name)
    content = _content(ds, metric, panels_by, lines_by, along)
    shades = lasting_colours(whole, lines_by) if len(lines_by) > 1 else [COLOURS[0]]
    length, rows = budget(ds), panels_by.shape[0]

    title = _title(content, metric, metric_words(ds, metric), along, lines_by, panels_by, length)
    figure = slide(title, f"{setting(ds, dims)}, {length}", 2.9 + 1.85 * rows)
    low, high, log, above = _limits(content)
    panels = facet_panels(figure, panels_by)
    _write_key(figure, content, lines_by, shades, along.dim == "draw", padded(low, high, log, ROOM_BELOW, above)[1])
    # All panels share both axes with the first.
    share_range(panels[:1], low, high, log, below=ROOM_BELOW, above=above)
    _scale_along(panels[0], along)
    for panel, axes in enumerate(panels):
        _draw(axes, content, panel, along, shades)
    label_outside(panels, along.label, measure_label(ds, metric))
    return figure


def _along(ds: xr.Dataset, x: str | None) -> Axis:
    """Return the axis across."""
    if x is not None:
        axis = find_axis(ds, x)
        if not axis.numeric or x == "draw":
            raise InputError(f"slices need an axis of numbers, and {x} is not one")
        if len(axis) < 2:
            raise InputError(f"slices need an axis with several values, and {x} has only one: {axis.text(0)}")
        return axis
    seeds = seed_dims(ds)
    axes = [find_axis(ds, name) for name in axis_names(ds) if name not in (*SIZE_AXES, "draw")]
    searched = [axis for axis in axes if axis.dim not in (*seeds, *SIZE_AXES) and axis.numeric]
    searched = [axis for axis in searched if len(np.unique(axis.values)) >= FEWEST]
    if not searched:
        raise InputError(f"slices need a searched axis of numbers with {FEWEST} values or more, such as learning_rate")
    return max(searched, key=lambda axis: (axis.name == "learning_rate", len(axis)))


def _lines(ds: xr.Dataset, along: Axis) -> str:
    """Return the name of the axis whose values become lines if none is named."""
    left = open_axes(ds, (along.dim,))
    first = [axis for name in ("optimizer", *SIZE_AXES) for axis in left if axis.name == name]
    if left:
        return (first or sorted(left, key=len, reverse=True))[0].name
    return next(name for name in axis_names(ds) if find_axis(ds, name).dim not in (along.dim, *seed_dims(ds)))


def _content(ds: xr.Dataset, metric: str, panels_by: Facets, lines_by: Axis, along: Axis) -> Slices:
    sign, dims = direction(metric), (lines_by.dim, along.dim)
    measured = panel_table(ds, metric, panels_by, dims).astype(np.float64)
    diverged = panel_table(ds, "diverged", panels_by, dims)
    worth = panel_table(ds, metric, panels_by, dims, cost(ds, metric))
    median = seed_median(worth)
    low, high = (sign * _percentile(worth, share) for share in MIDDLE_HALF)
    if sign < 0:
        low, high = high, low

    best = best_place(median)
    fell = np.isfinite(worth) & (worth <= measured[..., 0]) if time_dim(ds, metric) and sign > 0 else np.zeros(1, bool)
    start = float(np.median(measured[..., 0][fell])) if fell.any() else np.inf
    at_edge = is_edge(along.values, best)
    return Slices(sign * median, low, high, diverged.sum(axis=-1), start, best, at_edge, worth.shape[-1])


def _percentile(values: np.ndarray, share: int) -> np.ndarray:
    """Return a percentile over the last axis, without NaN; infinities count as the greatest values."""
    # Between two infinities there would be nothing to interpolate.
    huge = 1e300
    result = np.full(values.shape[:-1], np.nan)
    some = ~np.isnan(values).all(axis=-1)
    if some.any():
        result[some] = np.nanpercentile(np.where(np.isinf(values), huge, values)[some], share, axis=-1)
    return np.where(result > huge * 1e-6, np.inf, result)


def _limits(content: Slices) -> tuple[float, float, bool, float]:
    """Return the least and the greatest value to show, True for a logarithmic axis, and the room above as `padded` takes it."""
    drawn = np.concatenate([content.median, content.low, content.high], axis=None)
    drawn = drawn[np.isfinite(drawn)]
    # Crosses stand above the lines.
    head = 0.2 if content.diverged.any() else 0.05
    if not len(drawn):
        return 0.0, 1.0, False, head
    low, high = float(drawn.min()), float(drawn.max())
    high = max(low, min(high, ABOVE_START * content.start))
    return low, high, is_log(low, high), head


def _scale_along(axes: Axes, along: Axis) -> None:
    """Give a panel its x axis."""
    low, high = float(along.values.min()), float(along.values.max())
    log = is_log(low, high)
    if log:
        use_log(axes.xaxis)
        axes.xaxis.set_major_formatter(lambda number, _: value_text(float(number)))
    else:
        plain_numbers(axes.xaxis)
    axes.set_xlim(*padded(low, high, log))


def _draw(axes: Axes, content: Slices, panel: int, along: Axis, shades: list[str]) -> None:
    bottom, top = axes.get_ylim()
    points = along.dim == "draw"
    crossed = np.flatnonzero(content.diverged[panel].any(axis=-1)).tolist()
    # The first lines are thicker, so as to be seen where later ones lie on them.
    widths = np.linspace(3.4, 1.6, len(shades)) if len(shades) > 1 else [2.0]
    for line, (shade, thick) in enumerate(zip(shades, widths, strict=True)):
        median, low, high = (values[panel, line] for values in (content.median, content.low, content.high))
        known = np.isfinite(median)
        drawn = np.where(known, median, np.nan)
        if points:
            axes.plot(along.values, drawn, "o", color=shade, markersize=4.5, alpha=0.55, markeredgewidth=0, zorder=3)
        else:
            floor, ceiling = (np.clip(np.where(known, end, np.nan), bottom, top) for end in (low, high))
            if content.runs > 1:
                axes.fill_between(along.values, floor, ceiling, color=shade, alpha=0.15, linewidth=0, zorder=2)
            axes.plot(along.values, drawn, color=shade, linewidth=thick, marker=".", markersize=5, zorder=3)
        bad = content.diverged[panel, line] > 0
        if bad.any():
            # Crosses of several lines below one another, from the top edge downwards: 7 points each.
            lower = ScaledTranslation(0, -7 / 72 * crossed.index(line), page(axes).dpi_scale_trans)
            axes.plot(
                along.values[bad], np.ones(int(bad.sum())), "x", color=shade, markersize=6, markeredgewidth=1.6, clip_on=False,
                zorder=4, transform=axes.get_xaxis_transform() + lower,
            )  # fmt: skip
        best = content.best[panel, line]
        if best >= 0:
            mark = _mark(shade, bool(content.at_edge[panel, line]))
            mark["markersize"] += 2 * (thick - 2.0)
            axes.plot(along.values[best], median[best], clip_on=False, zorder=5, **mark)


def _mark(shade: str, at_edge: bool) -> dict[str, Any]:
    """Return the look of a best point."""
    inside = {"marker": "o", "markersize": 10, "markeredgecolor": "white", "markeredgewidth": 1.2}
    edge = {"marker": "D", "markersize": 9, "markerfacecolor": "white", "markeredgewidth": 2.0}
    return {"color": shade, "linestyle": "none", **(edge if at_edge else inside)}


def _write_key(figure: Figure, content: Slices, lines_by: Axis, shades: list[str], points: bool, top: float) -> None:
    """Write the key: what colours and marks mean."""
    look: dict[str, Any] = {"marker": "o", "linestyle": "none", "markersize": 6} if points else {"linewidth": 2.4}
    entries = line_entries(lines_by if len(lines_by) > 1 else None, shades, **look)
    if (~content.at_edge & (content.best >= 0)).any():
        entries.append(entry("best of its colour" if points else "best of its line", **_mark(INK, at_edge=False)))
    if content.at_edge.any():
        entries.append(entry("best at the edge of the range: a better one may lie beyond", **_mark(INK, at_edge=True)))
    if content.diverged.any():
        entries.append(entry("runs diverged", marker="x", linestyle="none", color=INK, markersize=6, markeredgewidth=1.6))
    if content.runs > 1 and not points:
        entries.append(band_entry(MIDDLE_HALF))
    notes = [f"{medians_of(content.runs)}."] if content.runs > 1 else []
    if content.diverged.any():
        notes.append("A run that diverged counts as infinitely bad.")
    finite = content.median[np.isfinite(content.median)]
    if len(finite) and finite.max() > top:
        notes.append(f"{'Points' if points else 'Lines'} beyond the top reach {short_number(finite.max(), 2)}.")
    write_key(figure, entries, " ".join(notes))


def _title(content: Slices, metric: str, name: str, along: Axis, lines_by: Axis, panels_by: Facets, length: str) -> str:
    """Return the title: the best value and its setting."""
    ranked = np.where(np.isfinite(content.median), direction(metric) * content.median, np.inf)
    if np.isinf(ranked).all():
        return "Every setting diverged" if content.diverged.any() else "No setting has a number"
    panel, line, place = (int(i) for i in np.unravel_index(ranked.argmin(), ranked.shape))
    own = lines_by.phrase(line) if len(lines_by) > 1 else ""
    named = lines_by.name in ("optimizer", "order") and own
    where = ", ".join(filter(None, [along.heading(place), "" if named else own, panels_by.phrase(panel)]))
    number = float(content.median[panel, line, place])
    return best_title(metric, name, length, number, f"{f'with {own} ' if named else ''}at {where}")
