"""The variance of a result by source: its data, its initial parameters, or the order of its samples."""

import itertools
from typing import NamedTuple

import numpy as np
import xarray as xr
from jaxtyping import Float, Int
from numpy.typing import ArrayLike

from jaxsgd.error import InputError
from jaxsgd.results.axes import seed_dims
from jaxsgd.results.metric import final, metric_named


def seed_variance(ds: xr.Dataset, metric: str | None = None) -> xr.Dataset:
    """Return how much of a metric's variance each kind of seed causes, after the last epoch.

    Args:
      ds: a result with at least two of the axes data_seed, init_seed and order_seed.
      metric: the metric; by default "validation_loss" if the result has it, else "train_loss", else "loss_epoch".

    Returns:
      `deviation` along a dimension `source` (the seeds' axes, and "all" for all drawn anew together) and the result's other
      axes: standard deviations, in the units of the metric; `share`, each variance divided by that of all; and `left_out`, the
      number of runs without a finite value. See `jaxsgd.analysis.seed_variances`.

    Raises:
      InputError: for fewer than two axes of seeds, or a metric that the result does not have.
    """
    metric = metric_named(ds, metric)
    measured = final(ds, metric)
    seeds = [dim for dim in seed_dims(ds) if dim in measured.dims]
    if len(seeds) < 2:
        raise InputError(
            f"the effects of data, start and order need two of data_seeds, init_seeds and order_seeds, got {seeds}"
        )
    others = [str(dim) for dim in measured.dims if dim not in seeds]
    finite = xr.where(ds["diverged"], np.nan, measured).transpose(*others, *seeds)
    variances = seed_variances(finite.values, len(seeds))
    variance = np.concatenate([variances.alone, variances.together[..., None]], axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = variance / variances.together[..., None]
    units = ds[metric].attrs.get("units", "1")
    along = (*others, "source")
    return xr.Dataset(
        {
            "deviation": (along, np.sqrt(variance), {"units": units, "long_name": f"standard deviation of {metric}"}),
            "share": (along, share, {"units": "1", "long_name": "variance divided by that of all seeds drawn anew"}),
            "left_out": (others, variances.left_out, {"units": "runs", "long_name": "runs without a finite value"}),
        },
        {"source": [*seeds, "all"], **{name: c for name, c in ds.coords.items() if c.dims and set(c.dims) <= set(others)}},
        {"title": f"variance of {metric} by source", "metric": metric},
    )


class SeedVariances(NamedTuple):
    """Variance of a metric by the seeds that are drawn anew; A axes of seeds.

    Attributes:
      alone: [..., A], variance when the seed of that axis alone is drawn anew and all others are fixed, averaged over their
        values. NaN for an axis of one seed.
      together: [...], variance when all seeds are drawn anew. NaN if an axis has one seed.
      left_out: [...], number of runs without a finite value.
    """

    alone: Float[np.ndarray, "*cells A"]
    together: Float[np.ndarray, "*cells"]
    left_out: Int[np.ndarray, "*cells"]


def seed_variances(values: ArrayLike, axes: int) -> SeedVariances:
    """Return the variances of runs that cross several kinds of seeds: one source varied at a time, and all at once.

    A variance is half the mean squared difference of two runs: of those that differ in one seed alone, and of those that
    differ in all. Both are unbiased, and they need not add up: the joint effect of two seeds is in the second alone. See
    Bouthillier et al. 2021, "Accounting for variance in machine learning benchmarks".

    Args:
      values: [..., n_1, ..., n_A], every combination of the seeds of A axes; a run without a finite value is left out.
      axes: A, at least 1.

    Raises:
      InputError: for fewer axes than A.
    """
    values = np.asarray(values, np.float64)
    if axes < 1 or values.ndim < axes:
        raise InputError(f"values must have the {axes} axes of the seeds last, got shape {values.shape}")
    finite = np.isfinite(values)
    last = tuple(range(-axes, 0))
    alone = np.stack([_half_mean_square(values, finite, (axis,), last) for axis in last], axis=-1)
    return SeedVariances(alone, _half_mean_square(values, finite, last, last), np.asarray((~finite).sum(axis=last)))


def _half_mean_square(values: np.ndarray, finite: np.ndarray, differing: tuple[int, ...], last: tuple[int, ...]) -> np.ndarray:
    """Return half the mean squared difference of all pairs whose seeds differ on the axes `differing` and agree elsewhere."""
    total, count = np.zeros(values.shape[: -len(last)]), np.zeros(values.shape[: -len(last)], int)
    # Rolled by every shift but 0 along each of these axes, an array meets all the runs that differ from it on these axes.
    for shifts in itertools.product(*(range(1, values.shape[axis]) for axis in differing)):
        other, other_finite = (np.roll(array, shifts, axis=differing) for array in (values, finite))
        both = finite & other_finite
        square = np.subtract(values, other, out=np.zeros(values.shape), where=both) ** 2
        total, count = total + square.sum(axis=last), count + both.sum(axis=last)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(total / (2 * np.where(count > 0, count, np.nan)))
