"""What is measured of a log: numbers that a person can check, each of which speaks for or against a cause.

All of them look at what is left of the loss when its trend, a moving mean over one whole cycle of prints, is taken away,
divided by its own scale, so that early and late epochs count the same. A "z" is a normal score: chance alone gives it a
standard deviation of about 1. A cycle is the prints until they fall on the same places of the epoch again.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from jaxsgd.diagnosis.folding import Folded, fold
from jaxsgd.diagnosis.measures import Features
from jaxsgd.diagnosis.period import Period
from jaxsgd.diagnosis.series import LARGEST, cut_score, explained, student_score
from jaxsgd.diagnosis.settling_mean import settling
from jaxsgd.diagnosis.stair import find_stair


def measure_features(loss: Float[np.ndarray, " n"], rate: Float[np.ndarray, " n"], period: Period) -> Features:
    """Measures a log.

    Args:
      loss: of each print.
      rate: learning rate at each print, NaN where the log does not say it.
      period: when each print was made.
    """
    folded = fold(loss, period)
    index, z = explained(folded.left, folded.group)
    smooth_free, inner = _without_smooth(folded)
    jagged, jagged_z = explained(smooth_free[inner], folded.group[inner])
    rise, rise_z, rise_share = ramp(folded)
    settle, settle_z, reset = settling(loss, period)
    return Features(
        index, z, jagged, jagged_z, _agreement(smooth_free, folded, inner), rise, rise_z, rise_share, settle, settle_z, reset,
        *last_place(folded), *find_stair(loss, period), _rate_steps(rate, period), float(period.slides), period.per_epoch,
        period.epochs,
    )  # fmt: skip


def _without_smooth(folded: Folded) -> tuple[np.ndarray, np.ndarray]:
    """The loss without its smooth curve over the epoch, and which prints are not at its beginning."""
    places = len(folded.place)
    degree = 4 if places >= 12 else 3 if places >= 8 else 2 if places >= 6 else 1 if places >= 4 else 0
    inner = np.ones(len(folded.left), bool)
    if places >= 6:
        inner = folded.group > 0
    if not degree:
        return folded.left, inner
    curve = np.polynomial.Polynomial.fit(folded.phase[inner], folded.left[inner], degree)
    return folded.left - curve(folded.phase), inner


TREND_KINSHIP, KINSHIP_WEIGHT = 1 / 3, 20.0
"""Correlation of the slopes of two epochs in a row that taking away their common trend leaves in white noise (0.30 to 0.36
for 5 to 25 prints an epoch), and the epochs that this knowledge counts for beside those of the log."""


def _kin_variance(off: np.ndarray) -> float:
    """Variance of the sum of successive epochs' slopes over what it were if they were independent.

    One and twice their correlations up to three epochs apart: the log's own, drawn to those of white noise.
    """
    square = float((off**2).mean())
    if square <= 0:
        return 1.0
    total = 1.0
    for lag, usual in ((1, TREND_KINSHIP), (2, 0.0), (3, 0.0)):
        own = float((off[lag:] * off[:-lag]).sum()) if len(off) > lag else 0.0
        kinship = (own + KINSHIP_WEIGHT * usual * square) / ((len(off) + KINSHIP_WEIGHT) * square)
        total += 2 * float(np.clip(kinship, 0, 0.9))
    return total


def _agreement(smooth_free: np.ndarray, folded: Folded, inner: np.ndarray) -> float:
    early = folded.epoch <= np.median(folded.epoch)
    halves = []
    for half in (early & inner, ~early & inner):
        count = np.bincount(folded.group[half], minlength=len(folded.place))
        total = np.bincount(folded.group[half], smooth_free[half], minlength=len(folded.place))
        halves.append(np.where(count > 0, total / np.maximum(count, 1), np.nan))
    known = np.isfinite(halves[0]) & np.isfinite(halves[1])
    if known.sum() < 3:
        return 0.0
    one, other = (half[known] - half[known].mean() for half in halves)
    size = np.sqrt((one**2).sum() * (other**2).sum())
    return float((one * other).sum() / size) if size > 0 else 0.0


FEWEST_RISING = 6
"""Prints an epoch from which a rise within it can be told from levels that repeat."""


def ramp(folded: Folded) -> tuple[float, float, float]:
    """(rise over the epoch, its z over epochs, part of the levels' variance that a line explains)."""
    centred = folded.phase - folded.phase.mean()
    number = folded.epoch - folded.epoch.min()
    count = np.bincount(number)
    # Each epoch's own slope with the phase's global mean: their weighted mean is the slope over all.
    cross, square = np.bincount(number, folded.left * centred), np.bincount(number, centred**2)
    total = square.sum()
    if total <= 0:
        return 0.0, 0.0, 0.0
    slope = cross.sum() / total
    off = (cross - slope * square)[count > 0]
    error = np.sqrt((off**2).sum() * len(off) / max(len(off) - 1, 1) * _kin_variance(off)) / total
    z = slope / error if error > 1e-12 * abs(slope) else np.sign(slope) * LARGEST
    z = student_score(float(z), max(len(off) - 1, 1))
    weight = np.bincount(folded.group)
    place = folded.place - (weight * folded.place).sum() / weight.sum()
    variance = float((weight * folded.level**2).sum())
    line = float((weight * place * folded.level).sum()) ** 2 / max(float((weight * place**2).sum()), 1e-300)
    return float(slope), cut_score(float(z)), float(line / variance) if variance > 0 else 0.0


class LastPlace(NamedTuple):
    """How the epoch's last place stands to the others; all 0 where it does not stand apart.

    Attributes:
      level: its mean's distance from a line through the other places' means, in their scatter; signed.
      level_rare: the same as a normal score: few places may have one far off by chance.
      level_z: z of that distance, by the last place's own scatter over epochs.
      spread: log of its scatter over epochs over that of the others.
      spread_z: z of that ratio, for normal values.
      spread_rare: normal score of its log scatter among the log scatters of the other places, one by one.
    """

    level: float = 0.0
    level_rare: float = 0.0
    level_z: float = 0.0
    spread: float = 0.0
    spread_z: float = 0.0
    spread_rare: float = 0.0


def last_place(folded: Folded) -> LastPlace:
    """The epoch's last place against the others."""
    count, places = len(folded.last), len(folded.place)
    if count < 3 or places < 3:
        return LastPlace()
    # Against a line through the others, so that a ramp has no outlier at its end.
    fitted = 2 if places >= 5 else 1
    slope, height = np.polyfit(folded.place, folded.level, 1) if fitted == 2 else (0.0, float(folded.level.mean()))
    off = float(folded.last.mean()) - slope - height
    scatter = max(float(np.std(folded.level - slope * folded.place - height)), 1e-9)
    # The scale of a print is that of the others in three cycles around, so the last place's quotients have wider tails.
    freedom = 3 * places - 3
    own = float(folded.last.std(ddof=1)) * np.sqrt((freedom - 2) / freedom)
    # The trend at the last place leaves that place out; so the others are held against one without themselves, too.
    others = (folded.left - folded.level[folded.group]) * places / (places - 1)
    other = float(np.sqrt((others**2).sum() / max(len(others) - places, 1)))
    error = max(np.sqrt((own**2 + other**2) / 2 / count), 1e-9)
    spread = float(np.log(max(own, 1e-6) / max(other, 1e-6))) if max(own, other) > 1e-6 else 0.0
    visits = np.bincount(folded.group)
    each = np.sqrt(np.bincount(folded.group, others**2) / np.maximum(visits - 1, 1))
    logs = np.log(np.maximum(each, 1e-6))
    usual = max(float(logs.std(ddof=1)), np.sqrt(0.5 / count))
    return LastPlace(
        cut_score(off / scatter),
        cut_score(student_score(off / scatter, places - fitted)),
        cut_score(off / error),
        spread,
        cut_score(spread * np.sqrt(2 * max(count - 1, 1))),
        cut_score(student_score((np.log(max(own, 1e-6)) - float(logs.mean())) / usual, places - 1)),
    )


RATE_JUMP = 0.02
"""Relative change of the rate between two prints that counts as a jump, where most prints change it by less."""


def _rate_steps(rate: np.ndarray, period: Period) -> float:
    known = np.isfinite(rate)
    if known.sum() < 0.9 * len(rate) or len(rate) < 4 or (rate <= 0).all():
        return 0.0
    change = np.diff(np.log(np.maximum(rate, 1e-30)))
    crosses = np.diff(period.epoch) > 0
    # A restart raises the rate; a step is far larger than the usual change.
    for jumps in (change > RATE_JUMP, np.abs(change) > max(RATE_JUMP, 5 * float(np.median(np.abs(change))))):
        if jumps.any() and (jumps & crosses).sum() >= 0.8 * jumps.sum():
            return 1.0
    return -1.0
