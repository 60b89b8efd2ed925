"""Reading a result folder: its study, its manifest, its chunks as a Dataset. No code that the folder names is run."""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxsgd.error import InputError, no_such
from jaxsgd.memory import free_memory, gibibytes
from jaxsgd.results.chunk_form import ChunkForm, ChunkKind, stored_form
from jaxsgd.results.dataset import Assembly, dataset_bytes
from jaxsgd.results.lazy_xarray import xr
from jaxsgd.results.store import FORMAT, PLAN_SETTINGS, BrokenChunk, ChunkArrays, Folder, read_json
from jaxsgd.study.cells import KEY_BYTES, Cells, cells
from jaxsgd.study.fields import StudyFields, without_axis_values
from jaxsgd.study.kept import stored_leaves
from jaxsgd.study.observed import stored_records


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
    place = Folder.at(folder)
    study, manifest = stored_result(place)
    all_cells = cells(study, manifest["num_samples"])
    observed = stored_records(manifest) or {}
    form = stored_form(study, all_cells, manifest)
    names = list(form.numbers) if variables is None else [variables] if isinstance(variables, str) else list(variables)
    for name in names:
        if name not in form.numbers:
            raise no_such(f"variable of {place.path}", name, form.numbers)
    _check_fits(place, dataset_bytes(study, all_cells, observed, names), "loss" in names)
    assembly = Assembly(study, all_cells, observed, names)
    for chunk in stored_chunks(place, study, all_cells, form):
        if not chunk.fault:
            assembly.add(chunk.arrays)
    return assembly.dataset(manifest)


class StoredChunk(NamedTuple):
    """A chunk of a result folder, as the study now has it.

    Attributes:
      number: of its file.
      arrays: of its cells that the study has; `cell` has their numbers in the study. Empty if the chunk is damaged.
      fault: the fault of a damaged chunk, in words; else empty.
      others: number of its cells that the study does not have.
    """

    number: int
    arrays: ChunkArrays
    fault: str
    others: int = 0


def stored_chunks(place: Folder, study: StudyFields, own: Cells, form: ChunkForm) -> Iterator[StoredChunk]:
    """Read the chunks of a result one at a time, and return each with the cells that the study has.

    A chunk whose cells are all in chunks before it counts as damaged: a file was copied.

    Args:
      place: the folder.
      study: the study as it now stands.
      own: its cells.
      form: of its chunks.
    """
    every, numbers = own.keys(), {}
    for number, key in enumerate(every):
        numbers.setdefault(key, []).append(number)
    seen: dict[bytes, str] = {}
    identities = study.fixed_identity, study.identity
    for number in place.chunk_numbers():
        name = place.chunk_file(number).name
        try:
            arrays = place.read_chunk(number, *identities)
            if arrays is None:
                continue
            keys = _keys(arrays, every, name)
            if all(key in seen for key in keys):
                raise BrokenChunk(f"{name}: has the cells of {seen[keys[0]]} again")
            seen |= dict.fromkeys(keys, name)
            rows = [(row, cell) for row, key in enumerate(keys) for cell in numbers.get(key, ())]
            row, cell = np.asarray(rows, np.int64).reshape(-1, 2).T
            kind = _kind(form, own, cell, name)
            check_arrays(arrays, form, kind, len(keys), name)
            _check_lengths(arrays, form, own, cell, name)
            chosen = {key: arrays[key][row] for key in form.names(kind)}
            others = sum(key not in numbers for key in keys)
            yield StoredChunk(number, {"cell": cell, **fitted(chosen, form)}, "", others)
        except BrokenChunk as error:
            yield StoredChunk(number, {}, str(error))


def _keys(arrays: ChunkArrays, every: list[bytes], name: str) -> list[bytes]:
    """Return the keys of a chunk's cells; a chunk of format 1 has their numbers instead.

    Args:
      arrays: of the chunk.
      every: the keys of all cells of the study.
      name: of the file.

    Raises:
      BrokenChunk: if it has neither, or has a cell twice.
    """
    if "key" in arrays:
        stored = arrays["key"]
        if stored.dtype != np.uint8 or stored.ndim != 2 or stored.shape[1] != KEY_BYTES or not len(stored):
            raise BrokenChunk(f"{name}: has keys of another form")
        keys = [row.tobytes() for row in stored]
    else:
        cell = arrays.get("cell", np.empty(0))
        if cell.ndim != 1 or cell.dtype != np.int64 or not len(cell) or cell.min() < 0 or cell.max() >= len(every):
            raise BrokenChunk(f"{name}: has cells that the study does not have")
        if len(np.unique(cell)) != len(cell):
            raise BrokenChunk(f"{name}: has a cell twice")
        return [every[number] for number in cell]
    if len(set(keys)) != len(keys):
        raise BrokenChunk(f"{name}: has a cell twice")
    return keys


def _kind(form: ChunkForm, own: Cells, cell: np.ndarray, name: str) -> ChunkKind | None:
    """Return the kind of a chunk with some cells; None if the study has none of them.

    Raises:
      BrokenChunk: if they are of several kinds.
    """
    for what, values in (("optimizers", own.values["optimizer"]), ("problems", form.kept.of_cell)):
        if len(np.unique(values[cell])) > 1:
            raise BrokenChunk(f"{name}: has cells of several {what}")
    return ChunkKind(int(form.kept.of_cell[cell[0]]), str(own.values["optimizer"][cell[0]])) if len(cell) else None


def _check_lengths(arrays: ChunkArrays, form: ChunkForm, own: Cells, cell: np.ndarray, name: str) -> None:
    """Check that a chunk's losses, observables and measures are as long as the runs of its cells.

    Args:
      arrays: of the chunk.
      form: of the chunk.
      own: the cells of the study.
      cell: the numbers of the chunk's cells in the study.
      name: of the file.

    Raises:
      BrokenChunk: if one is shorter.
    """
    splits = [own.splits[number] for number in np.unique(own.split[cell])]
    if not splits:
        return
    epochs = max(map(own.epochs_of, splits))
    rows = np.unique(own.split[cell])
    times = [times[rows] for times in (own.evaluations, own.observations) if times is not None]
    records = min([epochs, *(int(np.isfinite(steps).sum(axis=1).max()) for steps in times)])
    lengths = {"loss_epoch": (epochs,), "loss": (epochs, max(split.batch_count for split in splits))}
    lengths["rung_value"] = form.numbers.get("rung_value", ())
    for variable, inner in form.numbers.items():
        needed = lengths.get(variable, (records, *inner[1:]) if inner else ())
        if any(length < least for length, least in zip(arrays[variable].shape[1:], needed, strict=True)):
            raise BrokenChunk(f"{name}: has no {variable} of the study's shape")


def keyed(arrays: ChunkArrays, keys: list[bytes]) -> ChunkArrays:
    """Return a chunk's arrays with the keys of its cells in place of their numbers, as they are stored.

    Args:
      arrays: of the chunk, with `cell`.
      keys: of all cells of the study.
    """
    rows = np.frombuffer(b"".join(keys[number] for number in arrays["cell"]), np.uint8).reshape(-1, KEY_BYTES)
    return {"key": rows, **{name: array for name, array in arrays.items() if name != "cell"}}


def fitted(arrays: ChunkArrays, form: ChunkForm) -> ChunkArrays:
    """Return a chunk's arrays with the inner lengths of the study as it now stands; past the end of a run they are NaN.

    Args:
      arrays: [n, ...]; parameters and states have the same lengths in all runs.
      form: of the study's chunks.
    """

    def at_length(array: np.ndarray, inner: tuple[int, ...]) -> np.ndarray:
        cut = array[(slice(None), *map(slice, inner))]
        short = [(0, 0), *((0, length - own) for length, own in zip(inner, cut.shape[1:], strict=True))]
        return np.pad(cut, short, constant_values=np.nan) if any(after for _, after in short) else cut

    return {name: at_length(array, form.numbers[name]) if name in form.numbers else array for name, array in arrays.items()}


def _check_fits(place: Folder, needed: int, every_batch: bool) -> None:
    free = free_memory()
    if needed > free:
        hint = (
            'without every batch\'s loss it is smaller: load(folder, variables=["loss_epoch"])' if every_batch else "read fewer"
        )
        raise InputError(
            f"{place.path}: reading this result needs {gibibytes(needed)} GiB of memory and {gibibytes(free)} are free; {hint}"
        )


def check_arrays(arrays: ChunkArrays, form: ChunkForm, kind: ChunkKind | None, length: int, file: str) -> None:
    """Check the names, types and dimensions of a chunk's arrays; a checksum is no signature, so it does not suffice.

    Args:
      arrays: of the chunk.
      form: of the study's chunks. The lengths of losses and observables may differ: with other batch counts the study had other
        lengths.
      kind: of the chunk; None if the study has none of its cells, so that the parameters and states cannot be checked.
      length: the number of its cells.
      file: its name, for the message.

    Raises:
      BrokenChunk: if they are not those of a chunk of this study.
    """
    right = {}
    for name, inner in form.numbers.items():
        array = arrays.get(name, np.empty(()))
        right[name] = array.dtype.kind == "f" and array.ndim == 1 + len(inner) and len(array) == length
    for name, leaf in form.leaves(kind).items():
        array = arrays.get(name, np.empty(()))
        right[name] = array.dtype == leaf.stored and array.shape == (length, *form.kept.inner(leaf))
    for name in right:
        if not right[name]:
            raise BrokenChunk(f"{file}: has no {name} of the study's shape")


def stored_result(place: Folder) -> tuple[StudyFields, dict[str, Any]]:
    """Return the study and the manifest of a result, without looking up the names in them.

    Raises:
      InputError: if there is no result, or the two do not belong together or are not in the format of this version.
    """
    if not place.path.is_dir():
        fault = "this is a file; a result is a folder" if place.path.exists() else "no such folder"
        raise InputError(f"{place.path}: {fault}")
    if not place.is_there():
        inside = ", ".join(str(path.parent) for path in sorted(place.path.glob("*/manifest.json")))
        hint = f"; it has several, so name one of them: {inside}" if inside else ""
        raise InputError(f"{place.path}: this folder is not a result (it has no study.json and manifest.json){hint}")
    study, manifest = stored_study(place), stored_manifest(place)
    if manifest["fixed_identity"] != study.fixed_identity if manifest["format"] > 1 else manifest["identity"] != study.identity:
        raise InputError(
            f"{place.path}: study.json is not the study of manifest.json: it was changed, or another version wrote it"
        )
    return study, manifest | {"fixed_identity": study.fixed_identity}


def stored_manifest(place: Folder) -> dict[str, Any]:
    """Return the manifest of a result.

    Raises:
      InputError: if manifest.json is not in the format of this version.
    """
    manifest = read_json(place.manifest_file)
    if isinstance(manifest, dict):
        # Manifests of early versions have no observables.
        manifest.setdefault("observed", [])
        manifest.setdefault("measures", {})
        manifest.setdefault("params", [])
        manifest.setdefault("states", {})
        manifest.setdefault("problems", {})
        manifest.setdefault("problem_axes", [])
        manifest.setdefault("start", "")
    wanted = {"format": int, "identity": str, "num_samples": int, "held": dict, "versions": dict, "device": dict, "times": dict}
    wanted |= dict.fromkeys(("lanes_narrowed", "broken_chunks", "observed", "params", "problem_axes"), list)
    wanted |= dict.fromkeys(("measures", "states", "problems"), dict) | {"start": str}
    whole = isinstance(manifest, dict) and all(isinstance(manifest.get(name), kind) for name, kind in wanted.items())
    whole = whole and stored_records(manifest) is not None and manifest["num_samples"] > 0
    whole = whole and all(
        isinstance(facts, dict) and stored_leaves(facts) is not None for facts in (manifest, *manifest["problems"].values())
    )
    whole = whole and (manifest["format"] == 1 or isinstance(manifest.get("fixed_identity"), str))
    if not whole or not 1 <= manifest["format"] <= FORMAT or set(manifest["held"]) != set(PLAN_SETTINGS):
        raise InputError(f"{place.path}: manifest.json is not of format 1 to {FORMAT}, which this version reads")
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
    """Check that a stored study is the new one, but for the values of its axes.

    Raises:
      InputError: if it is not; the message names each field that differs.
    """
    if not isinstance(stored, dict):
        raise InputError(f"{where}: study.json holds no study")
    fixed, new_fixed = without_axis_values(stored), without_axis_values(new)
    different = [
        f"{name}: {reprlib.repr(stored.get(name))} in the result, {reprlib.repr(new.get(name))} now"
        for name in {**new, **stored}
        if fixed.get(name) != new_fixed.get(name)
    ]
    if different:
        raise InputError(f"{where}: has the result of another study ({'; '.join(different)}); choose another folder")
