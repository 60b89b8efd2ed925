"""Running the chunks of a plan on all local devices."""

import gc
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxsgd.engine.planner import Chunk, Plan, cores, lanes_within
from jaxsgd.engine.program import Outputs, compile_draw, compile_train, inputs, seeds
from jaxsgd.engine.store import ChunkArrays
from jaxsgd.engine.subject import precision_of
from jaxsgd.error import InputError
from jaxsgd.measure import stripes

Device = Any
"""A `jax.Device`, which type checkers take for a variable."""

_DRAW = -1
"""The number of the program that draws data and parameters, before those of the plan."""


class Narrowed(NamedTuple):
    """A failed allocation, and what was done about it."""

    program: int
    lanes: int


class Execution:
    """Compiles programs once per device and runs chunks, from as many threads as there are cores or devices.

    XLA releases Python's lock while it runs, and one core's worth of small products does not fill a second core, so on a CPU
    chunks run side by side on one device, without any flag that would have to be set before JAX starts.
    """

    def __init__(self, plan: Plan):
        """Prepares to run a plan; compiles nothing yet."""
        self.plan = plan
        self.lanes = dict.fromkeys(range(len(plan.programs)), plan.lanes)
        self.narrowed: list[Narrowed] = []
        self.compile_seconds = 0.0
        self._programs: dict = {}
        self._locks = {number: threading.Lock() for number in (_DRAW, *range(len(plan.programs)))}

    def run(self, number: int, device: Device) -> ChunkArrays:
        """One chunk, run and summarized."""
        chunk = self.plan.chunks[number]
        program = self.plan.programs[chunk.program]
        study, cells, padded = self.plan.study, self.plan.cells, np.resize(chunk.cells, self.plan.width)
        given = inputs(study, cells, program, padded)
        while True:
            lanes = self.lanes[chunk.program]
            try:
                with precision_of(study.dtype), jax.default_device(device):
                    draw = self._compiled(_DRAW, lanes, device)
                    train = self._compiled(chunk.program, lanes, device)
                    outputs = train(given, draw(seeds(cells, padded)), self.plan.subject.own)
                    outputs = jax.tree.map(lambda leaf: np.asarray(leaf)[: len(chunk.cells)], outputs)
                return summary(self.plan, chunk, outputs)
            except (jax.errors.JaxRuntimeError, MemoryError) as error:
                if "RESOURCE_EXHAUSTED" not in str(error) and not isinstance(error, MemoryError):
                    raise
                self._narrow(chunk.program, lanes)

    def _compiled(self, program: int, lanes: int, device: Device):
        """A compiled program, compiled by the first thread that asks for it."""
        study, subject, cells, width = self.plan.study, self.plan.subject, self.plan.cells, self.plan.width
        key = (program, None if program == _DRAW else lanes, device)
        with self._locks[program]:
            if key not in self._programs:
                began = time.perf_counter()
                if program == _DRAW:
                    self._programs[key] = compile_draw(subject, cells, width)
                else:
                    self._programs[key] = compile_train(study, subject, cells, self.plan.programs[program], width, lanes)
                self.compile_seconds += time.perf_counter() - began
            return self._programs[key]

    def _narrow(self, program: int, lanes: int) -> None:
        with self._locks[program]:
            if self.lanes[program] < lanes:  # another thread has narrowed it meanwhile
                return
            if lanes == 1:
                raise InputError(
                    f"one run needs more memory than there is (about {self.plan.run_bytes / 2**20:,.0f} MiB); "
                    "make the problem smaller"
                )
            self.lanes[program] = lanes_within(self.plan.width, lanes // 2)
            self.narrowed.append(Narrowed(program, self.lanes[program]))
            self._programs = {key: value for key, value in self._programs.items() if key[0] != program}
        gc.collect()

    def run_all(self, numbers: Iterable[int], done: Callable[[int, ChunkArrays], None]) -> None:
        """Runs chunks and hands each over, in this thread, as soon as it is finished; after Ctrl-C perhaps once more.

        A failure or Ctrl-C starts no further chunk; those already running are finished and handed over first.
        """
        free = workers()
        waiting = list(numbers)
        running: dict = {}
        pool = ThreadPoolExecutor(len(free))
        try:
            while waiting or running:
                while waiting and free:
                    device, number = free.pop(), waiting.pop(0)
                    running[pool.submit(self.run, number, device)] = (number, device)
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    number, device = running[future]
                    done(number, future.result())
                    del running[future]
                    free.append(device)
        except BaseException:
            # Also what Ctrl-C has caught while it was handed over: it may be written and not counted.
            for future, (number, _) in running.items():
                if future.exception() is None:
                    done(number, future.result())
            raise
        finally:
            # Not waited for: a second Ctrl-C, while the chunks in hand are being finished above, is to end at once.
            pool.shutdown(wait=False, cancel_futures=True)


def workers() -> list[Device]:
    """The device of each thread that runs chunks: every GPU once, or the CPU once for each core."""
    devices = jax.local_devices()
    return devices[:1] * cores() if devices[0].platform == "cpu" else devices


def summary(plan: Plan, chunk: Chunk, outputs: Outputs) -> ChunkArrays:
    """The arrays kept of a chunk: the averaged view, what is observed after each epoch, stripe measures and divergence, and
    every batch's loss if recorded."""
    study = plan.study
    loss = np.asarray(outputs.loss)
    count = plan.cells.batch_count[chunk.cells]
    measured = {name: np.full(len(chunk.cells), np.nan) for name in ("stripe_gap", "stripe_index", "stripe_slope")}
    finite = np.ones(loss.shape[:2], bool)
    for m in np.unique(count):
        own = np.flatnonzero(count == m)
        finite[own] = np.isfinite(loss[own, :, :m]).all(axis=-1)
        if study.eval_interval <= study.epochs * m:
            found = stripes(loss[own, :, :m], study.eval_interval)
            measured["stripe_gap"][own] = found.gap
            measured["stripe_index"][own] = found.stripe_index
            measured["stripe_slope"][own] = found.slope.mean(axis=-1)
    finite[:, -1] &= np.asarray(outputs.finite)
    first = np.where(finite.all(axis=1), np.nan, finite.argmin(axis=1))
    kept = {"loss": loss} if study.record == "batch" else {}
    return {
        "cell": chunk.cells.astype(np.int64),
        **kept,
        "loss_epoch": np.asarray(outputs.loss_epoch),
        **{name: np.asarray(values) for name, values in outputs.observed.items()},
        **measured,
        "diverged_epoch": first,
    }
