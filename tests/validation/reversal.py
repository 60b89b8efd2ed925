"""The effect of going through the batches backwards in every second epoch.

Write step t as exp(X_t): on (w - w*, 1), with M_t = [[A_t, g_t], [0, 0]], A_t the batch's Hessian and g_t its gradient at the
optimum,

    X_t = log(I - lr M_t) = -lr M_t - lr^2 M_t^2 / 2 - ...

By Baker, Campbell and Hausdorff a product of exponentials is the exponential of a sum of commutators:

    one pass       log(exp X_m ... exp X_1)                    = sum X_t + (1/2) sum over s < t of [X_t, X_s] + O(lr^3)
    and back       log(exp X_1 ... exp X_m exp X_m ... exp X_1) = 2 sum X_t                                   + O(lr^3)

Turning all signs of X in a palindrome inverts it, so that its logarithm is odd in X and has no commutator of two. The sum of
X_t is the same in every order. So two orders end up apart by O(lr^2) after one pass, or after several that are the same, and
by O(lr^3) after one forwards and one backwards.

What is left is not nothing: sum X_t holds -lr^2 sum M_t^2 / 2, whatever the order, which puts the cycle of `flip_flop` not at
the optimum but, solving (2 sum X_t)(d, 1) = 0 to first order with H the mean of A_t, at the epochs' ends at

    d = -(lr / 2) H^-1 mean(A_t g_t) + O(lr^2).
"""

import functools
from typing import NamedTuple

import jax
import numpy as np
import optax

import jaxsgd
from jaxsgd import simulator, train
from tests.validation.noise_floor import draw

NUM_SAMPLES, NUM_INPUTS = 32, 2
PAIR_RATES = (2**-8, 2**-9, 2**-10, 2**-11)
CYCLE_RATES = (0.008, 0.004, 0.002, 0.001)


class Ends(NamedTuple):
    """The ends of runs that differ in the order's key alone.

    Attributes:
      data: x [seeds, N, D] and target [seeds, N].
      weights: [seeds, 2, r, D], for two keys of the order and r rates.
    """

    data: tuple[np.ndarray, np.ndarray]
    weights: np.ndarray


def rms(vectors: np.ndarray) -> np.ndarray:
    """[r], root mean square over seeds of the lengths of [seeds, r, D]."""
    return np.sqrt(np.mean(np.sum(vectors**2, axis=-1), axis=0))


@functools.cache
def ends(order: str, *, epochs: int, rates: tuple[float, ...], seeds: int = 16) -> Ends:
    """The ends of runs from 0 on least squares with batches of one sample, in float64 (which the caller turns on)."""
    problem = jaxsgd.problems.least_squares(NUM_SAMPLES, NUM_INPUTS, dtype="float64")
    split = jaxsgd.split(NUM_SAMPLES, batch_size=1)

    def run(data, key, rate):
        how = {"optimizer": optax.sgd(rate), "order": jaxsgd.ORDERS[order], "split": split, "precision": "float32"}
        begun = simulator.initial_state(how["optimizer"], np.zeros(NUM_INPUTS))
        return train.run(problem, begun, data, key, epochs=epochs, **how).params

    data, keys = draw(NUM_SAMPLES, NUM_INPUTS, seeds)
    over_rates = jax.vmap(run, (None, None, 0))
    weights = jax.jit(jax.vmap(jax.vmap(over_rates, (None, 0, None)), (0, 0, None)))(
        data, jax.vmap(jax.random.split)(keys), np.asarray(rates)
    )
    return Ends(data, np.asarray(weights))


def apart(order: str, **how) -> np.ndarray:
    """[r], root mean square distance between the ends of two runs that differ in the order's key alone."""
    weights = ends(order, **how).weights
    return rms(weights[:, 0] - weights[:, 1])


def order_free_distance(data: tuple[np.ndarray, np.ndarray], rates) -> np.ndarray:
    """The cycle of `flip_flop` to first order: w* - (lr / 2) H^-1 mean(A_t g_t), [seeds, r, D]."""
    places = []
    for x, target in zip(*data, strict=True):
        optimum = np.linalg.lstsq(x, target)[0]
        # A_t g_t = x (x.x) r, for a sample's Hessian x x' and gradient x r at the optimum, where its residual is r.
        pull = np.mean(x * (np.sum(x**2, axis=1) * (x @ optimum - target))[:, None], axis=0)
        places.append([optimum - rate / 2 * np.linalg.solve(x.T @ x / len(x), pull) for rate in rates])
    return np.array(places)
