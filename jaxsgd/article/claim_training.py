"""The runs that put the article's claim to the test.

`jaxsgd.influence` is measured in the article's own settings over many seeds, late in the shown run, and over batch counts
and training progress from the first epoch to the optimum.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
import optax
from jaxtyping import Array

from jaxsgd.article.experiment import Experiment
from jaxsgd.article.training import SEEDS, side_by_side
from jaxsgd.measure import Influence, influence
from jaxsgd.problem import Problem
from jaxsgd.problems import least_squares, square_regression

FIRST_EPOCHS = (0, 1)
"""Two in a row, so that a batch's first visit and its next one can be compared, as the article does."""

PART = 16
"""Seeds in one call."""

MAP_COUNTS = (2, 5, 10, 20, 50, 100)
MAP_EPOCHS = (0, 1, 3, 10, 30, 100, 300)
MAP_SEEDS = 8


class Territory(NamedTuple):
    """One panel of the map.

    Attributes:
      name: what is trained, in words.
      problem: itself, small enough to be trained to its optimum many times.
      learning_rate: of plain SGD, at every batch count.
    """

    name: str
    problem: Problem
    learning_rate: float


@functools.cache
def territories() -> tuple[Territory, Territory]:
    """The article's network made small, and least squares, both of 200 samples; rates at which 300 epochs reach the optimum."""
    return (
        Territory("the network, with 100 hidden units", square_regression(200, num_hidden=100), 1.0),
        Territory("linear least squares", least_squares(200), 0.02),
    )


@functools.partial(jax.jit, static_argnames=("problem", "experiment", "at"))
def _influence_of_seeds(seeds: Array, problem: Problem, experiment: Experiment, at: tuple[int, ...]) -> Influence:
    def one(seed: Array) -> Influence:
        return influence(
            problem,
            jax.random.key(seed),
            optimizer=optax.sgd(experiment.learning_rate),
            at=at,
            batch_count=experiment.batch_count,
            order=experiment.order,
        )

    return jax.lax.map(one, seeds, batch_size=side_by_side(len(seeds)))


@functools.partial(jax.jit, static_argnames=("land", "epochs"))
def _influence_of_territory(seeds: Array, land: Territory, epochs: tuple[int, ...]) -> Influence:
    def one(seed: Array) -> Influence:
        optimizer = optax.sgd(land.learning_rate)
        return influence(land.problem, jax.random.key(seed), optimizer=optimizer, at=epochs, batch_count=MAP_COUNTS)

    return jax.lax.map(one, seeds)


Call = Callable[[], Influence]
"""A computation that has not begun."""


class ClaimRuns(NamedTuple):
    """Everything that is run to test the claim: calls, each of which may be made in a thread of its own, or what they return.

    Attributes:
      seeds: of each experiment, the first two epochs of many runs, in parts of [16, 2, ...].
      shown: of each experiment, the first and the last epoch of the shown run, [1, 2, ...].
      maps: of each territory, every batch count and epoch of the map, in parts of [R, counts, C, ...].
    """

    seeds: list[list[Any]]
    shown: list[Any]
    maps: list[list[Any]]


def claim_calls(settings: Sequence[tuple[Problem, Experiment]], seed: int, quick: bool) -> ClaimRuns:
    """The calls; nothing is run yet.

    Args:
      settings: each experiment with its problem.
      seed: of the shown run.
      quick: a quarter of the seeds, and fewer seeds and epochs of the map.
    """

    def of_seeds(problem: Problem, experiment: Experiment, seeds: range, at: tuple[int, ...]) -> Call:
        return lambda: _influence_of_seeds(_array(seeds), problem, experiment, at)

    def of_territory(land: Territory, seeds: range) -> Call:
        return lambda: _influence_of_territory(_array(seeds), land, map_epochs(quick))

    many, mapped = SEEDS // 4 if quick else SEEDS, map_seeds(quick)
    return ClaimRuns(
        [[of_seeds(*each, part, FIRST_EPOCHS) for part in _parts(many, PART)] for each in settings],
        [of_seeds(*each, range(seed, seed + 1), (0, each[1].epochs - 1)) for each in settings],
        [[of_territory(land, part) for part in _parts(mapped, 2)] for land in territories()],
    )


def _parts(count: int, size: int) -> list[range]:
    return [range(start, min(start + size, count)) for start in range(0, count, size)]


def _array(seeds: range) -> np.ndarray:
    return np.asarray(seeds, np.uint32)


def map_epochs(quick: bool) -> tuple[int, ...]:
    """The epochs of the map."""
    return MAP_EPOCHS[:5] if quick else MAP_EPOCHS


def map_seeds(quick: bool) -> int:
    """How many seeds the map has."""
    return 2 if quick else MAP_SEEDS
