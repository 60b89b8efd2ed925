"""Is one setting better than another? Differences between runs that share their seeds, and what the seeds leave open.

Runs with the same seed have the same data and the same initial parameters, so a difference is taken seed by seed: what
a seed does to both settings drops out (Student 1908, "The probable error of a mean"). NumPy alone, in float64.
"""

import functools
import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import ArrayLike

from jaxsgd.analysis.confidence import why_no_difference
from jaxsgd.error import InputError, shown
from jaxsgd.summary import short_repr


class PairedDifference(NamedTuple):
    """Differences between two settings over seeds they share; [...] whatever else there is.

    Attributes:
      difference: [...], mean over the pairs of value less reference, in their units; NaN without a pair.
      low, high: [...], ends of the confidence interval of that mean; NaN where the seeds say nothing of how far they
        scatter (`jaxsgd.analysis.confidence.why_no_difference`): with fewer than two pairs, or where all pairs are the same.
      pairs: [...], seeds with a finite value on both sides.
      left_out: [...], seeds without.
    """

    difference: Float[np.ndarray, "*cells"]
    low: Float[np.ndarray, "*cells"]
    high: Float[np.ndarray, "*cells"]
    pairs: Int[np.ndarray, "*cells"]
    left_out: Int[np.ndarray, "*cells"]

    __repr__ = short_repr

    @property
    def tie(self) -> Bool[np.ndarray, "*cells"]:
        """[...], whether the interval contains 0: the seeds do not tell the two apart. False without an interval."""
        return np.asarray((self.low <= 0) & (self.high >= 0))

    @property
    def clear(self) -> Bool[np.ndarray, "*cells"]:
        """[...], whether the interval leaves 0 out. False without an interval, which is neither clear nor a tie."""
        return np.asarray((self.low > 0) | (self.high < 0))


def paired_difference(value: ArrayLike, reference: ArrayLike, level: float = 0.95) -> PairedDifference:
    """Mean paired difference over seeds with its Student t interval, mean +- t s / sqrt(n).

    s is the standard deviation of the n differences (n - 1 in its denominator) and t the quantile of Student's
    distribution with n - 1 degrees of freedom at (1 + level) / 2 (Student 1908; Fisher 1925, "Applications of Student's
    distribution"). Its level is exact for normal differences and approached with many seeds for others. Each interval
    is for its own difference: of twenty at 95 %, one misses on average.

    Args:
      value: [..., R], R seeds last.
      reference: [..., R], on the same seeds; shapes broadcast.
      level: of confidence, between 0 and 1.

    Raises:
      InputError: for a level outside (0, 1), or arrays whose seeds or other axes differ.
    """
    if not 0 < level < 1:
        raise InputError(f"level must lie between 0 and 1, such as 0.95, got {shown(level)}")
    sides = [np.asarray(side, np.float64) for side in (value, reference)]
    shapes = [side.shape for side in sides]
    try:
        sides = np.broadcast_arrays(*sides)
    except ValueError:
        sides = []
    if not sides or not all(shapes) or shapes[0][-1] != shapes[1][-1]:
        raise InputError(f"value and reference must share their last axis, the seeds, got shapes {shapes[0]} and {shapes[1]}")
    both = np.isfinite(sides[0]) & np.isfinite(sides[1])
    each = np.subtract(*sides, out=np.zeros(both.shape), where=both)
    pairs = both.sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = each.sum(axis=-1) / pairs
        variance = np.sum(np.where(both, each - mean[..., None], 0) ** 2, axis=-1) / np.where(pairs > 1, pairs - 1, np.nan)
        reach = _quantiles(np.asarray(pairs - 1), level) * np.sqrt(variance / pairs)
        reach = np.where(why_no_difference(*sides) == "", reach, np.nan)
    return PairedDifference(*map(np.asarray, (mean, mean - reach, mean + reach, pairs, both.shape[-1] - pairs)))


def _quantiles(freedom: np.ndarray, level: float) -> np.ndarray:
    found = np.full(np.shape(freedom), np.nan)
    for degrees in np.unique(freedom[freedom > 0]):
        found[freedom == degrees] = student_quantile(int(degrees), level)
    return found


@functools.lru_cache(maxsize=1024)
def student_quantile(freedom: int, level: float = 0.95) -> float:
    """The t with P(|T| <= t) = level, for Student's distribution.

    With theta = atan(t / sqrt(freedom)) that probability is a finite sum of sines and cosines (Abramowitz and Stegun
    1964, 26.7.3 and 26.7.4), which is solved for theta by bisection.

    Args:
      freedom: degrees of freedom, at least 1.
      level: between 0 and 1.
    """
    low, high = 0.0, math.pi / 2
    while (middle := (low + high) / 2) not in (low, high):
        low, high = (middle, high) if _within(middle, freedom) < level else (low, middle)
    return math.sqrt(freedom) * math.tan(low)


def _within(theta: float, freedom: int) -> float:
    """P(|T| <= sqrt(freedom) tan(theta))."""
    sine, cosine = math.sin(theta), math.cos(theta)
    odd = freedom % 2
    term, total = (cosine if odd else 1.0), 0.0
    for k in range(freedom // 2):
        total += term
        term *= cosine**2 * ((2 * k + 2) / (2 * k + 3) if odd else (2 * k + 1) / (2 * k + 2))
    return 2 / math.pi * (theta + sine * total) if odd else sine * total


class RankTable(NamedTuple):
    """Ranks of V settings, 1 for the lowest value.

    Attributes:
      mean: [..., V], mean rank over the seeds that have a value of every setting; NaN without such a seed.
      share_first: [..., V], share of those seeds in which the setting is lowest; a tie for it is divided up.
      seeds: [...], how many seeds that is.
    """

    mean: Float[np.ndarray, "*cells V"]
    share_first: Float[np.ndarray, "*cells V"]
    seeds: Int[np.ndarray, "*cells"]

    __repr__ = short_repr


def rank_table(value: ArrayLike) -> RankTable:
    """Ranks of settings within each seed, averaged over the seeds (Demsar 2006, "Statistical comparisons of classifiers over
    multiple data sets"): equal values share the mean of their ranks.

    Args:
      value: [..., V, R], settings and seeds; infinity ranks last, and a seed with a NaN is left out.

    Raises:
      InputError: for an array of fewer than two axes.
    """
    value = np.asarray(value, np.float64)
    if value.ndim < 2:
        raise InputError(f"value must be an array [..., settings, seeds], got shape {value.shape}")
    whole = ~np.asarray(np.isnan(value).any(axis=-2))
    own, others = value[..., :, None, :], value[..., None, :, :]
    lower, equal = (others < own).sum(axis=-2), (others == own).sum(axis=-2)
    first = np.where(lower == 0, 1 / np.maximum(equal, 1), 0)
    with np.errstate(invalid="ignore"):
        seeds = whole.sum(axis=-1)
        mean, share = (
            np.where(whole[..., None, :], each, 0).sum(axis=-1) / seeds[..., None] for each in (lower + (equal + 1) / 2, first)
        )
    return RankTable(mean, share, np.asarray(seeds))
