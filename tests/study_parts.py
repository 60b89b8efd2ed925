"""What studies in the tests point at."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxsgd import Problem
from jaxsgd.problems import least_squares


def sometimes_nan(num_samples: int = 20) -> Problem:
    """Least squares whose initial weights are NaN for about half of the initial seeds."""
    problem = least_squares(num_samples=num_samples, num_inputs=3)

    def init(key):
        return jnp.where(jax.random.bernoulli(key), jnp.nan, jnp.zeros(3))

    return Problem(init, problem.loss, problem.data)


HELD_INPUTS = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
HELD_TARGETS = np.random.default_rng(1).normal(size=40).astype(np.float32)


def holding() -> Problem:
    """Least squares on arrays of its own."""
    problem = least_squares(num_samples=40, num_inputs=3)
    return Problem(problem.init, problem.loss, (HELD_INPUTS, HELD_TARGETS), problem.optimum)


def two_leaves() -> Problem:
    """Parameters {a: [2], b: []} that begin at 0, with the optimum a = (2, 2), b = 1 whatever the four samples."""

    def loss(params, batch):
        return batch * (jnp.sum((params["a"] - 2) ** 2) + (params["b"] - 1) ** 2)

    return Problem(
        init=lambda key: {"a": jnp.zeros(2), "b": jnp.zeros(())},
        loss=loss,
        data=lambda key: jnp.ones(4),
        optimum=lambda data: {"a": jnp.full(2, 2.0), "b": jnp.ones(())},
    )
