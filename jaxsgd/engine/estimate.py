"""The time and memory that a plan will take: from constants at once, or from a few of its own chunks."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from jaxsgd.engine.blas import with_one_blas_thread
from jaxsgd.engine.draw_program import DrawSpec
from jaxsgd.engine.execution import Execution, workers
from jaxsgd.engine.plan import Plan
from jaxsgd.engine.program_cache import PROGRAM_BYTES, PROGRAMS
from jaxsgd.memory import peak_memory, process_memory

MOST_PROBES = 4
"""The most programs that are tried."""

PROBE_SECONDS = 20.0
"""The time after which no further program is tried."""


class Estimate(NamedTuple):
    """The time and memory that a plan will take.

    Attributes:
      seconds: time until it is finished, compiling included.
      memory_bytes: memory of the process, with the compiled programs and the chunks in hand.
      probed: the number of programs that were tried; 0 for an estimate from constants.
    """

    seconds: float
    memory_bytes: int
    probed: int


def estimate(planned: Plan) -> Estimate:
    """Return a rough estimate of a plan's time and memory, from constants; nothing is compiled or run."""
    programs = min(len(planned.programs) + len(planned.subjects.distinct), PROGRAMS.most_programs)
    return Estimate(planned.seconds, process_memory() + programs * PROGRAM_BYTES + planned.memory_bytes, 0)


@with_one_blas_thread
def probe(planned: Plan) -> Estimate:
    """Return an estimate of a plan's time and memory, from running some of its chunks.

    A chunk runs on each core or device, for up to `MOST_PROBES` programs from the cheapest to the most expensive. The compiled
    programs are kept, so the run itself need not compile them again. For the other programs, the time per cell from the plan's
    constants is multiplied by a factor that is interpolated between the programs that were tried. The memory is this process's
    largest, plus that of the programs that were not compiled.
    """
    execution, devices = Execution(planned), workers()
    in_hand = min(len(devices), len(planned.chunks))
    first_chunk = {chunk.program: number for number, chunk in reversed(list(enumerate(planned.chunks)))}
    cost = np.array([planned.cell_seconds[program.cells].mean() for program in planned.programs])
    by_cost = np.argsort(cost, kind="stable")
    tried = by_cost[np.unique(np.linspace(0, len(by_cost) - 1, MOST_PROBES).round().astype(int))]
    problems = {planned.programs[program].subject for program in tried}
    draws = [DrawSpec(planned.subjects.distinct[number], planned.study.dtype, planned.width) for number in problems]
    draw_seconds = float(np.mean([PROGRAMS.compiled(draw, devices[0])[1] for draw in draws]) * len(planned.subjects.distinct))
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
    running = planned.trained_share * float((planned.cell_seconds * factor)[cells].sum()) / in_hand
    left = len(planned.programs) - len(factors)
    compiling = sum(compile_seconds) + left * float(np.mean(compile_seconds))
    compiling = draw_seconds + compiling / min(in_hand, len(planned.programs))
    memory = peak_memory() + min(left, PROGRAMS.most_programs) * PROGRAM_BYTES
    return Estimate(running + compiling, memory, len(factors))
