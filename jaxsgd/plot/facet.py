"""The axes of a result that a figure has no other place for, as panels side by side."""

import math
from typing import NamedTuple

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxsgd.error import InputError
from jaxsgd.plot.axis import Axis, open_axes
from jaxsgd.plot.layout import EDGE, TOP, check_room, fit_heading, head_columns, head_rows, panels, row_heading_width
from jaxsgd.results.axes import listed


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
        """What panels differ in, in a sentence."""
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
    found = Facets(tuple(sorted(left, key=len)))
    check_room(*found.shape)
    return found


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
    made = panels(figure, rows, columns, margins=(left, right, TOP + heading, below), gaps=(gaps[0], gap))
    if two:
        head_rows(made, made_of.axes[0])
        head_columns(made, made_of.axes[1])
    flat = [axes for row in made for axes in row]
    for axes in flat[made_of.num_panels :]:
        axes.remove()
    shown = flat[: made_of.num_panels]
    if len(made_of.axes) == 1:
        for place, axes in enumerate(shown):
            fit_heading(axes, made_of.axes[0].heading(place))
    return shown
