"""Euclidean lengths: of the parameters, of their gradient, of an update, and of the way to the optimum."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxsgd.compiling.jit import as_one_program
from jaxsgd.measure.blocks import mean_gradient
from jaxsgd.problem import Batch, Params, Problem


def squared_norm(tree: Params) -> Float[Array, ""]:
    """Return the sum of the squares of all entries of a pytree, []."""
    return jnp.sum(jnp.stack([jnp.sum(leaf**2) for leaf in jax.tree.leaves(tree)]))


def norm(tree: Params) -> Float[Array, ""]:
    """Return the Euclidean length of all entries of a pytree together, []."""
    return jnp.sqrt(squared_norm(tree))


def distance(params: Params, other: Params) -> Float[Array, ""]:
    """Return the Euclidean distance between two sets of parameters, [], in units of a parameter."""
    return norm(jax.tree.map(jnp.subtract, params, other))


def parameter_norm(params: Params) -> Float[Array, ""]:
    """Return the Euclidean length of the parameters, [], in units of a parameter."""
    return norm(params)


@as_one_program
def gradient_norm(problem: Problem, params: Params, data: Batch) -> Float[Array, ""]:
    """Return the length of the gradient of the mean loss, [], in loss per parameter.

    Args:
      problem: gives the loss of each sample.
      params: the parameters.
      data: arrays with leading axis N, of all samples or of a batch; more than 1,024 samples are taken in blocks.
    """
    return norm(mean_gradient(problem, params, data))


def update_norm(before: Params, after: Params) -> Float[Array, ""]:
    """Return the length of the change of the parameters from before an update to after it, [], in units of a parameter."""
    return distance(after, before)
