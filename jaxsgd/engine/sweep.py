"""Sweep: run all cells of a study, and return or store the result."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxsgd.engine.dispatch import RETRIES, Dispatch, surveyed
from jaxsgd.engine.execution import Execution
from jaxsgd.engine.halving import Decided, check_can_halve, halve
from jaxsgd.engine.manifest import add_problems, check_same, identities, new_manifest, now
from jaxsgd.engine.plan import Plan, check_fits, plan
from jaxsgd.engine.progress import Progress, watched
from jaxsgd.engine.time_left import TimeLeft
from jaxsgd.error import InputError, shown
from jaxsgd.machine import git_commit
from jaxsgd.results.dataset import Assembly
from jaxsgd.results.lazy_xarray import xr
from jaxsgd.results.load import check_same_study, keyed, load, stored_chunks, stored_result
from jaxsgd.results.store import FORMAT, ChunkArrays, Folder, read_json, write_json
from jaxsgd.study.cells import cells as cells_of
from jaxsgd.study.fields import StudyFields
from jaxsgd.study.own_code import code_digests, note_changed_code
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

    With a folder, each chunk is stored as soon as it is finished, and stored cells are not run again: after any interruption,
    the same call finishes the rest, with the same bits. A study that differs from the folder's only in the values of its axes
    (more seeds, another rate) runs only the cells that are not there; cells that the study does not have stay in the folder.

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
      InputError: if the problem is an object, and a folder or an executor is given; if the folder has a study that differs in
        more than the values of its axes, another chunk width or version, is in use, or cannot be written; if the executor forks
        its processes; if a worker has other versions or cannot make the study's problem.
      RunFailure: if chunks failed at every attempt (`jaxsgd.engine.dispatch.ChunksFailed`), after all others are finished; or
        if the workers are lost. Finished chunks are kept.
      OSError: if the disk fails or is full; finished chunks are kept.
    """
    check_study(study)
    how: dict[str, Any] = {"vectorize": vectorize, "chunk_width": chunk_width, "lanes": lanes, "micro_size": micro_size}
    team = _Team(executor, retries)
    with watched(progress, on_progress) as report:
        if out is None:
            if study.keep:
                keep = shown(list(study.keep) if isinstance(study.keep, tuple) else study.keep)
                raise InputError(f"keep={keep} needs a result folder for the parameters: jaxsgd.sweep(study, 'results/mine')")
            # Git takes 10 ms, as long as a small sweep.
            with ThreadPoolExecutor(1) as aside:
                commit = aside.submit(git_commit)
                planned, manifest = team.planned(study, how)
                check_fits(planned, in_memory=True)
                assembly = Assembly(study, planned.cells, planned.records)
                nothing = _Stored(np.zeros(planned.cells.num_cells, bool), (), 0, (), (), _decided(planned))
                _run_missing(planned, manifest, team, nothing, lambda number, arrays: assembly.add(arrays), report)
            return assembly.dataset(manifest | {"git_commit": commit.result()})
        _sweep_to_folder(study, Folder.at(out), how, team, report)
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
        return _sweep_to_folder(study, Folder.at(out), how, _Team(executor, retries), report)


Begun = tuple[Plan, dict[str, Any]]
"""A plan, and the manifest of its result."""


class _Team(NamedTuple):
    """The runner of the chunks: an executor's workers, or this process."""

    executor: Executor | None
    retries: int

    def planned(self, study: Study, how: dict[str, Any]) -> Begun:
        if self.executor is not None:
            if study.halving:
                raise InputError("halving runs in this process only: leave out the executor, or the halving")
            return surveyed(self.executor, study, how)
        planned = plan(study, **how)
        if study.halving:
            check_can_halve(planned)
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
        manifest |= {"git_commit": git_commit(), "code": code_digests(study)}
        write_json(folder.study_file, study.resolved())
        write_json(folder.manifest_file, manifest)
        return planned, manifest
    stored, manifest, planned = _continued(folder, study, how, team)
    if manifest["format"] < FORMAT:
        _write_keys(folder, stored, planned)
        manifest["format"] = FORMAT
        write_json(folder.manifest_file, manifest)
    if stored.identity != study.identity:
        write_json(folder.study_file, study.resolved())
    manifest |= {**identities(study), "cells": planned.cells.num_cells}
    add_problems(manifest, planned)
    return planned, manifest


def _continued(folder: Folder, study: Study, how: dict[str, Any], team: _Team) -> tuple[StudyFields, dict[str, Any], Plan]:
    """Return the study of the result in a folder, its manifest, and the plan by which it is continued with `study`."""
    check_same_study(read_json(folder.study_file), study.resolved(), str(folder.path))
    stored, manifest = stored_result(folder)
    chosen = {name: value for name, value in how.items() if value not in (None, "auto")}
    planned, current = team.planned(study, {**manifest["held"], **chosen})
    check_same(manifest, current, str(folder.path))
    digests = code_digests(study)
    note_changed_code(manifest, digests, str(folder.path))
    manifest["code"] = digests | manifest.get("code", {})
    return stored, manifest, planned


def _write_keys(folder: Folder, study: StudyFields, planned: Plan) -> None:
    """Write the chunks of format 1 again, with the keys of their cells, so that the study can change."""
    own = cells_of(study, planned.subject.num_samples)
    keys = own.keys()
    for chunk in stored_chunks(folder, study, own, planned.form):
        if not chunk.fault:
            folder.write_chunk(chunk.number, keyed(chunk.arrays, keys), study.fixed_identity)


def rest_of(study: Study, out: str | Path, how: dict[str, Any]) -> Plan:
    """Return the plan for the cells of a study that are not in a folder yet; nothing is written.

    Args:
      study: the study to run.
      out: the result folder; it need not exist.
      how: `plan`'s other arguments.

    Raises:
      InputError: if the folder has the result of another study, or one that was begun with other settings.
    """
    folder, team = Folder.at(out), _Team(None, RETRIES)
    if not folder.is_there():
        return plan(study, **how)
    _, _, planned = _continued(folder, study, how, team)
    return planned.of_cells(~_stored(folder, planned).cells)


class _Stored(NamedTuple):
    """The cells of a study that are finished and whole.

    Attributes:
      cells: [R], True for these cells.
      chunks: the numbers of the chunk files that are whole, also of those without a cell of the study.
      diverged: the number of these cells that diverged.
      damaged: the numbers of the chunk files that are damaged.
      broken: these files and their faults, in words.
      decided: the decisions of a halving on these cells; None for a study without one.
      others: the number of finished cells that the study does not have.
    """

    cells: np.ndarray
    chunks: tuple[int, ...]
    diverged: int
    damaged: tuple[int, ...]
    broken: tuple[str, ...]
    decided: Decided | None
    others: int = 0


def _decided(planned: Plan) -> Decided | None:
    return Decided.none(planned) if planned.study.halving else None


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
        # A halving has the runs between two rungs in memory.
        check_fits(new[0], in_memory=study.halving is not None)
    with folder.locked():
        planned, manifest = _begin(folder, study, how, team, new)
        stored = _stored(folder, planned)
        manifest["broken_chunks"] = [*manifest["broken_chunks"], *stored.broken]
        keys, whole, damaged = planned.cells.keys(), set(stored.chunks), set(stored.damaged)
        # A new chunk takes the lowest number that is free, or that of a damaged file.
        numbers = [number for number in range(len(whole) + planned.cells.num_cells) if number not in whole]
        identity = study.fixed_identity

        def store(number: int, arrays: ChunkArrays) -> None:
            folder.write_chunk(numbers[number], keyed(arrays, keys), identity)
            damaged.discard(numbers[number])

        try:
            _run_missing(planned, manifest, team, stored, store, on_progress)
        finally:
            write_json(folder.manifest_file, manifest)
        for number in damaged:  # all their cells are in other files
            folder.chunk_file(number).unlink(missing_ok=True)
        return manifest


def _stored(folder: Folder, planned: Plan) -> _Stored:
    """Read the chunks of a folder, one at a time, and return the finished ones."""
    cells, diverged, chunks, damaged, broken, others = np.zeros(planned.cells.num_cells, bool), 0, [], [], [], 0
    decided = _decided(planned)
    for chunk in stored_chunks(folder, planned.study, planned.cells, planned.form):
        if chunk.fault:
            damaged.append(chunk.number)
            broken.append(chunk.fault)
            continue
        chunks.append(chunk.number)
        cells[chunk.arrays["cell"]] = True
        diverged += _num_diverged(chunk.arrays)
        others += chunk.others
        if decided:
            decided.note(chunk.arrays)
    return _Stored(cells, tuple(chunks), diverged, tuple(damaged), tuple(broken), decided, others)


def _run_missing(
    planned: Plan,
    manifest: dict[str, Any],
    team: _Team,
    stored: _Stored,
    keep: Callable[[int, ChunkArrays], None],
    on_progress: Callable[[Progress], None],
) -> None:
    """Run the cells that are not stored, and write times and narrowed programs into the manifest."""
    left = planned.of_cells(~stored.cells)
    resumed = int(stored.cells.sum())
    chunks, cells, diverged, dispatch, runner = set(), resumed, stored.diverged, None, None
    time_left, compiled = TimeLeft(left), set()
    halves = planned.study.halving is not None

    def report() -> None:
        how = (len(dispatch.failed), dispatch.retried, len(dispatch.workers)) if dispatch else (0, 0, 0)
        before = len(stored.chunks)
        # How many chunks a halving has depends on its decisions.
        total = 0 if halves else before + len(left.chunks)
        counts = (planned.cells.num_cells, cells, resumed, stored.broken, total, before + len(chunks))
        seconds = time_left.seconds(runner.num_workers, runner.compile_seconds, compiled) if runner and not halves else None
        on_progress(Progress(*counts, *how, diverged, seconds, runner.finishing if runner else 0, stored.others))

    def finished(number: int, arrays: ChunkArrays) -> None:
        nonlocal cells, diverged
        keep(number, arrays)
        if number not in chunks:  # after Ctrl-C it may be passed a second time
            chunks.add(number)
            cells, diverged = cells + len(arrays["cell"]), diverged + _num_diverged(arrays)
            if runner and not halves:
                time_left.finished(number, runner.chunk_seconds.get(number, 0.0))
                compiled.add(left.chunks[number].program)
        report()

    report()
    if not left.chunks:
        return
    began = time.perf_counter()
    if team.executor is None:
        runner = Execution(planned if halves else left)
    else:
        runner = dispatch = Dispatch(team.executor, left, manifest, team.retries)
    try:
        if stored.decided and isinstance(runner, Execution):
            halve(runner, stored.decided, finished, report)
        else:
            runner.run_all(range(len(left.chunks)), finished, report)
    finally:
        times = manifest["times"]
        times["seconds"] += time.perf_counter() - began
        times["compile_seconds"] += runner.compile_seconds
        times["finished"] = now() if cells == planned.cells.num_cells else None
        manifest["lanes_narrowed"] += [narrowed._asdict() for narrowed in runner.narrowed]
