"""Sweep: a study in, a Dataset out."""

import functools
import time
from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path
from typing import Any, NamedTuple

import xarray as xr

from jaxsgd.engine.dispatch import RETRIES, Dispatch, surveyed
from jaxsgd.engine.execution import Execution
from jaxsgd.engine.labels import dataset, kept_arrays
from jaxsgd.engine.loading import check_same_study, checked, stored_manifest
from jaxsgd.engine.observation import observations
from jaxsgd.engine.planner import Plan, check_fits, plan
from jaxsgd.engine.provenance import check_same, manifest, now
from jaxsgd.engine.store import BrokenChunk, ChunkArrays, Folder, read_json, write_json
from jaxsgd.engine.study import Study, check_study
from jaxsgd.error import InputError


class Progress(NamedTuple):
    """How far a sweep is.

    Attributes:
      cells: how many there are.
      done: how many are finished, those of an earlier run included.
      resumed: how many of these were finished by an earlier run.
      broken: chunk files of an earlier run that were damaged and are run again, in words.
      chunks: how many there are; zero where nobody said.
      chunks_done: how many are finished, those of an earlier run included.
      chunks_failed: how many failed at every attempt.
      chunks_retried: how many attempts failed and were made again.
      workers: how many of an executor's workers have finished a chunk.
    """

    cells: int
    done: int
    resumed: int
    broken: tuple[str, ...] = ()
    chunks: int = 0
    chunks_done: int = 0
    chunks_failed: int = 0
    chunks_retried: int = 0
    workers: int = 0


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
    executor: Executor | None = None,
    retries: int = RETRIES,
    on_progress: Callable[[Progress], None] = _no_progress,
) -> xr.Dataset:
    """Runs every cell of a study.

    With a folder, each chunk is stored as soon as it is finished, and chunks that are there already are not run again: after an
    interruption of any kind, calling it again finishes what is missing, with the same bits.

    With an executor, its workers run the chunks, and this process plans, writes and assembles. The bits are those of a run
    without one on a like machine, whatever the number of workers.

    Args:
      study: what to run.
      out: the result folder; None keeps the result in memory only.
      vectorize: "one_program", "grouped" or "auto" (see `jaxsgd.engine.planner`).
      chunk_width, lanes, micro_size: to override what the plan chooses.
      executor: any `concurrent.futures.Executor` whose workers can import this package, and the study's own modules; such as a
        `ProcessPoolExecutor` that spawns, or that of a Dask client. None runs on the cores or devices of this process.
      retries: how often a chunk that failed on a worker is tried again.
      on_progress: called after every chunk.

    Returns:
      The result; see `jaxsgd.engine.labels.DESCRIPTIONS` for its variables.

    Raises:
      InputError: when the folder holds another study, chunk width or version, is in use, or cannot be written; when a worker
        has other versions or cannot make the study's problem.
      RunFailure: when chunks failed at every attempt (`jaxsgd.engine.dispatch.ChunksFailed`), after all others are finished; or
        when the workers are lost. Finished chunks are kept.
      OSError: when the disk fails or is full; finished chunks are kept.
    """
    check_study(study)
    how: dict[str, Any] = {"vectorize": vectorize, "chunk_width": chunk_width, "lanes": lanes, "micro_size": micro_size}
    team = _Team(executor, retries)
    if out is None:
        planned, told = team.planned(study, how)
        check_fits(planned)
        kept: dict[int, ChunkArrays] = {}
        _run_missing(planned, told, team, {}, (), kept.__setitem__, on_progress)
        return dataset(study, planned.cells, told, [kept[number] for number in sorted(kept)])

    folder = Folder(Path(out))
    if folder.path.exists() and not folder.path.is_dir():
        raise InputError(f"{folder.path}: there is a file of this name; a result needs a folder")
    # Planned before the folder is made, so that a wrong width leaves nothing behind.
    new = None if folder.is_there() else team.planned(study, how)
    if new:
        check_fits(new[0])
    with folder.locked():
        planned, told = _begin(folder, study, how, team, new)
        found, broken = _finished(folder, planned)
        told["broken_chunks"] = [*told["broken_chunks"], *broken]

        def store(number: int, arrays: ChunkArrays) -> None:
            folder.write_chunk(number, arrays, study.identity)
            found[number] = arrays

        try:
            _run_missing(planned, told, team, dict(found), broken, store, on_progress)
        finally:
            write_json(folder.manifest_file, told)
        return dataset(study, planned.cells, told, [found[number] for number in sorted(found)])


Begun = tuple[Plan, dict[str, Any]]
"""A plan, and the manifest of the result that is made by it."""


class _Team(NamedTuple):
    """Who runs the chunks: an executor's workers, or this process."""

    executor: Executor | None
    retries: int

    def planned(self, study: Study, how: dict[str, Any]) -> Begun:
        if self.executor is not None:
            return surveyed(self.executor, study, how)
        planned = plan(study, **how)
        return planned, manifest(planned)


def _begin(folder: Folder, study: Study, how: dict[str, Any], team: _Team, new: Begun | None) -> Begun:
    """The plan and manifest of the result in a folder, begun now or gone on with."""
    folder.clear_temporary()
    if not folder.is_there():
        if next((folder.path / "chunks").glob("*.npz"), None):
            raise InputError(
                f"{folder.path}: holds chunks, but not the manifest that says how they were made; choose another folder"
            )
        planned, told = new or team.planned(study, how)
        write_json(folder.study_file, study.resolved())
        write_json(folder.manifest_file, told)
        return planned, told
    check_same_study(read_json(folder.study_file), study.resolved(), str(folder.path))
    told = stored_manifest(folder)
    chosen = {name: value for name, value in how.items() if value not in (None, "auto")}
    planned, now_told = team.planned(study, {**told["held"], **chosen})
    check_same(told, now_told, str(folder.path))
    return planned, told


def _finished(folder: Folder, planned: Plan) -> tuple[dict[int, ChunkArrays], tuple[str, ...]]:
    """The chunks that are there whole, and in words those that are there and broken."""
    kept = kept_arrays(planned.study, planned.cells, observations(planned.subject.problem))
    found, broken = {}, []
    for number, chunk in enumerate(planned.chunks):
        try:
            arrays = folder.read_chunk(number, planned.study.identity, chunk.cells)
            if arrays is not None:
                found[number] = checked(arrays, kept, planned.cells.num_cells, folder.chunk_file(number).name)
        except BrokenChunk as error:
            broken.append(str(error))
    return found, tuple(broken)


def _run_missing(
    planned: Plan,
    told: dict[str, Any],
    team: _Team,
    found: dict[int, ChunkArrays],
    broken: tuple[str, ...],
    keep: Callable[[int, ChunkArrays], None],
    on_progress: Callable[[Progress], None],
) -> None:
    """Runs the chunks that are not in `found`, and writes into the manifest `told` how that went."""
    whole, dispatch = set(found), None
    cells = resumed = sum(len(planned.chunks[number].cells) for number in found)

    def tell() -> None:
        how = (len(dispatch.failed), dispatch.retried, len(dispatch.workers)) if dispatch else ()
        on_progress(Progress(planned.cells.num_cells, cells, resumed, broken, len(planned.chunks), len(whole), *how))

    def finished(number: int, arrays: ChunkArrays) -> None:
        nonlocal cells
        keep(number, arrays)
        if number not in whole:  # after Ctrl-C it may be handed over once more
            whole.add(number)
            cells += len(arrays["cell"])
        tell()

    tell()
    missing = [number for number in range(len(planned.chunks)) if number not in found]
    if not missing:
        return
    began = time.perf_counter()
    if team.executor is None:
        runner = Execution(planned)
        run = runner.run_all
    else:
        runner = dispatch = Dispatch(team.executor, planned, told, team.retries)
        run = functools.partial(dispatch.run_all, changed=tell)
    try:
        run(missing, finished)
    finally:
        times = told["times"]
        times["seconds"] += time.perf_counter() - began
        times["compile_seconds"] += runner.compile_seconds
        times["finished"] = now() if len(whole) == len(planned.chunks) else None
        told["lanes_narrowed"] += [narrowed._asdict() for narrowed in runner.narrowed]
