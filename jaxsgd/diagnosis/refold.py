"""The fold of a log with another period, or as if it had been printed less often."""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from jaxsgd.diagnosis.fold import Folded, fold
from jaxsgd.diagnosis.period import Period, placed
from jaxsgd.diagnosis.series import explained

FEWEST_VALUES = 8
"""Number of values from which a loss is folded."""


class Refolded(NamedTuple):
    """A loss as it would have been printed, and its fold; n values.

    Attributes:
      loss: [n], means of successive printed losses.
      last: [n], the position in the log of the last loss of each mean.
      period: when each value is printed.
      folded: the detrended values by position in the epoch.
      share: part of the variance of the detrended values that the position explains, chance taken off.
    """

    loss: Float[np.ndarray, " n"]
    last: Int[np.ndarray, " n"]
    period: Period
    folded: Folded
    share: float


def refold(loss: Float[np.ndarray, " _"], period: Period, length: float | int | None = None, count: int = 1) -> Refolded | None:
    """Return the fold of a loss with another epoch's length, and with `count` successive losses averaged into each value.

    The pages of `jaxsgd diagnose --html` work out the same in static/fold.js, where a reader moves the period and the interval.

    Args:
      loss: the printed losses of a log.
      period: when each was printed.
      length: of an epoch, in the unit of `period.position`; None for the log's own.
      count: number of losses in a mean; losses that do not fill the last mean are left out.

    Returns:
      None if there are fewer than `FEWEST_VALUES` values.
    """
    last = np.arange(count - 1, len(loss), count)
    if len(last) < FEWEST_VALUES:
        return None
    means = loss[: len(last) * count].reshape(-1, count).mean(axis=1)
    batch = (period.epoch * period.length + period.position)[last]
    interval = period.interval * count if math.isfinite(period.interval) else math.nan
    own = placed(batch, period.length if length is None else float(length), interval, period.origin)
    folded = fold(means, own)
    return Refolded(means, last, own, folded, explained(folded.left, folded.group, folded.width)[0])
