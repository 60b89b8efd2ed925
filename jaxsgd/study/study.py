"""Study: the settings of a sweep, validated as a whole."""

import functools
import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, ParamSpec

from pydantic import ConfigDict, WrapValidator, field_serializer, field_validator, model_validator

from jaxsgd.error import InputError, no_such, shown
from jaxsgd.measure.observable import METRICS, measures_named, observations
from jaxsgd.optimizer import POINTERS, attribute_at, hyperparameters, optimizer_named, schedule_named
from jaxsgd.order import Order, as_order
from jaxsgd.problem import UNNAMED, Problem
from jaxsgd.problems import problem_named
from jaxsgd.schedule import as_schedule
from jaxsgd.study.batch_rules import check_rules, ruled_values
from jaxsgd.study.dimensions import (
    OWN_AXES,
    axis_lengths,
    cell_values,
    dimensions,
    drawn_argument,
    problem_argument,
    problem_settings,
    setting_text,
)
from jaxsgd.study.field_types import Distribution, Halving, distinct, positive
from jaxsgd.study.fields import StudyFields, long_form, plain, replaced_fields
from jaxsgd.study.observed import TAKEN, check_names, other_records, records
from jaxsgd.study.shape_check import check_numbers, check_optimizer, check_order, check_schedule
from jaxsgd.study.subject import Subject, Subjects, check_arguments, problem_arguments

_Parameters = ParamSpec("_Parameters")


def _reports_every_mistake(init: Callable[_Parameters, None]) -> Callable[_Parameters, None]:
    """Return a constructor with the signature of `init` that takes any keyword.

    So an unknown or a missing field is reported together with all other mistakes, and in the same words.
    """

    @functools.wraps(init)
    def checked(self: Any, *given: Any, **fields: Any) -> None:
        if given:
            raise InputError(
                f"Study takes its fields by name, as Study(problem='digits', ...), got {shown(given[0])} without a name"
            )
        StudyFields.__init__(self, **fields)

    return checked


_OBJECT = "Problem object"
"""The beginning of the text that stands for a problem given as an object."""

_NEEDS_POINTER = (
    "a problem given as an object can be swept in memory only; a result folder, an executor and JSON need a pointer: "
    "problem='my_module:make', or problem='__main__:make' in a notebook"
)


def _text_or_problem(value: Any, text: Callable[[Any], str]) -> Any:
    return value if isinstance(value, Problem) else text(value)


class Study(StudyFields):
    """The settings of a sweep: the axes, whose product are the cells, and the settings that all cells share.

    A study cannot be changed. It can be written as JSON, and its identity is the hash of that JSON. (A study whose problem is
    an object has neither JSON nor identity; it equals the studies with the same object.) All names are checked: the problem can
    be trained, by its shapes, and every order, optimizer, hyperparameter and schedule exists. An axis takes a list, a range, an
    array, or a single value (but not for seeds). A pointer is a text, "my_module:name".

    Args:
      problem: A built-in problem's name, or a pointer to a `Problem` or to a function that makes one. For a sweep in memory it
        may be the `Problem` itself. For example `problem="my_module:make"`.
      problem_args: Arguments of the function that makes the problem, as plain JSON values. For example
        `problem_args={"num_samples": 500}`.
      problem_axes: Values of arguments of the function that makes the problem; each argument is an axis with its name. A value
        may change shapes, so each has programs of its own, which are compiled once each. Values are numbers, texts or booleans.
        The number of samples must be the same for all values. For example
        `problem="digits", problem_axes={"num_hidden": [16, 64]}`.
      held_out: Share of the samples that no step sees, to validate on. The result then has `validation_loss`, and
        `validation_accuracy` if the problem has an accuracy. For example `held_out=0.2`.
      seeds: Seeds of the data, the initial parameters and the order together (axis `seed`). For example `seeds=range(20)`.
      data_seeds: Seeds of the data alone (axis `data_seed`); `seeds` then does not set the data. The variance of a result has
        several sources (Bouthillier et al. 2021, "Accounting for variance in machine learning benchmarks"). For example
        `data_seeds=[0]`.
      init_seeds: Seeds of the initial parameters alone (axis `init_seed`). For example `init_seeds=range(5)`.
      order_seeds: Seeds of the order alone (axis `order_seed`). For example `order_seeds=range(5)`.
      batch_counts: Batches per epoch, m (axis `batch_count`); sizes differ by at most one sample. For example
        `batch_counts=[1, 5, 20]`.
      batch_sizes: Samples per batch, B (axis `batch_size`), in place of `batch_counts`: full batches and a smaller last one.
        For example `batch_sizes=[32, 64], batch_counts=None`.
      drop_last: With `batch_sizes`, leave out a smaller last batch. For example
        `drop_last=True, batch_sizes=[32], batch_counts=None`.
      orders: Names of orders, or pointers to an `Order` or to a function `(key, epoch, num_samples) -> [N]` (axis `order`).
        Some have numbers in brackets: `buffer(k)`, `blocks(k)`, `block_buffer(k, n)`. For example
        `orders=["fixed", "buffer(10)", "reshuffle"]`.
      optimizer: A single optimizer, in place of `optimizers`. For example `optimizer="adam"`.
      optimizers: Names of optimizers, or pointers to functions `(learning_rate, **hyperparameters) -> optax transformation`
        (axis `optimizer`). For example `optimizers=["sgd", "adam", "optax:adabelief"]`.
      optimizer_args: Fixed arguments of all optimizers besides the rate. For example
        `optimizer="adamw", optimizer_args={"weight_decay": 0.01}`.
      learning_rates: Learning rates (axis `learning_rate`). For example `learning_rates=[0.001, 0.01]`.
      hyper: Values of other numeric hyperparameters; each hyperparameter is an axis with its name. They are traced: a sweep
        over them compiles once. For example `hyper={"momentum": [0, 0.9]}`.
      batch_rules: By hyperparameter, what becomes of its value at other batch sizes than the reference: `constant`, `linear`,
        `sqrt`, `inverse_sqrt`, `power(p)`; for the decay of a memory (`momentum`, `b1`, `b2`, `ema`) `half_life` or
        `complement`; for `weight_decay` also `timescale`. Several sets of rules, in a list or by name, are compared along the
        axis `batch_rule`. The values used are in the result: `rate`, and `b2_used` and so on. For example
        `optimizer="adam", batch_rules={"learning_rate": "sqrt", "b2": "half_life"}, reference_batch_count=20`.
      reference_batch_count: The batch count at which the rules of `batch_rules` change nothing. For example
        `batch_rules={"learning_rate": "linear"}, reference_batch_count=10`.
      reference_batch_size: The batch size at which they change nothing, in place of `reference_batch_count`. For example
        `batch_rules={"learning_rate": "linear"}, reference_batch_size=64`.
      schedules: Names of schedules, or pointers to functions of one number (axis `schedule`): the factor on the rate as a
        function of training progress from 0 to 1. They are constant, linear, cosine, and with numbers in brackets
        `warmup_cosine(share)`, `wsd(warmup, decay)`, `step(at, factor)`, `inverse_sqrt(warmup)`. By default the rate is
        constant. For example `schedules=["constant", "cosine", "wsd(0.1, 0.2)"]`.
      zipped: Groups of axes of equal length that vary together, instead of as a product. For example
        `learning_rates=[0.1, 0.2], hyper={"momentum": [0.9, 0.8]}, zipped=[["learning_rate", "momentum"]]`.
      random: Axes with random values, drawn together (axis `draw`): "log_uniform" or "uniform" with (low, high), or "choice"
        with values; or "values", a list with one value for each draw, for settings that something else has
        chosen. For example `random={"momentum": {"uniform": [0.5, 0.99]}}, draws=20`.
      draws: Number of random settings to draw. For example `random={"momentum": {"choice": [0, 0.9]}}, draws=5`.
      draw_seed: Seed of the random settings. For example `draw_seed=1`.
      epochs: Passes over the data, E. Give exactly one of `epochs`, `steps` and `samples`. For example `epochs=100`.
      steps: Steps of every run, at any batch count, in place of `epochs`. The last epoch of a run may be incomplete: values
        past its end are NaN, and schedules end with the last step. For example `steps=500, epochs=None`.
      samples: Samples that every run sees, in place of `epochs`: a run ends with the step that reaches this number. For whole
        passes over the data, it is the same as `epochs`. For example `samples=5000, epochs=None`.
      evaluate_every: Interval of the measurements of `validation_loss`, `distance` and the other observables, and of
        `train_loss`, the loss over all samples: a share of an epoch, 1/q with a whole q, or a whole number of steps. They then
        lie along `evaluation`, with the steps done before each in `evaluation_step`. By default they are measured once after
        each epoch. For example `evaluate_every=0.25`.
      observe: Observables to measure besides the usual ones: names such as `sharpness`, `gradient_norm` and `noise_scale`, or
        pointers to functions `(params, context) -> a number, an array or a dictionary of these`. For example
        `observe=["sharpness", "gradient_norm"]`.
      observe_batches: Observables to measure before each step of every `observe_every`-th epoch, for which the context has the
        step's `batch`, its `batch_size` and its `gradient`; True for those of `observe`. The variables are `<name>_batch`. For
        example `observe_batches=["gradient_norm"], observe_every=10`.
      observe_every: Epochs between two measurements of `observe`, which then lie along `observation`; they are also measured
        after the last epoch. By default they are measured as often as the usual ones. For example
        `observe=["sharpness"], observe_every=5`.
      stop: A metric and its target, at which a run ends: at the first evaluation at which the metric is at or past the target.
        Values after that are NaN, and `stopped_step` has the number of steps. The metric is one that is measured after an
        epoch or at an evaluation (`evaluate_every`). For example `held_out=0.2, stop={"validation_loss": 0.1}`.
      keep: The parameters of every run that the result folder keeps, for `jaxsgd.parameters` and for forks: "final" keeps those
        after the last step, and a list keeps those after so many epochs, 0 being the start. A dry run says how much disk they
        need. By default ("none") they are not kept. For example `keep=[0, 5, 10], epochs=10`.
      keep_state: True keeps the optimizer's state with the parameters, for `jaxsgd.state` and `start_state`. With Adam it is
        twice as large as they are. For example `keep="final", keep_state=True`.
      start: Folder of a result with kept parameters, the parent. Every cell begins at the parameters of the parent's cell with
        the same values on the axes that both have. Epochs are counted from 0. For `jaxsgd run` it may be the name of another
        study in the same file. For example `start="results/parent"`.
      start_select: By axis of the parent, the value at which all cells begin: where the parent has several and the study has
        others or none. For example `start="results/parent", start_select={"learning_rate": 0.1}`.
      start_epoch: The number of epochs of the parent after which the runs begin, one of those that it kept. By default it is
        the last one. For example `start="results/parent", start_epoch=5`.
      start_state: True takes the optimizer's state on from the parent's cell, which kept it (`keep_state`). By default the
        optimizer begins anew. Hyperparameters and schedules within the state are those of this study. For example
        `start="results/parent", start_state=True`.
      halving: Successive halving: all settings train up to a first rung, a number of epochs; there one of `eta` settings (3 by
        default) goes on to the next rung, those with the best median of `metric` over the seeds, and the others stop. Settings
        compete with those of the same optimizer, order, schedule, batch rule and batch count. `rungs` may list the rungs; by
        default they are the epochs divided by `eta` again and again. The result has `stopped_rung` and `rung_value`. For
        example `learning_rates=[0.1, 0.2, 0.3], epochs=3, halving={"metric": "loss_epoch", "eta": 3}`.
      eval_interval: Batches per printed value, w, for the stripe measures in the result. For example `eval_interval=5`.
      record: "batch" keeps the loss of every batch; "epoch" keeps the loss of each epoch and the stripe measures, and needs
        less space. For example `record="epoch"`.
      dtype: Type of the data and the parameters. For example `dtype="float64"`.
      precision: Precision of matrix products on every device; "tensorfloat32" and "bfloat16" are faster and less precise. For
        example `precision="tensorfloat32"`.

    Raises:
      InputError: with all mistakes, by field and value.
    """

    model_config = ConfigDict(json_schema_extra=lambda schema: _describe(schema))

    # It may also be a `Problem`, which a file cannot hold, so it is not part of the type for files.
    problem: Annotated[str, WrapValidator(_text_or_problem)] = "square_regression"

    @_reports_every_mistake
    def __init__(  # noqa: D107, so that editors show the class's own docstring, with the fields
        self,
        *,
        problem: str | Problem = "square_regression",
        problem_args: Mapping[str, Any] = {},
        problem_axes: Mapping[str, Iterable[Any] | Any] = {},
        held_out: float = 0.0,
        seeds: Iterable[int] | None = None,
        data_seeds: Iterable[int] | None = None,
        init_seeds: Iterable[int] | None = None,
        order_seeds: Iterable[int] | None = None,
        batch_counts: Iterable[int] | int | None = None,
        batch_sizes: Iterable[int] | int | None = None,
        drop_last: bool = False,
        orders: Iterable[str] | str = ("fixed",),
        optimizer: str | None = None,
        optimizers: Iterable[str] | str = ("sgd",),
        optimizer_args: Mapping[str, Any] = {},
        learning_rates: Iterable[float] | float | None = None,
        hyper: Mapping[str, Iterable[float] | float] = {},
        batch_rules: Mapping[str, Any] | Iterable[Mapping[str, str]] | None = None,
        reference_batch_count: int | None = None,
        reference_batch_size: int | None = None,
        schedules: Iterable[str] | str | None = None,
        zipped: Iterable[Iterable[str]] = (),
        random: Mapping[str, Distribution | Mapping[str, Any]] = {},
        draws: int = 0,
        draw_seed: int = 0,
        epochs: int | None = None,
        steps: int | None = None,
        samples: int | None = None,
        evaluate_every: int | float | None = None,
        observe: Iterable[str] | str | None = None,
        observe_batches: Iterable[str] | str | bool | None = None,
        observe_every: int | None = None,
        stop: Mapping[str, float] | None = None,
        keep: Literal["none", "final"] | Iterable[int] | None = None,
        keep_state: bool | None = None,
        start: str | Path | None = None,
        start_select: Mapping[str, Any] | None = None,
        start_epoch: int | None = None,
        start_state: bool | None = None,
        halving: Halving | Mapping[str, Any] | None = None,
        eval_interval: int = 1,
        record: Literal["batch", "epoch"] = "batch",
        dtype: Literal["float32", "float64"] = "float32",
        precision: Literal["float32", "tensorfloat32", "bfloat16"] = "float32",
    ) -> None: ...

    @field_validator("problem")
    @classmethod
    def _check_problem(cls, value: str | Problem):
        if isinstance(value, Problem):
            return value
        if value.startswith(_OBJECT):
            raise InputError(f"{value} is only a name here, without the object; {_NEEDS_POINTER}")
        _ = attribute_at(value, "problem") if ":" in value else problem_named(value)
        return value

    @field_validator("problem_axes")
    @classmethod
    def _check_problem_axes(cls, value: dict, info: Any):
        if value and "problem" in info.data:
            check_arguments(info.data["problem"], value)
        for name in value:
            if name in info.data.get("random", ()):
                raise ValueError(f"{name!r} is given twice: here, and in random")
            if name in {*OWN_AXES, *TAKEN, *METRICS}:
                raise ValueError(f"{name!r} cannot be an axis of the problem: a result has something else of this name")
        return value

    @field_validator("problem_args")
    @classmethod
    def _check_problem_args(cls, value: dict, info: Any) -> dict:
        value = plain(value)
        if {"problem", "dtype", "held_out", "random", "problem_axes"} <= set(info.data):
            axes = {**info.data["problem_axes"], **dict.fromkeys(_drawn_arguments(info.data["problem"], info.data["random"]))}
            twice = sorted(set(value) & set(axes))
            if twice:
                raise ValueError(f"{twice[0]!r} is given twice: here, and in problem_axes or random")
            _subject_of(info.data | {"problem_args": value})
        return value

    @field_validator("batch_counts", "batch_sizes")
    @classmethod
    def _check_sizes(cls, value: tuple[int, ...] | None, info: Any):
        if value is not None and set(_SUBJECT_FIELDS) <= set(info.data):
            largest = _subject_of(info.data).num_samples
            over = [size for size in value if size > largest]
            if over:
                rest = " that held_out leaves" if info.data["held_out"] else ""
                raise ValueError(f"must be at most {largest}, the number of samples{rest}, got {over[0]}")
        return value

    @field_validator("orders")
    @classmethod
    def _check_orders(cls, value: tuple[str, ...], info: Any):
        for name in value:
            order = order_named(name)
            if set(_SUBJECT_FIELDS) <= set(info.data):
                subject = _subject_of(info.data)
                check_order(order, subject.num_samples, subject.problem, info.data["dtype"])
        return distinct(tuple(name if ":" in name else order_named(name).name for name in value))

    @field_validator("optimizers")
    @classmethod
    def _check_optimizers(cls, value: tuple[str, ...]):
        for name in value:
            optimizer_named(name)
        return value

    @field_validator("optimizer_args")
    @classmethod
    def _check_optimizer_args(cls, value: dict, info: Any):
        value = plain(value)
        _check_hyper(value, info)
        _check_memories({name: (number,) for name, number in value.items()}, info)
        for name in info.data.get("optimizers", ()):
            check_numbers(optimizer_named(name), value)
        return value

    @field_validator("random")
    @classmethod
    def _check_random(cls, value: dict, info: Any):
        own = problem_arguments(info.data["problem"]) if "problem" in info.data else []
        for optimizer in info.data.get("optimizers", ()):
            both = [name for name in value if name in own and name in hyperparameters(optimizer)]
            if both:
                raise ValueError(
                    f"{both[0]!r} is an argument of the problem and of {optimizer!r}: give it in problem_axes or in hyper"
                )
        _check_hyper([name for name in value if name not in own], info, besides=_DRAWN_BESIDES)
        _check_memories({name: drawn.choice or drawn.values or () for name, drawn in value.items()}, info)
        if "learning_rate" in value:
            drawn = value["learning_rate"]
            positive(drawn.choice or drawn.values or ())
            if drawn.uniform is not None and drawn.uniform[0] < 0:
                raise ValueError(f"learning_rate must be above 0, got uniform {drawn.uniform}")
        return value

    @field_validator("hyper")
    @classmethod
    def _check_hyper_axes(cls, value: dict, info: Any):
        _check_hyper(value, info)
        _check_memories(value, info)
        places = {name: info.data.get(name, {}) for name in ("optimizer_args", "random", "problem_axes")}
        twice = [(name, place) for place, names in places.items() for name in sorted(set(value) & set(names))]
        if twice:
            raise ValueError("{!r} is given twice: in hyper, and in {}".format(*twice[0]))
        return value

    @field_validator("schedules")
    @classmethod
    def _check_schedules(cls, value: tuple[str, ...] | None):
        for name in value or ():
            check_schedule(name, schedule_named(name))
        return value and distinct(tuple(name if ":" in name else as_schedule(name).name for name in value))

    @field_validator("batch_rules")
    @classmethod
    def _check_batch_rules(cls, value: tuple | None, info: Any):
        if value is not None:
            check_rules(value)
            _check_hyper([name for _, rules in value for name in rules], info, besides=("learning_rate",))
        return value

    @field_validator("observe", "observe_batches")
    @classmethod
    def _check_observe(cls, value: tuple[str, ...] | None, info: Any):
        if value is not None and set(_SUBJECT_FIELDS) <= set(info.data):
            measures_named(_subject_of(info.data).problem, value)
        return value

    @model_validator(mode="after")
    def _check_ruled_values(self):
        if self.batch_rules is not None:
            ruled_values(self, cell_values(dimensions(self)), self.subject().num_samples)
        return self

    @model_validator(mode="after")
    def _check_measures(self):
        subjects = self.subjects()
        if self.observe is None and self.observe_batches is None and len(subjects.distinct) == 1:
            return self
        described = [records(self, subject) for subject in subjects.distinct]
        check_names(described[0], axis_lengths(dict(self)))
        for other, args in zip(described, subjects.args, strict=True):
            if other != described[0]:
                raise ValueError(other_records(described[0], other, *map(setting_text, (subjects.args[0], args))))
        return self

    @field_validator("stop")
    @classmethod
    def _check_has_stop(cls, value: dict[str, float] | None, info: Any):
        if value is None or not set(_SUBJECT_FIELDS) | {"evaluate_every"} <= set(info.data):
            return value
        (metric,), problem, every = value, _subject_of(info.data).problem, info.data["evaluate_every"]
        valid = observations(problem, every)
        if metric in valid:
            return value
        hint = f"they have {', '.join(valid) or 'train_loss, with evaluate_every'}"
        if metric in observations(problem, 1):
            hint = "it is measured only with evaluate_every, such as evaluate_every=0.25"
        elif metric.startswith("validation") and problem.held_out is None:
            hint = "no samples are held out: give held_out, such as held_out=0.2"
        raise ValueError(f"the runs have no {metric} to stop at: {hint}")

    @model_validator(mode="after")
    def _check_step(self):
        axes = {name: _first(distribution) for name, distribution in self.random.items()}
        axes |= {name: values[0] for name, values in self.hyper.items()}
        axes = {name: value for name, value in axes.items() if name not in (*_DRAWN_BESIDES, *self.problem_axis_names)}
        for subject in self.subjects().distinct:
            for name in self.optimizers:
                check_optimizer(name, optimizer_named(name), self.optimizer_args, axes, subject, self.dtype)
        return self

    @property
    def problem_axis_names(self) -> tuple[str, ...]:
        """The axes that are arguments of the function that makes the problem, in order of their names."""
        return tuple(sorted([*self.problem_axes, *_drawn_arguments(self.problem, self.random)]))

    def subject(self, args: Mapping[str, Any] = {}) -> Subject:
        """Return the problem that the study names, with its size and its arrays.

        Args:
          args: by axis of the problem, the value in a cell; for others the first.
        """
        return _subject_of(dict(self), {name: problem_argument(self, name, value) for name, value in args.items()})

    def subjects(self) -> Subjects:
        """Return the distinct problems of the cells.

        Raises:
          InputError: if a problem cannot be made, or has another number of samples than the first.
        """
        settings = problem_settings(self, self.problem_axis_names)
        distinct = []
        for args in settings.args:
            try:
                distinct.append(self.subject(args))
            except InputError as error:
                raise InputError(f"problem_axes: with {setting_text(args)}: {error}" if args else str(error)) from None
            counts = [subject.num_samples for subject in (distinct[0], distinct[-1])]
            if counts[0] != counts[1]:
                raise InputError(
                    "problem_axes: the number of samples must be the same for all values, got "
                    f"{counts[0]} with {setting_text(settings.args[0])} and {counts[1]} with {setting_text(args)}; "
                    "write a study for each number of samples"
                )
        return Subjects(tuple(distinct), settings.args, settings.of_cell)

    def replaced(self, **fields: Any) -> "Study":
        """Return the study with some fields replaced, validated again; a new budget replaces the old budget.

        Raises:
          InputError: with all mistakes, by field and value.
        """
        return Study(**replaced_fields(dict(self), long_form(fields)))

    @field_serializer("problem")
    def _plain_problem(self, value: str | Problem) -> str:
        if isinstance(value, Problem):
            raise InputError(_NEEDS_POINTER)
        return value

    def resolved(self) -> dict[str, Any]:
        """Return the study as plain JSON values, every field explicit.

        Raises:
          InputError: when its problem is an object.
        """
        if isinstance(self.problem, Problem):  # Pydantic would say so in an exception of its own
            raise InputError(_NEEDS_POINTER)
        return super().resolved()

    def described(self) -> dict[str, Any]:
        """Return the study as plain JSON values to read: a problem that is an object is shown by its name."""
        if not isinstance(self.problem, Problem):
            return self.resolved()
        name = self.problem.name
        text = _OBJECT if name == UNNAMED else f"{_OBJECT} {name!r}"
        return {"problem": text, **self.model_dump(mode="json", exclude={"problem"})}


def order_named(name: str) -> Order:
    """Return the order called `name`, or the order that "package.module:attribute" points at.

    Raises:
      InputError: for an unknown name, with the nearest valid one.
    """
    return as_order(attribute_at(name, "order") if ":" in name else name, POINTERS["order"])


def check_study(study: Any) -> None:
    """Check that a value is a `Study`.

    Raises:
      InputError: if it is not; the message shows how to write it.
    """
    if isinstance(study, StudyFields):
        return
    if isinstance(study, Mapping):
        raise InputError("study must be a jaxsgd.Study, got a dictionary: write jaxsgd.sweep(jaxsgd.Study(**fields))")
    if isinstance(study, str) or hasattr(study, "__fspath__"):
        file = re.sub(r"\.py$", "", str(study).replace("\\", "/").rpartition("/")[2])
        module = file if file.isidentifier() else "my_study"
        raise InputError(
            f"study must be a jaxsgd.Study, got the text {shown(str(study))}: write `from {module} import STUDY` and "
            f"jaxsgd.sweep(STUDY), or in a shell: jaxsgd run {study}"
        )
    raise InputError(f"study must be a jaxsgd.Study, got {shown(study)}: write jaxsgd.sweep(jaxsgd.Study(...))")


class FieldNote(NamedTuple):
    """The documentation of a field of a study.

    Attributes:
      name: of the field, or `optimizer`, the short form of `optimizers`.
      default: as Python writes it; "required" if there is no default.
      text: its meaning.
      example: arguments of `Study` that use it.
    """

    name: str
    default: str
    text: str
    example: str


def field_notes() -> list[FieldNote]:
    """Return the docstring's notes on the fields of `Study`, in the order of its arguments."""
    section = inspect.cleandoc(Study.__doc__ or "").partition("Args:\n")[2].partition("\n\n")[0]
    texts = dict(re.findall(r"^  (\w+): (.*(?:\n    .*)*)", section, re.MULTILINE))
    notes = []
    for parameter in list(inspect.signature(Study.__init__).parameters.values())[1:]:
        text, _, example = " ".join(texts[parameter.name].split()).partition(" For example `")
        default = "required" if parameter.default is parameter.empty else repr(parameter.default)
        notes.append(FieldNote(parameter.name, default, text, example.removesuffix("`.")))
    return notes


def _describe(schema: dict[str, Any]) -> None:
    """Put the docstring's notes on the fields of `Study` into its JSON schema."""
    for note in field_notes():
        if note.name in schema["properties"]:
            schema["properties"][note.name]["description"] = note.text


_SUBJECT_FIELDS = ("problem", "random", "problem_axes", "problem_args", "dtype", "held_out")

_DRAWN_BESIDES = ("learning_rate", "batch_count")
"""Random axes that are neither hyperparameters nor arguments of the problem."""


def _subject_of(fields: Mapping[str, Any], args: Mapping[str, Any] = {}) -> Subject:
    """Return the problem of a study's fields.

    Args:
      fields: `_SUBJECT_FIELDS`.
      args: values of axes of the problem; for others the first.
    """
    problem, random = fields["problem"], fields["random"]
    first = {name: values[0] for name, values in fields["problem_axes"].items()}
    first |= {name: drawn_argument(random[name], _first(random[name])) for name in _drawn_arguments(problem, random)}
    return Subject.of(problem, fields["problem_args"] | first | dict(args), fields["dtype"], fields["held_out"])


def _drawn_arguments(problem: str | Problem, random: Iterable[str]) -> list[str]:
    """Return the random axes that are arguments of the function that makes the problem."""
    return [name for name in random if name not in _DRAWN_BESIDES and name in problem_arguments(problem)]


def _first(distribution: Distribution) -> float:
    """Return a value that may be drawn."""
    low, *_ = distribution.choice or distribution.values or distribution.uniform or distribution.log_uniform or (0.0,)
    return low


MEMORIES = ("b1", "b2")
"""Hyperparameters of the named optimizers that are the decay of a memory, as Adam's."""


def _check_memories(values: Mapping[str, Iterable[Any]], info: Any) -> None:
    """Check that the decay of a memory is from 0 to below 1; one's own optimizers may mean something else by its name."""
    if any(":" in optimizer for optimizer in info.data.get("optimizers", ())):
        return
    for name in MEMORIES:
        for number in values.get(name, ()):
            if isinstance(number, int | float) and not 0 <= number < 1:
                raise ValueError(f"{name} must be from 0 to below 1, got {number:g}")


def _check_hyper(names: Any, info: Any, besides: tuple[str, ...] = ()) -> None:
    for optimizer in info.data.get("optimizers", ()):
        valid = hyperparameters(optimizer)
        for name in names:
            if valid and name not in (*valid, *besides):
                raise no_such(f"{optimizer} hyperparameter", name, (*valid, *besides))
