"""Study: what to run, validated as a whole."""

import difflib
import hashlib
import json
import math
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
)

from jaxsgd.engine.subject import Subject
from jaxsgd.error import InputError, no_such
from jaxsgd.optimizer import attribute_at, hyperparameters, optimizer_named, schedule_named
from jaxsgd.order import Order, as_order
from jaxsgd.problems import problem_named

# The validators below take Pydantic's ValidationInfo as `info`: a protocol that cannot be checked at run time, hence Any.

LARGEST_SEED = 2**32 - 1
SEED_AXES = ("seed", "data_seed", "init_seed", "order_seed")


def _as_tuple(value: Any) -> Any:
    """Any sequence, range or array of values as a tuple of plain ones; a single value as a tuple of one."""
    if isinstance(value, str) or not hasattr(value, "__iter__") or getattr(value, "ndim", None) == 0:
        value = (value,)
    return tuple(item.item() if hasattr(item, "item") else item for item in value)


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


Values = [BeforeValidator(_as_tuple), AfterValidator(_distinct)]
Seeds = Annotated[tuple[Annotated[int, Field(ge=0, le=LARGEST_SEED)], ...], *Values]
Counts = Annotated[tuple[Annotated[int, Field(ge=1)], ...], *Values]
Names = Annotated[tuple[str, ...], *Values]
Rates = Annotated[tuple[float, ...], *Values, AfterValidator(_rates)]
Numbers = Annotated[tuple[float, ...], *Values, AfterValidator(_finite)]


class Distribution(BaseModel):
    """Where a random search draws one setting from: give exactly one of the three.

    Attributes:
      log_uniform: (low, high), both above 0; the logarithm is uniform (Bergstra and Bengio 2012).
      uniform: (low, high).
      choice: values of equal probability.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    log_uniform: tuple[float, float] | None = None
    uniform: tuple[float, float] | None = None
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
            raise ValueError(f"must begin above 0, got {low!r}")
        return value

    @field_validator("choice")
    @classmethod
    def _one_kind(cls, value: Any, info: Any):
        if not {"log_uniform", "uniform"} <= set(info.data):  # one of them is wrong, and says so itself
            return value
        if sum(v is not None for v in (value, info.data.get("log_uniform"), info.data.get("uniform"))) != 1:
            raise ValueError("give exactly one of log_uniform, uniform, choice")
        return value


class StudyFields(BaseModel):
    """A study as it stands in a file: plain values of the right shape. No name in it has been looked up and no module imported,
    so that reading a stranger's result runs none of their code.

    Attributes:
      problem: a built-in problem's name, or "package.module:attribute" for a `Problem` or a function that makes one.
      problem_args: arguments of that function.
      held_out: share of the samples that no step sees, to validate on; the result then has `validation_loss`, and
        `validation_accuracy` where the problem can tell it.
      seeds: seed data, initial parameters and order together (axis `seed`).
      data_seeds, init_seeds, order_seeds: seed one stream apart from `seeds` (axes `data_seed`, ...): variance has
        several sources (Bouthillier et al. 2021, "Accounting for variance in machine learning benchmarks").
      batch_counts: m (axis `batch_count`); sizes differ by at most one.
      batch_sizes: B (axis `batch_size`) in place of `batch_counts`: full batches and a smaller last one.
      drop_last: with `batch_sizes`, leave a smaller last batch out.
      orders: names, or pointers to an `Order` or function (axis `order`).
      optimizers: names or pointers (axis `optimizer`); `optimizer` is short for one.
      optimizer_args: arguments all optimizers are made with, fixed.
      learning_rates: axis `learning_rate`.
      hyper: values of other numeric hyperparameters, each an axis by its own name: {"momentum": [0, 0.9]}. They are traced.
      rate_rule: the rate at batch count m is learning_rate * f(reference_batch_count / m), f linear (Goyal et al. 2017)
        or a square root (Krizhevsky 2014); "none" leaves it.
      reference_batch_count: where the rule's factor is 1.
      zipped: groups of axes that vary together, of one length, instead of as a product: [["learning_rate", "momentum"]].
      random: axes by name, drawn at random together (axis `draw`): {"learning_rate": {"log_uniform": [1e-4, 1]}}.
      draws: how many random draws.
      draw_seed: their seed.
      schedule: factor on the rate as a function of progress: constant, linear, cosine, or a pointer.
      epochs: E.
      eval_interval: w, for the stripe measures kept with the results.
      record: "batch" keeps every batch's loss; "epoch" keeps the averaged view and the stripe measures.
      dtype: of data and parameters.
      precision: matrix-product precision on every device; "tensorfloat32" and "bfloat16" trade it for speed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    problem: str = "square_regression"
    dtype: Literal["float32", "float64"] = "float32"
    held_out: float = Field(default=0.0, ge=0, lt=1)
    problem_args: dict[str, Any] = Field(default={}, validate_default=True)
    seeds: Seeds | None = None
    data_seeds: Seeds | None = None
    init_seeds: Seeds | None = None
    order_seeds: Seeds | None = None
    orders: Names = ("fixed",)
    optimizers: Names = ("sgd",)
    optimizer_args: dict[str, Any] = {}
    random: dict[str, Distribution] = {}
    draws: int = Field(default=0, ge=0, validate_default=True)
    draw_seed: int = Field(default=0, ge=0, le=LARGEST_SEED)
    drop_last: bool = False
    batch_counts: Counts | None = None
    batch_sizes: Counts | None = Field(default=None, validate_default=True)
    learning_rates: Rates | None = Field(default=None, validate_default=True)
    hyper: dict[str, Numbers] = {}
    rate_rule: Literal["none", "linear", "sqrt"] = "none"
    reference_batch_count: int | None = Field(default=None, ge=1, validate_default=True)
    schedule: str = "constant"
    epochs: int = Field(ge=1)
    eval_interval: int = Field(default=1, ge=1)
    record: Literal["batch", "epoch"] = "batch"
    precision: Literal["float32", "tensorfloat32", "bfloat16"] = "float32"
    zipped: tuple[tuple[str, ...], ...] = ()

    def __init__(self, **fields: Any):
        """Validates all fields.

        Raises:
          InputError: with every mistake, by field and value.
        """
        fields = _long_form(fields)
        try:
            super().__init__(**fields)
        except ValidationError as error:
            raise InputError(_all_mistakes(error)) from None

    # A check may read the fields above its own that are valid themselves, so that one pass finds every mistake.

    @field_validator("draws")
    @classmethod
    def _check_draws(cls, value: int, info: Any) -> int:
        if "random" in info.data and bool(value) != bool(info.data["random"]):
            raise ValueError(f"random axes and a number of draws go together, got draws={value}")
        return value

    @field_validator("learning_rates")
    @classmethod
    def _check_rates(cls, value: tuple | None, info: Any):
        if "random" in info.data and (value is None) == ("learning_rate" not in info.data["random"]):
            raise ValueError("must be given, either here or among the random axes, and not in both")
        return value

    @field_validator("batch_sizes")
    @classmethod
    def _check_one_size(cls, value: tuple | None, info: Any):
        if not {"random", "batch_counts", "drop_last"} <= set(info.data):
            return value
        counts = info.data["batch_counts"]
        if (counts is not None) + (value is not None) + ("batch_count" in info.data["random"]) != 1:
            raise ValueError(
                "give exactly one of batch_counts and batch_sizes (or batch_count among the random axes), "
                f"got batch_counts={counts}, batch_sizes={value}"
            )
        if info.data["drop_last"] and value is None:
            raise ValueError("drop_last=True needs batch_sizes: batches made by batch_counts hold every sample")
        return value

    @field_validator("hyper")
    @classmethod
    def _by_name(cls, value: dict):
        # The identity knows no order of names, so the dimensions must not follow one.
        return dict(sorted(value.items()))

    @field_validator("reference_batch_count")
    @classmethod
    def _check_reference(cls, value: int | None, info: Any):
        if "rate_rule" in info.data and (value is None) != (info.data["rate_rule"] == "none"):
            raise ValueError("goes together with a rate_rule of 'linear' or 'sqrt'")
        return value

    @field_validator("zipped")
    @classmethod
    def _check_zipped(cls, value: tuple[tuple[str, ...], ...], info: Any):
        lengths = axis_lengths(info.data)
        seen: set[str] = set()
        for group in value:
            for name in group:
                if name not in lengths and f"{name}s" in cls.model_fields and f"{name}s" not in info.data:
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

    def resolved(self) -> dict[str, Any]:
        """The study as plain JSON values, every field explicit."""
        return self.model_dump(mode="json")

    @property
    def identity(self) -> str:
        """SHA-256 of the resolved study, in hexadecimal, whatever the order of its fields and whether 1 or 1.0 is written."""
        text = json.dumps(_canonical(self.resolved()), sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()


class Study(StudyFields):
    """A study: the axes, whose product are the cells, and what all cells share. Its names have been looked up: the problem can
    be made, and every order, optimizer, hyperparameter and schedule is there.

    Frozen and plain: it dumps to JSON, and its identity is the hash of that. A value where an axis is expected counts as
    an axis of one. The fields are those of `StudyFields`.

    Raises:
      InputError: with every mistake, by field and value.
    """

    # Written out, for type checkers would else take the fields' own types for those of the arguments.
    def __init__(self, **fields: Any):
        """Validates all fields and looks up their names."""
        super().__init__(**fields)

    @field_validator("problem")
    @classmethod
    def _check_problem(cls, value: str):
        _ = attribute_at(value, "problem") if ":" in value else problem_named(value)
        return value

    @field_validator("problem_args")
    @classmethod
    def _check_problem_args(cls, value: dict, info: Any) -> dict:
        value = _plain(value)
        if {"problem", "dtype", "held_out"} <= set(info.data):
            Subject.of(info.data["problem"], value, info.data["dtype"], info.data["held_out"])
        return value

    @field_validator("batch_counts", "batch_sizes")
    @classmethod
    def _check_sizes(cls, value: tuple[int, ...] | None, info: Any):
        if value is not None and {"problem", "problem_args", "dtype", "held_out"} <= set(info.data):
            fields = (info.data[name] for name in ("problem", "problem_args", "dtype", "held_out"))
            largest = Subject.of(*fields).num_samples
            over = [size for size in value if size > largest]
            if over:
                raise ValueError(f"must be at most {largest}, the number of samples, got {over[0]}")
        return value

    @field_validator("orders")
    @classmethod
    def _check_orders(cls, value: tuple[str, ...]):
        for name in value:
            order_named(name)
        return value

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
        return value

    @field_validator("random")
    @classmethod
    def _check_random(cls, value: dict, info: Any):
        _check_hyper(value, info, besides=("learning_rate", "batch_count"))
        return value

    @field_validator("hyper")
    @classmethod
    def _check_hyper_axes(cls, value: dict, info: Any):
        _check_hyper(value, info)
        twice = sorted(set(value) & (set(info.data.get("optimizer_args", {})) | set(info.data.get("random", {}))))
        if twice:
            raise ValueError(f"{twice[0]!r} is given twice: in hyper, and in optimizer_args or random")
        return value

    @field_validator("schedule")
    @classmethod
    def _check_schedule(cls, value: str):
        schedule_named(value)
        return value

    def subject(self) -> Subject:
        """The problem that the study names, with what the engine needs to know of it."""
        return Subject.of(self.problem, self.problem_args, self.dtype, self.held_out)

    def replaced(self, **fields: Any) -> "Study":
        """The study with some fields replaced, validated anew."""
        return Study(**{**self.model_dump(), **_long_form(fields)})


def _long_form(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields with `optimizer` as the `optimizers` that it is short for."""
    if "optimizer" in fields and "optimizers" not in fields:
        fields = {**fields, "optimizers": fields["optimizer"]}
        del fields["optimizer"]
    return fields


def order_named(name: str) -> Order:
    """The order called `name`, or what "package.module:attribute" points at.

    Raises:
      InputError: when there is none, with the nearest valid name.
    """
    return as_order(attribute_at(name, "order") if ":" in name else name)


def axis_lengths(fields: dict[str, Any]) -> dict[str, int]:
    """The length of each axis that a study's fields set out, by the axis's name, in the order of the dimensions."""
    plain = ("seeds", "data_seeds", "init_seeds", "order_seeds", "optimizers", "orders")
    lengths = {field[:-1]: len(fields[field]) for field in plain if fields.get(field) is not None}
    lengths |= {name: len(values) for name, values in fields.get("hyper", {}).items()}
    for field in ("learning_rates", "batch_counts", "batch_sizes"):
        if fields.get(field) is not None:
            lengths[field[:-1]] = len(fields[field])
    return lengths


def _check_hyper(names: Any, info: Any, besides: tuple[str, ...] = ()) -> None:
    for optimizer in info.data.get("optimizers", ()):
        valid = hyperparameters(optimizer)
        for name in names:
            if valid and name not in (*valid, *besides):
                raise no_such(f"hyperparameter of {optimizer!r}", name, (*valid, *besides))


def _canonical(value: Any) -> Any:
    """`value` with whole numbers spelled one way: 1.0 as 1."""
    if isinstance(value, dict):
        return {name: _canonical(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_canonical(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _plain(value: dict) -> dict:
    """`value` as JSON gives it back."""
    try:
        return json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError):
        raise ValueError(f"must be plain JSON values (finite numbers, text, lists, booleans), got {value!r}") from None


def _all_mistakes(error: ValidationError) -> str:
    """One clause a mistake: field, what is wrong, the value."""
    clauses = []
    for mistake in error.errors():
        place = ".".join(str(part) for part in mistake["loc"])
        if mistake["type"] == "extra_forbidden" and place == "optimizer":
            clauses.append("optimizer: is short for optimizers of one, so give one of the two")
        elif mistake["type"] == "extra_forbidden":
            near = difflib.get_close_matches(place, [*Study.model_fields, "optimizer"], n=1)
            clauses.append(f"unknown field {place!r}" + (f": did you mean {near[0]!r}?" if near else ""))
        elif mistake["type"] == "missing":
            clauses.append(f"{place}: must be given")
        elif mistake["type"] == "value_error":
            said = str(mistake.get("ctx", {}).get("error"))
            clauses.append(f"{place}: {said}" if place else said)
        else:
            clauses.append(f"{place}: {mistake['msg'][0].lower()}{mistake['msg'][1:]}, got {mistake['input']!r}")
    return " ".join("; ".join(clauses).split())
