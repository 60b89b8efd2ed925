"""Reading a result folder: its study, its manifest, its chunks as a Dataset. No code that the folder names is run."""

import reprlib
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from jaxsgd.error import InputError, counted, no_such
from jaxsgd.measure.observable import observables
from jaxsgd.memory import free_memory, gibibytes
from jaxsgd.results.dataset import Assembly, dataset_bytes, kept_arrays
from jaxsgd.results.store import FORMAT, PLAN_SETTINGS, BrokenChunk, ChunkArrays, Folder, read_json
from jaxsgd.study.cells import cells
from jaxsgd.study.study import StudyFields


def load(folder: str | Path, *, variables: Iterable[str] | None = None) -> xr.Dataset:
    """Return the result in a folder, finished or not; damaged chunks count as missing. No code that it names is run.

    Args:
      folder: the result.
      variables: names of the variables to read; None for all. Every batch's loss (`loss`) is most of a large result, and few
        questions need it: `load(folder, variables=["loss_epoch"])` reads much less. `diverged`, `diverged_epoch`, `missing` and
        `rate` are always read.

    Raises:
      InputError: if there is no result, its study or manifest is not in the format of this version, there is no variable of
        that name, or the result does not fit into free memory.
    """
    place = Folder(Path(folder))
    if not place.path.is_dir():
        raise InputError(f"{place.path}: no such folder")
    study, manifest = stored_result(place)
    all_cells = cells(study, manifest["num_samples"])
    if manifest["chunks"] > all_cells.num_cells:
        chunks, num_cells = counted(manifest["chunks"], "chunk"), counted(all_cells.num_cells, "cell")
        raise InputError(f"{place.path}: manifest.json has {chunks} for {num_cells}")
    kept = kept_arrays(study, all_cells, manifest["observed"])
    names = list(kept) if variables is None else [variables] if isinstance(variables, str) else list(variables)
    for name in names:
        if name not in kept:
            raise no_such(f"variable of {place.path}", name, kept)
    _check_fits(place, dataset_bytes(study, all_cells, names), "loss" in names)
    assembly = Assembly(study, all_cells, manifest["observed"], names)
    for number in range(manifest["chunks"]):
        with suppress(BrokenChunk):
            arrays = place.read_chunk(number, study.identity)
            if arrays is not None:
                assembly.add(checked(arrays, kept, all_cells.num_cells))
    return assembly.dataset(manifest)


def _check_fits(place: Folder, needed: int, every_batch: bool) -> None:
    free = free_memory()
    if needed > free:
        hint = (
            'without every batch\'s loss it is smaller: load(folder, variables=["loss_epoch"])' if every_batch else "read fewer"
        )
        raise InputError(
            f"{place.path}: reading this result needs {gibibytes(needed)} GiB of memory and {gibibytes(free)} are free; {hint}"
        )


def checked(arrays: ChunkArrays, kept: dict[str, tuple[int, ...]], cells: int, file: str = "chunk") -> ChunkArrays:
    """Return a chunk's arrays after checking their names, types and shapes; a checksum is no signature, so it does not suffice.

    Args:
      arrays: of the chunk.
      kept: the inner shape of each array, as `kept_arrays` has them.
      cells: number of cells of the study.
      file: its name, for the message.

    Raises:
      BrokenChunk: if they are not those of a chunk of this study.
    """
    own = arrays.get("cell", np.empty(0))
    if own.ndim != 1 or own.dtype != np.int64 or not len(own) or own.min() < 0 or own.max() >= cells:
        raise BrokenChunk(f"{file}: has cells that the study does not have")
    if len(np.unique(own)) != len(own):
        raise BrokenChunk(f"{file}: has a cell twice")
    for name, most in kept.items():
        array = arrays.get(name, np.empty(()))
        shape = (len(own), *most)
        if name == "loss" and array.ndim == len(shape):
            shape = (*shape[:-1], min(shape[-1], array.shape[-1]))
        if array.dtype.kind != "f" or array.shape != shape:
            raise BrokenChunk(f"{file}: has no {name} of the study's shape")
    return arrays


def stored_result(place: Folder) -> tuple[StudyFields, dict[str, Any]]:
    """Return the study and the manifest of a result, without looking up the names in them.

    Raises:
      InputError: if there is no result, or the two do not belong together or are not in the format of this version.
    """
    if not place.is_there():
        inside = ", ".join(str(path.parent) for path in sorted(place.path.glob("*/manifest.json")))
        hint = f"; it has several, so name one of them: {inside}" if inside else ""
        raise InputError(f"{place.path}: holds no result (no study.json and manifest.json){hint}")
    study, manifest = stored_study(place), stored_manifest(place)
    if manifest.get("identity") != study.identity:
        raise InputError(
            f"{place.path}: study.json is not the study of manifest.json: it was changed, or another version wrote it"
        )
    return study, manifest


def stored_manifest(place: Folder) -> dict[str, Any]:
    """Return the manifest of a result.

    Raises:
      InputError: if manifest.json is not in the format of this version.
    """
    manifest = read_json(place.manifest_file)
    if isinstance(manifest, dict):
        manifest.setdefault("observed", [])  # manifests of early versions have no observables
    wanted = {"num_samples": int, "chunks": int, "held": dict, "versions": dict, "device": dict, "times": dict}
    wanted |= {"lanes_narrowed": list, "broken_chunks": list, "observed": list}
    whole = isinstance(manifest, dict) and all(isinstance(manifest.get(name), kind) for name, kind in wanted.items())
    whole = whole and all(name in observables() for name in manifest["observed"])
    whole = whole and manifest["num_samples"] > 0 and manifest["chunks"] > 0
    if not whole or manifest.get("format") != FORMAT or set(manifest["held"]) != set(PLAN_SETTINGS):
        raise InputError(f"{place.path}: manifest.json is not of format {FORMAT}, which this version reads")
    return manifest


def stored_study(place: Folder) -> StudyFields:
    """Return the study of a result, without looking up the names in it.

    Raises:
      InputError: if study.json is no valid study.
    """
    fields = read_json(place.study_file)
    if not isinstance(fields, dict):
        raise InputError(f"{place.study_file}: holds no study")
    try:
        return StudyFields(**fields)
    except InputError as error:
        raise InputError(f"{place.study_file}: {error}") from None


def check_same_study(stored: Any, new: dict[str, Any], where: str) -> None:
    """Check that a stored study is the new one.

    Raises:
      InputError: if it is not; the message names each field that differs.
    """
    if not isinstance(stored, dict):
        raise InputError(f"{where}: study.json holds no study")
    different = [
        f"{name}: {reprlib.repr(stored.get(name))} there, {reprlib.repr(new.get(name))} now"
        for name in {**new, **stored}
        if stored.get(name) != new.get(name)
    ]
    if different:
        raise InputError(f"{where}: holds another study ({'; '.join(different)}); choose another folder")
