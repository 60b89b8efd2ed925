"""Influence against the first-order theory, and gradient noise where it is known."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxsgd
from tests.validation.noise_floor import halvings

BATCH_COUNTS = (2, 5, 10, 20)
RATES = tuple(2.0**-k for k in range(5, 10))


class Shares(NamedTuple):
    """Own shares of the article's network, [seeds, counts].

    Attributes:
      exact: from the effects of every step.
      predicted: (1 + V / |G|^2) / m, from the gradients.
      cosine: mean cosine between two different batches' gradients.
    """

    exact: np.ndarray
    predicted: np.ndarray
    cosine: np.ndarray


def shares(seeds: int, num_hidden: int = 1000, num_samples: int = 200, rate: float = 1e-3) -> Shares:
    problem = jaxsgd.problems.square_regression(num_samples, num_hidden=num_hidden, dtype=jnp.float64)

    def of_seed(seed):
        return jaxsgd.influence(problem, jax.random.key(seed), optimizer=optax.sgd(rate), at=0, batch_count=BATCH_COUNTS)

    influence = jax.jit(lambda seeds: jax.lax.map(of_seed, seeds))(jnp.arange(seeds))
    cosine = np.stack(
        [influence.cosine[:, place, 0][:, ~np.eye(20, dtype=bool)].reshape(seeds, -1) for place in range(len(BATCH_COUNTS))],
        axis=1,
    )
    return Shares(influence.own_share[..., 0], predicted(influence), np.nanmean(cosine, axis=-1))


def predicted(influence: jaxsgd.measure.Influence) -> np.ndarray:
    """(1 + V / |G|^2) / m, with |G|^2 the mean of all inner products and V the mean of the diagonal's excess over it."""
    gram = np.asarray(influence.gram)[..., 0, :, :]
    square = np.nanmean(gram, axis=(-2, -1))
    scatter = np.nanmean(np.diagonal(gram, axis1=-2, axis2=-1), axis=-1) - square
    return (1 + scatter / square) / np.asarray(BATCH_COUNTS)


class Frozen(NamedTuple):
    """Errors of the epoch whose gradients are all taken at its first parameters, rms over seeds, [rates]."""

    parameters: np.ndarray
    loss: np.ndarray


def frozen(seeds: int, num_hidden: int = 100) -> Frozen:
    problem = jaxsgd.problems.square_regression(200, num_hidden=num_hidden, dtype=jnp.float64)

    def of_setting(seed, rate):
        return jaxsgd.influence(problem, jax.random.key(seed), optimizer=optax.sgd(rate), at=0, batch_count=10)

    over_rates = jax.vmap(of_setting, (None, 0))
    influence = jax.jit(lambda seeds: jax.lax.map(lambda seed: over_rates(seed, jnp.asarray(RATES)), seeds))(jnp.arange(seeds))
    loss = influence.frozen_loss - influence.loss - influence.effect.sum(axis=-1)
    square = (np.asarray(influence.frozen_distance)[..., 0] ** 2, np.asarray(loss)[:, :, 0].mean(axis=-1) ** 2)
    return Frozen(*(np.sqrt(values.mean(axis=0)) for values in square))


class Parts(NamedTuple):
    """Mean over seeds of the estimated parts of the noise scale over the exact ones, with standard errors."""

    trace: float
    trace_error: float
    square: float
    square_error: float


def noise_parts(small_batch: int, seeds: int) -> Parts:
    """On the noisy quadratic: tr(Sigma) = sum h, |G|^2 = sum (h w)^2."""
    problem = jaxsgd.problems.noisy_quadratic(100, 20, dtype=jnp.float64)
    keys = jaxsgd.streams(jax.random.key(0))

    def of_seed(seed):
        own = jaxsgd.streams(jax.random.key(0), data=jax.random.key(seed))
        noise = jaxsgd.noise(problem, own, optimizer=optax.sgd(0.1), at=0, batch_count=1, small_batch=small_batch)
        return noise.trace[0], noise.gradient_square[0]

    weights, curvature = np.asarray(problem.init(keys.init)), 1 / np.arange(1, 21)
    exact = (curvature.sum(), ((curvature * weights) ** 2).sum())
    ratios = [
        np.asarray(part) / whole for part, whole in zip(jax.jit(jax.vmap(of_seed))(jnp.arange(seeds)), exact, strict=True)
    ]
    trace, square = ((part.mean(), part.std(ddof=1) / np.sqrt(seeds)) for part in ratios)
    return Parts(*trace, *square)


def frozen_slopes(errors: Frozen) -> tuple[np.ndarray, np.ndarray]:
    return halvings(errors.parameters), halvings(errors.loss)
