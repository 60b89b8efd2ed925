"""Sweep: run all cells of a study, and return or store the result."""

import time
from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from jaxsgd.engine.dispatch import RETRIES, Dispatch, surveyed
from jaxsgd.engine.execution import Execution
from jaxsgd.engine.manifest import check_same, new_manifest, now
from jaxsgd.engine.plan import Plan, check_fits, plan
from jaxsgd.engine.progress import Progress, watched
from jaxsgd.engine.time_left import TimeLeft
from jaxsgd.error import InputError
from jaxsgd.results.dataset import Assembly, kept_arrays
from jaxsgd.results.load import check_same_study, checked, load, stored_manifest
from jaxsgd.results.store import BrokenChunk, ChunkArrays, Folder, read_json, write_json
from jaxsgd.study.study import Study, check_study


def sweep(
    study: Study,
    out: str | Path | None = None,
    *,
    vectorize: str = "auto",
    chunk_width: int | None = None,
    lanes: int | None = None,
    micro_size: int | None = None,
    executor: Executor | None = None,
    retries: int = RETRIES,
    progress: bool | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> xr.Dataset:
    """Run every cell of a study.

    With a folder, each chunk is stored as soon as it is finished, and stored chunks are not run again: after any interruption,
    the same call finishes the rest, with the same bits.

    With an executor, its workers run the chunks, and this process plans, writes and reads the result. The bits are the same as
    without an executor on the same kind of machine, for any number of workers.

    Args:
      study: the study to run. Its problem may be a `Problem` object if there is neither a folder nor an executor.
      out: the result folder; None keeps the result in memory only.
      vectorize: "one_program", "grouped" or "auto" (see `jaxsgd.engine.plan`).
      chunk_width, lanes, micro_size: settings of the plan; None to choose them.
      executor: any `concurrent.futures.Executor` whose workers can import this package, and the study's own modules; such as a
        `ProcessPoolExecutor` that spawns (one that forks is refused), or the executor of a Dask client. None runs on the cores
        or devices of this process.
      retries: the number of times that a failed chunk is tried again on a worker.
      progress: True shows a bar with the finished cells and the time left, in a notebook or at a terminal on stderr; on another
        stderr it shows a line every minute. False shows nothing. None shows it in a notebook, unless `on_progress` is given.
      on_progress: called with a `jaxsgd.Progress` after every chunk.

    Returns:
      The result; see `jaxsgd.measure.observable.METRICS` and `jaxsgd.results.dataset.DESCRIPTIONS` for its variables.

    Raises:
      InputError: if the problem is an object, and a folder or an executor is given; if the folder has another study, chunk
        width or version, is in use, or cannot be written; if the executor forks its processes; if a worker has other versions
        or cannot make the study's problem.
      RunFailure: if chunks failed at every attempt (`jaxsgd.engine.dispatch.ChunksFailed`), after all others are finished; or
        if the workers are lost. Finished chunks are kept.
      OSError: if the disk fails or is full; finished chunks are kept.
    """
    check_study(study)
    how: dict[str, Any] = {"vectorize": vectorize, "chunk_width": chunk_width, "lanes": lanes, "micro_size": micro_size}
    team = _Team(executor, retries)
    with watched(progress, on_progress) as report:
        if out is None:
            planned, manifest = team.planned(study, how)
            check_fits(planned, in_memory=True)
            assembly = Assembly(study, planned.cells, planned.records)
            _run_missing(planned, manifest, team, _NOTHING_STORED, lambda number, arrays: assembly.add(arrays), report)
            return assembly.dataset(manifest)
        _sweep_to_folder(study, Folder(Path(out)), how, team, report)
    return load(out)


def sweep_to_folder(
    study: Study,
    out: str | Path,
    *,
    vectorize: str = "auto",
    chunk_width: int | None = None,
    lanes: int | None = None,
    micro_size: int | None = None,
    executor: Executor | None = None,
    retries: int = RETRIES,
    progress: bool | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> dict[str, Any]:
    """Run every cell of a study into a folder and return the result's manifest, without reading the result.

    This needs memory for the running chunks only, so the result may be larger than the machine's memory; `load` reads it.

    Args:
      study, out, vectorize, chunk_width, lanes, micro_size, executor, retries, progress, on_progress: as `sweep`.

    Raises:
      InputError, RunFailure, OSError: as `sweep`.
    """
    check_study(study)
    how: dict[str, Any] = {"vectorize": vectorize, "chunk_width": chunk_width, "lanes": lanes, "micro_size": micro_size}
    with watched(progress, on_progress) as report:
        return _sweep_to_folder(study, Folder(Path(out)), how, _Team(executor, retries), report)


Begun = tuple[Plan, dict[str, Any]]
"""A plan, and the manifest of its result."""


class _Team(NamedTuple):
    """The runner of the chunks: an executor's workers, or this process."""

    executor: Executor | None
    retries: int

    def planned(self, study: Study, how: dict[str, Any]) -> Begun:
        if self.executor is not None:
            return surveyed(self.executor, study, how)
        planned = plan(study, **how)
        return planned, new_manifest(planned)


def _begin(folder: Folder, study: Study, how: dict[str, Any], team: _Team, new: Begun | None) -> Begun:
    """Return the plan and manifest of the result in a folder, which is begun now or continued."""
    folder.clear_temporary()
    if not folder.is_there():
        if next((folder.path / "chunks").glob("*.npz"), None):
            raise InputError(
                f"{folder.path}: has chunks of a result, but no manifest.json with their settings; choose another folder"
            )
        planned, manifest = new or team.planned(study, how)
        write_json(folder.study_file, study.resolved())
        write_json(folder.manifest_file, manifest)
        return planned, manifest
    check_same_study(read_json(folder.study_file), study.resolved(), str(folder.path))
    manifest = stored_manifest(folder)
    chosen = {name: value for name, value in how.items() if value not in (None, "auto")}
    planned, current = team.planned(study, {**manifest["held"], **chosen})
    check_same(manifest, current, str(folder.path))
    return planned, manifest


class _Stored(NamedTuple):
    """The chunks that are finished and whole.

    Attributes:
      chunks: their numbers.
      cells: the number of their cells.
      diverged: the number of their cells that diverged.
      broken: the damaged chunk files, in words.
    """

    chunks: frozenset[int]
    cells: int
    diverged: int
    broken: tuple[str, ...]


_NOTHING_STORED = _Stored(frozenset(), 0, 0, ())


def _num_diverged(arrays: ChunkArrays) -> int:
    return int(np.isfinite(arrays["diverged_epoch"]).sum())


def _sweep_to_folder(
    study: Study, folder: Folder, how: dict[str, Any], team: _Team, on_progress: Callable[[Progress], None]
) -> dict[str, Any]:
    study.resolved()  # refuses a study that cannot be stored
    if folder.path.exists() and not folder.path.is_dir():
        raise InputError(f"{folder.path}: this is a file; a result needs a folder")
    # Plan before the folder is created, so that a wrong width leaves no folder behind.
    new = None if folder.is_there() else team.planned(study, how)
    if new:
        check_fits(new[0], in_memory=False)
    with folder.locked():
        planned, manifest = _begin(folder, study, how, team, new)
        stored = _stored(folder, planned)
        manifest["broken_chunks"] = [*manifest["broken_chunks"], *stored.broken]

        def store(number: int, arrays: ChunkArrays) -> None:
            folder.write_chunk(number, arrays, study.identity)

        try:
            _run_missing(planned, manifest, team, stored, store, on_progress)
        finally:
            write_json(folder.manifest_file, manifest)
        return manifest


def _stored(folder: Folder, planned: Plan) -> _Stored:
    """Read the chunks of a folder, one at a time, and return the finished ones."""
    kept = kept_arrays(planned.study, planned.cells, planned.records)
    chunks, cells, diverged, broken = set(), 0, 0, []
    for number, chunk in enumerate(planned.chunks):
        try:
            arrays = folder.read_chunk(number, planned.study.identity, chunk.cells)
            if arrays is not None:
                checked(arrays, kept, planned.cells.num_cells, folder.chunk_file(number).name)
                chunks.add(number)
                cells, diverged = cells + len(chunk.cells), diverged + _num_diverged(arrays)
        except BrokenChunk as error:
            broken.append(str(error))
    return _Stored(frozenset(chunks), cells, diverged, tuple(broken))


def _run_missing(
    planned: Plan,
    manifest: dict[str, Any],
    team: _Team,
    stored: _Stored,
    keep: Callable[[int, ChunkArrays], None],
    on_progress: Callable[[Progress], None],
) -> None:
    """Run the chunks that are not stored, and write times and narrowed programs into the manifest."""
    chunks, cells, diverged, dispatch, runner = set(stored.chunks), stored.cells, stored.diverged, None, None
    time_left, compiled = TimeLeft(planned, stored.chunks), set()

    def report() -> None:
        how = (len(dispatch.failed), dispatch.retried, len(dispatch.workers)) if dispatch else (0, 0, 0)
        counts = (planned.cells.num_cells, cells, stored.cells, stored.broken, len(planned.chunks), len(chunks))
        seconds = time_left.seconds(runner.num_workers, runner.compile_seconds, compiled) if runner else None
        on_progress(Progress(*counts, *how, diverged, seconds, runner.finishing if runner else 0))

    def finished(number: int, arrays: ChunkArrays) -> None:
        nonlocal cells, diverged
        keep(number, arrays)
        if number not in chunks:  # after Ctrl-C it may be passed a second time
            chunks.add(number)
            cells, diverged = cells + len(arrays["cell"]), diverged + _num_diverged(arrays)
            if runner:
                time_left.finished(number, runner.chunk_seconds.get(number, 0.0))
                compiled.add(planned.chunks[number].program)
        report()

    report()
    missing = [number for number in range(len(planned.chunks)) if number not in chunks]
    if not missing:
        return
    began = time.perf_counter()
    if team.executor is None:
        runner = Execution(planned)
    else:
        runner = dispatch = Dispatch(team.executor, planned, manifest, team.retries)
    try:
        runner.run_all(missing, finished, report)
    finally:
        times = manifest["times"]
        times["seconds"] += time.perf_counter() - began
        times["compile_seconds"] += runner.compile_seconds
        times["finished"] = now() if len(chunks) == len(planned.chunks) else None
        manifest["lanes_narrowed"] += [narrowed._asdict() for narrowed in runner.narrowed]
