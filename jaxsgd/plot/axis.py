"""The axes of a result as figures need them: looked up by name, selected from, and put into words."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import to_hex

from jaxsgd.error import InputError, counted
from jaxsgd.measure.observable import METRICS, unit_for, words_for
from jaxsgd.number import value_text
from jaxsgd.order import ORDERS, order_title
from jaxsgd.plot.style import COLOURS, colours
from jaxsgd.problem import UNNAMED
from jaxsgd.results.axes import (
    WITHIN_CELLS,
    axis_dim,
    axis_values,
    cell_dims,
    coords_along,
    is_numeric,
    listed,
    seed_dims,
    select_example,
    stored,
)
from jaxsgd.results.lazy_xarray import xr
from jaxsgd.results.metric import time_dim

Selection = Mapping[str, Any]
"""By axis, the value or values to keep."""

ORDER_COLOURS = (*COLOURS, "#8C510A")
"""Colours of the built-in orders, which stay the same whichever of them a figure shows."""

SYMBOLS = {"batch_count": ("m", "batches per epoch"), "batch_size": ("B", "samples")}


@dataclasses.dataclass(frozen=True, eq=False)
class Axis:
    """An axis of a result; L values.

    Attributes:
      name: as the user says it.
      dim: the dimension it lies along.
      values: [L].
      beside: the other axes along the same dimension by name, [L] each: the batch size of a batch count, or what it is zipped
        with.
    """

    name: str
    dim: str
    values: np.ndarray
    beside: dict[str, np.ndarray]

    def __len__(self) -> int:
        """L."""
        return len(self.values)

    @property
    def numeric(self) -> bool:
        """True if the values are numbers, which have an order of their own."""
        return is_numeric(self.values)

    @property
    def words(self) -> str:
        """The name in a sentence."""
        return self.name.replace("_", " ")

    @property
    def label(self) -> str:
        """The label along an axis of a figure, with the unit."""
        symbol, unit = SYMBOLS.get(self.name, ("", ""))
        return f"{self.words} {symbol} ({unit})" if symbol else self.words

    def text(self, place: int) -> str:
        """The value at a place, and nothing else."""
        return value_text(self.values[place])

    def phrase(self, place: int) -> str:
        """The value at a place in a sentence: "m = 10", "learning rate 0.1", "fixed"."""
        return _phrase(self.name, self.values[place])

    def heading(self, place: int) -> str:
        """The value at a place with what lies beside it: "m = 10 (B = 100)"."""
        beside = ", ".join(_phrase(name, values[place]) for name, values in self.beside.items())
        return f"{self.phrase(place)} ({beside})" if beside else self.phrase(place)


def _phrase(name: str, value: Any) -> str:
    text = value_text(value)
    if name == "order":
        return order_title(text)
    if name == "optimizer":
        return text
    if name == "schedule":
        return text if text.endswith("schedule") else f"{text} schedule"
    return f"{SYMBOLS[name][0]} = {text}" if name in SYMBOLS else f"{name.replace('_', ' ')} {text}"


def find_axis(ds: xr.Dataset, name: str) -> Axis:
    """Return the axis called `name`.

    Raises:
      InputError: if there is none, with the nearest valid name.
    """
    dim = axis_dim(ds, name)
    beside = {other: ds[other].values for other in coords_along(ds, dim) if other != name}
    return Axis(name, dim, axis_values(ds, name), beside)


def open_axes(ds: xr.Dataset, used: Iterable[str] = ()) -> list[Axis]:
    """Return an axis for each dimension that is neither used, nor of seeds, nor of length 1."""
    taken = [*used, *seed_dims(ds, used), *WITHIN_CELLS]
    dims = [dim for dim in cell_dims(ds) if dim not in taken and ds.sizes[dim] > 1]
    return [find_axis(ds, speaking_name(ds, dim)) for dim in dims]


def speaking_name(ds: xr.Dataset, dim: str) -> str:
    """Return the name of an axis along a dimension: that of the dimension, or else the first; of several axes, "draw"."""
    along = coords_along(ds, dim)
    return dim if dim in along or not along or (dim == "draw" and len(along) > 1) else along[0]


def check_open(ds: xr.Dataset, used: Iterable[str], what: str) -> None:
    """Check that all axes are used, seeds, or down to one value.

    Raises:
      InputError: with each axis that is left and its values.
    """
    left = open_axes(ds, used)
    if left:
        clauses = [f"{axis.name} has {len(axis)} ({listed(axis.values)})" for axis in left]
        example = select_example({axis.name: axis.values for axis in left})
        raise InputError(f"{what} has one value of every other axis, but {' and '.join(clauses)}: select one, as {example}")


def check_different(*axes: Axis) -> None:
    """Check that no two axes vary together.

    Raises:
      InputError: with the names of the two.
    """
    for i, axis in enumerate(axes):
        for other in axes[:i]:
            if axis.name == other.name:
                raise InputError(f"{axis.name} is named twice: name two axes")
            if axis.dim == other.dim:
                raise InputError(f"{other.name} and {axis.name} vary together here: name two axes that do not")


def table(ds: xr.Dataset, name: str, dims: Sequence[str]) -> np.ndarray:
    """Return a variable as an array with the given dimensions first, then all seeds as one, then those within a cell.

    Args:
      ds: a result in which every other dimension has one place.
      name: of the variable.
      dims: D dimensions of cells.

    Returns:
      [*dims, R, ...], R combinations of seeds.
    """
    seeds = seed_dims(ds, dims)
    array = ds[name]
    rest = [dim for dim in array.dims if dim not in (*dims, *seeds, *WITHIN_CELLS)]
    array = array.isel(dict.fromkeys(rest, 0))
    inner = [dim for dim in WITHIN_CELLS if dim in array.dims]
    lengths = [ds.sizes[dim] for dim in dims]
    values = array.transpose(*dims, *seeds, *inner).values
    return values.reshape(*lengths, -1, *(ds.sizes[dim] for dim in inner))


def batch_counts(ds: xr.Dataset, dims: Sequence[str]) -> np.ndarray:
    """Return the batch count of each cell, shaped as by `table`."""
    return table(ds.assign(cell_batch_count=ds.batch_count + xr.zeros_like(ds.missing, int)), "cell_batch_count", dims)


def seed_texts(ds: xr.Dataset, used: Iterable[str]) -> list[str]:
    """Return the name of each combination of seeds, in the order of `table`: "seed 3"."""
    dims = seed_dims(ds, used)
    names = [coords_along(ds, dim) for dim in dims]
    texts = [""]
    for dim, along in zip(dims, names, strict=True):
        own = [", ".join(_phrase(name, ds[name].values[place]) for name in along) for place in range(ds.sizes[dim])]
        texts = [", ".join(filter(None, (outer, inner))) for outer in texts for inner in own]
    return texts


def loss_unit(ds: xr.Dataset) -> str:
    """Return the unit of the loss; "" if the problem does not state one."""
    return stored(ds, "manifest").get("loss_unit", "")


def loss_label(ds: xr.Dataset) -> str:
    """Return the words for the loss, with its unit if the problem states one."""
    return f"loss ({loss_unit(ds)})" if loss_unit(ds) else "loss"


LONGEST_MEANING = 50
"""Letters of the meaning of an observable up to which figures call it by that."""


def metric_words(ds: xr.Dataset, name: str) -> str:
    """Return a metric in words; the training loss is called that if there is a validation loss too.

    An observable of the user's own has its meaning, if that is short.
    """
    if name == "loss_epoch":
        return "training loss" if "validation_loss" in ds else "loss"
    meaning = str(ds[name].attrs.get("long_name", "")) if name in ds and name not in METRICS else ""
    return meaning if 0 < len(meaning) <= LONGEST_MEANING else words_for(name)


def budget(ds: xr.Dataset) -> str:
    """Return the length of the runs in words: "30 epochs", "500 steps"; "at most 30 epochs" if they stop at a target."""
    study = stored(ds, "study")
    given = [counted(study[name], name.removesuffix("s")) for name in ("steps", "samples") if study.get(name)]
    length = given[0] if given else counted(ds.sizes["epoch"], "epoch")
    return f"at most {length}" if study.get("stop") else length


def printed(width: int) -> str:
    """Return the print interval in words: "printed every 5 batches"."""
    return "printed every batch" if width == 1 else f"printed every {width} batches"


def metric_label(ds: xr.Dataset, name: str) -> str:
    """Return a metric with its unit, as along an axis."""
    units = METRICS[name].units if name in METRICS else str(ds[name].attrs.get("units", "1"))
    unit = unit_for(name, units, loss_unit(ds))
    return f"{metric_words(ds, name)} ({unit})" if unit else metric_words(ds, name)


def measure_label(ds: xr.Dataset, name: str) -> str:
    """Return the words for a metric at the end of runs with its unit, as along an axis."""
    last = {"epoch": "last epoch\N{RIGHT SINGLE QUOTATION MARK}s ", "evaluation": "final ", "observation": "final "}
    return last.get(time_dim(ds, name) or "", "") + metric_label(ds, name)


def setting(ds: xr.Dataset, used: Iterable[str]) -> str:
    """Return what a whole figure has in common, in words: problem, samples, fixed axes, seeds.

    Args:
      ds: a result.
      used: the dimensions that the figure sets out.
    """
    study, manifest = stored(ds, "study"), stored(ds, "manifest")
    dims, seeds = list(used), seed_dims(ds, used)
    parts = [problem_name(study.get("problem", ""), manifest.get("problem_name"))]
    if "num_samples" in manifest:
        parts.append(f"{manifest['num_samples']} sample{'s' * (manifest['num_samples'] != 1)}")
    for dim in ds["loss_epoch"].dims:
        if dim not in (*dims, *seeds, *WITHIN_CELLS) and ds.sizes[dim] == 1:
            axis = find_axis(ds, speaking_name(ds, str(dim)))
            parts.append(f"{axis.heading(0)} order" if axis.name == "order" else axis.heading(0))
    if "tuned" in ds.attrs:
        parts.append(f"each at its best {ds.attrs['tuned'].replace('_', ' ')}")
    parts += [f"stopped at {metric_words(ds, name)} {value:g}" for name, value in (study.get("stop") or {}).items()]
    count = int(np.prod([ds.sizes[dim] for dim in seeds], dtype=int))
    parts.append(f"{count} {'combinations of seeds' if len(seeds) > 1 else 'seeds'}" if count > 1 else seed_texts(ds, dims)[0])
    return ", ".join(filter(None, parts))


def problem_name(pointer: str, own: str | None) -> str:
    """Return a problem's own name where it has one, else the name that the study gives, a pointer in full."""
    return own if own and own != UNNAMED else pointer


def lasting_colours(whole: xr.Dataset, axis: Axis) -> list[str]:
    """Return a colour for each value of an axis, the same whichever of its values in the whole result are selected."""
    everything = find_axis(whole, axis.name)
    palette = dict(zip(everything.values.tolist(), axis_colours(everything), strict=True))
    return [palette[value] for value in axis.values.tolist()]


def axis_colours(axis: Axis) -> list[str]:
    """Return a colour for each value: a built-in order's own, dark to light for numbers, and otherwise by place."""
    if axis.numeric:
        if len(axis) == 1:
            return colours(1)
        rank = np.argsort(np.argsort(axis.values, kind="stable"), kind="stable")
        return [to_hex(colormaps["viridis"](0.85 * place / (len(axis) - 1))) for place in rank]
    if axis.name == "order" and set(axis.values) <= set(ORDERS):
        shades = ORDER_COLOURS if len(ORDERS) <= len(ORDER_COLOURS) else colours(len(ORDERS))
        own = dict(zip(ORDERS, shades, strict=False))
        return [own[name] for name in axis.values]
    return colours(len(axis))
