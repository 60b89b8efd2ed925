"""How a study will be run: which path, how wide, how long, how much memory.

Everything here follows from the study, the device's kind and a few constants, so that the same study on the same machine
gets the same plan, and a run that was cut short goes on with the plan it began with.

The constants were measured on two cores of an AMD EPYC (`jaxsgd bench` measures anew on any machine); they steer speed, never
numbers beyond rounding.
"""

import math
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxsgd.engine.program import Program, programs
from jaxsgd.error import InputError, check_count
from jaxsgd.machine import cores, threads
from jaxsgd.measure.observable import observations
from jaxsgd.memory import gibibytes, machine_memory
from jaxsgd.microstep import can_evaluate, layout
from jaxsgd.results.store import PLAN_SETTINGS
from jaxsgd.study.cells import Cells
from jaxsgd.study.cells import cells as cells_of
from jaxsgd.study.study import Study
from jaxsgd.study.subject import Subject, precision_of
from jaxsgd.summary import brief_fields, short_repr

DRAW_COMPILE_SECONDS = 2.0
"""To compile the drawing of random numbers, once a study."""

COMPILE_SECONDS = 0.5
"""To compile the training of a small network."""

ONE_PROGRAM_SLOWDOWN = 1.25
"""Run time of micro-steps over that of a program for each batch count, on a CPU."""

CPU_FLOPS = 10e9
"""Floating-point operations per second and core that these small products reach."""

STEP_SECONDS = 5e-6
"""What a step costs besides its arithmetic, on a CPU."""

CACHE_BYTES = 2**20
"""Cache that the lanes of one core should fit into."""

CHUNK_SECONDS = 4.0
"""How long a chunk should take: what an interruption can lose at most."""

FEWER_LANES_SLOWDOWN = 1.25
"""Run time at a width that the usual lanes do not divide, on a CPU."""

CHUNK_OVERHEAD_SECONDS = 0.05
"""What a chunk costs besides its runs: summing up and storing."""

MEMORY_SHARE = 0.25
"""Share of the machine's memory that the chunks in hand may take together; the result and the system need room too."""

GPU_LANES = 4096
"""Most lanes on a GPU, where width is what keeps it busy."""


class Chunk(NamedTuple):
    """Cells that run in one call.

    Attributes:
      program: number of its program in the plan.
      cells: their numbers, at most the plan's width; the call is padded to that.
    """

    program: int
    cells: np.ndarray

    __repr__ = short_repr


class Plan(NamedTuple):
    """How a study is run.

    Attributes:
      study: what is run.
      subject: its problem, as it was when the plan was made.
      cells: its cells.
      programs: what is compiled.
      chunks: what is called.
      width: cells in a chunk.
      lanes: cells side by side.
      micro_size: q of the micro-steps, None where each batch count has a program of its own.
      cell_seconds: [R], estimated time of each cell on one core or device.
      seconds: estimated time, compiling included; rough, for it comes from constants (`estimate.probe` asks the machine).
      run_bytes: estimated memory of one running cell.
      result_bytes: size of the result.
    """

    study: Study
    subject: Subject
    cells: Cells
    programs: list[Program]
    chunks: list[Chunk]
    width: int
    lanes: int
    micro_size: int | None
    cell_seconds: np.ndarray
    seconds: float
    run_bytes: int
    result_bytes: int

    def __repr__(self) -> str:
        """How many cells run in how many programs and chunks."""
        sizes = f"{self.cells.num_cells:,} cells, {len(self.programs):,} programs, {len(self.chunks):,} chunks"
        return brief_fields(self, (sizes, self.vectorize), ("width", "lanes", "micro_size", "study"))

    @property
    def vectorize(self) -> str:
        """The path: "one_program" or "grouped"."""
        return "grouped" if self.micro_size is None else "one_program"

    @property
    def memory_bytes(self) -> int:
        """Estimated memory while it runs, without the result: the cells in hand on every core or device."""
        return min(threads(), len(self.chunks)) * self.width * self.run_bytes

    def held(self) -> dict[str, Any]:
        """What must be the same for the same bits, as plain values."""
        return dict(zip(PLAN_SETTINGS, (self.vectorize, self.width, self.lanes, self.micro_size), strict=True))


def plan(
    study: Study,
    *,
    vectorize: str = "auto",
    chunk_width: int | None = None,
    lanes: int | None = None,
    micro_size: int | None = None,
) -> Plan:
    """The plan for a study on this machine.

    Args:
      study: what to run.
      vectorize: "one_program" (batch counts are data), "grouped" (a program for each), or "auto".
      chunk_width: cells in a chunk, to override the choice.
      lanes: cells side by side, to override the choice; they divide the chunk's width.
      micro_size: q of the micro-steps, to override the choice.

    Raises:
      InputError: for an unknown `vectorize` or one that the study rules out, sizes below 1, lanes that do not divide the width,
        or evaluations further apart than the steps of every run.
    """
    if vectorize not in ("auto", "one_program", "grouped"):
        raise InputError(f"vectorize must be auto, one_program or grouped, got {vectorize!r}")
    for name, value in (("chunk_width", chunk_width), ("lanes", lanes), ("micro_size", micro_size)):
        if value is not None:
            check_count(name, value)
    on_cpu = jax.default_backend() == "cpu"
    subject = study.subject()
    cells = cells_of(study, subject.num_samples)
    cost = _Cost.of(study, subject)
    every = study.evaluate_every
    if isinstance(every, int) and every > cells.steps.max():
        raise InputError(f"evaluate_every must be at most {cells.steps.max()}, the most steps of a run, got {every}")
    one_program_is_out = _why_grouped(study, cells, micro_size)
    if vectorize == "one_program" and one_program_is_out:
        raise InputError(
            f"vectorize='one_program' cannot run this study: {one_program_is_out}; leave it out, or write 'grouped'"
        )
    if vectorize == "auto":
        vectorize = "grouped" if one_program_is_out else _cheaper(cells, cost, on_cpu)
    found = programs(cells, vectorize == "one_program", micro_size)
    slots = max(s.batch_count for s in cells.splits)
    observed = len(observations(subject.problem, every))
    # Evaluations within epochs are kept with every step until the run ends.
    run_bytes = cost.run_bytes + cells.epochs * (slots + observed * (1 if every is None else slots)) * 4
    most_lanes = lanes or _lanes(cost, on_cpu)
    run_seconds = cost.seconds_per_cell(cells)
    if vectorize == "one_program" and on_cpu:
        run_seconds = np.full_like(run_seconds, run_seconds.mean() * ONE_PROGRAM_SLOWDOWN)
    width = chunk_width or _width(found, float(run_seconds.mean()), run_bytes, most_lanes, on_cpu)
    # A group of fewer lanes would be another computation, and a cell's bits would depend on its place in the chunk.
    if lanes and lanes < width and width % lanes:
        raise InputError(f"lanes must divide chunk_width, got lanes={lanes}, chunk_width={width}")
    lanes = lanes_within(width, most_lanes)
    chunks = [
        Chunk(number, program.cells[start : start + width])
        for number, program in enumerate(found)
        for start in range(0, len(program.cells), width)
    ]
    seconds = run_seconds.sum() / min(threads(), len(chunks)) + DRAW_COMPILE_SECONDS + COMPILE_SECONDS * len(found)
    kept = cells.epochs * (1 + (slots if study.record == "batch" else 0)) + cells.num_records * observed
    return Plan(
        study=study,
        subject=subject,
        cells=cells,
        programs=found,
        chunks=chunks,
        width=width,
        lanes=lanes,
        micro_size=found[0].layout.micro_size if found[0].layout else None,
        cell_seconds=run_seconds,
        seconds=float(seconds),
        run_bytes=run_bytes,
        result_bytes=cells.num_cells * kept * np.dtype(study.dtype).itemsize,
    )


class _Cost(NamedTuple):
    """What one cell costs: operations per epoch, memory, steps."""

    epoch_flops: float
    params_bytes: int
    run_bytes: int

    @staticmethod
    def of(study: Study, subject: Subject) -> "_Cost":
        problem = subject.problem

        def one_pass(params, data):
            return jax.value_and_grad(lambda params: problem.loss(params, data).mean())(params)

        with precision_of(study.dtype):
            key = jax.random.key(0)
            params, data = jax.eval_shape(problem.init, key), jax.eval_shape(problem.sample_data, key)
            flops = float((jax.jit(one_pass).lower(params, data).cost_analysis() or {}).get("flops", 0))
        # Parameters, their gradient and sums, an optimizer's two moments, the data, and a batch's intermediate values:
        # a network does six operations a parameter and sample, so operations over parameters tell the samples' share.
        activations = 4 * flops / max(_bytes(params) / 4, 1)
        return _Cost(flops, _bytes(params), int(6 * _bytes(params) + _bytes(data) + activations))

    def seconds_per_cell(self, cells: Cells) -> np.ndarray:
        count = np.asarray([s.batch_count for s in cells.splits])
        update = self.params_bytes * 3 / CPU_FLOPS
        seconds = cells.steps / count * (self.epoch_flops / CPU_FLOPS + count * (STEP_SECONDS + update))
        if cells.evaluations is not None:
            # Each is a pass forwards over the samples, a third of the operations of one forwards and backwards.
            seconds = seconds + np.isfinite(cells.evaluations).sum(axis=1) * self.epoch_flops / 3 / CPU_FLOPS
        return seconds[cells.split]


def _bytes(tree: Any) -> int:
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def _why_grouped(study: Study, cells: Cells, micro_size: int | None) -> str:
    """Return why batch counts cannot share a program; empty where they can."""
    if (cells.steps != cells.epochs * np.asarray([s.batch_count for s in cells.splits])).any():
        return "its runs do not end with the same epoch"
    every = study.evaluate_every
    if every is None or can_evaluate(cells.splits, layout(cells.splits, micro_size), every):
        return ""
    return f"its batch counts have no common micro-steps at which to evaluate (evaluate_every={every:g})"


def _cheaper(cells: Cells, cost: _Cost, on_cpu: bool) -> str:
    """One program where compiling the others would take longer than it runs slower; always on a GPU."""
    if len(cells.splits) == 1:
        return "grouped"
    if not on_cpu:
        return "one_program"
    slower = cost.seconds_per_cell(cells).sum() / cores() * (ONE_PROGRAM_SLOWDOWN - 1)
    return "one_program" if slower < COMPILE_SECONDS * (len(cells.splits) - 1) else "grouped"


def _lanes(cost: _Cost, on_cpu: bool) -> int:
    if on_cpu:
        fitting = CACHE_BYTES // max(3 * cost.params_bytes, 1)
        return 2 ** int(math.log2(np.clip(fitting, 1, 8)))
    device = jax.local_devices()[0]
    free = (device.memory_stats() or {}).get("bytes_limit", 8 * 2**30)
    return int(np.clip(free * 0.6 // max(cost.run_bytes, 1), 1, GPU_LANES))


def lanes_within(width: int, most: int) -> int:
    """The most lanes, up to `most`, that divide a chunk's width."""
    return next(lanes for lanes in range(min(most, width), 0, -1) if width % lanes == 0)


def check_fits(plan: Plan, in_memory: bool) -> None:
    """Check, before anything runs, that a plan fits into the machine's memory.

    Args:
      plan: what is to be run.
      in_memory: whether the result is kept in memory; a folder takes each chunk as soon as it is finished.

    Raises:
      InputError: with the estimate, the memory that the machine has, and what would fit.
    """
    needed, has = plan.memory_bytes + (plan.result_bytes if in_memory else 0), machine_memory()
    if needed > has:
        hint = "run fewer cells or epochs" + (", or record='epoch'" if plan.study.record == "batch" else "")
        if plan.memory_bytes <= has:
            hint += ", or give a result folder"
        raise InputError(
            f"this study needs about {gibibytes(needed)} GiB of memory, and the machine has {gibibytes(has)}: {hint}"
        )


def _width(found: list[Program], run_seconds: float, run_bytes: int, lanes: int, on_cpu: bool) -> int:
    largest = max(len(program.cells) for program in found)
    workers = threads()
    wanted = max(lanes, int(CHUNK_SECONDS / max(run_seconds, 1e-9))) if on_cpu else lanes
    fitting = int(MEMORY_SHARE * machine_memory() / (workers * run_bytes))
    most = max(1, min(largest, wanted, 4096, fitting))
    # Few programs are shared out among the workers; many keep them all busy.
    sharing = workers if len(found) < workers else 1
    share = math.ceil(largest / sharing)
    if not on_cpu or share <= lanes:
        width = min(most, share)
        return math.ceil(width / lanes) * lanes if width > lanes else width

    def seconds(width: int) -> float:
        # A short last chunk is padded, and takes as long as the others.
        rounds = math.ceil(math.ceil(largest / width) / sharing)
        fewer_lanes = 1 if width % lanes == 0 else FEWER_LANES_SLOWDOWN
        return rounds * (width * run_seconds * fewer_lanes + CHUNK_OVERHEAD_SECONDS)

    return min([*range(lanes, most + 1, lanes), min(share, most)], key=seconds)
