"""Chunks handed to an executor, and taken back: retries, failures, and what is lost when workers are."""

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
from jaxsgd.engine.task import Done, UnfitWorker, described, read_done, run_task, survey
from jaxsgd.error import InputError, RunFailure, counted, shown
from jaxsgd.results.store import BrokenChunk, ChunkArrays
from jaxsgd.study.study import Study

RETRIES = 2
"""How often a chunk that failed on a worker is tried again, unless the caller says otherwise."""

MOST_WAITING = 1024
"""Chunks that are handed over and not back yet, at most: what the scheduler has to keep, and what Ctrl-C has to call back."""

FEWEST_WAITING = 64
"""As many are handed over however large they are."""

WAITING_BYTES = 2**30
"""What may wait in memory, of the scheduler and of the command: the text of chunks to run, and finished ones to be written."""

_NAMED = 3
"""Chunks that the message of a failure names; the exception has them all."""

_LOST = "the connection to the workers is lost"


class Failed(NamedTuple):
    """A chunk that no attempt could finish.

    Attributes:
      chunk: its number.
      cells: its cells' values on every axis, in words.
      tries: how many attempts there were.
      error: what the last one said.
    """

    chunk: int
    cells: tuple[str, ...]
    tries: int
    error: str

    def told(self) -> str:
        """It in words, by its first cell."""
        which = f"cell {self.cells[0]}" if len(self.cells) == 1 else f"{len(self.cells)} cells, the first: {self.cells[0]}"
        return f"chunk {self.chunk} ({which}), tried {counted(self.tries, 'time')}: {self.error}"


class ChunksFailed(RunFailure):
    """Some chunks failed at every attempt; all others are finished.

    Attributes:
      failed: the chunks that did.
    """

    def __init__(self, failed: list[Failed], chunks: int):
        """Words it."""
        self.failed = failed
        named = "; ".join(each.told() for each in failed[:_NAMED])
        more = f"; and {len(failed) - _NAMED} more" if len(failed) > _NAMED else ""
        super().__init__(f"{len(failed)} of {counted(chunks, 'chunk')} failed, all others are finished: {named}{more}")


def surveyed(executor: Executor, study: Study, how: dict[str, Any]) -> tuple[Plan, dict[str, Any]]:
    """The plan for a study on an executor's workers, and the manifest of a result that they make.

    One worker is asked what it is and what it makes of the study. Where its device is of the same kind as the one here, the
    plan is made here, and is the one that this process alone would follow. Otherwise it is the worker's. Either way it is one
    plan for all, written down with the result: the bits depend neither on who runs a chunk nor on how many workers there are.

    Raises:
      InputError: when the executor forks its processes.
      UnfitWorker: when the worker has other versions, other samples, or cannot make the problem.
      RunFailure: when the worker is lost.
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
    # Cores, and what else the worker's machine has, may be others: they decide no bits once the plan is made.
    manifest["device"] = theirs["device"]
    wrong = different(manifest, {**theirs, "held": manifest["held"], "chunks": manifest["chunks"]}, "here", "at the worker")
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
        raise InputError(f"this executor forks its processes, which hang once JAX has started; make one that spawns: {line}")


def check_retries(retries: object) -> None:
    """Check a number of retries.

    Raises:
      InputError: when it is no whole number of at least 0.
    """
    if not isinstance(retries, int) or isinstance(retries, bool) or retries < 0:
        raise InputError(f"retries must be a whole number of at least 0, got {shown(retries)}")


class Dispatch:
    """Hands chunks to an executor's workers, and takes them back.

    Attributes:
      narrowed: programs that were run with fewer lanes for want of memory, as a manifest has them.
      failed: the chunks that failed at every attempt.
      retried: how many attempts were made again.
      chunk_seconds: by the chunk's number, how long it took without compiling.
      finishing: after Ctrl-C, how many chunks in hand are being finished.
    """

    def __init__(self, executor: Executor, plan: Plan, told: dict[str, Any], retries: int):
        """Hand over nothing yet.

        Args:
          executor: whose workers run `jaxsgd.engine.task`.
          plan: whose chunks are run.
          told: the manifest of the result.
          retries: how often a chunk that failed is tried again.

        Raises:
          InputError: when `retries` is no whole number of at least 0.
        """
        check_retries(retries)
        self.plan = plan
        self.narrowed: list[Narrowed] = []
        self.failed: list[Failed] = []
        self.retried = 0
        self.chunk_seconds: dict[int, float] = {}
        self.finishing = 0
        self._executor = executor
        self._common = described(plan, told)
        self._attempts = retries + 1
        self._compile_seconds: dict[str, float] = {}

    @property
    def workers(self) -> tuple[str, ...]:
        """Who finished a chunk."""
        return tuple(self._compile_seconds)

    @property
    def num_workers(self) -> int:
        """How many workers have finished a chunk."""
        return len(self._compile_seconds)

    @property
    def compile_seconds(self) -> float:
        """What all workers spent on compiling."""
        return sum(self._compile_seconds.values(), 0.0)

    def run_all(
        self, numbers: Iterable[int], done: Callable[[int, ChunkArrays], None], changed: Callable[[], None] = lambda: None
    ) -> None:
        """Run chunks and hands each over, in this thread, as soon as it is back.

        A chunk that fails is tried again after those that wait. One that was lost with its worker is tried again by itself
        when all others are back: it may be what kills the workers, and would take with it what waits there.

        When something else fails, or at Ctrl-C, the chunks that no worker has begun are called back, and those that are back
        are handed over. A Dask executor calls all of them back.

        Args:
          numbers: of the chunks.
          done: takes a finished chunk.
          changed: called after a failed attempt, and when `finishing` has changed.

        Raises:
          ChunksFailed: when all others are finished.
          UnfitWorker: from a worker that would not give the same bits.
          RunFailure: when the workers are lost.
        """
        waiting, attempts, running, back = deque(numbers), Counter[int](), {}, SimpleQueue()
        suspects: deque[int] = deque()
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
                if isinstance(finished, Done):
                    self._note(number, finished)
                    done(number, finished.arrays)
                elif attempts[number] == self._attempts:
                    self.failed.append(self._failure(number, attempts[number], finished))
                else:
                    self.retried += 1
                    (suspects if _is_lost_with_worker(finished) else waiting).append(number)
                del running[future]
                if not isinstance(finished, Done):
                    changed()
        except BaseException as error:
            # All are called back before any is waited for, and what cannot be is finished and handed over; also what Ctrl-C has
            # caught while it was handed over: it may be written and not counted.
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
        each = len(self._common) + self.plan.result_bytes // len(self.plan.chunks)
        return max(FEWEST_WAITING, min(MOST_WAITING, WAITING_BYTES // each))

    def _submit(self, number: int, attempt: int) -> Future:
        try:
            return self._executor.submit(run_task, self._common, number, attempt)
        except Exception as error:  # each engine has an exception of its own for a pool that is closed or broken
            raise RunFailure(_why_lost(error)) from None

    def _finished(self, future: Future, number: int) -> Done | Exception:
        """The chunk that came back, or what its attempt failed of."""
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
        # Dask's own words for a chunk whose workers died, one after another, are long and tell of other addresses.
        said = "every worker that ran it died" if _is_lost_with_worker(error) else " ".join(str(error).split())
        return Failed(number, cells, tries, said)


def _is_lost_with_worker(error: Exception) -> bool:
    """Whether a chunk's worker died; Dask, which says so, is no dependency."""
    return type(error).__name__ == "KilledWorker"


def _why_lost(error: BaseException) -> str:
    said = " ".join(str(error).split())
    return f"{_LOST} ({said})" if isinstance(error, BrokenExecutor) and said else _LOST
