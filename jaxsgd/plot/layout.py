"""Panels, headings, axes and keys on a slide, measured in inches."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.axis import Axis as Axis1D
from matplotlib.axis import YAxis
from matplotlib.figure import Figure
from matplotlib.legend_handler import HandlerTuple
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, Formatter, FuncFormatter, Locator, MaxNLocator, NullLocator

from jaxsgd.error import InputError
from jaxsgd.plot.axis import Axis, open_axes, table
from jaxsgd.plot.style import INK, MEDIUM, SMALL, SMALLEST, dress, fit
from jaxsgd.results.axes import listed
from jaxsgd.results.metric import carried, record_axis

TOP = 1.12
"""Height of the title and the line below it."""


MOST_ROWS, MOST_COLUMNS = 40, 10
"""Panels that a page holds."""


def check_room(rows: int, columns: int) -> None:
    """Checks that so many panels can be drawn.

    Raises:
      InputError: when not.
    """
    if rows > MOST_ROWS or columns > MOST_COLUMNS:
        raise InputError(
            f"{rows} rows and {columns} columns of panels are more than {MOST_ROWS} and {MOST_COLUMNS}, the most there is room "
            "for: select some of the values"
        )


def panels(
    figure: Figure,
    rows: int,
    columns: int,
    margins: tuple[float, float, float, float],
    gaps: tuple[float, float],
) -> list[list[Axes]]:
    """Axes side by side, row by row.

    Args:
      figure: to put them on.
      rows, columns: how many.
      margins: inches left, right, above and below all panels.
      gaps: inches between two columns and two rows.
    """
    left, right, above, below = margins
    width = (figure.get_figwidth() - left - right - gaps[0] * (columns - 1)) / columns
    height = (figure.get_figheight() - above - below - gaps[1] * (rows - 1)) / rows
    wide, high = figure.get_size_inches()

    def add_panel(i: int, j: int) -> Axes:
        x, y = left + j * (width + gaps[0]), below + (rows - 1 - i) * (height + gaps[1])
        axes = figure.add_axes((x / wide, y / high, width / wide, height / high))
        dress(axes, length=3)
        axes.xaxis.set_major_locator(MaxNLocator(max(2, min(8, int(width / 0.45))), steps=[1, 2, 5, 10], integer=True))
        return axes

    return [[add_panel(i, j) for j in range(columns)] for i in range(rows)]


def page(axes: Axes) -> Figure:
    """The figure that axes are on."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    return figure


def inches(axes: Axes) -> tuple[float, float]:
    """Width and height of axes."""
    box, (wide, high) = axes.get_position(), page(axes).get_size_inches()
    return box.width * wide, box.height * high


EDGE = 0.42
"""Inches that stay empty at the left and right of a page."""

MOST_OF_ROW_HEADING = 2.3
"""Inches that a row's heading may take; a longer one is shortened."""


def text_width(figure: Figure, text: str, size: float, weight: str = "normal") -> float:
    """Return the width of a text, in inches."""
    probe = figure.text(0, 0, text, fontsize=size, fontweight=weight)
    width = probe.get_window_extent().width / figure.dpi
    probe.remove()
    return width


def row_heading_width(figure: Figure, axis: Axis) -> float:
    """Inches that `head_rows` needs at most."""
    texts = [(*_two_lines(axis, place), "bold", "normal") for place in range(len(axis))]
    widths = [
        max(text_width(figure, name, SMALL, bold), text_width(figure, beside, SMALLEST, normal))
        for name, beside, bold, normal in texts
    ]
    return min(MOST_OF_ROW_HEADING, max(widths))


def head_rows(panel_axes: list[list[Axes]], axis: Axis) -> None:
    """Each row's value at the left edge of the page, what lies beside the value on a line of its own."""
    figure = page(panel_axes[0][0])
    for place, (axes, *_) in enumerate(panel_axes):
        name, beside = _two_lines(axis, place)
        box = axes.get_position()
        x, y = EDGE / figure.get_figwidth(), (box.y0 + box.y1) / 2
        align = "bottom" if beside else "center"
        above = figure.text(x, y, name, fontsize=SMALL, fontweight="bold", va=align)
        fit(above, SMALL, MOST_OF_ROW_HEADING / figure.get_figwidth())
        if beside:
            below = figure.text(x, y, beside, fontsize=SMALLEST, va="top")
            fit(below, SMALLEST, MOST_OF_ROW_HEADING / figure.get_figwidth())


def _two_lines(axis: Axis, place: int) -> tuple[str, str]:
    name, _, beside = axis.heading(place).partition(" (")
    return name, beside.rstrip(")")


def head_columns(panel_axes: list[list[Axes]], axis: Axis) -> None:
    """Each column's value above it, with what lies beside the value where there is room for it in every column."""
    figure = page(panel_axes[0][0])
    columns = range(len(panel_axes[0]))
    pitch = (
        panel_axes[0][1].get_position().x0 - panel_axes[0][0].get_position().x0
        if len(columns) > 1
        else panel_axes[0][0].get_position().width
    )
    room = 0.97 * figure.get_figwidth() * pitch
    size, texts = SMALLEST, [axis.phrase(place) for place in columns]
    for tried in (MEDIUM, SMALL, SMALLEST):
        headings = [axis.heading(place) for place in columns]
        if max(text_width(figure, heading, tried, "bold") for heading in headings) <= room:
            size, texts = tried, headings
            break
    for axes, text in zip(panel_axes[0], texts, strict=True):
        title = axes.set_title(text, fontsize=size, fontweight="bold", pad=7)
        fit(title, size, room / figure.get_figwidth())


def fit_heading(axes: Axes, text: str) -> None:
    """A heading above a panel's left edge, no wider than the panel."""
    heading = axes.set_title(text, fontsize=SMALL, fontweight="bold", loc="left", pad=7)
    fit(heading, SMALL, room=axes.get_position().width)


def label_outside(panel_axes: Sequence[Axes], columns: int, x: str, y: str, room: float) -> None:
    """One label for all x axes and one for all y axes; numbers along the outer panels only.

    Args:
      made: the panels, row by row; the last row may be short.
      columns: panels in a full row.
      x, y: the labels.
      room: inches from the first column's left edge to the y label's middle.
    """
    figure = page(panel_axes[0])
    boxes = [axes.get_position() for axes in panel_axes]
    left, right = min(box.x0 for box in boxes), max(box.x1 for box in boxes)
    low, high = min(box.y0 for box in boxes), max(box.y1 for box in boxes)
    centred: dict[str, Any] = {"fontsize": SMALL, "color": INK, "ha": "center", "va": "center"}
    figure.text((left + right) / 2, low - 0.42 / figure.get_figheight(), x, **centred)
    figure.text(left - room / figure.get_figwidth(), (low + high) / 2, y, rotation=90, **centred)
    for place, axes in enumerate(panel_axes):
        axes.tick_params(labelbottom=place + columns >= len(panel_axes), labelleft=place % columns == 0)


def size_axis(axes: Axes, sizes: np.ndarray, names: np.ndarray) -> None:
    """A logarithmic x axis of batch sizes, with as many of them as ticks as there is room for.

    Args:
      axes: with its place on the page.
      sizes: [K], where they stand: samples a step on average.
      names: [K], what they are called: samples of a full batch.
    """
    axes.set_xscale("log", base=2)
    low, high = sizes.min() / 1.35, sizes.max() * 1.35
    axes.set_xlim(low, high)
    figure, (width, _) = page(axes), inches(axes)
    an_inch = np.log(high / low) / width
    ticks: list[float] = []
    texts: list[str] = []
    reach = -np.inf
    for place in np.argsort(sizes, kind="stable").tolist():
        text = str(int(names[place]))
        half = (text_width(figure, text, SMALL) / 2 + 0.06) * an_inch
        if np.log(sizes[place]) - half >= reach:
            ticks.append(float(sizes[place]))
            texts.append(text)
            reach = np.log(sizes[place]) + half
    axes.set_xticks(ticks, texts)
    axes.minorticks_off()
    axes.set_xlabel("batch size B (samples per step)")


LOG_FROM = 20
"""Largest over smallest value from which an axis or a scale of colours is logarithmic."""


def is_log(low: float, high: float) -> bool:
    """Return True if values from `low` to `high` are drawn on a logarithmic scale."""
    return bool(low > 0 and high >= LOG_FROM * low)


def padded(low: float, high: float, log: bool, below: float, above: float) -> tuple[float, float]:
    """Return the ends of an axis.

    Args:
      low, high: the values to show.
      log: True for a logarithmic axis.
      below, above: room under and over the values, as shares of the axis length between them.
    """
    bottom, top = (float(np.log10(value)) if log else float(value) for value in (low, high))
    span = (top - bottom) or max(abs(top), 1.0) * 1e-3
    ends = bottom - below * span, top + above * span
    return (10.0 ** ends[0], 10.0 ** ends[1]) if log else ends


def share_range(
    panels: Sequence[Axes], low: float, high: float, log: bool = False, below: float = 0.05, above: float = 0.05
) -> None:
    """Give panels the same y axis: scale, ends, ticks and numbers. The arguments are those of `padded`."""
    for axes in panels:
        _, height = inches(axes)
        axes.set_yscale("log" if log else "linear")
        axes.set_ylim(*padded(low, high, log, below, above))
        if log:
            log_ticks(axes.yaxis, height)
        else:
            axes.yaxis.set_major_locator(InnerLocator(height))
        axes.yaxis.set_major_formatter(plain_numbers())


def log_ticks(axis: Axis1D, length: float) -> None:
    """Ticks of a logarithmic axis whose ends are set, at round numbers as dense as there is room for: never fewer than two.

    Args:
      axis: `axes.xaxis` or `axes.yaxis`.
      length: of the axis, inches.
    """
    low, high = sorted(axis.get_view_interval())
    most = max(2, int(length / (0.25 if isinstance(axis, YAxis) else 0.45)))
    for subs in ((1.0, 2.0, 3.0, 5.0, 7.0), (1.0, 2.0, 5.0), (1.0, 3.0), (1.0,)):
        decades = np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
        ticks = np.sort(np.outer(10.0**decades, subs).ravel())
        ticks = ticks[(ticks >= low) & (ticks <= high)]
        if len(ticks) <= most:
            break
    if len(ticks) < 2:
        # Less than a step between round numbers: evenly spaced ones tell as much.
        axis.set_major_locator(MaxNLocator(max(2, min(5, most)), steps=[1, 2, 2.5, 5, 10]))
    else:
        axis.set_major_locator(FixedLocator(ticks[:: int(np.ceil(len(ticks) / most))].tolist()))
    axis.set_minor_locator(NullLocator())


class InnerLocator(Locator):
    """Round numbers that keep their distance, none so near an end that its label reaches another panel's."""

    def __init__(self, height: float):
        """For an axis of `height` inches."""
        self._height = height

    def __call__(self) -> Sequence[float]:
        """The places of the ticks on the axis at hand."""
        assert self.axis is not None
        return self.tick_values(*self.axis.get_view_interval())

    def tick_values(self, vmin: float, vmax: float) -> Sequence[float]:
        """The places of the ticks between two ends."""
        an_inch, inside = (vmax - vmin) / self._height, 0.03
        # Closer where there would be less than two otherwise; a label is 0.15 inches high.
        ticks: Sequence[float] = ()
        for distance in (0.5 if self._height > 2 else 0.25, 0.17):
            least = distance * an_inch
            power = 10.0 ** np.floor(np.log10(least))
            step = next(step * power for step in (1, 2, 2.5, 5, 10, 20) if step * power >= least)
            first, last = np.ceil((vmin + inside * an_inch) / step), np.floor((vmax - inside * an_inch) / step)
            ticks = (step * np.arange(first, last + 1) + 0.0).tolist()
            if len(ticks) > 1:
                break
        return ticks


def plain_numbers() -> Formatter:
    """Tick labels as short as they can be, with a true minus sign."""
    return FuncFormatter(lambda value, _: short_number(value))


def short_number(value: float) -> str:
    """A number in few letters: 0.05, 2e-5 with a true minus sign."""
    text = f"{float(f'{value:.6g}'):g}".replace("e-0", "e-").replace("e+0", "e").replace("e+", "e")
    return text.replace("-", "\N{MINUS SIGN}")


def three_digits(value: float) -> str:
    """A number to three digits, its zeros kept: 1.90."""
    if value != 0 and not 1e-3 <= abs(value) < 1e4:
        return short_number(float(f"{value:.2e}"))
    text = f"{value:#.3g}" if abs(value) < 1000 else f"{value:.0f}"
    return text.rstrip(".").replace("-", "\N{MINUS SIGN}")


MOST_NAMED = 12
"""Lines that a key names."""


def line_entries(axis: Axis | None, shades: Sequence[str], **look: Any) -> list[tuple]:
    """Return the entries of a key for the lines of a figure; of many numbers, twelve that are evenly spread.

    Args:
      axis: the axis of the lines; None for a single line, which needs no name.
      shades: the colour of each value.
      look: arguments of `Line2D`.
    """
    if axis is None:
        return []
    order = np.argsort(axis.values, kind="stable") if axis.numeric else np.arange(len(axis))
    named = order[np.unique(np.linspace(0, len(axis) - 1, MOST_NAMED).round().astype(int))]
    return [(Line2D([], [], color=shades[place], **look), axis.phrase(place)) for place in map(int, named)]


def band_entry(text: str) -> tuple[Patch, str]:
    """Return the entry of a key for the bands, in which so many of the seeds lie."""
    return Patch(color="#777777", alpha=0.35, linewidth=0), text


def medians_of(runs: int) -> str:
    """Return the first words of a note: of how many seeds the lines or numbers are the median."""
    return f"Median of {runs} seeds" if runs > 1 else "One seed"


def write_key(figure: Figure, entries: Sequence[tuple], note: str = "") -> float:
    """A key along the bottom of the page, with a line of words below it.

    Args:
      figure: to write on.
      entries: handles with their labels; a tuple of handles stands side by side.
      note: what else must be said.

    Returns:
      The inches it takes, from the bottom.
    """
    below = 0.12
    if note:
        text = figure.text(EDGE / figure.get_figwidth(), below / figure.get_figheight(), note, fontsize=SMALLEST)
        fit(text, SMALLEST, room=1 - 2 * EDGE / figure.get_figwidth())
        below += 0.27
    if not entries:
        return below
    handles, labels = zip(*entries, strict=True)
    for columns in range(len(entries), 0, -1):
        key = figure.legend(
            handles, labels, loc="lower left", ncols=columns, frameon=False, fontsize=SMALLEST, labelcolor=INK,
            bbox_to_anchor=(EDGE / figure.get_figwidth(), below / figure.get_figheight()), borderaxespad=0, borderpad=0,
            columnspacing=1.8, handlelength=2.4, handletextpad=0.6,
            handler_map={tuple: HandlerTuple(ndivide=None, pad=0.15)},
        )  # fmt: skip
        box = key.get_window_extent()
        if box.width / figure.dpi <= figure.get_figwidth() - 2 * EDGE or columns == 1:
            return below + box.height / figure.dpi + 0.06
        key.remove()
    return below


class Facets(NamedTuple):
    """Up to two axes, one panel for each of their values; P panels, row by row.

    Attributes:
      axes: none, one (wrapped into rows), or two (rows and columns).
      most: panels in a row, where there is one axis.
    """

    axes: tuple[Axis, ...]
    most: int = 4

    @property
    def dims(self) -> tuple[str, ...]:
        """The dimensions that the panels set out."""
        return tuple(axis.dim for axis in self.axes)

    @property
    def num_panels(self) -> int:
        """P."""
        return math.prod(len(axis) for axis in self.axes)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns; the last row may have empty places."""
        if len(self.axes) == 2:
            return len(self.axes[0]), len(self.axes[1])
        rows = math.ceil(self.num_panels / self.most)
        return rows, math.ceil(self.num_panels / rows)

    def phrase(self, panel: int) -> str:
        """A panel in words."""
        places = np.unravel_index(panel, [len(axis) for axis in self.axes]) if self.axes else ()
        return ", ".join(axis.phrase(int(place)) for axis, place in zip(self.axes, places, strict=True))

    @property
    def words(self) -> str:
        """The names of the axes in a sentence."""
        return " and ".join(axis.words for axis in self.axes)


def facets(ds: xr.Dataset, used: tuple[str, ...], what: str) -> Facets:
    """The axes that are neither used, nor seeds, nor down to one value.

    Raises:
      InputError: for more than two, naming each and its values, or more values than there is room for.
    """
    left = open_axes(ds, used)
    if len(left) > 2:
        clauses = [f"{axis.name} ({listed(axis.values)})" for axis in left]
        example = f"{left[-1].name}={listed(left[-1].values[:1])}"
        raise InputError(
            f"{what} has panels for at most two other axes, and there are {len(left)} with several values: "
            f"{', '.join(clauses)}; select one value of an axis, as in {example}"
        )
    # Pages are wider than high.
    panels_by = Facets(tuple(sorted(left, key=len)))
    check_room(*panels_by.shape)
    return panels_by


def check_one_other(axes: Sequence[Axis], most: int, what: str) -> None:
    """Check that at most one other axis has several values, and not too many.

    Args:
      axes: the other axes with several values.
      most: how many values one of them may have.
      what: the figure and what it has for the values: "the figure of scaling has lines".

    Raises:
      InputError: naming each axis and its values.
    """
    if len(axes) > 1 or any(len(axis) > most for axis in axes):
        clauses = " and ".join(f"{axis.name} has {len(axis)} ({listed(axis.values)})" for axis in axes)
        example = ", ".join(f"{axis.name}={listed(axis.values[:1])}" for axis in axes)
        raise InputError(f"{what} for {most} values of one other axis, but {clauses}: select some, as in {example}")


def panel_table(
    ds: xr.Dataset, name: str, panels_by: Facets, dims: Sequence[str], values: xr.DataArray | None = None
) -> np.ndarray:
    """Return a variable by panel, [P, *dims, R, ...], R combinations of seeds.

    Args:
      ds: a result in which every other dimension has one place.
      name: of the variable.
      panels_by: the facets.
      dims: dimensions of cells within a panel.
      values: to take in place of the variable.
    """
    array = table(ds if values is None else ds.assign({name: values}), name, (*panels_by.dims, *dims))
    return array.reshape(panels_by.num_panels, *array.shape[len(panels_by.dims) :])


class Records(NamedTuple):
    """A metric along the runs of each line; P panels, V lines, R seeds, E records.

    Attributes:
      measured: [P, V, R, E].
      when: [P, V, E], epochs, or steps of a budget in steps; NaN past the end of a run.
      fine: [P, V, R], True for a run that is whole and finite.
      diverged, missing: [P, V, R].
    """

    measured: np.ndarray
    when: np.ndarray
    fine: np.ndarray
    diverged: np.ndarray
    missing: np.ndarray

    def kept(self, panel: int, line: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the records of the whole and finite runs of a line, [F, E], and when they were taken, [E]."""
        recorded = np.isfinite(self.when[panel, line])
        return self.measured[panel, line, self.fine[panel, line]][:, recorded], self.when[panel, line, recorded]


def panel_records(ds: xr.Dataset, metric: str, panels_by: Facets, dim: str) -> Records:
    """Return the records of a metric by panel and line; the lines lie along `dim`."""
    measured = panel_table(ds, metric, panels_by, (dim,), carried(ds, metric)).astype(np.float64)
    placed = record_axis(ds, metric)[0].broadcast_like(ds[metric])
    when = panel_table(ds, "when", panels_by, (dim,), placed)[:, :, 0]
    diverged, missing = (panel_table(ds, name, panels_by, (dim,)) for name in ("diverged", "missing"))
    fine = ~diverged & ~missing & (np.isfinite(measured) | np.isnan(when)[:, :, None]).all(axis=-1)
    return Records(measured, when, fine, diverged, missing)


def facet_panels(
    figure: Figure, made_of: Facets, right: float, below: float, label_room: float, gaps: tuple[float, float]
) -> list[Axes]:
    """The panels with their headings.

    Args:
      figure: to put them on.
      made_of: the facets.
      right, below: inches to keep free at the right and at the bottom.
      label_room: inches for the numbers and the label of the y axis.
      gaps: inches between two columns and two rows, headings not counted.

    Returns:
      P axes.
    """
    rows, columns = made_of.shape
    two = len(made_of.axes) == 2
    left = EDGE + label_room + (row_heading_width(figure, made_of.axes[0]) + 0.1 if two else 0)
    heading = 0.3 if made_of.axes else 0.05
    gap = gaps[1] + (0 if two else heading)
    panel_axes = panels(figure, rows, columns, margins=(left, right, TOP + heading, below), gaps=(gaps[0], gap))
    if two:
        head_rows(panel_axes, made_of.axes[0])
        head_columns(panel_axes, made_of.axes[1])
    flat = [axes for row in panel_axes for axes in row]
    for axes in flat[made_of.num_panels :]:
        axes.remove()
    shown = flat[: made_of.num_panels]
    if len(made_of.axes) == 1:
        for place, axes in enumerate(shown):
            fit_heading(axes, made_of.axes[0].heading(place))
    return shown
