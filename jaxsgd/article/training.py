"""Runs of an experiment: window by window with a clock, or complete and over many seeds by one program."""

import functools
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from jaxsgd.article.experiment import Experiment
from jaxsgd.measure.own_step import OwnSteps, epoch_own_steps, unmeasured
from jaxsgd.order import Visits, split
from jaxsgd.problem import Problem
from jaxsgd.simulator import State, make_simulator, sample_losses, streams

SEEDS = 64
"""The number of seeds for the spread of ordinary runs."""

PART = 16
"""Seeds in one call."""

FIRST_EPOCHS = (0, 1)
"""The two measured epochs: a batch's first and second visit can be compared, as in the article."""

NO_EPOCHS = (-1, -1)
"""The measured epochs of a run without measured epochs."""


_Tree = TypeVar("_Tree")


class Recorded(NamedTuple):
    """The record of a run; for many runs, with a leading axis R.

    Attributes:
      loss: [E, m], the loss of each batch.
      sample_loss: [N], each sample's loss at the initial parameters.
      steps: [2, m], the effects of the own steps in two epochs; NaN if not measured.
    """

    loss: Float[Array, "*R E m"]
    sample_loss: Float[Array, "*R N"]
    steps: OwnSteps


class Training(NamedTuple):
    """A run that is trained while its windows are read.

    Attributes:
      sample_loss: [N], each sample's loss at the initial parameters.
      windows: the windows; reading them runs the training, see `train_by_window`.
    """

    sample_loss: Float[np.ndarray, " N"]
    windows: Iterator[tuple[Float[np.ndarray, " w"], float]]


def train_by_window(
    problem: Problem, seed: int, experiment: Experiment, clock: Callable[[], float] = time.perf_counter
) -> Training:
    """Return a run that stops after every `eval_interval` batches, for a log that is printed during the training.

    It has the same losses as `jaxsgd.simulate` with the same seed, to rounding. Everything is compiled before the first window,
    so that the clock times only the training.

    Args:
      problem: the problem to train, with `experiment.num_samples` samples.
      seed: of data, initial parameters and order.
      experiment: the settings.
      clock: returns the time in seconds.

    Returns:
      The run. Its `windows` yields, for each window, the losses of its batches [w] and the seconds since the start of the
      training; if w does not divide E m, the last window is shorter.
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
        # As NumPy arrays, because cutting them on the device would compile a program for each cut.
        return jax.tree.map(np.asarray, epoch_visits(keys.order, epoch))

    first = next(_cut_into_windows(visits_of, experiment.epochs, experiment.eval_interval))
    jax.block_until_ready(advance(state, data, first))

    def windows() -> Iterator[tuple[np.ndarray, float]]:
        current = state
        began = clock()
        for visits in _cut_into_windows(visits_of, experiment.epochs, experiment.eval_interval):
            current, losses = advance(current, data, visits)
            # A NumPy array has its values, so the clock is read after the work is done.
            yield np.asarray(losses), clock() - began

    return Training(np.asarray(sample_loss), windows())


def _cut_into_windows(visits_of: Callable[[int], Visits], epochs: int, width: int) -> Iterator[Visits]:
    """Yield the visits of all epochs in order, `width` at a time; the last group may be smaller."""
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
    """Train a whole run, with the steps of its first and last epoch measured; arrays have a leading axis of length 1."""
    return run_seeds(problem, range(seed, seed + 1), experiment, experiment.epochs, (0, experiment.epochs - 1))


def run_seeds(
    problem: Problem, seeds: range, experiment: Experiment, epochs: int, measured: tuple[int, int] = NO_EPOCHS
) -> Recorded:
    """Train the first epochs of an experiment with R seeds.

    An experiment needs a single program for all seeds, numbers of epochs and measured epochs.

    Args:
      problem: the problem to train.
      seeds: R seeds.
      experiment: the settings.
      epochs: the number of epochs to train, up to the experiment's own.
      measured: two epochs whose steps are measured, 0-based.

    Returns:
      NumPy arrays with a leading axis R; the losses of the trained epochs only.
    """
    settings = np.int32(epochs), np.asarray(measured, np.int32), problem, experiment
    numbers = np.asarray(seeds, np.uint32)
    if jax.default_backend() == "cpu":
        # Side by side they run no faster, because their weights no longer fit into a core's cache.
        runs = [jax.tree.map(np.asarray, _record(number, *settings)) for number in numbers]
        recorded = jax.tree.map(lambda *leaves: np.stack(leaves), *runs)
    else:
        recorded = jax.tree.map(np.asarray, _record_side_by_side(numbers, *settings))
    return recorded._replace(loss=recorded.loss[:, :epochs])


def seed_calls(
    problem: Problem, experiment: Experiment, epochs: int, measured_seeds: int = SEEDS
) -> list[Callable[[], Recorded]]:
    """Return calls that train `SEEDS` seeds of an experiment, `PART` seeds in a call; they may run in separate threads.

    Args:
      problem: the problem to train.
      experiment: the settings.
      epochs: the number of first epochs to train.
      measured_seeds: the number of seeds, from the first, whose steps in the first two epochs are measured.
    """

    def part(start: int) -> Callable[[], Recorded]:
        measured = FIRST_EPOCHS if start < measured_seeds else NO_EPOCHS
        return lambda: run_seeds(problem, range(start, min(start + PART, SEEDS)), experiment, epochs, measured)

    return [part(start) for start in range(0, SEEDS, PART)]


def joined(parts: Sequence[_Tree]) -> _Tree:
    """Return the runs of several calls, joined along their leading axis, as NumPy arrays."""
    return jax.tree.map(lambda *leaves: np.concatenate([np.asarray(leaf) for leaf in leaves]), *parts)


def _record_one(seed: Array, epochs: Array, measured: Array, problem: Problem, experiment: Experiment) -> Recorded:
    """Train the first `epochs` epochs of a run, in arrays for all epochs; the rest is NaN."""
    cut = split(experiment.num_samples, batch_count=experiment.batch_count)
    optimizer = optax.sgd(experiment.learning_rate)
    parts = make_simulator(problem, optimizer, cut, experiment.order)
    keys = streams(jax.random.key(seed))
    state, data = parts.start(keys.init), problem.sample_data(keys.data)

    def epoch(number: Array, carry: tuple[State, Array, OwnSteps]) -> tuple[State, Array, OwnSteps]:
        state, loss, steps = carry
        visits = parts.epoch_visits(keys.order, number)

        def trained() -> tuple[State, Array, OwnSteps]:
            return *parts.advance(state, data, visits), steps

        def watched() -> tuple[State, Array, OwnSteps]:
            after, losses, seen = epoch_own_steps(problem, optimizer, state, data, visits)
            is_measured = number == measured

            def kept(every: Array, new: Array) -> Array:
                return jnp.where(is_measured.reshape(-1, *[1] * new.ndim), new, every)

            return after, losses, jax.tree.map(kept, steps, seen)

        state, losses, steps = jax.lax.cond((number == measured).any(), watched, trained)
        return state, loss.at[number].set(losses), steps

    with jax.default_matmul_precision("float32"):
        sample_loss = sample_losses(problem, state.params, data)
        loss = jnp.full((experiment.epochs, experiment.batch_count), jnp.nan, sample_loss.dtype)
        steps = unmeasured(loss[:2])
        _, loss, steps = jax.lax.fori_loop(0, epochs, epoch, (state, loss, steps))
    return Recorded(loss, sample_loss, steps)


_record = jax.jit(_record_one, static_argnames=("problem", "experiment"))


@functools.partial(jax.jit, static_argnames=("problem", "experiment"))
def _record_side_by_side(seeds: Array, epochs: Array, measured: Array, problem: Problem, experiment: Experiment) -> Recorded:
    return jax.vmap(lambda seed: _record_one(seed, epochs, measured, problem, experiment))(seeds)
