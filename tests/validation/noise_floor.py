"""The distance from the optimum at which a constant rate leaves a run on least squares, by order, in runs and exactly."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np
import optax

import jaxsgd
from jaxsgd import simulator, train
from jaxsgd.order import visits
from tests.validation import exact

RATES = (0.004, 0.002, 0.001)


class Floor(NamedTuple):
    """Squared distances to the optimum at the epochs' ends, once the start is forgotten; r rates.

    Attributes:
      simulated: [seeds, r], means over epochs.
      exact: [seeds, r], expectations for each seed's data and, where it keeps one, order; None where nobody knows them.
    """

    simulated: np.ndarray
    exact: np.ndarray | None

    @property
    def slope(self) -> np.ndarray:
        """[r - 1], log2 of the factor by which the mean over seeds falls when the rate is halved."""
        return halvings(self.simulated.mean(axis=0))

    @property
    def slope_error(self) -> np.ndarray:
        """[r - 1], the slopes' standard error, by leaving out one seed after the other (the jackknife)."""
        total, seeds = self.simulated.sum(axis=0), len(self.simulated)
        left = np.array([halvings(total - own) for own in self.simulated])
        return np.sqrt((seeds - 1) * left.var(axis=0))

    @property
    def exact_slope(self) -> np.ndarray:
        """[r - 1], the slopes of the exact expectations."""
        assert self.exact is not None
        return halvings(self.exact.mean(axis=0))

    @property
    def ratio(self) -> np.ndarray:
        """[r], simulated to exact, the mean over seeds."""
        return np.mean(self.simulated / self.exact, axis=0)

    @property
    def ratio_error(self) -> np.ndarray:
        """[r], the standard error of the ratio."""
        return np.std(self.simulated / self.exact, axis=0, ddof=1) / np.sqrt(len(self.simulated))


def halvings(values: np.ndarray) -> np.ndarray:
    """log2 of the factor by which each value is larger than the next."""
    return np.log2(values[:-1] / values[1:])


@functools.cache
def draw(num_samples: int, num_inputs: int, seeds: int):
    """For each seed the data of `least_squares`, x [seeds, N, D] and target [seeds, N], and the key of the order."""
    problem = jaxsgd.problems.least_squares(num_samples, num_inputs, dtype="float64")

    @jax.jit
    @jax.vmap
    def of_seed(key):
        keys = jaxsgd.streams(key)
        return problem.sample_data(keys.data), keys.order

    data, keys = of_seed(jax.random.split(jax.random.key(0), seeds))
    return jax.tree.map(np.asarray, data), keys


def measure(
    order: str, *, num_samples: int = 32, num_inputs: int = 4, seeds: int = 32, epochs: int = 1000, rates=RATES
) -> Floor:
    """The floors of runs with batches of one sample, in float64 (which the caller turns on).

    Each seed has data of its own. Runs start at the optimum of their data, where there is next to nothing to forget, and the
    first half of their epochs is left out.
    """
    problem = jaxsgd.problems.least_squares(num_samples, num_inputs, dtype="float64")
    split = jaxsgd.split(num_samples, batch_size=1)

    def run(data, optimum, key, rate):
        how = {"optimizer": optax.sgd(rate), "order": jaxsgd.ORDERS[order], "split": split, "precision": "float32"}
        how["recording"] = train.Recording(observe=lambda weights, context: weights)
        begun = simulator.initial_state(how["optimizer"], optimum)
        return train.run(problem, begun, data, key, epochs=epochs, **how).observed

    data, keys = draw(num_samples, num_inputs, seeds)
    x, target = data
    optimum = np.array([np.linalg.lstsq(*system)[0] for system in zip(x, target, strict=True)])
    weights = jax.jit(jax.vmap(jax.vmap(run, (None, None, None, 0)), (0, 0, 0, None)))(data, optimum, keys, np.asarray(rates))
    distance = np.sum((np.asarray(weights) - optimum[:, None, None]) ** 2, axis=-1)
    floor = distance[..., epochs // 2 :].mean(axis=-1)
    sequence = jax.jit(jax.vmap(lambda key: visits(jaxsgd.ORDERS[order], key, 0, split).sample[:, 0]))
    return Floor(floor, _exact(order, x, target, np.asarray(sequence(keys)), rates))


def _exact(order: str, x: np.ndarray, target: np.ndarray, sequence: np.ndarray, rates) -> np.ndarray | None:
    floors: dict[str, Callable] = {
        "fixed": exact.floor_in_order,
        "shuffle_once": exact.floor_in_order,
        "flip_flop": exact.floor_forwards_and_backwards,
        "replacement": exact.floor_with_replacement,
    }
    # Reshuffling's takes 2^N products.
    if x.shape[1] <= 8:
        floors["reshuffle"] = exact.floor_reshuffled
    if order not in floors:
        return None
    if order in ("fixed", "replacement"):
        sequence = np.broadcast_to(np.arange(x.shape[1]), sequence.shape)
    return np.array(
        [[floors[order](exact.steps(x[i][sequence[i]], target[i][sequence[i]], rate)) for rate in rates] for i in range(len(x))]
    )
