"""The metrics of a result: the numbers by which its settings can be judged, and the number of each run."""

from __future__ import annotations

import numpy as np

from jaxsgd.error import InputError, counted, no_such
from jaxsgd.evaluation import parts_of_epoch
from jaxsgd.measure.observable import MetricName, direction
from jaxsgd.measure.stripes import is_telling
from jaxsgd.results.axes import check_dataset, stored
from jaxsgd.results.lazy_xarray import xr
from jaxsgd.study.batch_rules import USED

NO_METRIC = ("loss", "rate", "diverged", "diverged_epoch", "missing", "stopped_rung")
"""Variables of a result that are not metrics."""

STRIPES = ("stripe_gap", "stripe_index", "stripe_slope")
"""Metrics that describe the striped view of the loss; no setting is better than another by them."""


def metrics(ds: xr.Dataset) -> list[str]:
    """Return the names of a result's metrics: variables with one number for each cell, or for each epoch of a cell."""
    cells = set(ds["missing"].dims) if "missing" in ds else None
    variables = [str(name) for name in ds.data_vars if name not in NO_METRIC and not str(name).endswith(USED)]
    names = [name for name in variables if "batch" not in ds[name].dims]
    return [name for name in names if cells is None or not set(ds[name].dims) - cells - set(TIMES)]


STOPPED = ("stopped_step", "stopped_epoch")
"""Metrics of a study with `stop` that are NaN for a run that never reached its target, which is worse than any number."""

TIMES = ("epoch", "evaluation", "observation")
"""Dimensions along which a metric has a record for each part of a run."""


def time_dim(ds: xr.Dataset, metric: str) -> str | None:
    """Return the dimension of a metric's records: "epoch", "evaluation" or "observation"; None for a metric of whole runs."""
    return next((dim for dim in TIMES if dim in ds[metric].dims), None)


def record_steps(ds: xr.Dataset, metric: str) -> xr.DataArray:
    """Return the number of steps taken at each record of a metric, along its records and the axis of the batch count.

    An observable's record is of the parameters at that step. The mean loss over an epoch stands for the middle of its steps,
    because each of its losses is taken before a step. Past the end of a run it is NaN.
    """
    dim = time_dim(ds, metric)
    if dim in ("evaluation", "observation"):
        return ds[f"{dim}_step"]
    begun = ds["batch_count"] * ds["epoch"]
    done = ds["epoch_step"] if "epoch_step" in ds.coords else begun + ds["batch_count"]
    return (begun + done - 1) / 2 if metric == "loss_epoch" else done


def record_epochs(ds: xr.Dataset, metric: str) -> xr.DataArray:
    """Return the number of epochs done when each record of a metric was complete, with the dimensions of `record_steps`."""
    dim = time_dim(ds, metric)
    if dim in ("evaluation", "observation"):
        return ds[f"{dim}_epoch"]
    return ds["epoch_step"] / ds["batch_count"] if "epoch_step" in ds.coords else ds["epoch"] + 1.0


def record_axis(ds: xr.Dataset, metric: str) -> tuple[xr.DataArray, str]:
    """Return the position of each record of a metric along the x axis of a figure, and the axis's name.

    They are epochs; of a study with a budget in steps, in which runs end together after so many steps, they are steps.
    """
    done = record_epochs(ds, metric)
    if stored(ds, "study").get("steps"):
        return done * ds["batch_count"], "step"
    return done, "epoch"


def resolution(ds: xr.Dataset, metric: str) -> str:
    """Return the interval between a metric's records in words: "every 0.25 epochs", "every step", "after each epoch"."""
    if time_dim(ds, metric) == "observation":
        return f"every {counted(stored(ds, 'study')['observe_every'], 'epoch')}"
    if time_dim(ds, metric) != "evaluation":
        return "the mean of each epoch" if metric == "loss_epoch" else "after each epoch"
    every = stored(ds, "study")["evaluate_every"]
    parts = parts_of_epoch(every)
    if parts is not None:
        return f"every {every:g} epochs"
    return "every step" if every == 1 else f"every {every} steps"


def default_metric(ds: xr.Dataset) -> str:
    """Return the metric that is used if none is named.

    It is the loss on the held-out samples if there are any, else the loss on all training samples if it was evaluated, else the
    mean loss of an epoch.
    """
    return next((name for name in ("validation_loss", "train_loss") if name in ds), "loss_epoch")


def metric_named(ds: xr.Dataset, metric: str | None, *, by_epoch: bool = False) -> str:
    """Return the name of a metric that the result has: the default metric for None.

    Args:
      ds: a result.
      metric: its name.
      by_epoch: True if the metric must have several records of each run.

    Raises:
      InputError: for a metric that the result does not have, with the nearest that it has; for anything that is no Dataset.
    """
    check_dataset(ds)
    metric = default_metric(ds) if metric is None else metric
    valid = [name for name in metrics(ds) if not by_epoch or time_dim(ds, name)]
    if metric not in valid and metric in ("validation_loss", "validation_accuracy"):
        raise InputError(f"the result has no {metric}, because no samples were held out; it has {', '.join(sorted(valid))}")
    if metric not in valid:
        raise no_such("metric", metric, valid)
    return MetricName.of(metric, ds[metric].attrs["better"]) if "better" in ds[metric].attrs else metric


def carried(ds: xr.Dataset, metric: str) -> xr.DataArray:
    """Return a metric of which a run that stopped at its target keeps its last record: NaN after the stop is filled with it."""
    dim, measured = time_dim(ds, metric), ds[metric]
    if dim is None or "stopped_step" not in ds:
        return measured
    records = measured.transpose(..., dim)
    last = np.maximum.accumulate(np.where(np.isnan(records.values), 0, np.arange(records.sizes[dim])), axis=-1)
    filled = records.copy(data=np.take_along_axis(records.values, last, axis=-1))
    return measured.where(ds["stopped_step"].isnull(), filled).transpose(*measured.dims)


def final(ds: xr.Dataset, metric: str) -> xr.DataArray:
    """Return each cell's metric at its last record; NaN for a stripe index of too few windows."""
    if metric == "stripe_index":
        return readable_index(ds)
    dim = time_dim(ds, metric)
    if dim is None:
        return ds[metric]
    if dim == "epoch" and "epoch_step" not in ds.coords:
        return carried(ds, metric).isel(epoch=-1)
    recorded = record_steps(ds, metric).notnull()
    if recorded.all():
        return carried(ds, metric).isel({dim: -1})
    last = carried(ds, metric).isel({dim: recorded.sum(dim) - 1})
    return last.transpose(*(name for name in ds[metric].dims if name != dim))


def cost(ds: xr.Dataset, metric: str) -> xr.DataArray:
    """Return the number by which settings are ranked, of each cell: lower is better, whatever the metric.

    Returns:
      The metric at the end of the run, with its sign changed if higher is better. Infinite for a run that diverged or whose
      metric is not finite, and for the steps to a target that a run never reached; NaN for a cell that was not run, for one
      that a halving stopped before its end, and for a run without such a number (a single stripe has no index).
    """
    measured = final(ds, metric).astype(np.float64)
    bad = ds["diverged"] | np.isinf(measured)
    if time_dim(ds, metric) or metric in STOPPED:
        bad = bad | np.isnan(measured)
    ranked = xr.where(bad, np.inf, direction(metric) * measured)
    unknown = ds["missing"] | ds["stopped_rung"].notnull() if "stopped_rung" in ds else ds["missing"]
    return xr.where(unknown, np.nan, ranked).transpose(*measured.dims)


def readable_index(ds: xr.Dataset) -> xr.DataArray:
    """Return the stripe index of each cell; NaN if it has too few windows (`jaxsgd.measure.stripes.is_telling`)."""
    if "batch_count" not in ds.coords or "eval_interval" not in ds.attrs:
        return ds["stripe_index"]
    width = int(ds.attrs["eval_interval"])
    count, epochs = xr.broadcast(ds["batch_count"], _whole_epochs(ds))
    telling = [is_telling(int(m), int(whole), width) for m, whole in zip(count.values.flat, epochs.values.flat, strict=True)]
    enough = xr.DataArray(np.reshape(telling, count.shape), dims=count.dims)
    return ds["stripe_index"].where(enough).transpose(*ds["stripe_index"].dims)


def _whole_epochs(ds: xr.Dataset) -> xr.DataArray:
    """Return the number of epochs that runs completed, by batch count, and by cell if runs stop at a target."""
    whole = xr.DataArray(ds.sizes["epoch"])
    if "epoch_step" in ds.coords:
        whole = ds["epoch_step"].max("epoch") // ds["batch_count"]
    if "stopped_step" in ds:
        whole = (ds["stopped_step"] // ds["batch_count"]).fillna(whole)
    return whole
