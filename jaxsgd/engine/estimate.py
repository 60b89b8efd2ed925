"""The time and memory that a plan will take: from constants at once, or from a few of its own chunks."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from jaxsgd.engine.execution import Execution, workers
from jaxsgd.engine.plan import Plan
from jaxsgd.engine.program import DrawSpec
from jaxsgd.engine.program_cache import PROGRAM_BYTES, PROGRAMS
from jaxsgd.memory import peak_memory, process_memory

MOST_PROBES = 4
"""Most programs that are tried."""

PROBE_SECONDS = 20.0
"""Once probing has taken as long, no further program is tried."""


class Estimate(NamedTuple):
    """The time and memory that a plan will take.

    Attributes:
      seconds: time until it is finished, compiling included.
      memory_bytes: memory of the process, with the compiled programs and the chunks in hand.
      probed: how many of its programs were tried; 0 for an estimate from constants.
    """

    seconds: float
    memory_bytes: int
    probed: int


def estimate(planned: Plan) -> Estimate:
    """Return what a plan will take, from the plan's constants; it compiles and runs nothing, and is rough."""
    programs = min(len(planned.programs) + 1, PROGRAMS.most_programs)
    return Estimate(planned.seconds, process_memory() + programs * PROGRAM_BYTES + planned.memory_bytes, 0)


def probe(planned: Plan) -> Estimate:
    """Return what a plan will take, from running one chunk on each core or device, for up to `MOST_PROBES` of its programs.

    The programs tried are spread from the cheapest to the most expensive. What is compiled for it is kept, as for a run, so
    that the run itself need not compile it again. Time per cell of the other programs is that of the plan's constants, times a
    factor that is interpolated between those tried. The memory is the largest that this process had, and that of the programs
    that were not compiled.
    """
    execution, devices = Execution(planned), workers()
    in_hand = min(len(devices), len(planned.chunks))
    first_chunk = {chunk.program: number for number, chunk in reversed(list(enumerate(planned.chunks)))}
    cost = np.array([planned.cell_seconds[program.cells].mean() for program in planned.programs])
    by_cost = np.argsort(cost, kind="stable")
    tried = by_cost[np.unique(np.linspace(0, len(by_cost) - 1, MOST_PROBES).round().astype(int))]
    _, draw_seconds = PROGRAMS.compiled(DrawSpec(planned.subject, planned.study.dtype, planned.width), devices[0])
    factors, compile_seconds, began = {}, [], time.perf_counter()
    for program in tried:
        number, before = first_chunk[int(program)], execution.compile_seconds
        with ThreadPoolExecutor(in_hand) as pool:
            list(pool.map(lambda device, number=number: execution.run(number, device), devices[:in_hand]))
        compile_seconds.append(execution.compile_seconds - before)
        factors[cost[program]] = execution.chunk_seconds[number] / (planned.width * cost[program])
        if time.perf_counter() - began > PROBE_SECONDS:
            break
    at = sorted(factors)
    factor = np.interp(planned.cell_seconds, at, [factors[seconds] for seconds in at])
    # A short chunk is padded to the width, and takes as long as the others.
    cells = np.concatenate([np.resize(chunk.cells, planned.width) for chunk in planned.chunks])
    running = float((planned.cell_seconds * factor)[cells].sum()) / in_hand
    left = len(planned.programs) - len(factors)
    compiling = sum(compile_seconds) + left * float(np.mean(compile_seconds))
    compiling = draw_seconds + compiling / min(in_hand, len(planned.programs))
    memory = peak_memory() + min(left, PROGRAMS.most_programs) * PROGRAM_BYTES
    return Estimate(running + compiling, memory, len(factors))
