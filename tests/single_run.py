"""Single runs of a small network, against which results of its studies are compared, in programs that all tests share."""

import functools

import jax

import jaxsgd
from jaxsgd import Problem
from jaxsgd.problems import square_regression
from jaxsgd.simulator import draw_start

SIZES = {"num_samples": 20, "num_hidden": 3}
NETWORK = square_regression(**SIZES)
"""One object, because programs are compiled for each problem."""


@functools.cache
def drawn(seed):
    """Return the initial parameters and the data of a seed."""
    return draw_start(NETWORK, jaxsgd.streams(jax.random.key(seed)))


@functools.cache
def _compiled(make, batch_count, epochs):
    @jax.jit
    def run(params, data, key, rate):
        problem = Problem(lambda key: params, NETWORK.loss, data)
        how = {"optimizer": make(rate), "batch_count": batch_count, "epochs": epochs, "order": "reshuffle"}
        return jaxsgd.simulate(problem, key, **how)

    return run


def single_run(make, rate, *, seed, batch_count, epochs, order_seed=None, params=None):
    """Return a run by `jaxsgd.simulate` in the order "reshuffle".

    Args:
      make: a function of the rate that returns an optimizer.
      rate: the learning rate; one program has all rates and seeds.
      seed: of the data and the initial parameters.
      batch_count, epochs: as in `simulate`.
      order_seed: of the order; None for `seed`.
      params: with which it begins; None for those of the seed.
    """
    own, data = drawn(seed)
    key = jax.random.key(seed if order_seed is None else order_seed)
    return _compiled(make, batch_count, epochs)(own if params is None else params, data, key, rate)
