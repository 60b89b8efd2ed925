"""Static arguments of compiled programs, which are compared by their parts."""

import functools
from collections.abc import Hashable, Iterator
from types import FunctionType
from typing import Any, Generic, TypeVar

import numpy as np

from jaxsgd.error import is_users_module

Value = TypeVar("Value")


class Static(Generic[Value]):
    """A value as a static argument of `jax.jit`, equal to another one that was made in the same way.

    Two calls of `optax.sgd(0.1)` return two optimizers of new functions, for each of which JAX would compile a program. Here
    they are equal: a function that was defined within a function of an installed package is compared by its code and by the
    values that it closes over, and a tuple, a list or a dictionary by its items. All else is compared as Python does: the
    user's own functions, which may read a global that changes, are equal to themselves alone. So are arrays, and all that has
    no hash.
    """

    __slots__ = ("_hash", "_parts", "value")

    def __init__(self, value: Value):
        """Compare a value by its parts from here on."""
        self.value = value
        self._parts = tuple(_parts(value, {}))
        self._hash = hash(self._parts)

    def __hash__(self) -> int:
        """Return the hash of the parts."""
        return self._hash

    def __eq__(self, other: object) -> bool:
        """Return True if both have the same parts."""
        return isinstance(other, Static) and self._parts == other._parts


class _Same:
    """An object that is equal to itself alone."""

    __slots__ = ("value",)

    def __init__(self, value: Any):
        # A reference, not the number alone: the number of a deleted object may be given to another.
        self.value = value

    def __hash__(self) -> int:
        return id(self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.value is other.value


def _parts(value: Any, seen: dict[int, tuple[int, Any]]) -> Iterator[Hashable]:
    """Yield what a value consists of, the outer parts first.

    Args:
      value: any value.
      seen: by its number, each object that was met before, with its place. A function may close over itself.
    """
    kind = type(value)
    if kind in (float, complex) or isinstance(value, np.generic):
        yield kind, repr(value)  # -0.0 is not 0.0, and NaN is itself
        return
    if id(value) in seen:
        yield "seen", seen[id(value)][0]
        return
    inner = _inner(value)
    if inner is None:
        yield kind, value if _is_hashable(value) else _Same(value)
        return
    seen[id(value)] = len(seen), value
    yield kind, len(inner)
    for part in inner:
        yield from _parts(part, seen)


def _is_hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


def _inner(value: Any) -> list[Any] | None:
    """Return the parts of a value that is compared by them; None for one that is compared as a whole."""
    if isinstance(value, tuple) or type(value) is list:
        return list(value)
    if type(value) is dict:
        return [*value, *value.values()]
    if type(value) is functools.partial:
        return [value.func, *value.args, value.keywords]
    if isinstance(value, FunctionType) and "<locals>" in value.__qualname__ and not is_users_module(value.__module__):
        return [value.__module__, value.__code__, value.__defaults__, value.__kwdefaults__, *_closure(value)]
    return None


def _closure(function: FunctionType) -> Iterator[Any]:
    """Yield the values that a function closes over."""
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # not assigned yet
            yield _closure
