"""Visited samples: the sequence in which an order visits the samples in each epoch."""

from collections.abc import Iterator

import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Int

from jaxsgd.compiling.jit import jit
from jaxsgd.order import Order, Split, Visits, visits
from jaxsgd.problems.linear_model import least_squares
from jaxsgd.simulator import make_simulator, streams

RATE, INPUTS = 0.01, 3
"""Learning rate, and inputs, of the training that an order which looks at gradients needs."""


def visited_samples(order: Order, key: Array, split: Split, epochs: int) -> Iterator[Int[np.ndarray, " N"]]:
    """Yield the samples of each epoch, batch after batch.

    For an order that looks at gradients, least squares is trained with it meanwhile.

    Args:
      order: any order.
      key: the key of the order's stream, and of the training.
      split: of the samples into batches.
      epochs: E.
    """
    if order.feedback is None:
        epoch_visits = jit(lambda key, epoch: visits(order, key, epoch, split))
        for epoch in range(epochs):
            yield _in_sequence(epoch_visits(key, jnp.asarray(epoch)))
        return
    problem = least_squares(split.num_samples, INPUTS)
    parts = make_simulator(problem, optax.sgd(RATE), split, order)
    state, data = jit(lambda key: (parts.start(key), problem.sample_data(streams(key).data)))(key)

    @jit
    def one_epoch(state, data, key, epoch):
        own = parts.epoch_visits(key, epoch, state)
        return own, parts.advance(state, data, own)[0]

    for epoch in range(epochs):
        own, state = one_epoch(state, data, key, jnp.asarray(epoch))
        yield _in_sequence(own)


def _in_sequence(batches: Visits) -> Int[np.ndarray, " N"]:
    sample, size = np.asarray(batches.sample), np.asarray(batches.size)
    return np.concatenate([row[:count] for row, count in zip(sample, size, strict=True)])
