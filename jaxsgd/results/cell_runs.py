"""The cells of a result as single runs, each with its settings and its curves, as an experiment tracker keeps them."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from jaxtyping import Float, Int

from jaxsgd.error import InputError
from jaxsgd.results.axes import axis_dim, axis_names, axis_values, cell_dims, coords_along, seed_dims, stored
from jaxsgd.results.entries import with_entries
from jaxsgd.results.metric import TIMES, readable_index, record_epochs
from jaxsgd.study.batch_rules import USED
from jaxsgd.study.fields import without_axis_values

STUDY = "study."
"""The beginning of the names of the settings that are fields of the study."""

_MARKS = ("missing", "diverged", "diverged_epoch")


class Curve(NamedTuple):
    """A number of a run at several times, T of them.

    Attributes:
      steps: [T], steps done; increasing.
      epochs: [T], epochs done.
      values: [T], all finite.
    """

    steps: Int[np.ndarray, " T"]
    epochs: Float[np.ndarray, " T"]
    values: Float[np.ndarray, " T"]


class CellRun(NamedTuple):
    """A cell of a result as a single run.

    Attributes:
      number: of the cell, in the order of the result's dimensions, 0-based.
      name: its values on the axes with several values, as text.
      group: the same without the seeds.
      settings: its value on every axis, its hyperparameters after the batch rules, and the fields of the study.
      curves: by the name of the variable.
      summary: numbers of the whole run, by the name of the variable; all finite.
      diverged_epoch: the first epoch, 0-based, in which the run was not finite; None for a run that stayed finite.
    """

    number: int
    name: str
    group: str
    settings: dict[str, Any]
    curves: dict[str, Curve]
    summary: dict[str, float]
    diverged_epoch: int | None


def cell_runs(ds: xr.Dataset, *, batch_losses: bool = False) -> Iterator[CellRun]:
    """Return the runs of a result, cell by cell; those of cells that have not been run are left out.

    The mean loss of an epoch stands at the epoch's end, a batch's loss at the steps that were done before it. Values that are
    not finite are left out: those of a run after its divergence or its end.

    Args:
      ds: a result.
      batch_losses: True for every batch's loss too, if the result has it.

    Raises:
      InputError: if no cell has been run, or there are no losses of batches.
    """
    dims = cell_dims(ds)
    if bool(ds["missing"].all()):
        raise InputError("no cell of this result has been run yet: finish it with jaxsgd run first")
    if batch_losses and "loss" not in ds:
        raise InputError("this result has no loss of single batches: run the study with record='batch'")
    if not batch_losses:
        ds = ds.drop_vars("loss", errors="ignore")
    if "stripe_index" in ds:
        ds = ds.assign(stripe_index=readable_index(ds).assign_attrs(ds["stripe_index"].attrs))
    return _runs(with_entries(ds), dims)


def _runs(ds: xr.Dataset, dims: list[str]) -> Iterator[CellRun]:
    def by_cell(array: xr.DataArray) -> np.ndarray:
        """Return the array with one axis for all cells in front, [R, ...]."""
        inner = [dim for dim in array.dims if dim not in dims]
        whole = array.broadcast_like(ds["missing"]).transpose(*dims, *inner)
        return whole.values.reshape(-1, *(array.sizes[dim] for dim in inner))

    missing, diverged = by_cell(ds["missing"]), by_cell(ds["diverged_epoch"])
    axes = {name: by_cell(xr.DataArray(axis_values(ds, name), dims=axis_dim(ds, name))) for name in axis_names(ds)}
    several = [name for dim in dims if ds.sizes[dim] > 1 for name in _shortest(ds, dim)]
    seeds = {name for dim in seed_dims(ds) for name in coords_along(ds, dim)}
    fields = {f"{STUDY}{name}": value for name, value in _fields(ds).items()}
    names = [str(name) for name in ds.data_vars if name not in _MARKS]
    used = {name: by_cell(ds[name]) for name in names if name == "rate" or name.endswith(USED)}
    whole = {name: by_cell(ds[name]) for name in names if name not in used and set(ds[name].dims) <= set(dims)}
    timed = [name for name in names if name not in used and name not in whole and set(ds[name].dims) & set(TIMES)]
    values = {name: by_cell(ds[name]) for name in timed}
    times = {name: by_cell(record_epochs(ds, name)) for name in timed}
    for number in np.flatnonzero(~missing).tolist():
        own = {name: column[number].item() for name, column in axes.items()}
        count = int(own["batch_count"])
        yield CellRun(
            number,
            _label(own, several),
            _label(own, [name for name in several if name not in seeds]),
            own | _finite({name: column[number] for name, column in used.items()}) | fields,
            {name: _curve(values[name][number], times[name][number], count) for name in timed},
            _finite({name: column[number] for name, column in whole.items()}),
            int(diverged[number]) if np.isfinite(diverged[number]) else None,
        )


def _shortest(ds: xr.Dataset, dim: str) -> list[str]:
    """Return the axes that name a cell along a dimension: its own, else all along it."""
    along = coords_along(ds, dim)
    return [dim] if dim in along or not along else along


def _label(values: dict[str, Any], axes: list[str]) -> str:
    """Return the values on some axes as text: "seed=0 order=fixed learning_rate=0.001"."""
    texts = {name: f"{values[name]:g}" if isinstance(values[name], float) else str(values[name]) for name in axes}
    return " ".join(f"{name}={text}" for name, text in texts.items())


def _fields(ds: xr.Dataset) -> dict[str, Any]:
    """Return the fields of the study that have a value and are no axis."""
    fields, fixed = stored(ds, "study"), without_axis_values(stored(ds, "study"))
    return {name: value for name, value in fields.items() if value not in (None, [], {}) and fixed.get(name) == value}


def _finite(columns: dict[str, Any]) -> dict[str, float]:
    """Return the numbers that are finite, of NumPy scalars by name."""
    numbers = {name: float(value) for name, value in columns.items() if value.dtype.kind in "biuf"}
    return {name: value for name, value in numbers.items() if np.isfinite(value)}


def _curve(values: np.ndarray, epochs: np.ndarray, count: int) -> Curve:
    """Return a curve of one run.

    Args:
      values: [T] at the ends of records, or [T, M] before each step of the epoch that ends there.
      epochs: [T], epochs done at the records.
      count: m, the batch count.
    """
    steps = epochs * count
    if values.ndim == 2:
        begun = (np.ceil(np.round(epochs, 9)) - 1) * count
        values = values[:, :count]
        steps = begun[:, None] + np.arange(values.shape[1])
        steps = np.where(steps < np.round(epochs * count)[:, None], steps, np.nan)
    kept = np.isfinite(values) & np.isfinite(steps)
    done = np.round(steps[kept]).astype(np.int64)
    return Curve(done, done / count, values[kept].astype(np.float64))


def setting_text(value: Any) -> str:
    """Return a setting as text: a text as it is, and anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value)


def rows_by_step(run: CellRun) -> dict[int, dict[str, float]]:
    """Return the numbers of a run at each step, in the order of the steps: the epochs done, and each curve that has a value."""
    rows: dict[int, dict[str, float]] = {}
    for name, curve in run.curves.items():
        for step, epoch, value in zip(curve.steps.tolist(), curve.epochs.tolist(), curve.values.tolist(), strict=True):
            rows.setdefault(step, {"epoch": epoch})[name] = value
    return dict(sorted(rows.items()))
