"""The unit of work: a chunk of a study, described by JSON, that any worker can run.

A task has only names and numbers: the resolved study, the settings of its plan, and the facts that must match on the worker.
Its answer is the bytes of the chunk's file. So no code of this package is sent, a worker needs no shared folder, and only the
command writes into the result. A chunk has the same bits for every worker and every repetition.
"""

import functools
import json
import os
import platform
import threading
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxsgd.engine.blas import with_one_blas_thread
from jaxsgd.engine.execution import Execution
from jaxsgd.engine.manifest import different, facts
from jaxsgd.engine.plan import Chunk, Plan, plan
from jaxsgd.error import InputError, first_sentence
from jaxsgd.results.store import BrokenChunk, ChunkArrays, packed, unpacked
from jaxsgd.study.study import Study


class UnfitWorker(InputError):
    """A worker that would not give the same bits, or cannot make the study's problem: one line with the reason."""


class ChunkError(RuntimeError):
    """The failure of a chunk, in words: the exception itself may be of a type that only the worker has."""


class Done(NamedTuple):
    """A finished chunk from a worker.

    Attributes:
      arrays: the chunk.
      worker: the worker that ran it: its host and process.
      lanes: cells that ran side by side; fewer than planned if memory was short.
      seconds: its time without compiling.
      compile_seconds: the time that this worker has spent on compiling so far.
    """

    arrays: ChunkArrays
    worker: str
    lanes: int
    seconds: float
    compile_seconds: float


def described(planned: Plan, manifest: dict[str, Any]) -> str:
    """Return the common part of the tasks of a plan, as JSON.

    Args:
      planned: the plan.
      manifest: of its result.
    """
    same = {name: manifest[name] for name in facts(planned)}
    return json.dumps({"study": planned.study.resolved(), "facts": same}, allow_nan=False)


def survey(study: str, how: str) -> str:
    """Return the facts of a worker's own plan of a study, as JSON.

    Args:
      study: the resolved study, as JSON.
      how: `plan`'s keyword arguments, as JSON.

    Raises:
      UnfitWorker: if it cannot make the study's problem.
    """
    planned = plan(_study(json.loads(study)), **json.loads(how))
    return json.dumps({**facts(planned), "worker": here()})


def chunk_text(chunk: Chunk) -> str:
    """Return a chunk as JSON: the number of its program in the plan, and the numbers of its cells in the study."""
    return json.dumps({"program": chunk.program, "cells": chunk.cells.tolist()})


@with_one_blas_thread
def run_task(common: str, chunk: str, attempt: int = 1) -> bytes:
    """Run a chunk, and return a line of JSON on the run, followed by its arrays as `packed` makes them.

    Args:
      common: the text that `described` returns.
      chunk: the text that `chunk_text` returns.
      attempt: makes a repeated call different, for executors that store the results of equal calls.

    Raises:
      UnfitWorker: if this process would not give the same bits.
      ChunkError: if the chunk cannot be run.
    """
    del attempt
    execution, fields = _prepared(common), json.loads(chunk)
    program = fields["program"]
    try:
        arrays, seconds = execution.run_chunk(Chunk(program, np.asarray(fields["cells"])), jax.local_devices()[0])
    except Exception as error:
        lines = str(error).strip().splitlines() or [""]
        raise ChunkError(f"{type(error).__name__}: {lines[-1] if 'Traceback' in lines[0] else lines[0]}") from error
    how = {"worker": here(), "lanes": execution.lanes[program]}
    how |= {"seconds": seconds, "compile_seconds": execution.compile_seconds}
    return json.dumps(how).encode() + b"\n" + packed(arrays, execution.plan.study.identity)


def read_done(answer: bytes, number: int, identity: str, cells: np.ndarray) -> Done:
    """Check the bytes that `run_task` returned, and return the chunk in them.

    Raises:
      BrokenChunk: if they are not that chunk of that study.
    """
    head, _, content = answer.partition(b"\n")
    arrays = unpacked(content, f"chunk {number}", identity)
    if not np.array_equal(arrays.get("cell", ()), cells):
        raise BrokenChunk(f"chunk {number}: holds other cells")
    try:
        how = json.loads(head)
        return Done(arrays, str(how["worker"]), int(how["lanes"]), float(how["seconds"]), float(how["compile_seconds"]))
    except (ValueError, TypeError, KeyError) as error:
        raise BrokenChunk(f"chunk {number}: the worker's answer has no valid line on the run ({error})") from None


def here() -> str:
    """Return the name of this process for messages: its host and number."""
    return f"{platform.node()}, process {os.getpid()}"


_preparing = threading.Lock()


def _prepared(common: str) -> Execution:
    """Return the runner of a study's chunks; it is kept, so that the study is not planned again for each chunk."""
    with _preparing:
        execution = _execution(common)
        if execution.plan.study.subjects().distinct != execution.plan.subjects.distinct:  # the user's code was edited meanwhile
            _execution.cache_clear()
            execution = _execution(common)
        return execution


@functools.lru_cache(maxsize=2)
def _execution(common: str) -> Execution:
    task = json.loads(common)
    planned = plan(_study(task["study"]), **task["facts"]["held"])
    wrong = different(task["facts"], facts(planned), "at the command", "on the worker")
    if wrong:
        raise UnfitWorker(f"the worker {here()} would not give the same bits ({'; '.join(wrong)})")
    return Execution(planned)


def _study(fields: dict[str, Any]) -> Study:
    try:
        return Study(**fields)
    except Exception as error:  # the user's modules are imported here, and may raise anything
        reason = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {first_sentence(error)}"
        raise UnfitWorker(
            f"the worker {here()} cannot make the study: {reason}; the worker must be able to import your modules: "
            "install them on the worker, or start it with their folder in PYTHONPATH"
        ) from None
