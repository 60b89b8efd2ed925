"""Problems whose losses show what the simulator did. Each is one object, because programs are compiled for each problem."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

import jaxsgd


def _loss_is_the_sample(weight, x):
    return x + 0 * weight


@functools.cache
def numbered(num_samples):
    """Sample n has loss n whatever the weight, so a batch's loss is the mean of its samples' numbers; the weight stays 0."""
    return jaxsgd.Problem(lambda key: jnp.zeros(()), _loss_is_the_sample, jnp.arange(float(num_samples)))


@functools.cache
def drawn(num_samples):
    """Sample n has a drawn loss x_n, and the weight stays where it was drawn: losses show data and order, the weight init."""
    return jaxsgd.Problem(jax.random.uniform, _loss_is_the_sample, lambda key: jax.random.uniform(key, (num_samples,)))


@functools.cache
def network(num_samples=60, num_inputs=3, num_hidden=8, dtype="float32"):
    """The article's problem with data and initial weights that NumPy drew; JAX would compile for a second to draw them."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((num_samples, num_inputs)).astype(dtype)
    weights = {name: rng.standard_normal((num_inputs, num_hidden)).astype(dtype) for name in ("w1", "w2")}
    loss = jaxsgd.problems.square_regression().loss
    return jaxsgd.Problem(lambda key: jax.tree.map(jnp.asarray, weights), loss, (x, x**2))


@functools.cache
def line(num_samples=60, num_inputs=4):
    """Least squares on data that NumPy drew; weights start at 1."""
    x = np.random.default_rng(0).standard_normal((num_samples, num_inputs)).astype("float32")
    return jaxsgd.Problem(lambda key: jnp.ones(num_inputs), jaxsgd.problems.least_squares().loss, (x, x.sum(axis=1) ** 2))
