"""Observables: numbers that are measured during a run besides its batch losses, after each epoch or more often."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxsgd.problem import Batch, Params, Problem
from jaxsgd.simulator import Observe, sample_losses


class Known(NamedTuple):
    """The inputs of a run's observables besides its parameters; None for those that the problem does not have.

    Attributes:
      optimum: of the run's own data, computed once before the training.
      least: [], the mean loss at the optimum.
      held_out: the samples to validate on.
    """

    optimum: Params | None
    least: Float[Array, ""] | None
    held_out: Batch | None


class Observable(NamedTuple):
    """A number that is measured after each epoch of a run, or at each evaluation.

    Attributes:
      units, meaning: for the result's `attrs`.
      is_of: returns True for a problem whose runs have it.
      measure: `(problem, params, data, known) -> []`, at an evaluation.
      tolerance: the largest difference between machines, as a share of the run's largest value.
      within_epochs: True if it is measured only with `evaluate_every`.
    """

    units: str
    meaning: str
    is_of: Callable[[Problem], bool]
    measure: Callable[[Problem, Params, Batch, Known], Float[Array, ""]]
    tolerance: float
    within_epochs: bool = False


def _distance(problem: Problem, params: Params, data: Batch, known: Known) -> Float[Array, ""]:
    del problem, data
    squares = jax.tree.map(lambda leaf, best: jnp.sum((leaf - best) ** 2), params, known.optimum)
    return jnp.sqrt(jnp.sum(jnp.stack(jax.tree.leaves(squares))))


def _excess_loss(problem: Problem, params: Params, data: Batch, known: Known) -> Float[Array, ""]:
    assert known.least is not None, "only problems with an optimum have this observable"
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
        "mean loss over the run's own data, minus the smallest possible mean loss",
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
        "share of the held-out samples that are predicted correctly",
        lambda problem: problem.held_out is not None and problem.accuracy is not None,
        _validation_accuracy,
        # A sample near the border between two classes may change sides.
        1e-2,
    ),
    "train_loss": Observable(
        "loss",
        "mean loss over all training samples, at the same parameters",
        lambda problem: True,
        _train_loss,
        1e-4,
        within_epochs=True,
    ),
}
"""All observables, by the name of their variable in a result."""

HIGHER_IS_BETTER = ("validation_accuracy",)
"""The metrics that are better if they are higher; all other metrics are better if they are lower."""


def direction(metric: str) -> float:
    """Return -1 for a metric that is better if it is higher, and 1 for all others: the product is better if it is lower."""
    return -1.0 if metric in HIGHER_IS_BETTER else 1.0


def observations(problem: Problem, evaluate_every: int | float | None) -> tuple[str, ...]:
    """Return the names of the observables of a problem's runs, in a study with that `evaluate_every`."""
    within = evaluate_every is not None
    return tuple(
        name
        for name, observable in OBSERVABLES.items()
        if observable.is_of(problem) and (within or not observable.within_epochs)
    )


def known(problem: Problem, data: Batch, held_out: Batch | None) -> Known:
    """Return the inputs of a run's observables from its data and its held-out samples."""
    # At full precision, whatever the precision of the training, as for the data.
    with jax.default_matmul_precision("float32"):
        if problem.optimum is None:
            return Known(None, None, held_out)
        optimum = problem.optimum(data)
        return Known(optimum, jnp.mean(sample_losses(problem, optimum, data)), held_out)


def observer(problem: Problem, known: Known | None, evaluate_every: int | float | None) -> Observe | None:
    """Return the observables as the simulator takes them: `(params, data) -> by name, []`; None without observables.

    Args:
      problem: the problem of the runs.
      known: the inputs that `known` returns for the run.
      evaluate_every: of the study.
    """
    names = observations(problem, evaluate_every)
    if known is None or not names:
        return None
    return lambda params, data: {name: OBSERVABLES[name].measure(problem, params, data, known) for name in names}


def differs(name: str, stored: np.ndarray, again: np.ndarray) -> bool:
    """Return True if an observable from another machine, [E] or [V], differs from the stored one by more than rounding."""
    scale = np.max(np.abs(stored), initial=0, where=np.isfinite(stored))
    return not np.allclose(again, stored, rtol=0, atol=OBSERVABLES[name].tolerance * scale, equal_nan=True)
