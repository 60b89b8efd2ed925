"""The fields of a study, checked by themselves: no name in them is looked up."""

import hashlib
import inspect
import json
import math
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from jaxsgd.error import InputError, is_raised_here, no_such, shown
from jaxsgd.evaluation import check_every
from jaxsgd.measure.observable import observables
from jaxsgd.order import Split
from jaxsgd.study.dimensions import SEED_AXES, axis_lengths
from jaxsgd.study.field_types import (
    LARGEST_SEED,
    Budget,
    Counts,
    Distribution,
    Halving,
    Names,
    Numbers,
    ProblemValues,
    Rates,
    RuleSets,
    Seeds,
    Whole,
    as_tuple,
    distinct,
    is_number,
)
from jaxsgd.study.mistakes import all_mistakes
from jaxsgd.study.study_card import study_card
from jaxsgd.summary import brief, brief_axis

# The validators below take Pydantic's ValidationInfo, a protocol that cannot be checked at run time, hence Any.

ADDED_FIELDS = (
    *("problem_axes", "steps", "samples", "evaluate_every", "observe", "observe_batches", "observe_every", "stop"),
    *("keep", "keep_state", "start", "start_select", "start_epoch", "start_state"),
    *("schedules", "batch_rules", "reference_batch_count", "reference_batch_size", "halving"),
)
"""Fields that were added after results had been stored; None or empty if they are not used."""


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
        fields = long_form(fields)
        try:
            super().__init__(**fields)
        except ValidationError as error:
            for mistake in error.errors():
                cause = mistake.get("ctx", {}).get("error")
                if isinstance(cause, Exception) and not isinstance(cause, InputError) and not is_raised_here(cause):
                    raise cause from None  # from the user's own code, with its traceback
            raise InputError(all_mistakes(error, fields, type(self).model_fields)) from None

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
        names = [name for name in inspect.signature(type(self)).parameters if name in type(self).model_fields]
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
                + (": leave one out (after --set, batch_sizes=null)" if counts is not None and value is not None else "")
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
        if is_number(value) and not isinstance(value, bool):
            raise ValueError(
                f"must be a list of numbers of epochs, such as [{shown(value)}], or 'final' or 'none', got {value!r}"
            )
        epochs = () if isinstance(value, str) else as_tuple(value)
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
        return plain(value) if isinstance(value, dict) else value

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
    return tuple(sorted(distinct(epochs)))


def _digest(fields: dict[str, Any]) -> str:
    used = {name: value for name, value in fields.items() if value not in (None, {}) or name not in ADDED_FIELDS}
    text = json.dumps(_canonical(used), sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


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


def long_form(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields with `optimizer` written as `optimizers`."""
    short = fields.get("optimizer")
    if short is None or "optimizers" not in fields:
        fields = {name: value for name, value in fields.items() if name != "optimizer"}
    return fields if short is None or "optimizers" in fields else {**fields, "optimizers": short}


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


def _canonical(value: Any) -> Any:
    """Return `value` with whole numbers always written alike: 1.0 as 1."""
    if isinstance(value, dict):
        return {name: _canonical(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_canonical(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def plain(value: dict) -> dict:
    """Return `value` after a round trip through JSON."""
    try:
        return json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError):
        raise ValueError(f"must be plain JSON values (finite numbers, text, lists, booleans), got {shown(value)}") from None
