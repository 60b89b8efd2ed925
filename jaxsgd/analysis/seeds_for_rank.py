"""The number of seeds at which the setting of a rank is separated from the next one, worked out from a pilot of a few seeds.

The pilot ranks the settings by their mean. The number of seeds follows from the paired differences between the two settings, as
in `jaxsgd.analysis.seeds_needed`, and its interval from a bootstrap over the pilot's seeds (Efron 1979, "Bootstrap methods:
another look at the jackknife"). The same seeds rank and judge, so close settings look further apart than they are.
"""

import numpy as np
import xarray as xr

from jaxsgd.analysis.confidence import CONFIDENCE, check_confidence, interval, resampled_seeds, why_no_difference
from jaxsgd.analysis.seeds_needed import SAME_DIFFERENCE, check_power, seeds_for_effect
from jaxsgd.error import InputError, check_count
from jaxsgd.results.axes import axis_dim, axis_values, check_finished, seed_dims
from jaxsgd.results.metric import cost, metric_named

NO_MEAN = "one of the two settings has a run that diverged or was stopped, and so no mean"


def seeds_for_rank(
    ds: xr.Dataset,
    axis: str,
    metric: str | None = None,
    *,
    rank: int = 1,
    power: float = 0.8,
    confidence: float = 0.9,
    resamples: int = 1000,
    seed: int = 0,
) -> xr.Dataset:
    """Return the number of seeds that separates the setting of a rank from the next one, at every value of the other axes.

    With that many seeds the 95 % interval of their paired difference excludes zero on the right side with probability `power`,
    if the pilot's difference and deviation are the true ones. Resamples of the seeds in which the two change places count as
    infinitely many seeds, so an upper end that is infinite says that the pilot does not know which of them is better. A
    bootstrap of few seeds is too narrow: of 1,000 simulated pilots of 10 seeds, the 90 % intervals of 81 % had the true number.

    Args:
      ds: the result of a pilot.
      axis: whose values are ranked, such as "optimizer".
      metric: by which settings are ranked; by default "validation_loss" if the result has it, else "train_loss", else
        "loss_epoch".
      rank: r; the setting with the r-th best mean over the seeds is compared with that of rank r + 1.
      power: probability with which the interval excludes zero, between 0 and 1.
      confidence: level of the interval of the number, between 0 and 1.
      resamples, seed: of the bootstrap over the seeds.

    Returns:
      A Dataset along the result's axes without the compared one and the seeds: `setting` and `next_setting`, of ranks r and
      r + 1; `difference`, by how much the next one is worse, and its `deviation` over the seeds (n - 1), in the metric's units;
      `seeds`, with `low` and `high`, infinite above a million; `kept`, the share of resamples in which both settings keep their
      ranks; and `no_number`, the reason where there is none (NaN), else empty.

    Raises:
      InputError: for an axis or a metric that the result does not have, a rank without a next one, a power or a confidence
        level outside (0, 1), no dimension of seeds, or an unfinished result.
    """
    check_confidence(confidence)
    check_power(power)
    metric, dim = metric_named(ds, metric), axis_dim(ds, axis)
    check_finished(ds, "ranked")
    values, rank = axis_values(ds, axis), check_count("rank", rank)
    if rank >= len(values):
        raise InputError(f"rank {rank} has no next one to be separated from: {axis} has {len(values)} values")
    ranked = cost(ds, metric)
    seeds = [name for name in seed_dims(ds, (dim,)) if name in ranked.dims]
    if not seeds:
        raise InputError("the result has no dimension of seeds, so nothing says how much its settings vary")
    others = [str(name) for name in ranked.dims if name not in (dim, *seeds)]
    ordered = ranked.transpose(*others, dim, *seeds)
    costs = ordered.values.reshape(*ordered.shape[: len(others) + 1], -1)
    order = _order(costs)
    pair = order[..., rank - 1 : rank + 1]
    better, worse = np.moveaxis(np.take_along_axis(costs, pair[..., None], axis=-2), -2, 0)
    finite = (np.isfinite(better) & np.isfinite(worse)).all(axis=-1)
    reason = np.where(finite, why_no_difference(better, worse), NO_MEAN)
    gaps = np.subtract(worse, better, out=np.full(better.shape, np.nan), where=finite[..., None])
    drawn = resampled_seeds(costs.shape[-1], check_count("resamples", resamples), seed)
    difference, deviation = _moments(gaps)
    reason = np.where((reason == "") & (deviation == 0), SAME_DIFFERENCE, reason)
    effects = np.stack([_effect(gaps[..., places]) for places in drawn]) if len(drawn) else np.full((1, *reason.shape), np.nan)
    kept = [np.all(_order(costs[..., places])[..., rank - 1 : rank + 1] == pair, axis=-1) for places in drawn]
    small, large = interval(effects, confidence)
    numbers = [seeds_for_effect(effect, CONFIDENCE, power) for effect in (_effect(gaps), large, small)]
    units, dims = str(ds[metric].attrs.get("units", "1")), others
    same = np.mean(kept, axis=0) if kept else np.full(reason.shape, np.nan)
    level = f"its {100 * confidence:g} % interval"
    columns = {
        "setting": (values[pair[..., 0]], "1", f"value of {axis} of rank {rank}"),
        "next_setting": (values[pair[..., 1]], "1", f"value of {axis} of rank {rank + 1}"),
        "difference": (difference, units, f"mean {metric} by which the next one is worse"),
        "deviation": (deviation, units, "standard deviation of the paired differences over the seeds"),
        "kept": (same, "1", "share of resamples in which both settings keep their ranks"),
        "no_number": (reason.astype(str), "1", "reason if there is no number of seeds, else empty"),
    }
    texts = (f"seeds that separate the two with probability {power:g}", f"lower end of {level}", f"upper end of {level}")
    for name, number, text in zip(("seeds", "low", "high"), numbers, texts, strict=True):
        columns[name] = (np.where(reason == "", number, np.nan), "seeds", text)
    coords = {name: coord for name, coord in ds.coords.items() if coord.dims and set(coord.dims) <= set(others)}
    attrs = {"title": f"seeds for rank {rank}", "axis": axis, "metric": str(metric), "rank": rank, "pilot": costs.shape[-1]}
    return xr.Dataset(
        {name: (dims, array, {"units": unit, "long_name": text}) for name, (array, unit, text) in columns.items()},
        coords,
        {**attrs, "power": float(power), "confidence": float(confidence)},
    )


def _order(costs: np.ndarray) -> np.ndarray:
    """Return the settings by their mean over the seeds, [..., V, R] -> [..., V], the best first; one that diverged is last."""
    return np.argsort(costs.mean(axis=-1), axis=-1, kind="stable")


def _moments(gaps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and the standard deviation (n - 1) over the seeds, [..., R] -> [...]; NaN for the latter of one seed."""
    count = gaps.shape[-1]
    deviation = gaps.std(axis=-1, ddof=1) if count > 1 else np.full(gaps.shape[:-1], np.nan)
    return gaps.mean(axis=-1), deviation


def _effect(gaps: np.ndarray) -> np.ndarray:
    """Return the mean gap divided by its standard deviation, [..., R] -> [...]; NaN for gaps that are all the same."""
    mean, deviation = _moments(gaps)
    return np.divide(mean, deviation, out=np.full(np.shape(mean), np.nan), where=deviation > 0)
