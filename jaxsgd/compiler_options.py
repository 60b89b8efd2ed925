"""Options of XLA for whole programs, and `jit` with them."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.core import Tracer

CPU_OPTIONS: dict[str, str | bool] = {"xla_cpu_prefer_vector_width": "512", "xla_backend_optimization_level": "1"}
"""Options of XLA with which programs are compiled for a CPU. A network's sigmoids and sums are faster with the whole
vectors of AVX-512, of which XLA uses half by default; a processor without them is not affected. LLVM's first level of
optimization compiles in half the time of the third, XLA's default, and the programs run as fast: their time goes to products
and to loops that XLA has fused before.
"""


def compiler_options() -> dict[str, str | bool]:
    """Return XLA's options for the package's programs on the default device; no other program of the process has them."""
    if jax.default_backend() != "cpu":
        return {}
    if jax.config.values["jax_disable_most_optimizations"]:  # JAX sets the level then
        return {name: value for name, value in CPU_OPTIONS.items() if name != "xla_backend_optimization_level"}
    return CPU_OPTIONS


def jit(function: Callable, static_argnames: str | Sequence[str] = ()) -> Callable:
    """Return `jax.jit(function)` that compiles with `compiler_options()` where it is a program of its own.

    JAX takes options for whole programs only. So there are none within another `jit`, `grad` or `vmap`, which has its own.
    """

    @functools.cache
    def compiled(**options: str | bool) -> Callable:
        return jax.jit(function, static_argnames=static_argnames, compiler_options=options or None)

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        return compiled(**{} if _is_part(args, kwargs) else compiler_options())(*args, **kwargs)

    return call


def as_one_program(function: Callable, static_argnames: str | Sequence[str] = ()) -> Callable:
    """Return a function that is compiled as a whole where it is called with values, and is itself where it is traced.

    Without it each operation is a program of its own, and a loop is compiled again in each call.
    """
    whole = jit(function, static_argnames)

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        return (function if _is_part(args, kwargs) else whole)(*args, **kwargs)

    return call


def _is_part(*args: Any) -> bool:
    """Return True for a call within another program or a transformation, with its arguments."""
    # Within `jit` a new array is traced too; within `grad` and `vmap` only the arguments are.
    return any(isinstance(leaf, Tracer) for leaf in (jnp.zeros(()), *jax.tree.leaves(args)))
