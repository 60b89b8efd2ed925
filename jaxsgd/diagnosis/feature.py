"""What is measured of a log: numbers that a person can check, each of which speaks for or against a cause.

All of them look at what is left of the loss when its trend, a moving mean over one whole cycle of prints, is taken away,
divided by its own scale, so that early and late epochs count the same. A "z" is a normal score: chance alone gives it a
standard deviation of about 1. A cycle is the prints until they fall on the same places of the epoch again.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from jaxsgd.diagnosis.measures import Features
from jaxsgd.diagnosis.period import Period
from jaxsgd.diagnosis.series import moving_mean, normal_score, robust_scale, student_score

LARGEST = 60.0
"""Scores are cut there: a loss without noise has infinite ones."""


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
    last = np.flatnonzero(apart)
    last = last[(last > at[0]) & (last < at[-1])] if len(at) else last[:0]
    off = (loss[last] - np.interp(last, at, trend)) / np.interp(last, at, scale) if len(last) else np.zeros(0)
    position = period.position[at]
    group = _groups(position, period)
    count = np.bincount(group)
    place = np.bincount(group, position) / count / period.length
    left = left / scale
    return Folded(left, position / period.length, group, period.epoch[at], place, np.bincount(group, left) / count, off)


def fold_scale(loss: Float[np.ndarray, " n"], period: Period) -> Float[np.ndarray, " k"]:
    """The scale by which `fold` divides at each print, [k]; loss units."""
    return _detrended(loss, period)[2]


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


def measure_features(loss: Float[np.ndarray, " n"], rate: Float[np.ndarray, " n"], period: Period) -> Features:
    """Measures a log.

    Args:
      loss: of each print.
      rate: learning rate at each print, NaN where the log does not say it.
      period: when each print was made.
    """
    folded = fold(loss, period)
    index, z = _explained(folded.left, folded.group)
    smooth_free, inner = _without_smooth(folded)
    jagged, jagged_z = _explained(smooth_free[inner], folded.group[inner])
    ramp, ramp_z, ramp_share = _ramp(folded)
    settle, settle_z, reset = _settling(loss, period)
    return Features(
        index, z, jagged, jagged_z, _agreement(smooth_free, folded, inner), ramp, ramp_z, ramp_share, settle, settle_z, reset,
        *last_place(folded), *_shifts(loss, period), _rate_steps(rate, period), float(period.slides), period.per_epoch,
        period.epochs,
    )  # fmt: skip


def _cut(z: float) -> float:
    return float(np.clip(z, -LARGEST, LARGEST)) if np.isfinite(z) else 0.0


def _explained(left: np.ndarray, group: np.ndarray) -> tuple[float, float]:
    """(share of the variance that the groups explain, adjusted for chance; its z)."""
    count = np.bincount(group)
    used = count[count > 0]
    between_freedom, within_freedom = len(used) - 1, len(left) - len(used)
    if between_freedom < 1 or within_freedom < 2:
        return 0.0, 0.0
    mean = np.bincount(group, left) / np.maximum(count, 1)
    within = float(((left - mean[group]) ** 2).sum())
    total = float(((left - left.mean()) ** 2).sum())
    if total <= 1e-18 * len(left):
        return 0.0, 0.0
    share = 1 - (within / within_freedom) / (total / (len(left) - 1))
    f = ((total - within) / between_freedom) / max(within / within_freedom, 1e-12 * total / len(left))
    return float(share), _cut(normal_score(f, between_freedom, within_freedom))


def _without_smooth(folded: Folded) -> tuple[np.ndarray, np.ndarray]:
    """The loss without its smooth curve over the epoch, and which prints are not at its beginning."""
    places = len(folded.place)
    degree = 2 if places >= 6 else 1 if places >= 4 else 0
    inner = np.ones(len(folded.left), bool)
    if places >= 6:
        inner = folded.group > 0
    if not degree:
        return folded.left, inner
    curve = np.polynomial.Polynomial.fit(folded.phase[inner], folded.left[inner], degree)
    return folded.left - curve(folded.phase), inner


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


def _ramp(folded: Folded) -> tuple[float, float, float]:
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
    error = np.sqrt((off**2).sum() * len(off) / max(len(off) - 1, 1)) / total
    z = slope / error if error > 1e-12 * abs(slope) else np.sign(slope) * LARGEST
    z = student_score(float(z), max(len(off) - 1, 1))
    weight = np.bincount(folded.group)
    place = folded.place - (weight * folded.place).sum() / weight.sum()
    variance = float((weight * folded.level**2).sum())
    line = float((weight * place * folded.level).sum()) ** 2 / max(float((weight * place**2).sum()), 1e-300)
    return float(slope), _cut(float(z)), float(line / variance) if variance > 0 else 0.0


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


def _settling(loss: np.ndarray, period: Period) -> tuple[float, float, float]:
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
    return slope, _cut(float(likelihood)), reset


def _line(place: np.ndarray, value: np.ndarray) -> tuple[float, float]:
    """Slope of a straight line, and its standard error; 0 and 0 for fewer than three points."""
    if len(place) < 3:
        return 0.0, 0.0
    centred = place - place.mean()
    square = float((centred**2).sum())
    slope = float((centred * value).sum()) / square
    off = value - value.mean() - slope * centred
    return slope, float(np.sqrt((off**2).sum() / (len(place) - 2) / square))


def last_place(folded: Folded) -> tuple[float, float, float, float]:
    """(level of the epoch's last place, its z, log of its scatter over that of the others, its z)."""
    count, places = len(folded.last), len(folded.place)
    if count < 3 or places < 3:
        return 0.0, 0.0, 0.0, 0.0
    # Against a line through the others, so that a ramp has no outlier at its end.
    slope, height = np.polyfit(folded.place, folded.level, 1) if places >= 5 else (0.0, float(folded.level.mean()))
    off = float(folded.last.mean()) - slope - height
    scatter = max(float(np.std(folded.level - slope * folded.place - height)), 1e-9)
    own = float(folded.last.std(ddof=1))
    # The trend at the last place leaves that place out; so the others are held against one without themselves, too.
    others = (folded.left - folded.level[folded.group]) * places / (places - 1)
    other = float(np.sqrt((others**2).sum() / max(len(others) - places, 1)))
    error = max(np.sqrt((own**2 + other**2) / 2 / count), 1e-9)
    spread = float(np.log(max(own, 1e-6) / max(other, 1e-6))) if max(own, other) > 1e-6 else 0.0
    return _cut(off / scatter), _cut(off / error), spread, _cut(spread * np.sqrt(2 * max(count - 1, 1)))


def bends(
    loss: Float[np.ndarray, " n"], period: Period
) -> tuple[Float[np.ndarray, " k"], float, Bool[np.ndarray, " k"], Bool[np.ndarray, " k"]]:
    """Where the level of a loss changes abruptly, [k]: (the bends, their usual size, which lie at a boundary, which away from
    any).

    A step is the mean of the next whole cycle less that of the last, so that what repeats is not seen; a bend is a step less
    the mean of the steps one cycle before and after. The first epoch is left out.
    """
    width = cycle_width(period)
    if len(loss) < 6 * width:
        return np.zeros(0), 0.0, np.zeros(0, bool), np.zeros(0, bool)
    total = np.concatenate([[0.0], np.cumsum(loss)])
    mean = (total[width:] - total[:-width]) / width
    step = mean[width:] - mean[:-width]
    bend = step[width:-width] - (step[: -2 * width] + step[2 * width :]) / 2
    place = np.arange(len(bend)) + 2 * width
    late = place >= 2 * width + period.per_epoch
    at_boundary = (period.epoch[place] > period.epoch[place - 1]) & late
    distance = np.minimum(period.position[place], period.length - period.position[place]) / period.length
    return bend, robust_scale(bend), at_boundary, (distance > 0.25) & late


MOST_BENDS = 1000
"""Boundaries that are looked at, those with the largest bends."""


def _shifts(loss: np.ndarray, period: Period) -> tuple[float, float, float, float]:
    """(bend that stands out most at a boundary in the usual size of bends, log of it over those two cycles away, log of it over
    those half a cycle away, it in the scatter of the prints).
    """
    bend, usual, at_boundary, away = bends(loss, period)
    if usual <= 0 or not at_boundary.any() or not away.any():
        return 0.0, 0.0, 0.0, 0.0
    size, width = np.abs(bend), cycle_width(period)
    places = np.flatnonzero(at_boundary)
    places = places[np.argsort(-size[places], kind="stable")[:MOST_BENDS]]

    def beside(first: float, last: float) -> np.ndarray:
        reach = np.arange(round(first * width), round(last * width) + 1)
        near = places[:, None] + np.concatenate([-reach, reach])[None, :]
        return np.where((near >= 0) & (near < len(size)), size[np.clip(near, 0, len(size) - 1)], 0.0).max(axis=1)

    # A step leaves a bend at its place and half of it, of the other sign, one cycle before and after; a loss that only falls
    # steeply bends everywhere.
    floor = 0.05 * usual
    lead = np.log((size[places] + floor) / (beside(2.1, 2.9) + floor))
    local = np.log((size[places] + floor) / (beside(0.4, 0.6) + floor))
    large = size[places] >= 3 * usual
    best = int(np.argmax(np.where(large, np.minimum(lead, 2 * local), -np.inf))) if large.any() else 0
    scatter = float(np.median(fold_scale(loss, period)))
    found = float(size[places][best])
    ahead, near = float(np.clip(lead[best], -4, 4)), float(np.clip(local[best], -4, 4))
    return _cut(found / usual), ahead, near, _cut(found / scatter) if scatter > 0 else 0.0


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
