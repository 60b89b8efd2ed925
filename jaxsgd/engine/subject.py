"""The problem that a study names, and what the engine needs to know of it."""

import functools
import inspect
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxsgd.error import InputError, no_such
from jaxsgd.optimizer import attribute_at
from jaxsgd.problem import Batch, Problem, check_optimum, num_samples
from jaxsgd.problems import problem_named


@contextmanager
def precision_of(dtype: str) -> Iterator[None]:
    """64-bit mode while the block runs, if `dtype` needs it."""
    with jax.enable_x64(dtype == "float64"):
        yield


class Subject(NamedTuple):
    """A study's problem.

    Attributes:
      problem: the problem itself.
      num_samples: N.
      data: the arrays that the problem holds, or None if it draws its data by key.
    """

    problem: Problem
    num_samples: int
    data: Batch | None

    @staticmethod
    def of(name: str, args: dict[str, Any], dtype: str) -> "Subject":
        """The problem called `name`, or the one that "package.module:attribute" points at, made with `args`.

        The same object each time, unless a file that an argument names has changed.

        Raises:
          InputError: for an unknown name or argument, or data of unequal length.
        """
        return _subject(name, json.dumps(args, sort_keys=True), dtype, _stamps(args))

    def data_fingerprint(self) -> str | None:
        """SHA-256 of the arrays that the problem holds; None if it draws its data."""
        if self.data is None:
            return None
        import hashlib  # noqa: PLC0415

        digest = hashlib.sha256()
        for leaf in jax.tree.leaves(self.data):
            array = np.ascontiguousarray(leaf)
            digest.update(f"{array.dtype}{array.shape}".encode() + array.tobytes())
        return digest.hexdigest()


def _stamps(args: dict[str, Any]) -> tuple[tuple[int, int], ...]:
    """When the files that arguments name were changed, and their sizes."""
    found = []
    for value in args.values():
        with suppress(OSError, TypeError, ValueError):  # no file, or not the name of one
            told = Path(value).stat()
            found.append((told.st_mtime_ns, told.st_size))
    return tuple(found)


# Keyed by JSON, for arguments may be lists; the same problem object keeps its compiled programs.
@functools.lru_cache(maxsize=32)
def _subject(name: str, args_json: str, dtype: str, stamps: tuple) -> Subject:
    del stamps
    args = json.loads(args_json)
    made = attribute_at(name, "problem") if ":" in name else problem_named(name)
    with precision_of(dtype):
        if not isinstance(made, Problem):
            made = _made(name, made, args, dtype)
        elif args:
            raise InputError(f"{name} is a Problem already and takes no problem_args, got {args!r}")
        shapes = jax.eval_shape(made.sample_data, jax.random.key(0))
        count = num_samples(shapes)
        check_optimum(made, jax.eval_shape(made.init, jax.random.key(0)), shapes)
    return Subject(made, count, None if callable(made.data) else made.data)


def _made(name: str, factory: Any, args: dict[str, Any], dtype: str) -> Problem:
    try:
        parameters = inspect.signature(factory).parameters
    except (TypeError, ValueError):
        raise InputError(f"problem {name!r} must be a Problem or a function that makes one, got {factory!r}") from None
    open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    for argument in args:
        if argument not in parameters and not open_ended:
            raise no_such(f"argument of problem {name!r}", argument, parameters)
    missing = [p.name for p in parameters.values() if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD]
    missing = [parameter for parameter in missing if parameter not in args]
    if missing:
        raise InputError(f"problem {name!r} needs {missing[0]!r} among problem_args")
    if "dtype" in parameters:
        args = {"dtype": dtype, **args}
    elif dtype != "float32":
        raise InputError(f"problem {name!r} takes no dtype, so it cannot be run in {dtype}")
    try:
        problem = factory(**args)
    except TypeError as error:
        raise InputError(f"problem {name!r} with {args!r}: {error}") from None
    if not isinstance(problem, Problem):
        raise InputError(f"problem {name!r} must make a jaxsgd.Problem, got {type(problem).__name__}")
    return problem
