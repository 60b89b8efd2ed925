"""Where the level of a loss changes abruptly, and whether that is where an epoch begins."""

import numpy as np
from jaxtyping import Bool, Float

from jaxsgd.diagnosis.folding import cycle_width, fold_scale
from jaxsgd.diagnosis.period import Period
from jaxsgd.diagnosis.series import cut_score, robust_scale


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


def shifts(loss: np.ndarray, period: Period) -> tuple[float, float, float, float]:
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
    return cut_score(found / usual), ahead, near, cut_score(found / scatter) if scatter > 0 else 0.0
