"""The level of each epoch: where it steps, as it does with the learning rate, and whether it comes back after some epochs."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from jaxsgd.diagnosis.folding import MANY_EPOCHS, fold_scale, local_scale
from jaxsgd.diagnosis.period import Period
from jaxsgd.diagnosis.series import LARGEST, explained, moving_mean, student_scores


def epoch_levels(loss: Float[np.ndarray, " n"], period: Period, offset: float = 0.0) -> tuple[Float[np.ndarray, " e"], int]:
    """(the mean of each epoch's prints, the number of the first); a first epoch that falls as no other does is left out.

    Args:
      loss: of each print.
      period: when each print was made.
      offset: where the epochs are taken to begin, in epochs: 0.5 for spans from the middle of one to the middle of the next.
    """
    time = period.epoch + (period.position + 1e-6) / period.length - offset
    number = np.floor(time).astype(int)
    first = int(number.min())
    count, total = np.bincount(number - first), np.bincount(number - first, loss)
    # What the log holds of its first and last span may be too little.
    whole = np.flatnonzero(count >= max(1.0, 0.5 * float(np.median(count[count > 0]))))
    begin = int(whole[0])
    if period.epochs >= MANY_EPOCHS:
        begin = max(begin, int(np.ceil(period.epoch[0] + 1 - offset)) - first)
    held = slice(begin, int(whole[-1]) + 1)
    count, total = count[held], total[held]
    known = np.flatnonzero(count)
    level = np.interp(np.arange(len(count)), known, total[known] / count[known]) if len(known) else np.zeros(0)
    return level, first + begin


REACHES = ((4, 2), (6, 3), (10, 1), (10, 3), (15, 1), (15, 3))
"""Epochs before and after a step that are looked at, and the degree of the curve that the log of the loss has beside the
step: a straight line, as of a loss that falls exponentially, knows a step best; a cubic bears other falls."""

BLOCK = 1 << 14
"""Steps that are tried at once, for memory's sake."""


FINEST_STEP = 0.05
"""Standard error of a step, in the scatter of the prints, that it is at least given: smaller ones are nothing to be seen, and
may come of rounding."""


def step_scores(level: Float[np.ndarray, " e"], finest: float = 0.0) -> tuple[Float[np.ndarray, " e"], Float[np.ndarray, " e"]]:
    """(size in loss units, normal score) of a step between each epoch and the one before, [e]; 0 where too few lie around.

    By least squares, a polynomial and a step over so many epochs before and after; of several reaches the largest score. Of a
    loss that is always positive its log is looked at, for its scatter goes with its level.

    Args:
      level: of each epoch.
      finest: what the standard error of a step is at least, loss units.
    """
    mean = (level + np.append(level[:1], level[:-1])) / 2
    is_positive = len(level) > 0 and float(level.min()) > 0
    if is_positive:
        level, finest = np.log(level), finest / float(np.median(level))
    size, score = np.zeros(len(level)), np.zeros(len(level))
    for reach, degree in REACHES:
        if len(level) < 2 * reach:
            break
        x = (np.arange(2 * reach) - reach + 0.5) / reach
        # Of orthonormal columns the last is the step without what the curve holds of it.
        columns, triangle = np.linalg.qr(np.column_stack([*(x**power for power in range(degree + 1)), np.sign(x) / 2]))
        freedom = 2 * reach - degree - 2
        windows = np.lib.stride_tricks.sliding_window_view(level, 2 * reach)
        for start in range(0, len(windows), BLOCK):
            around = windows[start : start + BLOCK]
            around = around - around.mean(axis=1, keepdims=True)
            parts = around @ columns
            total = np.einsum("be,be->b", around, around)
            left = np.maximum(total - (parts**2).sum(axis=1), 0.0)
            step, unit = parts[:, -1] / triangle[-1, -1], 1 / abs(triangle[-1, -1])
            # What float64 leaves of a loss that fits exactly is no step.
            error = np.maximum(unit * np.sqrt(left / freedom), finest + 1e-7 * np.sqrt(total) + 1e-300)
            found = np.clip(student_scores(step / error, freedom), -LARGEST, LARGEST)
            at = np.arange(start, start + len(around)) + reach
            larger = np.abs(found) > np.abs(score[at])
            size[at], score[at] = np.where(larger, step, size[at]), np.where(larger, found, score[at])
    # Levels a and b with log(b / a) = s differ by (a + b) tanh(s / 2).
    return (2 * mean * np.tanh(size / 2) if is_positive else size), score


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
    """The steps where epochs begin, and those in the middle of epochs."""
    finest = FINEST_STEP * float(np.median(fold_scale(loss, period)))

    def steps(offset: float) -> Steps:
        level, first = epoch_levels(loss, period, offset)
        return Steps(first + offset + np.arange(len(level)), level, *step_scores(level, finest))

    return steps(0.0), steps(0.5)


class Stair(NamedTuple):
    """The step between two epochs that stands out most, and the number of epochs after which their levels come back.

    Attributes:
      step: its size, loss units; signed.
      step_z: its normal score; the largest of as many as there are epochs.
      step_after: epochs before it.
      step_local: log of its score over the larger of those half an epoch before and after.
      recurs: epochs after which the levels come back best; 0 where that cannot be told.
      recurs_z: z of that; the largest of as many as there are numbers of epochs.
    """

    step: float = 0.0
    step_z: float = 0.0
    step_after: float = 0.0
    step_local: float = 0.0
    recurs: float = 0.0
    recurs_z: float = 0.0


def find_stair(loss: Float[np.ndarray, " n"], period: Period) -> Stair:
    """The step that stands out most, and how the levels come back."""
    steps, beside = steps_of(loss, period)
    recurs, recurs_z = _recurrence(steps.level) if not period.slides else (0.0, 0.0)
    if not steps.score.any():
        return Stair(recurs=recurs, recurs_z=recurs_z)
    best = int(np.argmax(np.abs(steps.score)))
    when, score = float(steps.when[best]), float(steps.score[best])
    near = float(np.abs(beside.score[np.abs(beside.when - when) == 0.5]).max(initial=0))
    # A score below one is chance, however small the others are.
    local = float(np.log((abs(score) + 1) / (near + 1)))
    return Stair(float(steps.size[best]), score, when, local, recurs, recurs_z)


MOST_RECURRENCE = 30
"""Epochs after which levels are looked for to come back, at most."""


def _recurrence(level: np.ndarray) -> tuple[float, float]:
    """(epochs, z); a step of the rate alone never comes back."""
    best = (0.0, 0.0)
    for epochs in range(2, min(len(level) // 3, MOST_RECURRENCE) + 1):
        left = recurring(level, epochs)
        z = explained(left, np.arange(len(left)) % epochs)[1]
        if z > best[1]:
            best = (float(epochs), z)
    return best


def recurring(level: Float[np.ndarray, " e"], epochs: int) -> Float[np.ndarray, " k"]:
    """The levels less their mean over so many epochs around, in their own scale; from the epoch `epochs // 2` on."""
    half = epochs // 2
    left = level[half : len(level) - half] - moving_mean(level, epochs)
    return left / local_scale(left, epochs)
