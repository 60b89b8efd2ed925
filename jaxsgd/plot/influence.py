"""The effect of each step on each batch, as a picture of two matrices."""

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from jaxsgd.plot.style import INK, SMALL, SMALLEST, colour_bar, dress, slide, styled

MOST_WRITTEN = 10
"""Batches up to which each entry's number is written into it."""

FALLS_AND_RISES = "RdBu"
"""Red where a loss rises or gradients oppose each other, blue where it falls or they agree."""


@styled
def influence_figure(effect: Float[np.ndarray, "m m"], cosine: Float[np.ndarray, "m m"], title: str, subtitle: str) -> Figure:
    """The effect matrix of an epoch beside the cosines between its batches' gradients.

    Args:
      effect: [m, m], change of the loss of batch j (row) by step t (column); loss units.
      cosine: [m, m].
      title: the finding, in words.
      subtitle: what was run.
    """
    figure = slide(title, subtitle)
    fall = -np.asarray(effect, np.float64)
    power = _power(fall)
    left = _matrix(figure, 0.07, fall / 10.0**power, "Fall of each batch's loss by each step")
    right = _matrix(figure, 0.54, np.asarray(cosine, np.float64), "Cosine between two batches' gradients")
    left.set_xlabel("step: the batch whose turn it is")
    left.set_ylabel("batch whose loss changes")
    right.set_xlabel("batch")
    unit = "loss" if power == 0 else f"10$^{{{power}}}$ loss"
    for axes, label in ((left, f"fall ({unit})"), (right, "cosine")):
        place = axes.get_position()
        bar = colour_bar(figure, axes.images[0], (place.x1 + 0.01, place.y0, 0.0125, place.height))
        bar.set_label(label, fontsize=SMALL)
        dress(bar.ax, SMALL)
    return figure


def _power(values: np.ndarray) -> int:
    """The power of ten to draw values in, so that the largest has one digit before its point."""
    largest = np.nanmax(np.abs(values), initial=0.0)
    return int(np.floor(np.log10(largest))) if np.isfinite(largest) and largest > 0 else 0


def _matrix(figure: Figure, left: float, values: np.ndarray, heading: str) -> Axes:
    width, height = figure.get_size_inches()
    side = 4.3
    axes = figure.add_axes((left, 0.115, side / width, side / height))
    largest = float(np.nanmax(np.abs(values), initial=0.0)) or 1.0
    axes.imshow(values, cmap=FALLS_AND_RISES, norm=Normalize(-largest, largest), interpolation="nearest")
    axes.set_title(heading, loc="left", pad=10)
    m = len(values)
    places = np.arange(m) if m <= MOST_WRITTEN else np.unique(np.linspace(0, m - 1, 10).astype(int))
    axes.set_xticks(places, [str(place + 1) for place in places])
    axes.set_yticks(places, [str(place + 1) for place in places])
    dress(axes, SMALL if m <= 10 else SMALLEST, length=0)
    axes.spines[:].set_visible(False)
    if m <= MOST_WRITTEN:
        for (row, column), value in np.ndenumerate(values):
            if np.isfinite(value):
                shade = "white" if abs(value) > 0.62 * largest else INK
                weight = "bold" if row == column else "normal"
                text = f"{value:.2f}".replace("-", "\N{MINUS SIGN}")
                axes.text(column, row, text, ha="center", va="center", fontsize=SMALLEST, color=shade, fontweight=weight)
    return axes
