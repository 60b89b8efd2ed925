"""A metric against the epoch, one line per value of an axis."""

from typing import NamedTuple

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxsgd.analysis.best import KEPT
from jaxsgd.analysis.choice import best_place, is_clearly_better, seed_median, why_unclear
from jaxsgd.measure.observable import better_of
from jaxsgd.number import short_number, three_digits
from jaxsgd.plot.axis import (
    Axis,
    Selection,
    budget,
    find_axis,
    lasting_colours,
    metric_label,
    metric_words,
    open_axes,
    setting,
)
from jaxsgd.plot.facets import Facets, facet_panels, facets, panel_records, panel_table
from jaxsgd.plot.finding import as_sentence, best_title, words_of
from jaxsgd.plot.layout import MIDDLE_90, band_entry, label_ends, label_outside, line_entries, write_key
from jaxsgd.plot.scale import is_log, share_range, use_progress
from jaxsgd.plot.style import slide, styled
from jaxsgd.results.axes import selected
from jaxsgd.results.metric import cost, metric_named, record_axis, resolution, time_dim
from jaxsgd.study.dimensions import SIZE_AXES

NAMED = ("optimizer", "schedule", "batch_rule")
"""Axes whose values are names in code, which stay as they are where a sentence begins."""


LINE_HEIGHT = 0.21
"""Inches for a label at a line's end."""


FEWEST_EXPLAINED = 4
"""Fewest seeds from which the part of a band that the seeds' first values explain is estimated."""


class Curve(NamedTuple):
    """One line; R seeds, of which F are whole and finite.

    Attributes:
      loss: [F, E], the metric at each record of a run; of "loss_epoch" the mean over the epoch.
      when: [E], how many epochs, or steps of a budget in steps, were done then.
      seeds: [F], which of the R they are.
      cost: [R], by which it is ranked, as `jaxsgd.results.metric.cost` gives it.
      diverged, missing: how many are left out for that.
      runs: R.
      may_grow: True if the metric only describes a run, so that growth is no failure.
      loss_grows: for such a metric, True if the loss of the runs ends above twice that of their first epoch.
    """

    loss: np.ndarray
    when: np.ndarray
    seeds: np.ndarray
    cost: np.ndarray
    diverged: int
    missing: int
    runs: int
    may_grow: bool
    loss_grows: bool

    @property
    def median(self) -> np.ndarray:
        """[E], median over the seeds."""
        return np.median(self.loss, axis=0)

    @property
    def grown(self) -> bool:
        """True if it fails: it ends above twice its first value; of a metric that may grow, the loss does."""
        return self.loss_grows if self.may_grow else bool(self.median[-1] > 2 * self.median[0])


@styled
def curves(ds: xr.Dataset, axis: str | None = None, metric: str | None = None, select: Selection | None = None) -> Figure:
    """A metric against the epoch, or the step of a budget in steps, one line per value of an axis.

    A line is the median over the seeds, and its band holds the middle 90 % of them. Seeds start far apart, and settings are
    compared on the same seeds; so the part of a seed's values that its first value explains is taken out of the bands. Runs
    that diverged or are missing are left out and counted. The y axis is shared by all panels, and logarithmic if values differ
    twentyfold.

    The title compares the lines at their best: if panels differ in a searched axis, such as the learning rate, it takes each
    line from the panel in which it ends best. A run that diverged counts as infinitely bad.

    Args:
      ds: a result.
      axis: the axis of the lines, one for each of its values; by default the one with most values, seeds apart.
      metric: a metric with several records of a run; by default "validation_loss" or "train_loss" where there is one, and
        otherwise "loss_epoch".
      select: by axis, the value or values to show. Up to two other axes may keep several values: they become panels.

    Raises:
      InputError: for an axis, a metric or a value that is not there, or more than two other axes with several values.
    """
    whole, ds = ds, selected(ds, select)
    metric = metric_named(ds, metric, by_epoch=True)
    lines_by = find_axis(ds, axis or _most_values(ds))
    panels_by = facets(ds, (lines_by.dim,), "the figure of curves")
    dims = (*panels_by.dims, lines_by.dim)
    contents = _contents(ds, metric, panels_by, lines_by.dim)
    shades = lasting_colours(whole, lines_by)
    length, (progress, unit) = budget(ds), record_axis(ds, metric)

    words = metric_words(ds, metric)
    doubt = "" if better_of(metric) == "neither" else _doubt(contents, panels_by)
    title = _title(contents, lines_by, panels_by, metric, words, length, doubt)
    rows, columns = panels_by.shape
    figure = slide(title, f"{setting(ds, dims)}, {length}", 2.8 + 0.95 * rows)
    panels = facet_panels(figure, panels_by, notes=[_left_out(lines, lines_by) for lines in contents])
    room = (figure.get_figheight() - 2.5) / rows - 0.4
    beside = columns <= 3 and LINE_HEIGHT * (len(lines_by) + 1) <= room
    what = "mean loss of each epoch" if metric == "loss_epoch" else f"{words} {resolution(ds, metric)}"
    start = "in the first epoch" if time_dim(ds, metric) == "epoch" else "at the first evaluation"
    _write_key(figure, contents, None if beside else lines_by, shades, what, start, [_beyond(contents), doubt])
    log = _is_log(contents)
    bands = [_bands(lines, log) for lines in contents]
    # All panels share both axes with the first.
    _set_range(panels[0], contents, bands, log)
    use_progress(panels[0], float(progress.max()))
    for axes, lines, own in zip(panels, contents, bands, strict=True):
        _draw(axes, lines, own, shades)
        drawn = [place for place, curve in enumerate(lines) if len(curve.loss)]
        if beside and drawn:
            ends = [lines[place].median[-1] for place in drawn]
            heading = lines_by.words if lines_by.name != "order" else ""
            label_ends(axes, ends, [lines_by.text(place) for place in drawn], [shades[place] for place in drawn], heading)
    label_outside(panels, unit, metric_label(ds, metric))
    return figure


def _most_values(ds: xr.Dataset) -> str:
    axes = open_axes(ds)
    return max(axes, key=len).name if axes else "batch_count"


def _contents(ds: xr.Dataset, metric: str, panels_by: Facets, dim: str) -> list[list[Curve]]:
    """Return the lines of each panel."""
    records = panel_records(ds, metric, panels_by, dim)
    ranked = panel_table(ds, metric, panels_by, (dim,), cost(ds, metric))
    may_grow = better_of(metric) == "neither"
    grows = np.zeros(records.fine.shape[:2], bool)
    if may_grow:
        ends = panel_table(ds, "loss_epoch", panels_by, (dim,), cost(ds, "loss_epoch"))
        grows = seed_median(ends) > 2 * seed_median(panel_table(ds, "loss_epoch", panels_by, (dim,))[..., 0])

    def curve(p: int, i: int) -> Curve:
        counts = int(records.diverged[p, i].sum()), int(records.missing[p, i].sum()), records.fine.shape[-1]
        return Curve(
            *records.kept(p, i), np.flatnonzero(records.fine[p, i]), ranked[p, i], *counts, may_grow, bool(grows[p, i])
        )

    return [[curve(p, i) for i in range(records.fine.shape[1])] for p in range(panels_by.num_panels)]


def _is_log(contents: list[list[Curve]]) -> bool:
    medians = [curve.median for lines in contents for curve in lines if len(curve.loss)]
    calm = [curve.median for lines in contents for curve in lines if len(curve.loss) and not curve.grown] or medians
    if not calm:
        return False
    low, high = min(m.min() for m in calm), max(m.max() for m in calm)
    lowest = min(curve.loss.min() for lines in contents for curve in lines if len(curve.loss))
    return lowest > 0 and is_log(low, high)


def _bands(lines: list[Curve], log: bool) -> list[np.ndarray | None]:
    """Return each line's band, [2, E]; None for a line of one seed."""
    onto, back = (np.log, np.exp) if log else (np.asarray, np.asarray)
    # Each seed's level at the start: its first epoch, median over the lines that have the seed.
    starts = np.full((len(lines), max(curve.runs for curve in lines)), np.nan)
    for i, curve in enumerate(lines):
        if len(curve.loss):
            first = onto(curve.loss[:, 0])
            starts[i, curve.seeds] = first - np.median(first)
    bands: list[np.ndarray | None] = []
    for curve in lines:
        if len(curve.loss) < 2:
            bands.append(None)
            continue
        left = _unexplained(onto(curve.loss), np.nanmedian(starts[:, curve.seeds], axis=0))
        bands.append(back(np.percentile(left - np.median(left, axis=0), MIDDLE_90, axis=0) + onto(curve.median)))
    return bands


def _unexplained(loss: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Return the part of the losses that a seed's level at the start does not explain, as in an analysis of covariance.

    At each epoch the losses are regressed on the starts, with a slope from 0 (runs have forgotten where they began) to 1 (they
    keep their distance). With fewer than four seeds there is nothing to estimate the slope from, and it is 0.

    Args:
      loss: [F, E].
      start: [F].
    """
    count, start = len(start), start - start.mean()
    spread = (start**2).sum()
    if count < FEWEST_EXPLAINED or spread == 0:
        return loss
    slope = np.clip((start[:, None] * loss).sum(axis=0) / spread, 0, 1)
    left = loss - slope * start[:, None]
    # The slope was fitted to the same seeds, which takes one degree of freedom.
    return left.mean(axis=0) + (left - left.mean(axis=0)) * np.sqrt((count - 1) / (count - 2))


def _set_range(axes: Axes, contents: list[list[Curve]], bands: list[list[np.ndarray | None]], log: bool) -> None:
    """Give the panels their y axis; lines that grow may leave it."""
    pairs = [pair for own in map(zip, contents, bands) for pair in own if len(pair[0].loss)]
    kept = [pair for pair in pairs if not pair[0].grown] or pairs
    if not kept:
        axes.set_yticks([])
        return
    values = np.concatenate([part for curve, band in kept for part in (curve.median, *(() if band is None else band))])
    share_range([axes], float(values.min()), float(values.max()), log)


def _draw(axes: Axes, lines: list[Curve], bands: list[np.ndarray | None], shades: list[str]) -> None:
    for curve, band, shade in zip(lines, bands, shades, strict=True):
        if not len(curve.loss):
            continue
        when = curve.when
        if band is not None and not curve.grown:
            axes.fill_between(when, *band, color=shade, alpha=0.15, linewidth=0, zorder=2)
        axes.plot(when, curve.median, color=shade, linewidth=2.0, zorder=3, marker="o" if len(when) == 1 else "")


def _left_out(lines: list[Curve], axis: Axis) -> str:
    """Return in words which lines have runs that diverged or are missing."""
    runs = max(curve.runs for curve in lines)
    clauses = []
    for what, counts in (("diverged", [c.diverged for c in lines]), ("not run", [c.missing for c in lines])):
        lost = [f"{axis.text(place)} ({count}/{runs})" for place, count in enumerate(counts) if count]
        short = f"{sum(counts)} of {runs * len(lines)} {what}"
        clauses += [f"{what}: {lost[0]}" if len(lost) == 1 else short] if lost else []
    return "; ".join(clauses)


def _write_key(
    figure: Figure, contents: list[list[Curve]], axis: Axis | None, shades: list[str], what: str, start: str, notes: list[str]
) -> None:
    """Write the key: what lines and bands are, and further notes, of which some may be empty."""
    entries = line_entries(axis, shades, linewidth=2.4)
    runs = contents[0][0].runs
    note = f"Lines: {what}."
    if runs > 1:
        entries.append(band_entry(MIDDLE_90))
        note = f"Lines: {what}, median of {runs} seeds."
    if runs >= FEWEST_EXPLAINED:
        note += f" The bands leave out the differences between seeds that are there {start} already."
    write_key(figure, entries, " ".join([note, *(as_sentence(further) for further in notes if further)]))


def _beyond(contents: list[list[Curve]]) -> str:
    """Return how far lines go that leave the figure at its top; "" for none."""
    drawn = [curve for lines in contents for curve in lines if len(curve.loss)]
    calm = [curve for curve in drawn if not curve.grown]
    reach = max((float(curve.median.max()) for curve in drawn if curve.grown), default=-np.inf)
    if not calm or reach <= max(float(curve.median.max()) for curve in calm):
        return ""
    return f"lines beyond the top reach {short_number(reach, 2)}"


def _title(contents: list[list[Curve]], axis: Axis, panels_by: Facets, metric: str, name: str, length: str, doubt: str) -> str:
    """Return the title: which line ends best, each at its best setting, and if the seeds agree.

    If the seeds cannot show which line is best, it has the best value and its setting. Of a metric for which neither direction
    is better, it has the smallest and the largest value at the end.

    Args:
      contents: the lines of each panel.
      axis: what the lines are.
      panels_by: what the panels are.
      metric: the metric.
      name: its words.
      length: of the runs, in words.
      doubt: the reason why the seeds cannot show which line is best, else "".
    """
    if not any(len(curve.loss) for lines in contents for curve in lines):
        return "No run in this figure is finished and finite"
    after, start = f"after {length}", name[0].upper() + name[1:]
    in_panels = f"{start} over {length}, for each {' and '.join(panel_axis.words for panel_axis in panels_by.axes)}"
    end, beside = words_of(metric).best, words_of(metric).beyond
    if len(axis) == 1:
        lines = [drawn[0] for drawn in contents if len(drawn[0].loss)]
        first, last = (three_digits(lines[0].median[place]) for place in (0, -1))
        return f"{start} goes from {first} to {last} in {length}" if len(lines) == 1 else in_panels
    if better_of(metric) == "neither":
        if len(contents) > 1:
            return in_panels
        ends = sorted((curve.median[-1], place) for place, curve in enumerate(contents[0]) if len(curve.loss))
        low, high = (f"{three_digits(ends[i][0])} with {axis.phrase(ends[i][1])}" for i in (0, -1))
        return f"{start} {after}: {low}, {high}" if len(ends) > 1 else f"{start} {after}: {low}"
    if doubt:
        medians = seed_median(np.stack([[curve.cost for curve in lines] for lines in contents]))
        panel, place = (int(i) for i in np.unravel_index(np.nanargmin(medians), medians.shape))
        own = axis.phrase(place)
        own = f"with the {own} order" if axis.name == "order" else f"with {own}" if axis.name == "optimizer" else f"at {own}"
        setting_words = ", ".join(filter(None, [own, panels_by.phrase(panel)]))
        return best_title(metric, name, length, float(contents[panel][place].median[-1]), setting_words)
    groups = _at_best(contents, panels_by)
    tuned = " and ".join(panel_axis.words for panel_axis in panels_by.axes if panel_axis.name not in KEPT)
    ranked = [_ranked([contents[panel][place] for place, panel in enumerate(group)]) for group in groups]
    best = [
        order[0] if order and _clear([contents[panel][place] for place, panel in enumerate(group)], order) else None
        for order, group in zip(ranked, groups, strict=True)
    ]
    winners = [place for place in best if place is not None]
    each_at = f", each at its best {tuned}" if tuned else ""
    where = f"settings (each at its best {tuned})" if tuned else "panels"
    if not winners and len(groups) > 1:
        return f"No {axis.words} ends clearly {beside} the others in any of {len(groups)} {where} {after}"
    if not winners:
        return f"No {axis.words} ends clearly {beside} the others {after}{each_at}"
    common = max(set(winners), key=winners.count)
    winner = f"{axis.phrase(common)} order" if axis.name == "order" else axis.phrase(common)
    winner = winner if axis.name in (*SIZE_AXES, *NAMED) else winner[0].upper() + winner[1:]
    if len(groups) == 1:
        panel = groups[0][common]
        number = three_digits(contents[panel][common].median[-1])
        return f"{winner} ends {end}: {name} {number} {after}{f', at {panels_by.phrase(panel)}' if tuned else ''}{each_at}"
    if winners.count(common) == len(groups):
        return f"{winner} ends {end} in {'every panel' if not tuned else f'all {len(groups)} {where}'} {after}"
    if len(groups) <= 3 and len(winners) == len(groups) and not tuned:
        parts = [f"{axis.text(place)} with {panels_by.phrase(p)}" for p, place in enumerate(winners)]
        return f"{end.capitalize()} {after}: {axis.words} {', '.join(parts)}"
    return f"{winner} ends clearly {end} in {winners.count(common)} of {len(groups)} {where} {after}"


def _at_best(contents: list[list[Curve]], panels_by: Facets) -> list[list[int]]:
    """Return, for each setting of the axes that are not searched, the panel in which each line ends best."""
    lengths = [len(panel_axis) for panel_axis in panels_by.axes]
    kept = [place for place, panel_axis in enumerate(panels_by.axes) if panel_axis.name in KEPT]
    groups: dict[tuple[int, ...], list[int]] = {}
    for panel in range(len(contents)):
        places = np.unravel_index(panel, lengths) if lengths else ()
        groups.setdefault(tuple(int(places[place]) for place in kept), []).append(panel)
    chosen = []
    for panels in groups.values():
        medians = seed_median(np.stack([[curve.cost for curve in contents[panel]] for panel in panels], axis=-2))
        chosen.append([panels[max(0, int(place))] for place in best_place(medians)])
    return chosen


def _doubt(contents: list[list[Curve]], panels_by: Facets) -> str:
    """Return the reason why the seeds cannot show in any setting which line is best; "" if they can in one of them."""
    reasons = []
    for group in _at_best(contents, panels_by):
        lines = [contents[panel][place] for place, panel in enumerate(group)]
        first, *others = _ranked(lines) or [0]
        if others:
            reasons.append(str(why_unclear(lines[first].cost, lines[others[0]].cost)))
    return reasons[0] if all(reasons) and reasons else ""


def _ranked(lines: list[Curve]) -> list[int]:
    """Return the places of the lines, from the one that ends best to the worst; those without a finite median are left out."""
    medians = seed_median(np.stack([curve.cost for curve in lines]))
    order = np.argsort(np.where(np.isnan(medians), np.inf, medians), kind="stable").tolist()
    return [place for place in order if np.isfinite(medians[place])]


def _clear(lines: list[Curve], order: list[int]) -> bool:
    """Return True if the best line ends better than the next for nearly every seed that both have."""
    if len(order) < 2:
        return True
    return bool(is_clearly_better(lines[order[0]].cost, lines[order[1]].cost))
