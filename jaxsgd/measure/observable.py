"""The metrics of a run, each with its units, meaning, direction and tolerance: the entries of `METRICS`.

Those that have a `measure` are observables: they are measured after each epoch, or more often, besides the batch losses.
"""

import math
from collections.abc import Callable
from typing import Literal, NamedTuple

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


class Metric(NamedTuple):
    """A number by which settings are judged: a number of each run, or of each of its records.

    Attributes:
      units, meaning: for the `attrs` of a result's variable.
      better: "lower" or "higher"; "neither" for a number that only describes a run.
      tolerance: largest difference between machines, as a share of the run's largest value (of a loss, of the value itself);
        infinite for a number that is not compared between machines.
      measure: `(problem, params, data, known) -> []`, at an evaluation; None for a number that comes from the batch losses.
      is_of: `(problem) -> bool`, True if the runs of a problem have it.
      within_epochs: True if it is measured only where `evaluate_every` is set.
    """

    units: str
    meaning: str
    better: Literal["lower", "higher", "neither"] = "lower"
    tolerance: float = 1e-4
    measure: Callable[[Problem, Params, Batch, Known], Float[Array, ""]] | None = None
    is_of: Callable[[Problem], bool] = lambda problem: True
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


METRICS = {
    "loss_epoch": Metric("loss", "averaged view: mean loss over each epoch's samples", tolerance=1e-5),
    "distance": Metric(
        "parameters",
        "Euclidean distance of the parameters from the optimum of the run's own data",
        # Near the optimum it is a small difference of large numbers, of which rounding is a larger share.
        tolerance=1e-2,
        measure=_distance,
        is_of=lambda problem: problem.optimum is not None,
    ),
    "excess_loss": Metric(
        "loss",
        "mean loss over the run's own data, minus the smallest possible mean loss",
        # Likewise.
        tolerance=1e-2,
        measure=_excess_loss,
        is_of=lambda problem: problem.optimum is not None,
    ),
    "validation_loss": Metric(
        "loss",
        "mean loss over the held-out samples",
        measure=_validation_loss,
        is_of=lambda problem: problem.held_out is not None,
    ),
    "validation_accuracy": Metric(
        "1",
        "share of the held-out samples that are predicted correctly",
        better="higher",
        # A sample near the border between two classes may change sides.
        tolerance=1e-2,
        measure=_validation_accuracy,
        is_of=lambda problem: problem.held_out is not None and problem.accuracy is not None,
    ),
    "train_loss": Metric(
        "loss",
        "mean loss over all training samples, at the same parameters",
        measure=_train_loss,
        within_epochs=True,
    ),
    # Differences of losses, of which rounding is a larger share: the losses themselves are compared between machines.
    "stripe_gap": Metric(
        "loss", "largest minus smallest stripe level at the study's eval_interval", better="neither", tolerance=math.inf
    ),
    "stripe_index": Metric(
        "1",
        "share of the detrended variance explained by the position in the epoch; 0 expected without stripes",
        better="neither",
        tolerance=math.inf,
    ),
    "stripe_slope": Metric("loss/epoch", "mean slope of the stripes", better="neither", tolerance=math.inf),
    # A rounding error can move the stop to another evaluation.
    "stopped_step": Metric(
        "steps", "steps after which the run stopped at its target; NaN for a run that never reached it", tolerance=math.inf
    ),
    "stopped_epoch": Metric(
        "epochs", "epochs after which the run stopped at its target; NaN for a run that never reached it", tolerance=math.inf
    ),
}
"""Every metric of a result, by the name of its variable. A new one is one entry: whatever else needs it reads it from here."""


def observables() -> tuple[str, ...]:
    """Return the names of the metrics that are measured besides the batch losses."""
    return tuple(name for name, metric in METRICS.items() if metric.measure)


def direction(metric: str) -> float:
    """Return the factor that makes lower values of a metric better: -1 if higher is better, else 1.

    For a metric that is not in `METRICS`, lower is better.
    """
    return -1.0 if metric in METRICS and METRICS[metric].better == "higher" else 1.0


def observations(problem: Problem, evaluate_every: int | float | None) -> tuple[str, ...]:
    """Return the names of the observables of a problem's runs, in a study with that `evaluate_every`."""
    within = evaluate_every is not None
    return tuple(name for name in observables() if METRICS[name].is_of(problem) and (within or not METRICS[name].within_epochs))


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
    measures = {name: METRICS[name].measure for name in observations(problem, evaluate_every)}
    if known is None or not measures:
        return None
    return lambda params, data: {
        name: measure(problem, params, data, known) for name, measure in measures.items() if measure is not None
    }


def differs(name: str, stored: np.ndarray, again: np.ndarray) -> bool:
    """Return True if a metric of a run, [E] or [V], differs more between two machines than rounding explains.

    Args:
      name: of the metric.
      stored: its values in the result.
      again: its values on this machine.
    """
    tolerance = METRICS[name].tolerance
    scale = np.max(np.abs(stored), initial=0, where=np.isfinite(stored))
    return np.isfinite(tolerance) and not np.allclose(again, stored, rtol=0, atol=tolerance * scale, equal_nan=True)
