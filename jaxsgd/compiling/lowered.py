"""A function lowered for XLA, in the form that suits a CPU."""

from typing import Any

import jax

from jaxsgd.compiling.convolution import CHANNELS_LAST
from jaxsgd.compiling.lapack import ONE_BY_ONE
from jaxsgd.compiling.rewritten import function_of, has_equation, rewritten


def lowered(function: Any, *shapes: Any) -> jax.stages.Lowered:
    """Return a function to be compiled for some shapes of its arguments.

    On a CPU every convolution in it has the channels last, which changes its numbers to rounding only, and the routines of
    LAPACK take their matrices one by one.
    """
    traced = jax.jit(function).trace(*shapes)
    rules = [rule for rule in (CHANNELS_LAST, ONE_BY_ONE) if has_equation(traced.jaxpr, rule.suits)]
    if jax.default_backend() != "cpu" or not rules:
        return traced.lower()
    jaxpr = traced.jaxpr
    for rule in rules:
        jaxpr = rewritten(jaxpr, rule)
    return jax.jit(function_of(jaxpr, jax.tree.structure(traced.out_info))).lower(*shapes)
