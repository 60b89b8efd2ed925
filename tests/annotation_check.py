"""The check of annotations in tests: beartype's, with `jaxtyping`'s types of arrays.

`jaxtyping` binds the arguments of each call, checks them before it and again after it, and writes three functions for that when
a function is defined. Here beartype checks arguments and result once each. That is the same check in a fraction of the time,
which was half of all of a test in NumPy. A function within a function is checked only when it is first defined: tracing defines
it again at each call of the outer one.

Where a check depends on nothing but the types of the values, and of arrays on their shapes and types of numbers too, it is done
once for each such form of the arguments and the result. Checks were a third of the time of the tests of diagnosis.
"""

import contextlib
import functools
import inspect
import io
import threading
import types
import typing

import jax
import jaxtyping
import numpy as np
from beartype import beartype as beartype
from beartype.roar import BeartypeCallHintViolation

_inner = {}
_is_array = {}  # by type; None for a type that has shapes and is no array
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
    has_axes = any(map(_has_axes, hints.values()))
    passed = {} if all(map(_is_of_form, hints.values())) else None
    returned = threading.local()

    # Made when they are first needed: most functions of the package are not called in a process.
    @functools.cache
    def checked():
        own = types.FunctionType(
            function.__code__, function.__globals__, function.__name__, function.__defaults__, function.__closure__
        )
        return typechecker(_annotated(own, function, hints))

    @functools.cache
    def checked_result():
        return typechecker(_annotated(_returning(function, returned), function, hints))

    def check(call, args, kwargs):
        __tracebackhide__ = True
        with _jaxtyped("context") if has_axes else contextlib.nullcontext():
            try:
                return call(*args, **kwargs)
            except BeartypeCallHintViolation as error:
                raise jaxtyping.TypeCheckError(f"{error}\n{_sizes()}") from error

    @functools.wraps(function)
    def call(*args, **kwargs):
        __tracebackhide__ = True
        if jaxtyping.config.jaxtyping_disable:
            return function(*args, **kwargs)
        form = None if passed is None else _form_of_all(args, kwargs)
        if form is None:
            return check(checked(), args, kwargs)
        results = passed.get(form)
        if results is None:
            result = check(checked(), args, kwargs)
            passed[form] = {_form(result)}
            return result
        result = function(*args, **kwargs)
        of_result = _form(result)
        if of_result is None or of_result not in results:
            returned.result = result
            check(checked_result(), args, kwargs)
            results.add(of_result)
        return result

    # In a traceback the check is a package's, not the user's own.
    for part in (call, check):
        part.__code__ = part.__code__.replace(co_filename=_jaxtyped.__code__.co_filename)
    return call


def _annotated(own, function, hints):
    """Return a function with the defaults and the names of another one, and with annotations."""
    own.__defaults__, own.__kwdefaults__, own.__annotations__ = function.__defaults__, function.__kwdefaults__, hints
    own.__name__, own.__module__, own.__qualname__ = function.__name__, function.__module__, function.__qualname__
    return own


def _returning(function, returned):
    """Return a function with the parameters of another one, which returns a result that is given apart from them."""
    parameters = [
        parameter.replace(annotation=parameter.empty, default=parameter.empty if parameter.default is parameter.empty else None)
        for parameter in inspect.signature(function).parameters.values()
    ]
    names = {"_returned_": returned}
    exec(f"def own{inspect.Signature(parameters)}:\n    return _returned_.result", names)
    return names["own"]


def _is_of_form(hint):
    """Return True if the check of an annotation depends on nothing of a value but its form."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return all(map(_is_of_form, typing.get_args(hint)))
    if isinstance(hint, type) and issubclass(hint, jaxtyping.AbstractArray):
        return not set(hint.dim_str) & set("{?")  # an axis with the value of an argument, or of a place in a pytree
    # Another metaclass may look at more than the type.
    return hint in (typing.Any, None, jax.Array) or (type(hint) is type and not typing.get_args(hint))


def _form_of_all(args, kwargs):
    """Return the forms of the arguments of a call; None if one of them has none."""
    forms = [*map(_form, args), *map(_form, kwargs.values())]
    return None if None in forms else (*forms, *kwargs)


def _form(value):
    """Return the type of a value, and of an array its shape and its type of numbers too; None for other things with a shape."""
    own = type(value)
    if own not in _is_array:
        array = issubclass(own, np.ndarray | np.generic) or isinstance(value, jax.Array)
        _is_array[own] = array or (None if hasattr(own, "shape") else False)
    array = _is_array[own]
    return (own, value.dtype, value.shape) if array else own if array is False else None


def _sizes():
    """Return the size of each axis in the call that fails, in words."""
    with contextlib.redirect_stdout(io.StringIO()) as text:
        jaxtyping.print_bindings()
    return text.getvalue()


jaxtyping.jaxtyped = jaxtyped
