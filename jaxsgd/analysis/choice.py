"""The choice of the best setting: the one rule that tuning, tables and figures share."""

import numpy as np
from jaxtyping import Bool, Int
from numpy.typing import ArrayLike

from jaxsgd.analysis.confidence import SAME, fewest_seeds
from jaxsgd.results.seed_median import seed_median as seed_median

FEWEST_IN_RANGE = 3
"""Fewest different values of an axis for which the least and the greatest are edges of a range."""


def best_place(median: ArrayLike) -> Int[np.ndarray, "*cells"]:
    """Return the position of the setting with the lowest median, the first of several.

    Args:
      median: [..., L], of L settings; lower is better.

    Returns:
      [...], from 0; -1 if no setting has a finite median.
    """
    cost = np.asarray(median, np.float64)
    cost = np.where(np.isfinite(cost), cost, np.inf)
    return np.asarray(np.where(np.isfinite(cost).any(axis=-1), cost.argmin(axis=-1), -1))


CLEAR = 0.95
"""Share of the seeds in which a setting must be better than another to be clearly so."""


def is_clearly_better(cost: ArrayLike, others: ArrayLike) -> Bool[np.ndarray, "*settings"]:
    """Return True where a setting is better than another one for nearly every seed that both have.

    Args:
      cost: [R], of the setting, by seed; lower is better, NaN for a run that does not count.
      others: [..., R], of the other settings.

    Returns:
      [...]; False if the seeds cannot show it (`why_unclear`).
    """
    cost, others = np.asarray(cost, np.float64), np.asarray(others, np.float64)
    both = ~np.isnan(cost) & ~np.isnan(others)
    return np.asarray((why_unclear(cost, others) == "") & ((both & (cost < others)).sum(axis=-1) >= CLEAR * both.sum(axis=-1)))


def why_unclear(cost: ArrayLike, others: ArrayLike) -> np.ndarray:
    """Return the reasons why the seeds cannot show that one setting is clearly better than another, or "".

    Of two settings that are alike, one is better for all of n seeds with probability 2^(1 - n), the sign test. So as many seeds
    are needed as for an interval of the median. And if neither setting differs from seed to seed, all seeds are one run.

    Args:
      cost, others: as in `is_clearly_better`.

    Returns:
      [...], a reason in words; "" where the seeds that both settings have are enough.
    """
    cost, others = np.broadcast_arrays(np.asarray(cost, np.float64), np.asarray(others, np.float64))
    both = ~np.isnan(cost) & ~np.isnan(others)
    least, most = (
        [bound.reduce(np.where(both, side, np.nan), axis=-1) for side in (cost, others)] for bound in (np.fmin, np.fmax)
    )
    same = (least[0] == most[0]) & (least[1] == most[1])
    count = both.sum(axis=-1)
    few = np.reshape([too_few(int(number)) for number in np.ravel(count)], count.shape)
    return np.where(few != "", few, np.where(same, SAME, ""))


def too_few(count: int) -> str:
    """Return the reason if so many seeds are too few to say which of two settings is better, or that they tie, else ""."""
    needed = fewest_seeds(CLEAR)
    if count >= needed:
        return ""
    seeds = f"{count} seeds do" if count > 1 else "one seed does" if count else "no seed in common does"
    return f"{seeds} not show which setting is better: that takes {needed} or more"


def is_edge(values: ArrayLike, position: ArrayLike) -> Bool[np.ndarray, "*cells"]:
    """Return True where the best value is an edge of the values that were tried, so that a better one may lie beyond.

    Args:
      values: [L], of an axis, in any order.
      position: [...], of the best value, as `best_place` gives it.

    Returns:
      [...]: True if the best value is the least or the greatest of three numbers or more and is not 0 (nothing lies beyond 0).
      False for names, and if there is no best value.
    """
    values, position = np.asarray(values), np.asarray(position)
    if values.dtype.kind not in "iuf" or len(np.unique(values[~np.isnan(values)])) < FEWEST_IN_RANGE:
        return np.zeros(position.shape, bool)
    best = values[position]
    return np.asarray((position >= 0) & (best != 0) & ((best == np.nanmin(values)) | (best == np.nanmax(values))))
