"""Labels written beside what they name."""

import math

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from jaxsgd.plot.style import SMALL


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


def write_beside(axes: Axes, heights: ArrayLike, texts: list[str], colours: list[str], line_height: float) -> None:
    """Writes each text to the right of the axes at its height, moved as little as keeps them apart.

    Args:
      axes: with its final y limits.
      heights: [L], in data units.
      texts: L texts.
      colours: L colours.
      line_height: room for one text, as a share of the axes' height.
    """
    low, high = axes.get_ylim()
    wanted = (np.asarray(heights, np.float64) - low) / (high - low)
    places = spread_apart(wanted, line_height, lowest=line_height / 2, highest=1 - line_height / 2)
    for place, text, colour in zip(places, texts, colours, strict=True):
        axes.text(1.025, place, text, color=colour, fontsize=SMALL, va="center", transform=axes.transAxes, linespacing=1.25)
