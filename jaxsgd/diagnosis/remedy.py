"""The remedy: the loss averaged over whole cycles, and the smallest print interval that hides the pattern."""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from jaxsgd.diagnosis.fold import cycle_width, detrended
from jaxsgd.diagnosis.log import Log
from jaxsgd.diagnosis.period import Period
from jaxsgd.measure.stripes import hiding_interval, is_telling
from jaxsgd.summary import short_repr

MOST_TRIED = 48
"""Largest number of print intervals that are tried; where an epoch has more prints, only those that divide it are."""


class Remedy(NamedTuple):
    """The averages of a log over C whole cycles of prints.

    Attributes:
      time: [C], epochs since the start at the end of each cycle.
      averaged: [C], mean loss of each cycle of prints, which contains every place equally often.
      prints: number of prints in a cycle.
      hiding_prints: the smallest number of prints whose mean shows no stripes; 1 where the log shows none as it is.
      hiding_interval: the same in batches, or an epoch's batches where those are fewer; NaN where batches are not known.
      is_telling: True if the log has enough cycles to show which interval hides its stripes; otherwise the interval is a
        whole cycle, which always does.
    """

    time: Float[np.ndarray, " C"]
    averaged: Float[np.ndarray, " C"]
    prints: int
    hiding_prints: int
    hiding_interval: float
    is_telling: bool

    __repr__ = short_repr


def find_remedy(log: Log, period: Period) -> Remedy:
    """Return the loss averaged over whole cycles, and the smallest number of prints that must be averaged.

    Stripes are looked for in the detrended loss by which the causes are judged (`fold`), so that a first epoch that falls more
    than any other does not hide them.
    """
    width = cycle_width(period)
    cycles = len(log.loss) // width
    table = log.loss[: cycles * width].reshape(cycles, width)
    ends = np.arange(1, cycles + 1) * width - 1
    time = period.epoch[ends] + (period.position[ends] + 1) / period.length
    left = detrended(log.loss, period)
    left = left[: len(left) // width * width].reshape(-1, width)
    enough = is_telling(width, len(left), 1)
    tried = range(1, width) if width <= MOST_TRIED else [count for count in range(1, width) if width % count == 0]
    hiding = int(hiding_interval(left, intervals=tried)) if enough else width
    # Prints that slide over the epoch are averaged in whole numbers, and an epoch's batches may be fewer than a cycle's.
    interval = min(hiding * period.interval, period.batch_count) if math.isfinite(period.interval) else math.nan
    return Remedy(time, table.mean(axis=1), width, hiding, interval, enough)
