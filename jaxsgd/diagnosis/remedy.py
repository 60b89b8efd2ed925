"""The remedy: the loss averaged over whole cycles, and the smallest print interval that hides the pattern."""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from jaxsgd.diagnosis.fold import cycle_width, detrended
from jaxsgd.diagnosis.log import Log
from jaxsgd.diagnosis.period import Period
from jaxsgd.measure.stripes import hiding_interval, is_telling
from jaxsgd.measure.trend import cycle_trend
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
    loss, period = without_gaps(log.loss, period)
    width = cycle_width(period)
    cycles = len(loss) // width
    table = loss[: cycles * width].reshape(cycles, width)
    ends = np.arange(1, cycles + 1) * width - 1
    time = period.epoch[ends] + (period.position[ends] + 1) / period.length
    left = detrended(loss, period)
    left = left[: len(left) // width * width].reshape(-1, width)
    enough = is_telling(width, len(left), 1)
    tried = range(1, width) if width <= MOST_TRIED else [count for count in range(1, width) if width % count == 0]
    hiding = int(hiding_interval(left, intervals=tried)) if enough else width
    # Prints that slide over the epoch are averaged in whole numbers, and an epoch's batches may be fewer than a cycle's.
    interval = min(hiding * period.interval, period.batch_count) if math.isfinite(period.interval) else math.nan
    return Remedy(time, table.mean(axis=1), width, hiding, interval, enough)


TIMES_FILLED = 3
"""How often missing losses are filled in: the trend that they are filled in around depends on them."""


def without_gaps(loss: Float[np.ndarray, " n"], period: Period) -> tuple[Float[np.ndarray, " N"], Period]:
    """Return the losses and their period with the prints that are missing, as those that are NaN.

    A missing loss is interpolated, around the trend, from those at the same place of the epochs before and after. Prints that
    slide over the epoch are left as they are, and so is a log that lacks more than half.
    """
    number = _numbers(period)
    width = round(period.length / period.interval) if number is not None else 0
    if number is None or not max(len(number), width) <= number[-1] < 2 * len(number):
        return loss, period
    every = np.arange(number[-1] + 1)
    missing = np.setdiff1d(every, number)
    filled = np.interp(every, number, loss)
    for _ in range(TIMES_FILLED):
        trend = cycle_trend(filled, width, 1)
        filled[missing] = trend[missing] + _at_same_place(loss - trend[number], number, missing, width)
    epoch, position = np.divmod(period.epoch[0] * period.length + period.position[0] + every * period.interval, period.length)
    return filled, period._replace(epoch=epoch.astype(int), position=position)


def _numbers(period: Period) -> Int[np.ndarray, " n"] | None:
    """Return the number of each print, from 0, as far as an interval that divides the epoch says; None where there is none."""
    if not math.isfinite(period.interval) or period.slides:
        return None
    number = (period.epoch * period.length + period.position) / period.interval
    number = np.append(number - number[0], period.length / period.interval)
    whole = np.rint(number).astype(int)
    if np.abs(number - whole).max() > 0.01 or (np.diff(whole[:-1]) < 1).any():
        return None
    return whole[:-1]


def _at_same_place(
    values: Float[np.ndarray, " n"], number: Int[np.ndarray, " n"], missing: Int[np.ndarray, " k"], width: int
) -> Float[np.ndarray, " k"]:
    """Return the missing values, each interpolated from the nearest before and after it at the same place of an epoch, [k].

    Args:
      values: those that are known, [n].
      number: their prints, [n].
      missing: the prints whose values are missing, [k].
      width: prints per epoch.
    """
    epochs = int(max(number[-1], missing[-1])) // width + 1
    known, wanted = (prints % width * epochs + prints // width for prints in (number, missing))
    order = np.argsort(known)
    known, values = known[order], values[order]
    after = np.searchsorted(known, wanted)
    before, after = np.maximum(after - 1, 0), np.minimum(after, len(known) - 1)
    has_before, has_after = (known[at] // epochs == wanted // epochs for at in (before, after))
    share = np.where(
        has_before, np.where(has_after, (wanted - known[before]) / np.maximum(known[after] - known[before], 1), 0), 1
    )
    return np.where(has_before | has_after, (1 - share) * values[before] + share * values[after], 0.0)
