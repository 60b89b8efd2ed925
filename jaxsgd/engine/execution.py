"""Running the chunks of a plan on all local devices."""

import gc
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxsgd.engine.plan import Chunk, Plan, lanes_within
from jaxsgd.engine.program import DrawSpec, Outputs, TrainSpec, inputs, seeds, train_spec
from jaxsgd.engine.program_cache import PROGRAMS
from jaxsgd.error import InputError
from jaxsgd.machine import threads
from jaxsgd.measure.stripes import stripes
from jaxsgd.results.store import ChunkArrays
from jaxsgd.study.subject import OwnArrays, precision_of

Device = Any
"""A `jax.Device`, which type checkers take for a variable."""


class Narrowed(NamedTuple):
    """A failed allocation, and what was done about it."""

    program: int
    lanes: int


class Execution:
    """Runs chunks from as many threads as there are cores or devices; takes its compiled programs from `PROGRAMS`.

    XLA releases Python's lock while it runs, and one core's worth of small products does not fill a second core, so on a CPU
    chunks run side by side on one device, without any flag that would have to be set before JAX starts.

    Attributes:
      plan: whose chunks are run.
      lanes: by program, how many cells run side by side.
      narrowed: programs that were run with fewer lanes, for want of memory.
      compile_seconds: spent on compiling, by all threads together.
      chunk_seconds: by the chunk's number, how long it took without compiling.
      finishing: after Ctrl-C, how many chunks in hand are being finished.
    """

    def __init__(self, plan: Plan):
        """Prepare to run a plan; compiles nothing yet."""
        self.plan = plan
        self.lanes = dict.fromkeys(range(len(plan.programs)), plan.lanes)
        self.narrowed: list[Narrowed] = []
        self.compile_seconds = 0.0
        self.chunk_seconds: dict[int, float] = {}
        self.finishing = 0
        self._lock = threading.Lock()
        self._arrays: dict[Device, OwnArrays] = {}

    def run(self, number: int, device: Device) -> ChunkArrays:
        """One chunk, run and summarized."""
        chunk = self.plan.chunks[number]
        program = self.plan.programs[chunk.program]
        study, cells, padded = self.plan.study, self.plan.cells, np.resize(chunk.cells, self.plan.width)
        given = inputs(study, cells, program, padded)
        while True:
            lanes = self.lanes[chunk.program]
            try:
                draw = self._compiled(DrawSpec(self.plan.subject, study.dtype, self.plan.width), device)
                train = self._compiled(self._spec(chunk.program, lanes), device)
                began = time.perf_counter()
                with precision_of(study.dtype), jax.default_device(device):
                    outputs = train(given, draw(seeds(cells, padded)), self._own(device))
                    outputs = jax.tree.map(lambda leaf: np.asarray(leaf)[: len(chunk.cells)], outputs)
                arrays = summary(self.plan, chunk, outputs)
                self.chunk_seconds[number] = time.perf_counter() - began
                return arrays
            except (jax.errors.JaxRuntimeError, MemoryError) as error:
                if "RESOURCE_EXHAUSTED" not in str(error) and not isinstance(error, MemoryError):
                    raise
                self._narrow(chunk.program, lanes)

    def _spec(self, program: int, lanes: int) -> TrainSpec:
        plan = self.plan
        return train_spec(plan.study, plan.subject, plan.cells, plan.programs[program], plan.width, lanes)

    def _compiled(self, spec: DrawSpec | TrainSpec, device: Device) -> Callable:
        compiled, seconds = PROGRAMS.compiled(spec, device)
        with self._lock:
            self.compile_seconds += seconds
        return compiled

    def _own(self, device: Device) -> OwnArrays:
        """The problem's own arrays on a device, copied there once."""
        with self._lock:
            if device not in self._arrays:
                self._arrays[device] = jax.device_put(self.plan.subject.own, device)
            return self._arrays[device]

    def _narrow(self, program: int, lanes: int) -> None:
        with self._lock:
            if self.lanes[program] < lanes:  # another thread has narrowed it meanwhile
                return
            if lanes == 1:
                raise InputError(
                    f"one run needs more memory than there is (about {self.plan.run_bytes / 2**20:,.0f} MiB); "
                    "make the problem smaller"
                )
            self.lanes[program] = lanes_within(self.plan.width, lanes // 2)
            self.narrowed.append(Narrowed(program, self.lanes[program]))
        PROGRAMS.drop(self._spec(program, lanes))
        gc.collect()

    @property
    def num_workers(self) -> int:
        """How many chunks run at the same time."""
        return len(workers())

    def run_all(
        self, numbers: Iterable[int], done: Callable[[int, ChunkArrays], None], changed: Callable[[], None] = lambda: None
    ) -> None:
        """Run chunks and hand each over, in this thread, as soon as it is finished; after Ctrl-C perhaps once more.

        A failure or Ctrl-C starts no further chunk; those already running are finished and handed over first.

        Args:
          numbers: of the chunks.
          done: takes a finished chunk.
          changed: called when `finishing` has changed.
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
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                self.finishing = len(running)
                changed()
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
    return devices[:1] * threads() if devices[0].platform == "cpu" else devices


def summary(plan: Plan, chunk: Chunk, outputs: Outputs) -> ChunkArrays:
    """The arrays kept of a chunk: the averaged view, what is observed, stripe measures, divergence, and every batch's loss if
    recorded. Past the end of a run they are NaN."""
    study, cells = plan.study, plan.cells
    loss = _padded(outputs.loss, cells.epochs)
    count = cells.batch_count[chunk.cells]
    steps = cells.steps[cells.split[chunk.cells]]
    measured = {name: np.full(len(chunk.cells), np.nan) for name in ("stripe_gap", "stripe_index", "stripe_slope")}
    finite = np.ones(loss.shape[:2], bool)
    for m, taken in np.unique(np.stack([count, steps], axis=1), axis=0):
        own = np.flatnonzero((count == m) & (steps == taken))
        past = np.arange(cells.epochs * m).reshape(cells.epochs, m) >= taken
        finite[own] = (np.isfinite(loss[own, :, :m]) | past).all(axis=-1)
        # Stripes are of whole epochs.
        whole = taken // m
        if study.eval_interval <= whole * m:
            found = stripes(loss[own, :whole, :m], study.eval_interval)
            measured["stripe_gap"][own] = found.gap
            measured["stripe_index"][own] = found.stripe_index
            measured["stripe_slope"][own] = found.slope.mean(axis=-1)
    finite[:, -1] &= np.asarray(outputs.finite)
    first = np.where(finite.all(axis=1), np.nan, finite.argmin(axis=1))
    kept = {"loss": loss} if study.record == "batch" else {}
    return {
        "cell": chunk.cells.astype(np.int64),
        **kept,
        "loss_epoch": _padded(outputs.loss_epoch, cells.epochs),
        **{name: _padded(values, cells.num_records) for name, values in outputs.observed.items()},
        **measured,
        "diverged_epoch": first,
    }


def _padded(array: Any, length: int) -> np.ndarray:
    """Return an array with a second axis of a given length, NaN past its own."""
    values = np.asarray(array)
    missing = length - values.shape[1]
    pad = [(0, 0), (0, missing), *[(0, 0)] * (values.ndim - 2)]
    return np.pad(values, pad, constant_values=np.nan) if missing else values
