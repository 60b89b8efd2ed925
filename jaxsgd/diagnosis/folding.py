"""A loss laid over the epoch: what is left of it without its trend, by the place in the epoch."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from jaxsgd.diagnosis.period import Period
from jaxsgd.diagnosis.series import moving_mean


class Folded(NamedTuple):
    """The detrended loss by its place in the epoch; k prints, G places, l prints of the last place.

    Attributes:
      left: [k], the loss less its trend, in units of its own scale.
      phase: [k], place in the epoch, from 0 to 1.
      group: [k], number of the place.
      epoch: [k].
      place: [G], phase of each place.
      level: [G], mean at each place.
      last: [l], the same as `left` at the epoch's last place, where there are four places or more; it stands apart, so that
        a batch unlike all others does not hide what those do. Empty where there are fewer.
    """

    left: Float[np.ndarray, " k"]
    phase: Float[np.ndarray, " k"]
    group: Int[np.ndarray, " k"]
    epoch: Int[np.ndarray, " k"]
    place: Float[np.ndarray, " G"]
    level: Float[np.ndarray, " G"]
    last: Float[np.ndarray, " l"]


def cycle_width(period: Period) -> int:
    """Prints until they fall on the same places again; where that is longer than the log bears, until an epoch is over."""
    count = len(period.position)
    cycle = period.stripe_count if period.slides else round(period.per_epoch)
    if period.slides and cycle > count / 3:
        cycle = round(max(2.0, period.per_epoch))
    return int(max(2, min(cycle, count // 2)))


MANY_EPOCHS = 6
"""Epochs from which the first is not looked at: it falls as no other does."""


def stands_apart(period: Period) -> Bool[np.ndarray, " n"]:
    """Which prints are at the epoch's last place, where that is always the same and not one of a few."""
    count = len(period.position)
    places = period.stripe_count
    if period.slides or not period.is_steady or places < 4 or count < 3 * places:
        return np.zeros(count, bool)
    return np.abs(period.position - period.position.max()) < 0.01


def fold(loss: Float[np.ndarray, " n"], period: Period) -> Folded:
    """The detrended loss by place in the epoch."""
    left, trend, scale, at, apart = _detrended(loss, period)
    _, off = _last_prints(loss, trend, scale, at, apart)
    position = period.position[at]
    group = _groups(position, period)
    count = np.bincount(group)
    place = np.bincount(group, position) / count / period.length
    left = left / scale
    return Folded(left, position / period.length, group, period.epoch[at], place, np.bincount(group, left) / count, off)


def detrended(loss: Float[np.ndarray, " n"], period: Period) -> Float[np.ndarray, " k"]:
    """The detrended loss that `fold` lays over the epoch, print by print in the order of the log: [k], in its own scale.

    Prints at the last place, which `fold` keeps apart, are among them. The first epoch of a long log and half a cycle at
    either end are left out.
    """
    left, trend, scale, at, apart = _detrended(loss, period)
    number, off = _last_prints(loss, trend, scale, at, apart)
    order = np.argsort(np.concatenate([at, number]), kind="stable")
    return np.concatenate([left / scale, off])[order]


def fold_scale(loss: Float[np.ndarray, " n"], period: Period) -> Float[np.ndarray, " k"]:
    """The scale by which `fold` divides at each print, [k]; loss units."""
    return _detrended(loss, period)[2]


def _last_prints(loss, trend, scale, at, apart) -> tuple[np.ndarray, np.ndarray]:
    """(number of each print that stands apart, its loss less the trend around it in the scale there)."""
    last = np.flatnonzero(apart)
    last = last[(last > at[0]) & (last < at[-1])] if len(at) else last[:0]
    off = (loss[last] - np.interp(last, at, trend)) / np.interp(last, at, scale) if len(last) else np.zeros(0)
    return last, off


def _detrended(loss: np.ndarray, period: Period) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(loss less its trend, trend, scale and number of each print but those apart, which prints stand apart)."""
    apart = stands_apart(period)
    width = cycle_width(period) - int(apart.any())
    half = width // 2
    kept = np.flatnonzero(~apart)
    skipped = int(np.searchsorted(period.epoch[kept], period.epoch[0] + 1)) if period.epochs >= MANY_EPOCHS else 0
    first, stop = max(half, skipped), len(kept) - half
    trend = moving_mean(loss[kept], width)[first - half :]
    left = loss[kept[first:stop]] - trend
    return left, trend, local_scale(left, width), kept[first:stop], apart


def local_scale(left: Float[np.ndarray, " k"], width: int) -> Float[np.ndarray, " k"]:
    """The scale of a detrended loss around each print: root mean square over three cycles; 1 where there is none."""
    span = min(3 * width, len(left))
    square = left**2
    around = moving_mean(square, span) if span < len(left) else np.full(1, square.mean())
    before = (len(left) - len(around)) // 2
    around = np.pad(around, (before, len(left) - len(around) - before), mode="edge")
    scale = np.sqrt(np.maximum(around, 0))
    floor = 1e-9 * float(np.sqrt(square.max(initial=0)))
    return np.where(scale > floor, scale, 1.0)


def _groups(position: np.ndarray, period: Period) -> np.ndarray:
    """The number of each print's place. Places that come up too seldom are put together with their neighbours."""
    exact = np.unique(np.round(position, 3), return_inverse=True)[1]
    if len(position) >= 3 * (exact.max(initial=0) + 1):
        return exact
    bins = max(2, min(len(position) // 4, round(4 * period.per_epoch)))
    return np.unique(np.floor(position / period.length * bins * (1 - 1e-9)), return_inverse=True)[1]
