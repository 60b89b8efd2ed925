"""Convolutions in the form that XLA runs fast on a CPU.

XLA has a fast convolution for a CPU, which takes arrays with the channels last. It brings other convolutions into this form,
but not those in a loop, and a training program is a loop. There, a step of a network on 8 x 8 pixels took 20 times as long,
because the gradient of a kernel has its axes in another order. So the axes are put in order here, before XLA sees them.
"""

from collections.abc import Callable
from typing import Any

import jax
from jax.extend.core import ClosedJaxpr, Jaxpr, jaxpr_as_fun, primitives

from jaxsgd.work import inner_jaxprs


def has_convolution(jaxpr: Any) -> bool:
    """Return True if a jaxpr has a convolution, also one in a loop or a branch."""
    inner = jaxpr.jaxpr if isinstance(jaxpr, ClosedJaxpr) else jaxpr
    return any(_is_convolution(eqn) or any(map(has_convolution, inner_jaxprs(eqn))) for eqn in inner.eqns)


def lowered(function: Any, *shapes: Any) -> jax.stages.Lowered:
    """Return a function to be compiled for some shapes of its arguments.

    On a CPU every convolution in it has the channels last, which changes its numbers to rounding only.
    """
    traced = jax.jit(function).trace(*shapes)
    if jax.default_backend() != "cpu" or not has_convolution(traced.jaxpr):
        return traced.lower()
    return jax.jit(_channels_last_in(traced.jaxpr, jax.tree.structure(traced.out_info))).lower(*shapes)


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
        return _channels_last_in(jaxpr, jax.tree.structure(shapes))(*args)

    return same if jax.default_backend() == "cpu" else function


def _channels_last_in(jaxpr: ClosedJaxpr, structure: Any) -> Callable:
    """Return the function of a jaxpr, whose results have a given structure, with the channels last."""
    flat = jaxpr_as_fun(_channels_last(jaxpr))
    return lambda *args: jax.tree.unflatten(structure, flat(*jax.tree.leaves(args)))


def _is_convolution(eqn: Any) -> bool:
    return eqn.primitive is primitives.conv_general_dilated_p


def _channels_last(value: Any) -> Any:
    """Return a jaxpr, or several, with the channels last in every convolution; anything else as it is."""
    if isinstance(value, ClosedJaxpr):
        return value.replace(jaxpr=_channels_last(value.jaxpr))
    if isinstance(value, Jaxpr):
        return value.replace(eqns=[_replaced(eqn) for eqn in value.eqns]) if has_convolution(value) else value
    if isinstance(value, tuple | list) and any(isinstance(part, Jaxpr | ClosedJaxpr) for part in value):
        return type(value)(map(_channels_last, value))
    return value


def _replaced(eqn: Any) -> Any:
    if not _is_convolution(eqn):
        return eqn.replace(params={name: _channels_last(value) for name, value in eqn.params.items()})
    shapes = [jax.ShapeDtypeStruct(atom.aval.shape, atom.aval.dtype) for atom in eqn.invars]
    call = jax.make_jaxpr(jax.jit(lambda x, kernel: _convolution(x, kernel, **eqn.params)))(*shapes).eqns[0]
    return call.replace(invars=eqn.invars, outvars=eqn.outvars)


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
