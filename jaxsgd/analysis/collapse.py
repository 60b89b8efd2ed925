"""Collapse: how nearly the curves of an axis, such as those of all batch sizes under a batch rule, lie on one another."""

import numpy as np
import xarray as xr

from jaxsgd.analysis.choice import seed_median
from jaxsgd.analysis.confidence import check_confidence, few_seeds, fewest_seeds, interval, resampled_seeds
from jaxsgd.error import InputError, check_count
from jaxsgd.results.axes import axis_dim, axis_values, cell_dims, check_finished, seed_dims
from jaxsgd.results.metric import metric_named, time_dim


def collapse(
    ds: xr.Dataset,
    axis: str,
    metric: str | None = None,
    *,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> xr.Dataset:
    """Return the factor between the curves of an axis: 1 if they lie on one another.

    At each record of a run, the factor is the largest median over the seeds divided by the smallest, over the values of the
    axis; `ratio` is its geometric mean over the records. Records are at shares of the training that all values share.

    Args:
      ds: a finished result.
      axis: the axis of the curves, such as "batch_size".
      metric: a positive metric with several records of a run; by default "validation_loss" or "train_loss" where there is one,
        and otherwise "loss_epoch".
      confidence: level of the interval, between 0 and 1.
      resamples, seed: of the bootstrap over the seeds.

    Returns:
      A Dataset along the other axes: `ratio`, infinite if half of the seeds diverged in some record, with `low` and `high` of
      its interval, NaN with too few seeds.

    Raises:
      InputError: for an axis or a metric that the result does not have, a metric that is not positive, an unfinished result, or
        runs that are recorded at other times for each value.
    """
    metric = metric_named(ds, metric, by_epoch=True)
    check_confidence(confidence)
    dim, time = axis_dim(ds, axis), time_dim(ds, metric)
    if len(axis_values(ds, axis)) < 2:
        raise InputError(f"{axis} must have two values or more, whose curves are compared")
    check_finished(ds, "compared")
    seeds = seed_dims(ds, (dim,))
    others = [name for name in cell_dims(ds) if name not in (dim, *seeds)]
    measured = ds[metric].transpose(*others, dim, time, *seeds)
    values = measured.values.astype(np.float64)
    values = values.reshape(*values.shape[: len(others) + 2], -1)
    diverged = ds["diverged"].transpose(*others, dim, *seeds).values.reshape(*values.shape[:-2], 1, -1)
    if (np.isnan(values) & ~diverged).any():
        raise InputError(f"{axis} must have {metric} at the same records for all values: use a budget in epochs")
    if (values <= 0).any():
        raise InputError(f"{metric} must be positive for a ratio, such as a loss")
    values = np.where(np.isfinite(values), values, np.inf)

    def ratio(values: np.ndarray) -> np.ndarray:
        """Return the ratios of values [..., V, E, R]."""
        medians = np.log(seed_median(values))
        return np.exp((medians.max(axis=-2) - medians.min(axis=-2)).mean(axis=-1))

    drawn = resampled_seeds(values.shape[-1], check_count("resamples", resamples), seed)
    with np.errstate(invalid="ignore"):
        point = ratio(values)
        low = high = np.full_like(point, np.nan)
        if not few_seeds(values.shape[-1], fewest_seeds(confidence), confidence):
            low, high = interval(np.stack([ratio(values[..., own]) for own in drawn]), confidence)
    texts = {
        "ratio": f"largest over smallest median {metric} along {axis}, mean over the records",
        "low": "lower end of its interval",
        "high": "upper end of its interval",
    }
    columns = dict(zip(texts, (point, low, high), strict=True))
    return xr.Dataset(
        {name: (others, array, {"units": "1", "long_name": texts[name]}) for name, array in columns.items()},
        {name: coord for name, coord in ds.coords.items() if coord.dims and set(coord.dims) <= set(others)},
        {"title": f"collapse of {metric} along {axis}", "metric": metric, "axis": axis, "confidence": float(confidence)},
    )
