"""Divergence: the epoch in which a run stopped being finite."""

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike


def diverged_epoch(loss: ArrayLike) -> Float[np.ndarray, "*runs"]:
    """Return the first epoch with a loss that is not finite.

    Args:
      loss: [..., E, m], the loss of each batch.

    Returns:
      [...], the epoch, 0-based; NaN for a run that stayed finite.
    """
    bad = ~np.isfinite(np.asarray(loss, np.float64)).all(axis=-1)
    return np.where(bad.any(axis=-1), bad.argmax(axis=-1), np.nan)
