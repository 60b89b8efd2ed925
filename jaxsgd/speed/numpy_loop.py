"""The article's training as a plain NumPy loop, in one process or in one for each core. Needs no JAX."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context

import numpy as np
from numpy.typing import NDArray

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""What tells a linear-algebra library, before it is loaded, how many threads it may use."""

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
    return np.stack([train(each, batch_count, epochs, rate) for each in zip(*arrays, strict=True)])


@contextmanager
def process_pool(processes: int) -> Iterator[Callable[[Arrays, int, int, float], NDArray]]:
    """A pool of processes with one thread each; gives a `train_each` whose runs are spread over them."""
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    try:
        with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:

            def trained(arrays: Arrays, batch_count: int, epochs: int, rate: float) -> NDArray:
                runs = zip(*arrays, strict=True)
                waiting = [pool.submit(train, each, batch_count, epochs, rate) for each in runs]
                return np.stack([each.result() for each in waiting])

            yield trained
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
