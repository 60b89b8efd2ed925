"""A result folder read: its study, its manifest, its chunks as a Dataset. No code is run that a folder names."""

import reprlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from jaxsgd.engine.axes import cells
from jaxsgd.engine.labels import dataset, kept_arrays
from jaxsgd.engine.observation import OBSERVABLES
from jaxsgd.engine.planner import HELD
from jaxsgd.engine.provenance import FORMAT
from jaxsgd.engine.store import BrokenChunk, ChunkArrays, Folder, read_json
from jaxsgd.engine.study import StudyFields
from jaxsgd.error import InputError, counted


def load(folder: str | Path) -> xr.Dataset:
    """The result in a folder, finished or not; damaged chunks count as missing. No code is run that the folder names.

    Raises:
      InputError: when there is no result, or its study or manifest is not what this version writes.
    """
    place = Folder(Path(folder))
    if not place.path.is_dir():
        raise InputError(f"{place.path}: no such folder")
    study, told = stored_result(place)
    all_cells = cells(study, told["num_samples"])
    if told["chunks"] > all_cells.num_cells:
        raise InputError(
            f"{place.path}: manifest.json has {counted(told['chunks'], 'chunk')} for {counted(all_cells.num_cells, 'cell')}"
        )
    kept = kept_arrays(study, all_cells, told["observed"])
    chunks = []
    for number in range(told["chunks"]):
        with suppress(BrokenChunk):
            arrays = place.read_chunk(number, study.identity)
            if arrays is not None:
                chunks.append(checked(arrays, kept, all_cells.num_cells))
    return dataset(study, all_cells, told, chunks)


def checked(arrays: ChunkArrays, kept: dict[str, tuple[int, ...]], cells: int, file: str = "chunk") -> ChunkArrays:
    """A chunk's arrays, if they are what a chunk holds. Its checksum can be right whoever wrote it: it is no signature.

    Args:
      arrays: of the chunk.
      kept: the inner shape of each array, as `kept_arrays` has them.
      cells: how many the study has.
      file: its name, for the message.

    Raises:
      BrokenChunk: when they are not.
    """
    own = arrays.get("cell", np.empty(0))
    if own.ndim != 1 or own.dtype != np.int64 or not len(own) or own.min() < 0 or own.max() >= cells:
        raise BrokenChunk(f"{file}: has cells that the study has not")
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
    """The study and the manifest of a result, without looking up the names in them.

    Raises:
      InputError: when there is no result, or they are not what this version wrote together.
    """
    if not place.is_there():
        raise InputError(f"{place.path}: holds no result (no study.json and manifest.json)")
    study, told = stored_study(place), stored_manifest(place)
    if told.get("identity") != study.identity:
        raise InputError(
            f"{place.path}: study.json is not the study of manifest.json: it was changed, or another version wrote it"
        )
    return study, told


def stored_manifest(place: Folder) -> dict[str, Any]:
    """The manifest of a result.

    Raises:
      InputError: when manifest.json is not what this version writes.
    """
    told = read_json(place.manifest_file)
    if isinstance(told, dict):
        told.setdefault("observed", [])  # a manifest of a time when nothing was
    wanted = {"num_samples": int, "chunks": int, "held": dict, "versions": dict, "device": dict, "times": dict}
    wanted |= {"lanes_narrowed": list, "broken_chunks": list, "observed": list}
    whole = isinstance(told, dict) and all(isinstance(told.get(name), kind) for name, kind in wanted.items())
    whole = whole and all(name in list(OBSERVABLES) for name in told["observed"])
    whole = whole and told["num_samples"] > 0 and told["chunks"] > 0
    if not whole or told.get("format") != FORMAT or set(told["held"]) != set(HELD):
        raise InputError(f"{place.path}: manifest.json is not of format {FORMAT}, which this version reads")
    return told


def stored_study(place: Folder) -> StudyFields:
    """The study of a result, without looking up the names in it.

    Raises:
      InputError: when study.json is no valid study.
    """
    fields = read_json(place.study_file)
    if not isinstance(fields, dict):
        raise InputError(f"{place.study_file}: holds no study")
    try:
        return StudyFields(**fields)
    except InputError as error:
        raise InputError(f"{place.study_file}: {error}") from None


def check_same_study(stored: Any, new: dict[str, Any], where: str) -> None:
    """Checks that a stored study is the new one.

    Raises:
      InputError: naming each field that differs.
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
