"""A staircase: the loss drops where an epoch begins and is flat, or rises, within it, as in fine-tuning for a few epochs.

Every epoch has a level of its own, all epochs share a slope, and the first may have a steep beginning. The drop at a boundary
is the step from level to level beyond that slope. The same is measured with the boundaries moved to other positions of the
epoch: a loss that falls smoothly drops alike everywhere, a staircase only where its epochs begin.
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from jaxsgd.diagnosis.fold import fold, line_of_levels, settling
from jaxsgd.diagnosis.period import FEWEST_ON_STAIR, FEWEST_STAIRS, Period, shows_stairs
from jaxsgd.diagnosis.series import cut_score, student_score
from jaxsgd.measure.trend import moving_mean

FEW_STAIRS = 12
"""Number of epochs up to which a loss is expected to be a staircase, as in fine-tuning. The score of a longer one is halved."""

NEAR_SCORE = 1.1
"""Score near the boundary, in scores at the boundary, from which the loss drops elsewhere: next to it chance may be as
large."""

MOST_STAIRS, MOST_ON_STAIR = 100, 300
"""Largest numbers of epochs and of values an epoch that are measured: the first epochs of the log, and means of its prints."""

MOST_MOVES = 40
"""Largest number of other positions to which the boundaries are moved."""

NEAREST, NEAR = 0.15, 0.08
"""Smallest distance of another position from the boundary, in epochs; and a distance at which much of the drop is left."""

TRIMMED = 0.55
"""Expected distance of the mean of normal draws without the largest third from their mean, in standard deviations."""

MOST_FALL, SURE_FALL = 0.75, 2.2
"""Fall within an epoch, in drops, from which a loss is no staircase; and its score from which the loss is not flat."""

FEWEST_DROPS, ENOUGH_DROPS = 0.6, 0.85
"""Size of the usual drop, in mean drops: below the first only some of the boundaries have one, and from the second on all have.
"""

FEW_BOUNDARIES = 2
"""Number of boundaries up to which one large drop cannot be distinguished from drops at all of them."""

MOST_SETTLING, SURE_SETTLING = 1.0, 12.0
"""Log likelihood of settling from which a loss with `SURE_SETTLING` prints an epoch is a running mean, whose first values of an
epoch scatter most. It is larger by 1 for each print fewer: a few positions settle by chance, which lowers the score only."""

SETTLING_WEIGHT = 0.5
"""Score for each unit of the log likelihood of settling: the log odds grow by about 2 for each unit of the score."""

FLAT, MOST_RISE = 0.5, 0.75
"""Rise within an epoch, in drops, up to which a run may count as flat, and from which a loss is no staircase: levels that
repeat, too, drop where an epoch begins, by as much as they rise within it."""

EXPECTED_SHARE = 0.5
"""Part of the share of the variance that follows from the drop's score which the staircase explains at least."""

RARE_ENOUGH = 0.5
"""By so much a score may be above the score of the straight line through the levels. With 0 one staircase more in a hundred is
missed, and without a limit 5 of 140 fixed orders count as staircases."""

ENOUGH_RETURNS = 4
"""Number of epochs from which levels by position can be seen to return."""

VERY_FEW, ENOUGH = 6, 16
"""Numbers of values up to which nothing counts as a staircase, and from which all of its score counts."""


class Staircase(NamedTuple):
    """The drops of a loss where its epochs begin; all 0 where there are too few epochs or prints.

    Attributes:
      drop: mean drop at a boundary beyond the slope within epochs; a share of the loss where that is always positive, otherwise
        loss units.
      slope: rise within an epoch, in the same unit; below 0 for a fall.
      z: normal score of the drop.
      beside: the largest of the scores with the boundaries moved to other positions of the epoch.
      every: mean of the drops without the largest third over the mean of all: 1 where all boundaries have equal drops.
      per_epoch: prints an epoch.
      settles: log likelihood that what is left without the drops settles within epochs, as a running mean does, over that it
        stays as wide.
      share: part of the variance of the loss, without its trend, that the drops and the slope explain.
      total_z: fall from epoch to epoch in standard errors of the drop: the score that the drop has if the runs are flat.
      is_long: True for more than `FEW_STAIRS` epochs.
      boundaries: number of boundaries at which drops are measured.
      value_count: number of values that the drops are measured in.
      rare: normal score of a straight line among the levels by position, as a staircase leaves it without its trend; infinite
        for fewer than `ENOUGH_RETURNS` epochs, in which no level can be seen to return.
    """

    drop: float = 0.0
    slope: float = 0.0
    z: float = 0.0
    beside: float = 0.0
    every: float = 0.0
    per_epoch: float = 0.0
    settles: float = 0.0
    share: float = 0.0
    total_z: float = 0.0
    is_long: bool = False
    boundaries: int = 0
    value_count: int = 0
    rare: float = math.inf

    @property
    def score(self) -> float:
        """The score of the drop, reduced by all that speaks against a staircase.

        That is a drop as large at other positions, at a few boundaries only, or larger than what it explains; a run that falls,
        or rises as much as the loss drops; levels by position that are not on a straight line; and a loss that settles within
        epochs.
        """
        doubtful = self.settles - MOST_SETTLING
        if self.drop <= 0 or self.z <= self.beside or doubtful > max(SURE_SETTLING - self.per_epoch, 0.0):
            return 0.0
        slope = self.slope / self.drop
        # A run that is flat: likelier than a slope that would make the same fall without a drop.
        flat = math.sqrt(max(self.z**2 - (self.z - self.total_z) ** 2, 0.0)) if self.total_z > 0 else 0.0
        # A run that rises, or falls a little.
        bent = math.sqrt(max(1 - max(-slope, 0.0) / MOST_FALL, 0.0))
        fall_z = max(-slope, 0.0) * max(self.total_z, 0.0) / (1 - slope) if slope < 0 else 0.0
        bent *= float(np.clip(1 + SURE_FALL - fall_z, 0, 1))
        risen = max(self.z - max(self.beside, 0.0) / 2, 0.0) * bent
        score = max(flat, risen) * self._often() * self._explains()
        score *= float(np.clip((MOST_RISE - slope) / (MOST_RISE - FLAT), 0, 1))
        score *= float(np.clip((self.value_count - VERY_FEW) / (ENOUGH - VERY_FEW), 0, 1))
        score = score / (2 if self.is_long else 1) - SETTLING_WEIGHT * max(doubtful, 0.0)
        # Among levels that repeat the last is higher than the first by chance.
        return max(min(score, self.rare + RARE_ENOUGH), 0.0)

    def _often(self) -> float:
        """Return 1 if the loss drops at all boundaries, 0 if it does at a few of many only."""
        if self.boundaries <= FEW_BOUNDARIES:
            return min(max(self.every, 0.0) / FEWEST_DROPS, 1.0)
        return float(np.clip((self.every - FEWEST_DROPS) / (ENOUGH_DROPS - FEWEST_DROPS), 0, 1))

    def _explains(self) -> float:
        """Return 1 if the staircase explains as much of the variance as follows from the score of its drop, 0 if nothing."""
        expected = self.z**2 / (self.z**2 + self.value_count)
        return min(self.share / (EXPECTED_SHARE * expected), 1.0)


class _Values(NamedTuple):
    """The values that a staircase is fitted to; n values.

    Attributes:
      value: [n], the loss, or its log.
      time: [n], the middle of each value's batches, in epochs since the log's first epoch began.
      is_log: True if the log of the loss is used.
      begin: [n, s], curves of the fall with which a training begins.
    """

    value: Float[np.ndarray, " n"]
    time: Float[np.ndarray, " n"]
    is_log: bool
    begin: Float[np.ndarray, "n s"]


class _Fit(NamedTuple):
    """A staircase fitted by least squares; n values.

    Attributes:
      drop, slope, z, every, total_z, boundaries: as in `Staircase`.
      level: [e], of each epoch.
      number: [n], the epoch of each value.
      left: [n], the values less the staircase.
    """

    drop: float
    slope: float
    z: float
    every: float
    total_z: float
    boundaries: int
    level: Float[np.ndarray, " e"]
    number: Int[np.ndarray, " n"]
    left: Float[np.ndarray, " n"]


def find_staircase(loss: Float[np.ndarray, " n"], period: Period) -> Staircase:
    """Return the drops of a loss where its epochs begin, against those with the boundaries at other positions."""
    is_long = period.epochs > FEW_STAIRS
    if _is_too_short(loss, period):
        return Staircase()
    # Drops at the boundaries look like the resets of a mean, so the loss is searched for resets without the drops.
    flat = without_staircase(loss, period)
    settles = settling(flat, period)[1]
    if is_long and settles > MOST_SETTLING:
        return Staircase()
    per_epoch = min(period.per_epoch, float(MOST_ON_STAIR))
    values = _averaged(_values(loss, period, ~_straddles(period)), per_epoch)
    here = _fit(values, 0.0, per_epoch)
    if here is None:
        return Staircase()
    nearest = max(1.5 / per_epoch, NEAREST)
    moves = [*np.linspace(nearest, 1 - nearest, max(1, min(MOST_MOVES, round(per_epoch * (1 - 2 * nearest)) + 1)))]
    fits = [_fit(values, float(move), per_epoch) for move in moves]
    beside = max((fit.z for fit in fits if fit is not None), default=0.0)
    # Nearer positions still have part of the drop, but less of it than the boundary.
    near = [_fit(values, move, per_epoch) for move in (-NEAR, NEAR) if per_epoch * NEAR >= 1.5]
    if max((fit.z for fit in near if fit is not None), default=0.0) > NEAR_SCORE * here.z:
        beside = max(beside, here.z)
    before, after = (float((_around_trend(values, period) ** 2).sum()) for values in (loss, flat))
    share = 1 - after / before if before > 0 else 0.0
    return Staircase(
        here.drop, here.slope, here.z, beside, here.every, period.per_epoch, settles, max(share, 0.0),
        here.total_z, is_long, here.boundaries, len(values.value),
        line_of_levels(fold(loss, period), period.per_epoch)[0] if period.epochs >= ENOUGH_RETURNS else math.inf,
    )  # fmt: skip


def without_staircase(loss: Float[np.ndarray, " n"], period: Period) -> Float[np.ndarray, " n"]:
    """Return the loss without the levels of its epochs and the slope within them, around its mean level; [n]."""
    if _is_too_short(loss, period):
        return loss
    values = _values(loss, period, np.ones(len(loss), bool))
    fit = _fit(values, 0.0, period.per_epoch)
    if fit is None:
        return loss
    # A mean over the end of one epoch and the beginning of the next lies between their levels.
    share = (period.position + 1) / max(period.interval, 1.0) if math.isfinite(period.interval) else np.ones(len(loss))
    before = fit.level[np.maximum(fit.number - 1, 0)] - fit.level[fit.number]
    mixed = fit.left - (1 - np.minimum(share, 1.0)) * before
    left = np.where(np.abs(mixed) < np.abs(fit.left), mixed, fit.left) + values.value.mean()
    return np.exp(left) if values.is_log else left


def _around_trend(loss: np.ndarray, period: Period) -> np.ndarray:
    """Return the loss less its mean over the epoch around each print, both logs where the loss is always positive."""
    value = np.log(loss) if loss.min() > 0 else loss
    width = max(2, min(round(period.per_epoch), len(loss) // 2))
    half = width // 2
    return value[half : len(value) - half] - moving_mean(value, width)


def _is_too_short(loss: np.ndarray, period: Period) -> bool:
    return not shows_stairs(period) or len(loss) < FEWEST_STAIRS * FEWEST_ON_STAIR or not np.ptp(loss) > 0


def _width(period: Period) -> float:
    """Return the interval in epochs."""
    return period.interval / period.length if math.isfinite(period.interval) else 1 / period.length


def _straddles(period: Period) -> np.ndarray:
    """Return True for the prints that may be means over the end of one epoch and the beginning of the next, [n]."""
    share = (period.position + 1) / period.length
    return (share < _width(period) - 1e-9) & (period.epoch > period.epoch[0])


def _values(loss: np.ndarray, period: Period, kept: np.ndarray) -> _Values:
    is_log = bool(loss.min() > 0)
    end = period.epoch - period.epoch[0] + (period.position + 1) / period.length
    time = np.maximum(end - _width(period) / 2, period.epoch - period.epoch[0] + 1e-6)
    return _Values((np.log(loss) if is_log else loss)[kept], time[kept], is_log, _begin(time[kept], period.per_epoch))


def _averaged(values: _Values, per_epoch: float) -> _Values:
    """Return the first epochs of the values, in means where there are too many."""
    value, time, is_log, _ = values
    early = time < MOST_STAIRS
    value, time = value[early], time[early]
    if len(value) > 1.5 * per_epoch * (time[-1] - time[0] + 1):
        number = np.unique(np.floor(time * MOST_ON_STAIR).astype(int), return_inverse=True)[1]
        count = np.bincount(number)
        value, time = np.bincount(number, value) / count, np.bincount(number, time) / count
    return _Values(value, time, is_log, _begin(time, per_epoch))


def _begin(time: np.ndarray, per_epoch: float) -> np.ndarray:
    """Return the curves of the steep fall with which the first epoch of a training may begin, [n, s]."""
    scales = (0.05, 0.2) if per_epoch >= 12 else (0.15,)
    return np.exp(-time[:, None] / np.array(scales))


def _fit(values: _Values, move: float, per_epoch: float) -> _Fit | None:
    """Return the staircase with its boundaries moved by a share of an epoch; None where it has too few values."""
    time = values.time - move
    number = np.floor(time).astype(int)
    number -= number.min()
    count = np.bincount(number)
    # Epochs of which the log has nothing are not counted.
    usual_count = float(np.median(count[count > 0]))
    whole = count >= 0.5 * usual_count
    # An epoch of which the log has little has a level, too, but no boundary is judged by it.
    judged = np.flatnonzero(whole)
    freedom = len(time) - len(count) - 1
    if len(judged) < FEWEST_STAIRS or freedom < 3:
        return None
    columns = np.column_stack([np.mod(time, 1.0), values.begin])
    mean = np.stack([np.bincount(number, column) / np.maximum(count, 1) for column in columns.T], axis=1)
    level = np.bincount(number, values.value) / np.maximum(count, 1)
    inner = columns - mean[number]
    square = inner.T @ inner + 1e-9 * len(time) * np.eye(inner.shape[1])
    inverse = np.linalg.inv(square)
    weight = inverse @ (inner.T @ (values.value - level[number]))
    left = values.value - level[number] - inner @ weight
    level = level - mean @ weight
    freedom = max(freedom - values.begin.shape[1], 1)
    variance = float((left**2).sum()) / freedom
    kin, pattern = _kinship(left, time, number, per_epoch)
    first, last = judged[0], judged[-1]
    stairs = last - first
    slope = float(weight[0])
    drop = slope - float(level[last] - level[first]) / stairs
    direction = (mean[last] - mean[first]) / stairs
    direction[0] += 1
    spread = float(direction @ inverse @ direction) + (1 / count[first] + 1 / count[last]) / stairs**2
    scatter = math.sqrt(max(variance, 1e-18 * float(values.value.var()) + 1e-300) * max(kin, pattern))
    error = scatter * math.sqrt(spread)
    total_z = (drop - slope) / error
    z = student_score(drop / (scatter * math.sqrt(spread)), max(round(freedom / pattern), 1))
    drops = np.sort(slope - np.diff(level[first : last + 1])[whole[first + 1 : last + 1] & whole[first:last]])
    often = 1.0
    if len(drops) > 1 and drop > 0:
        usual = float(drops[: len(drops) - max(1, len(drops) // 3)].mean())
        often = (usual + TRIMMED * scatter * math.sqrt(2 / usual_count)) / drop
    return _Fit(drop, slope, cut_score(z), float(np.clip(often, -1, 2)), cut_score(total_z), len(drops), level, number, left)


def _kinship(left: np.ndarray, time: np.ndarray, number: np.ndarray, per_epoch: float) -> tuple[float, float]:
    """Return the factors by which the variance of a mean is larger than that of independent values.

    One is for neighbours that resemble each other, one for positions that do from epoch to epoch.
    """
    total = float((left**2).sum())
    if total <= 0:
        return 1.0, 1.0
    beside = number[1:] == number[:-1]
    kinship = float((left[1:] * left[:-1])[beside].sum()) / total
    kin = (1 + kinship) / (1 - min(kinship, 0.98)) if kinship > 0 else 1.0
    places = max(2, round(per_epoch))
    place = np.minimum((np.mod(time, 1.0) * places).astype(int), places - 1)
    count = np.bincount(place, minlength=places)
    level = np.bincount(place, left, places) / np.maximum(count, 1)
    repeated = float((count * level**2).sum()) / places / (total / len(left))
    return kin, max(repeated - math.sqrt(2 / places), 1.0)
