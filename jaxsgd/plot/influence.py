"""The effect of each step on each batch, as a picture of two matrices."""

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from jaxsgd.number import to_decimals
from jaxsgd.plot.layout import colour_bar, head, page, panels, write_in_cells
from jaxsgd.plot.style import slide, styled

MOST_WRITTEN = 10
"""Batches up to which each entry's number is written into it."""

FALLS_AND_RISES = "RdBu"
"""Red where a loss rises or gradients oppose each other, blue where it falls or they agree."""


@styled
def influence_figure(effect: Float[np.ndarray, "m m"], cosine: Float[np.ndarray, "m m"], title: str, subtitle: str) -> Figure:
    """Return a figure of the effect matrix of an epoch, beside the cosines between its batches' gradients.

    Args:
      effect: [m, m], change of the loss of batch j (row) by step t (column); loss units.
      cosine: [m, m].
      title: the finding, in words.
      subtitle: what was run.
    """
    figure = slide(title, subtitle)
    fall = -np.asarray(effect, np.float64)
    power = _power(fall)
    left, right = panels(figure, 1, 2, apart=(0.04, 0.04))[0]
    unit = "loss" if power == 0 else f"10$^{{{power}}}$ loss"
    _draw_matrix(left, fall / 10.0**power, "Fall of each batch's loss by each step", f"fall ({unit})")
    _draw_matrix(right, np.asarray(cosine, np.float64), "Cosine between two batches' gradients", "cosine")
    left.set_xlabel("step: the batch whose turn it is")
    left.set_ylabel("batch whose loss changes")
    right.set_xlabel("batch")
    return figure


def _power(values: np.ndarray) -> int:
    """Return the power of ten in which the largest value has one digit before its point."""
    largest = np.nanmax(np.abs(values), initial=0.0)
    return int(np.floor(np.log10(largest))) if np.isfinite(largest) and largest > 0 else 0


def _draw_matrix(axes: Axes, values: np.ndarray, heading: str, label: str) -> None:
    m, largest = len(values), float(np.nanmax(np.abs(values), initial=0.0)) or 1.0
    image = axes.imshow(values, cmap=FALLS_AND_RISES, norm=Normalize(-largest, largest), interpolation="nearest")
    head(axes, heading)
    bar = colour_bar(image, [axes], label)

    def as_high_as_the_matrix() -> None:
        own, beside = axes.get_position(), bar.ax.get_position()
        bar.ax.set_position((beside.x0, own.y0, beside.width, own.height))

    page(axes).when_laid_out(as_high_as_the_matrix)
    places = np.unique(np.linspace(0, m - 1, min(m, MOST_WRITTEN)).astype(int))
    axes.set_xticks(places, [str(place + 1) for place in places])
    axes.set_yticks(places, [str(place + 1) for place in places])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    if m <= MOST_WRITTEN:
        texts = {place: to_decimals(value, 2) for place, value in np.ndenumerate(values) if np.isfinite(value)}
        for (row, column), number in write_in_cells(image, texts).items():
            number.set_fontweight("bold" if row == column else "normal")
