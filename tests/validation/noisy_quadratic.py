"""The mean risk of the noisy quadratic model, in runs and by its exact recurrence."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxsgd
from jaxsgd.simulator import make_simulator

NUM_INPUTS, STEPS, RATE = 20, 20, 0.5
BATCH_SIZES = (1, 2, 8)


class Risk(NamedTuple):
    """Mean risk before each step, sum(h w^2) / 2.

    Attributes:
      simulated: [m], mean over seeds.
      error: [m], its standard error over seeds.
      exact: [m].
    """

    simulated: np.ndarray
    error: np.ndarray
    exact: np.ndarray

    @property
    def z(self) -> np.ndarray:
        """[m], the difference in standard errors."""
        return (self.simulated - self.exact) / self.error


def measure(batch_size: int, *, seeds: int = 4000) -> Risk:
    """Runs of one epoch, in which every sample is new, in float64 (which the caller turns on)."""
    problem = jaxsgd.problems.noisy_quadratic(STEPS * batch_size, NUM_INPUTS, dtype="float64")
    parts = make_simulator(problem, optax.sgd(RATE), jaxsgd.split(STEPS * batch_size, batch_size=batch_size))
    curvature = 1 / np.arange(1, NUM_INPUTS + 1)

    @jax.jit
    @jax.vmap
    def risk(key):
        keys = jaxsgd.streams(key)
        data = problem.sample_data(keys.data)

        def step(state, visit):
            after, _ = parts.advance(state, data, jax.tree.map(lambda leaf: leaf[None], visit))
            return after, jnp.sum(curvature * state.params**2) / 2

        return jax.lax.scan(step, parts.start(keys.init), parts.epoch_visits(keys.order, 0))[1]

    risks = np.asarray(risk(jax.random.split(jax.random.key(0), seeds)))
    return Risk(risks.mean(axis=0), risks.std(axis=0, ddof=1) / np.sqrt(seeds), recurrence(batch_size))


def recurrence(batch_size: int) -> np.ndarray:
    """The risk sum(h s) / 2 before each step, with s <- (1 - lr h)^2 s + lr^2 h / B from s = 1; [m]."""
    curvature = 1 / np.arange(1, NUM_INPUTS + 1)
    square, risk = np.ones(NUM_INPUTS), []
    for _ in range(STEPS):
        risk.append(np.sum(curvature * square) / 2)
        square = (1 - RATE * curvature) ** 2 * square + RATE**2 * curvature / batch_size
    return np.array(risk)
