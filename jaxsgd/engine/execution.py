"""Running the chunks of a plan on all local devices."""

import gc
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxsgd.engine.blas import with_one_blas_thread
from jaxsgd.engine.draw_program import DrawSpec
from jaxsgd.engine.plan import Chunk, Plan, lanes_within
from jaxsgd.engine.program import inputs, seeds
from jaxsgd.engine.program_cache import PROGRAMS, on_device
from jaxsgd.engine.run_measures import MOST_KINDS, MeasureSpec, RunKind, run_measures
from jaxsgd.engine.spec import Spec
from jaxsgd.engine.train_program import Outputs, TrainSpec, train_spec
from jaxsgd.error import InputError
from jaxsgd.machine import THREADS_OF_ACCELERATOR, threads
from jaxsgd.results.dataset import kept_arrays
from jaxsgd.results.store import ChunkArrays
from jaxsgd.study.subject import OwnArrays, precision_of
from jaxsgd.train import Span

Device = Any
"""A `jax.Device`: type checkers do not accept it as a type."""


class Narrowed(NamedTuple):
    """A program that runs with fewer lanes after a failed allocation.

    Attributes:
      program: its number in the plan.
      lanes: the cells that run side by side from then on.
    """

    program: int
    lanes: int


class Execution:
    """The runner of a plan's chunks in this process, with a thread for each core, or two for each accelerator.

    Compiled programs come from `PROGRAMS`. XLA releases Python's lock while it runs, and a small product does not use a second
    core. So on a CPU, chunks run side by side on one device, without any flag that would have to be set before JAX starts.

    Attributes:
      plan: the plan to run.
      on_device: True if the stripes of runs are measured on the device that trains them, where that is possible.
      lanes: by program, the number of cells that run side by side.
      narrowed: programs that were run with fewer lanes because memory was short.
      compile_seconds: the time that all threads together spent on compiling.
      chunk_seconds: by the chunk's number, its time without compiling.
      finishing: after Ctrl-C, the number of running chunks that are being finished.
    """

    def __init__(self, plan: Plan, on_device: bool | None = None):
        """Prepare to run a plan; nothing is compiled yet.

        Args:
          plan: the plan to run.
          on_device: True to measure the stripes of runs on the device that trains them; None for a GPU only.
        """
        self.plan = plan
        self.on_device = jax.local_devices()[0].platform == "gpu" if on_device is None else on_device
        self.lanes = dict.fromkeys(range(len(plan.programs)), plan.lanes)
        self.narrowed: list[Narrowed] = []
        self.compile_seconds = 0.0
        self.chunk_seconds: dict[int, float] = {}
        self.finishing = 0
        self._lock = threading.Lock()
        self._arrays: dict[tuple[Device, int], OwnArrays] = {}

    def run(self, number: int, device: Device) -> ChunkArrays:
        """Run a chunk of the plan, note its time and return its arrays.

        Raises:
          InputError: as `run_chunk`.
        """
        arrays, self.chunk_seconds[number] = self.run_chunk(self.plan.chunks[number], device)
        return arrays

    def run_chunk(self, chunk: Chunk, device: Device) -> tuple[ChunkArrays, float]:
        """Run cells of a program of the plan, and return their arrays and the time without compiling.

        Raises:
          InputError: if a single run needs more memory than the device has.
        """
        outputs, seconds = self.outputs(chunk, device)
        began = time.perf_counter()
        arrays = summary(self.plan, chunk, outputs)
        return arrays, seconds + time.perf_counter() - began

    def outputs(self, chunk: Chunk, device: Device, span: Span | None = None) -> tuple[Outputs, float]:
        """Run cells of a program of the plan, and return its outputs and the time without compiling.

        Args:
          chunk: the cells.
          device: that runs them.
          span: the part of each run to train, with the states of as many cells as the plan's width; None for whole runs.

        Raises:
          InputError: as `run_chunk`.
        """
        program = self.plan.programs[chunk.program]
        study, cells, padded = self.plan.study, self.plan.cells, np.resize(chunk.cells, self.plan.width)
        given = inputs(study, cells, program, padded)
        while True:
            lanes = self.lanes[chunk.program]
            try:
                subject = self.plan.subjects.distinct[program.subject]
                draw = self._compiled(DrawSpec(subject, study.dtype, self.plan.width), device)
                training = self.spec(chunk.program, lanes, span is not None)
                train, measures = self._train_and_measures(training, chunk, device)
                began = time.perf_counter()
                with precision_of(study.dtype), on_device(device):
                    drawn = draw(seeds(cells, padded))
                    if self.plan.start:
                        drawn = self.plan.start.begun(drawn, padded, program)
                    outputs = train(given, drawn, self._own(device, program.subject), *([span] if span else []))
                    if measures:
                        measured = {kind: measure(outputs.loss) for kind, measure in measures.items()}
                        outputs = outputs._replace(measures=measured)
                    # All arrays are copied at once: from a GPU each copy has a latency.
                    outputs = jax.tree.map(lambda leaf: leaf[: len(chunk.cells)], jax.device_get(outputs))
                return outputs, time.perf_counter() - began
            except (jax.errors.JaxRuntimeError, MemoryError) as error:
                if "RESOURCE_EXHAUSTED" not in str(error) and not isinstance(error, MemoryError):
                    raise
                self._narrow(chunk.program, lanes, span is not None)

    def spec(self, program: int, lanes: int, by_span: bool) -> TrainSpec:
        """Return the static parts of a program of the plan, by its number, for so many lanes."""
        plan = self.plan
        subject = plan.subjects.distinct[plan.programs[program].subject]
        return train_spec(plan.study, subject, plan.cells, plan.programs[program], plan.width, lanes, by_span=by_span)

    def _train_and_measures(
        self, training: TrainSpec, chunk: Chunk, device: Device
    ) -> tuple[Callable, dict[RunKind, Callable]]:
        """Return the compiled training program of a chunk, and those that measure its runs on the device, by kind.

        There are none of the latter if the processor measures, as it does for runs of many kinds and for runs that are stopped.
        They are compiled while XLA tries products for the training.
        """
        kinds: list[RunKind] = []
        if self.on_device and not training.by_span and not self.plan.study.stop and not self.plan.study.halving:
            kinds = list(_kinds(*_sizes(self.plan, chunk)))
        if not 0 < len(kinds) <= MOST_KINDS:
            return self._compiled(training, device), {}
        shape = (training.width, training.epochs, self.plan.programs[chunk.program].slots)
        specs = [MeasureSpec(shape, training.dtype, kind, self.plan.study.eval_interval) for kind in kinds]
        with ThreadPoolExecutor(len(kinds)) as pool:
            measures = pool.map(lambda spec: self._compiled(spec, device), specs)
            return self._compiled(training, device), dict(zip(kinds, measures, strict=True))

    def _compiled(self, spec: Spec, device: Device) -> Callable:
        compiled, seconds = PROGRAMS.compiled(spec, device)
        with self._lock:
            self.compile_seconds += seconds
        return compiled

    def _own(self, device: Device, subject: int) -> OwnArrays:
        """Return the own arrays of a problem, by its number, on a device; they are copied there once."""
        with self._lock:
            if (device, subject) not in self._arrays:
                self._arrays[device, subject] = jax.device_put(self.plan.subjects.distinct[subject].own, device)
            return self._arrays[device, subject]

    def _narrow(self, program: int, lanes: int, by_span: bool) -> None:
        with self._lock:
            if self.lanes[program] < lanes:  # another thread has narrowed it meanwhile
                return
            if lanes == 1:
                raise InputError(
                    f"a single run needs more memory than is available (about {self.plan.run_bytes / 2**20:,.0f} MiB); "
                    "make the problem smaller"
                )
            self.lanes[program] = lanes_within(self.plan.width, lanes // 2)
            self.narrowed.append(Narrowed(program, self.lanes[program]))
        PROGRAMS.drop(self.spec(program, lanes, by_span))
        gc.collect()

    @property
    def num_workers(self) -> int:
        """The number of chunks that run at the same time."""
        return len(workers())

    @with_one_blas_thread
    def run_all(
        self,
        numbers: Iterable[int],
        done: Callable[[int, Any], None],
        changed: Callable[[], None] = lambda: None,
        run: Callable[[int, Device], Any] | None = None,
    ) -> None:
        """Run chunks and pass each chunk to `done`, in this thread, as soon as it is finished.

        After a failure or Ctrl-C no further chunk starts; running chunks are finished and passed to `done` first. After Ctrl-C
        a chunk may be passed twice.

        Args:
          numbers: of the chunks.
          done: takes a finished chunk.
          changed: called when `finishing` has changed.
          run: runs a chunk, by its number, on a device; None for `self.run`.
        """
        free = workers()
        waiting = list(numbers)
        running: dict = {}
        pool = ThreadPoolExecutor(len(free))
        try:
            while waiting or running:
                while waiting and free:
                    device, number = free.pop(), waiting.pop(0)
                    running[pool.submit(run or self.run, number, device)] = (number, device)
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    number, device = running[future]
                    done(number, future.result())
                    del running[future]
                    free.append(device)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                self.finishing = len(running)
                changed()
            # Also chunks that Ctrl-C caught while they were passed on: they may be written and not counted.
            for future, (number, _) in running.items():
                if future.exception() is None:
                    done(number, future.result())
            raise
        finally:
            # Not waited for: a second Ctrl-C, while the running chunks are being finished above, must end at once.
            pool.shutdown(wait=False, cancel_futures=True)


def workers() -> list[Device]:
    """Return the device of each thread that runs chunks: every GPU twice, or the CPU once for each core."""
    devices = jax.local_devices()
    return devices[:1] * threads() if devices[0].platform == "cpu" else devices * THREADS_OF_ACCELERATOR


def summary(plan: Plan, chunk: Chunk, outputs: Outputs) -> ChunkArrays:
    """Return the arrays of a chunk that the result keeps, NaN past the end of a run.

    They are the loss of each epoch, the observables, the stripe measures, the epoch of divergence, with record="batch" the loss
    of each batch, of a study with a target the step at which each run stopped, and the parameters and the optimizer's states if
    they are kept.
    """
    study, cells, program = plan.study, plan.cells, plan.programs[chunk.program]
    loss = _padded(outputs.loss, cells.epochs)
    (count, steps), stop = _sizes(plan, chunk), {}
    observed = outputs.observed
    if outputs.stopped is not None:
        stopped = np.asarray(outputs.stopped)
        steps = np.where(stopped >= 0, stopped, steps)
        stop = {"stopped_step": np.where(stopped >= 0, stopped, np.nan)} if study.stop else {}
        observed = {name: _repeated(values, plan, chunk, stopped) for name, values in observed.items()}
    measured = {name: np.full(len(chunk.cells), np.nan) for name in ("stripe_gap", "stripe_index", "stripe_slope")}
    finite = np.ones(loss.shape[:2], bool)
    for kind, own in _kinds(count, steps).items():
        if outputs.measures is None:
            measures = run_measures(loss[own], kind, study.eval_interval)
        else:
            measures = jax.tree.map(lambda values, own=own: values[own], outputs.measures[kind])
        finite[own, : measures.finite.shape[1]] = measures.finite
        for name, values in measured.items():
            values[own] = getattr(measures, name)
    ends = steps // count - 1 if study.halving else np.full(len(steps), -1)
    finite[np.arange(len(steps)), ends] &= np.asarray(outputs.finite)
    first = np.where(finite.all(axis=1), np.nan, finite.argmin(axis=1))
    shapes = kept_arrays(study, cells, plan.records)
    kept = {"loss": loss} if study.record == "batch" else {}
    leaves = plan.kept.leaves(program.subject, program.optimizer)
    return {
        "cell": chunk.cells.astype(np.int64),
        **kept,
        "loss_epoch": _padded(outputs.loss_epoch, cells.epochs),
        **{name: _padded(values, *shapes[name]) for name, values in observed.items()},
        **measured,
        "diverged_epoch": first,
        **stop,
        **{
            name: np.asarray(array, leaf.stored)
            for (name, leaf), array in zip(leaves.items(), jax.tree.leaves(outputs.kept), strict=True)
        },
    }


def _sizes(plan: Plan, chunk: Chunk) -> tuple[np.ndarray, np.ndarray]:
    """Return the batch count and the steps of each run of a chunk that is not stopped."""
    cells = plan.cells
    return cells.batch_count[chunk.cells], cells.steps[cells.split[chunk.cells]]


def _kinds(batch_count: np.ndarray, steps: np.ndarray) -> dict[RunKind, np.ndarray]:
    """Return the numbers of the runs of each kind, given the batch count and the steps of each run."""
    # One number for each pair: NumPy is slow at distinct rows.
    code = batch_count.astype(np.int64) * (steps.max() + 1) + steps
    firsts = np.unique(code, return_index=True)[1]
    return {RunKind(int(batch_count[i]), int(steps[i])): np.flatnonzero(code == code[i]) for i in firsts}


def _repeated(values: Any, plan: Plan, chunk: Chunk, stopped: np.ndarray) -> np.ndarray:
    """Return the records of an observable, [R, V], with that of the stop repeated where others were due at the same step."""
    values = np.asarray(values)
    if plan.cells.evaluations is None:
        return values
    same = plan.cells.evaluations[plan.cells.split[chunk.cells], : values.shape[1]] == stopped[:, None]
    at_stop = np.take_along_axis(values, same.argmax(axis=1)[:, None], axis=1)
    return np.where(same, at_stop, values)


def _padded(array: Any, *lengths: int) -> np.ndarray:
    """Return an array whose axes after the first have given lengths, NaN past its own; further axes stay as they are."""
    values = np.asarray(array)
    missing = [length - own for length, own in zip(lengths, values.shape[1:], strict=False)]
    pad = [(0, 0), *((0, own) for own in missing), *[(0, 0)] * (values.ndim - 1 - len(missing))]
    return np.pad(values, pad, constant_values=np.nan) if any(missing) else values
