"""The measures of runs that the article's findings need besides losses.

They are measures of `jaxsgd.measure`, each of which trains no further than the epochs that it measures: of the shown runs the
influence in the first epoch and the own steps in the last, of many seeds the own steps in the first two epochs, and of small
problems the own steps over batch counts and training progress, from the first epoch to the optimum.
"""

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, TypeVar

import jax
import numpy as np
import optax
from jaxtyping import Array, Float

from jaxsgd.article.experiment import Experiment
from jaxsgd.article.studies import SEEDS
from jaxsgd.compiling.jit import jit, jit_per_problem
from jaxsgd.measure.influence import Influence, influence
from jaxsgd.measure.own_step import OwnSteps, own_steps
from jaxsgd.problem import Problem
from jaxsgd.problems import least_squares, square_regression
from jaxsgd.simulator import draw_start, sample_losses, streams

FIRST_EPOCHS = (0, 1)
"""The measured epochs of many seeds: a batch's first and second visit can be compared, as in the article."""

MAP_COUNTS = (2, 5, 10, 20, 50, 100)
MAP_EPOCHS = (0, 1, 3, 10, 30, 100, 300)

_MAP_PART = 4
"""Seeds of the map in one call."""

_SEEDS_PART = 8
"""Seeds of an experiment in one call."""

_Tree = TypeVar("_Tree")

_sample_losses = jit_per_problem(sample_losses)


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


@functools.partial(jit, static_argnames=("land", "epochs"))
def _steps_of_territory(seeds: Array, land: Territory, epochs: tuple[int, ...]) -> OwnSteps:
    def steps_of_seed(seed: Array) -> OwnSteps:
        optimizer = optax.sgd(land.learning_rate)
        return own_steps(land.problem, jax.random.key(seed), optimizer=optimizer, at=epochs, batch_count=MAP_COUNTS)

    # Side by side, because starting a step of so small a problem takes longer than the step. Two seeds are not worth the
    # tracing.
    return jax.vmap(steps_of_seed)(seeds) if len(seeds) > 2 else jax.lax.map(steps_of_seed, seeds)


def map_calls(quick: bool) -> list[list[Callable[[], OwnSteps]]]:
    """Return the runs of the map: a list of calls for each territory, which may run in separate threads.

    `joined` joins their results.

    Args:
      quick: True for fewer seeds and epochs.
    """

    def part(land: Territory, start: int, stop: int) -> Callable[[], OwnSteps]:
        return lambda: _steps_of_territory(np.arange(start, stop, dtype=np.uint32), land, map_epochs(quick))

    seeds = 2 if quick else 8
    return [
        [part(land, start, min(start + _MAP_PART, seeds)) for start in range(0, seeds, _MAP_PART)] for land in territories()
    ]


def map_epochs(quick: bool) -> tuple[int, ...]:
    """Return the epochs of the map."""
    return MAP_EPOCHS[:5] if quick else MAP_EPOCHS


class Measures(NamedTuple):
    """The measures of trainings of the article, or the calls that measure them; lists with an entry for each training.

    Attributes:
      shown: the own steps of the shown run in its first and its last epoch, [1, 2, m].
      sample_loss: [1 + R, N], each sample's loss at the initial parameters, of the shown run and of R seeds.
      steps: parts of many seeds, [R, 2, m] each: their own steps in the first two epochs.
    """

    shown: list[Any]
    sample_loss: list[Any]
    steps: list[list[Any]]


def measure_calls(trainings: Sequence[tuple[Problem, Experiment]], seed: int, quick: bool) -> Measures:
    """Return the calls that measure trainings, which may run in separate threads; `joined` joins the parts of the steps.

    Args:
      trainings: the problem and the settings of each training.
      seed: of the shown runs.
      quick: True to measure the steps of a quarter of the seeds.
    """
    measured = range(SEEDS // 4 if quick else SEEDS)
    parts = [measured[start : start + _SEEDS_PART] for start in range(0, len(measured), _SEEDS_PART)]
    # The calls of a training share programs, so they alternate with those of the others: each is compiled only once.
    return Measures(
        [functools.partial(steps_of, *training, [seed], (0, training[1].epochs - 1)) for training in trainings],
        [functools.partial(start_losses, problem, [seed, *range(SEEDS)]) for problem, _ in trainings],
        [[functools.partial(steps_of, *training, part, FIRST_EPOCHS) for part in parts] for training in trainings],
    )


def steps_of(problem: Problem, experiment: Experiment, seeds: Iterable[int], at: Sequence[int]) -> OwnSteps:
    """Return the own steps in C epochs of R runs of an experiment, [R, C, m]."""
    optimizer = optax.sgd(experiment.learning_rate)
    how: dict[str, Any] = {
        "optimizer": optimizer,
        "order": experiment.order,
        "batch_count": experiment.batch_count,
        "gram": True,
    }
    runs = [own_steps(problem, jax.random.key(seed), at=at, epochs=experiment.epochs, **how) for seed in seeds]
    return jax.tree.map(lambda *leaves: np.stack(leaves), *runs)


def start_losses(problem: Problem, seeds: Iterable[int]) -> Float[np.ndarray, "R N"]:
    """Return each sample's loss at the initial parameters of R runs."""
    with jax.default_matmul_precision("float32"):
        starts = [draw_start(problem, streams(jax.random.key(seed))) for seed in seeds]
        return np.stack([np.asarray(_sample_losses(problem, params, data)) for params, data in starts])


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


def joined(parts: Sequence[_Tree]) -> _Tree:
    """Return the runs of several calls, joined along their leading axis, as NumPy arrays."""
    return jax.tree.map(lambda *leaves: np.concatenate([np.asarray(leaf) for leaf in leaves]), *parts)
