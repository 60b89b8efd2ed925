"""The level of each epoch: its steps, such as those of the learning rate make, and its return after some epochs."""

import functools
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from jaxsgd.diagnosis.fold import MANY_EPOCHS, fold_scale, local_scale
from jaxsgd.diagnosis.period import Period
from jaxsgd.diagnosis.series import LARGEST, cut_score, explained, score_of_largest, student_scores
from jaxsgd.measure.trend import moving_mean


def epoch_levels(loss: Float[np.ndarray, " n"], period: Period, offset: float = 0.0) -> tuple[Float[np.ndarray, " e"], int]:
    """Return (the mean of each epoch's prints, the number of the first epoch); a first one that falls steeply is left out.

    Args:
      loss: of each print.
      period: when each print was made.
      offset: the beginning of the spans in epochs: 0.5 for spans from the middle of one epoch to the middle of the next.
    """
    time = period.epoch + (period.position + 1e-6) / period.length - offset
    number = np.floor(time).astype(int)
    first = int(number.min())
    count, total = np.bincount(number - first), np.bincount(number - first, loss)
    # The log may contain too little of its first and last span.
    whole = np.flatnonzero(count >= max(1.0, 0.5 * float(np.median(count[count > 0]))))
    begin = int(whole[0])
    if period.epochs >= MANY_EPOCHS:
        begin = max(begin, int(np.ceil(period.epoch[0] + 1 - offset)) - first)
    kept = slice(begin, int(whole[-1]) + 1)
    count, total = count[kept], total[kept]
    known = np.flatnonzero(count)
    level = np.interp(np.arange(len(count)), known, total[known] / count[known]) if len(known) else np.zeros(0)
    return level, first + begin


REACHES = ((4, 2), (6, 3), (10, 1), (10, 3), (15, 1), (15, 3))
"""Pairs of the number of epochs before and after a step that are used, and the degree of the curve that the log of the loss
follows beside the step. A straight line, as of a loss that falls exponentially, shows a step best; a cubic fits other falls."""

BLOCK = 1 << 14
"""Number of steps that are tried at once, to limit memory."""


FINEST_STEP = 0.05
"""Smallest standard error of a step, in standard deviations of the prints: a step that only a smaller error makes clear
cannot be seen and may come from rounding."""


def step_scores(level: Float[np.ndarray, " e"], finest: float = 0.0) -> tuple[Float[np.ndarray, " e"], Float[np.ndarray, " e"]]:
    """Return (size in loss units, normal score) of a step between each epoch and the one before, [e]; 0 near the ends.

    A polynomial and a step are fitted by least squares to some epochs before and after (`REACHES`); the largest score counts.
    Of a loss that is always positive the log is fitted, because its scatter is proportional to its level.

    Args:
      level: of each epoch.
      finest: smallest standard error of a step, loss units.
    """
    mean = (level + np.append(level[:1], level[:-1])) / 2
    is_positive = len(level) > 0 and float(level.min()) > 0
    if is_positive:
        level, finest = np.log(level), finest / float(np.median(level))
    size, score = np.zeros(len(level)), np.zeros(len(level))
    for reach, degree in REACHES:
        if len(level) < 2 * reach:
            break
        columns, last = _columns(reach, degree)
        freedom = 2 * reach - degree - 2
        windows = np.lib.stride_tricks.sliding_window_view(level, 2 * reach)
        for start in range(0, len(windows), BLOCK):
            around = windows[start : start + BLOCK]
            around = around - around.mean(axis=1, keepdims=True)
            parts = around @ columns
            total = np.einsum("be,be->b", around, around)
            left = np.maximum(total - (parts**2).sum(axis=1), 0.0)
            step, unit = parts[:, -1] / last, 1 / abs(last)
            # The rounding of float64 in a loss that fits exactly is no step.
            error = np.maximum(unit * np.sqrt(left / freedom), finest + 1e-7 * np.sqrt(total) + 1e-300)
            scores = np.clip(student_scores(step / error, freedom), -LARGEST, LARGEST)
            at = np.arange(start, start + len(around)) + reach
            larger = np.abs(scores) > np.abs(score[at])
            size[at], score[at] = np.where(larger, step, size[at]), np.where(larger, scores, score[at])
    # Levels a and b with log(b / a) = s differ by (a + b) tanh(s / 2).
    return (2 * mean * np.tanh(size / 2) if is_positive else size), score


@functools.cache
def _columns(reach: int, degree: int) -> tuple[Float[np.ndarray, "x c"], float]:
    """Return (orthonormal columns of a curve with a step in its middle, [x, c], the step's product with the last column).

    The last column is the part of the step that the curve does not contain.
    """
    x = (np.arange(2 * reach) - reach + 0.5) / reach
    columns, triangle = np.linalg.qr(np.column_stack([*(x**power for power in range(degree + 1)), np.sign(x) / 2]))
    return columns, float(triangle[-1, -1])


def steps_tried(epochs: int) -> float:
    """Return the number of independent steps that `step_scores` tries in so many levels of epochs.

    Those of one epoch that differ by their reach resemble each other. In white noise of 20 to 400 epochs the largest score is
    as rare as that of half as many independent ones.
    """
    return sum(max(epochs - 2 * reach + 1, 0) for reach, _ in REACHES) / 2


class Steps(NamedTuple):
    """Spans of an epoch and the steps between them; e spans.

    Attributes:
      when: [e], epochs since the start at which each begins.
      level: [e], of each, loss units.
      size, score: [e], of the step from the span before.
    """

    when: Float[np.ndarray, " e"]
    level: Float[np.ndarray, " e"]
    size: Float[np.ndarray, " e"]
    score: Float[np.ndarray, " e"]


def steps_of(loss: Float[np.ndarray, " n"], period: Period) -> tuple[Steps, Steps]:
    """Return the steps where epochs begin, and those in the middle of epochs."""
    finest = FINEST_STEP * float(np.median(fold_scale(loss, period)))

    def steps(offset: float) -> Steps:
        level, first = epoch_levels(loss, period, offset)
        return Steps(first + offset + np.arange(len(level)), level, *step_scores(level, finest))

    return steps(0.0), steps(0.5)


class Stair(NamedTuple):
    """The step between two epochs that stands out most, and the number of epochs after which their levels repeat.

    Attributes:
      step: its size, loss units; signed.
      step_z: its normal score; the largest of as many as there are epochs.
      step_rare: the same as a normal score that is as rare as the largest of so many.
      step_after: epochs before it.
      step_local: log of its score over the larger of those half an epoch before and after.
      recurs: epochs after which the levels repeat best; 0 where that cannot be known.
      recurs_z: z of that; the largest of as many as there are numbers of epochs.
      recurs_rare: the same as a normal score that is as rare as the largest of so many.
    """

    step: float = 0.0
    step_z: float = 0.0
    step_rare: float = 0.0
    step_after: float = 0.0
    step_local: float = 0.0
    recurs: float = 0.0
    recurs_z: float = 0.0
    recurs_rare: float = 0.0


def find_stair(loss: Float[np.ndarray, " n"], period: Period) -> Stair:
    """Return the step that stands out most, and the number of epochs after which the levels repeat."""
    steps, beside = steps_of(loss, period)
    recurs, recurs_z, recurs_rare = _recurrence(steps.level) if not period.slides else (0.0, 0.0, 0.0)
    if not steps.score.any():
        return Stair(recurs=recurs, recurs_z=recurs_z, recurs_rare=recurs_rare)
    best = int(np.argmax(np.abs(steps.score)))
    when, score = float(steps.when[best]), float(steps.score[best])
    near = float(np.abs(beside.score[np.abs(beside.when - when) == 0.5]).max(initial=0))
    # A score below one is chance, however small the others are.
    local = float(np.log((abs(score) + 1) / (near + 1)))
    # Either sign counts: twice as many chances of a large score.
    rare = cut_score(score_of_largest(abs(score), 2 * steps_tried(len(steps.level))))
    return Stair(float(steps.size[best]), score, rare, when, local, recurs, recurs_z, recurs_rare)


MOST_RECURRENCE = 30
"""Largest number of epochs after which levels are tested for a repeat."""


def _recurrence(level: np.ndarray) -> tuple[float, float, float]:
    """Return (epochs, z, z as rare as the largest of all) of the best repeat; a single step of the rate has none."""
    best = (0.0, 0.0)
    tried = range(2, min(len(level) // 3, MOST_RECURRENCE) + 1)
    for epochs in tried:
        left = recurring(level, epochs)
        z = explained(left, np.arange(len(left)) % epochs, epochs)[1]
        if z > best[1]:
            best = (float(epochs), z)
    return *best, (cut_score(score_of_largest(best[1], len(tried))) if best[1] else 0.0)


def recurring(level: Float[np.ndarray, " e"], epochs: int) -> Float[np.ndarray, " k"]:
    """Return the levels less their mean over the `epochs` around, in their own scale; from the epoch `epochs // 2` on."""
    half = epochs // 2
    left = level[half : len(level) - half] - moving_mean(level, epochs)
    return left / local_scale(left, epochs)


RATE_JUMP = 0.02
"""Relative change of the rate between two prints that counts as a jump, where most prints change it by less."""


def rate_steps(rate: Float[np.ndarray, " n"], period: Period) -> float:
    """Return 1 if the learning rate jumps where epochs begin and hardly elsewhere, -1 if it does not, 0 if it is not known."""
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
