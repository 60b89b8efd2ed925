"""How long a plan will take on this machine, from a few of its own runs, cut short."""

import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import numpy as np

from jaxsgd.engine.execution import workers
from jaxsgd.engine.planner import COMPILE_SECONDS, DRAW_COMPILE_SECONDS, Plan, plan
from jaxsgd.engine.program import DrawSpec, inputs, seeds, train_spec
from jaxsgd.engine.program_cache import PROGRAMS
from jaxsgd.engine.subject import precision_of

PROBES = 4
"""Most programs that are tried."""

PROBE_SECONDS = 0.2
"""How long one call of a probe is meant to take."""

REPEATS = 3
"""Calls of a probe that are timed; the fastest counts, for others share the machine."""


def measured_seconds(planned: Plan) -> float:
    """Estimated time of a plan, compiling included.

    Up to `PROBES` of the plan's programs, from the cheapest to the dearest, run some of their cells for a few epochs, on all
    cores or devices at once, for that is how chunks run. The time per cell and epoch of the programs between is that of the
    plan's own estimate, corrected by a factor interpolated between the probes. Compiling counts by the planner's constants, for
    a probe may find its program compiled already.

    Returns:
      Seconds.
    """
    cost = np.array([planned.cell_seconds[program.cells].mean() for program in planned.programs])
    by_cost = np.argsort(cost, kind="stable")
    tried = by_cost[np.unique(np.linspace(0, len(by_cost) - 1, PROBES).round().astype(int))]
    factor = {}
    for number in tried:
        epochs = math.ceil(PROBE_SECONDS / max(planned.lanes * cost[number] / planned.study.epochs, 1e-9))
        factor[cost[number]] = _probe(planned, int(number), min(epochs, planned.study.epochs)) / cost[number]
    at = sorted(factor)
    seconds = planned.cell_seconds * np.interp(planned.cell_seconds, at, [factor[each] for each in at])
    in_hand = min(len(workers()), len(planned.chunks))
    return float(seconds.sum() / in_hand + DRAW_COMPILE_SECONDS + COMPILE_SECONDS * len(planned.programs))


def _probe(planned: Plan, number: int, epochs: int) -> float:
    """Seconds that a cell of a program takes while all workers run one, scaled up from a few epochs."""
    study = planned.study.replaced(epochs=epochs)
    held: dict[str, Any] = planned.held() | {"chunk_width": planned.lanes, "lanes": planned.lanes}
    short = plan(study, **held)
    program = short.programs[number]
    members = np.resize(program.cells, short.width)
    device = workers()[0]
    draw, _ = PROGRAMS.compiled(DrawSpec(short.subject, study.dtype, short.width), device)
    spec = train_spec(study, short.subject, short.cells, program, short.width, short.lanes)
    train, _ = PROGRAMS.compiled(spec, device)
    with precision_of(study.dtype):
        begun = draw(seeds(short.cells, members))
    given = inputs(study, short.cells, program, members)

    def once(_: object) -> None:
        with precision_of(study.dtype):
            jax.block_until_ready(train(given, begun, short.subject.own))

    in_hand = min(len(workers()), len(planned.chunks))
    with ThreadPoolExecutor(in_hand) as pool:
        once(None)  # the first call also hands over what the program holds
        fastest = min(_timed(lambda: list(pool.map(once, range(in_hand)))) for _ in range(REPEATS))
    return fastest / short.width * planned.study.epochs / epochs


def _timed(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began
