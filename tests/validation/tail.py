"""The end of a long run in a repeating order, place by place, against the cycle that NumPy solves for."""

from typing import NamedTuple

import jax
import numpy as np
import optax

import jaxsgd
from jaxsgd.simulator import make_simulator
from tests.validation import exact

NUM_SAMPLES, BATCH_COUNT, RATE, EPOCHS = 12, 5, 0.05, 800
PROBLEM = jaxsgd.problems.least_squares(NUM_SAMPLES, 3, dtype="float64")


class Differences(NamedTuple):
    """Largest absolute differences from the exact cycle, over all places of its C epochs.

    Attributes:
      weights: of the run's weights before each step.
      loss: of the run's losses.
      solved: of the weights and losses that `limit_cycle` gives.
      size: how far the exact cycle's weights are from the optimum at most, to compare with.
    """

    weights: float
    loss: float
    solved: float
    size: float


def measure(order: str) -> Differences:
    """The differences for a run on least squares whose batches are of 3, 3, 2, 2 and 2 samples, in float64 (which the caller
    turns on)."""
    key, optimizer = jax.random.key(0), optax.sgd(RATE)
    keys = jaxsgd.streams(key)
    data = PROBLEM.sample_data(keys.data)
    x, target = map(np.asarray, data)
    epoch_key = jax.random.fold_in(keys.order, 0)

    parts = make_simulator(PROBLEM, optimizer, jaxsgd.split(NUM_SAMPLES, batch_count=BATCH_COUNT), order)
    sequence = np.arange(NUM_SAMPLES) if order == "fixed" else np.asarray(jax.random.permutation(epoch_key, NUM_SAMPLES))
    batches = np.array_split(sequence, BATCH_COUNT)
    epochs = [batches, batches[::-1]] if order == "flip_flop" else [batches]
    distance = exact.cycle([exact.steps(x, target, RATE, epoch) for epoch in epochs])[..., :-1]
    weights = np.linalg.lstsq(x, target)[0] + distance
    losses = [
        [np.mean((x[samples] @ here - target[samples]) ** 2) / 2 for samples, here in zip(epoch, places, strict=True)]
        for epoch, places in zip(epochs, weights, strict=True)
    ]

    how = {"optimizer": optimizer, "batch_count": BATCH_COUNT, "order": order}
    run = jaxsgd.simulate(PROBLEM, key, epochs=EPOCHS, **how)
    solved = jaxsgd.limit_cycle(PROBLEM, key, **how)
    seen = _weights_at_each_place(parts, run, data, keys.order, len(epochs))
    return Differences(
        float(np.abs(seen - weights).max()),
        float(np.abs(run.loss[-len(epochs) :] - np.array(losses)).max()),
        float(max(np.abs(solved.params - weights).max(), np.abs(solved.loss - np.array(losses)).max())),
        float(np.abs(distance).max()),
    )


def _weights_at_each_place(parts, run, data, key, epochs) -> np.ndarray:
    """The weights before each step of the epochs that follow a run, [C, m, D]: one step, a look, and on."""
    advance, epoch_visits = jax.jit(parts.advance), jax.jit(parts.epoch_visits)
    state = parts.start(key)._replace(params=run.params)
    places = []
    for epoch in range(EPOCHS, EPOCHS + epochs):
        visits = jax.tree.map(np.asarray, epoch_visits(key, epoch))
        for place in range(BATCH_COUNT):
            places.append(np.asarray(state.params))
            state, _ = advance(state, data, jax.tree.map(lambda leaf, place=place: leaf[place : place + 1], visits))
    return np.array(places).reshape(epochs, BATCH_COUNT, -1)
