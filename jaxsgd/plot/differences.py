"""The values of an axis compared on the same seeds: their curves, and how far each ends from a reference."""

from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from jaxsgd.analysis.compare import compare
from jaxsgd.analysis.confidence import SAME
from jaxsgd.error import InputError, verb
from jaxsgd.measure.observable import direction
from jaxsgd.number import three_digits, with_reach
from jaxsgd.plot.axis import Axis, Selection, budget, find_axis, lasting_colours, metric_label, setting, table
from jaxsgd.plot.facets import Facets, check_one_other, facets, panel_records
from jaxsgd.plot.finding import LOWER, Words, list_names, words_of
from jaxsgd.plot.layout import MIDDLE_HALF, band_entry, entry, head, label_outside, panels, write_key
from jaxsgd.plot.scale import is_log, plain_numbers, share_range, use_progress
from jaxsgd.plot.style import INK, PALE, slide, styled
from jaxsgd.results.axes import axis_names, cell_dims, listed, selected
from jaxsgd.results.metric import metric_named, record_axis

LINE_HEIGHT = 0.3
"""Inches for each value of the axis, at least."""

MOST_ROWS = 4
"""Values of another axis that there is room for."""

BY_DEFAULT = ("order", "optimizer", "schedule", "batch_rule")
"""The axes that are compared where none is named, the first that has several values."""

OWN_WORDS = {"distance": Words("nearer the optimum", "nearest the optimum", "farther", "farthest", "nearer", "farther")}
"""The words for better and worse by metrics that are not lower or higher."""


class DifferenceRow(NamedTuple):
    """One pair of panels: V values of the axis, E records of a run.

    Attributes:
      heading: what the row is, empty where there is one.
      curves: by value, the measure of the runs that are whole and finite, [F, E].
      when: by value, how many epochs, or steps of a budget in steps, were done at each record, [E].
      diverged: how many runs diverged, [V].
      compared: the comparison with the reference, each variable [V].
    """

    heading: str
    curves: list[np.ndarray]
    when: list[np.ndarray]
    diverged: np.ndarray
    compared: xr.Dataset


@styled
def differences(
    ds: xr.Dataset,
    axis: str | None = None,
    metric: str | None = None,
    reference: Any = None,
    confidence: float = 0.95,
    select: Selection | None = None,
) -> Figure:
    """A metric against the epoch for each value of an axis, and beside it how far each value ends from a reference.

    Left: the median over the seeds, with the middle half of them as a band. Right: the mean difference between runs of the
    same seed after the last epoch, with its 95 % confidence interval (`jaxsgd.compare`); where that contains 0, the two
    are a tie, in grey. Runs that diverged or are missing are left out and counted. The y axis is logarithmic where
    values differ twentyfold.

    Args:
      ds: a result with at least two seeds.
      axis: the axis whose values are compared; by default the first of order, optimizer, schedule and batch rule that
        has several values.
      metric: a metric with several records of a run; by default "validation_loss" or "train_loss" where there is one, and
        otherwise "loss_epoch".
      reference: the value of the axis that the others are compared with; by default the first.
      confidence: confidence level of the intervals, between 0 and 1.
      select: by axis, the value or values to show. One other axis may keep up to four values: they become rows.

    Raises:
      InputError: for an unknown axis or value, more than one other axis with several values, or a single seed.
    """
    whole, ds = ds, selected(ds, select)
    lines_by = find_axis(ds, axis or _named(ds))
    if len(lines_by) < 2:
        raise InputError(f"a comparison needs two values of {lines_by.name} or more, got {listed(lines_by.values)}")
    metric = metric_named(ds, metric, by_epoch=True)
    rows_by = _rows_by(ds, lines_by)
    compared = compare(ds, lines_by.name, metric, reference=reference, confidence=confidence)
    dims = (*rows_by.dims, lines_by.dim)
    if table(ds, metric, dims).shape[len(dims)] < 2:
        raise InputError("a comparison needs at least two seeds: a single one does not show how much the seeds differ")
    rows = _rows(ds, lines_by, rows_by, metric, compared)
    at = lines_by.values.tolist().index(compared.attrs["reference"])
    shades = lasting_colours(whole, lines_by)

    height = 2.6 + len(rows) * (0.5 + max(LINE_HEIGHT * len(lines_by), 1.5))
    title = _title(ds, lines_by, rows, at, metric, rows_by.words, confidence)
    figure = slide(title, f"{setting(ds, dims)}, {budget(ds)}", height)
    progress, unit = record_axis(ds, metric)
    panel_axes = panels(figure, len(rows), 2, apart=(0.1, 0.08), sharex="col")
    _write_key(figure, rows, confidence)
    _share_range([left for left, _ in panel_axes], rows)
    reach = _reach(rows)
    for (left, right), row in zip(panel_axes, rows, strict=True):
        head(left, row.heading)
        order = _order(row)
        use_progress(left, float(progress.max()))
        _draw_curves(left, row, shades)
        _name_lines(left, row, order, lines_by, shades)
        _draw_differences(right, row, order, shades, at, reach)
    _write_directions(panel_axes[0][1], metric)
    label_outside([left for left, _ in panel_axes], "", metric_label(ds, metric))
    panel_axes[-1][0].set_xlabel(unit)
    panel_axes[-1][1].set_xlabel(f"difference from {lines_by.phrase(at)} after {budget(ds)}")
    return figure


def _named(ds: xr.Dataset) -> str:
    known = axis_names(ds)
    several = [name for name in BY_DEFAULT if name in known and len(find_axis(ds, name)) > 1]
    if not several:
        raise InputError(
            f"nothing here has several values of {', '.join(BY_DEFAULT)}: name the axis to compare, such as batch_count"
        )
    return several[0]


def _rows_by(ds: xr.Dataset, axis: Axis) -> Facets:
    rows_by = facets(ds, (axis.dim,), "the figure of differences")
    check_one_other(rows_by.axes, MOST_ROWS, "the figure of differences has room")
    return rows_by


def _rows(ds: xr.Dataset, axis: Axis, rows_by: Facets, metric: str, compared: xr.Dataset) -> list[DifferenceRow]:
    dims = (*rows_by.dims, axis.dim)
    records = panel_records(ds, metric, rows_by, axis.dim)
    compared = compared.isel({dim: 0 for dim in cell_dims(ds) if dim in compared.dims and dim not in dims}).transpose(*dims)
    rows = []
    for place in range(rows_by.num_panels):
        curves, when = zip(*(records.kept(place, v) for v in range(len(axis))), strict=True)
        heading = rows_by.axes[0].heading(place) if rows_by.axes else ""
        diverged = records.diverged[place].sum(axis=-1)
        own = compared.isel(dict.fromkeys(rows_by.dims, place))
        rows.append(DifferenceRow(heading, list(curves), list(when), diverged, own))
    return rows


def _order(row: DifferenceRow) -> np.ndarray:
    """Return the places of the axis, from the value that ends highest to the lowest; those without a run last."""
    ends = [np.median(curve[:, -1]) if len(curve) else -np.inf for curve in row.curves]
    return np.argsort(-np.asarray(ends), kind="stable")


def _bands(row: DifferenceRow) -> list[np.ndarray | None]:
    return [np.percentile(curve, (MIDDLE_HALF[0], 50, MIDDLE_HALF[1]), axis=0) if len(curve) else None for curve in row.curves]


def _share_range(panels: list[Axes], rows: list[DifferenceRow]) -> None:
    """Give all rows the same y axis."""
    drawn = [band for row in rows for band in _bands(row) if band is not None]
    if not drawn:
        for axes in panels:
            axes.set_yticks([])
        return
    values = np.concatenate(drawn, axis=None)
    low, high = float(values.min()), float(values.max())
    share_range(panels, low, high, is_log(low, high))


def _draw_curves(axes: Axes, row: DifferenceRow, shades: list[str]) -> None:
    for band, when, shade in zip(_bands(row), row.when, shades, strict=True):
        if band is not None:
            axes.fill_between(when, band[0], band[2], color=shade, alpha=0.2, linewidth=0, zorder=2)
            axes.plot(when, band[1], color=shade, linewidth=2.0, zorder=3, marker="o" if len(when) == 1 else "")


def _name_lines(axes: Axes, row: DifferenceRow, order: np.ndarray, axis: Axis, shades: list[str]) -> None:
    """Write each value's name beside its row of the right panel, joined to the end of its line in the left one."""
    joint = {"arrowstyle": "-", "linewidth": 1.0, "shrinkA": 2, "shrinkB": 0, "relpos": (0, 0.5)}
    for line, v in enumerate(order.tolist()):
        end = {"arrowprops": {**joint, "color": shades[v]}} if len(row.curves[v]) else {}
        last = float(np.median(row.curves[v][:, -1])) if end else 0.0
        axes.annotate(
            axis.phrase(v), (1, last), (1.09, 1 - (line + 0.5) / len(order)), axes.get_yaxis_transform(), axes.transAxes,
            color=shades[v], va="center", annotation_clip=False, **end,
        )  # fmt: skip


def _reach(rows: list[DifferenceRow]) -> tuple[float, float]:
    """Return the range of all intervals; it includes 0."""
    ends = np.concatenate(
        [np.concatenate([row.compared[name].values for name in ("difference", "low", "high")]) for row in rows]
    )
    ends = ends[np.isfinite(ends)]
    low, high = float(ends.min(initial=0)), float(ends.max(initial=0))
    margin = 0.06 * ((high - low) or 1.0)
    return low - margin, high + margin


def _draw_differences(
    axes: Axes, row: DifferenceRow, order: np.ndarray, shades: list[str], at: int, reach: tuple[float, float]
) -> None:
    compared = row.compared
    axes.axvline(0, color=INK, linewidth=0.8, zorder=1)
    for line, v in enumerate(order.tolist()):
        axes.axhline(line, color=PALE, linewidth=0.4, alpha=0.4, zorder=0)
        shade = PALE if bool(compared.tie[v]) or v == at else shades[v]
        if v == at:
            axes.plot(0, line, "D", color=INK, markersize=5, zorder=4)
        elif np.isfinite(compared.difference[v]):
            ends = [compared.low[v], compared.high[v]]
            axes.plot(ends, [line, line], "|-", color=shade, linewidth=2.0, markersize=9, markeredgewidth=2.0, zorder=3)
            axes.plot(compared.difference[v], line, "o", color=shade, markersize=4.5, zorder=4)
        text = _number(row, v, at)
        axes.text(
            1.03, 1 - (line + 0.5) / len(order), text, color=INK if shade != PALE else "#6E6E6E",
            va="center", transform=axes.transAxes,
        )  # fmt: skip
    axes.set_ylim(len(order) - 0.5, -0.5)
    axes.set_xlim(*reach)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    plain_numbers(axes.xaxis)


def _number(row: DifferenceRow, v: int, at: int) -> str:
    """Return a comparison in a word or a number; with the number of pairs, where some are left out."""
    compared = row.compared
    if v == at:
        return "reference"
    pairs, left_out = int(compared.pairs[v]), int(compared.left_out[v])
    if pairs < 2:
        return "diverged" if row.diverged[v] else "too few runs"
    difference = float(compared.difference[v])
    text = "tie"
    if compared["no_interval"].values[v]:
        text = f"{'+' if difference > 0 else ''}{three_digits(difference)}, no interval"
    elif not bool(compared.tie[v]):
        reach = float(compared.high[v]) - difference
        text = with_reach(difference, reach)
    return f"{text} ({pairs} of {pairs + left_out})" if left_out else text


def _write_directions(axes: Axes, metric: str) -> None:
    """Write above the panel which side is lower and which is higher."""
    words = OWN_WORDS.get(metric, LOWER)
    arrows = f"\N{LEFTWARDS ARROW} {words.better.partition(' ')[0]}", f"{words.worse} \N{RIGHTWARDS ARROW}"
    for x, text, align in ((0, arrows[0], "left"), (1, arrows[1], "right")):
        axes.text(x, 1.03, text, ha=align, va="bottom", transform=axes.transAxes)


def _write_key(figure: Figure, rows: list[DifferenceRow], confidence: float) -> None:
    """Write the key: what lines, bands, points and greys are."""
    dot: dict[str, Any] = {"marker": "o", "markersize": 4.5, "linewidth": 2.0}
    entries = [
        entry("median of the seeds", color=INK, linewidth=2.0),
        band_entry(MIDDLE_HALF),
        entry(f"mean difference, {100 * confidence:g} % interval", color=INK, **dot),
        entry("tie: the interval contains 0", color=PALE, **dot),
    ]
    seeds = int((rows[0].compared.pairs + rows[0].compared.left_out).max())
    note = f"Differences are taken between runs of the same seed: {seeds} pairs, where no other number is given."
    reasons = [str(reason) for row in rows for reason in row.compared["no_interval"].values if reason]
    if SAME in reasons:
        note += f" No interval: {SAME}."
    write_key(figure, entries, note)


def _title(
    ds: xr.Dataset, axis: Axis, rows: list[DifferenceRow], at: int, metric: str, rows_words: str, confidence: float
) -> str:
    """Return the title: what ends lowest and highest, if that is clear in every row, and what ties with the reference."""
    less, least, more, most, *_ = OWN_WORDS.get(metric, words_of(metric))
    names = [axis.phrase(place) for place in range(len(axis))]
    others = [place for place in range(len(axis)) if place != at]
    ties = [names[v] for v in others if all(bool(row.compared.tie[v]) for row in rows)]
    best, worst = (_extreme(ds, axis, rows, metric, is_best, confidence) for is_best in (True, False))
    if len(ties) == len(others):
        plural = f"No {axis.words} ends clearly {less} or {more} than {names[at]}"
        return plural if len(others) > 1 else f"{names[others[0]]} and {names[at]} tie"
    clauses = []
    if best is not None:
        clauses.append(f"{names[best]} ends {least}")
    if worst is not None and len(axis) > 2:
        clauses.append(f"{names[worst]} {most}" if clauses else f"{names[worst]} ends {most}")
    if not clauses:
        for word, sign in ((less, -1), (more, 1)):
            those = [names[v] for v in others if all(_sign(row.compared, v) == direction(metric) * sign for row in rows)]
            if those:
                clauses.append(f"{list_names(those)} {verb(len(those), 'ends', 'end')} {word} than {names[at]}")
    if not clauses:
        signs = {direction(metric) * _sign(row.compared, v) for row in rows for v in others}
        for word, sign in ((less, -1), (more, 1)):
            if sign not in signs:
                where = f" at any {rows_words}" if len(rows) > 1 else ""
                return f"No {axis.words} ends clearly {word} than {names[at]}{where}"
        return f"Which {axis.words} ends {least} depends on the {rows_words}"
    text = ", ".join(clauses)
    if ties:
        those = list_names(ties) if len(ties) < 3 else f"{len(ties)} others"
        text += f"; {those} {'tie' if len(ties) > 1 else 'ties'} with {names[at]}"
    return text


def _sign(compared: xr.Dataset, v: int) -> int:
    return -1 if compared.high[v] < 0 else 1 if compared.low[v] > 0 else 0


def _extreme(
    ds: xr.Dataset, axis: Axis, rows: list[DifferenceRow], metric: str, is_best: bool, confidence: float
) -> int | None:
    """Return the place of the value that ends clearly better (or worse) than every other in every row; None if there is none.

    A value whose runs all diverged is worse than every other. A value that has not been run counts neither way.
    """
    sign = direction(metric)
    costs = sign * np.stack([row.compared["mean_value"].values for row in rows])
    none = np.isnan(costs)
    if none.any() and (not is_best or bool(ds["missing"].any()) or none.all(axis=1).any()):
        return None
    places = np.unique(np.nanargmin(costs, axis=1) if is_best else costs.argmax(axis=1))
    if len(places) > 1:
        return None
    place = int(places[0])
    against = compare(ds, axis.name, metric, reference=axis.values[place], confidence=confidence).drop_isel({axis.dim: place})
    above, below = against.low > 0, against.high < 0
    better = above if (sign > 0) == is_best else below
    return place if bool((better | (against.pairs == 0) if is_best else better).all()) else None
