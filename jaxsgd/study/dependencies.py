"""The objects that a user's function depends on, so that cached values are dropped when their code changes."""

import dis
import functools
from collections.abc import Iterator
from types import CodeType, FunctionType, ModuleType
from typing import Any

from jaxsgd.error import is_users_module
from jaxsgd.problem import Problem

_LOADS_A_GLOBAL = {"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"}
"""Python's instructions that may read a global: in a function, in the body of a class, and in a class since Python 3.12."""


class Dependencies:
    """A value and all objects that its code depends on, as a key of a cache.

    Two keys are equal if they have the same objects, in the same order. An edited and reloaded function is another object, so a
    cache with this key never returns a value of the old code. A list or an array that was changed in place is the same object.

    A function of an installed package, of Python's library or of this package counts as a single object, because nobody edits
    it while it runs.
    """

    __slots__ = ("objects",)

    def __init__(self, *values: Any):
        """Collect the objects that these values depend on."""
        # References to the objects, not their numbers alone: the number of a deleted object may be given to another.
        self.objects = tuple(_dependencies(values))

    def __hash__(self) -> int:
        """Return the hash of the objects' identities."""
        return hash(tuple(map(id, self.objects)))

    def __eq__(self, other: object) -> bool:
        """Return True if both have the same objects."""
        if not isinstance(other, Dependencies) or len(self.objects) != len(other.objects):
            return False
        return all(mine is theirs for mine, theirs in zip(self.objects, other.objects, strict=True))


def _dependencies(values: tuple) -> Iterator[Any]:
    seen: set[int] = set()
    waiting = list(reversed(values))
    while waiting:
        value = waiting.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        yield value
        waiting.extend(reversed(list(_parts(value))))


def _parts(value: Any) -> Iterator[Any]:
    """Yield the objects that a value refers to directly, where they may be a user's own."""
    if isinstance(value, functools.partial):
        yield from (value.func, *value.args, *value.keywords.values())
    elif isinstance(value, Problem):
        yield from (value.init, value.loss, value.data, value.optimum, value.held_out, value.accuracy, value.evaluation_loss)
    elif hasattr(value, "__wrapped__"):
        yield value.__wrapped__
    elif hasattr(value, "__func__"):
        yield from (value.__func__, value.__self__)
    elif isinstance(value, FunctionType) and is_users_module(value.__module__):
        yield value.__code__
        yield from value.__defaults__ or ()
        yield from (value.__kwdefaults__ or {}).values()
        for cell in value.__closure__ or ():
            try:
                yield cell.cell_contents
            except ValueError:  # not assigned yet
                continue
        yield from _globals_in_use(value)
    elif isinstance(value, type) and is_users_module(value.__module__):
        yield from (member for name, member in vars(value).items() if not name.startswith("__") or name == "__init__")


def _globals_in_use(function: FunctionType) -> Iterator[Any]:
    """Yield the global objects that a function names, and the attributes that it may take from modules among them."""
    global_names, all_names = _names(function.__code__)
    for name in global_names:
        value = function.__globals__.get(name)
        if value is None:
            continue
        yield value
        if isinstance(value, ModuleType) and is_users_module(value.__name__):
            yield from (vars(value)[attribute] for attribute in all_names if attribute in vars(value))


@functools.lru_cache(maxsize=1024)
def _names(code: CodeType) -> tuple[list[str], list[str]]:
    """Return the names that some code and the code in it load as globals, and all its names, both sorted.

    `jnp.mean` has the names `jnp` and `mean`, and only the first is a global: a notebook's own `mean` is another thing.
    """
    global_names = {step.argval for step in dis.get_instructions(code) if step.opname in _LOADS_A_GLOBAL}
    all_names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            inner_globals, inner_names = _names(constant)
            global_names |= {*inner_globals}
            all_names |= {*inner_names}
    return sorted(global_names), sorted(all_names)
