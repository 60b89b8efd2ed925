"""The observables of a study's runs: what is measured, after which epochs, and what the result says of each variable."""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array

from jaxsgd.compiling.per_owner import PerOwner
from jaxsgd.compiling.work import Work, work
from jaxsgd.context import Context, contexts
from jaxsgd.error import IN_OBSERVABLE, InputError, first_sentence, user_frames
from jaxsgd.measure.observable import (
    METRICS,
    Measures,
    Metric,
    default_measures,
    known,
    measures_named,
    observables,
)
from jaxsgd.order import ORDERS, split
from jaxsgd.problem import Params
from jaxsgd.simulator import State, draw, stepping, streams
from jaxsgd.study.dependencies import Dependencies
from jaxsgd.study.subject import Subject, precision_of
from jaxsgd.train import Sparse

# The functions below take a `Study` as `Any`: its own checks use them.

BETTER = ("lower", "higher", "neither")


class Record(NamedTuple):
    """The description of an observable's variable in a result.

    Attributes:
      shape: of one measurement; [] for a number.
      dims: the names of its dimensions.
      sparse: True if it is measured in each `observe_every`-th epoch, along the dimension `observation`.
      units, meaning, better, tolerance: as those of a `Metric`.
      by_batch: True if it is measured before each step of those epochs, along the dimension `batch` too; else after them.
    """

    shape: tuple[int, ...] = ()
    dims: tuple[str, ...] = ()
    sparse: bool = False
    units: str = "1"
    meaning: str = ""
    better: str = "lower"
    tolerance: float = Metric("", "").tolerance
    by_batch: bool = False


def study_measures(study: Any, subject: Subject) -> tuple[Measures | None, Sparse | None]:
    """Return the observables that are measured with the others of a result, and those that are measured after some epochs.

    Raises:
      InputError: for an observable that there is not, or that the problem does not have.
    """
    asked = study.observe or ()
    usual = default_measures(subject.problem, study.evaluate_every, besides=asked)
    named = measures_named(subject.problem, asked) if asked else None
    if study.observe_every is not None:
        of_steps = measures_named(subject.problem, study.observe_batches) if study.observe_batches else None
        return usual, Sparse(named, study.observe_every, of_steps)
    if named is None:
        return usual, None
    return Measures((*(usual.items if usual else ()), *named.items)), None


def records(study: Any, subject: Subject) -> dict[str, Record]:
    """Return the description of each observable's variable, by its name, in the order of the result.

    Raises:
      InputError: as `study_measures`, and for a measure of the user's own that fails or returns no arrays; exceptions of the
        user's own code are not caught.
    """
    described = {}
    for asked in _asked(study, subject):
        # The shapes of those that every result has are known.
        is_known = all(_is_usual(name) for name, _ in asked.measures.items)
        traced = None if is_known else _traced(asked, subject, study.dtype)
        for name, measure in asked.measures.items:
            if traced is None or _is_usual(name):
                own = {name: _usual_record(name)._replace(sparse=asked.sparse)}
            else:
                own = _records_of(name, measure, traced.shapes[name], asked.sparse)
            if asked.by_batch:
                own = {batch_variable(variable): record._replace(by_batch=True) for variable, record in own.items()}
            described |= own
    return described


class _Asked(NamedTuple):
    """Observables that are measured at the same times.

    Attributes:
      measures: the observables.
      sparse: True if they are measured in some epochs only.
      by_batch: True if they are measured before steps.
    """

    measures: Measures
    sparse: bool
    by_batch: bool


def _asked(study: Any, subject: Subject) -> list[_Asked]:
    """Return the observables of a study, by the times at which they are measured."""
    usual, sparse = study_measures(study, subject)
    groups = [(usual, False, False)]
    if sparse:
        groups += [(sparse.observe, True, False), (sparse.before_steps, True, True)]
    return [_Asked(measures, *times) for measures, *times in groups if isinstance(measures, Measures)]


def _is_usual(name: str) -> bool:
    """Return True for an observable that a study measures without being asked."""
    return name in METRICS and not METRICS[name].on_request


def batch_variable(name: str) -> str:
    """Return the name of the variable of an observable that is measured before each step."""
    return f"{name}_batch"


def _records_of(name: str, measure: Callable, shapes: dict[str, tuple[int, ...]], sparse: bool) -> dict[str, Record]:
    """Return the description of each variable of one observable.

    Args:
      name, measure: the observable.
      shapes: of its variables.
      sparse: True if it is measured in some epochs only.
    """
    described = {}
    for variable, shape in shapes.items():
        if variable in METRICS:
            if name not in METRICS:
                raise InputError(f"observable {name!r} needs another name: jaxsgd has a metric called {variable!r}")
            described[variable] = _usual_record(variable)._replace(sparse=sparse)
            continue
        dims = getattr(measure, "dims", None)
        dims = [dims] if isinstance(dims, str) else list(dims or ())
        if dims and len(dims) != len(shape):
            raise InputError(f"observable {name!r} has the dims {dims} for an array of shape {list(shape)}")
        dims = dims or [f"{variable}_{axis}" for axis in range(len(shape))]
        better = getattr(measure, "better", "lower")
        if better not in BETTER:
            raise InputError(f"better of observable {name!r} must be lower, higher or neither, got {better!r}")
        meaning = str(getattr(measure, "meaning", variable.replace("_", " ")))
        units = str(getattr(measure, "units", "1"))
        described[variable] = Record(shape, tuple(map(str, dims)), sparse, units, meaning, better)
    return described


def _usual_record(name: str) -> Record:
    own = METRICS[name]
    return Record((), (), False, own.units, own.meaning, own.better, own.tolerance)


class _Traced(NamedTuple):
    """Observables that are measured at the same times, traced.

    Attributes:
      shapes: by the name of the observable, the shape of each of its variables.
      work: of one measurement of all of them; before a step with the gradient of its batch, if one of them uses it.
    """

    shapes: dict[str, dict[str, tuple[int, ...]]]
    work: Work


def _traced(asked: _Asked, subject: Subject, dtype: str, batch_count: int = 1) -> _Traced:
    """Return observables of runs with so many batches, traced once for a problem as long as their code stays the same.

    Nothing is computed.
    """
    names = tuple(name for name, _ in asked.measures.items)
    # A dependency must not be the subject, or it would be kept for ever.
    key = names, Dependencies(*(measure for _, measure in asked.measures.items)), asked.by_batch, dtype, batch_count
    return _TRACES.get(subject, key, lambda: _newly_traced(asked, subject, dtype, batch_count))


_TRACES: PerOwner[_Traced] = PerOwner()


def _newly_traced(asked: _Asked, subject: Subject, dtype: str, batch_count: int) -> _Traced:
    shapes: dict[str, dict[str, tuple[int, ...]]] = {}
    total = Work()

    def at_start(key: Array) -> None:
        nonlocal total
        params, context_of = _at_start(subject, key, asked.by_batch, batch_count)

        def measured(params: Params) -> list[Any]:
            context, values = context_of(params), []
            for name, measure in asked.measures.items:
                try:
                    own = Measures(((name, measure),))(params, context)
                except InputError:
                    raise
                except Exception as error:
                    if user_frames(error):
                        error.add_note(f"{IN_OBSERVABLE}{name!r}")
                        raise
                    message = f"observable {name!r} fails with {type(error).__name__}: {first_sentence(error)}"
                    raise InputError(message) from error
                shapes[name] = {variable: tuple(value.shape) for variable, value in own.items()}
                values.append(own)
            return values

        total = work(jax.make_jaxpr(measured)(params))

    with precision_of(dtype):
        jax.eval_shape(at_start, jax.random.key(0))
    return _Traced(shapes, total)


def _at_start(subject: Subject, key: Array, by_batch: bool, batch_count: int) -> tuple[Params, Callable[[Params], Context]]:
    """Return the parameters at the start of a run, and the function that gives an observable's context there.

    Args:
      subject: the problem.
      key: of the data and the parameters.
      by_batch: True for an observable that is measured before steps, whose context has the step's batch.
      batch_count: of the run.
    """
    problem, keys = subject.problem, streams(key)
    params, data = draw(problem, keys)
    data, held_out = jax.tree.map(jnp.asarray, (data, problem.sample_held_out(keys.data)))
    own = known(problem, data, held_out)
    parts = stepping(
        problem, data, keys.order, optimizer=optax.sgd(1.0), split=split(subject.num_samples, batch_count=batch_count),
        order=ORDERS["fixed"], epochs=1,
    )  # fmt: skip
    inputs = parts.inputs(0, State(params, None))
    visit = parts.visit(jax.tree.map(lambda leaf: leaf[0], inputs), inputs) if by_batch else None
    at, batches = contexts(problem, data, keys.order, own), parts.batches(inputs)
    return params, lambda params: at(0, batches, params, params, visit)


class ObservedWork(NamedTuple):
    """The work of the observables that a study asks for, by the times at which they are measured.

    Attributes:
      usual: with the losses, after each epoch or at each evaluation.
      sparse: after each of some epochs.
      by_batch: before each step of these epochs, whatever the size of its batch.
      by_sample: before the steps of such an epoch, for all samples of their batches together.
    """

    usual: Work = Work()
    sparse: Work = Work()
    by_batch: Work = Work()
    by_sample: Work = Work()


def observed_work(study: Any, subject: Subject) -> ObservedWork:
    """Return the work of the observables that a study asks for.

    It is none for a study with the observables that every result has, after each epoch.
    """
    if not (study.observe or study.evaluate_every or study.observe_batches):
        return ObservedWork()
    works = {}
    for asked in _asked(study, subject):
        one = _traced(asked, subject, study.dtype).work
        if not asked.by_batch:
            works["sparse" if asked.sparse else "usual"] = one
        elif subject.num_samples > 1:
            # A batch of all samples and one of half of them tell what grows with the batch.
            samples = subject.num_samples
            further = one.flops - _traced(asked, subject, study.dtype, batch_count=2).work.flops
            works["by_sample"] = Work(min(one.flops, further * samples // (samples // 2)))
            works["by_batch"] = Work(one.flops - works["by_sample"].flops, one.equations)
    return ObservedWork(**works)


def stored_records(manifest: dict[str, Any]) -> dict[str, Record] | None:
    """Return the description of each observable's variable from a manifest; None if the manifest is not sound.

    Args:
      manifest: of a result, with `observed`, the names, and `measures`, the descriptions of those that the study asks for.
    """
    described = {}
    for name in manifest["observed"]:
        usual = name in observables() and name not in manifest["measures"]
        record = _usual_record(name) if usual else _stored_record(name, manifest["measures"].get(name))
        if record is None:
            return None
        described[name] = record
    return described


def _stored_record(name: Any, fields: Any) -> Record | None:
    """Return a stored description; None if it has not the fields of a `Record`, with values of the right types."""
    if not (isinstance(name, str) and name.isidentifier() and isinstance(fields, dict)):
        return None
    fields = {"by_batch": False, **fields}  # results from before this field have no such variables
    if set(fields) != set(Record._fields):
        return None
    if fields["tolerance"] is None:  # JSON has no infinity
        fields["tolerance"] = math.inf
    shape, dims = fields["shape"], fields["dims"]
    if not (isinstance(shape, list) and isinstance(dims, list) and len(shape) == len(dims)):
        return None
    sound = (
        all(type(size) is int and 0 <= size < 2**31 for size in shape)
        and all(isinstance(text, str) for text in (*dims, fields["units"], fields["meaning"]))
        and isinstance(fields["sparse"], bool)
        and isinstance(fields["by_batch"], bool)
        and fields["better"] in BETTER
        and isinstance(fields["tolerance"], int | float)
    )
    return Record(tuple(shape), tuple(dims), *(fields[field] for field in Record._fields[2:])) if sound else None


def plain_records(described: Mapping[str, Record]) -> dict[str, dict[str, Any]]:
    """Return the descriptions that a manifest needs, as plain values: of all variables that not every result describes so."""
    return {
        name: {
            **record._asdict(),
            "shape": list(record.shape),
            "dims": list(record.dims),
            "tolerance": record.tolerance if math.isfinite(record.tolerance) else None,
        }
        for name, record in described.items()
        if name not in observables() or record != _usual_record(name)
    }


def other_records(first: dict[str, Record], other: dict[str, Record], first_setting: str, setting: str) -> str:
    """Return the message for observables that differ between two settings of the problem."""
    name = next(name for name in [*first, *other] if first.get(name) != other.get(name))
    if name in first and name in other and first[name].shape != other[name].shape:
        shapes = f"has the shape {list(first[name].shape)} with {first_setting} and {list(other[name].shape)} with {setting}"
        return f"observable {name!r} {shapes}; its shape must be the same for all values of problem_axes"
    has, lacks = (first_setting, setting) if name in first else (setting, first_setting)
    return f"the problem with {has} has the observable {name!r}, and with {lacks} it has another or none; write two studies"


TAKEN = (
    *("cell", "loss", "diverged", "diverged_epoch", "missing", "rate", "batch_count", "batch_size", "epoch", "batch", "draw"),
    *("evaluation", "evaluation_step", "evaluation_epoch"),
    *("observation", "observation_step", "observation_epoch", "epoch_step"),
)
"""Names of other variables and dimensions of a result."""


def check_names(described: Mapping[str, Record], axes: Iterable[str]) -> None:
    """Check that no observable's variable or dimension bears the name of something else in a result.

    Raises:
      ValueError: if one does, or if two arrays share a dimension and not its length.
    """
    taken, lengths = {*TAKEN, *axes}, {}
    for name, record in described.items():
        for word in (name, *record.dims):
            if word in taken or (word in record.dims and (word in METRICS or word in described)):
                raise ValueError(f"observable {name!r} needs another name than {word!r}, which a result has already")
        for dim, length in zip(record.dims, record.shape, strict=True):
            if lengths.setdefault(dim, length) != length:
                raise ValueError(f"observable {name!r} has {length} values along {dim!r}, where another has {lengths[dim]}")
