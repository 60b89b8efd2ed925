"""The values of one axis of a result compared: paired over the seeds, and ranked.

Runs with the same seed have the same data and the same initial parameters. A difference is therefore taken seed by seed: the
effect of a seed on both settings cancels (Student 1908, "The probable error of a mean").
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Bool, Float, Int
from numpy.typing import ArrayLike
from scipy import special

from jaxsgd.analysis.confidence import check_confidence, why_no_difference
from jaxsgd.error import InputError, shown
from jaxsgd.measure.observable import direction
from jaxsgd.results.axes import axis_dim, axis_values, listed, places, seed_dims
from jaxsgd.results.metric import STOPPED, carried, final, metric_named, record_epochs, resolution, time_dim
from jaxsgd.summary import short_repr


def compare(
    ds: xr.Dataset,
    axis: str,
    metric: str | None = None,
    *,
    reference: object = None,
    epoch: int | None = None,
    confidence: float = 0.95,
) -> xr.Dataset:
    """Return the difference of each value of an axis from a reference on the same seeds, at every value of the other axes.

    A run that diverged by then has no difference and ranks last. A cell that has not been run has neither difference nor rank.

    Args:
      ds: a result.
      axis: the axis that is compared, such as "order".
      metric: by which settings are judged: "loss_epoch", "distance", "stripe_index", ... or a variable of your own along the
        same axes; by default "validation_loss" if the result has it, else "train_loss", else "loss_epoch".
      reference: the value of the axis from which the others are subtracted; by default the first.
      epoch: at whose end to compare, 0-based, for a metric with several records of a run; by default the end of the run.
      confidence: level of the intervals, between 0 and 1.

    Returns:
      A Dataset along the result's axes without the seeds. In the units of the metric: `mean_value` over the seeds with a finite
      value, the paired `difference`, and `low` and `high` of its interval (NaN if the seeds do not support one, and
      `no_interval` gives the reason). Besides: `pairs`, `left_out`, `tie` (the interval contains 0), `mean_rank` (over the
      seeds; 1 for the best, which is the lowest value, of an accuracy the highest) and `ranked` (the number of those seeds).
      See `jaxsgd.analysis.paired_difference` and `jaxsgd.analysis.rank_table`.

    Raises:
      InputError: for an axis, a metric, a reference or an epoch that the result does not have, with the nearest that it has, or
        a confidence level outside (0, 1).
    """
    dim = axis_dim(ds, axis)
    metric = metric_named(ds, metric)
    along = axis_values(ds, axis)
    at = 0 if reference is None else int(np.flatnonzero(places(axis, along, reference))[0])
    measured, when = _at_epoch(ds, metric, epoch)
    seeds = [name for name in seed_dims(ds, (dim,)) if name in measured.dims]
    if dim not in measured.dims:
        raise InputError(
            f"{metric} is the same for every {axis}: it has no such dimension, only {', '.join(map(str, measured.dims))}"
        )
    others = [str(name) for name in measured.dims if name not in (dim, *seeds)]
    ordered = measured.transpose(*others, dim, *seeds)
    values = ordered.values.astype(np.float64).reshape(*ordered.shape[: len(others) + 1], -1)
    ended = _ended(ds, measured, when).transpose(*ordered.dims).values.reshape(values.shape)

    finite = np.where(ended | ~np.isfinite(values), np.nan, values)
    pairs = paired_difference(finite, finite[..., at, None, :], confidence)
    ranks = rank_table(np.where(ended | np.isinf(values), np.inf, direction(metric) * values))
    with np.errstate(invalid="ignore"):
        mean = np.nansum(finite, axis=-1) / np.isfinite(finite).sum(axis=-1)
    dims, units = (*others, dim), ds[metric].attrs.get("units", "1")
    less = f"less that of {axis} {along[at]}, paired by seed"
    columns = {
        "mean_value": (mean, units, f"mean {metric} over the seeds with a finite value"),
        "difference": (pairs.difference, units, f"mean {metric} {less}"),
        "low": (pairs.low, units, f"lower end of the {100 * confidence:g} % interval of the difference"),
        "high": (pairs.high, units, f"upper end of the {100 * confidence:g} % interval of the difference"),
        "no_interval": (why_no_difference(finite, finite[..., at, None, :]), "1", "reason if there is no interval, else empty"),
        "pairs": (pairs.pairs, "seeds", "seeds with a finite value on both sides"),
        "left_out": (pairs.left_out, "seeds", "seeds without a finite value on one side or both"),
        "tie": (pairs.tie, "1", "true if the interval contains 0"),
        "mean_rank": (ranks.mean, "1", f"mean rank among the values of {axis}, 1 for the best; diverged runs rank last"),
        "ranked": (np.broadcast_to(ranks.seeds[..., None], mean.shape), "seeds", "seeds over which the rank is averaged"),
    }
    variables = {name: (dims, array, {"units": unit, "long_name": text}) for name, (array, unit, text) in columns.items()}
    coords = {name: coord for name, coord in ds.coords.items() if set(coord.dims) <= set(dims)}
    attrs = {"title": f"{metric} by {axis}, {less}", "axis": axis, "metric": metric, "reference": _plain(along[at])}
    attrs |= {"confidence": float(confidence), "seeds": ", ".join(seeds), **({} if when is None else {"epoch": when})}
    return xr.Dataset(variables, coords, attrs)


def _at_epoch(ds: xr.Dataset, metric: str, epoch: int | None) -> tuple[xr.DataArray, int | None]:
    """Return the metric at the end of an epoch, and that epoch; None for the end of runs without a common last epoch."""
    measured, dim = carried(ds, metric), time_dim(ds, metric)
    epochs = ds["epoch"].values.tolist()
    if dim is None and epoch is not None:
        raise InputError(f"{metric} has one value for a whole run and none for an epoch, got epoch={shown(epoch)}")
    if epoch is None:
        return final(ds, metric), epochs[-1] if dim == "epoch" and "epoch_step" not in ds.coords else None
    if isinstance(epoch, bool) or epoch not in epochs:
        raise InputError(f"epoch must be one of {listed(np.asarray(epochs))} (0-based), got {shown(epoch)}")
    if dim == "epoch":
        return measured.isel(epoch=epochs.index(epoch)), int(epoch)
    at_end = abs(record_epochs(ds, metric) - (epoch + 1)) < 1e-9
    if not at_end.any(dim).all():
        raise InputError(f"{metric} was evaluated {resolution(ds, metric)}, and not at the end of epoch {epoch} of every run")
    return measured.isel({dim: at_end.argmax(dim)}), int(epoch)


def _ended(ds: xr.Dataset, measured: xr.DataArray, when: int | None) -> xr.DataArray:
    """Return True for each run that had diverged by then, or never reached the target if its steps to it are compared."""
    if measured.name in STOPPED:
        return measured.isnull() & ~ds["missing"].broadcast_like(measured)
    if "diverged_epoch" not in ds:
        return xr.zeros_like(measured, bool)
    last = np.inf if when is None else when
    return (ds["diverged_epoch"] <= last).broadcast_like(measured)


def _plain(value: object) -> object:
    return value.item() if isinstance(value, np.generic) else value


class PairedDifference(NamedTuple):
    """Differences between two settings over the seeds that they share; [...] any other axes.

    Attributes:
      difference: [...], mean over the pairs of value less reference, in their units; NaN without a pair.
      low, high: [...], ends of the confidence interval of that mean; NaN if the seeds show no spread
        (`jaxsgd.analysis.confidence.why_no_difference`): with fewer than two pairs, or if all pairs are the same.
      pairs: [...], number of seeds with a finite value on both sides.
      left_out: [...], number of the other seeds.
    """

    difference: Float[np.ndarray, "*cells"]
    low: Float[np.ndarray, "*cells"]
    high: Float[np.ndarray, "*cells"]
    pairs: Int[np.ndarray, "*cells"]
    left_out: Int[np.ndarray, "*cells"]

    __repr__ = short_repr

    @property
    def tie(self) -> Bool[np.ndarray, "*cells"]:
        """[...], True if the interval contains 0, so that the seeds do not separate the two. False without an interval."""
        return np.asarray((self.low <= 0) & (self.high >= 0))

    @property
    def clear(self) -> Bool[np.ndarray, "*cells"]:
        """[...], True if the interval excludes 0. False without an interval, which is neither clear nor a tie."""
        return np.asarray((self.low > 0) | (self.high < 0))


def paired_difference(value: ArrayLike, reference: ArrayLike, confidence: float = 0.95) -> PairedDifference:
    """Return the mean paired difference over seeds with its Student t interval, mean +- t s / sqrt(n).

    s is the standard deviation of the n differences (n - 1 in its denominator) and t the quantile of Student's distribution
    with n - 1 degrees of freedom at (1 + confidence) / 2 (Student 1908; Fisher 1925, "Applications of Student's distribution").
    The level is exact for normal differences, and approximate for others, better with more seeds. Each interval is for its own
    difference: of twenty at 95 %, one misses on average.

    Args:
      value: [..., R], R seeds last.
      reference: [..., R], on the same seeds; shapes broadcast.
      confidence: level of the interval, between 0 and 1.

    Raises:
      InputError: for a confidence level outside (0, 1), or arrays whose seeds or other axes differ.
    """
    check_confidence(confidence)
    sides = [np.asarray(side, np.float64) for side in (value, reference)]
    shapes = [side.shape for side in sides]
    try:
        sides = np.broadcast_arrays(*sides)
    except ValueError:
        sides = []
    if not sides or not all(shapes) or shapes[0][-1] != shapes[1][-1]:
        raise InputError(f"value and reference must share their last axis, the seeds, got shapes {shapes[0]} and {shapes[1]}")
    both = np.isfinite(sides[0]) & np.isfinite(sides[1])
    differences = np.subtract(*sides, out=np.zeros(both.shape), where=both)
    pairs = both.sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = differences.sum(axis=-1) / pairs
        variance = np.sum(np.where(both, differences - mean[..., None], 0) ** 2, axis=-1) / np.where(
            pairs > 1, pairs - 1, np.nan
        )
        # With no degree of freedom there is no quantile: it is NaN.
        reach = special.stdtrit(pairs - 1, (1 + confidence) / 2) * np.sqrt(variance / pairs)
    reach = np.where(why_no_difference(*sides) == "", reach, np.nan)
    return PairedDifference(*map(np.asarray, (mean, mean - reach, mean + reach, pairs, both.shape[-1] - pairs)))


class RankTable(NamedTuple):
    """Ranks of V settings, 1 for the lowest value.

    Attributes:
      mean: [..., V], mean rank over the seeds that have a value of every setting; NaN without such a seed.
      share_first: [..., V], share of those seeds in which the setting is lowest; settings that tie for it share it equally.
      seeds: [...], number of those seeds.
    """

    mean: Float[np.ndarray, "*cells V"]
    share_first: Float[np.ndarray, "*cells V"]
    seeds: Int[np.ndarray, "*cells"]

    __repr__ = short_repr


def rank_table(value: ArrayLike) -> RankTable:
    """Return the ranks of settings within each seed, averaged over the seeds; equal values share the mean of their ranks.

    See Demsar 2006, "Statistical comparisons of classifiers over multiple data sets".

    Args:
      value: [..., V, R], settings and seeds; infinity ranks last, and a seed with a NaN is left out.

    Raises:
      InputError: for an array of fewer than two axes.
    """
    value = np.asarray(value, np.float64)
    if value.ndim < 2:
        raise InputError(f"value must be an array [..., settings, seeds], got shape {value.shape}")
    by_setting = np.moveaxis(value, -2, 0)
    rank = pd.DataFrame(by_setting.reshape(len(by_setting), -1)).rank().to_numpy()
    rank = np.moveaxis(rank.reshape(by_setting.shape), 0, -2)
    lowest = value == value.min(axis=-2, keepdims=True)
    whole = ~np.isnan(value).any(axis=-2, keepdims=True)
    seeds = np.asarray(whole.sum(axis=(-2, -1)))
    first = lowest / np.maximum(lowest.sum(axis=-2, keepdims=True), 1)
    with np.errstate(invalid="ignore"):
        mean, share = (np.where(whole, part, 0).sum(axis=-1) / seeds[..., None] for part in (rank, first))
    return RankTable(mean, share, seeds)
