"""The axes of a result, read off the result itself: by name, by value, and which of them are seeds."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from jaxsgd.error import InputError, no_such, shown, verb
from jaxsgd.results.lazy_xarray import xr
from jaxsgd.study.dimensions import SEED_AXES

WITHIN_CELLS = ("epoch", "evaluation", "observation", "batch")
"""Dimensions of a single run."""


def stored(ds: xr.Dataset, name: str) -> dict[str, Any]:
    """Return the "study" or the "manifest" that a result carries; empty for a Dataset without one."""
    text = ds.attrs.get(name)
    return json.loads(text) if isinstance(text, str) else {}


def check_dataset(ds: Any) -> None:
    """Check that a value is a Dataset.

    Raises:
      InputError: if it is not; for a path the message shows how to read the result.
    """
    if isinstance(ds, xr.Dataset):
        return
    is_path = isinstance(ds, str) or hasattr(ds, "__fspath__")
    hint = f"read the folder with jaxsgd.load({str(ds)!r})" if is_path else "give what jaxsgd.sweep or jaxsgd.load returns"
    raise InputError(f"a result must be an xarray.Dataset, got {shown(ds)}: {hint}")


def check_finished(ds: xr.Dataset, use: str, name: str = "") -> None:
    """Check that every cell of a result was run.

    Args:
      ds: the result.
      use: its use, in a word such as "compared".
      name: of the result, if it is one of several.

    Raises:
      InputError: if cells are missing, with their number.
    """
    missing = int(ds["missing"].sum())
    if missing:
        begin = f"{name}: " if name else ""
        raise InputError(f"{begin}only a finished result can be {use}, and {missing} of its cells {verb(missing)} missing")


def cell_dims(ds: xr.Dataset) -> list[str]:
    """Return the dimensions along which cells lie, outermost first.

    Raises:
      InputError: for anything that is no result, and for a mean over runs.
    """
    check_dataset(ds)
    if any(name in ds and ds.variables[name].dtype.kind == "f" for name in ("diverged", "missing")):
        raise InputError(
            "a result must have its single runs, and this is a mean over some of them: give what sweep or load returns"
        )
    if "loss_epoch" not in ds:
        raise InputError(
            f"a result has a variable loss_epoch, as sweep and load give it; got {', '.join(map(str, ds.data_vars))}"
        )
    return [str(dim) for dim in ds.variables["loss_epoch"].dims if dim not in WITHIN_CELLS]


def coords_along(ds: xr.Dataset, dim: str) -> list[str]:
    """Return the axes along a dimension: several if they are zipped or follow from one another."""
    # `ds.variables` has the same dimensions, and does not make a DataArray of each.
    return [str(name) for name in ds.coords if ds.variables[name].dims == (dim,)]


def axis_names(ds: xr.Dataset) -> list[str]:
    """Return the axes of a result, in the order of its dimensions."""
    names = []
    for dim in cell_dims(ds):
        along = coords_along(ds, dim)
        names += along if dim in along else [*along, dim]
    return names


def axis_dim(ds: xr.Dataset, name: str) -> str:
    """Return the dimension of an axis.

    Raises:
      InputError: if there is no such axis, with the nearest valid name; or if it is tuned away.
    """
    if name not in axis_names(ds):
        if "tuned" in ds.attrs and name in ds.coords:
            raise InputError(f"{name} is no axis here, where each setting is at its own best {ds.attrs['tuned']}")
        raise no_such("axis", name, axis_names(ds))
    return str(ds.variables[name].dims[0]) if name in ds.coords else name


def axis_values(ds: xr.Dataset, name: str) -> np.ndarray:
    """Return the values of an axis, [L]; positions for a dimension that has no values of its own."""
    return ds.variables[name].values if name in ds.coords else np.arange(ds.sizes[name])


def seed_dims(ds: xr.Dataset, used: Iterable[str] = ()) -> list[str]:
    """Return the dimensions that have seeds only and are not in `used`."""
    taken = set(used)
    dims = [dim for dim in cell_dims(ds) if dim not in taken]
    return [dim for dim in dims if coords_along(ds, dim) and set(coords_along(ds, dim)) <= set(SEED_AXES)]


def is_numeric(values: np.ndarray) -> bool:
    """Return True if an axis's values are numbers, and so have an order of their own."""
    return values.dtype.kind in "iuf"


def places(name: str, values: np.ndarray, value: Any) -> np.ndarray:
    """Return True at the positions of a value on an axis, [L]. Numbers match to a relative 1e-5, and may be text.

    Args:
      name: of the axis.
      values: [L].
      value: to look for.

    Raises:
      InputError: if the axis does not have it, with the nearest values that it has.
    """
    if not is_numeric(values):
        texts = np.asarray([str(v) for v in values])
        matches = texts == str(value)
        if not matches.any():
            raise no_such(name, value, texts.tolist())
        return matches
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise InputError(f"{name} is a number, got {shown(value)}; there are {listed(values)}") from None
    matches = np.isclose(values, number, rtol=1e-5, atol=0)
    if not matches.any():
        apart = np.abs(values - number)
        if number > 0 and (values > 0).all():
            apart = np.abs(np.log(values / number))
        near = np.argsort(apart, kind="stable")[:2]
        raise InputError(
            f"no {name} {number:g}: the nearest are {listed(np.sort(values[near]))} (there are {len(np.unique(values))})"
            if len(values) > 2
            else f"no {name} {number:g}: there is {listed(values)}"
        )
    return matches


def selected(ds: xr.Dataset, select: Mapping[str, Any] | None) -> xr.Dataset:
    """Return the part of a result that has the wanted values; dimensions stay, with as many places as were selected.

    Args:
      ds: a result.
      select: by axis, the value to keep, or a list of them. Numbers match to a relative 1e-5, and may be text.

    Raises:
      InputError: for what is no dictionary, and for an unknown axis or value, with the nearest ones.
    """
    if select is not None and not isinstance(select, Mapping):
        raise InputError(f"select must be a dictionary such as {{'learning_rate': 0.1}}, got {shown(select)}")
    for name, wanted in (select or {}).items():
        dim, values = axis_dim(ds, name), axis_values(ds, name)
        keep = np.zeros(len(values), bool)
        for value in wanted if is_several(wanted) else [wanted]:
            keep |= places(name, values, value)
        ds = ds.isel({dim: np.flatnonzero(keep)})
    return ds


def is_several(wanted: Any) -> bool:
    """Return True if a selection is a list of values, and False for a single value."""
    return isinstance(wanted, Iterable) and not isinstance(wanted, str)


MOST_LISTED = 8
"""Values that a message lists."""


def select_example(axes: Mapping[str, np.ndarray]) -> str:
    """Return how the first value of each of several axes is selected, in Python and in a shell; by axis, its values."""
    given = {name: values[:1].tolist()[0] for name, values in axes.items()}
    in_a_shell = " ".join(f"--select {name}={listed(values[:1])}" for name, values in axes.items())
    return f"select={given}, or in a shell {in_a_shell}"


def listed(values: np.ndarray) -> str:
    """Return values as a user would type them; if they are many, the middle ones are left out."""
    texts = [f"{value:g}" if isinstance(value, (float, np.floating)) else str(value) for value in values]
    return ", ".join(texts if len(texts) <= MOST_LISTED else [*texts[: MOST_LISTED - 1], "...", texts[-1]])
