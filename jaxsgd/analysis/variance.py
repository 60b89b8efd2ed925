"""Where the scatter of a result comes from: its data, its initial parameters, or the order of its samples."""

import itertools
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike

from jaxsgd.error import InputError


class Scatter(NamedTuple):
    """Variance of a measure by what is drawn anew; A axes of seeds.

    Attributes:
      alone: [..., A], variance when that axis's seed alone is drawn anew and all others are held, averaged over what they
        are held at. NaN for an axis of one seed.
      together: [...], variance when all are drawn anew. NaN where an axis has one seed.
      left_out: [...], runs without a finite value.
    """

    alone: Float[np.ndarray, "*cells A"]
    together: Float[np.ndarray, "*cells"]
    left_out: Int[np.ndarray, "*cells"]


def scatter(values: ArrayLike, axes: int) -> Scatter:
    """The variances of runs that cross several kinds of seeds (Bouthillier et al. 2021, "Accounting for variance in machine
    learning benchmarks": one source varied at a time, and all at once).

    A variance is half the mean squared difference of two runs: of those that differ in one seed alone, and of those that
    differ in all. Both are unbiased, and they need not add up: what two seeds do together is in the second alone.

    Args:
      values: [..., n_1, ..., n_A], every combination of the seeds of A axes; a run without a finite value is left out.
      axes: A, at least 1.

    Raises:
      InputError: for fewer axes than A.
    """
    values = np.asarray(values, np.float64)
    if axes < 1 or values.ndim < axes:
        raise InputError(f"values must have the {axes} axes of the seeds last, got shape {values.shape}")
    finite = np.isfinite(values)
    last = tuple(range(-axes, 0))
    alone = [_half_mean_square(values, finite, (axis,), last) for axis in last]
    return Scatter(
        np.stack(alone, axis=-1), _half_mean_square(values, finite, last, last), np.asarray((~finite).sum(axis=last))
    )


def _half_mean_square(values: np.ndarray, finite: np.ndarray, differing: tuple[int, ...], last: tuple[int, ...]) -> np.ndarray:
    """Half the mean squared difference of all pairs whose seeds differ on the axes `differing` and agree on the others."""
    total, count = np.zeros(values.shape[: -len(last)]), np.zeros(values.shape[: -len(last)], int)
    # Rolled by every shift but 0 along each of these axes, an array meets all the runs that differ there.
    for shifts in itertools.product(*(range(1, values.shape[axis]) for axis in differing)):
        other, there = (np.roll(array, shifts, axis=differing) for array in (values, finite))
        both = finite & there
        square = np.subtract(values, other, out=np.zeros(values.shape), where=both) ** 2
        total, count = total + square.sum(axis=last), count + both.sum(axis=last)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(total / (2 * np.where(count > 0, count, np.nan)))
