"""Convolutions in the form that XLA runs fast on a CPU.

XLA has a fast convolution for a CPU, which takes arrays with the channels last. It brings other convolutions into this form,
but not those in a loop, and a training program is a loop. There, a step of a network on 8 x 8 pixels took 20 times as long,
because the gradient of a kernel has its axes in another order. So the axes are put in order here, before XLA sees them.
"""

from collections.abc import Callable
from typing import Any

import jax
from jax.extend.core import primitives

from jaxsgd.compiling.rewritten import Rule, function_of, has_equation, rewritten


def has_convolution(jaxpr: Any) -> bool:
    """Return True if a jaxpr has a convolution, also one in a loop or a branch."""
    return has_equation(jaxpr, _is_convolution)


def with_fast_convolutions(function: Callable, losses: Callable, params: Any, data: Any) -> Callable:
    """Return a function that trains a problem, with the channels last in its convolutions if the problem has any.

    Args:
      function: of any arguments; it computes losses and their gradients.
      losses: the problem's loss, `(params, batch) -> [B]`.
      params, data: of the problem, for the shapes of the loss's arguments.
    """
    sample = jax.tree.map(lambda leaf: leaf[:1], data)
    return channels_last(function) if has_convolution(jax.make_jaxpr(losses)(params, sample)) else function


def channels_last(function: Callable) -> Callable:
    """Return a function with the channels last in every convolution, on a CPU; it can be transformed as the function can."""

    def same(*args: Any) -> Any:
        jaxpr, shapes = jax.make_jaxpr(function, return_shape=True)(*args)
        return function_of(rewritten(jaxpr, CHANNELS_LAST), jax.tree.structure(shapes))(*args)

    return same if jax.default_backend() == "cpu" else function


def _is_convolution(eqn: Any) -> bool:
    return eqn.primitive is primitives.conv_general_dilated_p


def _convolution(x: jax.Array, kernel: jax.Array, *, dimension_numbers: Any, **params: Any) -> jax.Array:
    """Return `conv_general_dilated`, computed with the channels last in both arguments and in the result."""
    batch, channel, *inner = dimension_numbers.lhs_spec
    kernel_out, kernel_in, *kernel_inner = dimension_numbers.rhs_spec
    x, kernel = x.transpose(batch, *inner, channel), kernel.transpose(*kernel_inner, kernel_in, kernel_out)
    last = x.ndim - 1
    spec = (0, last, *range(1, last))
    numbers = jax.lax.ConvDimensionNumbers(spec, (last, last - 1, *range(last - 1)), spec)
    result = primitives.conv_general_dilated_p.bind(x, kernel, dimension_numbers=numbers, **params)
    at = dict(zip(dimension_numbers.out_spec, spec, strict=True))
    return result.transpose([at[axis] for axis in range(x.ndim)])


CHANNELS_LAST = Rule(_is_convolution, lambda eqn, x, kernel: _convolution(x, kernel, **eqn.params))
"""The rule that puts the channels last in every convolution."""
