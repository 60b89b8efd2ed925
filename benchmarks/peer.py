"""Who runs the workload: the simulator, and what people would use in its place."""

from collections.abc import Callable
from contextlib import ExitStack
from typing import NamedTuple

import numpy as np

from benchmarks import jax_script, numpy_loop, torch_loop
from benchmarks.core_pool import one_thread_each
from benchmarks.workload import Start, Workload
from jaxsgd.engine.execution import Execution
from jaxsgd.engine.plan import Plan, cores, plan
from jaxsgd.error import InputError, no_such
from jaxsgd.results.store import ChunkArrays

Trained = Callable[[Start, int, int, float], np.ndarray]
"""`(arrays of R runs, m, E, rate) -> losses [R, E, m]`."""

OURS = "jaxsgd"

LOSS_RTOL = 2e-3
"""How far losses may lie apart for two programs to have trained the same: float32 sums in another order, over many steps."""


class Peer(NamedTuple):
    """A program to compare with.

    Attributes:
      words: what it is.
      train: runs the workload.
      loops: whether it goes through the runs one by one, so that a few of them tell the time of all.
      needs: the package it needs, where that is no dependency.
    """

    words: str
    train: Trained
    loops: bool
    needs: str = ""

    @property
    def is_there(self) -> bool:
        """True if the packages that the peer needs are installed."""
        return not self.needs or torch_loop.torch is not None


PEERS = {
    "numpy": Peer("NumPy loop, one process", numpy_loop.train_each, loops=True),
    "numpy_processes": Peer("NumPy loop, a process per core", numpy_loop.train_each, loops=True),
    "torch": Peer("PyTorch loop", torch_loop.train_each, loops=True, needs="torch"),
    "torch_vmap": Peer("torch.func.vmap over runs", torch_loop.train_side_by_side, loops=False, needs="torch"),
    "jit_step": Peer("jitted step, called from Python", jax_script.train_by_steps, loops=True),
    "jit_run": Peer("jitted run, called from Python", jax_script.train_by_runs, loops=True),
    "jit_vmap": Peer("jit(vmap(scan)) at full width", jax_script.train_side_by_side, loops=False),
}
"""The peers by name."""


class Contender(NamedTuple):
    """Something to time.

    Attributes:
      words: what it is.
      call: runs it once and gives its losses [r, E, m].
      runs: r, how many of the workload's runs it does.
    """

    words: str
    call: Callable[[], np.ndarray]
    runs: int


def executing(plan: Plan) -> Callable[[], dict[int, ChunkArrays]]:
    """A call that runs all of a plan's chunks as a sweep does, and gives them by number; compiled at its first use."""
    execution = Execution(plan)

    def call() -> dict[int, ChunkArrays]:
        results: dict[int, ChunkArrays] = {}
        execution.run_all(range(len(plan.chunks)), results.__setitem__)
        return results

    return call


def losses_of(plan: Plan) -> Callable[[], np.ndarray]:
    """The same, giving the losses of all cells, [R, E, m]; for a study that records every batch."""
    run = executing(plan)

    def call() -> np.ndarray:
        results = run()
        return np.concatenate([results[number]["loss"] for number in sorted(results)])

    return call


def contenders(workload: Workload, start: Start, names: list[str], few: int, open_until: ExitStack) -> dict[str, Contender]:
    """The simulator and the named peers, ready to be timed.

    Args:
      workload: what to run.
      start: what its runs begin with.
      names: of peers; those whose package is missing are left out.
      few: runs timed for peers that run sequentially.
      open_until: closes what a peer holds open.

    Raises:
      InputError: for an unknown peer.
    """
    for name in names:
        if name not in PEERS:
            raise no_such("peer", name, PEERS)
    timed = {OURS: Contender(OURS, losses_of(plan(workload.study())), workload.runs)}
    how = (workload.batch_count, workload.epochs, workload.rate)
    for name in names:
        peer = PEERS[name]
        if not peer.is_there:
            continue
        runs = min(few, workload.runs) if peer.loops else workload.runs
        train = peer.train
        if name == "numpy_processes":
            runs = min(few * cores(), workload.runs)
            train = numpy_loop.over_processes(open_until.enter_context(one_thread_each(cores())))
        own = start.first(runs)
        timed[name] = Contender(peer.words, lambda train=train, own=own: train(own, *how), runs)
    return timed


def largest_difference(losses: np.ndarray, reference: np.ndarray) -> float:
    """Return the largest share by which the losses of runs differ from those of the same runs, the first, of a reference."""
    return float(np.max(np.abs(losses / reference[: len(losses)] - 1)))


def check_same_losses(results: dict[str, np.ndarray]) -> None:
    """Checks that all have trained the same, by the losses of the runs that they did.

    Raises:
      InputError: naming a peer that differs, and by how much.
    """
    ours = results[OURS]
    for name, losses in results.items():
        apart = largest_difference(losses, ours)
        if not apart <= LOSS_RTOL:
            raise InputError(f"{name} has not trained the same: its losses differ by a share of {apart:.2g}")
