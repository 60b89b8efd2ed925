"""A study as HTML: its axes with their values, the number of its cells, and the settings that all cells share."""

from typing import Any

from jaxsgd.error import counted
from jaxsgd.markup import card, line, small, table
from jaxsgd.number import TIMES
from jaxsgd.study.dimensions import Dimension, dimensions
from jaxsgd.summary import brief, brief_axis

_BUDGETS = ("epochs", "steps", "samples")

_OF_AXES = ("hyper", "problem_axes", "random", "draws", "zipped")
"""The fields that say more of the axes than their own values."""


def study_card(study: Any, given: dict[str, Any]) -> str:
    """Return a study as HTML.

    Args:
      study: a `Study` or its fields, as `Any` because its own method uses this.
      given: by name, its fields that differ from their defaults.
    """
    dims = dimensions(study)
    # An axis with a single value that is not set is the same in every study.
    rows = [row for dim in dims if dim.length > 1 or set(_fields_of(dim)) & set(given) for row in _rows(study, dim)]
    used = {name for dim in dims for name in _fields_of(dim)} | {"problem", *_OF_AXES, *_BUDGETS}
    shared = [(name, brief(value)) for name, value in given.items() if name not in used]
    budget = next(counted(getattr(study, name), name[:-1]) for name in _BUDGETS if getattr(study, name) is not None)
    title = f"Study: {counted(study.num_cells, 'cell')} of {study.described()['problem']}, {budget} each"
    lengths = [f"{dim.length:,} {dim.name}" for dim in dims if dim.length > 1]
    product = line(f"{study.num_cells:,} = {f' {TIMES} '.join(lengths)}") if len(lengths) > 1 else ""
    axes = table(rows, ("axis", "number", "values")) if rows else ""
    return card(title, product, axes, table(shared), small("jaxsgd.sweep(study) runs it."))


def _fields_of(dim: Dimension) -> list[str]:
    """Return the fields of a study that have the values of a dimension."""
    return [f"{name}s" for name in dim.values]


def _rows(study: Any, dim: Dimension) -> list[tuple[str, str, str]]:
    """Return the rows of a dimension: one for each axis that varies along it."""
    if dim.name == "draw":
        drawn = {name: study.random[name].model_dump(exclude_none=True) for name in dim.values}
        return [(f"draw: {name}", f"{dim.length:,}", brief(how)) for name, how in drawn.items()]
    beside = f" (with {dim.name})" if len(dim.values) > 1 else ""
    return [(f"{name}{beside}", f"{dim.length:,}", brief_axis(values.tolist())) for name, values in dim.values.items()]
