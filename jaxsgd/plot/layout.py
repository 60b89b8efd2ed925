"""Panels with their headings, labels, key and colour bar on a slide. Matplotlib's constrained layout finds the places."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colorbar import Colorbar
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.legend_handler import HandlerTuple
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.text import Text
from numpy.typing import ArrayLike

from jaxsgd.plot.axis import Axis
from jaxsgd.plot.scale import name_values
from jaxsgd.plot.style import INK, SMALL, ShownFigure, fit, ink_on, spread_apart

TOP, EDGE, FOOT = 1.08, 0.36, 0.1
"""Inches: height of the title and the line below it, and what stays empty at the sides and at the bottom."""

MOST_OF_ROW_HEADING = 2.3
"""Inches that a row's heading may take; a longer one is shortened."""

MOST_NAMED = 12
"""Lines that a key names."""


def page(axes: Axes) -> ShownFigure:
    """Return the figure that axes are on."""
    figure = axes.get_figure(root=True)
    assert isinstance(figure, ShownFigure)
    return figure


def inches(axes: Axes) -> tuple[float, float]:
    """Return the width and the height of axes in inches; they are right once the figure is laid out."""
    box, dpi = axes.get_window_extent(), page(axes).dpi
    return box.width / dpi, box.height / dpi


def text_width(figure: Figure, text: str, size: float = SMALL) -> float:
    """Return the width of a text, in inches."""
    probe = figure.text(0, 0, text, fontsize=size)
    width = probe.get_window_extent().width / figure.dpi
    probe.remove()
    return width


def panels(
    figure: Figure, rows: int = 1, columns: int = 1, apart: tuple[float, float] = (0.05, 0.05), **how: Any
) -> np.ndarray:
    """Return new axes below the title, [rows, columns].

    Args:
      figure: to put them on.
      rows, columns: how many.
      apart: inches around each panel with its labels, across and up.
      how: other arguments of `Figure.subplots`.
    """
    figure.set_layout_engine("constrained", w_pad=apart[0], h_pad=apart[1], wspace=0, hspace=0)
    _leave(figure, FOOT)
    figure.subfigures()
    return figure.subfigs[0].subplots(rows, columns, squeeze=False, **how)


def _leave(figure: Figure, foot: float) -> None:
    """Leave room above the panels for the title, and `foot` inches below them."""
    wide, high = figure.get_size_inches()
    engine = figure.get_layout_engine()
    assert engine is not None
    engine.set(rect=(EDGE / wide, foot / high, 1 - 2 * EDGE / wide, 1 - (TOP + foot) / high))  # type: ignore[call-arg]


def head(axes: Axes, heading: str, note: str = "", shorter: str = "") -> None:
    """Write a heading above a panel's left edge, and a note between them, both no wider than the panel.

    Args:
      axes: the panel.
      heading: in bold; may be empty.
      note: in normal letters; may be empty.
      shorter: in place of the heading where there is too little room.
    """
    title = axes.set_title(heading, pad=20 if note else 6)
    above: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points", "annotation_clip": False}
    below = axes.annotate(note, (0, 1), (0, 4), va="bottom", **above) if note else None

    def fit_all() -> None:
        width, _ = inches(axes)
        fit(title, width, shorter)
        if below is not None:
            fit(below, width)

    page(axes).when_laid_out(fit_all)


def head_row(axes: Axes, axis: Axis, place: int) -> None:
    """Write a row's value at its left, what lies beside the value on a line of its own."""
    name, _, beside = axis.heading(place).partition(" (")
    text = "\n".join(filter(None, (name, beside.rstrip(")"))))
    label = axes.set_ylabel(text, rotation=0, ha="right", va="center", fontsize=SMALL, fontweight="bold")
    fit(label, MOST_OF_ROW_HEADING)


def label_outside(shown: Sequence[Axes], x: str, y: str) -> None:
    """Write one label below all panels, if it is not empty, and one at their left."""
    body = shown[0].figure
    labels = [(body.supylabel(y, fontsize=12), "set_y", "y0", "y1")]
    if x:
        labels.append((body.supxlabel(x, fontsize=12), "set_x", "x0", "x1"))

    def centre() -> None:
        boxes = [axes.get_window_extent().transformed(body.transSubfigure.inverted()) for axes in shown]
        for label, move, start, end in labels:
            getattr(label, move)((min(getattr(b, start) for b in boxes) + max(getattr(b, end) for b in boxes)) / 2)

    page(shown[0]).when_laid_out(centre)


def label_ends(
    axes: Axes, values: ArrayLike, texts: Sequence[str], shades: Sequence[str], heading: str = "", joined: bool = True
) -> None:
    """Write a text at the right of a panel for the end of each line, moved as little as keeps them apart.

    Args:
      axes: the panel.
      values: [L], where the lines end, in data units.
      texts, shades: L texts and colours.
      heading: above them, what they are.
      joined: True to join each text to the end of its line.
    """
    beside: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points", "va": "center", "linespacing": 1.25}
    beside["annotation_clip"] = False
    joint = {"arrowstyle": "-", "linewidth": 0.8, "shrinkA": 1, "shrinkB": 0, "relpos": (0, 0.5)}
    away = 14 if joined else 8
    notes = [
        axes.annotate(
            text, (1, 0.5), (away, 0), arrowprops={**joint, "color": shade} if joined else None, color=shade, **beside
        )
        for text, shade in zip(texts, shades, strict=True)
    ]
    if heading:
        axes.annotate(heading, (1, 1), (away, 0), **{**beside, "va": "top"})

    def spread() -> None:
        box, dpi = axes.get_window_extent(), page(axes).dpi
        at = np.column_stack([np.zeros(len(notes)), np.asarray(values, np.float64)])
        ends = np.clip((axes.transData.transform(at)[:, 1] - box.y0) / box.height, 0, 1)
        lines = max(text.count("\n") + 1 for text in texts)
        step = (15 * lines + (3 if lines > 1 else 0)) * dpi / 72 / box.height
        top = 1 - step / 2 - (step if heading else 0)
        for note, end, place in zip(notes, ends, spread_apart(ends, step, min(step / 2, ends.min()), top), strict=True):
            note.xy = (1, float(end))
            note.set_position((away, float(place - end) * box.height * 72 / dpi))

    if notes:
        page(axes).when_laid_out(spread)


def size_axis(axes: Axes, sizes: np.ndarray, names: np.ndarray) -> None:
    """Give a panel a logarithmic x axis of batch sizes, with as many of them as ticks as there is room for.

    Args:
      axes: the panel.
      sizes: [K], where they stand: samples a step on average.
      names: [K], what they are called: samples of a full batch.
    """
    axes.set_xscale("log", base=2)
    axes.set_xlim(sizes.min() / 1.35, sizes.max() * 1.35)
    axes.set_xlabel("batch size B (samples per step)")
    axes.set_xticks(sizes[:1], [str(int(names[0]))], minor=False)
    axes.minorticks_off()
    page(axes).when_laid_out(lambda: name_values(axes.xaxis, sizes, [str(int(name)) for name in names]))


def write_in_cells(image: AxesImage, texts: Mapping[tuple[int, ...], str]) -> dict[tuple[int, ...], Text]:
    """Write texts into cells of a matrix, in letters that can be read on each cell's colour, and return them by cell.

    Args:
      image: of the matrix.
      texts: by row and column.
    """
    values = np.ma.asarray(image.get_array())
    colours, empty, written = np.asarray(image.cmap(image.norm(values))), np.ma.getmaskarray(values), {}
    for (row, column), text in texts.items():
        ink = INK if empty[row, column] else ink_on(colours[row, column])
        written[row, column] = image.axes.text(column, row, text, ha="center", va="center", color=ink)
        written[row, column].set_in_layout(False)  # it lies within the panel
    return written


def colour_bar(mappable: ScalarMappable, shown: Sequence[Axes], label: str, **look: Any) -> Colorbar:
    """Return a new colour bar at the right of panels.

    Args:
      mappable: the colours.
      shown: the panels.
      label: with its unit.
      look: other arguments of `Figure.colorbar`.
    """
    high = page(shown[0]).get_figheight() - 2.5
    bar = shown[0].figure.colorbar(mappable, ax=list(shown), **{"aspect": high / 0.2, "pad": 0.02, **look})
    bar.ax.set_label("colour bar")
    bar.outline.set_visible(False)  # type: ignore[operator]
    bar.minorticks_off()
    bar.set_label(label)
    return bar


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
    return [entry(axis.phrase(place), color=shades[place], **look) for place in map(int, named)]


def entry(text: str, **look: Any) -> tuple[Line2D, str]:
    """Return the entry of a key for a line or a mark; its look as `Line2D` takes it."""
    return Line2D([], [], **look), text


MIDDLE_HALF, MIDDLE_90 = (25, 75), (5, 95)
"""Percentiles of the seeds between which a band lies."""


def band_entry(percentiles: tuple[int, int], of: str = "the seeds") -> tuple[Patch, str]:
    """Return the entry of a key for the bands.

    Args:
      percentiles: between which they lie.
      of: what the percentiles are of.
    """
    low, high = percentiles
    share = "middle half" if percentiles == MIDDLE_HALF else f"{low}\N{EN DASH}{high} %"
    return Patch(color="#777777", alpha=0.35, linewidth=0), f"{share} of {of}"


def medians_of(runs: int) -> str:
    """Return the first words of a note: of how many seeds the lines or numbers are the median."""
    return f"Median of {runs} seeds" if runs > 1 else "One seed"


def write_key(figure: Figure, entries: Sequence[tuple], note: str = "") -> None:
    """Write a key along the bottom of a page that has its panels, and lines of words below it.

    Args:
      figure: to write on.
      entries: handles with their labels; a tuple of handles stands side by side.
      note: what else must be said; broken into as many lines as it takes.
    """
    wide, high = figure.get_size_inches()
    foot, room = FOOT, wide - 2 * EDGE
    if note:
        letters, lines = len(note), note
        while text_width(figure, lines) > room:
            letters = int(0.96 * letters)
            lines = textwrap.fill(note, letters)
        words = figure.text(EDGE / wide, foot / high, lines, va="bottom", linespacing=1.3)
        foot += words.get_window_extent().height / figure.dpi + 0.06
    if entries:
        handles, labels = zip(*entries, strict=True)
        columns, height = len(entries), 0.0
        while not height:
            key = figure.legend(
                handles, labels, loc="lower left", ncols=columns, bbox_to_anchor=(EDGE / wide, foot / high),
                handler_map={tuple: HandlerTuple(ndivide=None, pad=0.15)},
            )  # fmt: skip
            box = key.get_window_extent()
            if columns == 1 or box.width / figure.dpi <= room:
                height = box.height / figure.dpi
            else:
                key.remove()
                columns -= 1
        foot += height + 0.06
    _leave(figure, foot)
