"""The metrics of a result: what there is to judge its settings by, which way is better, and what each run comes to."""

import numpy as np
import xarray as xr

from jaxsgd.error import InputError, no_such
from jaxsgd.measure.observable import direction
from jaxsgd.measure.stripes import is_telling

NO_METRIC = ("loss", "rate", "diverged", "diverged_epoch", "missing")
"""Variables of a result that are no metric."""

STRIPES = ("stripe_gap", "stripe_index", "stripe_slope")
"""Metrics of the printed loss, by which no setting is better than another."""


def measures(ds: xr.Dataset) -> list[str]:
    """The names of a result's metrics: variables with one number for each cell, or for each epoch of a cell."""
    return [str(name) for name in ds.data_vars if name not in NO_METRIC and "batch" not in ds[name].dims]


def default_value(ds: xr.Dataset) -> str:
    """The metric where none is named: the loss on held-out samples where there are any, else the mean loss of an epoch."""
    return "validation_loss" if "validation_loss" in ds else "loss_epoch"


def metric_named(ds: xr.Dataset, value: str | None, *, by_epoch: bool = False) -> str:
    """The metric that is meant: the default one for None.

    Args:
      ds: a result.
      value: its name.
      by_epoch: whether only a metric with a number for each epoch will do.

    Raises:
      InputError: for a metric that is not there, with the nearest that is.
    """
    value = default_value(ds) if value is None else value
    valid = [name for name in measures(ds) if not by_epoch or "epoch" in ds[name].dims]
    if value not in valid and value in ("validation_loss", "validation_accuracy"):
        raise InputError(f"the result has no {value}, for nothing was held out: there is {', '.join(sorted(valid))}")
    if value not in valid:
        raise no_such("value", value, valid)
    return value


def final(ds: xr.Dataset, value: str) -> xr.DataArray:
    """Each cell's metric: after the last epoch where it has one for each, and NaN for a stripe index that says too little."""
    if value == "stripe_index":
        return readable_index(ds)
    return ds[value].isel(epoch=-1) if "epoch" in ds[value].dims else ds[value]


def cost(ds: xr.Dataset, value: str) -> xr.DataArray:
    """The number by which settings are ranked, of each cell: less is better, whatever the metric.

    Returns:
      The metric after the last epoch, with its sign changed where more is better. Infinite for a run that diverged or whose
      metric is not finite, NaN for one that was not run and for a run without such a number (a single stripe has no index).
    """
    measured = final(ds, value).astype(np.float64)
    bad = ds["diverged"] | np.isinf(measured)
    if "epoch" in ds[value].dims:
        bad = bad | np.isnan(measured)
    ranked = xr.where(bad, np.inf, direction(value) * measured)
    return xr.where(ds["missing"], np.nan, ranked).transpose(*measured.dims)


def readable_index(ds: xr.Dataset) -> xr.DataArray:
    """The stripe index of each cell; NaN where `jaxsgd.measure.stripes.is_telling` says that there is too little to tell."""
    if "batch_count" not in ds.coords or "eval_interval" not in ds.attrs:
        return ds["stripe_index"]
    epochs, width = ds.sizes["epoch"], int(ds.attrs["eval_interval"])
    count = ds["batch_count"]
    told = xr.DataArray(
        np.reshape([is_telling(int(m), epochs, width) for m in count.values.flat], count.shape), dims=count.dims
    )
    return ds["stripe_index"].where(told).transpose(*ds["stripe_index"].dims)
