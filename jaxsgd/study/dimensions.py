"""The dimensions of a study's result: its axes, zipped axes together, random axes as draws."""

import math
from collections.abc import Collection
from typing import Any, NamedTuple

import numpy as np

from jaxsgd.order import Split, split
from jaxsgd.summary import short_repr

# The functions below take a `StudyFields` or a `Study` as `Any`: its own checks use them.

SEED_AXES = ("seed", "data_seed", "init_seed", "order_seed")

SIZE_AXES = ("batch_count", "batch_size")

OWN_AXES = (*SEED_AXES, "optimizer", "order", "schedule", "batch_rule", "learning_rate", *SIZE_AXES)
"""Axes that are neither arguments of the problem nor further hyperparameters of the optimizer."""

KEPT = ("optimizer", "order", "schedule", "batch_rule", *SIZE_AXES)
"""Axes that stay: every value of them gets its own best setting. All other axes, except the seeds, are searched."""


def axis_lengths(fields: dict[str, Any]) -> dict[str, int]:
    """Return the length of each axis of a study's fields, by the axis's name, in the order of the dimensions."""
    lengths = {name: len(fields[f"{name}s"]) for name in SEED_AXES if fields.get(f"{name}s") is not None}
    lengths |= {name: len(values) for name, values in fields.get("problem_axes", {}).items()}
    named = ("optimizers", "orders", "schedules", "batch_rules")
    lengths |= {field[:-1]: len(fields[field]) for field in named if fields.get(field) is not None}
    lengths |= {name: len(values) for name, values in fields.get("hyper", {}).items()}
    for field in ("learning_rates", "batch_counts", "batch_sizes"):
        if fields.get(field) is not None:
            lengths[field[:-1]] = len(fields[field])
    return lengths


class Dimension(NamedTuple):
    """One dimension of a study's result.

    Attributes:
      name: of the dimension; an axis's own, or the joined names of zipped axes, or `draw`.
      values: the axes that vary along it, [length] each.
    """

    name: str
    values: dict[str, np.ndarray]

    __repr__ = short_repr

    @property
    def length(self) -> int:
        """The number of its values."""
        return len(next(iter(self.values.values())))


def dimensions(study: Any) -> list[Dimension]:
    """Return the dimensions of a study's result, outermost first; without epochs and batches, which lie within a cell."""
    fields = dict(study)
    lengths = axis_lengths(fields)
    values = {name: np.asarray(_axis_values(fields, name)) for name in lengths}
    drawn = _drawn(study)
    dims: list[Dimension] = []
    done: set[str] = set()
    for name in lengths:
        if name in done:
            continue
        group = next((group for group in study.zipped if name in group), (name,))
        done |= set(group)
        dims.append(Dimension("_".join(group), {axis: values[axis] for axis in group}))
    if drawn:
        # In the position of the rate, before the batch count.
        at = next((i for i, dim in enumerate(dims) if {"batch_count", "batch_size"} & set(dim.values)), len(dims))
        dims.insert(at, Dimension("draw", drawn))
    return dims


def _axis_values(fields: dict, name: str):
    own = fields["problem_axes"] | fields["hyper"]
    if name == "batch_rule":
        return [label for label, _ in fields["batch_rules"]]
    return own[name] if name in own else fields[f"{name}s"]


def cell_values(dims: list[Dimension]) -> dict[str, np.ndarray]:
    """Return by axis its value in each cell, [R]; the last dimension varies fastest."""
    indices = np.indices([dim.length for dim in dims]).reshape(len(dims), -1)
    return {axis: v[index] for dim, index in zip(dims, indices, strict=True) for axis, v in dim.values.items()}


def splits_of(study: Any, values: dict[str, np.ndarray], num_samples: int) -> tuple[list[Split], np.ndarray]:
    """Return the distinct splits of a study's cells, and the index of each cell's own among them, [R].

    Args:
      study: the study.
      values: by axis, its value in each cell.
      num_samples: N.
    """
    size_axis = "batch_count" if "batch_count" in values else "batch_size"
    sizes, which = np.unique(values[size_axis], return_inverse=True)
    options = {"drop_last": study.drop_last} if size_axis == "batch_size" else {}
    return [split(num_samples, **{size_axis: int(size)}, **options) for size in sizes], which.reshape(-1)


def _drawn(study: Any) -> dict[str, np.ndarray]:
    """Return the random axes by name, [draws] each; the draws of an axis do not depend on the other axes."""
    drawn = {}
    for name, distribution in study.random.items():
        rng = np.random.default_rng([study.draw_seed, *name.encode()])
        if distribution.log_uniform is not None:
            drawn[name] = np.exp(
                rng.uniform(math.log(distribution.log_uniform[0]), math.log(distribution.log_uniform[1]), study.draws)
            )
        elif distribution.values is not None:
            drawn[name] = np.asarray(distribution.values)
        elif distribution.uniform is not None:
            low, high = distribution.uniform
            drawn[name] = rng.uniform(low, high, study.draws)
        else:
            drawn[name] = rng.choice(np.asarray(distribution.choice), study.draws)
    if "batch_count" in drawn:
        drawn["batch_count"] = drawn["batch_count"].astype(int)
    return drawn


class ProblemSettings(NamedTuple):
    """The arguments that the problem has in the cells of a study.

    Attributes:
      args: the distinct arguments, by name; one empty dictionary if the problem is the same in all cells.
      of_cell: [R], the number of each cell's own among them.
    """

    args: list[dict[str, Any]]
    of_cell: np.ndarray


def problem_settings(study: Any, names: Collection[str]) -> ProblemSettings:
    """Return the arguments of the problem that are axes of a study, in the cells.

    Args:
      study: the study.
      names: its axes that are arguments of the problem, as `Study.problem_axis_names` has them.
    """
    dims = dimensions(study)
    own = [bool(set(dim.values) & set(names)) for dim in dims]
    number = np.zeros([dim.length for dim in dims], int)
    args: dict[str, dict[str, Any]] = {}
    for place in np.ndindex(*(dim.length for dim, is_own in zip(dims, own, strict=True) if is_own)):
        at = iter(place)
        index = tuple(next(at) if is_own else slice(None) for is_own in own)
        values = {
            name: dim.values[name][i]
            for dim, i, is_own in zip(dims, index, own, strict=True)
            if is_own
            for name in dim.values
            if name in names
        }
        setting = {name: problem_argument(study, name, values[name]) for name in names}
        text = setting_text(setting)
        args.setdefault(text, setting)
        number[index] = list(args).index(text)
    return ProblemSettings(list(args.values()), number.reshape(-1))


def problem_argument(study: Any, name: str, value: Any) -> Any:
    """Return a value of an axis as the problem's function takes it: as the study has it, or drawn."""
    if name in study.problem_axes:
        return next(own for own in study.problem_axes[name] if own == value)
    return drawn_argument(study.random[name], value)


def drawn_argument(distribution: Any, value: int | float) -> int | float:
    """Return a drawn value as the problem's function takes it: a whole number if all of its listed values are whole numbers."""
    listed = distribution.choice or distribution.values
    is_whole = listed is not None and all(item.is_integer() for item in listed)
    return int(value) if is_whole else float(value)


def setting_text(args: dict[str, Any]) -> str:
    """Return arguments of a problem as a text, such as "noise=0.5, num_hidden=16": equal for equal arguments."""
    return ", ".join(f"{name}={_plain_number(args[name])}" for name in sorted(args))


def _plain_number(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value
