"""Sweep and load: a study in, a Dataset out."""

import reprlib
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import xarray as xr

from jaxsgd.engine.axes import cells
from jaxsgd.engine.execution import Execution
from jaxsgd.engine.labels import dataset
from jaxsgd.engine.observation import OBSERVABLES
from jaxsgd.engine.planner import HELD, Plan, check_fits, plan
from jaxsgd.engine.provenance import FORMAT, check_same, manifest, now
from jaxsgd.engine.store import BrokenChunk, ChunkArrays, Folder, read_json, write_json
from jaxsgd.engine.study import Study, StudyFields
from jaxsgd.error import InputError


class Progress(NamedTuple):
    """How far a sweep is.

    Attributes:
      cells: how many there are.
      done: how many are finished, those of an earlier run included.
      resumed: how many of these were finished by an earlier run.
      broken: chunk files of an earlier run that were damaged and are run again, in words.
    """

    cells: int
    done: int
    resumed: int
    broken: tuple[str, ...] = ()


def _no_progress(progress: Progress) -> None:
    del progress


def sweep(
    study: Study,
    out: str | Path | None = None,
    *,
    vectorize: str = "auto",
    chunk_width: int | None = None,
    lanes: int | None = None,
    micro_size: int | None = None,
    on_progress: Callable[[Progress], None] = _no_progress,
) -> xr.Dataset:
    """Runs every cell of a study.

    With a folder, each chunk is stored as soon as it is finished, and chunks that are there already are not run again: after an
    interruption of any kind, calling it again finishes what is missing, with the same bits.

    Args:
      study: what to run.
      out: the result folder; None keeps the result in memory only.
      vectorize: "one_program", "grouped" or "auto" (see `jaxsgd.engine.planner`).
      chunk_width, lanes, micro_size: to override what the plan chooses.
      on_progress: called after every chunk.

    Returns:
      The result; see `jaxsgd.engine.labels.DESCRIPTIONS` for its variables.

    Raises:
      InputError: when the folder holds another study, chunk width or version, is in use, or cannot be written.
      OSError: when the disk fails or is full; finished chunks are kept.
    """
    how: dict[str, Any] = {"vectorize": vectorize, "chunk_width": chunk_width, "lanes": lanes, "micro_size": micro_size}
    if out is None:
        planned = plan(study, **how)
        check_fits(planned)
        kept: dict[int, ChunkArrays] = {}
        told = manifest(planned)
        _run_missing(planned, told, {}, (), kept.__setitem__, on_progress)
        return dataset(study, planned.cells, told, [kept[number] for number in sorted(kept)])

    folder = Folder(Path(out))
    if folder.path.exists() and not folder.path.is_dir():
        raise InputError(f"{folder.path}: there is a file of this name; a result needs a folder")
    # Planned before the folder is made, so that a wrong width leaves nothing behind.
    new = None if folder.is_there() else plan(study, **how)
    if new:
        check_fits(new)
    with folder.locked():
        planned, told = _begin(folder, study, how, new)
        found, broken = _finished(folder, planned)
        told["broken_chunks"] = [*told["broken_chunks"], *broken]

        def store(number: int, arrays: ChunkArrays) -> None:
            folder.write_chunk(number, arrays, study.identity)
            found[number] = arrays

        try:
            _run_missing(planned, told, dict(found), broken, store, on_progress)
        finally:
            write_json(folder.manifest_file, told)
        return dataset(study, planned.cells, told, [found[number] for number in sorted(found)])


def _begin(folder: Folder, study: Study, how: dict[str, Any], new: Plan | None) -> tuple[Plan, dict[str, Any]]:
    """The plan and manifest of the result in a folder, begun now or gone on with."""
    folder.clear_temporary()
    if not folder.is_there():
        if next((folder.path / "chunks").glob("*.npz"), None):
            raise InputError(
                f"{folder.path}: holds chunks, but not the manifest that says how they were made; choose another folder"
            )
        planned = new or plan(study, **how)
        told = manifest(planned)
        write_json(folder.study_file, study.resolved())
        write_json(folder.manifest_file, told)
        return planned, told
    check_same_study(read_json(folder.study_file), study.resolved(), str(folder.path))
    told = stored_manifest(folder)
    chosen = {name: value for name, value in how.items() if value not in (None, "auto")}
    planned = plan(study, **{**told["held"], **chosen})
    check_same(told, manifest(planned), str(folder.path))
    return planned, told


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


def _finished(folder: Folder, planned: Plan) -> tuple[dict[int, ChunkArrays], tuple[str, ...]]:
    """The chunks that are there whole, and in words those that are there and broken."""
    found, broken = {}, []
    for number, chunk in enumerate(planned.chunks):
        try:
            arrays = folder.read_chunk(number, planned.study.identity, chunk.cells)
        except BrokenChunk as error:
            broken.append(str(error))
            continue
        if arrays is not None:
            found[number] = arrays
    return found, tuple(broken)


def _run_missing(
    planned: Plan,
    told: dict[str, Any],
    found: dict[int, ChunkArrays],
    broken: tuple[str, ...],
    keep: Callable[[int, ChunkArrays], None],
    on_progress: Callable[[Progress], None],
) -> None:
    """Runs the chunks that are not in `found`, and writes into the manifest `told` how that went."""
    whole = set(found)
    total = planned.cells.num_cells

    def cells_of(numbers: Iterable[int]) -> int:
        return sum(len(planned.chunks[number].cells) for number in numbers)

    resumed = cells_of(found)
    on_progress(Progress(total, resumed, resumed, broken))
    missing = [number for number in range(len(planned.chunks)) if number not in found]
    if not missing:
        return
    execution, began = Execution(planned), time.perf_counter()

    def finished(number: int, arrays: ChunkArrays) -> None:
        keep(number, arrays)
        whole.add(number)
        on_progress(Progress(total, cells_of(whole), resumed, broken))

    try:
        execution.run_all(missing, finished)
    finally:
        times = told["times"]
        times["seconds"] += time.perf_counter() - began
        times["compile_seconds"] += execution.compile_seconds
        times["finished"] = now() if cells_of(whole) == total else None
        told["lanes_narrowed"] += [narrowed._asdict() for narrowed in execution.narrowed]


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
