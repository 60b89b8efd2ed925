"""The runs that test the article's claim.

`jaxsgd.influence` is measured in the first epoch of the shown run. Own steps are measured over batch counts and training
progress, from the first epoch to the optimum; in the article's own settings `training.run_seeds` measures them as it trains.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np
import optax
from jaxtyping import Array

from jaxsgd.article.experiment import Experiment
from jaxsgd.article.training import SEEDS, Recorded
from jaxsgd.measure.influence import Influence, influence
from jaxsgd.measure.own_step import OwnSteps, own_steps
from jaxsgd.problem import Problem
from jaxsgd.problems import least_squares, square_regression

MAP_COUNTS = (2, 5, 10, 20, 50, 100)
MAP_EPOCHS = (0, 1, 3, 10, 30, 100, 300)
MAP_SEEDS = 8

PART = 4
"""Seeds of the map in one call."""


class Territory(NamedTuple):
    """The problem of a panel of the map.

    Attributes:
      name: the problem, in words.
      problem: a problem that is small enough to be trained to its optimum many times.
      learning_rate: of plain SGD, at every batch count.
    """

    name: str
    problem: Problem
    learning_rate: float


@functools.cache
def territories() -> tuple[Territory, Territory]:
    """Return the problems of the map: a small version of the article's network, and least squares.

    Both have 200 samples, and rates at which 300 epochs reach the optimum.
    """
    return (
        Territory("the network, with 100 hidden units", square_regression(200, num_hidden=100), 1.0),
        Territory("linear least squares", least_squares(200), 0.02),
    )


@functools.partial(jax.jit, static_argnames=("land", "epochs"))
def _steps_of_territory(seeds: Array, land: Territory, epochs: tuple[int, ...]) -> OwnSteps:
    def steps_of_seed(seed: Array) -> OwnSteps:
        optimizer = optax.sgd(land.learning_rate)
        return own_steps(land.problem, jax.random.key(seed), optimizer=optimizer, at=epochs, batch_count=MAP_COUNTS)

    # Side by side, because starting a step of so small a problem takes longer than the step. Two seeds are not worth the
    # tracing.
    return jax.vmap(steps_of_seed)(seeds) if len(seeds) > 2 else jax.lax.map(steps_of_seed, seeds)


def shown_influence(problem: Problem, seed: int, experiment: Experiment) -> Influence:
    """Return the influence in the first epoch of the shown run, [1, 1, ...] for one run and one epoch."""
    seen = influence(
        problem,
        jax.random.key(seed),
        optimizer=optax.sgd(experiment.learning_rate),
        at=0,
        batch_count=experiment.batch_count,
        order=experiment.order,
    )
    return jax.tree.map(lambda leaf: np.asarray(leaf)[None], seen)


def map_calls(quick: bool) -> list[list[Callable[[], OwnSteps]]]:
    """Return the runs of the map: a list of calls for each territory, which may run in separate threads.

    `joined` joins their results.

    Args:
      quick: True for fewer seeds and epochs.
    """

    def part(land: Territory, start: int, stop: int) -> Callable[[], OwnSteps]:
        return lambda: _steps_of_territory(np.arange(start, stop, dtype=np.uint32), land, map_epochs(quick))

    seeds = _map_seeds(quick)
    return [[part(land, start, min(start + PART, seeds)) for start in range(0, seeds, PART)] for land in territories()]


def map_epochs(quick: bool) -> tuple[int, ...]:
    """Return the epochs of the map."""
    return MAP_EPOCHS[:5] if quick else MAP_EPOCHS


def _map_seeds(quick: bool) -> int:
    """Return the number of seeds of the map."""
    return 2 if quick else MAP_SEEDS


def measured_seeds(quick: bool) -> int:
    """Return the number of seeds of an experiment, from the first, whose steps are measured."""
    return SEEDS // 4 if quick else SEEDS


def measured_steps(runs: Recorded, quick: bool) -> OwnSteps:
    """Return the own steps of those runs whose steps are measured."""
    return jax.tree.map(lambda leaf: leaf[: measured_seeds(quick)], runs.steps)
