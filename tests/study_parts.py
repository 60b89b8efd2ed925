"""What studies in the tests point at."""

import jax
import jax.numpy as jnp

from jaxsgd import Problem
from jaxsgd.problems import least_squares


def sometimes_nan(num_samples: int = 20) -> Problem:
    """Least squares whose initial weights are NaN for about half of the initial seeds."""
    problem = least_squares(num_samples=num_samples, num_inputs=3)

    def init(key):
        return jnp.where(jax.random.bernoulli(key), jnp.nan, jnp.zeros(3))

    return Problem(init, problem.loss, problem.data)
