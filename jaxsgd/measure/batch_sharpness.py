"""Batch sharpness: the curvature that each batch's own gradient meets.

Reference:
  Andreyev and Beneventano 2024, "Edge of stochastic stability: revisiting the edge of stability for SGD", arXiv 2412.20553: the
    expected directional curvature of mini-batch Hessians along their stochastic gradients. Under mini-batch SGD it is this
    number that settles at 2 / (learning rate), and the largest eigenvalue of the full Hessian is smaller.
"""

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from jaxsgd.compiling.jit import as_one_program
from jaxsgd.measure.batch_gradients import batch_gradients, summed_loss
from jaxsgd.problem import Batch, Params, Problem
from jaxsgd.simulator import Batches


@as_one_program
def batch_sharpness(problem: Problem, params: Params, data: Batch, batches: Batches) -> Float[Array, ""]:
    """Return the mean over an epoch's batches of g'Hg / |g|^2, [], in loss per squared parameter.

    With g and H the gradient and the Hessian of the batch's own mean loss, at the same parameters for all batches. With a
    single batch it is the curvature along the full gradient, at most the sharpness. NaN if the gradient of a batch is 0.

    All batches' gradients are in memory at once, [M, P].

    Args:
      problem: gives the loss of each sample.
      params: the parameters.
      data: arrays with leading axis N.
      batches: the samples of each batch, as `jaxsgd.simulator.batches_of` returns them.
    """
    flat, _ = ravel_pytree(params)
    size, summed = batches.size.astype(flat.dtype), summed_loss(problem, params, data)
    used = batches.size > 0
    parts = (batches.sample, batches.own, batches.position)
    gradients = batch_gradients(problem, params, data, batches)

    def add_curvature(so_far: Array, part: tuple) -> tuple[Array, None]:
        sample, own, position = part
        along = gradients[position]

        def slope(point: Array) -> Array:
            return jax.jvp(lambda point: summed(point, sample, own), (point,), (along,))[1]

        return so_far.at[position].add(jax.jvp(slope, (flat,), (along,))[1]), None

    curvature, _ = jax.lax.scan(add_curvature, jnp.zeros_like(size), parts)
    ratio = curvature / (jnp.where(used, size, 1) * jnp.where(used, jnp.sum(gradients**2, axis=1), 1))
    return jnp.sum(ratio) / jnp.sum(used).astype(ratio.dtype)
