"""The trained parameters that a result keeps."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxsgd.error import InputError, counted
from jaxsgd.results.axes import axis_dim, cell_dims, selected
from jaxsgd.results.dataset import kept_arrays
from jaxsgd.results.load import load, stored_chunks, stored_result
from jaxsgd.results.store import Folder
from jaxsgd.study.cells import cells
from jaxsgd.study.observed import stored_records
from jaxsgd.study.study import Study
from jaxsgd.study.subject import kept_parameters


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
      InputError: if the result kept no parameters, an axis or a value does not exist, a selected cell is missing, or the
        problem has other parameters than those that were kept.
    """
    place = Folder(Path(folder))
    ds = load(folder, variables=["loss_epoch"])
    fields, manifest = stored_result(place)
    if fields.keep is None:
        raise InputError(f"{place.path}: this result kept no parameters; run the study with keep='final' into another folder")
    study = Study(**fields.resolved())
    problem = study.subject().problem
    kept = kept_parameters(problem, study.dtype)
    if [leaf.described() for leaf in kept.values()] != manifest["params"]:
        raise InputError(f"{place.path}: the problem {study.problem!r} has other parameters now than those that were kept")
    own = cells(study, manifest["num_samples"])
    dims = cell_dims(ds)
    ds = ds.assign(cell=(dims, np.arange(own.num_cells).reshape([ds.sizes[dim] for dim in dims])))
    chosen = selected(ds, select)["cell"]
    chosen = chosen.isel({axis_dim(ds, name): 0 for name, value in select.items() if not _is_several(value)}).values
    position = np.full(own.num_cells, -1)
    position[chosen.reshape(-1)] = np.arange(chosen.size)
    leaves = {name: np.empty((chosen.size, *leaf.shape), leaf.stored) for name, leaf in kept.items()}
    missing = np.ones(chosen.size, bool)
    shapes = kept_arrays(study, own, stored_records(manifest) or {}) | {name: leaf.shape for name, leaf in kept.items()}
    for chunk in stored_chunks(place, study, own, shapes):
        if chunk.fault:
            continue
        at = position[chunk.arrays["cell"]]
        missing[at[at >= 0]] = False
        for name, array in leaves.items():
            array[at[at >= 0]] = chunk.arrays[name][at >= 0]
    if missing.any():
        first = own.name(int(chosen.reshape(-1)[missing.argmax()]))
        raise InputError(
            f"{place.path}: {counted(int(missing.sum()), 'selected cell')} not run yet, the first: {first}; finish the study"
        )
    arrays = [array.reshape(*chosen.shape, *array.shape[1:]).astype(kept[name].dtype) for name, array in leaves.items()]
    structure = jax.tree.structure(jax.eval_shape(problem.init, jax.random.key(0)))
    return jax.tree.unflatten(structure, arrays)


def _is_several(value: Any) -> bool:
    return isinstance(value, Iterable) and not isinstance(value, str)
