"""Runs of an experiment: window by window with a clock, in one piece, or over many seeds in one program."""

import dataclasses
import functools
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import jax
import numpy as np
import optax
from jaxtyping import Array, Float

from jaxsgd.article.experiment import Experiment
from jaxsgd.order import Visits, split
from jaxsgd.problem import Problem
from jaxsgd.simulator import make_simulator, sample_losses, simulate, streams

SEEDS = 64
"""How many seeds say what is ordinary."""

GROUP = 2
"""Seeds that a CPU advances side by side. More run no faster, for their weights no longer fit its cache, and take twice as
long to compile."""


class Recorded(NamedTuple):
    """What is kept of a run; of many runs, with a leading axis R.

    Attributes:
      loss: [E, m], the loss of each batch.
      sample_loss: [N], each sample's loss at the initial parameters.
    """

    loss: Float[Array, "*R E m"]
    sample_loss: Float[Array, "*R N"]


class Training(NamedTuple):
    """A run that has not begun.

    Attributes:
      sample_loss: [N], each sample's loss at the initial parameters.
      windows: runs it; see `train_by_window`.
    """

    sample_loss: Float[np.ndarray, " N"]
    windows: Iterator[tuple[Float[np.ndarray, " w"], float]]


def train_by_window(
    problem: Problem, seed: int, experiment: Experiment, clock: Callable[[], float] = time.perf_counter
) -> Training:
    """A run that stops after every `eval_interval` batches, for a log that is printed while it trains.

    It makes the same losses as `jaxsgd.simulate` with the same seed, up to rounding. Everything is compiled before the
    first window is asked for, so that the clock times training alone.

    Args:
      problem: what to train, with `experiment.num_samples` samples.
      seed: of data, initial parameters and order.
      experiment: the settings.
      clock: gives seconds.

    Returns:
      The run to come. Its `windows` yields, for each window, (the losses of its batches [w], the seconds since training
      began); when w does not divide E m, a shorter one comes last.
    """
    cut = split(experiment.num_samples, batch_count=experiment.batch_count)
    parts = make_simulator(problem, optax.sgd(experiment.learning_rate), cut, experiment.order)

    @jax.jit
    def start(keys, data):
        data = problem.sample_data(keys.data) if data is None else data
        state = parts.start(keys.init)
        return state, data, sample_losses(problem, state.params, data)

    keys = streams(jax.random.key(seed))
    state, data, sample_loss = start(keys, None if callable(problem.data) else problem.data)
    epoch_visits = jax.jit(parts.epoch_visits)
    advance = jax.jit(parts.advance)

    def visits_of(epoch: int) -> Visits:
        # As NumPy arrays, for cutting them up one by one on the device would compile a program for each cut.
        return jax.tree.map(np.asarray, epoch_visits(keys.order, epoch))

    first = next(_cut_into_windows(visits_of, experiment.epochs, experiment.eval_interval))
    jax.block_until_ready(advance(state, data, first))

    def windows() -> Iterator[tuple[np.ndarray, float]]:
        current = state
        began = clock()
        for visits in _cut_into_windows(visits_of, experiment.epochs, experiment.eval_interval):
            current, losses = advance(current, data, visits)
            # As a NumPy array the losses are there, and the clock is read when the work is done.
            yield np.asarray(losses), clock() - began

    return Training(np.asarray(sample_loss), windows())


def _cut_into_windows(visits_of: Callable[[int], Visits], epochs: int, width: int) -> Iterator[Visits]:
    """The visits of all epochs in order, `width` at a time; the last ones may be fewer."""
    waiting = visits_of(0)
    for epoch in range(1, epochs + 1):
        while len(waiting.size) >= width:
            yield jax.tree.map(lambda leaf: leaf[:width], waiting)
            waiting = jax.tree.map(lambda leaf: leaf[width:], waiting)
        if epoch < epochs:
            waiting = jax.tree.map(lambda old, new: np.concatenate([old, new]), waiting, visits_of(epoch))
    if len(waiting.size):
        yield waiting


def run_whole(problem: Problem, seed: int, experiment: Experiment) -> Recorded:
    """One run in one program."""
    return jax.tree.map(lambda leaf: leaf[0], run_seeds(problem, range(seed, seed + 1), experiment))


def run_seeds(problem: Problem, seeds: range, experiment: Experiment) -> Recorded:
    """The same experiment with R seeds in one program."""
    return _record_seeds(np.asarray(seeds, np.uint32), problem, experiment)


def seed_calls(settings: Sequence[tuple[Problem, Experiment]], epochs: int) -> list[Callable[[], Recorded]]:
    """`SEEDS` seeds of each experiment, cut to its first epochs: calls that may each be made in a thread of its own."""
    short = [(problem, dataclasses.replace(experiment, epochs=epochs)) for problem, experiment in settings]
    return [functools.partial(run_seeds, problem, range(SEEDS), experiment) for problem, experiment in short]


@functools.partial(jax.jit, static_argnames=("problem", "experiment"))
def _record_seeds(seeds: Array, problem: Problem, experiment: Experiment) -> Recorded:
    group = side_by_side(len(seeds))
    return jax.lax.map(lambda seed: _record(problem, jax.random.key(seed), experiment), seeds, batch_size=group)


def side_by_side(runs: int) -> int:
    """How many of R runs to advance side by side on this device."""
    return min(GROUP, runs) if jax.default_backend() == "cpu" else runs


def _record(problem: Problem, key: Array, experiment: Experiment) -> Recorded:
    optimizer = optax.sgd(experiment.learning_rate)
    run = simulate(
        problem,
        key,
        optimizer=optimizer,
        epochs=experiment.epochs,
        batch_count=experiment.batch_count,
        order=experiment.order,
    )
    keys = streams(key)
    return Recorded(run.loss, sample_losses(problem, problem.init(keys.init), problem.sample_data(keys.data)))
