"""Intervals over seeds: when the seeds support one, and the sentence that says why there is none."""

import math

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import ArrayLike

from jaxsgd.error import InputError, check_count, shown
from jaxsgd.results.seed_median import seed_median

CONFIDENCE = 0.95
"""The confidence level of the intervals in tables and reports, and the default of the functions."""

FEWEST_SIZES = 3
"""Fewest batch sizes over which a curve is fitted."""

SAME = "all seeds give the same value, so they show no spread"

NO_WIDTH = "nearly all resamples of the seeds have the same median, so an interval would have no width"


def check_confidence(confidence: float) -> None:
    """Check a confidence level.

    Raises:
      InputError: unless it lies between 0 and 1.
    """
    if isinstance(confidence, str) or not 0 < confidence < 1:
        raise InputError(f"confidence must lie between 0 and 1, such as 0.95, got {shown(confidence)}")


def fewest_seeds(confidence: float) -> int:
    """Return the smallest number of seeds for which an interval for their median can have this confidence level.

    A bootstrap of n seeds reaches no further than the least and the greatest of them, and these enclose the median with
    probability 1 - 2^(1 - n) (David and Nagaraja 2003, "Order statistics", 7.1): six seeds for 95 %.
    """
    return max(2, math.ceil(1 - math.log2(1 - confidence) - 1e-9))


def why_no_interval(values: ArrayLike, confidence: float | None = None) -> np.ndarray:
    """Return the reasons why the seeds support no interval.

    Args:
      values: [..., R], of R seeds; NaN for a seed without a value.
      confidence: level of an interval for the median; None for an interval for the mean, for which two seeds are enough
        (Student's t).

    Returns:
      [...], a reason in words; "" where there is an interval.
    """
    values = np.asarray(values, np.float64)
    known = ~np.isnan(values)
    count = known.sum(axis=-1)
    least = np.where(known, values, np.inf).min(axis=-1, initial=np.inf)
    most = np.where(known, values, -np.inf).max(axis=-1, initial=-np.inf)
    needed = 2 if confidence is None else fewest_seeds(confidence)
    few = np.reshape([few_seeds(int(number), needed, confidence) for number in np.ravel(count)], count.shape)
    reasons = np.where(count < 2, few, np.where(least == most, SAME, few))
    return np.asarray(reasons, dtype=object).astype(str)


def few_seeds(count: int, needed: int, confidence: float | None = None) -> str:
    """Return the reason if there are fewer seeds than an interval needs, else ""."""
    if count >= needed:
        return ""
    if count < 2:
        return "one seed shows no spread" if count else "no seed has a number"
    kind = "an" if confidence is None else f"a {100 * confidence:g} %"
    return f"{count} seeds: {kind} interval for a median needs {needed} or more"


def why_no_difference(value: ArrayLike, reference: ArrayLike) -> np.ndarray:
    """Return the reasons why the pairs of two settings, [..., R] each, support no interval of their mean difference, or "".

    There is none with fewer than two pairs, and none if neither setting differs from seed to seed: then all pairs are the same.
    """
    value, reference = np.broadcast_arrays(np.asarray(value, np.float64), np.asarray(reference, np.float64))
    both = np.isfinite(value) & np.isfinite(reference)
    reasons = [why_no_interval(np.where(both, side, np.nan)) for side in (value, reference)]
    return np.where((reasons[0] == "") | (reasons[1] == ""), "", reasons[0])


def supported(
    low: ArrayLike, high: ArrayLike, reason: np.ndarray, rounding: float = 0.0
) -> tuple[Float[np.ndarray, "*cells"], Float[np.ndarray, "*cells"], np.ndarray]:
    """Return the ends of intervals, NaN where the seeds support none, and the reasons; an interval of no width is none.

    Args:
      low, high: [...].
      reason: [...], as `why_no_interval` gives it.
      rounding: width that rounding alone may give, besides a billionth of the ends.
    """
    low, high = np.asarray(low, np.float64), np.asarray(high, np.float64)
    reason = np.where((reason == "") & np.isclose(low, high, rtol=1e-9, atol=rounding), NO_WIDTH, reason)
    return np.where(reason == "", low, np.nan), np.where(reason == "", high, np.nan), reason


def enough_sizes(values: ArrayLike) -> Bool[np.ndarray, "*fits"]:
    """Return True where enough batch sizes have a value to fit a curve over them; [..., K] -> [...]."""
    return np.asarray(np.isfinite(np.asarray(values, np.float64)).sum(axis=-1) >= FEWEST_SIZES)


def resampled_seeds(count: int, resamples: int, seed: int) -> np.ndarray:
    """Return positions of seeds drawn with replacement, [resamples, R]; none for a single seed, which shows no spread."""
    if count < 2:
        return np.zeros((0, count), int)
    return np.random.default_rng(seed).integers(0, count, (resamples, count))


def median_interval(
    costs: np.ndarray, sign: float, confidence: float, resamples: int, seed: int
) -> tuple[Float[np.ndarray, "*settings"], Float[np.ndarray, "*settings"], np.ndarray]:
    """Return the bootstrap interval of the median over the seeds of each setting, and the reasons where there is none.

    Args:
      costs: [..., R], of R seeds, as `jaxsgd.results.metric.cost` gives them: lower is better.
      sign: -1 for a metric of which higher is better, whose costs are its values times -1; else 1.
      confidence: level of the interval.
      resamples, seed: of the bootstrap.
    """
    drawn = resampled_seeds(costs.shape[-1], check_count("resamples", resamples), seed)
    medians = [seed_median(costs[..., places]) for places in drawn]
    resampled = np.stack(medians) if medians else np.zeros((0, *costs.shape[:-1]))
    ends = [sign * end for end in interval(resampled, confidence)]
    low, high = ends if sign > 0 else ends[::-1]
    return supported(low, high, why_no_interval(costs, confidence))


def interval(values: np.ndarray, confidence: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the percentile interval of resampled values, [n, ...] -> ([...], [...]).

    Args:
      values: [n, ...]; they may be infinite, and NaN are left out.
      confidence: level of the interval.
    """
    if not len(values):
        missing = np.full(values.shape[1:], np.nan)
        return missing, missing
    ordered = np.sort(values, axis=0)
    count = (~np.isnan(values)).sum(axis=0)

    def at(share: float) -> np.ndarray:
        position = np.clip(np.round(share * (count - 1)).astype(int), 0, len(values) - 1)
        return np.where(count > 0, np.take_along_axis(ordered, position[None], axis=0)[0], np.nan)

    return at((1 - confidence) / 2), at((1 + confidence) / 2)
