"""A training log in the article's format: of a run that is trained meanwhile, or of a stored run."""

import functools
import time
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import jax
import numpy as np
import optax
from jaxtyping import Float
from numpy.typing import ArrayLike

from jaxsgd.article.experiment import Experiment
from jaxsgd.article.log_line import format_line, window_line
from jaxsgd.compiling.jit import jit
from jaxsgd.order import Visits, as_order, split
from jaxsgd.problem import Problem
from jaxsgd.simulation import simulate
from jaxsgd.simulator import draw_start, initial_state, make_simulator, streams

Windows = Iterable[tuple[Float[np.ndarray, " _"], float]]
"""For each window, the losses of its batches and the seconds since the start of the training; the last may be shorter."""


class Logged(NamedTuple):
    """A run, finished or stopped early, and its log.

    Attributes:
      loss: [E, m], the loss of each batch; NaN after an early stop.
      lines: the lines of the log.
      seconds: the time of the training.
    """

    loss: Float[np.ndarray, "E m"]
    lines: list[str]
    seconds: float


def follow(windows: Windows, experiment: Experiment, show: Callable[[str], None]) -> Logged:
    """Read a run to its end, or to the first loss that is not finite, and show a line for each whole window.

    Args:
      windows: of the run.
      experiment: its settings.
      show: called with each line.
    """
    width = experiment.eval_interval
    flat = np.full(experiment.epochs * experiment.batch_count, np.nan)
    lines: list[str] = []
    seconds = 0.0
    for number, (losses, seconds) in enumerate(windows):
        flat[number * width : number * width + len(losses)] = losses
        if not np.isfinite(losses).all():
            break
        if len(losses) == width:
            mean = float(np.mean(losses, dtype=np.float64))
            line = window_line(number, width, experiment.batch_count, seconds, mean, experiment.learning_rate)
            lines.append(format_line(line))
            show(lines[-1])
    return Logged(flat.reshape(experiment.epochs, experiment.batch_count), lines, seconds)


def stored_windows(loss: ArrayLike, eval_interval: int, seconds: float) -> Windows:
    """Yield the windows of a finished run, in which every step took the same time.

    Args:
      loss: [E, m].
      eval_interval: w.
      seconds: the time of the training.
    """
    flat = np.ravel(loss)
    for start in range(0, len(flat), eval_interval):
        losses = flat[start : start + eval_interval]
        yield losses, seconds * (start + len(losses)) / len(flat)


def train_by_window(
    problem: Problem, seed: int, experiment: Experiment, clock: Callable[[], float] = time.perf_counter
) -> Windows:
    """Return the windows of a run that is trained while they are read, for a log that is printed during the training.

    It has the same losses as `jaxsgd.simulate` with the same seed, to rounding. Everything is compiled before the first window,
    so that the clock times only the training. With an order that looks at gradients, the run is trained as a whole before the
    first window, because the batches of an epoch are known only when the epoch before it has ended.

    Args:
      problem: the problem to train, with `experiment.num_samples` samples.
      seed: of data, initial parameters and order.
      experiment: the settings.
      clock: returns the time in seconds.
    """
    cut = split(experiment.num_samples, batch_count=experiment.batch_count)
    optimizer = optax.sgd(experiment.learning_rate)
    keys = streams(jax.random.key(seed))
    if as_order(experiment.order).feedback is not None:
        settings = {"batch_count": experiment.batch_count, "epochs": experiment.epochs, "order": experiment.order}
        whole = functools.partial(simulate, problem, keys, optimizer=optimizer, **settings)
        jax.block_until_ready(whole().loss)
        began = clock()
        losses = np.asarray(whole().loss)
        return stored_windows(losses, experiment.eval_interval, clock() - began)
    parts = make_simulator(problem, optimizer, cut, experiment.order)
    params, data = draw_start(problem, keys)
    epoch_visits = jit(parts.epoch_visits)
    advance = jit(parts.advance)

    def visits_of(epoch: int) -> Visits:
        # As NumPy arrays, because cutting them on the device would compile a program for each cut.
        return jax.tree.map(np.asarray, epoch_visits(keys.order, epoch))

    begun = initial_state(optimizer, params)
    first = next(_cut_into_windows(visits_of, experiment.epochs, experiment.eval_interval))
    jax.block_until_ready(advance(begun, data, first))

    def windows() -> Windows:
        state = begun
        began = clock()
        for visits in _cut_into_windows(visits_of, experiment.epochs, experiment.eval_interval):
            state, losses = advance(state, data, visits)
            # A NumPy array has its values, so the clock is read after the work is done.
            yield np.asarray(losses), clock() - began

    return windows()


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
