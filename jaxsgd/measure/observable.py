"""The metrics of a run, each with its units, meaning, direction and tolerance: the entries of `METRICS`.

Those that have a `measure` are observables: they are measured after each epoch, or more often, besides the batch losses.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxsgd.context import Context, Known, Observe
from jaxsgd.error import InputError, no_such, shown
from jaxsgd.measure.batch_gradients import batch_gradient_norm
from jaxsgd.measure.batch_sharpness import batch_sharpness
from jaxsgd.measure.hessian_trace import hessian_trace
from jaxsgd.measure.noise import gradient_noise
from jaxsgd.measure.norms import distance, gradient_norm, norm, parameter_norm
from jaxsgd.measure.sharpness import sharpness
from jaxsgd.optimizer import POINTERS, attribute_at
from jaxsgd.problem import Batch, Params, Problem
from jaxsgd.simulator import sample_losses


class Metric(NamedTuple):
    """A number by which settings are judged: a number of each run, or of each of its records.

    Attributes:
      units, meaning: for the `attrs` of a result's variable.
      better: "lower" or "higher"; "neither" for a number that only describes a run.
      tolerance: largest difference between machines, as a share of the run's largest value (of a loss, of the value itself);
        infinite for a number that is not compared between machines.
      measure: `(params, context) -> []`, at an evaluation; None for a number that comes from the batch losses, or along with
        another metric. If it is on request, it may also return a dictionary, as a user's function may.
      is_of: `(problem) -> bool`, True if the runs of a problem have it.
      within_epochs: True if a study measures it without being asked only where `evaluate_every` is set.
      on_request: True if a study measures it only where `observe` names it. Others may not use the `batches`, the `update` and
        the `key` of the context, which a run that stops at a target does not have.
      words: its name in figures and sentences; "" if that is `name` with blanks.
      shown_unit: its unit in figures; "" if that follows from `units`.
    """

    units: str
    meaning: str
    better: Literal["lower", "higher", "neither"] = "lower"
    tolerance: float = 1e-4
    measure: Observe | None = None
    is_of: Callable[[Problem], bool] = lambda problem: True
    within_epochs: bool = False
    on_request: bool = False
    words: str = ""
    shown_unit: str = ""


def _distance(params: Params, context: Context) -> Float[Array, ""]:
    return distance(params, context.optimum)


def _excess_loss(params: Params, context: Context) -> Float[Array, ""]:
    assert context.least is not None, "only problems with an optimum have this observable"
    return _train_loss(params, context) - context.least


def _train_loss(params: Params, context: Context) -> Float[Array, ""]:
    return jnp.mean(sample_losses(context.problem, params, context.data))


def _validation_loss(params: Params, context: Context) -> Float[Array, ""]:
    return jnp.mean(sample_losses(context.problem, params, context.held_out))


def _validation_accuracy(params: Params, context: Context) -> Float[Array, ""]:
    assert context.problem.accuracy, "only problems with an accuracy have this observable"
    return jnp.mean(context.problem.accuracy(params, context.held_out).astype(jnp.float32))


def _batch_gradient_norm(params: Params, context: Context) -> Float[Array, ""]:
    if context.is_before_step:
        return norm(context.gradient)
    assert context.batches is not None, "an epoch has batches"
    return batch_gradient_norm(context.problem, params, context.data, context.batches)


def _hessian_trace(params: Params, context: Context) -> dict[str, Array]:
    assert context.key is not None, "an epoch has a key"
    trace = hessian_trace(context.problem, params, context.data, context.key)
    return {"": trace.value, "error": trace.error}


def _noise_scale(params: Params, context: Context) -> Float[Array, ""]:
    trace, square = gradient_noise(context.problem, params, context.data)
    return jnp.where(square > 0, trace / square, jnp.nan)


def _on_request(units: str, meaning: str, measure: Callable[..., Any], tolerance: float = 1e-2) -> Metric:
    """Return an observable that only describes a run, and that a study measures where it names it."""
    return Metric(units, meaning, better="neither", tolerance=tolerance, measure=measure, on_request=True)


def _of_stripes(units: str, meaning: str, shown_unit: str = "") -> Metric:
    """Return a metric that describes the stripes of the loss."""
    return Metric(units, meaning, better="neither", tolerance=math.inf, shown_unit=shown_unit)


METRICS = {
    "loss_epoch": Metric("loss", "averaged view: mean loss over each epoch's samples", tolerance=1e-5),
    "distance": Metric(
        "parameters",
        "Euclidean distance of the parameters from the optimum of the run's own data",
        # Near the optimum it is a small difference of large numbers, of which rounding is a larger share.
        tolerance=1e-2,
        measure=_distance,
        words="distance from the optimum",
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
        shown_unit="share",
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
        words="training loss",
    ),
    "gradient_norm": _on_request(
        "loss/parameter",
        "length of the gradient of the mean loss over all training samples",
        lambda params, context: gradient_norm(context.problem, params, context.data),
    ),
    "batch_gradient_norm": _on_request(
        "loss/parameter",
        "length of the gradient of a batch's own mean loss: before a step that of its batch, else the mean over the batches",
        _batch_gradient_norm,
    ),
    "update_norm": _on_request(
        "parameters", "length of the change of the parameters by the last step", lambda params, context: norm(context.update)
    ),
    "parameter_norm": _on_request(
        "parameters", "length of the parameters", lambda params, context: parameter_norm(params), tolerance=1e-4
    ),
    # Its iterations may stop one earlier or later.
    "sharpness": _on_request(
        "loss/parameter^2",
        "largest eigenvalue of the Hessian of the mean training loss",
        lambda params, context: sharpness(context.problem, params, context.data, context.key),
    ),
    "batch_sharpness": _on_request(
        "loss/parameter^2",
        "mean over the batches of the curvature along the batch's own gradient",
        lambda params, context: batch_sharpness(context.problem, params, context.data, context.batches),
    ),
    "hessian_trace": _on_request(
        "loss/parameter^2", "trace of the Hessian of the mean training loss, estimated with random vectors", _hessian_trace
    ),
    "hessian_trace_error": Metric(
        "loss/parameter^2", "standard error of the estimate of the trace of the Hessian", better="neither", tolerance=math.inf
    ),
    "noise_scale": _on_request(
        "samples",
        "gradient noise scale: the batch size above which larger batches gain little",
        _noise_scale,
        # A quotient whose denominator may be a small difference.
        tolerance=math.inf,
    ),
    # Differences of losses, of which rounding is a larger share: the losses themselves are compared between machines.
    "stripe_gap": _of_stripes("loss", "largest minus smallest stripe level at the study's eval_interval"),
    "stripe_index": _of_stripes(
        "1",
        "share of the detrended variance explained by the position in the epoch; 0 expected without stripes",
        shown_unit="share of variance",
    ),
    "stripe_slope": _of_stripes("loss/epoch", "mean slope of the stripes"),
    # A rounding error can move the stop to another evaluation.
    "stopped_step": Metric(
        "steps",
        "steps after which the run stopped at its target; NaN for a run that never reached it",
        tolerance=math.inf,
        words="steps to the target",
    ),
    "stopped_epoch": Metric(
        "epochs",
        "epochs after which the run stopped at its target; NaN for a run that never reached it",
        tolerance=math.inf,
        words="epochs to the target",
    ),
}
"""Every metric of a result, by the name of its variable. A new one is one entry: whatever else needs it reads it from here."""


def observables() -> tuple[str, ...]:
    """Return the names of the metrics that are measured besides the batch losses."""
    return tuple(name for name, metric in METRICS.items() if metric.measure)


class MetricName(str):
    """The name of a metric that knows which direction is better: for observables of a result that are not in `METRICS`.

    Attributes:
      better: "lower", "higher" or "neither".
    """

    better: str = "lower"

    @classmethod
    def of(cls, name: str, better: str) -> "MetricName":
        """Return a name with its direction."""
        named = cls(name)
        named.better = better
        return named


def words_for(metric: str) -> str:
    """Return the words for a metric in figures and sentences: "validation loss", "steps to the target"."""
    return (METRICS[metric].words if metric in METRICS else "") or metric.replace("_", " ")


def unit_for(metric: str, units: str, loss_unit: str) -> str:
    """Return the unit of a metric in figures: "loss per epoch"; "" if its words say it, or if it has none.

    Args:
      metric: its name.
      units: its units, as in the `attrs` of a result's variable.
      loss_unit: the unit of the problem's loss; may be empty.
    """
    if metric in METRICS and METRICS[metric].shown_unit:
        return METRICS[metric].shown_unit
    words = words_for(metric)
    if units == "loss":
        return loss_unit or ("" if "loss" in words else "loss")
    if units in ("1", "parameters") or units in words:
        return ""
    return units.replace("/", " per ").replace("^2", "\N{SUPERSCRIPT TWO}")


def direction(metric: str) -> float:
    """Return the factor that makes lower values of a metric better: -1 if higher is better, else 1.

    For a metric that is not in `METRICS` and whose name does not know its direction, lower is better.
    """
    return -1.0 if better_of(metric) == "higher" else 1.0


def better_of(metric: str) -> str:
    """Return the better direction of a metric, "lower", "higher" or "neither"; "lower" for an unknown name."""
    return METRICS[metric].better if metric in METRICS else getattr(metric, "better", "lower")


def observations(problem: Problem, evaluate_every: int | float | None) -> tuple[str, ...]:
    """Return the names of the observables that a problem's runs have without being asked, with that `evaluate_every`."""

    def is_default(metric: Metric) -> bool:
        return not metric.on_request and metric.is_of(problem) and (evaluate_every is not None or not metric.within_epochs)

    return tuple(name for name in observables() if is_default(METRICS[name]))


def known(problem: Problem, data: Batch, held_out: Batch | None) -> Known:
    """Return the parts of an observable's context that follow from a run's data and its held-out samples."""
    # At full precision, whatever the precision of the training, as for the data.
    with jax.default_matmul_precision("float32"):
        if problem.optimum is None:
            return Known(None, None, held_out)
        optimum = problem.optimum(data)
        return Known(optimum, jnp.mean(sample_losses(problem, optimum, data)), held_out)


class Measures(NamedTuple):
    """Observables by name, as the simulator takes them: called with `(params, context)`, it returns a dictionary of arrays.

    Hashable, so that it can be a static argument. A measure's dictionary becomes a variable for each key, `<name>_<key>`; the
    value at the key "" bears the name itself.

    Attributes:
      items: names and functions `(params, context) -> a number, an array or a dictionary of these`.
    """

    items: tuple[tuple[str, Observe], ...]

    def __call__(self, params: Params, context: Context) -> dict[str, Array]:
        """Return the values of all observables by the names of their variables."""
        values: dict[str, Array] = {}
        for name, measure in self.items:
            values |= _variables(name, name, measure(params, context))
        return values


def _variables(observable: str, name: str, value: Any) -> dict[str, Array]:
    """Return the variables that a measure's value becomes, by name.

    Raises:
      InputError: for a value that is no number, array or dictionary of these.
    """
    if isinstance(value, Mapping):
        parts = {}
        for key, inner in value.items():
            parts |= _variables(observable, f"{name}_{key}" if key != "" else name, inner)
        return parts
    array = jnp.asarray(value) if isinstance(value, int | float | np.ndarray | np.generic | jax.Array) else None
    if array is None or not any(jnp.issubdtype(array.dtype, kind) for kind in (jnp.floating, jnp.integer, jnp.bool_)):
        raise InputError(
            f"observable {observable!r} must return a number, an array or a dictionary of these, got {shown(value)}"
        )
    return {name: array if jnp.issubdtype(array.dtype, jnp.floating) else array.astype(jnp.float32)}


def observable_named(name: str) -> Observe:
    """Return the measure called `name`, or the function that "package.module:attribute" points at.

    Raises:
      InputError: for an unknown name, with the nearest valid one, or for something that is no function.
    """
    if ":" in name:
        function = attribute_at(name, "observable")
        if not callable(function):
            raise InputError(f"observable {name!r} must be a function (params, context) -> arrays, got {shown(function)}")
        return function
    measure = METRICS[name].measure if name in METRICS else None
    if measure is None:
        raise no_such("observable", name, observables(), POINTERS["observable"])
    return measure


def variable_name(observable: str | Callable) -> str:
    """Return the name of an observable's variable: of a pointer or a function, the name of the function."""
    if isinstance(observable, str):
        return observable.rpartition(":")[2]
    return getattr(observable, "__name__", type(observable).__name__)


def measures_named(problem: Problem, items: Iterable[str | Callable]) -> Measures:
    """Return several observables, by the names of their variables.

    Args:
      problem: of the runs.
      items: names in `METRICS`, pointers, and functions.

    Raises:
      InputError: for an unknown name, an observable that the problem does not have, or two of the same name.
    """
    named: dict[str, Observe] = {}
    for item in items:
        name = variable_name(item)
        if not isinstance(item, str) and not callable(item):
            raise InputError(f"observe must name observables or be functions (params, context) -> arrays, got {shown(item)}")
        measure = observable_named(item) if isinstance(item, str) else item
        if not name.isidentifier():
            raise InputError(f"an observable among several needs a name: write a function with def, got {shown(item)}")
        if item in METRICS and not METRICS[name].is_of(problem):
            raise InputError(f"problem {problem.name!r} has no {name}: {_lack(problem, str(name))}")
        if name in named or (name in METRICS and item not in METRICS):
            taken = "observe has it twice" if name in named else "jaxsgd has an observable of this name"
            raise InputError(f"observable {shown(item)} needs another name than {name!r}: {taken}")
        named[name] = measure
    return Measures(tuple(named.items()))


def _lack(problem: Problem, metric: str) -> str:
    """Return the part of a problem that a metric needs and the problem does not have, in words."""
    if not metric.startswith("validation"):
        return "it has no optimum"
    if problem.held_out is None:
        return "no samples are held out, as by jaxsgd.hold_out(problem, 0.2), or in a study held_out=0.2"
    return "it has no accuracy"


class _Single(NamedTuple):
    """A single observable of a user, whose values are returned as they are. Hashable, so that it can be a static argument.

    Attributes:
      measure: `(params, context) -> any pytree of arrays`.
    """

    measure: Observe

    def __call__(self, params: Params, context: Context) -> Any:
        """Return its value.

        Raises:
          InputError: for a value without any number.
        """
        value = self.measure(params, context)
        leaves = jax.tree.leaves(value)
        if not leaves or not all(isinstance(leaf, int | float | np.ndarray | np.generic | jax.Array) for leaf in leaves):
            name = variable_name(self.measure)
            raise InputError(f"observable {name!r} must return a number, an array or a pytree of these, got {shown(value)}")
        return value


def measures_of(problem: Problem, observe: Any) -> Observe:
    """Return what `simulate` observes, as the simulator takes it.

    Args:
      problem: of the run.
      observe: a name, a pointer or a function, whose values are returned as they are; or several, which become `Measures`.

    Raises:
      InputError: as `measures_named`.
    """
    if isinstance(observe, str):
        ((_, measure),) = measures_named(problem, [observe]).items
        return measure
    if callable(observe):
        return _Single(observe)
    if not isinstance(observe, Iterable):
        raise InputError(f"observe must be a name, a function (params, context) -> arrays, or several, got {shown(observe)}")
    return measures_named(problem, observe)


def default_measures(problem: Problem, evaluate_every: int | float | None, besides: Iterable[str] = ()) -> Measures | None:
    """Return the observables that a problem's runs have without being asked; None without any.

    Args:
      problem: of the runs.
      evaluate_every: of the study.
      besides: names that are left out.
    """
    names = [name for name in observations(problem, evaluate_every) if name not in set(besides)]
    return measures_named(problem, names) if names else None


def differs(stored: np.ndarray, again: np.ndarray, tolerance: float) -> bool:
    """Return True if a metric of a run differs more between two machines than rounding explains.

    Args:
      stored: its values in the result.
      again: its values on this machine.
      tolerance: as that of a `Metric`.
    """
    scale = np.max(np.abs(stored), initial=0, where=np.isfinite(stored))
    return bool(np.isfinite(tolerance)) and not np.allclose(again, stored, rtol=0, atol=tolerance * scale, equal_nan=True)
