"""The trace of the Hessian of the mean training loss, estimated with random vectors.

Reference:
  Hutchinson 1989, "A stochastic estimator of the trace of the influence matrix for Laplacian smoothing splines": for a vector v
    of independent signs, 1 or -1 with probability 1/2 each, v'Av is an unbiased estimate of the trace of A.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from jaxsgd.compiling.jit import as_one_program
from jaxsgd.error import InputError, check_count
from jaxsgd.measure.blocks import hessian_product, random_signs
from jaxsgd.problem import Batch, Params, Problem
from jaxsgd.summary import short_repr

PROBES = 20
"""The number of random vectors, by default."""


class HessianTrace(NamedTuple):
    """An estimate of the trace, in loss per squared parameter.

    Attributes:
      value: [], the mean over the random vectors; unbiased.
      error: [], its standard error, from the scatter over the random vectors.
    """

    value: Float[Array, ""]
    error: Float[Array, ""]

    __repr__ = short_repr


def hessian_trace(problem: Problem, params: Params, data: Batch, key: Array, *, probes: int = PROBES) -> HessianTrace:
    """Return the trace of the Hessian of the mean loss over all samples, with its standard error.

    The trace is the sum of the eigenvalues. The variance of v'Hv is twice the sum of the squares of the entries of H off its
    diagonal, so for a diagonal Hessian any number of vectors gives the trace itself.

    Args:
      problem: gives the loss of each sample.
      params: the parameters.
      data: arrays with leading axis N; more than 1,024 samples are taken in blocks.
      key: of the random vectors.
      probes: the number of random vectors, each with one product with the Hessian; at least 2.

    Raises:
      InputError: for fewer than 2 probes.
    """
    if (number := check_count("probes", probes)) < 2:
        raise InputError("probes must be at least 2, so that they have a scatter, got 1")
    return _hessian_trace(problem, params, data, key, number)


@functools.partial(as_one_program, static_argnames="probes")
def _hessian_trace(problem: Problem, params: Params, data: Batch, key: Array, probes: int) -> HessianTrace:
    flat, unravel = ravel_pytree(params)

    def estimate(key: Array) -> Array:
        vector = random_signs(key, flat)
        return vector @ ravel_pytree(hessian_product(problem, params, data, unravel(vector)))[0]

    estimates = jax.lax.map(estimate, jax.random.split(key, probes))
    count = jnp.asarray(probes, flat.dtype)
    return HessianTrace(jnp.mean(estimates), jnp.std(estimates, ddof=1) / jnp.sqrt(count))
