"""The types of a study's fields: how each takes its values, and refuses wrong ones in one line."""

import math
from typing import Annotated, Any

import numpy as np
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_serializer

from jaxsgd.error import shown
from jaxsgd.study.batch_rules import named_rules

# The validators below take Pydantic's ValidationInfo, and the serializer its handler: protocols that cannot be checked at run
# time, hence Any.

LARGEST_SEED = 2**32 - 1
LONGEST = 10**15
"""The most epochs, steps or samples of a run: its steps can be counted in 64 bits."""

MOST_VALUES = 10**7
"""The most values of an axis: more would take the memory of this process before anything is checked."""


def as_tuple(value: Any) -> Any:
    """Return any sequence, range or array of values as a tuple of plain values; a single value as a tuple of length 1."""
    if getattr(value, "ndim", 1) > 1:
        raise ValueError(f"must have its values along one axis, got {shown(value)}")
    if isinstance(value, str) or hasattr(value, "_fields") or not hasattr(value, "__iter__") or is_number(value):
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


def is_number(value: Any) -> bool:
    """Return True for a single number, and for an array with no axis."""
    return isinstance(value, int | float) or getattr(value, "ndim", None) == 0


def _several(value: Any) -> Any:
    """Refuse a single number for seeds: it may be meant as a seed, or as the number of seeds."""
    if is_number(value):
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


def distinct(values: tuple) -> tuple:
    """Refuse an axis without values, or with a value twice."""
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


def positive(values: tuple[float, ...]) -> tuple[float, ...]:
    """Refuse a value that is not finite or not above 0."""
    for value in values:
        if not (math.isfinite(value) and value > 0):
            raise ValueError(f"must be finite and above 0, got {value!r}")
    return values


# Of the validators that come before, the last runs first.
Names = Annotated[tuple[str, ...], BeforeValidator(as_tuple), AfterValidator(distinct)]
Values = [BeforeValidator(_no_boolean), BeforeValidator(as_tuple), AfterValidator(distinct)]
Seeds = Annotated[tuple[Annotated[int, Field(ge=0, le=LARGEST_SEED)], ...], *Values, BeforeValidator(_several)]
Counts = Annotated[tuple[Annotated[int, Field(ge=1)], ...], *Values]
ProblemValues = Annotated[tuple[Any, ...], BeforeValidator(as_tuple), AfterValidator(_of_one_kind), AfterValidator(distinct)]
Rates = Annotated[tuple[float, ...], *Values, AfterValidator(positive)]
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
