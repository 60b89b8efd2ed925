"""A digest of the user's own code behind a study: a result that goes on with other code than it began with says so."""

import dis
import functools
import hashlib
import platform
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxsgd.error import InputWarning
from jaxsgd.optimizer import attribute_at
from jaxsgd.study.dependencies import Dependencies
from jaxsgd.study.study import Study


def code_digests(study: Study) -> dict[str, str]:
    """Return a SHA-256 of the code behind each pointer of a study, by pointer.

    It covers what `Dependencies` collects: the functions of the user's own modules, and the numbers, texts and arrays that they
    read. Comments, docstrings, formatting and the place of a file change nothing. Python's own version does: the code is taken
    as Python has compiled it.
    """
    return {pointer: _digest(Dependencies(attribute_at(pointer, kind))) for pointer, kind in _pointers(study)}


def note_changed_code(stored: Mapping[str, Any], digests: Mapping[str, str], where: str) -> None:
    """Warn if code behind a pointer is no longer that with which a result was begun.

    Args:
      stored: the result's manifest.
      digests: `code_digests` now.
      where: the result's folder.

    Warns:
      InputWarning: with the pointers; not if another version of Python has compiled the code.
    """
    if stored.get("versions", {}).get("python") != platform.python_version():
        return
    pairs = [(pointer, stored.get("code", {}).get(pointer, digest), digest) for pointer, digest in digests.items()]
    # With the digests, so that Python shows the warning again after another change.
    changed = [f"{pointer} ({before[:8]}..., now {digest[:8]}...)" for pointer, before, digest in pairs if before != digest]
    if changed:
        warnings.warn(
            f"{where}: the code of {', '.join(changed)} has changed since this result was begun, and its cells are not run "
            f"again: name another folder for the new code, or compare the numbers by `jaxsgd verify {where}`",
            InputWarning,
            stacklevel=2,
        )


def _pointers(study: Study) -> Iterator[tuple[str, str]]:
    """Yield the pointers of a study, once each, with the kind of thing that they point at."""
    kinds = {
        "problem": [study.problem] if isinstance(study.problem, str) else [],
        "order": study.orders,
        "optimizer": study.optimizers,
        "schedule": study.schedules or (),
        "observable": [*(study.observe or ()), *(study.observe_batches or ())],
    }
    seen = {name: kind for kind, names in kinds.items() for name in names if ":" in name}
    yield from seen.items()


@functools.lru_cache(64)
def _digest(dependencies: Dependencies) -> str:
    """Return the digest of objects as they are when it is first asked for: a list that a loss appends to is no other code."""
    digest, names = hashlib.sha256(), set()
    for part in dependencies.objects:
        if isinstance(part, FunctionType | type):
            # A function and the one that it wraps have one name.
            if (name := (part.__module__, part.__qualname__)) in names:
                continue
            names.add(name)
        _add(part, digest.update)
    return digest.hexdigest()


_DEEPEST = 8
"""Containers within one another of which the content is added."""


def _add(value: Any, update: Callable[[bytes], None], depth: int = 0) -> None:
    """Add a value's content where it is the same in every process and folder; of all else its type alone."""
    if depth > _DEEPEST or _is_key(value) or (isinstance(value, str) and Path(value).is_absolute()):
        update(f"{type(value).__name__};".encode())
    elif isinstance(value, CodeType):
        _add_code(value, update)
    elif isinstance(value, FunctionType | type):
        update(f"{value.__module__} {value.__qualname__};".encode())
    elif isinstance(value, ModuleType):
        update(f"{value.__name__};".encode())
    elif value is None or isinstance(value, bool | int | float | complex | str | bytes):
        update(f"{value!r};".encode())
    elif isinstance(value, tuple | list | dict):
        update(f"[{len(value)}]".encode())
        for inner in value.items() if isinstance(value, dict) else value:
            _add(inner, update, depth + 1)
    elif isinstance(value, frozenset | set):
        update(" ".join(sorted(map(repr, value))).encode())
    elif isinstance(value, np.ndarray | np.generic | jax.Array):
        array = np.ascontiguousarray(value)
        update(f"{array.dtype}{array.shape}".encode())
        update(array.tobytes() if array.dtype != object else b"")
    else:
        update(f"{type(value).__module__} {type(value).__qualname__};".encode())


def _is_key(value: Any) -> bool:
    return isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jax.dtypes.prng_key)


def _add_code(code: CodeType, update: Callable[[bytes], None]) -> None:
    """Add the instructions of some code with their arguments. A docstring is no instruction's argument."""
    for step in dis.get_instructions(code):
        update(f"{step.opname} ".encode())
        _add(step.argval, update)
