"""From chunks to labelled arrays."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from jaxsgd.error import InputError, check_count
from jaxsgd.measure.observable import METRICS
from jaxsgd.measure.stripes import stripe_count, windows
from jaxsgd.results.lazy_xarray import xr
from jaxsgd.results.store import ChunkArrays
from jaxsgd.study.batch_rules import USED, used_variable
from jaxsgd.study.cells import Cells
from jaxsgd.study.fields import StudyFields
from jaxsgd.study.halving import rungs_of
from jaxsgd.study.observed import Record

DESCRIPTIONS = {
    "loss": ("loss", "mean loss of each batch, taken before that batch's update; NaN where batch >= batch_count"),
    "diverged_epoch": ("epoch", "first epoch, 0-based, in which the run was not finite; NaN for a run that stayed finite"),
    "diverged": ("1", "true if the run became non-finite"),
    "missing": ("1", "true if the cell has not been run yet"),
    "rung": ("epochs", "epochs done when the settings were judged"),
    "rung_value": ("1", "metric of the halving at each rung; NaN at rungs that the run did not reach"),
    "stopped_rung": (
        "epochs",
        "rung at which the setting was stopped, in epochs done; NaN for one trained to the end",
    ),
    "rate": ("1", "learning rate after the batch rules"),
    "batch_count": ("batches/epoch", "batches per epoch"),
    "batch_size": ("samples", "samples of a full batch"),
    "learning_rate": ("1", "learning rate, before the batch rules if there are any"),
    "schedule": ("1", "factor on the learning rate as a function of training progress"),
    "batch_rule": ("1", "name of the rules for the hyperparameters at each batch size"),
    "epoch": ("epoch", "pass over the data, 0-based"),
    "batch": ("batch", "position of the batch in its epoch, 0-based"),
    "evaluation": ("1", "number of the evaluation, 0-based"),
    "evaluation_step": ("steps", "steps done at the evaluation; NaN past the last one of a batch count"),
    "evaluation_epoch": ("epochs", "epochs done at the evaluation; NaN past the last one of a batch count"),
    "observation": ("1", "number of the measurement of sparse observables, 0-based"),
    "observation_step": ("steps", "steps done at the measurement; NaN past the last one of a batch count"),
    "observation_epoch": ("epochs", "epochs done at the measurement; NaN past the last one of a batch count"),
    "epoch_step": ("steps", "steps done at the end of the epoch; NaN past the last one of a batch count"),
}
"""Units and meaning of the variables and coordinates that are not metrics, for `attrs`; those of metrics are in `METRICS`."""


def kept_arrays(study: StudyFields, cells: Cells, observed: Mapping[str, Record]) -> dict[str, tuple[int, ...]]:
    """Return the shape of each array that is kept of a cell, by name: [E], [V], [V, ...], [E, M] or []; M is smaller in some
    chunks."""
    slots = max(split.batch_count for split in cells.splits)
    kept: dict[str, tuple[int, ...]] = {"loss_epoch": (cells.epochs,)}
    for name, record in observed.items():
        length = cells.num_observations if record.sparse else cells.num_records
        kept[name] = (length, *([slots] if record.by_batch else []), *record.shape)
    if study.record == "batch":
        kept["loss"] = (cells.epochs, slots)
    kept |= dict.fromkeys(("stripe_gap", "stripe_index", "stripe_slope", "diverged_epoch"), ())
    if study.halving:
        kept |= {"stopped_rung": (), "rung_value": (len(rungs_of(study, cells)),)}
    return kept if study.stop is None else {**kept, "stopped_step": ()}


def dataset_bytes(study: StudyFields, cells: Cells, observed: Mapping[str, Record], names: Iterable[str]) -> int:
    """Return the bytes of a result's arrays.

    Args:
      study: of the result.
      cells: of the study.
      observed: the observables.
      names: of the arrays, of those that `kept_arrays` lists.
    """
    shapes = kept_arrays(study, cells, observed)
    return sum(cells.num_cells * math.prod(shapes[name]) * np.dtype(study.dtype).itemsize for name in names)


class Assembly:
    """The arrays of a result, filled chunk by chunk, so that no chunk need be kept until the last one is finished."""

    def __init__(
        self, study: StudyFields, cells: Cells, observed: Mapping[str, Record], variables: Iterable[str] | None = None
    ):
        """Allocate the arrays; every cell is missing at first.

        Args:
          study: of the result.
          cells: of the study.
          observed: the observables, by the names of their variables.
          variables: names of the arrays to keep, of those that `kept_arrays` lists; None for all. `diverged_epoch` is always
            kept.
        """
        kind = np.dtype(study.dtype)
        shapes = kept_arrays(study, cells, observed)
        wanted = set(shapes) if variables is None else {*variables, "diverged_epoch"}
        self._study, self._cells, self._observed = study, cells, dict(observed)
        self._arrays: dict[str, np.ndarray] = {
            name: np.full((cells.num_cells, *inner), np.nan, kind if inner else float)
            for name, inner in shapes.items()
            if name in wanted
        }
        self._missing = np.ones(cells.num_cells, bool)

    def add(self, chunk: ChunkArrays) -> None:
        """Copy a chunk to the places of its cells."""
        own = chunk["cell"]
        self._missing[own] = False
        for name, target in self._arrays.items():
            if name == "loss":
                target[own, :, : chunk[name].shape[-1]] = chunk[name]
            else:
                target[own] = chunk[name]

    def dataset(self, manifest: dict[str, Any]) -> xr.Dataset:
        """Return the labelled arrays, one dimension per axis; cells of missing chunks are NaN and marked."""
        return _dataset(self._study, self._cells, manifest, self._arrays, self._observed, self._missing)


def _dataset(
    study: StudyFields,
    cells: Cells,
    manifest: dict[str, Any],
    arrays: dict[str, np.ndarray],
    observed: Mapping[str, Record],
    missing: np.ndarray,
) -> xr.Dataset:
    slots = max(split.batch_count for split in cells.splits)
    flat = dict(arrays)
    flat |= {"diverged": np.isfinite(flat["diverged_epoch"]), "missing": missing}
    flat |= {used_variable(name): values for name, values in cells.ruled.items()}
    if "stopped_step" in flat:
        flat["stopped_epoch"] = flat["stopped_step"] / cells.batch_count

    dims = [dim.name for dim in cells.dims]
    recorded = "epoch" if cells.evaluations is None else "evaluation"
    inner = {"loss": ["epoch", "batch"], "loss_epoch": ["epoch"], "rung_value": ["rung"]}
    for name, own in observed.items():
        inner[name] = ["observation" if own.sparse else recorded, *(["batch"] if own.by_batch else []), *own.dims]
    variables = {
        name: (
            dims + inner.get(name, []),
            values.reshape(*cells.shape, *values.shape[1:]),
            _attrs(name, "observation" if name in observed and observed[name].sparse else recorded, observed.get(name)),
        )
        for name, values in flat.items()
    }
    coords: dict[str, Any] = {
        axis: (dim.name, values, _attrs(axis)) for dim in cells.dims for axis, values in dim.values.items()
    }
    coords["epoch"] = ("epoch", np.arange(cells.epochs), _attrs("epoch"))
    if study.halving:
        coords["rung"] = ("rung", np.asarray(rungs_of(study, cells)), _attrs("rung"))
    if any("batch" in inner.get(name, []) for name in flat):
        coords["batch"] = ("batch", np.arange(slots), _attrs("batch"))
    place, size_dim = next((i, dim) for i, dim in enumerate(cells.dims) if {"batch_count", "batch_size"} & set(dim.values))
    # The first cell at each place of that dimension: the counts and sizes are the same in all others.
    first = np.moveaxis(np.arange(cells.num_cells).reshape(cells.shape), place, 0).reshape(size_dim.length, -1)[:, 0]
    full_size = np.asarray([split.sizes.max() for split in cells.splits])[cells.split]
    for axis, values in (("batch_count", cells.batch_count), ("batch_size", full_size)):
        coords.setdefault(axis, (size_dim.name, values[first], _attrs(axis)))
    described = study.described()
    coords |= _times(study, cells, size_dim.name, first)
    attrs = {
        "title": f"jaxsgd sweep of {described['problem']}",
        "study": json.dumps(described),
        "manifest": json.dumps(manifest),
        "identity": manifest["identity"],
        "eval_interval": study.eval_interval,
        "missing_cells": int(missing.sum()),
    }
    return xr.Dataset(variables, coords, attrs)


def _times(study: StudyFields, cells: Cells, dim: str, first: np.ndarray) -> dict[str, Any]:
    """Return the coordinates with the steps and epochs done at evaluations, and at the ends of epochs of unequal length.

    Args:
      study: of the result.
      cells: of the study.
      dim: the dimension of the batch count.
      first: a cell at each of its places.
    """
    split, count = cells.split[first], cells.batch_count[first][:, None]
    times: dict[str, Any] = {}
    if cells.evaluations is not None:
        done = cells.evaluations[split]
        times["evaluation"] = ("evaluation", np.arange(cells.num_records), _attrs("evaluation"))
        times["evaluation_step"] = ((dim, "evaluation"), done, _attrs("evaluation_step"))
        times["evaluation_epoch"] = ((dim, "evaluation"), done / count, _attrs("evaluation_epoch"))
    if cells.observations is not None:
        done = cells.observations[split]
        times["observation"] = ("observation", np.arange(cells.num_observations), _attrs("observation"))
        times["observation_step"] = ((dim, "observation"), done, _attrs("observation_step"))
        times["observation_epoch"] = ((dim, "observation"), done / count, _attrs("observation_epoch"))
    if study.epochs is None:
        begun = np.arange(cells.epochs) * count
        steps = cells.steps[split][:, None]
        done = np.where(begun < steps, np.minimum(begun + count, steps), np.nan)
        times["epoch_step"] = ((dim, "epoch"), done, _attrs("epoch_step"))
    return times


def _attrs(name: str, recorded: str = "epoch", record: Record | None = None) -> dict[str, str]:
    """Return the units and the meaning of a variable or coordinate, as `attrs`.

    Args:
      name: of the variable.
      recorded: the dimension of its records: "epoch", "evaluation" or "observation".
      record: the description of an observable.
    """
    if record and name not in METRICS:
        meaning = record.meaning + (", after each epoch" if recorded == "epoch" else "")
        return {"units": record.units, "long_name": meaning, "better": record.better}
    if name in METRICS:
        units, meaning = METRICS[name].units, METRICS[name].meaning
        meaning += ", after each epoch" if METRICS[name].measure and recorded == "epoch" else ""
    elif name.endswith(USED):
        units, meaning = "1", f"{name.removesuffix(USED)} after the batch rules"
    else:
        units, meaning = DESCRIPTIONS.get(name, ("1", name.replace("_", " ")))
    return {"units": units, "long_name": meaning}


def views(ds: xr.Dataset, eval_interval: int | None = None) -> xr.Dataset:
    """Return the striped and the averaged view of a result, for any evaluation interval.

    Args:
      ds: a result with every batch's loss (`record="batch"`).
      eval_interval: w, batches per window; by default the study's.

    Returns:
      A Dataset with `striped` (..., window), each window's mean loss; `averaged` (..., epoch); and, along the dimension of the
      batch count, `window_time` [window], when a window ends in epochs, and `stripe` [window], its stripe. Windows that a batch
      count does not have are NaN (stripe -1).

    Raises:
      InputError: when batch losses were not recorded, or the interval is longer than a run.
    """
    if "loss" not in ds:
        raise InputError("the striped view needs every batch's loss: run the study with record='batch'")
    width = int(ds.attrs["eval_interval"]) if eval_interval is None else check_count("eval_interval", eval_interval)
    loss = ds.loss.transpose(..., "epoch", "batch")
    along = ds.batch_count.dims[0] if ds.batch_count.dims else None
    counts = np.atleast_1d(ds.batch_count.values)
    epochs = ds.sizes["epoch"]
    most = epochs * int(counts.max()) // width
    if most == 0:
        raise InputError(f"eval_interval must be at most {epochs * int(counts.max())}, the batches of a run, got {width}")
    outer = loss.dims[:-2]
    values = loss.values
    axis = outer.index(along) if along in outer else None
    striped = np.full((*values.shape[:-2], most), np.nan)
    time, stripe = np.full((len(counts), most), np.nan), np.full((len(counts), most), -1)
    for i, m in enumerate(counts):
        number = np.arange(epochs * int(m) // width)
        if not len(number):
            continue
        place = tuple(i if j == axis else slice(None) for j in range(len(outer)))
        striped[(*place, slice(len(number)))] = windows(values[place][..., :m], width)
        time[i, : len(number)] = (number + 1) * width / m
        stripe[i, : len(number)] = number % stripe_count(int(m), width)
    lead = (along,) if axis is not None else ()
    kept = {name: coord for name, coord in ds.coords.items() if name != "batch"}
    return xr.Dataset(
        {
            "striped": ((*outer, "window"), striped, {"units": "loss", "long_name": f"mean loss of every {width} batches"}),
            "averaged": ds.loss_epoch,
            "window_time": ((*lead, "window"), time if lead else time[0], {"units": "epoch", "long_name": "end of the window"}),
            "stripe": ((*lead, "window"), stripe if lead else stripe[0], {"units": "1", "long_name": "stripe of the window"}),
        },
        kept,
        {**ds.attrs, "eval_interval": width},
    )
