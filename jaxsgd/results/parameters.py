"""The trained parameters, and the optimizers' states, that a result keeps."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxsgd.error import InputError, counted, shown
from jaxsgd.results.axes import axis_dim, cell_dims, is_several, listed, selected
from jaxsgd.results.chunk_form import ChunkForm, ChunkKind, stored_form
from jaxsgd.results.lazy_xarray import xr
from jaxsgd.results.load import load, stored_chunks, stored_result
from jaxsgd.results.store import Folder
from jaxsgd.study.cells import Cells, cells
from jaxsgd.study.dimensions import setting_text
from jaxsgd.study.kept import Leaves, parameter_leaves, state_leaves, state_shapes
from jaxsgd.study.study import Study
from jaxsgd.study.subject import Subjects


class KeptCells(NamedTuple):
    """The cells of a result that kept parameters, by their labels; nothing of the parameters is read yet.

    Attributes:
      place: the folder.
      study: of the result.
      subjects: its problems.
      own: the cells of the study.
      form: of the chunks.
      labels: the dataset of the result, with the number of each cell as `cell`.
    """

    place: Folder
    study: Study
    subjects: Subjects
    own: Cells
    form: ChunkForm
    labels: xr.Dataset

    @property
    def epochs(self) -> list[int | None]:
        """The numbers of epochs done after which parameters were kept; None for the end of a run in steps or samples."""
        return [self.study.epochs] if self.form.kept.epochs is None else list(self.form.kept.epochs)

    def epoch_index(self, epoch: Any) -> int:
        """Return the index in `epochs` of a number of epochs done.

        Raises:
          InputError: if no parameters were kept then, with the nearest number.
        """
        if epoch in self.epochs and type(epoch) is not bool and epoch is not None:
            return self.epochs.index(epoch)
        kept = [number for number in self.epochs if number is not None]
        if not kept:
            raise InputError(
                f"{self.place.path}: kept only the end of each run, which is not the end of an epoch; leave epoch out"
            )
        if isinstance(epoch, bool) or not isinstance(epoch, int | float | np.number):
            raise InputError(
                f"{self.place.path}: epoch must be a number of epochs done, got {shown(epoch)}; the result kept {_epochs(kept)}"
            )
        near = min(kept, key=lambda number: abs(number - float(epoch)))
        done = f"{epoch:g} {'epoch' if epoch == 1 else 'epochs'}"
        raise InputError(
            f"{self.place.path}: kept nothing after {done}: the nearest is {near} (the result kept {_epochs(kept)})"
        )

    def kind_of(self, wanted: np.ndarray) -> ChunkKind:
        """Return the kind of a chunk with some cells, whose parameters must have the same shapes.

        Args:
          wanted: [n], numbers of cells; for states their optimizer is the same.

        Raises:
          InputError: if they have not; the message says which axis to select from.
        """
        first, *others = map(int, np.unique(self.form.kept.of_cell[wanted]))
        for other in others:
            if self._params(other) != self._params(first):
                settings = [self.subjects.args[number] for number in (first, other)]
                name = next(name for name in settings[0] if settings[0][name] != settings[1][name])
                raise InputError(
                    f"{self.place.path}: the parameters have other shapes with {setting_text(settings[1])} than with "
                    f"{setting_text(settings[0])}; select one value: {name}={settings[0][name]!r}"
                )
        return ChunkKind(first, str(self.own.values["optimizer"][wanted[0]]))

    def _params(self, problem: int) -> tuple[Leaves, Any]:
        init = self.subjects.distinct[problem].problem.init
        return self.form.kept.problems[problem].params, jax.tree.structure(jax.eval_shape(init, jax.random.key(0)))

    def params_of(self, wanted: np.ndarray) -> Leaves:
        """Return the leaves of the parameters that were kept of some cells; as `kind_of`."""
        return self.form.kept.problems[self.kind_of(wanted).problem].params

    def structure_of(self, wanted: np.ndarray) -> Any:
        """Return the structure of the parameters of some cells; as `kind_of`."""
        return self._params(self.kind_of(wanted).problem)[1]

    def arrays(self, wanted: np.ndarray, group: str, at: list[int]) -> list[np.ndarray]:
        """Return the leaves of some cells, [n, K, ...] each, in the order of the pytree.

        Args:
          wanted: [n], different numbers of cells; for states their optimizer is the same.
          group: "params" or "state".
          at: K indices in `epochs`.

        Raises:
          InputError: if a cell is missing, or they have parameters of different shapes.
        """
        leaves = self.form.leaves(self.kind_of(wanted))
        leaves = {name: leaf for name, leaf in leaves.items() if name.startswith(f"{group}/")}
        position = np.full(self.own.num_cells, -1)
        position[wanted] = np.arange(len(wanted))
        arrays = {name: np.empty((len(wanted), len(at), *leaf.shape), leaf.stored) for name, leaf in leaves.items()}
        missing = np.ones(len(wanted), bool)
        for chunk in stored_chunks(self.place, self.study, self.own, self.form):
            if chunk.fault:
                continue
            rows = position[chunk.arrays["cell"]]
            here = rows >= 0
            missing[rows[here]] = False
            for name, array in arrays.items() if here.any() else ():
                stored = chunk.arrays[name][here]
                array[rows[here]] = stored[:, None] if self.form.kept.epochs is None else stored[:, at]
        if missing.any():
            first = self.own.name(int(wanted[missing.argmax()]))
            count = counted(int(missing.sum()), "cell")
            raise InputError(f"{self.place.path}: {count} not run yet, the first: {first}; finish that study")
        return [array.astype(leaves[name].dtype) for name, array in arrays.items()]

    def check_states(self) -> None:
        """Check that the result kept the states of the optimizers.

        Raises:
          InputError: if it did not, with what to write.
        """
        if not self.study.keep_state:
            how = "run the study with keep_state=True into another folder"
            raise InputError(f"{self.place.path}: this result kept no states of optimizers; {how}")

    def state_leaves(self, wanted: np.ndarray) -> Leaves:
        """Return the leaves of the states that were kept of some cells with the same optimizer.

        Raises:
          InputError: if no states were kept; and as `kind_of`.
        """
        self.check_states()
        kind = self.kind_of(wanted)
        return self.form.kept.problems[kind.problem].states[kind.optimizer]


def _epochs(kept: list[int]) -> str:
    return listed(np.asarray(kept))


def kept_cells(folder: str | Path) -> KeptCells:
    """Return the cells of a result that kept parameters. The code of the study's problem is run.

    Raises:
      InputError: if the result kept no parameters, or the problem has other parameters than those that were kept.
    """
    place = Folder.at(folder)
    ds = load(folder, variables=["loss_epoch"])
    fields, manifest = stored_result(place)
    if fields.keep is None:
        raise InputError(f"{place.path}: this result kept no parameters; run the study with keep='final' into another folder")
    study = Study(**fields.resolved())
    subjects, own = study.subjects(), cells(study, manifest["num_samples"])
    form = stored_form(study, own, manifest)
    for subject, leaves in zip(subjects.distinct, form.kept.problems, strict=True):
        if leaves.params != parameter_leaves(subject.problem, study.dtype):
            raise InputError(f"{place.path}: the problem {study.problem!r} has other parameters now than those that were kept")
    dims = cell_dims(ds)
    sizes = [ds.sizes[dim] for dim in dims]
    labels = ds.assign(cell=(dims, np.arange(math.prod(sizes)).reshape(sizes)))
    return KeptCells(place, study, subjects, own, form, labels)


class Selection(NamedTuple):
    """The cells and epochs that a reader selects of a result.

    Attributes:
      numbers: of the cells, with a dimension for each axis without a single selected value.
      at: indices of the epochs that were kept.
      has_epoch_axis: True if their axis stays.
    """

    numbers: xr.DataArray
    at: list[int]
    has_epoch_axis: bool

    @property
    def cells(self) -> np.ndarray:
        """The numbers of the cells, flat."""
        return self.numbers.values.reshape(-1)

    @property
    def lead(self) -> tuple[int, ...]:
        """The shape of the axes in front of each leaf."""
        return (*self.numbers.shape, *([len(self.at)] if self.has_epoch_axis else []))


def selection(kept: KeptCells, epoch: Any, select: dict[str, Any]) -> Selection:
    """Return the selected cells and epochs.

    Raises:
      InputError: if an axis, a value or an epoch does not exist, with the nearest one.
    """
    chosen = selected(kept.labels, select)["cell"]
    single = {axis_dim(kept.labels, name): 0 for name, value in select.items() if not is_several(value)}
    if epoch is None:
        at, has_axis = list(range(len(kept.epochs))), len(kept.epochs) > 1
    else:
        at, has_axis = [kept.epoch_index(value) for value in (epoch if is_several(epoch) else [epoch])], is_several(epoch)
    return Selection(chosen.isel(single), at, has_axis)


def read_leaves(kept: KeptCells, chosen: Selection, group: str) -> list[np.ndarray]:
    """Return the selected parameters ("params") or states ("state") as leaves, [*lead, ...] each.

    Raises:
      InputError: if a selected cell is missing.
    """
    arrays = kept.arrays(chosen.cells, group, chosen.at)
    return [array.reshape((*chosen.lead, *array.shape[2:])) for array in arrays]


def parameters(folder: str | Path, *, epoch: Any = None, **select: Any) -> Any:
    """Return the parameters that a result kept of its cells.

    The code of the study's problem is run, because it gives the pytree its structure; `load` runs none.

    Args:
      folder: a result of a study with `keep`.
      epoch: the number of epochs done, one of those in the study's `keep`, or a list of them; None for all.
      select: by axis, the value to keep, or a list of values; as `seed=3, learning_rate=[0.1, 0.3]`. Only the selected cells
        need memory.

    Returns:
      The problem's pytree; each leaf is a NumPy array with the dimensions of the result's cells in front, in the order of the
      dataset that `load` gives, and then one of the epochs, if several were kept or `epoch` is a list. The dimension of an axis
      with a single selected value is left out: with one value for each axis the leaves are those of one run. Parameters of a
      run that diverged may not be finite.

    Raises:
      InputError: if the result kept no parameters, an axis, a value or an epoch does not exist, a selected cell is missing, the
        selected cells have parameters of different shapes, or the problem has other parameters than those that were kept.
    """
    kept = kept_cells(folder)
    chosen = selection(kept, epoch, select)
    structure = kept.structure_of(chosen.cells)
    return jax.tree.unflatten(structure, read_leaves(kept, chosen, "params"))


def state(folder: str | Path, *, epoch: Any = None, **select: Any) -> Any:
    """Return the states of the optimizers that a result kept of its cells.

    Args:
      folder: a result of a study with `keep` and `keep_state=True`.
      epoch, select: as in `parameters`. The selected cells must have one optimizer.

    Returns:
      The optimizer's pytree, as optax has it; its leaves have the axes that those of `parameters` have.

    Raises:
      InputError: as `parameters`; and if the result kept no states, or the selected cells have several optimizers.
    """
    kept = kept_cells(folder)
    kept.check_states()
    chosen = selection(kept, epoch, select)
    optimizers = np.unique(kept.own.values["optimizer"][chosen.cells])
    if len(optimizers) > 1:
        raise InputError(
            f"{kept.place.path}: has states of {listed(optimizers)}, each with its own structure; pick one: "
            f"optimizer={str(optimizers[0])!r}"
        )
    optimizer = str(optimizers[0])
    subject = kept.subjects.distinct[kept.kind_of(chosen.cells).problem]
    if kept.state_leaves(chosen.cells) != state_leaves(kept.study, subject, kept.own, optimizer):
        raise InputError(f"{kept.place.path}: the optimizer {optimizer!r} has another state now than the one that was kept")
    structure = jax.tree.structure(state_shapes(kept.study, subject, kept.own, optimizer))
    return jax.tree.unflatten(structure, read_leaves(kept, chosen, "state"))
