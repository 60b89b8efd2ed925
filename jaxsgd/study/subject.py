"""The problem that a study names, with its size and its arrays."""

import collections
import dataclasses
import functools
import hashlib
import inspect
import json
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import CodeType
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxsgd.error import InputError, no_such, shown
from jaxsgd.optimizer import attribute_at
from jaxsgd.problem import Batch, Problem, check_training, hold_out, num_samples
from jaxsgd.problems import problem_named
from jaxsgd.study.dependencies import Dependencies
from jaxsgd.summary import short_repr


@contextmanager
def precision_of(dtype: str) -> Iterator[None]:
    """Turn on 64-bit mode while the block runs, if `dtype` needs it."""
    with jax.enable_x64(dtype == "float64"):
        yield


class OwnArrays(NamedTuple):
    """A problem's own arrays; None for a problem that draws its data with a key.

    Attributes:
      data: the samples to train on.
      held_out: the samples to validate on, if any.
    """

    data: Batch | None
    held_out: Batch | None

    __repr__ = short_repr


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Subject:
    """A study's problem. Equal only to itself: an edited problem is another subject, with compiled programs of its own.

    Attributes:
      problem: the problem itself.
      num_samples: N, without held-out samples.
      own: its own arrays.
    """

    problem: Problem
    num_samples: int
    own: OwnArrays

    def __repr__(self) -> str:
        """Return the problem and N."""
        return f"Subject({self.problem!r}, num_samples={self.num_samples})"

    @property
    def data(self) -> Batch | None:
        """The arrays that it is trained on, or None if it draws its data with a key."""
        return self.own.data

    @staticmethod
    def of(name: str | Problem, args: dict[str, Any], dtype: str, held_out: float = 0.0) -> "Subject":
        """Return the subject of a study's fields.

        It is the same object as long as neither the code that makes it nor a file that an argument names has changed.

        Args:
          name: a built-in problem's name, a pointer "package.module:attribute", or a `Problem`.
          args: arguments of the function that makes the problem.
          dtype: of data and parameters.
          held_out: share of the samples to validate on.

        Raises:
          InputError: for an unknown name or argument, data of unequal length, or samples that cannot be held out.
        """
        maker = _maker(name)
        if isinstance(name, Problem):
            name = f"problem {name.name!r}"
        args_json = json.dumps(args, sort_keys=True)
        key = (Dependencies(maker), args_json, dtype, _stamps(args), float(held_out))
        with _making:
            if key in _subjects:
                _subjects.move_to_end(key)
            else:
                # From JSON, so that the arguments are those of a study that was stored.
                _subjects[key] = _new_subject(name, maker, json.loads(args_json), dtype, held_out)
                size = sum(subject.own_bytes for subject in _subjects.values())
                while len(_subjects) > 1 and (len(_subjects) > _MOST_SUBJECTS or size > _MOST_BYTES):
                    size -= _subjects.popitem(last=False)[1].own_bytes
            return _subjects[key]

    @functools.cached_property
    def data_fingerprint(self) -> str | None:
        """SHA-256 of the problem's own arrays; None if it draws its data."""
        if self.data is None:
            return None
        digest = hashlib.sha256()
        for leaf in jax.tree.leaves(self.own):
            array = np.ascontiguousarray(leaf)
            digest.update(f"{array.dtype}{array.shape}".encode() + array.tobytes())
        return digest.hexdigest()

    @functools.cached_property
    def own_bytes(self) -> int:
        """Bytes of the problem's own arrays."""
        return sum(np.asarray(leaf).nbytes for leaf in jax.tree.leaves(self.own))


class Subjects(NamedTuple):
    """The problems of a study's cells.

    Attributes:
      distinct: the distinct problems.
      args: by argument, the values with which each problem is built, besides the study's `problem_args`.
      of_cell: [R], the number of each cell's own among them.
    """

    distinct: tuple[Subject, ...]
    args: list[dict[str, Any]]
    of_cell: np.ndarray

    __repr__ = short_repr


_MOST_SUBJECTS = 1024
"""The most problems that are kept to be used again."""

_MOST_BYTES = 2**30
"""The most memory of their arrays; beyond it the oldest problems are dropped."""

_subjects: collections.OrderedDict[tuple, Subject] = collections.OrderedDict()
_making = threading.RLock()


def _stamps(args: dict[str, Any]) -> tuple[tuple[int, int], ...]:
    """Return the modification times and the sizes of the files that arguments name."""
    stamps = []
    for value in args.values():
        with suppress(OSError, TypeError, ValueError):  # no file, or not the name of one
            status = Path(value).stat()
            stamps.append((status.st_mtime_ns, status.st_size))
    return tuple(stamps)


def _new_subject(name: str, maker: Any, args: dict[str, Any], dtype: str, held_out: float) -> Subject:
    with precision_of(dtype):
        if isinstance(maker, Problem):
            if args:
                raise InputError(f"{name} is a Problem and takes no problem_args, got {shown(args)}")
            problem = maker
        else:
            if ":" in name and callable(maker):
                _check_is_for_us(name, maker)
            elif ":" not in name:
                _check_single_values(maker, args)
            problem = _make_problem(name, maker, args, dtype)
        if held_out:
            problem = hold_out(problem, held_out)
        check_training(problem)
        count = num_samples(jax.eval_shape(problem.sample_data, jax.random.key(0)))
    if callable(problem.data):
        return Subject(problem, count, OwnArrays(None, None))
    return Subject(problem, count, OwnArrays(problem.data, problem.held_out))


def _check_single_values(maker: Any, args: dict[str, Any]) -> None:
    """Check that an argument of a built-in problem that is a number or a text by default is no list of them.

    Raises:
      InputError: that shows how to make an axis of a list.
    """
    for argument in inspect.signature(maker).parameters.values():
        value = args.get(argument.name)
        if isinstance(value, list) and isinstance(argument.default, (int, float, str)):
            axis = f"problem_axes={{{argument.name!r}: {shown(value)}}}"
            raise InputError(f"{argument.name} must be one value, got {shown(value)}: to run them all, write {axis}")


def _check_is_for_us(name: str, factory: Any) -> None:
    """Check, before it is called, that a function that a study points at is meant to make a problem.

    A study may come from a stranger, its arguments may be any JSON, and some functions of installed packages do harm if they
    are called with a file's name. A function that makes a `jaxsgd.Problem` is in a module that imports something of this
    package, or is the user's own and reaches it by itself or by other functions of the user's own.

    Raises:
      InputError: if it does not reach this package.
    """
    function = factory
    while isinstance(function, functools.partial):
        function = function.func
    home = sys.modules.get(getattr(function, "__module__", None) or "")
    if home is not None and any(_is_ours(value) for value in vars(home).values()):
        return
    if home is None or not any(_is_ours(part) or _imports_ours(part) for part in Dependencies(factory).objects):
        where = getattr(function, "__module__", None) or "nowhere"
        raise InputError(f"problem {name!r} is from {where}, and uses nothing of jaxsgd, so it cannot make a jaxsgd.Problem")


def _is_ours(value: Any) -> bool:
    return _is_our_name(str(getattr(value, "__module__", None) or getattr(value, "__name__", "")))


def _imports_ours(value: Any) -> bool:
    """Return True for the code of a function that imports this package itself."""
    return isinstance(value, CodeType) and any(_is_our_name(name) for name in value.co_names)


def _is_our_name(name: str) -> bool:
    return name.partition(".")[0] == "jaxsgd"


def _maker(problem: str | Problem) -> Any:
    """Return the problem itself, or the function that makes it.

    Raises:
      InputError: for an unknown name.
    """
    if isinstance(problem, Problem):
        return problem
    return attribute_at(problem, "problem") if ":" in problem else problem_named(problem)


def problem_arguments(problem: str | Problem) -> list[str]:
    """Return the names of the arguments of the function that makes a problem; empty for a problem that is an object.

    Raises:
      InputError: for an unknown name.
    """
    try:
        parameters = inspect.signature(_maker(problem)).parameters.values()
    except (TypeError, ValueError):
        return []
    return [p.name for p in parameters if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)]


def check_arguments(problem: str | Problem, names: Iterable[str]) -> None:
    """Check that the function that makes a problem has arguments of these names.

    Raises:
      InputError: for an unknown problem or argument, with the nearest, or for a problem that is an object.
    """
    maker = _maker(problem)
    if isinstance(maker, Problem):
        raise InputError(f"problem {maker.name!r} is a Problem and has no arguments; give a function that makes it")
    try:
        parameters = inspect.signature(maker).parameters
    except (TypeError, ValueError):
        raise InputError(
            f"problem {problem!r} must be a Problem or a function that returns a Problem, got {shown(maker)}"
        ) from None
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return
    for name in names:
        if name not in parameters:
            raise no_such(f"argument of problem {problem!r}", name, parameters)


def _make_problem(name: str, factory: Any, args: dict[str, Any], dtype: str) -> Problem:
    check_arguments(name, args)
    parameters = inspect.signature(factory).parameters
    missing = [p.name for p in parameters.values() if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD]
    missing = [parameter for parameter in missing if parameter not in args]
    if missing:
        raise InputError(f"problem {name!r} needs the argument {missing[0]!r} in problem_args")
    if "dtype" in parameters:
        args = {"dtype": dtype, **args}
    elif dtype != "float32":
        raise InputError(f"problem {name!r} has no argument dtype, so it cannot be run in {dtype}")
    try:
        inspect.signature(factory).bind(**args)
    except TypeError as error:
        raise InputError(f"problem {name!r} with {shown(args)}: {error}") from None
    problem = factory(**args)  # its exceptions are not caught: the traceback has the user's own lines
    if not isinstance(problem, Problem):
        raise InputError(f"problem {name!r} must return a jaxsgd.Problem, got {type(problem).__name__}")
    return problem
