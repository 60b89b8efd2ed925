"""Plan: the programs, chunks, widths, memory and time of a study's runs.

A plan follows from the study, the device's kind, the speed of the processor, which is measured once (`speed.py`), and a few
constants, so the same study on the same machine gets the same plan, and an interrupted run continues with its first plan.

The constants were measured on two cores of an AMD EPYC (`python -m benchmarks` measures again on any machine). They and the
speed change how fast a study runs, and its numbers only to rounding.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxsgd.compiling.work import Work
from jaxsgd.engine.draw_program import draw_work
from jaxsgd.engine.loss_cost import loss_cost
from jaxsgd.engine.program import Program, programs
from jaxsgd.engine.speed import Speed, speed
from jaxsgd.engine.start import Start, start_of
from jaxsgd.error import InputError, check_count
from jaxsgd.machine import THREADS_OF_ACCELERATOR, cores, threads
from jaxsgd.memory import gibibytes, machine_memory
from jaxsgd.microstep import can_evaluate, layout
from jaxsgd.optimizer import schedule_named
from jaxsgd.results.chunk_form import ChunkForm
from jaxsgd.results.store import PLAN_SETTINGS
from jaxsgd.study.cells import Cells
from jaxsgd.study.cells import cells as cells_of
from jaxsgd.study.halving import trained_share
from jaxsgd.study.kept import Kept, kept_of
from jaxsgd.study.observed import ObservedWork, Record, observed_work, records
from jaxsgd.study.shape_check import check_factors
from jaxsgd.study.study import Study, order_named
from jaxsgd.study.subject import Subject, Subjects
from jaxsgd.summary import brief_fields, short_repr

DRAW_COMPILE_SECONDS = 2.0
"""The time to compile the drawing of random numbers, once for each problem of a study, times `Speed.compile_factor`."""

ONE_PROGRAM_SLOWDOWN = 1.25
"""Run time of micro-steps over that of a program for each batch count, on a CPU."""

RANDOM_NUMBER_FLOPS = 400
"""Floating-point operations of a matrix product in the time in which a random number is drawn, with what is computed of it."""

SHUFFLE_SECONDS = 1e-7
"""The time for each sample to draw a new order of the samples in an epoch, on a CPU."""

CACHE_BYTES = 2**20
"""The size of the cache that the lanes of one core should fit into."""

CHUNK_SECONDS = 4.0
"""The time that a chunk should take: an interruption can lose that much work."""

FEWER_LANES_SLOWDOWN = 1.25
"""Run time at a width that the usual lanes do not divide, on a CPU."""

CHUNK_OVERHEAD_SECONDS = 0.05
"""The time of a chunk besides its runs: summary and storage."""

MEMORY_SHARE = 0.25
"""The share of the machine's memory for all running chunks; the result and the system need memory too."""

GPU_LANES = 4096
"""The most lanes on a GPU, which needs many to be busy. On an NVIDIA H200, training 4,096 runs takes 3 % more with 1,024 lanes,
15 % more with 256, and 50 % more with 64 (docs/speed_on_gpu.md).
"""

GPU_MEMORY_SHARE = 0.3
"""The share of a GPU's memory for the estimated memory of the chunks on it. The real peak was twice the estimate on an H200."""


class Chunk(NamedTuple):
    """Cells that run in one call.

    Attributes:
      program: number of its program in the plan.
      cells: their numbers, no more than the plan's width; the call is padded to that width.
    """

    program: int
    cells: np.ndarray

    __repr__ = short_repr


class Plan(NamedTuple):
    """The plan of a study's runs.

    Attributes:
      study: the study.
      subjects: the problems of its cells, as they were when the plan was made.
      cells: its cells.
      programs: the programs to compile.
      chunks: the calls of these programs.
      width: cells in a chunk.
      lanes: cells that run side by side.
      micro_size: q of the micro-steps; None if each batch count has its own program.
      cell_seconds: [R], estimated time of each cell on one core or device.
      compile_seconds: estimated time to compile one of the programs.
      draw_compile_seconds: estimated time to compile the drawing of random numbers for one of the problems.
      trained_share: the epochs that are trained over those of the full grid: below 1 with halving.
      seconds: estimated time with compiling, rough because it comes from constants (`estimate.probe` measures).
      records: the description of each observable's variable.
      run_bytes: estimated memory of one running cell.
      result_bytes: size of the result.
      kept: the parameters and the optimizers' states that are kept.
      param_bytes: the parameters' part of the size of the result.
      state_bytes: the states' part of it.
      start: the parameters from which the cells begin; None for those of the problem.
    """

    study: Study
    subjects: Subjects
    cells: Cells
    programs: list[Program]
    chunks: list[Chunk]
    width: int
    lanes: int
    micro_size: int | None
    cell_seconds: np.ndarray
    compile_seconds: float
    draw_compile_seconds: float
    trained_share: float
    seconds: float
    records: dict[str, Record]
    run_bytes: int
    result_bytes: int
    kept: Kept
    param_bytes: int
    state_bytes: int
    start: Start | None

    def __repr__(self) -> str:
        """Return the numbers of cells, programs and chunks, and the widths."""
        sizes = f"{self.cells.num_cells:,} cells, {len(self.programs):,} programs, {len(self.chunks):,} chunks"
        return brief_fields(self, (sizes, self.vectorize), ("width", "lanes", "micro_size", "study"))

    @property
    def subject(self) -> Subject:
        """The problem of the first cell; all have the same number of samples and the same observables."""
        return self.subjects.distinct[0]

    @property
    def vectorize(self) -> str:
        """The path: "one_program" or "grouped"."""
        return "grouped" if self.micro_size is None else "one_program"

    @property
    def form(self) -> ChunkForm:
        """The arrays of a chunk."""
        return ChunkForm.of(self.study, self.cells, self.records, self.kept)

    @property
    def memory_bytes(self) -> int:
        """Estimated memory while it runs, without the result: the running cells on every core or device."""
        return min(threads(), len(self.chunks)) * self.width * self.run_bytes

    def of_cells(self, wanted: np.ndarray) -> "Plan":
        """Return the same plan for some of its cells only: the chunks of each program are made from these.

        Args:
          wanted: [R], True for these cells.
        """
        chunks = _chunks(self.programs, self.width, wanted)
        compiling = self.compile_seconds, self.draw_compile_seconds
        seconds = _seconds(self.trained_share * self.cell_seconds[wanted], self.programs, chunks, compiling)
        return self._replace(chunks=chunks, seconds=seconds)

    def settings(self) -> dict[str, Any]:
        """Return the plan settings that must match for bit-identical results, as plain values."""
        return dict(zip(PLAN_SETTINGS, (self.vectorize, self.width, self.lanes, self.micro_size), strict=True))


def plan(
    study: Study,
    *,
    vectorize: str = "auto",
    chunk_width: int | None = None,
    lanes: int | None = None,
    micro_size: int | None = None,
) -> Plan:
    """Return the plan for a study on this machine.

    Args:
      study: the study to run.
      vectorize: "one_program" (batch counts are data), "grouped" (a program for each batch count), or "auto".
      chunk_width: cells in a chunk; None to choose.
      lanes: cells that run side by side, a divisor of the chunk's width; None to choose.
      micro_size: q of the micro-steps; None to choose.

    Raises:
      InputError: for an unknown `vectorize` or one that the study rules out, sizes below 1, lanes that do not divide the width,
        a schedule with a negative factor, or evaluations further apart than the steps of every run.
    """
    _check_settings(study, vectorize, chunk_width=chunk_width, lanes=lanes, micro_size=micro_size)
    on_cpu = jax.default_backend() == "cpu"
    subjects = study.subjects()
    cells = cells_of(study, subjects.distinct[0].num_samples)
    costs = [_Cost.of(study, subject) for subject in subjects.distinct]
    cost = _Cost(*map(max, *costs)) if len(costs) > 1 else costs[0]
    measured = speed(cost.convolves)
    run_seconds = _run_seconds(cells, subjects, costs, measured)
    if isinstance(study.evaluate_every, int) and study.evaluate_every > cells.steps.max():
        most = cells.steps.max()
        raise InputError(f"evaluate_every must be at most {most}, the steps of the longest run, got {study.evaluate_every}")
    vectorize = _path(vectorize, study, cells, subjects, micro_size, run_seconds, measured, on_cpu)
    own_programs = programs(cells, subjects.of_cell, vectorize == "one_program", micro_size)
    if vectorize == "one_program" and on_cpu:
        for number in range(len(costs)):
            own = subjects.of_cell == number
            run_seconds[own] = run_seconds[own].mean() * ONE_PROGRAM_SLOWDOWN
    described = records(study, subjects.distinct[0])
    in_run, in_result = _recorded_numbers(study, cells, described)
    kept = kept_of(study, subjects, cells)
    param_bytes, state_bytes = kept.cell_bytes(cells)
    run_bytes = cost.run_bytes + in_run * 4 + int((param_bytes + state_bytes).max())
    most_lanes = lanes or _lanes(cost, on_cpu)
    width = chunk_width or _width(own_programs, float(run_seconds.mean()), run_bytes, most_lanes, on_cpu)
    # A group of fewer lanes would be another computation, and a cell's bits would depend on its position in the chunk.
    if lanes and lanes < width and width % lanes:
        raise InputError(f"lanes must divide chunk_width, got lanes={lanes}, chunk_width={width}")
    lanes = lanes_within(width, most_lanes)
    chunks = _chunks(own_programs, width, np.ones(cells.num_cells, bool))
    compiling = cost.compile_seconds(measured), DRAW_COMPILE_SECONDS * measured.compile_factor
    share = trained_share(study, cells)
    return Plan(
        study=study,
        subjects=subjects,
        cells=cells,
        programs=own_programs,
        chunks=chunks,
        width=width,
        lanes=lanes,
        micro_size=own_programs[0].layout.micro_size if own_programs[0].layout else None,
        cell_seconds=run_seconds,
        compile_seconds=compiling[0],
        draw_compile_seconds=compiling[1],
        trained_share=share,
        seconds=_seconds(share * run_seconds, own_programs, chunks, compiling),
        records=described,
        run_bytes=run_bytes,
        result_bytes=cells.num_cells * in_result * np.dtype(study.dtype).itemsize + int(param_bytes.sum() + state_bytes.sum()),
        kept=kept,
        param_bytes=int(param_bytes.sum()),
        state_bytes=int(state_bytes.sum()),
        start=start_of(study, subjects, cells),
    )


def _check_settings(study: Study, vectorize: str, **counts: int | None) -> None:
    """Check the settings of a plan, and the factors of the study's schedules.

    Args:
      study: the study.
      vectorize: one of the three ways.
      counts: sizes by name; None for those that are to be chosen.

    Raises:
      InputError: with the value that is wrong.
    """
    if vectorize not in ("auto", "one_program", "grouped"):
        raise InputError(f"vectorize must be auto, one_program or grouped, got {vectorize!r}")
    for name, value in counts.items():
        if value is not None:
            check_count(name, value)
    for name in study.schedules or ():
        if ":" in name:  # the factors of the package's own are in range
            check_factors(name, schedule_named(name))


def _run_seconds(cells: Cells, subjects: Subjects, costs: "list[_Cost]", measured: Speed) -> np.ndarray:
    """Return the estimated time of each cell in a program of its own batch count, [R].

    Args:
      cells: the study's.
      subjects: its problems.
      costs: of each distinct problem.
      measured: the speed of the processor.
    """
    seconds = np.empty(cells.num_cells)
    for number, cost in enumerate(costs):
        own = subjects.of_cell == number
        seconds[own] = cost.seconds_per_cell(cells, own, measured)
    is_redrawn = {name: not order_named(name).repeats for name in set(cells.values["order"])}
    redrawn = np.asarray([is_redrawn[name] for name in cells.values["order"]])
    return seconds + redrawn * cells.epochs * subjects.distinct[0].num_samples * SHUFFLE_SECONDS


def _recorded_numbers(study: Study, cells: Cells, described: Mapping[str, Record]) -> tuple[int, int]:
    """Return how many numbers a run records: (those that are kept until it ends, those of the result).

    Args:
      study: the study.
      cells: its cells.
      described: the variables of its observables.
    """
    slots = max(s.batch_count for s in cells.splits)
    dense, sparse = (
        sum(math.prod(record.shape) for record in described.values() if record.sparse == is_sparse and not record.by_batch)
        for is_sparse in (False, True)
    )
    of_steps = slots * sum(math.prod(record.shape) for record in described.values() if record.by_batch)
    # Evaluations within epochs are kept with every step until the run ends.
    rows = sparse + dense * (1 if study.evaluate_every is None else slots)
    in_run = cells.epochs * (slots + rows) + cells.num_observations * of_steps
    losses = cells.epochs * (1 + (slots if study.record == "batch" else 0))
    return in_run, losses + cells.num_records * dense + cells.num_observations * (sparse + of_steps)


def _path(
    vectorize: str,
    study: Study,
    cells: Cells,
    subjects: Subjects,
    micro_size: int | None,
    run_seconds: np.ndarray,
    measured: Speed,
    on_cpu: bool,
) -> str:
    """Return "one_program" if all batch counts share a program, and "grouped" if each has its own.

    Args:
      vectorize: one of them, or "auto".
      study, cells, subjects: the study.
      micro_size: q of the micro-steps; None to choose.
      run_seconds: [R], the estimated time of each cell.
      measured: the speed of the processor.
      on_cpu: True if the study runs on a CPU.

    Raises:
      InputError: for a shared program that the study rules out.
    """
    has_noise = any(subject.problem.has_noise for subject in subjects.distinct)
    one_program_is_out = _why_grouped(study, cells, micro_size, has_noise)
    if vectorize == "one_program" and one_program_is_out:
        raise InputError(
            f"vectorize='one_program' cannot run this study, because {one_program_is_out}; leave it out, or write 'grouped'"
        )
    if vectorize != "auto":
        return vectorize
    # In one program, parts of a batch draw random numbers of their own: the plan would decide the numbers of the result.
    if one_program_is_out or has_noise:
        return "grouped"
    return _cheaper(cells, run_seconds, len(subjects.distinct), measured, on_cpu)


def _chunks(all_programs: list[Program], width: int, wanted: np.ndarray) -> list[Chunk]:
    """Return the chunks of the wanted cells."""
    chunks = []
    for number, program in enumerate(all_programs):
        own = program.cells[wanted[program.cells]]
        chunks += [Chunk(number, own[start : start + width]) for start in range(0, len(own), width)]
    return chunks


def _seconds(
    cell_seconds: np.ndarray, all_programs: list[Program], chunks: list[Chunk], compile_seconds: tuple[float, float]
) -> float:
    """Return the estimated time of chunks with compiling.

    Args:
      cell_seconds: times of their cells.
      all_programs: of the plan.
      chunks: the chunks.
      compile_seconds: to compile a training program, and to compile the drawing for a problem.
    """
    if not chunks:
        return 0.0
    used = {chunk.program for chunk in chunks}
    training, drawing = compile_seconds
    compiling = drawing * len({all_programs[number].subject for number in used}) + training * len(used)
    return float(cell_seconds.sum() / min(threads(), len(chunks)) + compiling)


class _Cost(NamedTuple):
    """The cost of a cell.

    Attributes:
      epoch: the work of a pass over the data.
      draw: the work of drawing the data and the initial parameters.
      params_bytes: size of the parameters.
      run_bytes: memory of a running cell, without its record.
      observed: the work of the observables that the study asks for.
      convolves: True if the loss has a convolution.
    """

    epoch: Work
    draw: Work
    params_bytes: int
    run_bytes: int
    observed: ObservedWork
    convolves: bool

    @staticmethod
    def of(study: Study, subject: Subject) -> "_Cost":
        cost = loss_cost(subject, study.dtype)
        # Parameters, their gradient and sums, an optimizer's two moments, the data, and a batch's intermediate values:
        # a network does six operations per parameter and sample, so operations over parameters give the samples' share.
        activations = 4 * cost.work.flops / max(cost.params_bytes / 4, 1)
        return _Cost(
            epoch=cost.work,
            draw=draw_work(subject, study.dtype),
            params_bytes=cost.params_bytes,
            run_bytes=int(6 * cost.params_bytes + cost.data_bytes + activations),
            observed=observed_work(study, subject),
            convolves=cost.convolves,
        )

    def compile_seconds(self, measured: Speed) -> float:
        """Return the estimated time to compile a training program."""
        return measured.compile_seconds(self.epoch.equations, Work.total(self.observed).equations)

    def seconds_per_cell(self, cells: Cells, wanted: np.ndarray, measured: Speed) -> np.ndarray:
        """Return the estimated time of the wanted cells; `wanted` is True for them, [R]."""
        count = np.asarray([s.batch_count for s in cells.splits])
        flops = measured.convolution_flops if self.convolves else measured.flops
        step_seconds = measured.equation_seconds * self.epoch.equations + self.params_bytes * 3 / flops

        def seconds_of(work: Work) -> float:
            return (work.flops + work.random_numbers * RANDOM_NUMBER_FLOPS) / flops

        seconds = seconds_of(self.draw) + cells.steps / count * (seconds_of(self.epoch) + count * step_seconds)
        evaluations, observations = (
            0 if times is None else np.isfinite(times).sum(axis=1) for times in (cells.evaluations, cells.observations)
        )
        evaluations = np.ceil(cells.steps / count) if cells.evaluations is None else evaluations
        times_of_each = evaluations, observations, observations * count, observations
        for times, work in zip(times_of_each, self.observed, strict=True):
            seconds = seconds + times * (seconds_of(work) + work.equations * measured.equation_seconds)
        return seconds[cells.split[wanted]]


def _why_grouped(study: Study, cells: Cells, micro_size: int | None, has_noise: bool) -> str:
    """Return the reason why batch counts cannot share a program; empty if they can.

    Args:
      study: the study.
      cells: its cells.
      micro_size: q of the micro-steps; None to choose.
      has_noise: True if the loss takes a random key.
    """
    if (cells.steps != cells.epochs * np.asarray([s.batch_count for s in cells.splits])).any():
        return "its runs do not have the same number of epochs"
    if study.observe_batches and has_noise:
        return "the gradients that observe_batches measures would have other random numbers than the steps"
    every = study.evaluate_every
    if every is None or can_evaluate(cells.splits, layout(cells.splits, micro_size), every):
        return ""
    return f"its batch counts cannot be evaluated after common micro-steps (evaluate_every={every:g})"


def _cheaper(cells: Cells, run_seconds: np.ndarray, num_problems: int, measured: Speed, on_cpu: bool) -> str:
    """Return "one_program" if the time saved on compiling is larger than the time lost in running; always on a GPU."""
    if len(cells.splits) == 1:
        return "grouped"
    if not on_cpu:
        return "one_program"
    slower = run_seconds.sum() / cores() * (ONE_PROGRAM_SLOWDOWN - 1)
    compiling = measured.compile_seconds() * num_problems * (len(cells.splits) - 1)
    return "one_program" if slower < compiling else "grouped"


def _lanes(cost: _Cost, on_cpu: bool) -> int:
    if on_cpu and cost.convolves:
        return 1  # lanes with kernels of their own make grouped convolutions, which take twice as long per cell
    if on_cpu:
        fitting = CACHE_BYTES // max(3 * cost.params_bytes, 1)
        return 2 ** int(math.log2(np.clip(fitting, 1, 8)))
    device = jax.local_devices()[0]
    free = (device.memory_stats() or {}).get("bytes_limit", 8 * 2**30)
    own_share = free * GPU_MEMORY_SHARE / THREADS_OF_ACCELERATOR
    return int(np.clip(own_share // max(cost.run_bytes, 1), 1, GPU_LANES))


def lanes_within(width: int, most: int) -> int:
    """Return the largest number of lanes, up to `most`, that divides a chunk's width."""
    return next(lanes for lanes in range(min(most, width), 0, -1) if width % lanes == 0)


def check_fits(plan: Plan, in_memory: bool) -> None:
    """Check, before anything runs, that a plan fits into the machine's memory.

    Args:
      plan: the plan to run.
      in_memory: True if the result is kept in memory; a folder takes each chunk as soon as it is finished.

    Raises:
      InputError: with the estimate, the machine's memory, and the remedy.
    """
    needed, has = plan.memory_bytes + (plan.result_bytes if in_memory else 0), machine_memory()
    if needed > has:
        hint = "run fewer cells or epochs" + (", or record='epoch'" if plan.study.record == "batch" else "")
        if plan.memory_bytes <= has:
            hint += ", or give a result folder"
        raise InputError(
            f"this study needs about {gibibytes(needed)} GiB of memory, and the machine has {gibibytes(has)}: {hint}"
        )


def _width(all_programs: list[Program], run_seconds: float, run_bytes: int, lanes: int, on_cpu: bool) -> int:
    largest = max(len(program.cells) for program in all_programs)
    workers = threads()
    wanted = max(lanes, int(CHUNK_SECONDS / max(run_seconds, 1e-9))) if on_cpu else lanes
    fitting = int(MEMORY_SHARE * machine_memory() / (workers * run_bytes))
    most = max(1, min(largest, wanted, 4096, fitting))
    # A few programs are divided among the workers; many programs keep all workers busy.
    # The threads of one accelerator take turns on it, and so share no program.
    sharing = (workers if on_cpu else jax.local_device_count()) if len(all_programs) < workers else 1
    share = math.ceil(largest / sharing)
    if not on_cpu:
        return math.ceil(share / math.ceil(share / most))
    if share <= lanes:
        return min(most, share)

    def seconds(width: int) -> float:
        # A short last chunk is padded, and takes as long as the others.
        rounds = math.ceil(math.ceil(largest / width) / sharing)
        fewer_lanes = 1 if width % lanes == 0 else FEWER_LANES_SLOWDOWN
        return rounds * (width * run_seconds * fewer_lanes + CHUNK_OVERHEAD_SECONDS)

    return min([*range(lanes, most + 1, lanes), min(share, most)], key=seconds)
