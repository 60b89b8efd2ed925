"""Panels for the values of one or two axes of a result, and the numbers that each panel shows."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxsgd.error import InputError
from jaxsgd.plot.axis import Axis, axis_colours, open_axes, table
from jaxsgd.plot.layout import head, head_row, panels
from jaxsgd.plot.style import colours
from jaxsgd.results.axes import listed, select_example
from jaxsgd.results.metric import carried, record_axis

MOST_ROWS, MOST_COLUMNS = 40, 10
"""Panels that a page holds."""


def check_room(rows: int, columns: int) -> None:
    """Check that so many panels can be drawn.

    Raises:
      InputError: if there are too many.
    """
    if rows > MOST_ROWS or columns > MOST_COLUMNS:
        raise InputError(
            f"the figure would have {rows} rows and {columns} columns of panels, and has room for {MOST_ROWS} and "
            f"{MOST_COLUMNS}: select fewer values"
        )


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
    """Return the facets for the axes that are neither used, nor of seeds, nor down to one value.

    Raises:
      InputError: for more than two axes, with the values of each, or more values than there is room for.
    """
    left = open_axes(ds, used)
    if len(left) > 2:
        clauses = [f"{axis.name} ({listed(axis.values)})" for axis in left]
        example = select_example({left[-1].name: left[-1].values})
        raise InputError(
            f"{what} has panels for at most two other axes, and there are {len(left)} with several values: "
            f"{', '.join(clauses)}: select one value of an axis, as {example}"
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
      InputError: with each axis and its values.
    """
    if len(axes) > 1 or any(len(axis) > most for axis in axes):
        clauses = " and ".join(f"{axis.name} has {len(axis)} ({listed(axis.values)})" for axis in axes)
        example = select_example({axis.name: axis.values for axis in axes})
        raise InputError(f"{what} for {most} values of one other axis, but {clauses}: select some, as {example}")


MOST_LINES = 7
"""Values of another axis that colours tell apart."""


def line_axis(others: Sequence[Axis], figure: str) -> Axis | None:
    """Return the one other axis with several values, whose values become lines; None without any.

    Args:
      others: the other axes with several values.
      figure: in words, for the message.

    Raises:
      InputError: for several such axes, or more values than colours tell apart.
    """
    check_one_other(others, MOST_LINES, f"{figure} has lines")
    return others[0] if others else None


def line_looks(axis: Axis | None) -> tuple[list[str], list[str]]:
    """Return the names and the colours of lines, one for each value of an axis; a single line without one has no name."""
    if axis is None:
        return [""], colours(1)
    return [axis.phrase(place) for place in range(len(axis))], axis_colours(axis)


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


def facet_panels(figure: Figure, panels_by: Facets, notes: Sequence[str] | None = None) -> list[Axes]:
    """Return a panel for each value, or pair of values, with its heading; P axes, which share both of their axes.

    Args:
      figure: to put them on.
      panels_by: the facets: one axis is wrapped into rows, two are rows and columns.
      notes: P texts, one above each panel; none by default.
    """
    grid = panels(figure, *panels_by.shape, apart=(0.1, 0.06), sharex=True, sharey=True)
    shown = grid.ravel()[: panels_by.num_panels].tolist()
    # Where one panel has a note, all headings leave room for one.
    texts = [note or " " for note in notes] if notes and any(notes) else [""] * len(shown)
    if len(panels_by.axes) == 2:
        head_grid(grid, *panels_by.axes, texts)
    else:
        for place, (axes, note) in enumerate(zip(shown, texts, strict=True)):
            names = (panels_by.axes[0].heading(place), panels_by.axes[0].phrase(place)) if panels_by.axes else ("", "")
            head(axes, names[0], note, names[1])
    for axes in grid.ravel()[panels_by.num_panels :]:
        axes.remove()
    for axes in shown[-grid.shape[1] :]:
        axes.tick_params(labelbottom=True)
    return shown


def head_grid(grid: np.ndarray, rows: Axis, columns: Axis, notes: Sequence[str]) -> None:
    """Write the value of each row at its left, that of each column above it, and a note above each panel.

    Args:
      grid: the panels, [rows, columns].
      rows, columns: the axes.
      notes: a text for each panel, row by row; may be empty.
    """
    for place, axes in enumerate(grid[:, 0]):
        head_row(axes, rows, place)
    for (place, axes), note in zip(enumerate(grid.ravel()), notes, strict=True):
        names = (columns.heading(place), columns.phrase(place)) if place < len(columns) else ("", "")
        head(axes, names[0], note, names[1])
    grid[0, 0].figure.align_ylabels(grid[:, 0])
