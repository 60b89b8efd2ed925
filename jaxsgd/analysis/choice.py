"""The choice of the best setting: the one rule that tuning, tables and figures share. NumPy alone."""

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import ArrayLike

FEWEST_IN_RANGE = 3
"""Different values of an axis from which its least and its greatest are the edges of a range."""


def seed_median(cost: ArrayLike) -> Float[np.ndarray, "*settings"]:
    """Median over the seeds of what is not NaN.

    Args:
      cost: [..., R], R seeds; infinite for a run that diverged or never arrived, NaN for one that was not run.

    Returns:
      [...], in the units of `cost`: infinite where half of the runs or more are, NaN where there is no run.
    """
    ordered = np.sort(np.asarray(cost, np.float64), axis=-1)
    count = (~np.isnan(ordered)).sum(axis=-1)
    if not ordered.shape[-1]:
        return np.full(ordered.shape[:-1], np.nan)
    low, high = (
        np.take_along_axis(ordered, np.maximum(place, 0)[..., None], axis=-1)[..., 0]
        for place in ((count - 1) // 2, count // 2)
    )
    # Between an infinite value and itself there would be nothing to average.
    with np.errstate(invalid="ignore"):
        middle = np.where(low == high, low, (low + high) / 2)
    return np.asarray(np.where(count > 0, middle, np.nan))


def best_place(median: ArrayLike) -> Int[np.ndarray, "*places"]:
    """The place of the setting with the lowest median, the first of several.

    Args:
      median: [..., L], of L settings; less is better.

    Returns:
      [...], from 0; -1 where no setting has a finite median.
    """
    cost = np.asarray(median, np.float64)
    cost = np.where(np.isfinite(cost), cost, np.inf)
    return np.asarray(np.where(np.isfinite(cost).any(axis=-1), cost.argmin(axis=-1), -1))


def is_edge(values: ArrayLike, place: ArrayLike) -> Bool[np.ndarray, "*places"]:
    """Tell where the best value is an edge of the values that were tried, so that a better one may lie beyond.

    Args:
      values: [L], of an axis, in any order.
      place: [...], of the best one, as `best_place` gives it.

    Returns:
      [...]: true where the best is the least or the greatest of three numbers or more, and is not 0, beyond which there is
      nothing. False for names, and where there is no best.
    """
    values, place = np.asarray(values), np.asarray(place)
    if values.dtype.kind not in "iuf" or len(np.unique(values[~np.isnan(values)])) < FEWEST_IN_RANGE:
        return np.zeros(place.shape, bool)
    best = values[place]
    return np.asarray((place >= 0) & (best != 0) & ((best == np.nanmin(values)) | (best == np.nanmax(values))))
