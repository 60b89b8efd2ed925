"""The remedy: the loss averaged over whole cycles, and the smallest print interval that hides the pattern."""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from jaxsgd.diagnosis.folding import cycle_width
from jaxsgd.diagnosis.log import Log
from jaxsgd.diagnosis.period import Period
from jaxsgd.measure.stripe import stripes
from jaxsgd.summary import short_repr

HIDDEN = 0.05
"""Stripe index below which stripes count as hidden, as for `jaxsgd.hiding_interval`."""

MOST_TRIED = 48
"""Print intervals that are tried; where an epoch has more prints, those that divide it."""


class Remedy(NamedTuple):
    """What averaging makes of a log; C whole cycles.

    Attributes:
      time: [C], epochs since the start at the end of each cycle.
      averaged: [C], mean loss of each cycle of prints, which takes in every place equally often.
      prints: in a cycle.
      hiding_prints: the smallest number of prints whose mean shows no stripes; 1 where the log shows none as it is.
      hiding_interval: the same in batches; NaN where batches are not known.
    """

    time: Float[np.ndarray, " C"]
    averaged: Float[np.ndarray, " C"]
    prints: int
    hiding_prints: int
    hiding_interval: float

    __repr__ = short_repr


def find_remedy(log: Log, period: Period) -> Remedy:
    """The loss averaged over whole cycles, and how many prints must be averaged at least."""
    width = cycle_width(period)
    cycles = len(log.loss) // width
    table = log.loss[: cycles * width].reshape(cycles, width)
    ends = np.arange(1, cycles + 1) * width - 1
    time = period.epoch[ends] + (period.position[ends] + 1) / period.length
    hiding = _hiding_prints(table)
    return Remedy(
        time, table.mean(axis=1), width, hiding, hiding * period.interval if math.isfinite(period.interval) else math.nan
    )


def _hiding_prints(table: Float[np.ndarray, "C S"]) -> int:
    width = table.shape[1]
    tried = range(1, width) if width <= MOST_TRIED else [count for count in range(1, width) if width % count == 0]
    for count in tried:
        seen = stripes(table, count)
        index = float(seen.stripe_index)
        if index < HIDDEN or (math.isnan(index) and np.isfinite(seen.slope).all()):
            return count
    return width
