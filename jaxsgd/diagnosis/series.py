"""The scores by which differences in a series are compared with chance."""

import numpy as np
from jaxtyping import Float, Int


def normal_score(f: float, between: int, within: int) -> float:
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


LARGEST = 60.0
"""Largest score: a loss without noise has infinite ones, which are cut here."""


def cut_score(z: float) -> float:
    """Return a score cut at `LARGEST`; 0 where it is not finite."""
    return float(np.clip(z, -LARGEST, LARGEST)) if np.isfinite(z) else 0.0


def explained(left: Float[np.ndarray, " k"], group: Int[np.ndarray, " k"]) -> tuple[float, float]:
    """Return (share of the variance that the groups explain, adjusted for chance; its z).

    Values of one group that resemble each other from cycle to cycle, as smoothed ones do, count as fewer values. Levels that
    drift resemble each other too, but not their neighbours.
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
    return float(share), cut_score(normal_score(f, between_freedom, max(round(fewer * within_freedom), 2)))
