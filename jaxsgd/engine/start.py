"""Start: the kept parameters of another result, from which the runs of a study begin."""

from typing import Any, NamedTuple

import jax
import numpy as np

from jaxsgd.engine.draw_program import Drawn
from jaxsgd.engine.program import Program
from jaxsgd.error import InputError, counted
from jaxsgd.results.axes import axis_names, coords_along, listed, places, selected
from jaxsgd.results.parameters import KeptCells, kept_cells
from jaxsgd.study.cells import Cells
from jaxsgd.study.dimensions import SEED_AXES, setting_text
from jaxsgd.study.kept import parameter_leaves, state_leaves, state_shapes
from jaxsgd.study.study import Study
from jaxsgd.study.subject import Subject, Subjects
from jaxsgd.summary import short_repr


class StartStates(NamedTuple):
    """The optimizer's states from which the cells with an optimizer begin.

    Attributes:
      arrays: the leaves of the states of S cells of the parent, [S, ...] each, in the order of the pytree.
      position: [R], the place of each cell's own among them; 0 for cells with another optimizer.
      structure: of the pytree.
    """

    arrays: list[np.ndarray]
    position: np.ndarray
    structure: Any

    __repr__ = short_repr


class Start(NamedTuple):
    """The parameters, and perhaps the optimizers' states, from which the cells of a study begin.

    Attributes:
      arrays: by problem of the study, the leaves of the parameters of S cells of the parent, [S, ...] each, in the order of
        the pytree.
      position: [R], the place of each cell's own among those of its problem.
      states: by problem and optimizer, the states; empty if the optimizers begin anew.
      identity: of the parent's study, without the values of its axes.
    """

    arrays: list[list[np.ndarray]]
    position: np.ndarray
    states: dict[tuple[int, str], StartStates]
    identity: str

    __repr__ = short_repr

    def begun(self, drawn: Drawn, own: np.ndarray, program: Program) -> Drawn:
        """Return the start of some cells with the parent's parameters, and its states, in place of the problem's own.

        Args:
          drawn: the start that the problem gives.
          own: numbers of the cells.
          program: their program.
        """
        leaves = [array[self.position[own]] for array in self.arrays[program.subject]]
        drawn = drawn._replace(params=jax.tree.unflatten(jax.tree.structure(drawn.params), leaves))
        if not self.states:
            return drawn
        states = self.states[program.subject, program.optimizer]
        leaves = [array[states.position[own]] for array in states.arrays]
        return drawn._replace(opt_state=jax.tree.unflatten(states.structure, leaves))


def start_of(study: Study, subjects: Subjects, own: Cells) -> Start | None:
    """Return the parameters from which the cells of a study begin; None for a study that begins at the problem's own.

    A cell begins at the parent's cell with the same values on the axes that both have. Axes on which the parent has one value,
    or that `start_select` picks, need not be the same.

    Raises:
      InputError: if the parent kept no parameters, not those of `start_epoch` or no states, or has other ones than the study;
        a cell has no partner or several, or with `start_state` a partner with another optimizer; or a partner is missing or
        diverged.
    """
    if study.start is None:
        return None
    try:
        parent = kept_cells(study.start)
        labels = selected(parent.labels, study.start_select)
        at = len(parent.epochs) - 1 if study.start_epoch is None else parent.epoch_index(study.start_epoch)
    except InputError as error:
        raise InputError(f"start: {error}") from None
    index: dict[str, Any] = {}
    for dim in labels["cell"].dims:
        if labels.sizes[dim] > 1:
            index[str(dim)] = _positions(study, labels, str(dim), own)
    place = tuple(index.get(str(dim), np.zeros(own.num_cells, int)) for dim in labels["cell"].dims)
    chosen = np.broadcast_to(labels["cell"].values[place], own.num_cells)
    arrays, states, position, finite = [], {}, np.zeros(own.num_cells, int), np.zeros(own.num_cells, bool)
    for number, subject in enumerate(subjects.distinct):
        cells = subjects.of_cell == number
        parents, places_of = np.unique(chosen[cells], return_inverse=True)
        position[cells] = places_of.reshape(-1)
        setting = f" with {setting_text(subjects.args[number])}" if subjects.args[number] else ""
        try:
            if parent.params_of(parents) != parameter_leaves(subject.problem, study.dtype):
                raise InputError(f"{study.start} has parameters of other shapes or types than {study.problem!r}{setting}")
            leaves = [leaf[:, 0] for leaf in parent.arrays(parents, "params", [at])]
            if study.start_state:
                states |= _states(study, subject, number, cells, own, parent, chosen, at)
        except InputError as error:
            raise InputError(f"start: {error}") from None
        arrays.append(leaves)
        of_parent = [np.isfinite(leaf.astype(np.float32)).reshape(len(leaf), -1).all(axis=1) for leaf in leaves]
        finite[cells] = np.all(of_parent, axis=0)[position[cells]]
    epoch = parent.epochs[at]
    first = np.broadcast_to(labels["diverged_epoch"].transpose(*labels["cell"].dims).values[place], own.num_cells)
    diverged = (first < (np.inf if epoch is None else epoch)) | ~finite
    if diverged.any():
        cell = int(diverged.argmax())
        raise InputError(
            f"start: the cell of {study.start} from which {own.name(cell)} would begin has diverged: "
            f"{parent.own.name(int(chosen[cell]))}"
        )
    return Start(arrays, position, states, parent.study.fixed_identity)


def _states(
    study: Study, subject: Subject, number: int, members: np.ndarray, own: Cells, parent: KeptCells, chosen: np.ndarray, at: int
) -> dict[tuple[int, str], StartStates]:
    """Return the states from which the cells of a problem begin, by problem and optimizer.

    Args:
      study, subject, own: of the cells.
      number: of the problem.
      members: [R], True for the cells of the problem.
      parent: the cells of the parent.
      chosen: [R], the number of each cell's partner.
      at: the index of the epoch in those that the parent kept.

    Raises:
      InputError: as `start_of`.
    """
    before, after = parent.own.values["optimizer"][chosen], own.values["optimizer"]
    for cell in np.flatnonzero(members & (before != after))[:1]:
        raise InputError(
            f"the state of an optimizer goes on only with the same optimizer, and {own.name(int(cell))} would begin at a cell "
            f"with {before[cell]}; leave start_state out, and the optimizer begins anew"
        )
    states = {}
    for optimizer in map(str, np.unique(after[members])):
        cells = members & (after == optimizer)
        parents, places_of = np.unique(chosen[cells], return_inverse=True)
        if parent.state_leaves(parents) != state_leaves(study, subject, own, optimizer):
            raise InputError(
                f"{study.start} has a state of {optimizer!r} with another structure than this study's {optimizer!r}, which has "
                "other arguments; leave start_state out, and the optimizer begins anew"
            )
        position = np.zeros(own.num_cells, int)
        position[cells] = places_of.reshape(-1)
        arrays = [leaf[:, 0] for leaf in parent.arrays(parents, "state", [at])]
        structure = jax.tree.structure(state_shapes(study, subject, own, optimizer))
        states[number, optimizer] = StartStates(arrays, position, structure)
    return states


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
