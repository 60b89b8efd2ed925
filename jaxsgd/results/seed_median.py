"""The median over the seeds, by which settings are judged."""

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike


def seed_median(cost: ArrayLike) -> Float[np.ndarray, "*settings"]:
    """Return the median over the seeds of all costs that are not NaN.

    Args:
      cost: [..., R], R seeds; infinite for a run that diverged or never reached its target, NaN for a run that was not done.

    Returns:
      [...], in the units of `cost`: infinite if at least half of the runs are, NaN if there is no run.
    """
    ordered = np.sort(np.asarray(cost, np.float64), axis=-1)
    count = (~np.isnan(ordered)).sum(axis=-1)
    if not ordered.shape[-1]:
        return np.full(ordered.shape[:-1], np.nan)
    low, high = (
        np.take_along_axis(ordered, np.maximum(position, 0)[..., None], axis=-1)[..., 0]
        for position in ((count - 1) // 2, count // 2)
    )
    # The average of an infinite value and itself would be NaN.
    with np.errstate(invalid="ignore"):
        middle = np.where(low == high, low, (low + high) / 2)
    return np.asarray(np.where(count > 0, middle, np.nan))
