"""The looks of every figure: sizes for a slide, colours that all readers can tell apart."""

import functools
import io
import math
from collections.abc import Callable
from typing import Any, ParamSpec

import matplotlib
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colorbar import Colorbar
from matplotlib.figure import Figure
from matplotlib.text import Text
from numpy.typing import ArrayLike

# Okabe and Ito 2008, "Color universal design", darkest first; their yellow is left out, for it is too light for lines on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
INK = "#222222"
PALE = "#9A9A9A"
SMALLEST, SMALL, MEDIUM, LARGE = 11.0, 12.0, 14.0, 19.0
LOSS_LABEL = "loss (mean squared error per output)"

STYLE: dict[Any, Any] = {
    "text.color": INK,
    "axes.edgecolor": PALE,
    "axes.labelcolor": INK,
    "axes.labelsize": MEDIUM,
    "axes.titlesize": MEDIUM,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.fontsize": SMALLEST,
}
"""Matplotlib's settings for all figures. They are in force while a figure is drawn, and never outside it."""

P = ParamSpec("P")


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Return a function that draws the figure of `draw` with the settings of `STYLE`."""

    @functools.wraps(draw)
    def draw_styled(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with matplotlib.rc_context(STYLE):
            return draw(*args, **kwargs)

    return draw_styled


def dress(axes: Axes, size: float = SMALLEST, **look: Any) -> None:
    """Give the ticks of axes their looks: Matplotlib makes ticks when it draws, when `STYLE` is no longer in force.

    Args:
      axes: to dress.
      size: of the tick labels, points.
      look: other arguments of `tick_params`.
    """
    axes.tick_params(labelsize=size, color=PALE, labelcolor=INK, **look)


def colour_bar(figure: Figure, mappable: ScalarMappable, place: tuple[float, float, float, float], **look: Any) -> Colorbar:
    """Return a new colour bar without an outline.

    Args:
      figure: to put it on.
      mappable: the colours.
      place: left, bottom, width and height, shares of the figure.
      look: other arguments of `Figure.colorbar`.
    """
    bar = figure.colorbar(mappable, cax=figure.add_axes(place, label="colour bar"), **look)
    bar.outline.set_visible(False)  # type: ignore[operator]
    return bar


def colours(count: int) -> list[str]:
    """A colour for each of `count` things; more than there are names for run along a dark-to-light scale."""
    if count <= len(COLOURS):
        return list(COLOURS[:count])
    from matplotlib import colormaps  # noqa: PLC0415, loads slowly and is seldom used
    from matplotlib.colors import to_hex  # noqa: PLC0415

    return [to_hex(colormaps["viridis"](0.8 * i / (count - 1))) for i in range(count)]


class ShownFigure(Figure):
    """A figure that a notebook shows: Matplotlib's own is shown only where pyplot has been imported, which then shows this one
    too, and once, for IPython asks for this method only where nothing else draws a type."""

    def _repr_png_(self) -> bytes:
        """The picture, at the resolution of a screen."""
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=SCREEN_DPI)
        return buffer.getvalue()


SCREEN_DPI = 80
"""Dots per inch of a figure in a notebook: a slide is 960 of them wide."""


SLIDE = (12.0, 6.75)
"""Width and height of a slide, inches."""


def slide(title: str, subtitle: str, height: float = 0.0) -> Figure:
    """An empty figure of a slide's shape, or a higher one, with a title and a line below it.

    Args:
      title: the finding, in words.
      subtitle: what was run.
      height: least height of the figure, inches.
    """
    width, usual = SLIDE
    height = max(height, usual)
    figure = ShownFigure(figsize=(width, height))
    # The same distance from the top, however high the figure is.
    share = usual / height
    title_text = figure.text(0.035, 1 - 0.065 * share, title, fontsize=LARGE, fontweight="bold", va="center")
    subtitle_text = figure.text(0.035, 1 - 0.127 * share, subtitle, fontsize=MEDIUM, va="center")
    fit(title_text, LARGE, room=0.93)
    fit(subtitle_text, MEDIUM, room=0.93)
    return figure


def fit(text: Text, size: float, room: float) -> None:
    """Makes a text no wider than `room`, a share of its figure's width: smaller, down to 11 points, and then shorter."""
    figure = text.get_figure(root=True)
    assert figure is not None
    widest = room * figure.bbox.width
    while text.get_window_extent().width > widest and size > SMALLEST:
        size -= 0.5
        text.set_fontsize(size)
    words = text.get_text()
    while text.get_window_extent().width > widest and words:
        words = words[:-1]
        text.set_text(words + "...")


def panel(figure: Figure, left: float, width: float, heading: str = "", sharey: Axes | None = None) -> Axes:
    """Axes over the height that the title leaves; `left` and `width` are shares of the figure."""
    top = 0.76 if heading else 0.82
    axes = figure.add_axes((left, 0.12, width, top - 0.12), sharey=sharey)
    if heading:
        axes.set_title(heading, loc="left", pad=10)
    dress(axes, SMALL)
    axes.set_xlabel("epoch")
    axes.ticklabel_format(axis="y", useOffset=False)
    return axes


def spread_apart(
    wanted: ArrayLike, distance: float, lowest: float = -math.inf, highest: float = math.inf
) -> Float[np.ndarray, " L"]:
    """Places as near as possible to the wanted ones (least squares), in the same order and at least `distance` apart.

    Args:
      wanted: [L] places, in any order.
      distance: smallest distance between two places, in the same units.
      lowest, highest: no place is below or above; where there is too little room between them, the lowest holds.
    """
    wanted = np.asarray(wanted, np.float64)
    order = np.argsort(wanted, kind="stable")
    # In coordinates shrunk by the distances, "in the same order" is all that is left to hold: pool adjacent violators.
    shift = distance * np.arange(len(wanted))
    pools: list[list[float]] = []
    for place in wanted[order] - shift:
        pools.append([place])
        while len(pools) > 1 and np.mean(pools[-2]) >= np.mean(pools[-1]):
            pools[-2:] = [pools[-2] + pools[-1]]
    placed = np.empty_like(wanted)
    shrunk = np.array([np.mean(pool) for pool in pools for _ in pool])
    placed[order] = np.maximum(np.minimum(shrunk, highest - distance * (len(wanted) - 1)), lowest) + shift
    return placed


def in_powers(value: float) -> str:
    """The number with two digits: plain from 0.01 to 1000, and otherwise with a power of ten, as in -2.6 x 10^-4."""
    if value == 0 or 0.01 <= abs(value) < 1000:
        return f"{value:.2g}".replace("-", "\N{MINUS SIGN}")
    digits, power = f"{value:.1e}".split("e")
    raised = str(int(power)).translate(
        str.maketrans("-0123456789", "\u207b\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079")
    )
    return f"{digits} \N{MULTIPLICATION SIGN} 10{raised}".replace("-", "\N{MINUS SIGN}")


def heights(axes: Axes, values: ArrayLike) -> Float[np.ndarray, "*L"]:
    """Return where values lie on the y axis, as shares of its height; its ends are set."""
    onto = np.log if axes.get_yscale() == "log" else np.asarray
    low, high = onto(axes.get_ylim())
    return np.asarray((onto(np.asarray(values, np.float64)) - low) / (high - low))


def write_beside(axes: Axes, values: ArrayLike, texts: list[str], colours: list[str], line_height: float) -> None:
    """Writes each text to the right of the axes at its height, moved as little as keeps them apart.

    Args:
      axes: with its final y limits.
      values: [L], in data units.
      texts: L texts.
      colours: L colours.
      line_height: room for one text, as a share of the axes' height.
    """
    places = spread_apart(heights(axes, values), line_height, lowest=line_height / 2, highest=1 - line_height / 2)
    for place, text, colour in zip(places, texts, colours, strict=True):
        axes.text(1.025, place, text, color=colour, fontsize=SMALL, va="center", transform=axes.transAxes, linespacing=1.25)


DPI = 160

COMPRESSION = 1
"""zlib's level for PNG: a sixth more bytes than its default, and a third of the time less for a whole figure."""


def figure_file(figure: Figure, kind: str) -> bytes:
    """The content of a file with the figure; the same figure gives the same bytes.

    Args:
      figure: a figure.
      kind: "png" (160 dots per inch) or "svg" (letters as shapes, so that it looks the same everywhere).
    """
    buffer = io.BytesIO()
    # The settings hold inside the block alone: SVG has no other way to be told its seed for element names.
    with matplotlib.rc_context({"svg.hashsalt": "jaxsgd", "svg.fonttype": "path"}):
        if kind == "png":
            figure.savefig(buffer, format=kind, dpi=DPI, pil_kwargs={"compress_level": COMPRESSION})
        else:
            figure.savefig(buffer, format=kind, dpi=DPI, metadata={"Date": None} if kind == "svg" else None)
    return buffer.getvalue()
