"""The message for a study's mistakes: all of them, each with its field, its value and what would be right."""

import re
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from jaxsgd.error import InputError, no_such, shown
from jaxsgd.nearest import nearest
from jaxsgd.optimizer import OPTIMIZERS, hyperparameters
from jaxsgd.order import Order
from jaxsgd.study.field_types import Distribution, Halving
from jaxsgd.study.subject import problem_arguments


def all_mistakes(error: ValidationError, given: Mapping[str, Any], known: Mapping[str, FieldInfo]) -> str:
    """Return a clause for each mistake: the field, the fault, the value.

    Args:
      error: Pydantic's.
      given: the fields that were given.
      known: all fields of a study.
    """
    mistakes = error.errors()
    extra = [mistake["loc"] for mistake in mistakes if mistake["type"] == "extra_forbidden"]
    unknown = [str(place[0]) for place in extra if len(place) == 1]
    clauses = [_unknown_field(name, given, known) for name in unknown]
    misspelt = {place[:-1]: str(place[-1]) for place in extra if len(place) > 1}
    clauses += [f"{_joined(place)}: {no_such('name', name, _NAMES[str(place[0])])}" for place, name in misspelt.items()]
    # A field that is left out because its name is misspelt says nothing besides.
    near_fields = [near for name in unknown if (near := _near_field(name, known))]
    meant = {place for near in near_fields for place in (near, *_CHECKED_AT.get(near, ()))}
    for mistake in mistakes:
        field = _joined(mistake["loc"])
        if mistake["type"] == "extra_forbidden" or (field in meant and given.get(field) is None):
            continue
        if mistake["loc"][:-1] in misspelt and mistake["type"] in ("missing", "value_error"):
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


def _joined(place: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in place)


_NAMES = {"random": tuple(Distribution.model_fields), "halving": tuple(Halving.model_fields)}
"""By field that has names of its own, the valid ones."""

_EXAMPLES = {"random": {"uniform": [0.5, 0.99]}, "halving": {"metric": "loss_epoch", "eta": 3}}
"""By such a field, a right value."""

_CHECKED_AT = {"batch_counts": ("batch_sizes",), "steps": ("epochs",), "samples": ("epochs",)}
"""By field, another one whose check says that it is missing."""

_OTHER_NAMES = {"lr": "learning_rates", "lrs": "learning_rates"}
"""Names that other programs have for fields."""


def _near_field(name: str, known: Mapping[str, FieldInfo]) -> str | None:
    """Return the field that an unknown name may mean; None if there is none."""
    if name in _OTHER_NAMES:
        return _OTHER_NAMES[name]
    return nearest(name, [*known, "optimizer"])


def _unknown_field(name: str, given: Mapping[str, Any], known: Mapping[str, FieldInfo]) -> str:
    """Return the message for an unknown field: a hyperparameter or an argument of the problem has its place elsewhere."""
    if name == "optimizer":
        return "give either optimizer, for a single optimizer, or optimizers, and not both"
    value = given[name]
    values = list(value) if isinstance(value, list | tuple | range) else [value]
    if any(name in hyperparameters(optimizer) for optimizer in OPTIMIZERS):
        is_axis = all(isinstance(item, int | float) and not isinstance(item, bool) for item in values)
        place = f"hyper={shown({name: values})}" if is_axis else f"optimizer_args={shown({name: value})}"
        return f"unknown field {name!r}: it is a hyperparameter of optimizers, so write {place}"
    with suppress(InputError):
        if name in problem_arguments(given.get("problem", known["problem"].default)):
            return f"unknown field {name!r}: it is an argument of the problem, so write problem_args={shown({name: value})}"
    near = _near_field(name, known)
    return f"unknown field {name!r}" + (f": did you mean {near!r}?" if near else "")


def _wanted(mistake: Mapping[str, Any]) -> str:
    """Return the valid values of one of Pydantic's mistakes, in words."""
    kind, limits = mistake["type"], mistake.get("ctx", {})
    if kind == "model_type":
        return f"a dictionary such as {_EXAMPLES[str(mistake['loc'][0])]}"
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
