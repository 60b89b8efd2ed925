"""The article's training as a plain NumPy loop, in one process or in one for each core. Needs no JAX."""

from collections.abc import Callable
from concurrent.futures import Executor

import numpy as np
from numpy.typing import NDArray

Arrays = tuple[NDArray, NDArray, NDArray, NDArray]
"""x [N, D], target [N, O], w1 [D, H], w2 [H, O] of one run."""


def sigmoid(z: NDArray) -> NDArray:
    """1 / (1 + exp(-z)), in the precision of z."""
    return 1 / (1 + np.exp(-z))


def train(arrays: Arrays, batch_count: int, epochs: int, rate: float) -> NDArray:
    """One run's losses, [E, m]: forward, backward and update of each batch in turn, as the article's program does them."""
    x, target, w1, w2 = arrays
    w1, w2 = w1.copy(), w2.copy()
    batches = list(zip(np.split(x, batch_count), np.split(target, batch_count), strict=True))
    losses = np.empty((epochs, batch_count), x.dtype)
    for epoch in range(epochs):
        for position, (inputs, wanted) in enumerate(batches):
            hidden = sigmoid(inputs @ w1)
            output = sigmoid(hidden @ w2)
            error = output - wanted
            losses[epoch, position] = np.mean(error * error)
            dz = error * output * (1 - output) * x.dtype.type(2 / error.size)
            dhidden = (dz @ w2.T) * hidden * (1 - hidden)
            w2 -= x.dtype.type(rate) * (hidden.T @ dz)
            w1 -= x.dtype.type(rate) * (inputs.T @ dhidden)
    return losses


def train_each(arrays: Arrays, batch_count: int, epochs: int, rate: float) -> NDArray:
    """Losses [R, E, m], one run after another; the arrays have a leading axis R."""
    return np.stack([train(item, batch_count, epochs, rate) for item in zip(*arrays, strict=True)])


def over_processes(pool: Executor) -> Callable[[Arrays, int, int, float], NDArray]:
    """A `train_each` whose runs are spread over the processes of a pool."""

    def trained(arrays: Arrays, batch_count: int, epochs: int, rate: float) -> NDArray:
        waiting = [pool.submit(train, item, batch_count, epochs, rate) for item in zip(*arrays, strict=True)]
        return np.stack([item.result() for item in waiting])

    return trained
