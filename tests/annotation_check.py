"""The check of annotations in tests: beartype's, by `jaxtyping`; of a function within a function only when it is first defined.

`jaxtyping` writes a check for each function when it is defined, and a function within a function is defined at each call of the
outer one. Tracing calls such functions again and again, and their checks took a fifth of the time of a test that compiles.
"""

import functools

import jaxtyping
from beartype import beartype as beartype

_inner = {}
_jaxtyped = jaxtyping.jaxtyped


def jaxtyped(definition=None, *, typechecker):
    """Return a function or class with `jaxtyping`'s check, but for a function within a function that was defined before."""
    if definition is None:
        return functools.partial(jaxtyped, typechecker=typechecker)
    code = getattr(definition, "__code__", None)
    if code is not None and "<locals>" in definition.__qualname__:
        if id(code) in _inner:
            return definition
        _inner[id(code)] = code  # kept, so that its id stays its own
    return _jaxtyped(definition, typechecker=typechecker)


jaxtyping.jaxtyped = jaxtyped
