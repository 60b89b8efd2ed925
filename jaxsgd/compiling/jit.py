"""`jax.jit` with the package's options for the compiler, and with static arguments that are compared by their parts."""

import functools
import inspect
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.core import Tracer

from jaxsgd.compiling.compiler_options import compiler_options
from jaxsgd.compiling.per_owner import PerOwner
from jaxsgd.compiling.static import Static

_PART = "`compiler_options` can only be passed to top-level `jax.jit`"
"""The beginning of JAX's message where a program with options is a part of another one."""


def jit(function: Callable, static_argnames: str | Sequence[str] = ()) -> Callable:
    """Return `jax.jit(function)` that compiles with `compiler_options()` where it is a program of its own.

    JAX takes options for whole programs only. So there are none within another `jit`, `grad` or `vmap`, which has its own.
    Static arguments are compared as `Static`, so that two optimizers of the same numbers share a program.
    """
    static = {static_argnames} if isinstance(static_argnames, str) else {*static_argnames}
    positions = {place for place, name in enumerate(inspect.signature(function).parameters) if name in static}

    @functools.wraps(function)  # JAX takes the positions of the static arguments from its signature
    def of_values(*args: Any, **kwargs: Any) -> Any:
        args = tuple(value.value if isinstance(value, Static) else value for value in args)
        return function(*args, **{name: value.value if name in static else value for name, value in kwargs.items()})

    @functools.cache
    def compiled(**options: str | bool) -> Callable:
        return jax.jit(of_values, static_argnames=static_argnames, compiler_options=options or None)

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        args = tuple(Static(value) if place in positions else value for place, value in enumerate(args))
        kwargs = {name: Static(value) if name in static else value for name, value in kwargs.items()}
        options = {} if _is_part(args, kwargs) else compiler_options()
        try:
            return compiled(**options)(*args, **kwargs)
        except ValueError as error:
            # A gradient in what a static argument closes over, such as an optimizer's rate: no argument shows it.
            if not options or _PART not in str(error):
                raise
        return compiled()(*args, **kwargs)

    return call


def jit_per_problem(function: Callable, static_argnames: str | Sequence[str] = ()) -> Callable:
    """Return `jit(function)` with the problem, the first argument, as a static part: its programs go when the problem goes.

    A static argument of `jax.jit` stays in JAX's cache for the rest of the process, with its data. Only a problem to which
    another static argument refers, such as an observable that is a closure over it, is still kept.
    """
    programs: PerOwner[Callable] = PerOwner()
    signature = inspect.signature(function)
    first, *others = signature.parameters.values()

    def compiled(problem: Any) -> Callable:
        reference = weakref.ref(problem)

        @functools.wraps(function)
        def of_problem(*args: Any, **kwargs: Any) -> Any:
            return function(reference(), *args, **kwargs)

        # From it JAX takes the positions of the static arguments.
        of_problem.__signature__ = signature.replace(parameters=others)  # type: ignore[attr-defined]
        return jit(of_problem, static_argnames)

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if first.name in kwargs:
            args = (kwargs.pop(first.name), *args)
        problem, *rest = args
        return programs.get(problem, None, lambda: compiled(problem))(*rest, **kwargs)

    return call


def as_one_program(function: Callable, static_argnames: str | Sequence[str] = ()) -> Callable:
    """Return a function of a problem that is compiled as a whole where it is called with values, and is itself where traced.

    Without it each operation is a program of its own, and a loop is compiled again in each call.
    """
    whole = jit_per_problem(function, static_argnames)

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        return (function if _is_part(args, kwargs) else whole)(*args, **kwargs)

    return call


def _is_part(*args: Any) -> bool:
    """Return True for a call within another program or a transformation, with its arguments."""
    # Within `jit` a new array is traced too; within `grad` and `vmap` only the arguments are.
    return any(isinstance(leaf, Tracer) for leaf in (jnp.zeros(()), *jax.tree.leaves(args)))
