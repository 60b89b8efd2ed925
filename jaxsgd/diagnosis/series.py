"""The scores by which differences in a series are compared with chance."""

import math

import numpy as np
from jaxtyping import Float, Int
from scipy.special import log_ndtr, ndtri_exp


def normal_score(f: float, between: float | int, within: int) -> float:
    """Return the normal score of a value of Fisher's F with these degrees of freedom: a z as rare as F is (Paulson 1942)."""
    if not f > 0 or between < 1 or within < 1:
        return 0.0
    root = f ** (1 / 3)
    first, second = 2 / (9 * between), 2 / (9 * within)
    return float(((1 - second) * root - (1 - first)) / np.sqrt(second * root**2 + first))


def student_scores(t: Float[np.ndarray, " n"], freedom: int) -> Float[np.ndarray, " n"]:
    """Return values of Student's t as normal scores (Wallace 1959): with few degrees of freedom its tails are heavy."""
    return np.sign(t) * np.sqrt(freedom * np.log1p(t**2 / freedom)) * (8 * freedom + 1) / (8 * freedom + 3)


def student_score(t: float | int, freedom: int) -> float:
    """Return a value of Student's t as a normal score."""
    return float(student_scores(np.array([float(t)]), freedom)[0])


def score_of_largest(largest: float, count: float | int) -> float:
    """Return the normal score that is as rare as `largest` is among `count` independent scores.

    Of `count` scores none is above z with the probability P(z)^count (Sidak 1967). So the returned s has P(s) = P(z)^count, and
    chance makes it large equally often whatever the count. Of 400 epochs, the largest step is above 4 by chance in every tenth
    log.

    Args:
      largest: the largest score.
      count: number of scores that it is the largest of; with 1 or less it stays as it is.
    """
    if count <= 1:
        return largest
    log_below, log_above = (float(log_ndtr(z)) for z in (largest, -largest))
    if count * log_below < -1:
        return float(ndtri_exp(count * log_below))
    # 1 - P(z)^count is count (1 - P(z)) where P(z) is near 1.
    log_any = math.log(count) + log_above if log_above < -20 else math.log(-math.expm1(count * log_below))
    return -float(ndtri_exp(log_any))


LARGEST = 60.0
"""Largest score: a loss without noise has infinite ones, which are cut here."""


def cut_score(z: float) -> float:
    """Return a score cut at `LARGEST`; 0 where it is not finite."""
    return float(np.clip(z, -LARGEST, LARGEST)) if np.isfinite(z) else 0.0


def explained(left: Float[np.ndarray, " k"], group: Int[np.ndarray, " k"], width: int | None = None) -> tuple[float, float]:
    """Return (share of the variance that the groups explain, adjusted for chance; its z).

    Values of one group that resemble each other from cycle to cycle, as smoothed ones do, count as fewer values. Levels that
    drift resemble each other too, but not their neighbours. Groups that resemble their neighbours count as fewer groups.

    Args:
      left: values in the order of the log.
      group: number of the group of each, which returns after as many values as there are groups, or nearly so.
      width: number of values in the moving mean that was taken off them; None if none was. A mean over a whole cycle takes
        nothing off the groups' means, but 1 / width and more off the variance within groups, which would make F too large.
    """
    count = np.bincount(group)
    used = count[count > 0]
    between_freedom, within_freedom = len(used) - 1, len(left) - len(used)
    if between_freedom < 1 or within_freedom < 2:
        return 0.0, 0.0
    mean = np.bincount(group, left) / np.maximum(count, 1)
    off = left - mean[group]
    within = float((off**2).sum())
    total = float(((left - left.mean()) ** 2).sum())
    if total <= 1e-18 * len(left):
        return 0.0, 0.0
    share = 1 - (within / within_freedom) / (total / (len(left) - 1))
    kinship = min(float((off[lag:] * off[:-lag]).sum()) / max(within, 1e-300) for lag in (1, len(used)))
    fewer = (1 - kinship) / (1 + kinship) if kinship > 0 else 1.0
    f = fewer * ((total - within) / between_freedom) / max(within / within_freedom, 1e-12 * total / len(left))
    f *= 1.0 if width is None else _variance_left(width)
    return float(share), cut_score(normal_score(f, _free_levels(off, len(used)), max(round(fewer * within_freedom), 2)))


def _variance_left(width: int) -> float:
    """Return the variance of white noise less its centred moving mean over `width` values: the squares of its weights.

    An even width has half weights at both ends (`jaxsgd.measure.trend.moving_mean`). Of width 2, 3/8 of the variance is left.
    """
    return 1 - 1 / width - (0.0 if width % 2 else 0.5 / width**2)


def _free_levels(off: Float[np.ndarray, " k"], places: int) -> float:
    """Return the number of independent differences between the means at the P places of a cycle.

    Let values that are j apart have the correlation r(j). Then the means at places that are d apart have the covariance c(d),
    the sum of r(|k P + d|) over the cycles k, where terms beyond two cycles are left out. These are a circulant matrix. Its
    eigenvalues are the Fourier transform of c, and without that of the mean of all places there are P - 1. The sum of the
    squared means then has the mean and the variance of (sum of eigenvalues)^2 / (sum of their squares) independent squares
    (Satterthwaite 1946): P - 1 for independent values, but 2 where a smoothed loss has left the slowest wave only.

    In white noise the four correlations in c(d) have the variance 1 / n of n values each, so that the sum of squares is too
    large by 4 P / n of itself. This is taken off. Up to four cycles, P - 1 comes back.

    Args:
      off: values without the means of their places, in the order of the log.
      places: P.
    """
    count, free = len(off), places - 1
    chance = 4 * places / count
    if places < 3 or chance >= 1:
        return float(free)
    lags = 2 * places
    size = 1 << (count + lags).bit_length()
    kinship = np.fft.irfft(np.abs(np.fft.rfft(off, size)) ** 2, size)[: lags + 1]
    covariance = kinship[:places] + kinship[places:lags]
    covariance[1:] += kinship[places - 1 : 0 : -1] + kinship[lags - 1 : places : -1]
    covariance[0] += kinship[places]
    sizes = np.maximum(np.fft.fft(covariance).real[1:], 0.0)
    usual = float(sizes.sum()) ** 2 / free
    square = float((sizes**2).sum()) - chance * usual
    return free * usual / square if square > usual > 0 else float(free)
