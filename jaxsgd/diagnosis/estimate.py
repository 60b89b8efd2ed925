"""The period of a series of losses, when nothing else says what it is."""

import itertools
import math

import numpy as np
from jaxtyping import Float

from jaxsgd.diagnosis.series import normal_score

MOST_CANDIDATES = 24
"""Lags that are looked at closely: the peaks of the autocorrelation."""


NEARLY = 0.85
"""Part of the explained share with which a divisor of the best period is preferred to it."""

NO_SCORE = -10.0
"""Where there is no candidate."""


def best_period(loss: Float[np.ndarray, " n"]) -> tuple[float, float]:
    """The most likely period, in prints, and how much its fold explains beyond what the best of so many explains by chance.

    Candidates are the peaks of the autocorrelation of the detrended loss; of these, the one whose fold (the split of the prints
    by their place in the period) explains most beyond chance, as a normal score; or the smallest divisor of it that
    explains nearly as much.

    Args:
      loss: [n], equally far apart.
    """
    count = len(loss)
    if count < 8:
        return float(max(count, 1)), NO_SCORE
    left = detrended(loss)
    if not np.any(left):
        return float(count), NO_SCORE
    size = 1 << (2 * count - 1).bit_length()
    power = np.abs(np.fft.rfft(left, size)) ** 2
    correlation = np.fft.irfft(power, size)[:count]
    lags = np.arange(2, max(3, count // 4 + 1))
    height = correlation[lags] / (correlation[0] * (1 - lags / count))
    before, after = correlation[lags - 1], correlation[np.minimum(lags + 1, count - 1)]
    peak = (correlation[lags] >= before) & (correlation[lags] >= after)
    candidates = lags[peak][np.argsort(-height[peak], kind="stable")[:MOST_CANDIDATES]]
    if not len(candidates):
        return float(count), NO_SCORE
    folds = [fold_score(left, int(lag)) for lag in candidates]
    best = max(range(len(folds)), key=lambda place: folds[place][0])
    score, explained = folds[best]
    length = int(candidates[best])
    # What repeats after a period does so after its multiples; slow changes may even favour these.
    for part in range(2, length):
        if length % part == 0 and fold_score(left, part)[1] >= NEARLY * explained:
            length = part
            break
    return float(length), score - math.sqrt(2 * math.log(len(lags) + 1))


def detrended(loss: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """The loss less a smooth trend, brought to an even scale: lines between the medians of a few stretches."""
    count = len(loss)
    knots = max(3, min(12, count // 16))
    edges = np.linspace(0, count, knots + 1).astype(int)
    middle = np.array([(start + stop - 1) / 2 for start, stop in itertools.pairwise(edges)])
    level = np.array([loss[start:stop].mean() for start, stop in itertools.pairwise(edges)])
    place = np.arange(count)
    left = loss - np.interp(place, middle, level)
    slope_first, slope_last = (
        (level[1] - level[0]) / (middle[1] - middle[0]),
        (level[-1] - level[-2]) / (middle[-1] - middle[-2]),
    )
    early, late = place < middle[0], place > middle[-1]
    left[early] -= slope_first * (place[early] - middle[0])
    left[late] -= slope_last * (place[late] - middle[-1])
    spread = np.array([left[start:stop].std() for start, stop in itertools.pairwise(edges)])
    floor = 1e-12 * max(1e-300, float(np.abs(loss).max()))
    scale = np.interp(place, middle, spread)
    return np.where(scale > floor, left / np.maximum(scale, floor), 0.0)


def fold_score(left: Float[np.ndarray, " n"], lag: int) -> tuple[float, float]:
    """How far the levels by place in a period of `lag` differ beyond chance: (normal score, adjusted share)."""
    cycles = len(left) // lag
    if cycles < 2:
        return 0.0, 0.0
    table = left[: cycles * lag].reshape(cycles, lag)
    levels = table.mean(axis=0)
    freedom = lag * (cycles - 1)
    between = cycles * float(((levels - levels.mean()) ** 2).sum())
    within = float(((table - levels) ** 2).sum())
    if within <= 0:
        return 40.0, 1.0
    share = 1 - (within / freedom) / ((between + within) / (cycles * lag - 1))
    return min(normal_score((between / (lag - 1)) / (within / freedom), lag - 1, freedom), 40.0), share
