"""The striped view under the averaged view, for every pair of values on two axes."""

from typing import NamedTuple

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from jaxsgd.error import InputError, check_count, counted
from jaxsgd.measure.stripes import Stripes, stripes
from jaxsgd.number import to_decimals
from jaxsgd.plot.axis import (
    SYMBOLS,
    Axis,
    Selection,
    batch_counts,
    check_different,
    check_open,
    find_axis,
    loss_label,
    printed,
    seed_texts,
    setting,
    table,
)
from jaxsgd.plot.facets import check_room, head_grid
from jaxsgd.plot.finding import FREE_BELOW, stripe_finding
from jaxsgd.plot.layout import MIDDLE_90, band_entry, entry, label_outside, panels, write_key
from jaxsgd.plot.scale import share_range, use_progress
from jaxsgd.plot.style import PALE, colours, slide, styled
from jaxsgd.results.axes import selected

MOST_LINES = 20
"""Stripes that are still told apart as lines; more are drawn as a cloud of windows."""


class GridPanel(NamedTuple):
    """The content of one panel; R seeds, of which F are whole and finite.

    Attributes:
      batch_count: m.
      averaged: [F, E], loss of each epoch less that of the run's first.
      shown: which of them is drawn with its stripes.
      grown: [F], whether the run ended above twice the loss of its first epoch.
      striped: the windows of the shown run, less its first epoch's loss; None when none is whole and finite, or a window
        is longer than a run.
      stripe_index: [F], of each run; NaN for a single stripe, or fewer than five windows in each.
      diverged, missing: how many runs are left out for that.
      runs: R.
    """

    batch_count: int
    averaged: np.ndarray
    shown: int
    grown: np.ndarray
    striped: Stripes | None
    stripe_index: np.ndarray
    diverged: int
    missing: int
    runs: int

    @property
    def median_index(self) -> float:
        """Median over the seeds; NaN where there are no stripes to measure."""
        return float(np.nanmedian(self.stripe_index)) if np.isfinite(self.stripe_index).any() else np.nan


@styled
def grid(
    ds: xr.Dataset,
    rows: str = "batch_count",
    columns: str = "order",
    eval_interval: int | None = None,
    select: Selection | None = None,
) -> Figure:
    """Small multiples of the striped view (window means, one colour per stripe) under the averaged view (bold).

    Losses differ between seeds far more than they fall in training, so every run is drawn as its change since the mean loss of
    its first epoch. The stripes and the bold line are those of one seed; the band holds the averaged view of the middle 90 % of
    the seeds. All panels have the same x axis, in epochs, and the panels of a row the same y axis, in loss. Runs that diverged
    or are missing are left out and counted in their panel. A run whose loss grew, but stayed finite, may leave the axes.

    Args:
      ds: a result with every batch's loss (`record="batch"`).
      rows: the axis of the rows.
      columns: the axis of the columns.
      eval_interval: w, batches per window; by default the study's.
      select: by axis, the value or values to show; every axis other than rows, columns and seeds must come down to one.

    Raises:
      InputError: for an unknown axis or value, an axis that is left open, batch losses that were not recorded, or a
        window longer than every run.
    """
    ds = selected(ds, select)
    row, column = find_axis(ds, rows), find_axis(ds, columns)
    check_different(row, column)
    dims = (row.dim, column.dim)
    if "loss" not in ds:
        raise InputError("the grid shows every batch's loss: run the study with record='batch', or draw the curves")
    width = check_count("eval_interval", ds.attrs["eval_interval"] if eval_interval is None else eval_interval)
    check_open(ds, dims, "the grid")
    check_room(len(row), len(column))
    shown, contents = _contents(ds, dims, width)

    title = _title(contents, row, column, width)
    epochs = ds.sizes["epoch"]
    subtitle = f"{setting(ds, dims)}, {counted(epochs, 'epoch')}; {printed(width)}"
    count = len(row), len(column)
    figure = slide(title, subtitle, height=3.0 + 0.9 * count[0])
    panel_axes = panels(figure, *count, apart=(0.1, 0.03), sharex=True, sharey="row")
    _write_key(figure, contents, shown, width, row.name in SYMBOLS or column.name in SYMBOLS)
    use_progress(panel_axes[0, 0], epochs)
    for across, contained in zip(panel_axes, contents, strict=True):
        for axes, content in zip(across, contained, strict=True):
            _draw(axes, content, epochs)
        _share_range(across, contained)
    head_grid(panel_axes, row, column, [_note(panel, width) for contained in contents for panel in contained])
    label_outside(panel_axes.ravel().tolist(), "epoch", f"change in {loss_label(ds)}")
    return figure


def _contents(ds: xr.Dataset, dims: tuple[str, str], width: int) -> tuple[str, list[list[GridPanel]]]:
    """Return the run that is shown by its stripes, in words, and each panel's content."""
    loss, averaged = table(ds, "loss", dims), table(ds, "loss_epoch", dims).astype(np.float64)
    diverged, missing = table(ds, "diverged", dims), table(ds, "missing", dims)
    counts = batch_counts(ds, dims)[..., 0]
    if averaged.shape[-1] * counts.max() < width:
        most = averaged.shape[-1] * counts.max()
        raise InputError(f"eval_interval must be at most {most}, the batches of a run, got {width}")
    fine = ~diverged & ~missing & np.isfinite(averaged).all(axis=-1)
    names = seed_texts(ds, dims)
    # One run for all panels, where one is whole and finite in all that show any: then the panels are comparable.
    everywhere = fine[fine.any(axis=-1)].all(axis=0) & fine.any()
    shown = names[int(everywhere.argmax())] if everywhere.any() else "the first finite seed"
    first = int(everywhere.argmax()) if everywhere.any() else None

    def content(place: tuple[int, int]) -> GridPanel:
        own, m = np.flatnonzero(fine[place]), int(counts[place])
        number = 0 if first is None else int(np.searchsorted(own, first))
        levels = averaged[place][own]
        striped, index = None, np.full(len(own), np.nan)
        if len(own) and levels.shape[-1] * m >= width:
            measured = stripes(loss[place][own][..., :m], width)
            index = np.atleast_1d(measured.readable_index)
            striped = measured._replace(windows=measured.windows[number] - levels[number, 0])
        grown = levels[:, -1] > 2 * levels[:, 0]
        left_out = int(diverged[place].sum()), int(missing[place].sum())
        return GridPanel(m, levels - levels[:, :1], number, grown, striped, index, *left_out, fine.shape[-1])

    return shown, [[content((i, j)) for j in range(counts.shape[1])] for i in range(counts.shape[0])]


def _draw(axes: Axes, panel: GridPanel, epochs: int) -> None:
    if panel.striped is not None:
        _draw_windows(axes, panel.striped)
    if len(panel.averaged):
        when = np.arange(1, epochs + 1)
        if len(panel.averaged) > 1:
            axes.fill_between(when, *_band(panel.averaged), color="#000000", alpha=0.22, linewidth=0, zorder=1.5)
        axes.plot(when, panel.averaged[panel.shown], color="#000000", linewidth=2.0, zorder=5, **_dot(epochs))


def _band(averaged: np.ndarray) -> np.ndarray:
    """Return the band of the middle 90 % of the seeds, [2, E]."""
    return np.percentile(averaged, MIDDLE_90, axis=0)


def _note(panel: GridPanel, width: int) -> str:
    """Return what stands above a panel: its stripes with their index, and who is left out."""
    note = ""
    if panel.striped is None:
        note = f"no window of {width} batches" if len(panel.averaged) else note
    elif panel.striped.stripe_count == 1:
        note = "one curve"
    elif np.isnan(panel.median_index):
        note = f"{panel.striped.stripe_count} stripes"
    else:
        count = panel.striped.stripe_count if panel.median_index >= FREE_BELOW else "no"
        note = f"{count} stripes, index {to_decimals(panel.median_index, 2)}"
    return ", ".join(filter(None, (note, _left_out(panel)))) or " "


def _left_out(panel: GridPanel) -> str:
    counts = ((panel.diverged, "diverged"), (panel.missing, "not run"))
    return ", ".join(f"{count} of {panel.runs} {what}" for count, what in counts if count)


def _draw_windows(axes: Axes, striped: Stripes) -> None:
    if striped.stripe_count > MOST_LINES:
        # As an image inside the SVG: a shape for each window would make it megabytes.
        axes.plot(striped.time, striped.windows, "o", color=colours(1)[0], markersize=1.6, alpha=0.35, mew=0, rasterized=True)
        return
    for number, colour in enumerate(colours(striped.stripe_count)):
        own = striped.stripe == number
        width = 1.1 if striped.stripe_count < 8 else 0.8
        axes.plot(striped.time[own], striped.windows[own], color=colour, linewidth=width, zorder=2, **_dot(int(own.sum())))


def _dot(count: int) -> dict:
    return {"marker": "o", "markersize": 4, "clip_on": False} if count == 1 else {}


def _share_range(across: np.ndarray, contained: list[GridPanel]) -> None:
    """Give a row of panels, which share it, their y axis."""
    calm = [panel for panel in contained if len(panel.averaged) and not panel.grown[panel.shown]]
    # A run that grows to 1e19 and stays finite would flatten all others.
    filled = calm or [panel for panel in contained if len(panel.averaged)]
    drawn = [_band(p.averaged[~p.grown] if calm else p.averaged).ravel() for p in filled]
    drawn += [panel.averaged[panel.shown] for panel in filled]
    drawn += [panel.striped.windows for panel in filled if panel.striped is not None]
    values = np.concatenate([np.empty(0), *drawn])
    low, high = (values.min(), values.max()) if len(values) else (-1.0, 1.0)
    share_range(across[:1], float(low), float(high))
    if not len(values):
        across[0].set_yticks([])
    for axes in across:
        axes.axhline(0, color=PALE, linewidth=0.6, zorder=1)


def _write_key(figure: Figure, contents: list[list[GridPanel]], shown: str, width: int, with_sizes: bool) -> None:
    """Write the key of all panels: what the lines are."""
    flat = [panel for contained in contents for panel in contained]
    striped = [panel.striped for panel in flat if panel.striped is not None]
    most = max((own.stripe_count for own in striped if own.stripe_count <= MOST_LINES), default=0)
    many = any(own.stripe_count > MOST_LINES for own in striped)
    runs = max(panel.runs for panel in flat)
    entries: list[tuple] = []
    label = "printed loss of a batch" if width == 1 else f"printed loss, mean of {width} batches"
    label += f" ({shown})" if shown and runs > 1 else ""
    if most:
        lines = tuple(Line2D([], [], color=colour, linewidth=1.6) for colour in colours(min(most, 3)))
        entries.append((lines, f"{label}, one colour per stripe" if most > 1 else label))
    if many:
        dots = {"color": colours(1)[0], "marker": "o", "markersize": 3, "linewidth": 0, "alpha": 0.6}
        entries.append(entry("the same, too many stripes for lines" if most else label, **dots))
    entries.append(entry("the same run, averaged over each epoch", color="#000000", linewidth=2.6))
    if runs > 1:
        entries.append(band_entry(MIDDLE_90, "the seeds, averaged over each epoch"))
    note = "Lines show the change since a run\N{RIGHT SINGLE QUOTATION MARK}s first epoch; y axes are shared along rows."
    if any(np.isfinite(panel.median_index) for panel in flat):
        note += " Index: share of the variance explained by the position in the epoch."
    if with_sizes:
        note += " m: batches per epoch; B: samples per batch."
    write_key(figure, entries, note)


def _title(contents: list[list[GridPanel]], row: Axis, column: Axis, width: int) -> str:
    """Return the title: where the printed loss is striped, by the median stripe indices."""
    index = np.asarray([[panel.median_index for panel in across] for across in contents])
    flat = [panel for contained in contents for panel in contained]
    if not any(len(panel.averaged) for panel in flat):
        return "No run in this grid is finished and finite"
    if np.isnan(index).all():
        stripes_there = any(panel.striped is not None and panel.striped.stripe_count > 1 for panel in flat)
        verdict = "the runs are too short to measure stripes" if stripes_there else "the loss is one curve"
        return f"{printed(width).capitalize()}, {verdict}"
    return stripe_finding(index, row, column)
