"""A loss laid over the epoch: what remains without its trend at each place in the epoch, and what can be measured there.

The trend is a moving mean over one whole cycle of prints. What remains is divided by its own scale, so that early and late
epochs count the same. A cycle is the prints until they fall on the same places of the epoch again. A "z" is a normal score:
chance alone gives it a standard deviation of about 1.
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from jaxsgd.diagnosis.period import Period
from jaxsgd.diagnosis.series import LARGEST, cut_score, student_score
from jaxsgd.measure.trend import cycle_trend, moving_mean


class Folded(NamedTuple):
    """The detrended loss by its place in the epoch; k prints, G places, l prints of the last place.

    Attributes:
      left: [k], the loss less its trend, in units of its own scale.
      phase: [k], place in the epoch, from 0 to 1.
      group: [k], number of the place.
      epoch: [k].
      place: [G], phase of each place.
      level: [G], mean at each place.
      last: [l], the same as `left` at the epoch's last place, where the epoch has four places or more. It is kept apart, so
        that a batch unlike all others does not hide what the others do. Empty where the epoch has fewer places.
      width: number of prints in the moving mean that is the trend.
    """

    left: Float[np.ndarray, " k"]
    phase: Float[np.ndarray, " k"]
    group: Int[np.ndarray, " k"]
    epoch: Int[np.ndarray, " k"]
    place: Float[np.ndarray, " G"]
    level: Float[np.ndarray, " G"]
    last: Float[np.ndarray, " l"]
    width: int


def cycle_width(period: Period) -> int:
    """Return the number of prints until they fall on the same places again; in a log too short for that, of an epoch."""
    count = len(period.position)
    cycle = period.stripe_count if period.slides else round(period.per_epoch)
    if period.slides and cycle > count / 3:
        cycle = round(max(2.0, period.cycle))
    return int(max(2, min(cycle, count // 2)))


MANY_EPOCHS = 6
"""Number of epochs from which the first is left out, because it falls more than any other."""


SOME_EPOCHS, STEEP = 4.5, 5.0
"""Number of epochs from which the first is left out if it is steep: if its losses differ by more than this factor times as much
as those of all others. A count of prints over the mean number an epoch is seldom whole."""


def _is_steep(loss: np.ndarray, first: int) -> bool:
    """Return True if the losses of the first epoch, of which there are `first`, differ far more than all others."""
    return 0 < first < len(loss) and float(np.ptp(loss[:first])) > STEEP * float(np.ptp(loss[first:]))


def stands_apart(period: Period) -> Bool[np.ndarray, " n"]:
    """Return True for the prints at the epoch's last place, where that place is the same in every epoch and one of many."""
    count = len(period.position)
    places = period.stripe_count
    if period.slides or not period.is_steady or places < 4 or count < 3 * places:
        return np.zeros(count, bool)
    return np.abs(period.position - period.position.max()) < 0.01


def fold(loss: Float[np.ndarray, " n"], period: Period) -> Folded:
    """Return the detrended loss by place in the epoch."""
    left, trend, scale, at, apart = _detrended(loss, period)
    _, off = _last_prints(loss, period, (left, trend, scale, at, apart))
    position = period.position[at]
    group = _groups(position, period)
    count = np.bincount(group)
    place = np.bincount(group, position) / count / period.length
    left = left / scale
    level = np.bincount(group, left) / count
    return Folded(left, position / period.length, group, period.epoch[at], place, level, off, _trend_width(period, apart))


def detrended(loss: Float[np.ndarray, " n"], period: Period) -> Float[np.ndarray, " k"]:
    """Return the detrended loss that `fold` lays over the epoch, print by print in the order of the log: [k], in its own scale.

    Prints at the last place, which `fold` keeps apart, are included. The first epoch of a long log and half a cycle at either
    end are left out.
    """
    left, trend, scale, at, apart = _detrended(loss, period)
    number, off = _last_prints(loss, period, (left, trend, scale, at, apart))
    order = np.argsort(np.concatenate([at, number]), kind="stable")
    return np.concatenate([left / scale, off])[order]


def fold_scale(loss: Float[np.ndarray, " n"], period: Period) -> Float[np.ndarray, " k"]:
    """Return the scale by which `fold` divides at each print, [k]; loss units."""
    return _detrended(loss, period)[2]


def _last_prints(loss, period, detrended) -> tuple[np.ndarray, np.ndarray]:
    """Return (number of each print that stands apart, its loss less the trend around it in the scale around it)."""
    left, trend, scale, at, apart = detrended
    last = np.flatnonzero(apart)
    last = last[(last > at[0]) & (last < at[-1])] if len(at) else last[:0]
    if not len(last) or not left.any():
        return last, np.zeros(len(last))
    time = period.epoch + period.position / period.length
    return last, (loss[last] - np.interp(time[last], time[at], trend)) / np.interp(time[last], time[at], scale)


def _detrended(loss: np.ndarray, period: Period) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return (loss less its trend, trend, scale and number of each print but those apart, a mask of the prints apart)."""
    apart = stands_apart(period)
    width = _trend_width(period, apart)
    half = width // 2
    kept = np.flatnonzero(~apart)
    # A log may have lost most of its epochs.
    epochs = min(period.epochs, float(len(np.unique(period.epoch))))
    skipped = int(np.searchsorted(period.epoch[kept], period.epoch[0] + 1))
    is_steep = _is_steep(loss[kept], skipped)
    if epochs < SOME_EPOCHS or (epochs < MANY_EPOCHS and not is_steep):
        skipped = 0
    elif is_steep:
        # The trend of the prints that follow would contain some of the steep ones.
        skipped += half
    if period.per_epoch < 2:
        # Of prints as rare as epochs a cycle falls as others' first epoch does.
        skipped = max(skipped, min(width, len(kept) // 4))
    first, stop = max(half, skipped), len(kept) - half
    trend = cycle_trend(loss[kept], width, 1)[first:stop]
    trend = trend + _unevenness(trend, (period.epoch + period.position / period.length)[kept], width, first, stop)
    left = loss[kept[first:stop]] - trend
    bent = _bend(left, width, 0.0 if period.per_epoch < 2 else MOST_BEND)
    left, trend = left - bent, trend + bent
    if _is_smooth(loss[kept[first:stop]], left - _bend(left, width, 0.0), trend):
        left = np.zeros_like(left)
    return left, trend, local_scale(left, width), kept[first:stop], apart


def _trend_width(period: Period, apart: np.ndarray) -> int:
    """Return the number of prints in the moving mean that is the trend of the prints that do not stand apart."""
    return cycle_width(period) - int(apart.any())


def _unevenness(trend: np.ndarray, time: np.ndarray, width: int, first: int, stop: int) -> np.ndarray:
    """Return what the trend falls from the mean time of the prints around to each print's own, [k]; 0 where prints are even.

    A count that restarts with each epoch leaves a longer gap at the boundary if the interval does not divide the epoch.
    """
    middle = cycle_trend(time, width, 1)[first:stop]
    away = time[first:stop] - middle
    if len(trend) < 3 or float(np.abs(away).max()) < 1e-6:
        return np.zeros_like(trend)
    return away * np.gradient(trend) / np.maximum(np.gradient(middle), 1e-9)


MOST_BEND = 0.3
"""Share of the detrended loss's size from which what a moving mean leaves of a curved trend is taken off."""


def _bend(left: np.ndarray, width: int, most: float) -> np.ndarray:
    """Return what a moving mean leaves of a smooth curve, [k]: the moving mean of what is left, where that is much; else 0.

    A moving mean lies above a loss that falls ever more slowly. It contains nothing of a
    pattern within the cycle.
    """
    if len(left) < 2 * width:
        return np.zeros_like(left)
    bend = moving_mean(left, width)
    bend = _continued(bend, width // 2, len(left))
    return bend if float((bend**2).sum()) > most * float((left**2).sum()) else np.zeros_like(left)


SMOOTH, ONE_WAY = 0.3, 0.95
"""Distance of a loss from its trend, in steps of the trend from print to print, below which nine in ten prints of a smooth
loss are; and the share of its changes that have one sign."""


def _is_smooth(loss: np.ndarray, left: np.ndarray, trend: np.ndarray) -> bool:
    """Return True if the loss goes only one way and hardly leaves its trend, so that nobody sees a pattern in it."""
    change, step = np.diff(loss), np.abs(np.diff(trend))
    if len(change) < 2 or max(float((change >= 0).mean()), float((change <= 0).mean())) < ONE_WAY:
        return False
    with np.errstate(over="ignore"):  # far from a trend that does not move
        steps_off = np.minimum(np.abs(left[1:]) / np.maximum(step, 1e-300), 1e300)
    return float(np.quantile(steps_off, 0.9)) < SMOOTH


def local_scale(left: Float[np.ndarray, " k"], width: int) -> Float[np.ndarray, " k"]:
    """Return the scale of a detrended loss around each print: root mean square over three cycles; 1 where all of it is 0."""
    span = min(3 * width, len(left))
    square = left**2
    around = moving_mean(square, span) if span < len(left) else np.full(1, square.mean())
    before = (len(left) - len(around)) // 2
    around = _continued(around, before, len(left))
    scale = np.sqrt(np.maximum(around, 0))
    floor = 1e-9 * float(np.sqrt(square.max(initial=0)))
    return np.where(scale > floor, scale, 1.0)


def _continued(values: np.ndarray, before: int, count: int) -> np.ndarray:
    """Return `count` values: the given ones with the first repeated `before` times, and the last to the end."""
    # As NumPy's `pad`, which takes longer than all else here.
    return values[np.clip(np.arange(-before, count - before), 0, len(values) - 1)]


def _groups(position: np.ndarray, period: Period) -> np.ndarray:
    """Return the number of each print's place. Places that come up too seldom are joined with their neighbours."""
    exact = np.unique(np.round(position, 3), return_inverse=True)[1]
    if len(position) >= 3 * (exact.max(initial=0) + 1):
        return exact
    bins = max(2, min(len(position) // 4, round((4 if period.per_epoch >= 2 else 1) * period.cycle)))
    # Prints as rare as epochs may fall on a part of the epoch only.
    first, length = (position.min(), np.ptp(position)) if period.per_epoch < 2 else (0.0, period.length)
    return np.unique(np.floor((position - first) / length * bins * (1 - 1e-9)), return_inverse=True)[1]


def without_epoch_mean(loss: Float[np.ndarray, " n"], period: Period) -> Float[np.ndarray, " n"]:
    """Return the means since the print before, [n], of a loss that is printed as the mean over the epoch so far.

    With v over the first b batches and u over the first a of them, the mean over the others is (b v - a u) / (b - a). A print
    with no more batches than the one before stays as it is.
    """
    number = period.position + 1
    more = np.diff(number)
    inner = (np.diff(period.epoch) == 0) & (more > 0)
    later = loss[1:] + np.diff(loss) * number[:-1] / np.where(inner, more, 1.0)
    return np.append(loss[:1], np.where(inner, later, loss[1:]))


def without_smooth(folded: Folded) -> tuple[Float[np.ndarray, " k"], Bool[np.ndarray, " k"]]:
    """Return (the loss without its smooth curve over the epoch, True for the prints that are not at the epoch's beginning)."""
    places = len(folded.place)
    degree = 4 if places >= 12 else 3 if places >= 8 else 2 if places >= 6 else 1 if places >= 4 else 0
    inner = np.ones(len(folded.left), bool)
    if places >= 6:
        inner = folded.group > 0
    if not degree:
        return folded.left, inner
    # Places that lie almost together leave many curves; with `full` numpy takes the one of the smallest coefficients, unasked.
    curve, _ = np.polynomial.Polynomial.fit(folded.phase[inner], folded.left[inner], degree, full=True)
    return folded.left - curve(folded.phase), inner


def agreement(folded: Folded, smooth_free: Float[np.ndarray, " k"], inner: Bool[np.ndarray, " k"]) -> float:
    """Return the correlation of the levels by place in the first half of the log with those in the second.

    Args:
      folded: the loss by place.
      smooth_free, inner: as `without_smooth` gives them.

    Returns:
      The correlation; 0 where fewer than three places are known in both halves.
    """
    early = folded.epoch <= np.median(folded.epoch)
    halves = []
    for half in (early & inner, ~early & inner):
        count = np.bincount(folded.group[half], minlength=len(folded.place))
        total = np.bincount(folded.group[half], smooth_free[half], minlength=len(folded.place))
        halves.append(np.where(count > 0, total / np.maximum(count, 1), np.nan))
    known = np.isfinite(halves[0]) & np.isfinite(halves[1])
    if known.sum() < 3:
        return 0.0
    first, second = (half[known] - half[known].mean() for half in halves)
    size = np.sqrt((first**2).sum() * (second**2).sum())
    return float((first * second).sum() / size) if size > 0 else 0.0


FEWEST_LEVELS = 8
"""Number of positions from which it can be seen that neighbouring levels resemble each other."""


def level_length(folded: Folded) -> float:
    """Return the distance over which the levels of positions resemble each other, as a share of the epoch.

    A shuffle buffer of k of N samples smooths the levels of a fixed order: a sample waits for k others on average, and levels
    at the distance d then have the correlation exp(-d N / k). So a buffer holds at most this share of the data. The scatter of
    the levels by chance is taken off. 0 where the levels jump from position to position, or where there are fewer than eight.
    """
    places = len(folded.place)
    if places < FEWEST_LEVELS:
        return 0.0
    count = np.bincount(folded.group)
    within = folded.left - folded.level[folded.group]
    chance = float((within**2).sum()) / max(len(within) - places, 1) * float((1 / count).mean())
    level = folded.level - folded.level.mean()
    variance = float((level**2).mean()) - chance
    if variance <= 0:
        return 0.0
    before = 1.0
    for lag in range(1, places // 2):
        kinship = float((level[lag:] * level[:-lag]).mean()) / variance
        if kinship < np.exp(-1):
            # The distance at which the correlation passes 1 / e, between two prints.
            return float((lag - 1 + (before - np.exp(-1)) / (before - kinship)) / places) if lag > 1 else 0.0
        before = max(kinship, np.exp(-1) + 1e-9)
    return 0.5


TREND_KINSHIP, KINSHIP_WEIGHT = 1 / 3, 20.0
"""Correlation of the slopes of two successive epochs after their common trend is taken off, in white noise (0.30 to 0.36 for 5
to 25 prints an epoch), and the number of epochs that this knowledge counts for beside those of the log."""


def _kin_variance(off: np.ndarray) -> float:
    """Return the variance of the sum of successive epochs' slopes over the variance that independent slopes would give.

    It is 1 plus twice their correlations up to three epochs apart: the log's own, drawn to those of white noise.
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


FEWEST_RISING = 6
"""Prints an epoch from which a rise within the epoch can be distinguished from levels that repeat."""


def ramp(folded: Folded) -> tuple[float, float, float]:
    """Return (rise over the epoch, its z over epochs, part of the levels' variance that a straight line explains)."""
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


FEWEST_WAVING, MANY_WAVING = 5, 8
"""Numbers of positions from which levels are compared with a wave of one harmonic of the epoch, and of two."""


def line_of_levels(folded: Folded, per_epoch: float) -> tuple[float, float]:
    """Return (normal score of a straight line through the levels by place, z of that line against a smooth wave).

    Re-exposure leaves a straight line, levels that repeat leave any curve. With x from 0 to 1 through the epoch:

    - A staircase falls by its drop d from epoch to epoch, and so does its trend. Flat runs less that trend are d (x - 1/2):
      they rise, and jump back by d where the next epoch begins. In a long training the samples of the late positions were last
      seen the longest ago, which leaves such a line, too.
    - Levels that repeat return to where they were. If they are smooth, the first level of an epoch is near the last one:
      the boundary has no jump, and the levels are a wave of a few harmonics of the epoch.

    As x - 1/2 is -sum of sin(2 pi k x) / (pi k), one harmonic explains 6 / pi^2 = 61 % of the variance of a straight line, and
    two explain 76 %. The line explains all of it, but at most 61 % of a wave of one harmonic.

    The first score compares the line with the scatter of the levels around it: levels lie near a line by chance. Levels that
    resemble their neighbours, beyond what chance does, count as fewer. The second is the root of the difference between the
    sums of squares that the line and the wave explain, in variances of a level. It is below 0 where the wave explains more. The
    2 K - 1 that K harmonics explain more by chance are taken off. It is 0 for fewer than `FEWEST_WAVING` places.

    Args:
      folded: the loss by place.
      per_epoch: prints an epoch: not more levels are independent, for prints that slide overlap.
    """
    places = len(folded.place)
    if places < 3:
        return 0.0, 0.0
    count = np.bincount(folded.group).astype(np.float64)
    level = folded.level - np.average(folded.level, weights=count)
    total = float((count * level**2).sum())
    line = _fitted(folded.place[:, None], level, count)
    explains = float((count * line**2).sum())
    left = level - line
    square = float((left**2).sum())
    kinship = float((left[1:] * left[:-1]).sum()) / square - 1 / math.sqrt(places) if square > 0 else 0.0
    fewer = (1 - kinship) / (1 + kinship) if kinship > 0 else 1.0
    freedom = max(round(fewer * min(places, per_epoch)) - 2, 1)
    share = min(explains / total, 1 - 1e-9) if total > 0 else 0.0
    rare = student_score(math.sqrt(freedom * share / (1 - share)), freedom)
    if places < FEWEST_WAVING or not total > 0:
        return rare, 0.0
    harmonics = 2 if places >= MANY_WAVING else 1
    angle = 2 * np.pi * folded.place[:, None] * np.arange(1, harmonics + 1)
    wave = _fitted(np.hstack([np.cos(angle), np.sin(angle)]), level, count)
    off = folded.left - folded.level[folded.group]
    variance = max(float((off**2).sum()) / max(len(off) - places, 1), 1e-9 * total)
    more = (explains - float((count * wave**2).sum())) / variance + 2 * harmonics - 1
    return rare, cut_score(math.copysign(math.sqrt(abs(more)), more))


def _fitted(columns: np.ndarray, level: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Return the levels as columns and a constant fit them, each level weighed by its count of prints, [G]."""
    columns = columns - np.average(columns, axis=0, weights=count)
    root = np.sqrt(count)
    return columns @ np.linalg.lstsq(columns * root[:, None], level * root, rcond=None)[0]


class LastPlace(NamedTuple):
    """The epoch's last place compared with the others; all 0 where it does not stand apart.

    Attributes:
      level: distance of its mean from a straight line through the other places' means, in standard deviations of those around
        the line; signed.
      level_rare: the same as a normal score: among few places a large distance may be chance.
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
    """Compare the epoch's last place with the others."""
    count, places = len(folded.last), len(folded.place)
    if count < 3 or places < 3:
        return LastPlace()
    # Against a line through the others, so that a ramp has no outlier at its end.
    fitted = 2 if places >= 5 else 1
    slope, height = np.polyfit(folded.place, folded.level, 1) if fitted == 2 else (0.0, float(folded.level.mean()))
    # The last place is as far from the one before it as the others are from each other.
    end = float(folded.place[-1] + np.ptp(folded.place) / (places - 1))
    off = float(folded.last.mean()) - slope * end - height
    scatter = max(float(np.std(folded.level - slope * folded.place - height)), 1e-9)
    # The scale of a print is that of the others in three cycles around, so the last place's quotients have wider tails.
    freedom = 3 * places - 3
    own = float(folded.last.std(ddof=1)) * np.sqrt((freedom - 2) / freedom)
    # The trend at the last place leaves that place out; so the others are compared with a trend without themselves, too.
    others = (folded.left - folded.level[folded.group]) * places / (places - 1)
    other = float(np.sqrt((others**2).sum() / max(len(others) - places, 1)))
    error = max(np.sqrt((own**2 + other**2) / 2 / count), 1e-9)
    spread = float(np.log(max(own, 1e-6) / max(other, 1e-6))) if max(own, other) > 1e-6 else 0.0
    visits = np.bincount(folded.group)
    deviation = np.sqrt(np.bincount(folded.group, others**2) / np.maximum(visits - 1, 1))
    logs = np.log(np.maximum(deviation, 1e-6))
    usual = max(float(logs.std(ddof=1)), np.sqrt(0.5 / count))
    return LastPlace(
        cut_score(off / scatter),
        cut_score(student_score(off / scatter, places - fitted)),
        cut_score(off / error),
        spread,
        cut_score(spread * np.sqrt(2 * max(count - 1, 1))),
        cut_score(student_score((np.log(max(own, 1e-6)) - float(logs.mean())) / usual, places - 1)),
    )


def _begins(period: Period) -> Bool[np.ndarray, " n"]:
    """Return True for each print with which an epoch begins."""
    return np.concatenate([[True], np.diff(period.epoch) > 0])


def changes(loss: Float[np.ndarray, " n"], period: Period) -> tuple[Float[np.ndarray, " c"], Float[np.ndarray, " c"]]:
    """Return (batches or prints of the epoch up to the later print, size) of each change from print to print, [c].

    Changes across epochs and those of the first epoch are left out.
    """
    used = ~_begins(period)[1:] & (period.epoch[1:] > period.epoch[0])
    return period.position[1:][used] + 1, np.abs(np.diff(loss))[used]


MANY_ZEROS = 0.1
"""Share of changes of zero from which a loss counts as rounded."""


def _last_digit(loss: np.ndarray) -> float:
    """Return the value of the last decimal that a loss is printed with, of up to six; 0 for more."""
    for digits in range(7):
        if np.allclose(loss, np.round(loss, digits), rtol=0, atol=1e-9):
            return 10.0**-digits
    return 0.0


FEWEST_SETTLING = 4
"""Prints an epoch from which the slope of the changes within the epoch shows that it settles. Of fewer, `epoch_mean` judges."""


def settling(loss: Float[np.ndarray, " n"], period: Period) -> tuple[float, float, float]:
    """Measure whether the loss settles within the epoch, as a mean does that begins anew with each epoch.

    A mean over k batches moves by about 1 / k of what the k-th adds; at the boundary, where the mean begins anew, by all of it.

    Returns:
      Slope of the log change over the log number of batches in the epoch so far; log likelihood of the slope -1 over the slope
      0; log of the change across boundaries over that between an epoch's later prints. All 0 where there is too little.
    """
    loss, period = _without_first_batch(loss, period)
    if period.whole_count < FEWEST_SETTLING:
        return 0.0, 0.0, 0.0
    apart = stands_apart(period)
    loss, period = loss[~apart], period._replace(position=period.position[~apart], epoch=period.epoch[~apart])
    begins = _begins(period)
    change = np.abs(np.diff(loss))
    # The first epoch falls steeply whatever the habit.
    late = period.epoch[1:] > period.epoch[0]
    step = _last_digit(loss)
    rounded = bool(step) and late.any() and float((change[late] < step / 2).mean()) > MANY_ZEROS
    if rounded:
        # Of a loss with few digits a change of zero is a small change, of which only is known that it is below the last digit.
        change = np.maximum(change, step / 4)
    number = _settled_count(period)
    late &= (change > 0) & np.isfinite(number)
    if late.sum() < 12:
        return 0.0, 0.0, 0.0
    # A pattern that repeats moves a print of one place by the same amount in every epoch: the places, not the prints, are the
    # independent draws.
    at = np.unique(np.round(period.position[1:][late], 3), return_inverse=True)[1]
    count = np.bincount(at)
    often = count >= 0.5 * np.median(count)
    size, place = ((np.bincount(at, np.log(values[late])) / count)[often] for values in (change, number))
    # The scatter that a mean of logs of normal draws has: pi^2 / 8 of each, less where many independent ones are averaged.
    floor = 0.02 * len(size)
    shape = _settled_shape(size, place, np.log(step / 4) if rounded else -np.inf)
    even, settling = (float((off**2).sum()) for off in (size - size.mean(), size - shape))
    likelihood = len(size) / 2 * np.log((even + floor) / (settling + floor))
    crossing, later = change[begins[1:] & late], change[~begins[1:] & late & (period.position[1:] >= 0.5 * period.length)]
    reset = float(np.log(np.median(crossing) / np.median(later))) if len(crossing) and len(later) else 0.0
    return (
        _slope(*((place, size) if not rounded else _above(place, size, np.log(step / 2)))),
        cut_score(float(likelihood)),
        reset,
    )


FEW_BATCHES = 0.5
"""Share of the usual number of batches from one print to the next below which a print is one of few batches."""


def _without_first_batch(loss: np.ndarray, period: Period) -> tuple[np.ndarray, Period]:
    """Return the losses and the period without the prints with which epochs begin, where these are of few batches.

    The loss of a single batch scatters far more than a mean, so the mean settles after it whether or not it begins anew.
    """
    kept = ~(_begins(period) & (period.window < FEW_BATCHES * np.median(period.window)))
    return loss[kept], period._replace(position=period.position[kept], epoch=period.epoch[kept])


def _settled_count(period: Period) -> Float[np.ndarray, " c"]:
    """Return 1 over the standard deviation of each change of a mean over the epoch so far, in that of a batch; [c].

    A mean over the first a batches of an epoch moves to that over the first b with the variance 1 / a - 1 / b, and to that over
    the first b of the next epoch with 1 / a + 1 / b. With even windows it is proportional to b, less half a window. Infinite
    where no batch is added.
    """
    before, after = 1 / (period.position[:-1] + 1), 1 / (period.position[1:] + 1)
    variance = np.where(_begins(period)[1:], before + after, before - after)
    return np.where(variance > 0, 1 / np.sqrt(np.maximum(variance, 1e-300)), np.inf)


def _settled_shape(size: np.ndarray, place: np.ndarray, least: float) -> np.ndarray:
    """Return the log changes, fitted to those of a log, of a loss that settles with the power -1; none is below `least`."""
    if not np.isfinite(least):
        return (size + place).mean() - place
    heights = least + np.linspace(0, place.max() + 8, 200)
    shapes = np.logaddexp(heights[:, None] - place, least)
    return shapes[np.argmin(((size - shapes) ** 2).sum(axis=1))]


def _above(place: np.ndarray, size: np.ndarray, least: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the places and log changes up to the first that is below `least`, three at least."""
    below = np.flatnonzero(size < least)
    stop = max(3, int(below[0]) + 1 if len(below) else len(size))
    return place[:stop], size[:stop]


def _slope(place: np.ndarray, value: np.ndarray) -> float:
    """Return the slope of a straight line; 0 for fewer than three points."""
    if len(place) < 3:
        return 0.0
    centred = place - place.mean()
    return float((centred * value).sum()) / float((centred**2).sum())
