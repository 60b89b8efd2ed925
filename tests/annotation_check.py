"""The check of annotations in tests: beartype's, with `jaxtyping`'s types of arrays.

`jaxtyping` binds the arguments of each call, checks them before it and again after it, and writes three functions for that when
a function is defined. Here beartype checks arguments and result once each. That is the same check in a fraction of the time,
which was half of all of a test in NumPy. A function within a function is checked only when it is first defined: tracing defines
it again at each call of the outer one.
"""

import contextlib
import functools
import inspect
import io
import types
import typing

import jaxtyping
from beartype import beartype as beartype
from beartype.roar import BeartypeCallHintViolation

_inner = {}
_jaxtyped = jaxtyping.jaxtyped


def jaxtyped(definition=None, *, typechecker):
    """Return a function or class with a check of its annotations; of an inner function only when it is first defined."""
    if definition is None:
        return functools.partial(jaxtyped, typechecker=typechecker)
    if not inspect.isfunction(definition):
        return _jaxtyped(definition, typechecker=typechecker)
    code = definition.__code__
    if "<locals>" in definition.__qualname__:
        if id(code) in _inner:
            return definition
        _inner[id(code)] = code  # kept, so that its id stays its own
    if inspect.isgeneratorfunction(definition) or inspect.iscoroutinefunction(definition):
        return _jaxtyped(definition, typechecker=typechecker)
    hints = _hints(definition)
    return _checked(definition, hints, typechecker) if hints else definition


def _hints(function):
    """Return the annotations of a function, without those that name what is not defined yet, as `jaxtyping` does."""
    hints = {}
    for name, hint in function.__annotations__.items():
        alone = types.SimpleNamespace(__annotations__={name: hint})
        with contextlib.suppress(NameError):
            hints |= typing.get_type_hints(alone, function.__globals__, include_extras=True)
    return hints


def _has_axes(hint):
    """Return True if an annotation has a type of `jaxtyping` in it, whose axes have one size in all of a call."""
    if type(hint).__module__.startswith("jaxtyping"):
        return True
    return any(map(_has_axes, hint if isinstance(hint, list) else typing.get_args(hint)))


def _checked(function, hints, typechecker):
    """Return a function that beartype checks; it can be switched off, and fails with the error of `jaxtyping`."""
    own = types.FunctionType(
        function.__code__, function.__globals__, function.__name__, function.__defaults__, function.__closure__
    )
    own.__kwdefaults__, own.__annotations__ = function.__kwdefaults__, hints
    own.__module__, own.__qualname__ = function.__module__, function.__qualname__
    checked = typechecker(own)
    has_axes = any(map(_has_axes, hints.values()))

    @functools.wraps(function)
    def call(*args, **kwargs):
        __tracebackhide__ = True
        if jaxtyping.config.jaxtyping_disable:
            return function(*args, **kwargs)
        with _jaxtyped("context") if has_axes else contextlib.nullcontext():
            try:
                return checked(*args, **kwargs)
            except BeartypeCallHintViolation as error:
                raise jaxtyping.TypeCheckError(f"{error}\n{_sizes()}") from error

    # In a traceback the check is a package's, not the user's own.
    call.__code__ = call.__code__.replace(co_filename=_jaxtyped.__code__.co_filename)
    return call


def _sizes():
    """Return the size of each axis in the call that fails, in words."""
    with contextlib.redirect_stdout(io.StringIO()) as text:
        jaxtyping.print_bindings()
    return text.getvalue()


jaxtyping.jaxtyped = jaxtyped
