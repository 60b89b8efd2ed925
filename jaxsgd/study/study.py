"""Study: the settings of a sweep, validated as a whole."""

import functools
import hashlib
import inspect
import json
import math
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, ParamSpec

import numpy as np
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    WrapValidator,
    field_serializer,
    field_validator,
    model_serializer,
    model_validator,
)

from jaxsgd.error import InputError, is_raised_here, no_such, shown
from jaxsgd.evaluation import check_every
from jaxsgd.measure.observable import METRICS, measures_named, observables, observations
from jaxsgd.nearest import nearest
from jaxsgd.optimizer import OPTIMIZERS, POINTERS, attribute_at, hyperparameters, optimizer_named, schedule_named
from jaxsgd.order import Order, Split, as_order
from jaxsgd.problem import UNNAMED, Problem
from jaxsgd.problems import problem_named
from jaxsgd.schedule import as_schedule
from jaxsgd.study.batch_rules import check_rules, named_rules, ruled_values
from jaxsgd.study.dimensions import (
    OWN_AXES,
    SEED_AXES,
    axis_lengths,
    cell_values,
    dimensions,
    drawn_argument,
    problem_argument,
    problem_settings,
    setting_text,
)
from jaxsgd.study.observed import Record, records
from jaxsgd.study.shape_check import check_numbers, check_optimizer, check_order, check_schedule
from jaxsgd.study.study_card import study_card
from jaxsgd.study.subject import Subject, Subjects, check_arguments, problem_arguments
from jaxsgd.summary import brief, brief_axis

# The validators below take Pydantic's ValidationInfo, and the serializer its handler: protocols that cannot be checked at run
# time, hence Any.

LARGEST_SEED = 2**32 - 1
LONGEST = 10**15
"""The most epochs, steps or samples of a run: its steps can be counted in 64 bits."""

MOST_VALUES = 10**7
"""The most values of an axis: more would take the memory of this process before anything is checked."""

ADDED_FIELDS = (
    *("problem_axes", "steps", "samples", "evaluate_every", "observe", "observe_batches", "observe_every", "stop"),
    *("keep", "keep_state", "start", "start_select", "start_epoch", "start_state"),
    *("schedules", "batch_rules", "reference_batch_count", "reference_batch_size", "halving"),
)
"""Fields that were added after results had been stored; None or empty if they are not used."""


def _as_tuple(value: Any) -> Any:
    """Return any sequence, range or array of values as a tuple of plain values; a single value as a tuple of length 1."""
    if getattr(value, "ndim", 1) > 1:
        raise ValueError(f"must have its values along one axis, got {shown(value)}")
    if isinstance(value, str) or hasattr(value, "_fields") or not hasattr(value, "__iter__") or _is_number(value):
        value = (value,)
    if hasattr(value, "__len__") and len(value) > MOST_VALUES:
        raise ValueError(f"has {len(value):,} values, more than the {MOST_VALUES:,} that an axis can have")
    return tuple(item.item() if hasattr(item, "item") else item for item in value)


def _no_boolean(value: Any) -> Any:
    """Refuse True and False for a number, which Python would take for 1 and 0; also among several values."""
    for item in value if isinstance(value, tuple) else (value,):
        if isinstance(item, bool | np.bool_):
            raise ValueError(f"must be a number, got {item}")
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) or getattr(value, "ndim", None) == 0


def _several(value: Any) -> Any:
    """Refuse a single number for seeds: it may be meant as a seed, or as the number of seeds."""
    if _is_number(value):
        number = f"{float(value):g}"
        raise ValueError(
            f"{number} can mean one seed or the number of seeds: write [{number}] for the seed {number}, or range({number}) "
            f"for {number} seeds from 0 (0:{number} after --set)"
        )
    return value


def _of_one_kind(values: tuple) -> tuple:
    """Refuse values of a problem's argument that cannot label an axis: lists, nothing, or text among numbers."""
    kinds = {bool: "booleans", int: "numbers", float: "numbers", str: "texts"}
    for value in values:
        if type(value) not in kinds or (type(value) is float and not math.isfinite(value)):
            raise ValueError(f"must be finite numbers, texts or booleans, got {shown(value)}")
    names = dict.fromkeys(kinds[type(value)] for value in values)
    if len(names) > 1:
        raise ValueError(f"must be values of one kind, got {' and '.join(names)}: {shown(values)}")
    return values


def _distinct(values: tuple) -> tuple:
    if not values:
        raise ValueError("must have at least one value")
    seen = set()
    for value in values:
        if value in seen:
            raise ValueError(f"has {value!r} more than once")
        seen.add(value)
    return values


def _finite(values: tuple[float, ...]) -> tuple[float, ...]:
    for value in values:
        if not math.isfinite(value):
            raise ValueError(f"must be finite, got {value!r}")
    return values


def _rates(values: tuple[float, ...]) -> tuple[float, ...]:
    for value in values:
        if not (math.isfinite(value) and value > 0):
            raise ValueError(f"must be finite and above 0, got {value!r}")
    return values


# Of the validators that come before, the last runs first.
Names = Annotated[tuple[str, ...], BeforeValidator(_as_tuple), AfterValidator(_distinct)]
Values = [BeforeValidator(_no_boolean), BeforeValidator(_as_tuple), AfterValidator(_distinct)]
Seeds = Annotated[tuple[Annotated[int, Field(ge=0, le=LARGEST_SEED)], ...], *Values, BeforeValidator(_several)]
Counts = Annotated[tuple[Annotated[int, Field(ge=1)], ...], *Values]
ProblemValues = Annotated[tuple[Any, ...], BeforeValidator(_as_tuple), AfterValidator(_of_one_kind), AfterValidator(_distinct)]
Rates = Annotated[tuple[float, ...], *Values, AfterValidator(_rates)]
Numbers = Annotated[tuple[float, ...], *Values, AfterValidator(_finite)]
Listed = Annotated[tuple[float, ...], *Values[:2], AfterValidator(_finite)]
Whole = Annotated[int, BeforeValidator(_no_boolean)]
RuleSets = Annotated[tuple[tuple[str, dict[str, str]], ...], BeforeValidator(named_rules)]
Budget = Annotated[int, BeforeValidator(_no_boolean), Field(ge=1, le=LONGEST)]


class Distribution(BaseModel):
    """The distribution of a random axis: give exactly one of the four fields.

    Attributes:
      log_uniform: (low, high), both above 0; the logarithm is uniform (Bergstra and Bengio 2012).
      uniform: (low, high).
      choice: values of equal probability.
      values: one value for each draw, in their order; nothing is random then.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    log_uniform: tuple[float, float] | None = None
    uniform: tuple[float, float] | None = None
    values: Listed | None = None
    choice: Numbers | None = Field(default=None, validate_default=True)

    @field_validator("log_uniform", "uniform")
    @classmethod
    def _interval(cls, value: tuple[float, float] | None, info: Any):
        if value is None:
            return value
        low, high = value
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise ValueError(f"must be a finite interval (low, high) with low < high, got {value}")
        if info.field_name == "log_uniform" and low <= 0:
            raise ValueError(f"must have a low above 0, got {low!r}")
        return value

    @field_validator("choice")
    @classmethod
    def _one_kind(cls, value: Any, info: Any):
        others = ("log_uniform", "uniform", "values")
        if not set(others) <= set(info.data):  # one of them is wrong, and says so itself
            return value
        if sum(v is not None for v in (value, *(info.data[name] for name in others))) != 1:
            raise ValueError("give exactly one of log_uniform, uniform, choice, values")
        return value

    @model_serializer(mode="wrap")
    def _without_unused(self, serialized: Any) -> dict[str, Any]:
        # Results from before `values` must keep their identity.
        fields = serialized(self)
        return fields if self.values is not None else {name: fields[name] for name in fields if name != "values"}


class Halving(BaseModel):
    """Successive halving: which settings go on at each rung.

    Attributes:
      metric: by which the settings are judged.
      eta: at a rung, one of so many settings goes on.
      rungs: the numbers of epochs done at which settings are judged, ascending; None for the study's epochs divided by `eta`
        again and again, as often as there are settings and epochs for it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    metric: str
    eta: Annotated[int, BeforeValidator(_no_boolean), Field(ge=2)] = 3
    rungs: Counts | None = None

    @field_validator("rungs")
    @classmethod
    def _ascending(cls, value: tuple[int, ...] | None):
        if value is not None and list(value) != sorted(value):
            raise ValueError(f"must be ascending, got {list(value)}")
        return value


class StudyFields(BaseModel):
    """The fields of a study as a file has them: plain values of the right shape.

    No name is looked up and no module is imported, so that reading a stranger's result runs none of their code. The fields are
    described at `Study`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    problem: str = "square_regression"
    dtype: Literal["float32", "float64"] = "float32"
    held_out: float = Field(default=0.0, ge=0, lt=1)
    optimizers: Names = ("sgd",)
    optimizer_args: dict[str, Any] = Field(default={}, validate_default=True)
    random: dict[str, Distribution] = {}
    problem_axes: dict[str, ProblemValues] = {}
    problem_args: dict[str, Any] = Field(default={}, validate_default=True)
    seeds: Seeds | None = None
    data_seeds: Seeds | None = None
    init_seeds: Seeds | None = None
    order_seeds: Seeds | None = None
    orders: Names = ("fixed",)
    draws: Whole = Field(default=0, ge=0, validate_default=True)
    draw_seed: Whole = Field(default=0, ge=0, le=LARGEST_SEED)
    drop_last: bool = False
    batch_counts: Counts | None = None
    batch_sizes: Counts | None = Field(default=None, validate_default=True)
    learning_rates: Rates | None = Field(default=None, validate_default=True)
    hyper: dict[str, Numbers] = {}
    batch_rules: RuleSets | None = None
    reference_batch_size: Whole | None = Field(default=None, ge=1)
    reference_batch_count: Whole | None = Field(default=None, ge=1, validate_default=True)
    schedules: Names | None = None
    steps: Budget | None = None
    samples: Budget | None = None
    epochs: Budget | None = Field(default=None, validate_default=True)
    evaluate_every: int | float | None = None
    observe: Names | None = None
    observe_batches: Names | None = None
    observe_every: Whole | None = Field(default=None, ge=1, validate_default=True)
    stop: dict[str, float] | None = None
    keep: Literal["final"] | tuple[int, ...] | None = None
    keep_state: Literal[True] | None = Field(default=None, validate_default=True)
    start: str | None = None
    start_select: dict[str, Any] | None = Field(default=None, validate_default=True)
    start_epoch: Whole | None = Field(default=None, ge=0, validate_default=True)
    start_state: Literal[True] | None = Field(default=None, validate_default=True)
    halving: Halving | None = None
    eval_interval: Whole = Field(default=1, ge=1)
    record: Literal["batch", "epoch"] = "batch"
    precision: Literal["float32", "tensorfloat32", "bfloat16"] = "float32"
    zipped: tuple[tuple[str, ...], ...] = ()

    def __init__(self, **fields: Any):
        """Validate all fields.

        Raises:
          InputError: with all mistakes, by field and value.
        """
        fields = _long_form(fields)
        try:
            super().__init__(**fields)
        except ValidationError as error:
            for mistake in error.errors():
                cause = mistake.get("ctx", {}).get("error")
                if isinstance(cause, Exception) and not isinstance(cause, InputError) and not is_raised_here(cause):
                    raise cause from None  # from the user's own code, with its traceback
            raise InputError(_all_mistakes(error, fields)) from None

    def __setattr__(self, name: str, value: Any) -> None:
        """Refuse the change of a field.

        Raises:
          TypeError: with the code to write instead.
        """
        if not name.startswith("_"):
            raise TypeError(f"a Study cannot be changed; make a changed copy: study.replaced({name}={shown(value)})")
        super().__setattr__(name, value)

    def __repr__(self) -> str:
        """Return the fields that differ from their defaults, and the number of cells."""
        parts = []
        for name, value in self._given().items():
            is_axis = name.endswith("s") and isinstance(value, tuple)
            parts.append(f"{name}={brief_axis(value) if is_axis else brief(value)}")
        cells = self.num_cells
        return f"{type(self).__name__}({', '.join(parts)}): {cells:,} cell{'s' * (cells != 1)}"

    __str__ = __repr__

    def _repr_html_(self) -> str:
        """Return the study as a notebook shows it."""
        return study_card(self, self._given())

    def _given(self) -> dict[str, Any]:
        """Return the fields that differ from their defaults, by name, in the order in which the constructor has them."""
        names = [name for name in inspect.signature(Study).parameters if name in type(self).model_fields]
        values = {name: getattr(self, name) for name in names}
        return {name: value for name, value in values.items() if value != type(self).model_fields[name].default}

    # A check may read the fields above its own that are valid themselves, so that one pass finds every mistake.

    @field_validator("draws")
    @classmethod
    def _check_draws(cls, value: int, info: Any) -> int:
        if "random" in info.data and bool(value) != bool(info.data["random"]):
            raise ValueError(f"give random and draws together, or neither of them, got draws={value}")
        for name, distribution in info.data.get("random", {}).items():
            if distribution.values is not None and len(distribution.values) != value:
                raise ValueError(f"must be {len(distribution.values)}, the number of values of {name!r} in random, got {value}")
        return value

    @field_validator("learning_rates")
    @classmethod
    def _check_rates(cls, value: tuple | None, info: Any):
        drawn = "learning_rate" in info.data.get("random", {})
        if "random" in info.data and value is None and not drawn:
            raise ValueError("must be given, as learning_rates=[0.01, 0.1] (or the random axis learning_rate)")
        if value is not None and drawn:
            raise ValueError("give learning rates either here or as the random axis learning_rate, and not as both")
        return value

    @field_validator("batch_sizes")
    @classmethod
    def _check_one_size(cls, value: tuple | None, info: Any):
        if not {"random", "batch_counts", "drop_last"} <= set(info.data):
            return value
        counts = info.data["batch_counts"]
        if (counts is not None) + (value is not None) + ("batch_count" in info.data["random"]) != 1:
            raise ValueError(
                "give exactly one of batch_counts and batch_sizes (or the random axis batch_count), "
                f"got batch_counts={counts}, batch_sizes={value}"
            )
        if info.data["drop_last"] and value is None:
            raise ValueError("drop_last=True needs batch_sizes: with batch_counts, the batches hold every sample")
        return value

    @field_validator("hyper", "problem_axes")
    @classmethod
    def _by_name(cls, value: dict):
        # The identity knows no order of names, so the dimensions must not follow one.
        return dict(sorted(value.items()))

    @field_validator("reference_batch_count")
    @classmethod
    def _check_reference(cls, value: int | None, info: Any):
        if not {"batch_rules", "reference_batch_size"} <= set(info.data):
            return value
        given = (value is not None) + (info.data["reference_batch_size"] is not None)
        rules = info.data["batch_rules"]
        if rules is None and given:
            raise ValueError("give it (or reference_batch_size) together with batch_rules, and only then")
        if given > 1 or (not given and any(own for _, own in rules or ())):
            raise ValueError(
                "batch_rules need one of reference_batch_count and reference_batch_size, where rules change nothing"
            )
        return value

    @field_validator("epochs")
    @classmethod
    def _check_budget(cls, value: int | None, info: Any):
        if not {"steps", "samples"} <= set(info.data):
            return value
        budgets = {"epochs": value, "steps": info.data["steps"], "samples": info.data["samples"]}
        given = [f"{name}={budget}" for name, budget in budgets.items() if budget is not None]
        if not given:
            raise ValueError("give epochs, or instead steps or samples")
        if len(given) > 1:
            raise ValueError(f"give exactly one of epochs, steps and samples, got {', '.join(given)}")
        return value

    @field_validator("evaluate_every", mode="before")
    @classmethod
    def _check_evaluate_every(cls, value: Any):
        try:
            return None if value is None else check_every(value)
        except InputError as error:  # the field's name comes before every mistake
            raise ValueError(str(error).removeprefix("evaluate_every ")) from None

    @field_validator("observe_batches", mode="before")
    @classmethod
    def _check_observe_batches(cls, value: Any, info: Any):
        if value is True:
            if info.data.get("observe") is None:
                raise ValueError("True needs observe, the observables to measure; or give their names here")
            return info.data["observe"]
        return None if value is False else value

    @field_validator("observe_every")
    @classmethod
    def _check_observe_every(cls, value: int | None, info: Any):
        if not {"observe", "observe_batches"} <= set(info.data):
            return value
        if value is not None and info.data["observe"] is None and info.data["observe_batches"] is None:
            raise ValueError("give it together with observe, the observables to measure")
        if value is None and info.data["observe_batches"] is not None:
            raise ValueError(
                "observe_batches needs it: measure before each step of each so many epochs, such as observe_every=10"
            )
        return value

    @field_validator("keep", mode="before")
    @classmethod
    def _check_keep(cls, value: Any, info: Any):
        if value is None or (isinstance(value, str) and value == "none"):
            return None
        if info.data.get("stop") is not None:
            raise ValueError("cannot be given together with stop: run two studies, one for each")
        if isinstance(value, str) and value == "final":
            return value
        if _is_number(value) and not isinstance(value, bool):
            raise ValueError(
                f"must be a list of numbers of epochs, such as [{shown(value)}], or 'final' or 'none', got {value!r}"
            )
        epochs = () if isinstance(value, str) else _as_tuple(value)
        if not epochs or not all(type(epoch) is int for epoch in epochs):
            wanted = "'final', to keep the parameters after the last step, a list of numbers of epochs done, or 'none'"
            raise ValueError(f"must be {wanted}, got {shown(value)}")
        return _kept_epochs(epochs, info.data)

    @field_validator("keep_state", "start_state", mode="before")
    @classmethod
    def _check_state(cls, value: Any, info: Any):
        if value is None or value is False:
            return None
        needed = "keep" if info.field_name == "keep_state" else "start"
        if value is True and needed in info.data and info.data[needed] is None:
            raise ValueError(f"give it together with {needed}, {_NEEDED[needed]}")
        return value

    @field_validator("start", mode="before")
    @classmethod
    def _check_start(cls, value: Any):
        return str(value) if hasattr(value, "__fspath__") else value

    @field_validator("start_select", "start_epoch")
    @classmethod
    def _check_start_select(cls, value: Any, info: Any):
        if value is not None and info.data.get("start") is None and "start" in info.data:
            raise ValueError(f"give it together with start, {_NEEDED['start']}")
        return _plain(value) if isinstance(value, dict) else value

    @field_validator("stop")
    @classmethod
    def _check_stop(cls, value: dict[str, float] | None, info: Any):
        if value is None:
            return value
        if info.data.get("observe") is not None or info.data.get("observe_batches") is not None:
            raise ValueError("cannot be given together with observe: run two studies, one for each")
        if len(value) != 1:
            wrong = f"{len(value)} metrics: {', '.join(value)}" if value else "none"
            raise ValueError(f"must have one metric and its target, as {{'validation_loss': 0.1}}, got {wrong}")
        (metric, target), valid = next(iter(value.items())), observables()
        if metric == "loss_epoch":
            raise ValueError("a run cannot stop at loss_epoch, a mean over losses at many parameters: stop at train_loss")
        if metric not in valid:
            raise no_such("metric to stop at", metric, valid)
        if not math.isfinite(target):
            raise ValueError(f"the target of {metric} must be finite, got {target!r}")
        return value

    @field_validator("halving")
    @classmethod
    def _check_halving(cls, value: Halving | None, info: Any):
        if value is None:
            return value
        for name in ("stop", "evaluate_every", "observe_every", "keep"):
            if info.data.get(name) is not None:
                raise ValueError(f"cannot be given together with {name}: run two studies, one for each")
        if "epochs" not in info.data:  # that field is wrong, and says so itself
            return value
        last = info.data["epochs"]
        if last is None:
            raise ValueError("needs a study with epochs, in place of steps or samples")
        if value.rungs is not None and value.rungs[-1] >= last:
            raise ValueError(f"rungs must be before the last of {last} epochs, got {value.rungs[-1]}")
        return value

    @field_validator("zipped")
    @classmethod
    def _check_zipped(cls, value: tuple[tuple[str, ...], ...], info: Any):
        lengths = axis_lengths(info.data)
        seen: set[str] = set()
        for group in value:
            for name in group:
                fields = {f"{name}s"} & set(cls.model_fields) or {"hyper", "problem_axes"}
                if name not in lengths and not fields <= set(info.data):
                    continue  # that field is wrong, and says so itself
                if name not in lengths:
                    raise no_such("axis", name, lengths)
                if name in seen:
                    raise ValueError(f"{name!r} is zipped twice")
                seen.add(name)
            known = [name for name in group if name in lengths]
            if len({lengths[name] for name in known}) > 1:
                raise ValueError("zipped axes must have one length, got " + ", ".join(f"{n}: {lengths[n]}" for n in known))
        return value

    @property
    def num_cells(self) -> int:
        """The number of cells: the product of the axes, with zipped axes counted once, times the random draws."""
        lengths = axis_lengths(dict(self))
        for group in self.zipped:
            for name in group[1:]:
                lengths.pop(name, None)
        return math.prod(lengths.values()) * (self.draws if self.random else 1)

    def __hash__(self) -> int:
        """Return a hash that is the same for equal studies: of the fields that are not dictionaries."""
        return hash(tuple(value for name, value in self if not isinstance(value, dict) and name != "batch_rules"))

    def total_steps(self, split: Split) -> int:
        """Return the number of steps of a run of a split; for a budget in samples, the fewest steps that reach it."""
        if self.steps is not None:
            return self.steps
        if self.epochs is not None:
            return self.epochs * split.batch_count
        assert self.samples is not None, "a study has one budget"
        seen = np.cumsum(split.sizes)
        whole, rest = divmod(self.samples, int(seen[-1]))
        return whole * split.batch_count + (int(np.searchsorted(seen, rest)) + 1 if rest else 0)

    def resolved(self) -> dict[str, Any]:
        """Return the study as plain JSON values, every field explicit.

        Raises:
          InputError: when its problem is an object.
        """
        return self.model_dump(mode="json")

    def described(self) -> dict[str, Any]:
        """Return the same for people to read: a problem that is an object is shown by its name."""
        return self.resolved()

    @property
    def identity(self) -> str:
        """SHA-256 of the resolved study, in hexadecimal, whatever the order of its fields and whether 1 or 1.0 is written.

        An unused field of `ADDED_FIELDS` is left out, so that results from before that field stay readable.

        Raises:
          InputError: when its problem is an object.
        """
        return _digest(self.resolved())

    @property
    def fixed_identity(self) -> str:
        """SHA-256 of the study without the values of its axes, in hexadecimal: the same for all studies that share a result.

        Raises:
          InputError: when its problem is an object.
        """
        return _digest(without_axis_values(self.resolved()))


_NEEDED = {"keep": "such as keep='final'", "start": "the folder of the parent's result"}
"""By field, the words that say in a message what to give."""


def _kept_epochs(epochs: tuple[int, ...], fields: Mapping[str, Any]) -> tuple[int, ...]:
    """Return the numbers of epochs of a list for `keep`, ascending.

    Args:
      epochs: as they were given.
      fields: the fields of the study that are valid.
    """
    if "epochs" not in fields:  # that field is wrong, and says so itself
        return epochs
    last = fields["epochs"]
    if last is None:
        raise ValueError(
            "a list of numbers of epochs needs a study with epochs; with steps or samples keep is 'final' or 'none'"
        )
    outside = [epoch for epoch in epochs if not 0 <= epoch <= last]
    if outside:
        near = min(max(outside[0], 0), last)
        raise ValueError(
            f"numbers of epochs done must be from 0 (the start) to {last}, got {outside[0]}: the nearest is {near}"
        )
    return tuple(sorted(_distinct(epochs)))


def _digest(fields: dict[str, Any]) -> str:
    used = {name: value for name, value in fields.items() if value not in (None, {}) or name not in ADDED_FIELDS}
    text = json.dumps(_canonical(used), sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


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
            if name in {*OWN_AXES, *_TAKEN, *METRICS}:
                raise ValueError(f"{name!r} cannot be an axis of the problem: a result has something else of this name")
        return value

    @field_validator("problem_args")
    @classmethod
    def _check_problem_args(cls, value: dict, info: Any) -> dict:
        value = _plain(value)
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
        return _distinct(tuple(name if ":" in name else order_named(name).name for name in value))

    @field_validator("optimizers")
    @classmethod
    def _check_optimizers(cls, value: tuple[str, ...]):
        for name in value:
            optimizer_named(name)
        return value

    @field_validator("optimizer_args")
    @classmethod
    def _check_optimizer_args(cls, value: dict, info: Any):
        value = _plain(value)
        _check_hyper(value, info)
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
        if "learning_rate" in value:
            drawn = value["learning_rate"]
            _rates(drawn.choice or drawn.values or ())
            if drawn.uniform is not None and drawn.uniform[0] < 0:
                raise ValueError(f"learning_rate must be above 0, got uniform {drawn.uniform}")
        return value

    @field_validator("hyper")
    @classmethod
    def _check_hyper_axes(cls, value: dict, info: Any):
        _check_hyper(value, info)
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
        return value and _distinct(tuple(name if ":" in name else as_schedule(name).name for name in value))

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
        _check_names(described[0], axis_lengths(dict(self)))
        for other, args in zip(described, subjects.args, strict=True):
            if other != described[0]:
                raise ValueError(_other_records(described[0], other, *map(setting_text, (subjects.args[0], args))))
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
        return Study(**replaced_fields(dict(self), _long_form(fields)))

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


def stop_of(study: StudyFields) -> tuple[str, float]:
    """Return the metric and the target at which a run of a study with `stop` ends."""
    assert study.stop, "the study has no target"
    return next(iter(study.stop.items()))


_BUDGETS = ("epochs", "steps", "samples")
"""The fields for the length of a run; a study gives exactly one of them."""


def replaced_fields(fields: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a study with some replaced; a new budget replaces the old budget."""
    budget = any(new.get(name) is not None for name in _BUDGETS)
    return {name: value for name, value in fields.items() if not (budget and name in _BUDGETS)} | new


def _long_form(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields with `optimizer` written as `optimizers`."""
    short = fields.get("optimizer")
    if short is None or "optimizers" not in fields:
        fields = {name: value for name, value in fields.items() if name != "optimizer"}
    return fields if short is None or "optimizers" in fields else {**fields, "optimizers": short}


def order_named(name: str) -> Order:
    """Return the order called `name`, or the order that "package.module:attribute" points at.

    Raises:
      InputError: for an unknown name, with the nearest valid one.
    """
    return as_order(attribute_at(name, "order") if ":" in name else name, POINTERS["order"])


def without_axis_values(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a resolved study with the names of its axes in place of their values.

    Two studies with the same fields share a result: it has the cells of both.
    """
    if fields.get("halving"):  # which runs stop depends on all settings together
        return fields
    axes = {name: name in fields and fields[name] is not None for name in _AXIS_FIELDS}
    named = {"hyper": sorted(fields.get("hyper") or ()), "problem_axes": sorted(fields.get("problem_axes") or ()) or None}
    # A study without these is one with a constant schedule and with rules that change nothing. The keys of the cells have them.
    named |= dict.fromkeys(("schedules", "batch_rules", "reference_batch_count", "reference_batch_size"))
    return fields | axes | named | {"draws": bool(fields.get("draws"))}


_AXIS_FIELDS = (*(f"{axis}s" for axis in SEED_AXES), "orders", "optimizers", "learning_rates", "batch_counts", "batch_sizes")
"""Fields that are the values of an axis."""


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


def _other_records(first: dict[str, Record], other: dict[str, Record], first_setting: str, setting: str) -> str:
    """Return the message for observables that differ between two settings of the problem."""
    name = next(name for name in [*first, *other] if first.get(name) != other.get(name))
    if name in first and name in other and first[name].shape != other[name].shape:
        shapes = f"has the shape {list(first[name].shape)} with {first_setting} and {list(other[name].shape)} with {setting}"
        return f"observable {name!r} {shapes}; its shape must be the same for all values of problem_axes"
    has, lacks = (first_setting, setting) if name in first else (setting, first_setting)
    return f"the problem with {has} has the observable {name!r}, and with {lacks} it has another or none; write two studies"


_TAKEN = (
    *("cell", "loss", "diverged", "diverged_epoch", "missing", "rate", "batch_count", "batch_size", "epoch", "batch", "draw"),
    *(
        "evaluation",
        "evaluation_step",
        "evaluation_epoch",
        "observation",
        "observation_step",
        "observation_epoch",
        "epoch_step",
    ),
)
"""Names of other variables and dimensions of a result."""


def _check_names(described: Mapping[str, Record], axes: Iterable[str]) -> None:
    """Check that no observable's variable or dimension bears the name of something else in a result.

    Raises:
      InputError: if one does, or if two arrays share a dimension and not its length.
    """
    taken, lengths = {*_TAKEN, *axes}, {}
    for name, record in described.items():
        for word in (name, *record.dims):
            if word in taken or (word in record.dims and (word in METRICS or word in described)):
                raise ValueError(f"observable {name!r} needs another name than {word!r}, which a result has already")
        for dim, length in zip(record.dims, record.shape, strict=True):
            if lengths.setdefault(dim, length) != length:
                raise ValueError(f"observable {name!r} has {length} values along {dim!r}, where another has {lengths[dim]}")


def _first(distribution: Distribution) -> float:
    """Return a value that may be drawn."""
    low, *_ = distribution.choice or distribution.values or distribution.uniform or distribution.log_uniform or (0.0,)
    return low


def _check_hyper(names: Any, info: Any, besides: tuple[str, ...] = ()) -> None:
    for optimizer in info.data.get("optimizers", ()):
        valid = hyperparameters(optimizer)
        for name in names:
            if valid and name not in (*valid, *besides):
                raise no_such(f"{optimizer} hyperparameter", name, (*valid, *besides))


def _canonical(value: Any) -> Any:
    """Return `value` with whole numbers always written alike: 1.0 as 1."""
    if isinstance(value, dict):
        return {name: _canonical(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_canonical(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _plain(value: dict) -> dict:
    """Return `value` after a round trip through JSON."""
    try:
        return json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError):
        raise ValueError(f"must be plain JSON values (finite numbers, text, lists, booleans), got {shown(value)}") from None


def _all_mistakes(error: ValidationError, fields: Mapping[str, Any]) -> str:
    """Return a clause for each mistake: the field, the fault, the value.

    Args:
      error: Pydantic's.
      fields: that were given.
    """
    mistakes = error.errors()
    unknown = [str(mistake["loc"][0]) for mistake in mistakes if mistake["type"] == "extra_forbidden"]
    clauses = [_unknown_field(name, fields) for name in unknown]
    # A field that is left out because its name is misspelt says nothing besides.
    near_fields = [near for name in unknown if (near := _near_field(name))]
    meant = {place for near in near_fields for place in (near, *_CHECKED_AT.get(near, ()))}
    for mistake in mistakes:
        field = ".".join(str(part) for part in mistake["loc"])
        if mistake["type"] == "extra_forbidden" or (field in meant and fields.get(field) is None):
            continue
        if mistake["type"] == "missing":
            clauses.append(f"{field}: must be given")
        elif mistake["type"] == "value_error":
            fault = str(mistake.get("ctx", {}).get("error"))
            # A module with a wrong study of its own, which a pointer leads to, has the field in its message already.
            clauses.append(fault if not field or fault.startswith(f"{field}: ") else f"{field}: {fault}")
        elif mistake["type"] == "string_type":
            clauses.append(f"{field}: {_named_instead(mistake['input'], ' (or a jaxsgd.Problem)' * (field == 'problem'))}")
        else:
            clauses.append(f"{field}: must be {_wanted(mistake)}, got {shown(mistake['input'])}")
    # A pointer to the file of this study loads it again, with the same mistakes.
    own = [clause for clause in clauses if not any(clause != other and clause.endswith(other) for other in clauses)]
    return " ".join("; ".join(own).split())


_CHECKED_AT = {"batch_counts": ("batch_sizes",), "steps": ("epochs",), "samples": ("epochs",)}
"""By field, another one whose check says that it is missing."""

_OTHER_NAMES = {"lr": "learning_rates", "lrs": "learning_rates"}
"""Names that other programs have for fields."""


def _near_field(name: str) -> str | None:
    """Return the field that an unknown name may mean; None if there is none."""
    if name in _OTHER_NAMES:
        return _OTHER_NAMES[name]
    return nearest(name, [*Study.model_fields, "optimizer"])


def _unknown_field(name: str, fields: Mapping[str, Any]) -> str:
    """Return the message for an unknown field: a hyperparameter or an argument of the problem has its place elsewhere."""
    if name == "optimizer":
        return "give either optimizer, for a single optimizer, or optimizers, and not both"
    value = fields[name]
    values = list(value) if isinstance(value, list | tuple | range) else [value]
    if any(name in hyperparameters(optimizer) for optimizer in OPTIMIZERS):
        is_axis = all(isinstance(item, int | float) and not isinstance(item, bool) for item in values)
        place = f"hyper={shown({name: values})}" if is_axis else f"optimizer_args={shown({name: value})}"
        return f"unknown field {name!r}: it is a hyperparameter of optimizers, so write {place}"
    with suppress(InputError):
        if name in problem_arguments(fields.get("problem", Study.model_fields["problem"].default)):
            return f"unknown field {name!r}: it is an argument of the problem, so write problem_args={shown({name: value})}"
    near = _near_field(name)
    return f"unknown field {name!r}" + (f": did you mean {near!r}?" if near else "")


def _wanted(mistake: Mapping[str, Any]) -> str:
    """Return the valid values of one of Pydantic's mistakes, in words."""
    kind, limits = mistake["type"], mistake.get("ctx", {})
    for name, words in (("ge", "at least"), ("le", "at most"), ("lt", "below"), ("gt", "above")):
        if name in limits:
            return f"{words} {limits[name]}"
    if kind.startswith("int"):
        return "a whole number"
    if kind.startswith(("float", "finite")):
        return "a number" if kind.startswith("float") else "a finite number"
    text = re.sub("^[Ii]nput should be ", "", mistake["msg"])
    return re.sub(r"^a valid (tuple|dictionary)", lambda kind: {"tuple": "a list", "dictionary": "a dictionary"}[kind[1]], text)


def _named_instead(value: Any, besides: str = "") -> str:
    """Return the message for an object that is given where a study has a name.

    Args:
      value: the object.
      besides: other valid values, in words.
    """
    name, module = getattr(value, "__qualname__", ""), getattr(value, "__module__", "")
    front = module.partition(".")[0]
    if getattr(sys.modules.get(front), name or "-", None) is value:
        module = front
    own = getattr(value, "name", None) if isinstance(value, Order) else f"{module}:{name}" if name.isidentifier() else None
    return f"must be a name or a pointer in quotes, such as {own or 'my_module:name'!r}{besides}, got {shown(value)}"
