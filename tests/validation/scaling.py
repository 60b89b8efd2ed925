"""Steps to a target on the noisy quadratic model at every batch count and rate, in sweeps and by the exact recurrence."""

import functools
from typing import NamedTuple

import jax
import numpy as np

import jaxsgd
from jaxsgd import Study

BATCH_COUNTS = (2, 4, 8, 16, 50, 200)
RATES = tuple(1.8 * 2.0**-k for k in range(9))
TARGET, SAMPLES, INPUTS = 0.05, 1000, 100


class Steps(NamedTuple):
    """Steps to the target; K batch counts, L rates.

    Attributes:
      mean: [K, L], of the mean curve over the runs; NaN where it does not reach the target.
      exact: [K, L], of the expected curve.
      runs: [K], median over single runs at the best rate, as `jaxsgd.scaling` finds it.
    """

    mean: np.ndarray
    exact: np.ndarray
    runs: np.ndarray

    @property
    def tuned(self) -> tuple[np.ndarray, np.ndarray]:
        """([K], [K]), steps at the best rate of each: of the mean curves, and of the expected ones."""
        return np.nanmin(self.mean, axis=-1), np.nanmin(self.exact, axis=-1)

    @property
    def best(self) -> tuple[np.ndarray, np.ndarray]:
        """([K], [K]), those rates."""
        mean, exact = (np.asarray(RATES)[np.nanargmin(steps, axis=-1)] for steps in (self.mean, self.exact))
        return mean, exact


def measure(batch_counts: tuple[int, ...] = BATCH_COUNTS, *, seeds: int = 40, epochs: int = 30) -> Steps:
    """Sweeps of one data set and one start in the order `replacement`, in which a step's noise is independent of all before."""
    study = Study(
        problem="noisy_quadratic",
        problem_args={"num_samples": SAMPLES, "num_inputs": INPUTS},
        order_seeds=range(seeds),
        orders="replacement",
        batch_counts=batch_counts,
        learning_rates=RATES,
        epochs=epochs,
        record="epoch",
    )
    ds = jaxsgd.sweep(study)
    scaled = jaxsgd.scaling(ds, TARGET, "excess_loss", resamples=1).squeeze().sel(batch_count=list(batch_counts))
    curve = ds.excess_loss.mean("order_seed").squeeze().transpose("batch_count", "learning_rate", "epoch").values
    when = np.asarray(batch_counts)[:, None, None] * (np.arange(epochs) + 1)
    exact = np.stack([expected(m, np.asarray(RATES), epochs) for m in batch_counts])
    mean, known = (jaxsgd.analysis.steps_to_target(losses, when, TARGET) for losses in (curve, exact))
    return Steps(mean, known, scaled.steps.values)


def expected(batch_count: int, rates: np.ndarray, epochs: int) -> np.ndarray:
    """Return the expected excess loss after each epoch at each rate, [L, E], over the orders of one data set and one start.

    Around the optimum of N samples, u = w - w*, a step is u <- (1 - lr h) u + lr sqrt(h) e with e the mean of B draws from the
    samples, less the mean of all: E[u^2] follows s <- (1 - lr h)^2 s + lr^2 h S / B (Zhang et al. 2019), with the samples' own
    variance S in place of 1, and the excess loss is sum(h s) / 2.
    """
    curvature, rate = 1 / np.arange(1, INPUTS + 1), rates[:, None]
    z, start = drawn()
    square = (start - z.mean(axis=0) / np.sqrt(curvature)) ** 2
    losses = []
    for _ in range(epochs):
        for size in jaxsgd.split(SAMPLES, batch_count=batch_count).sizes:
            square = (1 - rate * curvature) ** 2 * square + rate**2 * curvature * z.var(axis=0) / size
        losses.append(square @ curvature / 2)
    return np.stack(losses, axis=-1)


@functools.cache
def drawn() -> tuple[np.ndarray, np.ndarray]:
    """Return the samples, [N, D], and the first weights, [D], of the sweep's only data set and start."""
    problem, keys = jaxsgd.problems.noisy_quadratic(SAMPLES, INPUTS), jaxsgd.streams(jax.random.key(0))
    samples, start = jax.jit(lambda keys: (problem.sample_data(keys.data), problem.init(keys.init)))(keys)
    return np.asarray(samples, np.float64), np.asarray(start, np.float64)
