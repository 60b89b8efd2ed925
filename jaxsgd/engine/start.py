"""Start: the kept parameters of another result, from which the runs of a study begin."""

from typing import Any, NamedTuple

import numpy as np

from jaxsgd.error import InputError, counted
from jaxsgd.results.axes import axis_names, coords_along, listed, places, selected
from jaxsgd.results.parameters import kept_cells
from jaxsgd.study.cells import Cells
from jaxsgd.study.dimensions import SEED_AXES, setting_text
from jaxsgd.study.study import Study
from jaxsgd.study.subject import Subjects, described_leaves, kept_parameters
from jaxsgd.summary import short_repr


class Start(NamedTuple):
    """The parameters from which the cells of a study begin.

    Attributes:
      arrays: by problem of the study, the leaves of the parameters of S cells of the parent, [S, ...] each, in the order of
        the pytree.
      position: [R], the place of each cell's own among those of its problem.
      identity: of the parent's study, without the values of its axes.
    """

    arrays: list[list[np.ndarray]]
    position: np.ndarray
    identity: str

    __repr__ = short_repr

    def leaves(self, problem: int, own: np.ndarray) -> list[np.ndarray]:
        """Return the leaves of the parameters from which some cells of a problem begin, [n, ...] each."""
        return [array[self.position[own]] for array in self.arrays[problem]]


def start_of(study: Study, subjects: Subjects, own: Cells) -> Start | None:
    """Return the parameters from which the cells of a study begin; None for a study that begins at the problem's own.

    A cell begins at the parent's cell with the same values on the axes that both have. Axes on which the parent has one value,
    or that `start_select` picks, need not be the same.

    Raises:
      InputError: if the parent kept no parameters or has other ones than the problem, a cell has no partner or several, or a
        partner is missing or diverged.
    """
    if study.start is None:
        return None
    try:
        kept = kept_cells(study.start)
        labels = selected(kept.labels, study.start_select)
    except InputError as error:
        raise InputError(f"start: {error}") from None
    index: dict[str, Any] = {}
    for dim in labels["cell"].dims:
        if labels.sizes[dim] > 1:
            index[str(dim)] = _positions(study, labels, str(dim), own)
    numbers = labels["cell"].values
    at = tuple(index.get(str(dim), np.zeros(own.num_cells, int)) for dim in labels["cell"].dims)
    chosen = np.broadcast_to(numbers[at], own.num_cells)
    diverged = np.broadcast_to(labels["diverged"].transpose(*labels["cell"].dims).values[at], own.num_cells)
    if diverged.any():
        cell = int(diverged.argmax())
        raise InputError(f"start: the cell of {study.start} from which {own.name(cell)} would begin has diverged")
    position, arrays = np.empty(own.num_cells, int), []
    for number, subject in enumerate(subjects.distinct):
        cells = subjects.of_cell == number
        parents, position[cells] = np.unique(chosen[cells], return_inverse=True)
        try:
            leaves = kept.leaves[kept.problem_of(parents)]
            if described_leaves(leaves) != described_leaves(kept_parameters(subject.problem, study.dtype)):
                setting = f" with {setting_text(subjects.args[number])}" if subjects.args[number] else ""
                raise InputError(f"{study.start} has parameters of other shapes or types than {study.problem!r}{setting}")
            arrays.append(list(kept.arrays(parents).values()))
        except InputError as error:
            raise InputError(f"start: {error}") from None
    return Start(arrays, position, kept.study.fixed_identity)


def _positions(study: Study, labels: Any, dim: str, own: Cells) -> np.ndarray:
    """Return the position of each cell's partner along a dimension of the parent, [R]."""
    matched = {name: _own_axis(name, own) for name in coords_along(labels, dim)}
    matched = {name: axis for name, axis in matched.items() if axis}
    if not matched:
        names = [name for name in axis_names(labels) if name in coords_along(labels, dim)] or [dim]
        values = labels[names[0]].values if names[0] in labels.coords else np.arange(labels.sizes[dim])
        raise InputError(
            f"start: {study.start} has several values of {names[0]} ({listed(values)}) and this study has no such axis; pick "
            f"one: start_select={{{names[0]!r}: {values[0].item()!r}}}"
        )
    rows = list(zip(*(own.values[axis].tolist() for axis in matched.values()), strict=True))
    partner = {}
    for row in dict.fromkeys(rows):
        fits = np.ones(labels.sizes[dim], bool)
        for name, value in zip(matched, row, strict=True):
            try:
                fits &= places(name, labels[name].values, value)
            except InputError as error:
                raise InputError(f"start: {study.start} has {error}; start_select picks one for all cells") from None
        if fits.sum() != 1:
            cell = ", ".join(f"{name}={value}" for name, value in zip(matched, row, strict=True))
            count = counted(int(fits.sum()), "value")
            raise InputError(f"start: {study.start} has {count} along {dim} with {cell}; pick one by start_select")
        partner[row] = int(fits.argmax())
    return np.asarray([partner[row] for row in rows])


def _own_axis(name: str, own: Cells) -> str | None:
    """Return the axis of a study that must have the values of the parent's axis of a name; None if it has none.

    Seeds are those of the data, if they have different names: a run goes on with its own data.
    """
    if name in own.values:
        return name
    same = {"seed": "data_seed", "data_seed": "seed"}.get(name, "")
    return same if same in own.values and name in SEED_AXES else None
