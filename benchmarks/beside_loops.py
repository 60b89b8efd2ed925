"""A sweep of a user's problem beside the loops that its user would have written."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from benchmarks.peer import OURS, Contender, check_same_losses, losses_of
from benchmarks.round import interleaved_times, ratio
from benchmarks.timing_row import Row, row
from benchmarks.torch_loop import torch
from benchmarks.user_loop import Loop, by_runs, by_steps, in_torch, side_by_side
from benchmarks.user_problem import UserProblem, begun
from jaxsgd.engine.draw_program import draw_function
from jaxsgd.engine.execution import Execution
from jaxsgd.engine.plan import Plan, plan
from jaxsgd.engine.program import inputs, seeds
from jaxsgd.engine.program_cache import PROGRAMS
from jaxsgd.engine.sweep import sweep

WHOLE = "jaxsgd.sweep, whole"
"""A sweep as its user waits for it: with the plan, drawing, stripes and the dataset."""


EPOCHS_CHECKED = 3
"""Epochs whose losses must be the same: over many steps differences of rounding grow, and a small loss shows them."""


class UserLoop(NamedTuple):
    """A loop to compare with.

    Attributes:
      words: what it is.
      of: makes the loop of a problem.
      is_sequential: True if it goes through the runs one by one, so that a few of them tell the time of all.
      needs: the package it needs, if that is no dependency.
    """

    words: str
    of: Callable[[UserProblem], Loop]
    is_sequential: bool
    needs: str = ""

    @property
    def is_there(self) -> bool:
        """True if the package that it needs is installed."""
        return not self.needs or torch is not None


USER_LOOPS = {
    "jit_step": UserLoop("loop over a jitted step", by_steps, is_sequential=True),
    "jit_run": UserLoop("loop over jit(scan)", by_runs, is_sequential=True),
    "jit_vmap": UserLoop("jit(vmap(scan))", side_by_side, is_sequential=False),
    "torch": UserLoop("PyTorch loop", in_torch, is_sequential=True, needs="torch"),
}
"""The loops by name."""


def training(planned: Plan) -> Callable[[], dict[int, Any]]:
    """Return a call that runs the training programs of a plan and nothing else; their inputs are drawn before."""
    execution = Execution(planned)
    drawing = jax.jit(jax.vmap(draw_function(planned.subject)))
    starts = {}
    for number, chunk in enumerate(planned.chunks):
        padded, program = np.resize(chunk.cells, planned.width), planned.programs[chunk.program]
        given = inputs(planned.study, planned.cells, program, padded)
        starts[number] = jax.block_until_ready((given, drawing(seeds(planned.cells, padded)), planned.subject.own))

    def run(number: int, device: Any) -> Any:
        spec = execution.spec(planned.chunks[number].program, planned.lanes, by_span=False)
        return jax.block_until_ready(PROGRAMS.compiled(spec, device)[0](*starts[number]))

    def call() -> dict[int, Any]:
        results: dict[int, Any] = {}
        execution.run_all(range(len(planned.chunks)), results.__setitem__, run=run)
        return results

    return call


def beside_loops(user: UserProblem, runs: int, *, few: int, repeats: int) -> list[Row]:
    """Return the times of a sweep and of every loop that is installed, a run and epoch each, in interleaved rounds.

    Ratios are to the training programs of the sweep, which do what the loops do: the loops too get their data and parameters.

    Args:
      user: the problem.
      runs: R.
      few: runs of the loops that go through the runs one by one.
      repeats: rounds.

    Raises:
      InputError: for a loop whose losses are others.
    """
    epochs = user.epochs(runs)
    study = user.study(runs, epochs)
    planned, start = plan(study), begun(study)
    timed: dict[str, Contender] = {}
    for name, loop in USER_LOOPS.items():
        if loop.is_there:
            own = start.first(min(few, runs) if loop.is_sequential else runs)
            train = loop.of(user)
            timed[name] = Contender(loop.words, lambda train=train, own=own: train(own, epochs), own.runs)
    losses = {OURS: losses_of(planned)(), **{name: item.call() for name, item in timed.items()}}
    check_same_losses({name: own[:, :EPOCHS_CHECKED] for name, own in losses.items()})
    calls: dict[str, Callable[[], Any]] = {OURS: training(planned), WHOLE: lambda: sweep(study)}
    for call in calls.values():
        call()
    times = interleaved_times(calls | {name: item.call for name, item in timed.items()}, repeats)
    units = dict.fromkeys(calls, runs * epochs) | {name: item.runs * epochs for name, item in timed.items()}
    words = {OURS: "jaxsgd, training programs", WHOLE: WHOLE} | {name: item.words for name, item in timed.items()}
    rows = []
    for name, taken in times.items():
        cpu = ratio(taken.cpu / units[name], times[OURS].cpu / units[OURS])
        base = times[OURS].wall / units[OURS]
        group = f"{user.words}, {runs} run{'s' * (runs > 1)}"
        rows.append(row(words[name], taken.wall, base, units[name], group)._replace(cpu=cpu))
    return rows
