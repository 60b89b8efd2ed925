"""The loss on the straight line between two sets of parameters, and its barrier.

Reference:
  Frankle, Dziugaite, Roy and Carbin 2020, "Linear mode connectivity and the lottery ticket hypothesis" (arXiv 1912.05671): the
    largest error on the line, less the mean of the errors at its ends. They take the test error of a classifier; here it is the
    mean loss over given samples.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxsgd.compiling.jit import as_one_program
from jaxsgd.error import InputError, check_count, shown
from jaxsgd.problem import Batch, Params, Problem
from jaxsgd.simulator import sample_losses
from jaxsgd.summary import short_repr

POINTS = 31
"""The number of points on a line, by default: its ends, its middle and 28 others."""


class LinearBarrier(NamedTuple):
    """The loss along a line; A points.

    Attributes:
      barrier: [], the largest loss on the line less the mean of the losses at its two ends, in units of the loss. It is never
        below 0, and for a convex loss it is half the difference between the two ends.
      loss: [A], the mean loss at each point.
      share: [A], the way from the first parameters to the second that is done at each point, from 0 to 1.
    """

    barrier: Float[Array, ""]
    loss: Float[Array, " A"]
    share: Float[Array, " A"]

    __repr__ = short_repr


def linear_barrier(problem: Problem, params_a: Params, params_b: Params, data: Batch, *, points: int = POINTS) -> LinearBarrier:
    """Return the barrier of the mean loss on the straight line between two sets of parameters.

    Two runs whose barrier is about 0 are linearly connected. It is a pure function, for `jit` and `vmap` as well.

    Args:
      problem: gives the loss of each sample.
      params_a, params_b: the ends of the line, in the problem's own pytree.
      data: the samples, arrays with leading axis N; more than 1,024 of them are taken in blocks.
      points: A, the number of points on the line with its ends; at least 3.

    Raises:
      InputError: for fewer than 3 points, or parameters of different structures or shapes.
    """
    if (number := check_count("points", points)) < 3:
        raise InputError(f"points must be at least 3: the two ends of the line and a point between them, got {points}")
    if jax.tree.map(jnp.shape, params_a) != jax.tree.map(jnp.shape, params_b):
        raise InputError(f"the two ends must have parameters of the same shapes, got {shown(params_a)} and {shown(params_b)}")
    return _linear_barrier(problem, params_a, params_b, data, number)


@functools.partial(as_one_program, static_argnames="points")
def _linear_barrier(problem: Problem, params_a: Params, params_b: Params, data: Batch, points: int) -> LinearBarrier:
    share = jnp.arange(points) / (points - 1)

    def mean_loss(share: Array) -> Array:
        between = jax.tree.map(lambda a, b: ((1 - share) * a + share * b).astype(jnp.result_type(a)), params_a, params_b)
        return jnp.mean(sample_losses(problem, between, data))

    loss = jax.lax.map(mean_loss, share)
    return LinearBarrier(jnp.max(loss) - (loss[0] + loss[-1]) / 2, loss, share)
