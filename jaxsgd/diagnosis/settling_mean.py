"""Whether a loss settles within the epoch, as a mean does that begins anew with each."""

import numpy as np
from jaxtyping import Float

from jaxsgd.diagnosis.folding import stands_apart
from jaxsgd.diagnosis.period import Period
from jaxsgd.diagnosis.series import cut_score


def changes(loss: Float[np.ndarray, " n"], period: Period) -> tuple[Float[np.ndarray, " c"], Float[np.ndarray, " c"]]:
    """The changes from print to print within epochs, the first epoch left out: (batches or prints of the epoch up to the later
    one, size), each [c].
    """
    begins, _ = _numbered(period)
    used = ~begins[1:] & (period.epoch[1:] > period.epoch[0])
    return period.position[1:][used] + 1, np.abs(np.diff(loss))[used]


def _without(period: Period, apart: np.ndarray) -> Period:
    return period._replace(position=period.position[~apart], epoch=period.epoch[~apart])


def _numbered(period: Period) -> tuple[np.ndarray, np.ndarray]:
    """(whether an epoch begins with each print, its number in the epoch from 0)."""
    begins = np.concatenate([[True], np.diff(period.epoch) > 0])
    count = np.arange(len(begins))
    return begins, count - np.maximum.accumulate(np.where(begins, count, 0))


def settling(loss: np.ndarray, period: Period) -> tuple[float, float, float]:
    """(slope of the log change over the log count of batches, log likelihood of a settling mean over an even size, log of the
    change across boundaries over the later ones).

    A mean over k batches moves by about 1 / k of what the k-th adds; at the boundary, where the mean begins anew, by all of it.
    """
    if period.per_epoch < 4:
        return 0.0, 0.0, 0.0
    apart = stands_apart(period)
    loss, period = loss[~apart], _without(period, apart)
    begins, _ = _numbered(period)
    change = np.abs(np.diff(loss))
    # The first epoch falls steeply whatever the habit.
    late = (period.epoch[1:] > period.epoch[0]) & (change > 0)
    if late.sum() < 12:
        return 0.0, 0.0, 0.0
    # A pattern that repeats moves a print of one place by the same amount in every epoch: the places, not the prints, are the
    # independent draws.
    value, at = np.unique(np.round(period.position[1:][late], 3), return_inverse=True)
    count = np.bincount(at)
    there = count >= 0.5 * np.median(count)
    size, place = (np.bincount(at, np.log(change[late])) / count)[there], np.log(value[there] + 1.0)
    slope, _ = _line(place, size)
    # The scatter that a mean of logs of normal draws has: pi^2 / 8 of each, less where many independent ones are averaged.
    floor = 0.02 * len(size)
    even, settling = float(((size - size.mean()) ** 2).sum()), float(((size + place - (size + place).mean()) ** 2).sum())
    likelihood = len(size) / 2 * np.log((even + floor) / (settling + floor))
    crossing, later = change[begins[1:] & late], change[~begins[1:] & late & (period.position[1:] >= 0.5 * period.length)]
    reset = float(np.log(np.median(crossing) / np.median(later))) if len(crossing) and len(later) else 0.0
    return slope, cut_score(float(likelihood)), reset


def _line(place: np.ndarray, value: np.ndarray) -> tuple[float, float]:
    """Slope of a straight line, and its standard error; 0 and 0 for fewer than three points."""
    if len(place) < 3:
        return 0.0, 0.0
    centred = place - place.mean()
    square = float((centred**2).sum())
    slope = float((centred * value).sum()) / square
    off = value - value.mean() - slope * centred
    return slope, float(np.sqrt((off**2).sum() / (len(place) - 2) / square))
