"""The gradients of the batches of an epoch, all at the same parameters, and their mean length."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from jaxsgd.measure.norms import norm
from jaxsgd.problem import Batch, Params, Problem, take_samples
from jaxsgd.simulator import Batches

SummedLoss = Callable[[Array, Array, Array | None], Array]
"""`(flat parameters [P], sample, own) -> []`, the sum of the losses of a part's own samples."""


def summed_loss(problem: Problem, params: Params, data: Batch) -> SummedLoss:
    """Return the function that sums the losses of a part of a batch, for parameters in one row as `ravel_pytree` makes it."""
    _, unravel = ravel_pytree(params)

    def summed(flat: Array, sample: Array, own: Array | None) -> Array:
        losses = problem.losses(unravel(flat), take_samples(data, sample))
        return jnp.sum(losses if own is None else jnp.where(own, losses, 0))

    return summed


def batch_gradients(problem: Problem, params: Params, data: Batch, batches: Batches) -> Float[Array, "M P"]:
    """Return the gradient of each batch's own mean loss, [M, P], with the parameters in one row; 0 for a batch without samples.

    Args:
      problem: gives the loss of each sample.
      params: the parameters.
      data: arrays with leading axis N.
      batches: the samples of each batch, as `jaxsgd.simulator.batches_of` returns them.
    """
    flat, _ = ravel_pytree(params)
    size, summed = batches.size.astype(flat.dtype), summed_loss(problem, params, data)

    def add_gradient(so_far: Array, part: tuple) -> tuple[Array, None]:
        sample, own, position = part
        return so_far.at[position].add(jax.grad(summed)(flat, sample, own)), None

    parts = (batches.sample, batches.own, batches.position)
    totals, _ = jax.lax.scan(add_gradient, jnp.zeros((size.shape[0], flat.size), flat.dtype), parts)
    return totals / jnp.where(size > 0, size, 1)[:, None]


def batch_gradient_norm(problem: Problem, params: Params, data: Batch, batches: Batches) -> Float[Array, ""]:
    """Return the mean length of the gradient of a batch's own mean loss, over an epoch's batches, [], in loss per parameter.

    All batches' gradients are at the same parameters, and in memory at once, [M, P].

    Args:
      problem, params, data, batches: as `batch_gradients`.
    """
    used = batches.size > 0
    lengths = jax.vmap(norm)(batch_gradients(problem, params, data, batches))
    return jnp.sum(jnp.where(used, lengths, 0)) / jnp.sum(used).astype(lengths.dtype)
