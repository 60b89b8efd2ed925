"""The looks of every figure: one style sheet, sizes for a slide, colours that all readers can tell apart."""

import functools
import io
import math
from collections.abc import Callable
from typing import Any, ParamSpec

import matplotlib
import numpy as np
from jaxtyping import Float
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import LayoutEngine, PlaceHolderLayoutEngine
from matplotlib.text import Text
from numpy.typing import ArrayLike

from jaxsgd.markup import COLOURS

INK = "#222222"
PALE = "#9A9A9A"
SMALL, MEDIUM, LARGE = 11.0, 14.0, 19.0
"""Sizes of text in points: numbers and keys, what stands below the title, the title. No text is smaller than the first."""
LOSS_LABEL = "loss (mean squared error per output)"
SLIDE = (12.0, 6.75)
"""Width and height of a slide, inches."""
DASHED, DOTTED = (0, (4, 3)), (0, (1, 1.5))

STYLE: dict[Any, Any] = {
    "font.size": SMALL,
    "text.color": INK,
    "axes.edgecolor": PALE,
    "axes.labelcolor": INK,
    "axes.labelsize": 12,
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.formatter.useoffset": False,
    "xtick.color": PALE,
    "xtick.labelcolor": INK,
    "ytick.color": PALE,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "legend.fontsize": SMALL,
    "legend.borderpad": 0,
    "legend.borderaxespad": 0,
    "legend.columnspacing": 1.8,
    "legend.handlelength": 2.4,
    "legend.handletextpad": 0.6,
    "lines.solid_capstyle": "butt",
}
"""Matplotlib's settings for all figures. They are in force while a figure is drawn, and never outside it."""

P = ParamSpec("P")


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Return a function that draws the figure of `draw` with the settings of `STYLE`, and lays it out."""

    @functools.wraps(draw)
    def draw_styled(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with matplotlib.rc_context(STYLE):
            figure = draw(*args, **kwargs)
            if isinstance(figure, ShownFigure):
                figure.lay_out()
            return figure

    return draw_styled


def colours(count: int) -> list[str]:
    """Return a colour for each of `count` things; if they are more than the named colours, along a dark-to-light scale."""
    if count <= len(COLOURS):
        return list(COLOURS[:count])
    from matplotlib import colormaps  # noqa: PLC0415, loads slowly and is seldom used
    from matplotlib.colors import to_hex  # noqa: PLC0415

    return [to_hex(colormaps["viridis"](0.8 * i / (count - 1))) for i in range(count)]


def ink_on(colour: Any) -> str:
    """Return the colour of letters that stands out more from a colour (red, green, blue from 0 to 1): white or dark.

    By the relative luminance of the Web Content Accessibility Guidelines 2.2: the contrast is never below 3.9.
    """
    channel = np.asarray(colour, np.float64)[:3]
    linear = np.where(channel <= 0.04045, channel / 12.92, ((channel + 0.055) / 1.055) ** 2.4)
    # At a luminance of 0.213 the contrasts with white, 1.05 / (0.213 + 0.05), and with dark ink, of luminance 0.016, are equal.
    return "#FFFFFF" if linear @ [0.2126, 0.7152, 0.0722] < 0.213 else INK


class ShownFigure(Figure):
    """A figure that a notebook shows, by its `_repr_png_`.

    Matplotlib's own figures are shown only if pyplot is imported. It then shows this one too, but only once, because IPython
    asks for this method only if nothing else draws the type.

    What depends on the size of a panel is drawn by functions that run when the figure is laid out: `when_laid_out`.
    """

    def __init__(self, *args: Any, **kwargs: Any):
        """Take the arguments of `Figure`."""
        super().__init__(*args, **kwargs)
        # Its renderer remembers the sizes of texts. With Matplotlib's base canvas each size is asked of a new renderer.
        FigureCanvasAgg(self)
        self._later: list[Callable[[], None]] = []

    def when_laid_out(self, function: Callable[[], None]) -> None:
        """Call a function as soon as all panels have their places, in the order in which the functions are given."""
        self._later.append(function)

    def lay_out(self) -> None:
        """Give all panels their places, once: a figure of many panels takes as long to lay out as to draw."""
        engine = self.get_layout_engine()
        if engine is not None:
            engine.execute(self)
            self.set_layout_engine("none")
        while self._later:
            self._later.pop(0)()

    def get_layout_engine(self) -> LayoutEngine | None:
        """Return the engine that is still to give the panels their places; None for a figure that has been laid out.

        Matplotlib's placeholder for an engine that was taken away does nothing, but has each file drawn twice.
        """
        engine = super().get_layout_engine()
        return None if isinstance(engine, PlaceHolderLayoutEngine) else engine

    def _repr_png_(self) -> bytes:
        """Return the picture, at the resolution of a screen."""
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=SCREEN_DPI)
        return buffer.getvalue()


SCREEN_DPI = 80
"""Dots per inch of a figure in a notebook: a slide is 960 of them wide."""


def slide(title: str, subtitle: str, height: float = 0.0) -> ShownFigure:
    """Return an empty figure of a slide's shape, or a higher one, with a title and a line below it.

    Args:
      title: the finding, in words.
      subtitle: what was run.
      height: least height of the figure, inches.
    """
    figure = ShownFigure(figsize=(SLIDE[0], max(height, SLIDE[1])))
    for text, size, weight, below in ((title, LARGE, "bold", 0.44), (subtitle, MEDIUM, "normal", 0.86)):
        written = figure.text(0.035, 1 - below / figure.get_figheight(), text, fontsize=size, fontweight=weight, va="center")
        fit(written, 0.93 * SLIDE[0])
    return figure


def fit(text: Text, width: float, shorter: str = "") -> None:
    """Make a text no wider than `width` inches: smaller, down to 11 points, then in other words, and then cut off.

    Args:
      text: as drawn.
      width: inches.
      shorter: the other words, if there are any.
    """
    figure = text.get_figure(root=True)
    assert figure is not None
    widest = width * figure.dpi
    size = float(text.get_fontsize())
    while text.get_window_extent().width > widest and size > SMALL:
        size = max(SMALL, size - 0.5)
        text.set_fontsize(size)
    words = text.get_text()
    if shorter and text.get_window_extent().width > widest:
        words = shorter
        text.set_text(words)
    while text.get_window_extent().width > widest and words:
        words = words[:-1]
        text.set_text(f"{words.rstrip()}...")


def spread_apart(
    wanted: ArrayLike, distance: float, lowest: float = -math.inf, highest: float = math.inf
) -> Float[np.ndarray, " L"]:
    """Return the places nearest to the wanted ones (least squares) that keep their order and are at least `distance` apart.

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


DPI = 160

COMPRESSION = 1
"""zlib's level for PNG: a sixth more bytes than its default, and a third of the time less for a whole figure."""


_DATES = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
"""Metadata that leave the date out."""

FILE_KINDS = ("png", *_DATES)
"""The kinds of files that a figure can be written to."""


def figure_file(figure: Figure, kind: str) -> bytes:
    """Return the content of a file with the figure; the same figure gives the same bytes.

    Args:
      figure: a figure.
      kind: "png" (160 dots per inch), "svg" (letters as shapes, so that it looks the same everywhere) or "pdf" (letters of
        TrueType fonts, which publishers ask for).
    """
    buffer = io.BytesIO()
    # The settings hold inside the block alone: SVG has no other way to be told its seed for element names.
    with matplotlib.rc_context({"svg.hashsalt": "jaxsgd", "svg.fonttype": "path", "pdf.fonttype": 42}):
        if kind == "png":
            figure.savefig(buffer, format=kind, dpi=DPI, pil_kwargs={"compress_level": COMPRESSION})
        else:
            figure.savefig(buffer, format=kind, dpi=DPI, metadata=_DATES[kind])
    return buffer.getvalue()
