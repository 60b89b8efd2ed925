"""The metrics of a result: what there is to judge its settings by, which way is better, and what each run comes to."""

import json

import numpy as np
import xarray as xr

from jaxsgd.error import InputError, no_such
from jaxsgd.evaluation import parts_of_epoch
from jaxsgd.measure.observable import direction
from jaxsgd.measure.stripes import is_telling

NO_METRIC = ("loss", "rate", "diverged", "diverged_epoch", "missing")
"""Variables of a result that are no metric."""

STRIPES = ("stripe_gap", "stripe_index", "stripe_slope")
"""Metrics of the printed loss, by which no setting is better than another."""


def measures(ds: xr.Dataset) -> list[str]:
    """The names of a result's metrics: variables with one number for each cell, or for each epoch of a cell."""
    return [str(name) for name in ds.data_vars if name not in NO_METRIC and "batch" not in ds[name].dims]


TIMES = ("epoch", "evaluation")
"""Dimensions along which a metric has a record for each part of a run."""


def time_dim(ds: xr.Dataset, value: str) -> str | None:
    """Return the dimension of a metric's records: "epoch" or "evaluation"; None for a metric of whole runs."""
    return next((dim for dim in TIMES if dim in ds[value].dims), None)


def record_steps(ds: xr.Dataset, value: str) -> xr.DataArray:
    """Return how many steps runs had taken at each record of a metric, along its records and the axis of the batch count.

    An observable's record is of the parameters at that step. The mean loss over an epoch stands for the middle of its steps,
    for its losses are each taken before a step. Past the end of a run it is NaN.
    """
    if time_dim(ds, value) == "evaluation":
        return ds["evaluation_step"]
    begun = ds["batch_count"] * ds["epoch"]
    done = ds["epoch_step"] if "epoch_step" in ds.coords else begun + ds["batch_count"]
    return (begun + done - 1) / 2 if value == "loss_epoch" else done


def record_epochs(ds: xr.Dataset, value: str) -> xr.DataArray:
    """Return how many epochs were done when each record of a metric was complete, with the dimensions of `record_steps`."""
    if time_dim(ds, value) == "evaluation":
        return ds["evaluation_epoch"]
    return ds["epoch_step"] / ds["batch_count"] if "epoch_step" in ds.coords else ds["epoch"] + 1.0


def record_axis(ds: xr.Dataset, value: str) -> tuple[xr.DataArray, str]:
    """Return where each record of a metric lies along the x axis of a figure, and the axis's name.

    They are epochs; of a study with a budget in steps, in which runs end together after so many steps, they are steps.
    """
    done = record_epochs(ds, value)
    if json.loads(ds.attrs.get("study", "{}")).get("steps"):
        return done * ds["batch_count"], "step"
    return done, "epoch"


def resolution(ds: xr.Dataset, value: str) -> str:
    """Return in words how far apart a metric's records are: "every 0.25 epochs", "every step", "after each epoch"."""
    if time_dim(ds, value) != "evaluation":
        return "the mean of each epoch" if value == "loss_epoch" else "after each epoch"
    every = json.loads(ds.attrs["study"])["evaluate_every"]
    parts = parts_of_epoch(every)
    if parts is not None:
        return f"every {every:g} epochs"
    return "every step" if every == 1 else f"every {every} steps"


def default_value(ds: xr.Dataset) -> str:
    """The metric where none is named: the loss on held-out samples where there are any, else the loss on all samples of the
    training where it was evaluated, else the mean loss of an epoch."""
    return next((name for name in ("validation_loss", "train_loss") if name in ds), "loss_epoch")


def metric_named(ds: xr.Dataset, value: str | None, *, by_epoch: bool = False) -> str:
    """The metric that is meant: the default one for None.

    Args:
      ds: a result.
      value: its name.
      by_epoch: whether only a metric with several records of each run will do.

    Raises:
      InputError: for a metric that is not there, with the nearest that is.
    """
    value = default_value(ds) if value is None else value
    valid = [name for name in measures(ds) if not by_epoch or time_dim(ds, name)]
    if value not in valid and value in ("validation_loss", "validation_accuracy"):
        raise InputError(f"the result has no {value}, for nothing was held out: there is {', '.join(sorted(valid))}")
    if value not in valid:
        raise no_such("value", value, valid)
    return value


def final(ds: xr.Dataset, value: str) -> xr.DataArray:
    """Each cell's metric at its last record, and NaN for a stripe index that says too little."""
    if value == "stripe_index":
        return readable_index(ds)
    dim = time_dim(ds, value)
    if dim is None:
        return ds[value]
    if dim == "epoch" and "epoch_step" not in ds.coords:
        return ds[value].isel(epoch=-1)
    recorded = record_steps(ds, value).notnull()
    if recorded.all():
        return ds[value].isel({dim: -1})
    last = ds[value].isel({dim: recorded.sum(dim) - 1})
    return last.transpose(*(name for name in ds[value].dims if name != dim))


def cost(ds: xr.Dataset, value: str) -> xr.DataArray:
    """The number by which settings are ranked, of each cell: less is better, whatever the metric.

    Returns:
      The metric at the end of the run, with its sign changed where more is better. Infinite for a run that diverged or whose
      metric is not finite, NaN for one that was not run and for a run without such a number (a single stripe has no index).
    """
    measured = final(ds, value).astype(np.float64)
    bad = ds["diverged"] | np.isinf(measured)
    if time_dim(ds, value):
        bad = bad | np.isnan(measured)
    ranked = xr.where(bad, np.inf, direction(value) * measured)
    return xr.where(ds["missing"], np.nan, ranked).transpose(*measured.dims)


def readable_index(ds: xr.Dataset) -> xr.DataArray:
    """The stripe index of each cell; NaN where `jaxsgd.measure.stripes.is_telling` says that there is too little to tell."""
    if "batch_count" not in ds.coords or "eval_interval" not in ds.attrs:
        return ds["stripe_index"]
    width, count = int(ds.attrs["eval_interval"]), ds["batch_count"]
    epochs = np.broadcast_to(_whole_epochs(ds), count.shape)
    telling = [is_telling(int(m), int(own), width) for m, own in zip(count.values.flat, epochs.flat, strict=True)]
    told = xr.DataArray(np.reshape(telling, count.shape), dims=count.dims)
    return ds["stripe_index"].where(told).transpose(*ds["stripe_index"].dims)


def _whole_epochs(ds: xr.Dataset) -> np.ndarray:
    """How many epochs runs went through to the end, by batch count."""
    if "epoch_step" not in ds.coords:
        return np.asarray(ds.sizes["epoch"])
    return np.asarray(ds["epoch_step"].max("epoch") // ds["batch_count"])
