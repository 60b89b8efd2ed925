"""One number of each cell, by colour, over two axes."""

import dataclasses
from collections import Counter
from typing import NamedTuple

import matplotlib.patheffects as effects
import numpy as np
import xarray as xr
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from jaxsgd.analysis.choice import best_place, is_clearly_better, is_edge, seed_median, why_unclear
from jaxsgd.measure.observable import direction
from jaxsgd.number import short_number, three_digits, to_decimals
from jaxsgd.plot.axis import (
    Axis,
    Selection,
    budget,
    check_different,
    find_axis,
    measure_label,
    metric_words,
    open_axes,
    printed,
    setting,
)
from jaxsgd.plot.facets import Facets, facet_panels, facets, panel_table
from jaxsgd.plot.finding import as_sentence, best_title, stripe_finding, words_of
from jaxsgd.plot.layout import colour_bar, inches, label_outside, medians_of, page, text_width, write_key
from jaxsgd.plot.scale import is_log, name_values, plain_numbers
from jaxsgd.plot.style import INK, SMALL, ink_on, slide, styled
from jaxsgd.results.axes import axis_names, selected
from jaxsgd.results.metric import STOPPED, STRIPES, cost, final, metric_named, time_dim
from jaxsgd.study.dimensions import SEED_AXES

COLOUR_MAPS = {"stripe_index": "cividis", "stripe_gap": "cividis"}
"""Colour maps other than viridis; perceptually uniform, and safe for the colour-blind."""

MOST_WRITTEN = 12
"""Values along an axis up to which every cell's number is written into it."""

HATCH = "////"
BEST = "#D55E00"
SMALLEST_IN_CELL = 9.0


class HeatmapPanel(NamedTuple):
    """The content of one panel, over Y rows and X columns of cells with R seeds each.

    Attributes:
      values: [Y, X, R], NaN where the run is not whole and finite.
      median: [Y, X], over the seeds; infinite where half of them diverged, NaN without any. Of a measure of stripes it is
        over the seeds that did not diverge.
      first: [Y, X], the median of their first epoch; NaN where the metric has none.
      diverged, missing: [Y, X], how many seeds did, and were not run.
      runs: R.
    """

    values: np.ndarray
    median: np.ndarray
    first: np.ndarray
    diverged: np.ndarray
    missing: np.ndarray
    runs: int


@styled
def heatmap(
    ds: xr.Dataset,
    x: str | None = None,
    y: str | None = None,
    metric: str | None = None,
    select: Selection | None = None,
) -> Figure:
    """One number of each cell, median over the seeds, as colours over two axes; numeric axes are sorted and evenly spaced.

    Cells where runs diverged are hatched, with how many. A run that diverged counts as infinitely bad, and the best cell of
    each panel is outlined: the one that `best` gives. Losses higher than any from which a run came down share the last
    colour. For a metric of stripes, the number is the median of the runs that did not diverge, and no cell is best.

    Args:
      ds: a result.
      x: the axis across; by default the learning rate, else the longest, seeds apart.
      y: the axis up; by default the batch count or size, else the longest that is left, seeds apart.
      metric: a metric at the end of the run; by default "validation_loss" or "train_loss" where there is one, and otherwise
        "loss_epoch". Or, at the study's eval_interval, "stripe_index" (a share of variance; from five windows in each stripe),
        "stripe_gap" (loss) or "stripe_slope" (loss per epoch).
      select: by axis, the value or values to show. Up to two other axes may keep several values: they become panels.

    Raises:
      InputError: for an unknown axis or value, or more than two other axes with several values.
    """
    metric = metric_named(ds, metric)
    ds = selected(ds, select)
    across, up = _chosen(ds, x, y)
    check_different(across, up)
    panels_by = facets(ds, (up.dim, across.dim), "the heat map")
    panels_by = panels_by._replace(most=_panels_in_a_row(panels_by.num_panels, len(across)))
    dims = (*panels_by.dims, up.dim, across.dim)
    contents, across, up = _contents(ds, metric, panels_by, across, up)

    norm, extend = _norm(contents, metric)
    interval = f"; {printed(int(ds.attrs['eval_interval']))}" if metric in STRIPES else ""
    figure = slide(
        _title(contents, metric, metric_words(ds, metric), across, up, panels_by, budget(ds)),
        f"{setting(ds, dims)}, {budget(ds)}{interval}",
        2.5 + panels_by.shape[0] * (0.5 + 0.27 * len(up)),
    )
    panels = facet_panels(figure, panels_by)
    _write_key(figure, contents, metric, across, up)
    for axes, content in zip(panels, contents, strict=True):
        _draw(axes, content, norm, metric)
    _name_cells(panels[0], across, up)
    label_outside(panels, across.label, up.label)
    colours = ScalarMappable(norm, _colour_map(metric))
    bar = colour_bar(colours, panels, measure_label(ds, metric), extend=extend, extendfrac=0.04)
    plain_numbers(bar.ax.yaxis)
    return figure


def _chosen(ds: xr.Dataset, x: str | None, y: str | None) -> tuple[Axis, Axis]:
    """Return the axes across and up: those that are asked for, then the defaults, then the longest, then any that is left."""
    taken = {find_axis(ds, name).dim for name in (x, y) if name is not None}
    free = sorted(open_axes(ds), key=len, reverse=True)
    # An axis that is tuned away is none.
    names = [name for name in axis_names(ds) if name not in SEED_AXES]
    sizes = "batch_size" if "batch_size" in ds.dims else "batch_count"
    usual = [find_axis(ds, name) for name in ("learning_rate", sizes) if name in names]
    known, others = [axis for axis in usual if len(axis) > 1], [find_axis(ds, name) for name in names]
    chosen = []
    for name in (x, y):
        # Nothing is left where all axes vary together: the check that follows says so.
        choices = [axis for axis in [*known, *free, *usual, *others] if axis.dim not in taken] or others
        chosen.append(choices[0] if name is None else find_axis(ds, name))
        taken.add(chosen[-1].dim)
    return chosen[0], chosen[1]


def _panels_in_a_row(count: int, columns: int) -> int:
    """Return the number of panels in a row that leaves half an inch for each cell's number."""
    return next((most for most in (4, 3, 2) if count >= most and 8.8 / most / columns >= 0.5), 2)


def _contents(ds: xr.Dataset, metric: str, panels_by: Facets, across: Axis, up: Axis) -> tuple[list[HeatmapPanel], Axis, Axis]:
    """Return each panel's content, and the two axes in the order of their places."""

    def by_panel(name: str, values: xr.DataArray | None = None) -> np.ndarray:
        return panel_table(ds, name, panels_by, (up.dim, across.dim), values)

    wanted = by_panel(metric, final(ds, metric)).astype(np.float64)
    diverged, missing = by_panel("diverged"), by_panel("missing")
    fine = ~diverged & ~missing & np.isfinite(wanted)
    kept = np.where(fine, wanted, np.nan)
    median = seed_median(kept) if metric in STRIPES else direction(metric) * seed_median(by_panel(metric, cost(ds, metric)))
    by_epoch = time_dim(ds, metric) is not None
    first = seed_median(np.where(fine, by_panel(metric)[..., 0], np.nan)) if by_epoch else np.full(median.shape, np.nan)
    (across, right), (up, above) = (_in_order(axis) for axis in (across, up))

    def ordered(values: np.ndarray) -> np.ndarray:
        return values[:, above][:, :, right]

    counts = [what.sum(axis=-1) for what in (diverged, missing)]
    parts = zip(*map(ordered, (kept, median, first, *counts)), strict=True)
    return [HeatmapPanel(*part, runs=fine.shape[-1]) for part in parts], across, up


def _in_order(axis: Axis) -> tuple[Axis, np.ndarray]:
    order = np.argsort(axis.values, kind="stable") if axis.numeric else np.arange(len(axis))
    beside = {name: values[order] for name, values in axis.beside.items()}
    return dataclasses.replace(axis, values=axis.values[order], beside=beside), order


def _norm(contents: list[HeatmapPanel], metric: str) -> tuple[Normalize, str]:
    """Return the scale of the colours, the same for all panels, and the ends at which values lie beyond it."""
    values = np.concatenate([content.median.ravel() for content in contents])
    first = np.concatenate([content.first.ravel() for content in contents])
    known = np.isfinite(values)
    if metric == "stripe_index" or not known.any():
        return Normalize(0, 1), "neither"
    low, high = values[known].min(), values[known].max()
    extend = "neither"
    if metric not in STRIPES and direction(metric) > 0:
        fell = known & (values <= first)
        cap = first[fell].max() if fell.any() else high
        if high > cap:
            high, extend = max(cap, low), "max"
    if is_log(low, high):
        return LogNorm(low, high), extend
    return Normalize(low, high if high > low else low + max(abs(low), 1e-12) * 1e-3), extend


def _colour_map(metric: str) -> Colormap:
    return colormaps[COLOUR_MAPS.get(metric, "viridis")]


def _draw(axes: Axes, content: HeatmapPanel, norm: Normalize, metric: str) -> None:
    """Draw the cells of a panel."""
    rows, columns = content.median.shape
    colour_map = _colour_map(metric)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    known = np.isfinite(content.median)
    # A sequence of rectangles would be a shape each: the mesh is one.
    axes.pcolormesh(
        np.arange(columns + 1), np.arange(rows + 1), np.ma.masked_invalid(content.median), norm=norm, cmap=colour_map,
        edgecolors="#FFFFFF", linewidth=1.0,
    )  # fmt: skip
    for place in np.ndindex(rows, columns):
        if content.diverged[place] or not known[place]:
            pale = not known[place]
            axes.add_patch(
                Rectangle(
                    (place[1] + 0.02, place[0] + 0.02), 0.96, 0.96, facecolor="#EEEEEE" if pale else "none",
                    hatch=HATCH if content.diverged[place] else None, linewidth=0,
                    edgecolor="#FFFFFF" if _ink(float(content.median[place]), norm, metric) != INK else "#777777",
                )
            )  # fmt: skip
    best = _best(content, metric)
    if best is not None:
        axes.add_patch(
            Rectangle(
                (best[1] + 0.02, best[0] + 0.02), 0.96, 0.96, fill=False, edgecolor=BEST, linewidth=2.6, zorder=5,
                clip_on=False, path_effects=[effects.withStroke(linewidth=4.6, foreground="#FFFFFF")],
            )
        )  # fmt: skip
    if max(rows, columns) <= MOST_WRITTEN:
        page(axes).when_laid_out(lambda: _write_values(axes, content, norm, metric))


def _best(content: HeatmapPanel, metric: str) -> tuple[int, int] | None:
    """Return the cell of the best setting, Y and X; None if there is none, as for a metric of stripes."""
    place = -1 if metric in STRIPES else int(best_place(direction(metric) * content.median.ravel()))
    return None if place < 0 else divmod(place, content.median.shape[1])


def _write_values(axes: Axes, content: HeatmapPanel, norm: Normalize, metric: str) -> None:
    """Write each cell's number if all of them fit, and the counts of its diverged and missing runs if they fit too."""
    figure, (rows, columns) = page(axes), content.median.shape
    width, height = (0.92 * size / cells for size, cells in zip(inches(axes), (columns, rows), strict=True))
    numbers = [_number(number, norm, metric) for number in content.median.flat if np.isfinite(number)]
    sizes = (SMALL, 10.0, SMALLEST_IN_CELL)
    size = next((s for s in sizes if all(text_width(figure, number, s) <= width for number in numbers)), None)
    if size is None:
        return
    for place in np.ndindex(rows, columns):
        words = "" if np.isfinite(content.median[place]) else _cell_text(content, place, norm, metric)[0][0]
        # A word may be smaller than the numbers, so as to be there at all.
        own = next((s for s in sizes if s <= size and text_width(figure, words, s) <= width), size)
        lines = []
        for choices in _cell_text(content, place, norm, metric)[: 2 if height >= 2.5 * own / 72 else 1]:
            lines += [text for text in choices if text_width(figure, text, own) <= width][:1]
        ink = _ink(float(content.median[place]), norm, metric)
        text = axes.text(
            place[1] + 0.5, place[0] + 0.5, "\n".join(lines), fontsize=own, color=ink, ha="center",
            va="center", linespacing=1.15, zorder=6,
        )  # fmt: skip
        if content.diverged[place]:
            text.set_path_effects([effects.withStroke(linewidth=2.5, foreground="#FFFFFF" if ink == INK else INK)])


def _cell_text(content: HeatmapPanel, place: tuple[int, ...], norm: Normalize, metric: str) -> list[list[str]]:
    """Return the lines of text in a cell: its number, and how many of its runs are left out; each line longer and shorter."""
    diverged, missing, runs = content.diverged[place], content.missing[place], content.runs
    counts = [f"{diverged} of {runs} diverged", f"{diverged}/{runs} div."] if diverged else []
    counts = [f"{missing} of {runs} not run", f"{missing}/{runs} not run"] if missing and not diverged else counts
    if np.isfinite(content.median[place]):
        return [[_number(content.median[place], norm, metric)], counts]
    if diverged:
        return [["diverged"], [f"{diverged} of {runs}", f"{diverged}/{runs}"]]
    return [["not run"] if missing else ["never reached", "never"] if metric in STOPPED else ["none"]]


def _ink(number: float, norm: Normalize, metric: str) -> str:
    """Return the colour of letters that can be read on the colour of a number; an empty cell is light."""
    return ink_on(_colour_map(metric)(norm(number))) if np.isfinite(number) else INK


def _number(number: float, norm: Normalize, metric: str) -> str:
    """Return a number with as many decimals as tell a 200th of the range apart; on a logarithmic scale, three digits."""
    if metric == "stripe_index":
        return to_decimals(number, 2)
    if not 1e-3 <= abs(number) < 1e4 and number != 0:
        return short_number(number, 2)
    if isinstance(norm, LogNorm):
        return three_digits(number)
    decimals = int(np.clip(np.ceil(-np.log10((float(norm.vmax or 1) - float(norm.vmin or 0)) / 200)), 0, 6))
    return to_decimals(number, decimals)


def _name_cells(axes: Axes, across: Axis, up: Axis) -> None:
    """Write the values along both axes; numbers up the y axis grow upwards, names are read downwards."""
    axes.set_xlim(0, len(across))
    axes.set_ylim(*((0, len(up)) if up.numeric else (len(up), 0)))
    for along, axis in ((axes.xaxis, across), (axes.yaxis, up)):
        texts = [axis.text(place) for place in range(len(axis))]
        # The longest name takes its room before the panels have their places.
        along.set_ticks([0.5], [max(texts, key=len)])
        page(axes).when_laid_out(
            lambda along=along, texts=texts: name_values(along, np.arange(len(texts)) + 0.5, texts, log=False)
        )


def _write_key(figure: Figure, contents: list[HeatmapPanel], metric: str, across: Axis, up: Axis) -> None:
    """Write the key: what outlines, hatches and empty cells mean."""
    entries: list[tuple] = []
    bests = [_best(content, metric) for content in contents]
    known = [best for best in bests if best is not None]
    end, worse = words_of(metric).best, words_of(metric).short
    if known:
        entries.append((Patch(fill=False, edgecolor=BEST, linewidth=2.2), end + (" in the panel" if len(bests) > 1 else "")))
    if any(content.diverged.any() for content in contents):
        hatched = Patch(facecolor="#EEEEEE", edgecolor="#777777", hatch=HATCH, linewidth=0)
        counted = "any number is the median of the others" if metric in STRIPES else "each counts as infinitely bad"
        entries.append((hatched, f"runs diverged; {counted}"))
    unknown = [np.isnan(c.median) & (c.diverged == 0) for c in contents]
    if any((empty & (c.missing == 0)).any() for empty, c in zip(unknown, contents, strict=True)):
        entries.append((Patch(facecolor="#EEEEEE"), "no number: the loss is one curve, or has too few windows"))
    edges = []
    for axis, which in ((across, 1), (up, 0)):
        at_end = int(is_edge(axis.values, np.asarray([best[which] for best in known], int)).sum())
        if at_end:
            where = "" if len(known) == 1 else f" in {at_end} of {len(known)} panels"
            edges.append(f"{axis.words}{where}")
    runs = contents[0].runs
    notes = [f"{medians_of(runs)}."] if runs > 1 else []
    if known and runs > 1:
        notes += _as_good(contents, metric, end, worse)
    if edges:
        notes.append(f"{end.capitalize()} at the edge of the range: {', '.join(edges)}.")
    write_key(figure, entries, " ".join(notes))


def _best_of_all(contents: list[HeatmapPanel], metric: str) -> tuple[int, ...]:
    """Return the panel, Y and X of the best of all panels' best cells."""
    bests = [(p, *best) for p, content in enumerate(contents) if (best := _best(content, metric)) is not None]
    return min(bests, key=lambda place: direction(metric) * contents[place[0]].median[place[1:]])


def _as_good(contents: list[HeatmapPanel], metric: str, end: str, worse: str) -> list[str]:
    """Return a note on the other cells than which the best one is not clearly better, by the seeds that both have.

    Args:
      contents: of the panels.
      metric: by which the cells are judged.
      end, worse: the words for the best one and for those beyond it.
    """
    panel, *place = _best_of_all(contents, metric)
    best = direction(metric) * contents[panel].values[tuple(place)]
    values = direction(metric) * np.stack([content.values for content in contents])
    rivals = (np.isfinite(values) & np.isfinite(best)).any(axis=-1)
    rivals[(panel, *place)] = False
    reasons = why_unclear(best, values)[rivals]
    if len(reasons) and (reasons != "").all():
        return [as_sentence(Counter(reasons.tolist()).most_common(1)[0][0])]
    as_good = int((rivals & ~is_clearly_better(best, values)).sum())
    cells = "cell is" if as_good == 1 else "cells are"
    return [f"{as_good} other {cells} not clearly {worse} the {end}, by the seeds."] if as_good else []


def _title(contents: list[HeatmapPanel], metric: str, name: str, across: Axis, up: Axis, panels_by: Facets, length: str) -> str:
    """Return the title: where the number is lowest, or highest."""
    values = np.stack([content.median for content in contents])
    if not np.isfinite(values).any():
        return "Every setting diverged" if np.isinf(values).any() else "No cell of this map has a number"

    def where(place: tuple) -> str:
        panel, row, column = (int(i) for i in place)
        phrases = [across.phrase(column), up.phrase(row), panels_by.phrase(panel)]
        return ", ".join(filter(None, phrases))

    if metric not in STRIPES:
        best = _best_of_all(contents, metric)
        return best_title(metric, name, length, float(values[best]), f"at {where(best)}")
    if metric == "stripe_index" and len(contents) == 1:
        return stripe_finding(values[0], up, across)
    highest = np.unravel_index(np.nanargmax(values), values.shape)
    number = to_decimals(values[highest], 2) if metric == "stripe_index" else three_digits(values[highest])
    return f"Highest {name}: {number} at {where(highest)}"
