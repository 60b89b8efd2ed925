"""What is measured of every run besides its batch losses, after each epoch or more often: the entries of `OBSERVABLES`."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxsgd.problem import Batch, Params, Problem
from jaxsgd.simulator import Observe, sample_losses


class Known(NamedTuple):
    """What the observations of a run need besides its parameters; None where the problem has it not.

    Attributes:
      optimum: of the run's own data, worked out once before the training.
      least: [], the mean loss there.
      held_out: the samples to validate on.
    """

    optimum: Params | None
    least: Float[Array, ""] | None
    held_out: Batch | None


class Observable(NamedTuple):
    """A number that a run has after each epoch or at each evaluation, of problems that tell what it takes.

    Attributes:
      units, meaning: for the result's `attrs`.
      is_of: whether a problem's runs have it.
      measure: `(problem, params, data, known) -> []`, at an evaluation.
      tolerance: largest difference between machines, as a share of the run's largest value.
      within_epochs: whether it is measured only where `evaluate_every` is set.
    """

    units: str
    meaning: str
    is_of: Callable[[Problem], bool]
    measure: Callable[[Problem, Params, Batch, Known], Float[Array, ""]]
    tolerance: float
    within_epochs: bool = False


def _distance(problem: Problem, params: Params, data: Batch, known: Known) -> Float[Array, ""]:
    del problem, data
    squares = jax.tree.map(lambda here, there: jnp.sum((here - there) ** 2), params, known.optimum)
    return jnp.sqrt(jnp.sum(jnp.stack(jax.tree.leaves(squares))))


def _excess_loss(problem: Problem, params: Params, data: Batch, known: Known) -> Float[Array, ""]:
    assert known.least is not None, "only problems that know their optimum have this observable"
    return jnp.mean(sample_losses(problem, params, data)) - known.least


def _train_loss(problem: Problem, params: Params, data: Batch, known: Known) -> Float[Array, ""]:
    del known
    return jnp.mean(sample_losses(problem, params, data))


def _validation_loss(problem: Problem, params: Params, data: Batch, known: Known) -> Float[Array, ""]:
    del data
    return jnp.mean(sample_losses(problem, params, known.held_out))


def _validation_accuracy(problem: Problem, params: Params, data: Batch, known: Known) -> Float[Array, ""]:
    del data
    assert problem.accuracy, "only problems with an accuracy have this observable"
    return jnp.mean(problem.accuracy(params, known.held_out).astype(jnp.float32))


OBSERVABLES = {
    "distance": Observable(
        "parameters",
        "Euclidean distance of the parameters from the optimum of the run's own data",
        lambda problem: problem.optimum is not None,
        _distance,
        # Near the optimum it is a small difference of large numbers: their rounding is a larger share of it.
        1e-2,
    ),
    "excess_loss": Observable(
        "loss",
        "mean loss over the run's own data, above the least there is",
        lambda problem: problem.optimum is not None,
        _excess_loss,
        # Likewise.
        1e-2,
    ),
    "validation_loss": Observable(
        "loss",
        "mean loss over the held-out samples",
        lambda problem: problem.held_out is not None,
        _validation_loss,
        1e-4,
    ),
    "validation_accuracy": Observable(
        "1",
        "share of the held-out samples that are predicted rightly",
        lambda problem: problem.held_out is not None and problem.accuracy is not None,
        _validation_accuracy,
        # A sample near the border between two classes may change sides.
        1e-2,
    ),
    "train_loss": Observable(
        "loss",
        "mean loss over all samples that are trained on, at the same parameters",
        lambda problem: True,
        _train_loss,
        1e-4,
        within_epochs=True,
    ),
}
"""By the name of its variable in a result, whatever can be observed."""

HIGHER_IS_BETTER = ("validation_accuracy",)
"""The observables of which more is better; of all other measures it is less."""


def direction(measure: str) -> float:
    """What a measure is multiplied by so that less of it is better: -1 where more is, else 1."""
    return -1.0 if measure in HIGHER_IS_BETTER else 1.0


def observations(problem: Problem, evaluate_every: int | float | None) -> tuple[str, ...]:
    """The names of what is observed of a problem's runs, in a study with that `evaluate_every`."""
    within = evaluate_every is not None
    return tuple(name for name, one in OBSERVABLES.items() if one.is_of(problem) and (within or not one.within_epochs))


def known(problem: Problem, data: Batch, held_out: Batch | None) -> Known:
    """What the observations of a run need, of its data and of the samples held out."""
    # At full precision whatever the training's, as the data are drawn.
    with jax.default_matmul_precision("float32"):
        if problem.optimum is None:
            return Known(None, None, held_out)
        optimum = problem.optimum(data)
        return Known(optimum, jnp.mean(sample_losses(problem, optimum, data)), held_out)


def observer(problem: Problem, known: Known | None, evaluate_every: int | float | None) -> Observe | None:
    """The observations as the simulator takes them: `(params, data) -> by name, []`; None if there are none.

    Args:
      problem: whose runs are observed.
      known: what `known` gives for the run.
      evaluate_every: of the study.
    """
    names = observations(problem, evaluate_every)
    if known is None or not names:
        return None
    return lambda params, data: {name: OBSERVABLES[name].measure(problem, params, data, known) for name in names}


def differs(name: str, stored: np.ndarray, again: np.ndarray) -> bool:
    """Whether an observation, [E] or [V], made on another machine is further from the stored one than rounding explains."""
    scale = np.max(np.abs(stored), initial=0, where=np.isfinite(stored))
    return not np.allclose(again, stored, rtol=0, atol=OBSERVABLES[name].tolerance * scale, equal_nan=True)
