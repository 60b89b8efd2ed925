"""A metric of every setting of a result: its median and its mean over the seeds, each with an interval."""

import numpy as np
import xarray as xr

from jaxsgd.analysis.compare import paired_difference
from jaxsgd.analysis.confidence import check_confidence, median_interval
from jaxsgd.measure.observable import direction
from jaxsgd.results.axes import cell_dims, seed_dims
from jaxsgd.results.metric import cost, final, metric_named
from jaxsgd.results.seed_median import seed_median


def over_seeds(
    ds: xr.Dataset, metric: str | None = None, *, confidence: float = 0.95, resamples: int = 1000, seed: int = 0
) -> xr.Dataset:
    """Return the median and the mean over the seeds of a metric at the end of the runs, for every setting, with intervals.

    The intervals are of each setting by itself. `jaxsgd.compare` compares settings on the same seeds, and its intervals are
    narrower, because what a seed does to both cancels.

    Args:
      ds: a result.
      metric: the metric; by default "validation_loss" if the result has it, else "train_loss", else "loss_epoch".
      confidence: level of the intervals, between 0 and 1.
      resamples, seed: of the bootstrap over the seeds that gives the interval of the median.

    Returns:
      A Dataset along the axes of the result without the seeds. In the units of the metric: `median_value`, in which a run that
      diverged counts as infinitely bad, with `low` and `high` (a bootstrap, as in `jaxsgd.best`); `mean_value` of the runs that
      did not diverge, with `mean_low` and `mean_high` (Student's t). An interval is NaN where the seeds do not support it, and
      `no_interval` gives the reason for the median's. Besides: `seeds` and `diverged`, numbers of runs.

    Raises:
      InputError: for a metric that the result does not have, or a confidence level outside (0, 1).
    """
    metric = metric_named(ds, metric)
    check_confidence(confidence)
    seeds = seed_dims(ds)
    kept = [dim for dim in cell_dims(ds) if dim not in seeds]

    def flat(array: xr.DataArray) -> np.ndarray:
        """Return [..., R]: the axes that stay, and all seeds."""
        values = array.transpose(*kept, *seeds).values.astype(np.float64)
        return values.reshape(*values.shape[: len(kept)], -1)

    sign, costs, diverged = direction(metric), flat(cost(ds, metric)), flat(ds["diverged"]) > 0
    low, high, reason = median_interval(costs, sign, confidence, resamples, seed)
    values = np.where(diverged, np.nan, flat(final(ds, metric)))
    mean = paired_difference(values, np.zeros_like(values), confidence)
    units, level = str(ds[metric].attrs.get("units", "1")), f"{100 * confidence:g} % interval"
    columns = {
        "median_value": (sign * seed_median(costs), units, f"median {metric} over the seeds; a diverged run is infinitely bad"),
        "low": (low, units, f"lower end of the {level} of the median"),
        "high": (high, units, f"upper end of the {level} of the median"),
        "no_interval": (reason, "1", "reason if the median has no interval, else empty"),
        "mean_value": (mean.difference, units, f"mean {metric} over the runs that did not diverge"),
        "mean_low": (mean.low, units, f"lower end of the {level} of the mean"),
        "mean_high": (mean.high, units, f"upper end of the {level} of the mean"),
        "seeds": ((~np.isnan(costs)).sum(axis=-1), "runs", "runs of the setting"),
        "diverged": (diverged.sum(axis=-1), "runs", "runs that diverged"),
    }
    variables = {name: (kept, array, {"units": unit, "long_name": text}) for name, (array, unit, text) in columns.items()}
    coords = {name: coord for name, coord in ds.coords.items() if coord.dims and set(coord.dims) <= set(kept)}
    attrs = {"title": f"{metric} over the seeds", "metric": metric, "confidence": float(confidence), "units": units}
    return xr.Dataset(variables, coords, attrs)
