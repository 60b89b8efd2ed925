"""A result folder read: its study, its manifest, its chunks as a Dataset. No code is run that a folder names."""

import reprlib
from pathlib import Path
from typing import Any

import xarray as xr

from jaxsgd.engine.axes import cells
from jaxsgd.engine.labels import dataset
from jaxsgd.engine.observation import OBSERVABLES
from jaxsgd.engine.planner import HELD
from jaxsgd.engine.provenance import FORMAT
from jaxsgd.engine.store import BrokenChunk, Folder, read_json
from jaxsgd.engine.study import StudyFields
from jaxsgd.error import InputError


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
    chunks = []
    for number in range(told["chunks"]):
        try:
            arrays = place.read_chunk(number, study.identity)
        except BrokenChunk:
            continue
        if arrays is not None:
            chunks.append(arrays)
    return dataset(study, all_cells, told, chunks)


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
