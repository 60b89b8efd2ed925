"""Batch rules: the values of hyperparameters at each batch size, from their values at a reference.

A batch size changes what a step means: how much noise it has, and how many samples an optimizer's memory reaches back. A rule
says what becomes of a value, with kappa the batch size over the reference: the reference's batch count over the batch count.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxsgd.error import InputError, no_such, shown
from jaxsgd.family import Family, Parameter, member
from jaxsgd.optimizer import AVERAGE, default_value
from jaxsgd.study.dimensions import splits_of


class BatchRule(NamedTuple):
    """A rule for hyperparameters.

    Attributes:
      value: `(value at the reference, kappa) -> value`, on arrays.
      formula: in words, of the value v and kappa k.
      of_memory: True if it is a rule for the decay of a memory only, from 0 to below 1, such as Adam's `b2`.
    """

    value: Callable[[np.ndarray, np.ndarray], np.ndarray]
    formula: str
    of_memory: bool = False


BATCH_RULES: dict[str, BatchRule] = {
    "constant": BatchRule(lambda value, kappa: value * np.ones_like(kappa), "v"),
    # Goyal et al. 2017, arXiv 1706.02677, section 2.1: the rate of SGD.
    "linear": BatchRule(lambda value, kappa: value * kappa, "v k"),
    # Krizhevsky 2014, arXiv 1404.5997, section 5: the rate of SGD. Malladi et al. 2022, arXiv 2205.10287: that of Adam.
    "sqrt": BatchRule(lambda value, kappa: value * np.sqrt(kappa), "v sqrt(k)"),
    # Malladi et al. 2022: Adam's eps.
    "inverse_sqrt": BatchRule(lambda value, kappa: value / np.sqrt(kappa), "v / sqrt(k)"),
    # Marek et al. 2025, arXiv 2507.07101: the memory keeps its half-life in samples, there for Adam's b2.
    "half_life": BatchRule(lambda value, kappa: value**kappa, "v ** k", of_memory=True),
    # Malladi et al. 2022: Adam's b1 and b2; the same as `half_life` to first order in 1 - v.
    "complement": BatchRule(lambda value, kappa: 1 - kappa * (1 - value), "1 - k (1 - v)", of_memory=True),
}
"""The rules by name."""

RULE_FAMILIES = {
    "power": Family(
        lambda power: BatchRule(lambda value, kappa: value * kappa**power, f"v k ** {power:g}"),
        (Parameter("p", "power of the batch size", whole=False, lowest=-10, highest=10),),
    )
}
"""The rules by name, with numbers in brackets."""

TIMESCALE = "timescale"
"""The rule of weight decay that keeps rate * decay * steps, and so the time in which the parameters are forgotten, in epochs.

Wang and Aitchison 2024, arXiv 2405.13698: the parameters are an average over the last 1 / (rate * decay) updates, and the best
length of that average is about constant in epochs. So the decay is v k / (factor on the rate): the same as `sqrt` beside a rate
with `sqrt`, and constant beside a rate with `linear`.
"""

MEMORIES = ("b1", "b2", "b3", "momentum", "decay", AVERAGE)
"""Hyperparameters that are the decay of a memory."""

_NO_MEMORIES = ("learning_rate", "weight_decay", "eps", "eps_root", "rho")


USED = "_used"
"""The end of the name of a result's variable with the values of a hyperparameter after the batch rules."""


def used_variable(name: str) -> str:
    """Return the name of a result's variable with the values of a hyperparameter after the batch rules: "b2_used"."""
    return "rate" if name == "learning_rate" else f"{name}{USED}"


def ruled_names(study: Any) -> list[str]:
    """Return the hyperparameters that have a batch rule in a study, the learning rate first."""
    names = dict.fromkeys(name for _, rules in study.batch_rules or () for name in rules)
    return sorted(names, key=lambda name: name != "learning_rate")


def batch_rule_named(name: str) -> BatchRule:
    """Return the rule called `name`, such as "sqrt" or "power(0.7)".

    Raises:
      InputError: for an unknown name, with the nearest valid one.
    """
    return member("batch rule", name, BATCH_RULES, RULE_FAMILIES).thing


def named_rules(value: Any) -> Any:
    """Return sets of batch rules with their names, as pairs: a single set, a list of sets, or sets by name.

    A set without a name gets one from its rules, such as "learning_rate sqrt, b2 half_life".

    Args:
      value: `{"learning_rate": "sqrt"}`, a list of such dictionaries, or `{"name": {...}}`. Pairs stay as they are.
    """
    wanted = 'must be a dictionary such as {"learning_rate": "sqrt"}, a list of these, or these by name'
    if value is None:
        return None
    if isinstance(value, Mapping):
        by_name = bool(value) and all(isinstance(rules, Mapping) for rules in value.values())
        pairs = list(value.items()) if by_name else [(None, value)]
    elif isinstance(value, Sequence) and not isinstance(value, str):
        pairs = [(None, own) if isinstance(own, Mapping) else own for own in value]
    else:
        raise ValueError(f"{wanted}, got {shown(value)}")
    sets = {}
    for pair in pairs:
        if not (isinstance(pair, Sequence) and not isinstance(pair, str) and len(pair) == 2 and isinstance(pair[1], Mapping)):
            raise ValueError(f"{wanted}, got {shown(value)}")
        label, rules = pair
        for name, rule in rules.items():
            if not (isinstance(name, str) and isinstance(rule, str)):
                raise ValueError(f"{wanted}, got {shown(value)}")
        label = ", ".join(f"{name} {rule}" for name, rule in rules.items()) or "none" if label is None else str(label)
        if label in sets:
            raise ValueError(f"has the rules {label!r} more than once")
        if dict(rules) in sets.values():
            raise ValueError(f"has the rules of {label!r} more than once, with another name")
        sets[label] = dict(rules)
    if not sets:
        raise ValueError("must have at least one set of rules")
    return tuple(sets.items())


def check_rules(sets: Sequence[tuple[str, Mapping[str, str]]]) -> None:
    """Check that all rules exist, and that they suit their hyperparameters.

    Raises:
      InputError: if not.
    """
    for _, rules in sets:
        for name, rule in rules.items():
            if rule == TIMESCALE and name == "weight_decay":
                continue
            if rule == TIMESCALE:
                raise InputError(f"the rule 'timescale' is for weight_decay only, got it for {name}")
            own = batch_rule_named(rule) if rule in BATCH_RULES or "(" in rule else None
            if own is None:
                raise no_such("batch rule", rule, [*BATCH_RULES, TIMESCALE, *(f.form(n) for n, f in RULE_FAMILIES.items())])
            if own.of_memory and name in _NO_MEMORIES:
                others = [other for other, known in BATCH_RULES.items() if not known.of_memory]
                others += [TIMESCALE] if name == "weight_decay" else []
                wanted = f"{name} takes {', '.join(others)}"
                raise InputError(f"the rule {rule!r} is for the decay of a memory, such as b2: {wanted}")


def effect_of(study: Any, label: str) -> dict[str, Any] | None:
    """Return all that decides the effect of a set of rules of a study, as plain values; None if it changes nothing."""
    rules = {name: rule for name, rule in dict(study.batch_rules)[label].items() if rule != "constant"}
    if not rules:
        return None
    return {"rules": rules, "batch_count": study.reference_batch_count, "batch_size": study.reference_batch_size}


def ruled_values(study: Any, values: Mapping[str, np.ndarray], num_samples: int) -> dict[str, np.ndarray]:
    """Return by hyperparameter its value in each cell after the batch rules, [R]: of the learning rate, and of all with a rule.

    Args:
      study: the study.
      values: by axis, its value in each cell.
      num_samples: N.

    Raises:
      InputError: if a hyperparameter has no value to start from, or a rule leads outside its range; the message names the cell.
    """
    rate = values["learning_rate"].astype(np.float64)
    ruled = {"learning_rate": rate}
    if study.batch_rules is None:
        return ruled
    kappa = _kappa(study, values, num_samples)
    # The rate comes first: the timescale of a weight decay depends on it.
    for name in ruled_names(study):
        start = _start(study, name, values)
        used = start.copy()
        for label, rules in study.batch_rules:
            if name not in rules:
                continue
            own = values["batch_rule"] == label
            if rules[name] == TIMESCALE:
                used[own] = (start * kappa * rate / ruled["learning_rate"])[own]
            else:
                used[own] = batch_rule_named(rules[name]).value(start[own], kappa[own])
            of_memory = name in MEMORIES or (rules[name] in BATCH_RULES and BATCH_RULES[rules[name]].of_memory)
            _check_range(name, rules[name], start, used, own & ~_valid(name, used, of_memory), values, of_memory)
        ruled[name] = used
    return ruled


def _kappa(study: Any, values: Mapping[str, np.ndarray], num_samples: int) -> np.ndarray:
    """Return the batch size over the reference in each cell, [R]."""
    if study.reference_batch_size is not None:
        size = values["batch_size"] if "batch_size" in values else num_samples / values["batch_count"]
        return size / study.reference_batch_size
    splits, which = splits_of(study, dict(values), num_samples)
    return study.reference_batch_count / np.asarray([split.batch_count for split in splits])[which]


def _start(study: Any, name: str, values: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the value of a hyperparameter in each cell before any rule, [R]."""
    if name in values:
        return values[name].astype(np.float64)
    optimizers = values["optimizer"]
    start = np.empty(len(optimizers))
    for optimizer in np.unique(optimizers).tolist():
        value = study.optimizer_args.get(name, default_value(optimizer, name))
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise InputError(
                f"batch_rules: {name} of optimizer {optimizer!r} has no value for a rule to start from; give one in hyper, "
                f"such as hyper={{{name!r}: [0.9]}}, or in optimizer_args"
            )
        start[optimizers == optimizer] = value
    return start


def _valid(name: str, used: np.ndarray, of_memory: bool) -> np.ndarray:
    if of_memory:
        return (used >= 0) & (used < 1)
    return np.isfinite(used) & (used > 0 if name == "learning_rate" else True)


def _check_range(
    name: str,
    rule: str,
    start: np.ndarray,
    used: np.ndarray,
    wrong: np.ndarray,
    values: Mapping[str, np.ndarray],
    of_memory: bool,
) -> None:
    if not wrong.any():
        return
    cell = int(wrong.argmax())
    place = ", ".join(f"{axis}={own[cell]}" for axis, own in values.items())
    wanted = "from 0 to below 1" if of_memory else "above 0 and finite" if name == "learning_rate" else "finite"
    hint = "; the rule 'half_life' never leaves this range" if rule == "complement" and 0 <= start[cell] < 1 else ""
    after = f"{used[cell]:g}" if math.isfinite(used[cell]) else str(used[cell])
    raise InputError(
        f"batch_rules: {rule!r} makes {name} {after} from {start[cell]:g}, where it must be {wanted}, in the cell {place}{hint}"
    )
