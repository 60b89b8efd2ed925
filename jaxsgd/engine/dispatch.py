"""Chunks sent to an executor's workers and received from them: retries, failures, and lost workers."""

import json
from collections import Counter, deque
from collections.abc import Callable, Iterable
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, NamedTuple

from jaxsgd.engine.execution import Narrowed
from jaxsgd.engine.manifest import different, new_manifest
from jaxsgd.engine.plan import Plan, plan
from jaxsgd.engine.task import Done, UnfitWorker, chunk_text, described, read_done, run_task, survey
from jaxsgd.error import InputError, RunFailure, counted, shown
from jaxsgd.results.store import BrokenChunk, ChunkArrays
from jaxsgd.study.study import Study

RETRIES = 2
"""The default number of times that a chunk is tried again after it failed on a worker."""

MOST_WAITING = 1024
"""The most chunks that are sent and not yet received: the scheduler keeps them, and Ctrl-C has to cancel them."""

FEWEST_WAITING = 64
"""The number of chunks that are sent at the same time even if they are large."""

WAITING_BYTES = 2**30
"""The memory for waiting chunks, of the scheduler and of the command: texts of chunks to run, and results to be written."""

_MOST_NAMED = 3
"""The most failed chunks that a message names; the exception has all of them."""

_LOST = "the connection to the workers is lost"


class Failed(NamedTuple):
    """A chunk that no attempt could finish.

    Attributes:
      chunk: its number.
      cells: its cells' values on every axis, in words.
      tries: the number of attempts.
      error: the message of the last attempt that failed by itself; that all workers died, if there is none.
    """

    chunk: int
    cells: tuple[str, ...]
    tries: int
    error: str

    def text(self) -> str:
        """Return the failure in words, with the first cell."""
        which = f"cell {self.cells[0]}" if len(self.cells) == 1 else f"{len(self.cells)} cells, the first: {self.cells[0]}"
        return f"chunk {self.chunk} ({which}), tried {counted(self.tries, 'time')}: {self.error}"


class ChunksFailed(RunFailure):
    """Some chunks failed at every attempt; all others are finished.

    Attributes:
      failed: these chunks.
    """

    def __init__(self, failed: list[Failed], chunks: int):
        """Write the message.

        Args:
          failed: the chunks that failed.
          chunks: the number of all chunks.
        """
        self.failed = failed
        named = "; ".join(failure.text() for failure in failed[:_MOST_NAMED])
        more = f"; and {len(failed) - _MOST_NAMED} more" if len(failed) > _MOST_NAMED else ""
        super().__init__(f"{len(failed)} of {counted(chunks, 'chunk')} failed, all others are finished: {named}{more}")


def surveyed(executor: Executor, study: Study, how: dict[str, Any]) -> tuple[Plan, dict[str, Any]]:
    """Return the plan for a study on an executor's workers, and the manifest of its result.

    A worker reports its device and its own plan of the study. If its device is of the same kind as the device of this process,
    the plan is the one that this process would follow alone. Otherwise it is the worker's plan. All workers follow this one
    plan, and it is stored with the result: the bits depend neither on the worker that runs a chunk nor on the number of
    workers.

    Raises:
      InputError: if the executor forks its processes.
      UnfitWorker: if the worker has other versions, other samples, or cannot make the problem.
      RunFailure: if the worker is lost.
    """
    check_executor(executor)
    text = json.dumps(study.resolved(), allow_nan=False)
    try:
        theirs = json.loads(executor.submit(survey, text, json.dumps(how)).result())
    except (CancelledError, BrokenExecutor) as error:
        raise RunFailure(_why_lost(error)) from None
    planned = plan(study, **how)
    manifest = new_manifest(planned)
    if any(manifest["device"][name] != theirs["device"][name] for name in ("backend", "kind")):
        planned = plan(study, **theirs["held"])
        manifest = new_manifest(planned)
    # The worker's machine may have other cores, for example: with a given plan they do not change the bits.
    manifest["device"] = theirs["device"]
    wrong = different(manifest, {**theirs, "held": manifest["held"]}, "here", "on the worker")
    if wrong:
        raise UnfitWorker(f"the worker {theirs['worker']} would not give the same bits ({'; '.join(wrong)})")
    return planned, manifest


def check_executor(executor: Executor) -> None:
    """Check that an executor's processes are not forks of this one: JAX has threads, whose locks a fork copies for ever.

    Raises:
      InputError: when they are, with the line that makes a pool which spawns.
    """
    context = getattr(executor, "_mp_context", None)  # of a `ProcessPoolExecutor`, which has no public name for it
    if context is not None and context.get_start_method() == "fork":
        count = getattr(executor, "_max_workers", 2)
        line = f'ProcessPoolExecutor({count}, mp_context=multiprocessing.get_context("spawn"))'
        raise InputError(
            f"this executor forks its processes, and they hang after JAX has started; make one that spawns: {line}"
        )


def _check_retries(retries: object) -> None:
    """Check a number of retries.

    Raises:
      InputError: if it is not a whole number of at least 0.
    """
    if not isinstance(retries, int) or isinstance(retries, bool) or retries < 0:
        raise InputError(f"retries must be a whole number of at least 0, got {shown(retries)}")


class Dispatch:
    """The runner of a plan's chunks on an executor's workers.

    Attributes:
      narrowed: programs that were run with fewer lanes because memory was short, as a manifest has them.
      failed: the chunks that failed at every attempt.
      retried: the number of repeated attempts.
      chunk_seconds: by the chunk's number, its time without compiling.
      finishing: after Ctrl-C, the number of running chunks that are being finished.
    """

    def __init__(self, executor: Executor, plan: Plan, manifest: dict[str, Any], retries: int):
        """Prepare to run a plan; nothing is sent yet.

        Args:
          executor: its workers run `jaxsgd.engine.task`.
          plan: the plan to run.
          manifest: of the result.
          retries: the number of times that a failed chunk is tried again.

        Raises:
          InputError: if `retries` is not a whole number of at least 0.
        """
        _check_retries(retries)
        self.plan = plan
        self.narrowed: list[Narrowed] = []
        self.failed: list[Failed] = []
        self.retried = 0
        self.chunk_seconds: dict[int, float] = {}
        self.finishing = 0
        self._executor = executor
        self._common = described(plan, manifest)
        self._attempts = retries + 1
        self._compile_seconds: dict[str, float] = {}

    @property
    def workers(self) -> tuple[str, ...]:
        """The workers that have finished a chunk."""
        return tuple(self._compile_seconds)

    @property
    def num_workers(self) -> int:
        """The number of workers that have finished a chunk."""
        return len(self._compile_seconds)

    @property
    def compile_seconds(self) -> float:
        """The time that all workers together spent on compiling."""
        return sum(self._compile_seconds.values(), 0.0)

    def run_all(
        self, numbers: Iterable[int], done: Callable[[int, ChunkArrays], None], changed: Callable[[], None] = lambda: None
    ) -> None:
        """Run chunks and pass each chunk to `done`, in this thread, as soon as it is received.

        A failed chunk is tried again after the waiting chunks. A chunk that was lost with its worker is tried again alone,
        after all others: it may be the one that kills the workers, and would lose the chunks that wait with it.

        After any other failure, or at Ctrl-C, the chunks that no worker has begun are cancelled, and the finished chunks are
        passed to `done`. A Dask executor cancels all of them.

        Args:
          numbers: of the chunks.
          done: takes a finished chunk.
          changed: called after a failed attempt, and when `finishing` has changed.

        Raises:
          ChunksFailed: after all other chunks are finished.
          UnfitWorker: from a worker that would not give the same bits.
          RunFailure: if the workers are lost.
        """
        waiting, attempts, running, back = deque(numbers), Counter[int](), {}, SimpleQueue()
        suspects: deque[int] = deque()
        errors: dict[int, Exception] = {}
        most = self._most_waiting()
        try:
            while waiting or suspects or running:
                while (waiting and len(running) < most) or (suspects and not running):
                    number = (waiting or suspects).popleft()
                    attempts[number] += 1
                    future = self._submit(number, attempts[number])
                    running[future] = number
                    future.add_done_callback(back.put)
                future = back.get()
                number = running[future]
                finished = self._finished(future, number)
                if isinstance(finished, Exception) and not _is_lost_with_worker(finished):
                    errors[number] = finished
                if isinstance(finished, Done):
                    self._note(number, finished)
                    done(number, finished.arrays)
                elif attempts[number] == self._attempts:
                    # A chunk that fails by itself may be lost with a worker as well, beside another chunk that kills it.
                    self.failed.append(self._failure(number, attempts[number], errors.get(number, finished)))
                else:
                    self.retried += 1
                    (suspects if _is_lost_with_worker(finished) else waiting).append(number)
                del running[future]
                if not isinstance(finished, Done):
                    changed()
        except BaseException as error:
            # All are cancelled first. Those that cannot be cancelled are finished and passed on. So are those that Ctrl-C
            # caught while they were passed on: they may be written and not counted.
            in_hand = [(future, number) for future, number in running.items() if not future.cancel()]
            if isinstance(error, KeyboardInterrupt):
                self.finishing = len(in_hand)
                changed()
            for future, number in in_hand:
                if future.exception() is None:
                    with suppress(BrokenChunk):
                        done(number, self._read(future, number).arrays)
            raise
        if self.failed:
            raise ChunksFailed(self.failed, len(self.plan.chunks))

    def _most_waiting(self) -> int:
        chunk_bytes = len(self._common) + self.plan.result_bytes // len(self.plan.chunks)
        return max(FEWEST_WAITING, min(MOST_WAITING, WAITING_BYTES // chunk_bytes))

    def _submit(self, number: int, attempt: int) -> Future:
        try:
            return self._executor.submit(run_task, self._common, chunk_text(self.plan.chunks[number]), attempt)
        except Exception as error:  # every kind of executor has its own exception for a closed or broken pool
            raise RunFailure(_why_lost(error)) from None

    def _finished(self, future: Future, number: int) -> Done | Exception:
        """Return the chunk, or the exception of its failed attempt."""
        try:
            return self._read(future, number)
        except (CancelledError, BrokenExecutor) as error:
            raise RunFailure(_why_lost(error)) from None
        except UnfitWorker:
            raise
        except Exception as error:
            return error

    def _note(self, number: int, finished: Done) -> None:
        self._compile_seconds[finished.worker] = finished.compile_seconds
        self.chunk_seconds[number] = finished.seconds
        step = Narrowed(self.plan.chunks[number].program, finished.lanes)
        if finished.lanes != self.plan.lanes and step not in self.narrowed:
            self.narrowed.append(step)

    def _read(self, future: Future, number: int) -> Done:
        return read_done(future.result(), number, self.plan.study.identity, self.plan.chunks[number].cells)

    def _failure(self, number: int, tries: int, error: Exception) -> Failed:
        cells = tuple(self.plan.cells.name(int(cell)) for cell in self.plan.chunks[number].cells)
        # Dask's own message for a chunk whose workers died is long and names other addresses.
        reason = "every worker that ran it died" if _is_lost_with_worker(error) else " ".join(str(error).split())
        return Failed(number, cells, tries, reason)


def _is_lost_with_worker(error: Exception) -> bool:
    """Return True if a chunk's worker died, by the name of Dask's exception: Dask is not a dependency."""
    return type(error).__name__ == "KilledWorker"


def _why_lost(error: BaseException) -> str:
    reason = " ".join(str(error).split())
    return f"{_LOST} ({reason})" if isinstance(error, BrokenExecutor) and reason else _LOST
