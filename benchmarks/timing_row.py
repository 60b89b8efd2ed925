"""The rows of a timing: one for each thing that is timed."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from benchmarks.round import Ratio, ratio


class Row(NamedTuple):
    """One thing that was timed.

    Attributes:
      name: what it is.
      milliseconds: median over the rounds, of a run's epoch, or of a run where that is said.
      low, high: the least and the greatest.
      ratio: how many times longer it takes than what it is compared with, round by round; 1 for that itself.
      group: rows of one group are compared with one another.
      cpu: the same ratio for the seconds of this process's threads, all together; None where that was not measured.
    """

    name: str
    milliseconds: float
    low: float
    high: float
    ratio: Ratio
    group: str = ""
    cpu: Ratio | None = None


def row(
    name: str, seconds: Float[np.ndarray, " repeats"], base: Float[np.ndarray, " repeats"], units: float | int, group: str = ""
) -> Row:
    """The row of something that took `seconds` for so many units of work, beside what takes `base` seconds for one unit."""
    taken = seconds / units * 1e3
    return Row(name, float(np.median(taken)), float(taken.min()), float(taken.max()), ratio(seconds / units, base), group)
