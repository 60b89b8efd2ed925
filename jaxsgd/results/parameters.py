"""The trained parameters that a result keeps."""

import math
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import xarray as xr

from jaxsgd.error import InputError, counted
from jaxsgd.results.axes import axis_dim, cell_dims, is_several, selected
from jaxsgd.results.dataset import kept_arrays
from jaxsgd.results.load import ParamShapes, load, stored_chunks, stored_result
from jaxsgd.results.store import Folder
from jaxsgd.study.cells import cells
from jaxsgd.study.dimensions import setting_text
from jaxsgd.study.observed import stored_records
from jaxsgd.study.study import Study
from jaxsgd.study.subject import KeptLeaf, Subjects, described_leaves, kept_parameters


class KeptCells(NamedTuple):
    """The cells of a result that kept parameters, by their labels; nothing of the parameters is read yet.

    Attributes:
      place: the folder.
      study: of the result.
      manifest: of the result.
      leaves: by problem, the leaves of the parameters by the names of their arrays.
      structures: by problem, the structure of the pytree.
      problems: the problems of the cells.
      labels: the dataset of the result, with the number of each cell as `cell`.
    """

    place: Folder
    study: Study
    manifest: dict[str, Any]
    leaves: list[dict[str, KeptLeaf]]
    structures: list[Any]
    problems: Subjects
    labels: xr.Dataset

    def problem_of(self, wanted: np.ndarray) -> int:
        """Return the number of a problem that has the parameters of some cells: all must have the same leaves.

        Args:
          wanted: [n], numbers of cells.

        Raises:
          InputError: if they have not; the message says which axis to select from.
        """
        first, *others = map(int, np.unique(self.problems.of_cell[wanted]))
        for other in others:
            if self.structures[other] != self.structures[first] or self.leaves[other] != self.leaves[first]:
                settings = [self.problems.args[number] for number in (first, other)]
                name = next(name for name in settings[0] if settings[0][name] != settings[1][name])
                raise InputError(
                    f"{self.place.path}: the parameters have other shapes with {setting_text(settings[1])} than with "
                    f"{setting_text(settings[0])}; select one value: {name}={settings[0][name]!r}"
                )
        return first

    def arrays(self, wanted: np.ndarray) -> dict[str, np.ndarray]:
        """Return the parameters of cells, by the names of their arrays, [n, ...].

        Args:
          wanted: [n], different numbers of cells.

        Raises:
          InputError: if one of them is missing, or they have parameters of different shapes.
        """
        leaves = self.leaves[self.problem_of(wanted)]
        own = cells(self.study, self.manifest["num_samples"])
        position = np.full(own.num_cells, -1)
        position[wanted] = np.arange(len(wanted))
        arrays = {name: np.empty((len(wanted), *leaf.shape), leaf.stored) for name, leaf in leaves.items()}
        missing = np.ones(len(wanted), bool)
        shapes = kept_arrays(self.study, own, stored_records(self.manifest) or {})
        params = ParamShapes.of(self.leaves, self.problems.of_cell)
        for chunk in stored_chunks(self.place, self.study, own, shapes, params):
            if chunk.fault:
                continue
            at = position[chunk.arrays["cell"]]
            if (at < 0).all():
                continue
            missing[at[at >= 0]] = False
            for name, array in arrays.items():
                array[at[at >= 0]] = chunk.arrays[name][at >= 0]
        if missing.any():
            first = own.name(int(wanted[missing.argmax()]))
            count = counted(int(missing.sum()), "cell")
            raise InputError(f"{self.place.path}: {count} not run yet, the first: {first}; finish that study")
        return {name: array.astype(leaves[name].dtype) for name, array in arrays.items()}


def kept_cells(folder: str | Path) -> KeptCells:
    """Return the cells of a result that kept parameters. The code of the study's problem is run.

    Raises:
      InputError: if the result kept no parameters, or the problem has other parameters than those that were kept.
    """
    place = Folder(Path(folder))
    ds = load(folder, variables=["loss_epoch"])
    fields, manifest = stored_result(place)
    if fields.keep is None:
        raise InputError(f"{place.path}: this result kept no parameters; run the study with keep='final' into another folder")
    study = Study(**fields.resolved())
    problems = study.subjects()
    leaves = [kept_parameters(subject.problem, study.dtype) for subject in problems.distinct]
    for args, own in zip(problems.args, leaves, strict=True):
        stored = manifest["problems"].get(setting_text(args), {}) if args else manifest
        if described_leaves(own) != stored.get("params"):
            raise InputError(f"{place.path}: the problem {study.problem!r} has other parameters now than those that were kept")
    structures = [jax.tree.structure(jax.eval_shape(own.problem.init, jax.random.key(0))) for own in problems.distinct]
    dims = cell_dims(ds)
    sizes = [ds.sizes[dim] for dim in dims]
    labels = ds.assign(cell=(dims, np.arange(math.prod(sizes)).reshape(sizes)))
    return KeptCells(place, study, manifest, leaves, structures, problems, labels)


def parameters(folder: str | Path, **select: Any) -> Any:
    """Return the parameters of the cells of a result after their last step.

    The code of the study's problem is run, because it gives the pytree its structure; `load` runs none.

    Args:
      folder: a result of a study with `keep="final"`.
      select: by axis, the value to keep, or a list of values; as `seed=3, learning_rate=[0.1, 0.3]`. Only the selected cells
        need memory.

    Returns:
      The problem's pytree; each leaf is a NumPy array with the dimensions of the result's cells in front, in the order of the
      dataset that `load` gives. The dimension of an axis with a single selected value is left out: with one value for each axis
      the leaves are those of one run. Parameters of a run that diverged may not be finite.

    Raises:
      InputError: if the result kept no parameters, an axis or a value does not exist, a selected cell is missing, the selected
        cells have parameters of different shapes, or the problem has other parameters than those that were kept.
    """
    kept = kept_cells(folder)
    chosen = selected(kept.labels, select)["cell"]
    single = {axis_dim(kept.labels, name): 0 for name, value in select.items() if not is_several(value)}
    numbers = chosen.isel(single).values
    problem = kept.problem_of(numbers.reshape(-1))
    arrays = kept.arrays(numbers.reshape(-1))
    shaped = [array.reshape(*numbers.shape, *array.shape[1:]) for array in arrays.values()]
    return jax.tree.unflatten(kept.structures[problem], shaped)
