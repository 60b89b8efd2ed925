"""How every figure looks: sizes for a slide, colours that all readers can tell apart."""

import io

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

# Okabe and Ito 2008, "Color universal design", darkest first; their yellow is left out, for it is too light for lines on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
INK = "#222222"
PALE = "#9A9A9A"
SMALLEST, SMALL, MEDIUM, LARGE = 11.0, 12.0, 14.0, 19.0
LOSS_LABEL = "loss (mean squared error per output)"


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
    title_text = figure.text(0.035, 1 - 0.065 * share, title, fontsize=LARGE, fontweight="bold", color=INK, va="center")
    subtitle_text = figure.text(0.035, 1 - 0.127 * share, subtitle, fontsize=MEDIUM, color=INK, va="center")
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
        axes.set_title(heading, fontsize=MEDIUM, color=INK, loc="left", pad=10)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(PALE)
    axes.tick_params(labelsize=SMALL, color=PALE, labelcolor=INK)
    axes.set_xlabel("epoch", fontsize=MEDIUM, color=INK)
    axes.ticklabel_format(axis="y", useOffset=False)
    return axes
