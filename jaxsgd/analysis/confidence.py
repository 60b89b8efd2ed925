"""When seeds say enough for an interval or a fit, and the line that says why there is none. NumPy alone."""

import math

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import ArrayLike

FEWEST_SIZES = 3
"""Batch sizes from which a curve is fitted over them."""

SAME = "all seeds give the same value, so nothing says how far they scatter"

NO_WIDTH = "nearly all resamples of the seeds have the same median, so an interval would have no width"


def fewest_seeds(level: float) -> int:
    """The number of seeds from which an interval for their median can have this confidence level.

    A bootstrap of n seeds reaches no further than the least and the greatest of them, and these enclose the median with
    probability 1 - 2^(1 - n) (David and Nagaraja 2003, "Order statistics", 7.1): six seeds for 95 %.
    """
    return max(2, math.ceil(1 - math.log2(1 - level) - 1e-9))


def why_no_interval(values: ArrayLike, level: float | None = None) -> np.ndarray:
    """Tell why the seeds give no interval.

    Args:
      values: [..., R], of R seeds; NaN where a seed has none.
      level: of an interval for the median; None for one for the mean, for which two seeds will do (Student's t).

    Returns:
      [...], a reason in words; "" where there is an interval.
    """
    values = np.asarray(values, np.float64)
    known = ~np.isnan(values)
    count = known.sum(axis=-1)
    least = np.where(known, values, np.inf).min(axis=-1, initial=np.inf)
    most = np.where(known, values, -np.inf).max(axis=-1, initial=-np.inf)
    needed = 2 if level is None else fewest_seeds(level)
    few = [few_seeds(int(number), needed, level) for number in np.ravel(count)]
    reasons = np.where(count < 2, np.reshape(few, count.shape), np.where(least == most, SAME, np.reshape(few, count.shape)))
    return np.asarray(reasons, dtype=object).astype(str)


def few_seeds(count: int, needed: int, level: float | None = None) -> str:
    """The reason where there are fewer seeds than an interval needs; "" where there are enough."""
    if count >= needed:
        return ""
    if count < 2:
        return "one seed says nothing of how far seeds scatter" if count else "no seed has a number"
    return f"{count} seeds: {'an' if level is None else f'a {100 * level:g} %'} interval for a median takes {needed} or more"


def why_no_difference(value: ArrayLike, reference: ArrayLike) -> np.ndarray:
    """Tell why the pairs of two settings, [..., R] each, give no interval of their mean difference; "" where they do.

    There is none with fewer than two pairs, and none where neither setting differs from seed to seed: then all pairs are one.
    """
    value, reference = np.broadcast_arrays(np.asarray(value, np.float64), np.asarray(reference, np.float64))
    both = np.isfinite(value) & np.isfinite(reference)
    reasons = [why_no_interval(np.where(both, side, np.nan)) for side in (value, reference)]
    return np.where((reasons[0] == "") | (reasons[1] == ""), "", reasons[0])


def supported(
    low: ArrayLike, high: ArrayLike, why: np.ndarray, rounding: float = 0.0
) -> tuple[Float[np.ndarray, "*cells"], Float[np.ndarray, "*cells"], np.ndarray]:
    """The ends of intervals, NaN where the seeds give none, and why not; an interval without any width is none.

    Args:
      low, high: [...].
      why: [...], as `why_no_interval` gives it.
      rounding: width that rounding alone may give, besides a billionth of the ends.
    """
    low, high = np.asarray(low, np.float64), np.asarray(high, np.float64)
    why = np.where((why == "") & np.isclose(low, high, rtol=1e-9, atol=rounding), NO_WIDTH, why)
    return np.where(why == "", low, np.nan), np.where(why == "", high, np.nan), why


def enough_sizes(values: ArrayLike) -> Bool[np.ndarray, "*fits"]:
    """Tell where enough batch sizes have a value to fit a curve over them; [..., K] -> [...]."""
    return np.asarray(np.isfinite(np.asarray(values, np.float64)).sum(axis=-1) >= FEWEST_SIZES)
