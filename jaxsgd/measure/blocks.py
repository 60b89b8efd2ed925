"""Means over all samples of a data set, in blocks to save memory, and the two of them that measures of curvature need."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxsgd.problem import Batch, Params, Problem, num_samples, take_samples
from jaxsgd.simulator import BLOCK, batch_loss


def mean_over_samples(mean: Callable[[Batch, Array | None], Any], data: Batch) -> Any:
    """Return a mean over all N samples, computed in blocks if they are many, to save memory.

    Args:
      mean: `(batch, size) -> pytree`, the mean over the first `size` samples of a batch, or over all of them for None.
      data: arrays with leading axis N.
    """
    samples = num_samples(data)
    if samples <= BLOCK:
        return mean(data, None)

    def block(start: Array) -> tuple[Batch, Array]:
        own = jnp.minimum(start + jnp.arange(BLOCK), samples - 1)
        return take_samples(data, own), jnp.minimum(samples - start, BLOCK)

    def add(total: Any, start: Array) -> tuple[Any, None]:
        batch, size = block(start)
        part = mean(batch, size)
        return jax.tree.map(lambda so_far, own: so_far + own * (size / samples).astype(own.dtype), total, part), None

    starts = jnp.arange(0, samples, BLOCK)
    shapes = jax.eval_shape(lambda start: mean(*block(start)), starts[0])
    nothing = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
    return jax.lax.scan(add, nothing, starts)[0]


def mean_gradient(problem: Problem, params: Params, data: Batch) -> Params:
    """Return the gradient of the mean loss over all N samples, shaped like the parameters."""

    def gradient(batch: Batch, size: Array | None) -> Params:
        return jax.grad(lambda params: batch_loss(problem, params, batch, size))(params)

    return mean_over_samples(gradient, data)


def hessian_product(problem: Problem, params: Params, data: Batch, vector: Params) -> Params:
    """Return H v for the Hessian H of the mean loss over all N samples, without forming H.

    It is the derivative of the gradient along `vector`, forward over reverse (Pearlmutter 1994, "Fast exact multiplication by
    the Hessian"), and costs a few gradients.

    Args:
      problem, params, data: as for `mean_gradient`.
      vector: v, shaped like the parameters.
    """

    def product(batch: Batch, size: Array | None) -> Params:
        gradient = jax.grad(lambda params: batch_loss(problem, params, batch, size))
        return jax.jvp(gradient, (params,), (vector,))[1]

    return mean_over_samples(product, data)


def random_signs(key: Array, like: Float[Array, " P"]) -> Float[Array, " P"]:
    """Return P random signs, +1 or -1 with equal probability, in the type of an array."""
    return jnp.where(jax.random.bits(key, like.shape, jnp.uint8) & 1, 1, -1).astype(like.dtype)
