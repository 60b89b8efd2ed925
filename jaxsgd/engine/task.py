"""The unit of work: one chunk of a study, described by JSON and a number, and run wherever the two arrive.

What is sent are names and numbers: the resolved study, what its plan must hold to, and what must be the same there as here.
What comes back are the bytes of the chunk's file. So no code of this package travels, a worker needs no folder in common with
the command, and the command alone writes into the result. A chunk's bits are the same whoever runs it and however often.
"""

import functools
import json
import os
import platform
import threading
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxsgd.engine.execution import Execution
from jaxsgd.engine.manifest import different, facts
from jaxsgd.engine.plan import Plan, plan
from jaxsgd.error import InputError, first_sentence
from jaxsgd.results.store import BrokenChunk, ChunkArrays, packed, unpacked
from jaxsgd.study.study import Study


class UnfitWorker(InputError):
    """A worker that would not give the same bits, or cannot make the study's problem at all: one line that says why."""


class ChunkError(RuntimeError):
    """What went wrong with a chunk, in words: the exception itself may be of a type that only the worker knows."""


class Done(NamedTuple):
    """A chunk that came back.

    Attributes:
      arrays: the chunk.
      worker: who ran it: its host and process.
      lanes: cells that ran side by side; fewer than planned where memory was short.
      seconds: how long it took without compiling.
      compile_seconds: what this worker has spent on compiling so far.
    """

    arrays: ChunkArrays
    worker: str
    lanes: int
    seconds: float
    compile_seconds: float


def described(planned: Plan, told: dict[str, Any]) -> str:
    """What all chunks of a plan have in common, as JSON.

    Args:
      planned: what is run.
      told: the manifest of its result.
    """
    same = {name: told[name] for name in facts(planned)}
    return json.dumps({"study": planned.study.resolved(), "facts": same}, allow_nan=False)


def survey(study: str, how: str) -> str:
    """What a worker would make of a study: the facts of its own plan, as JSON.

    Args:
      study: the resolved study, as JSON.
      how: `plan`'s keyword arguments, as JSON.

    Raises:
      UnfitWorker: when it cannot make the study's problem.
    """
    planned = plan(_study(json.loads(study)), **json.loads(how))
    return json.dumps({**facts(planned), "worker": here()})


def run_task(common: str, number: int, attempt: int = 1) -> bytes:
    """Run one chunk: the bytes of its file, after one line of JSON on how it was run.

    Args:
      common: what `described` says.
      number: of the chunk.
      attempt: makes a repeated call another one, for engines that keep the outcome of equal calls.

    Raises:
      UnfitWorker: when this process would not give the same bits.
      ChunkError: when the chunk cannot be run.
    """
    del attempt
    execution = _prepared(common)
    try:
        arrays = execution.run(number, jax.local_devices()[0])
    except Exception as error:
        said = str(error).strip().splitlines() or [""]
        raise ChunkError(f"{type(error).__name__}: {said[-1] if 'Traceback' in said[0] else said[0]}") from error
    lanes = execution.lanes[execution.plan.chunks[number].program]
    seconds = execution.chunk_seconds[number]
    how = {"worker": here(), "lanes": lanes, "seconds": seconds, "compile_seconds": execution.compile_seconds}
    return json.dumps(how).encode() + b"\n" + packed(arrays, execution.plan.study.identity)


def read_done(answer: bytes, number: int, identity: str, cells: np.ndarray) -> Done:
    """What `run_task` returned, checked.

    Raises:
      BrokenChunk: when it is not that chunk of that study.
    """
    head, _, content = answer.partition(b"\n")
    arrays = unpacked(content, f"chunk {number}", identity, cells)
    try:
        how = json.loads(head)
        return Done(arrays, str(how["worker"]), int(how["lanes"]), float(how["seconds"]), float(how["compile_seconds"]))
    except (ValueError, TypeError, KeyError) as error:
        raise BrokenChunk(f"chunk {number}: came back without a word on how it was run ({error})") from None


def here() -> str:
    """This process, as messages name it."""
    return f"{platform.node()}, process {os.getpid()}"


_preparing = threading.Lock()


def _prepared(common: str) -> Execution:
    """Return what runs the chunks of a study; kept, so that the study is not planned again for each chunk."""
    with _preparing:
        execution = _execution(common)
        if execution.plan.study.subject() is not execution.plan.subject:  # the user's code was edited meanwhile
            _execution.cache_clear()
            execution = _execution(common)
        return execution


@functools.lru_cache(maxsize=2)
def _execution(common: str) -> Execution:
    told = json.loads(common)
    planned = plan(_study(told["study"]), **told["facts"]["held"])
    wrong = different(told["facts"], facts(planned), "at the command", "at the worker")
    if wrong:
        raise UnfitWorker(f"the worker {here()} would not give the same bits ({'; '.join(wrong)})")
    return Execution(planned)


def _study(fields: dict[str, Any]) -> Study:
    try:
        return Study(**fields)
    except Exception as error:  # the user's modules are imported here, and may raise anything
        said = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {first_sentence(error)}"
        raise UnfitWorker(
            f"the worker {here()} cannot make the study: {said}; a module of yours must be importable there: "
            "install it, or start the worker with its folder in PYTHONPATH"
        ) from None
