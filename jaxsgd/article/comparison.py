"""The measures of the printed loss that are compared, and the rank of a run among many runs."""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from jaxsgd.measure.divergence import diverged_epoch
from jaxsgd.measure.stripes import Stripes, expected_range, sampling_spread, stripe_count, stripes


class Quantities(NamedTuple):
    """The compared quantities of a run: numbers, or arrays over runs.

    Attributes:
      first_loss: the first printed value; loss units.
      gap: largest minus smallest stripe level; loss units.
      slope: mean of the stripes' slopes; loss per epoch.
      stripe_count: m / gcd(m, w).
      stripe_index: share of the detrended variance that the position in the epoch explains; NaN with too few windows.
    """

    first_loss: Float[np.ndarray, "*R"]
    gap: Float[np.ndarray, "*R"]
    slope: Float[np.ndarray, "*R"]
    stripe_count: Float[np.ndarray, "*R"]
    stripe_index: Float[np.ndarray, "*R"]


class Spread(NamedTuple):
    """The spread of a quantity over seeds.

    Attributes:
      median: of the finite values.
      low, high: the ends of the central 90 %.
      mean: of the finite values.
      error: the standard error of the mean.
      finite: the number of finite values.
    """

    median: float
    low: float
    high: float
    mean: float
    error: float
    finite: int


def quantities(measured: Stripes) -> Quantities:
    """Return the compared quantities of a run, or of each of many runs."""
    first = measured.windows[..., 0]
    count = np.full(first.shape, float(measured.stripe_count))
    return Quantities(first, measured.gap, measured.slope.mean(axis=-1), count, measured.readable_index)


def measure_seeds(loss: ArrayLike, eval_interval: int) -> Quantities:
    """Return the quantities of each of R runs, [R]; NaN for a run that became non-finite.

    Args:
      loss: [R, E, m].
      eval_interval: w.
    """
    loss = np.asarray(loss, np.float64)
    finite = np.isnan(diverged_epoch(loss))
    measured = quantities(stripes(np.where(finite[:, None, None], loss, 0), eval_interval))
    return Quantities(*(np.where(finite, values, np.nan) for values in measured))


def spread(values: ArrayLike) -> Spread:
    """Return the spread of the finite values; NaN for statistics that need more values."""
    values = np.asarray(values, np.float64)
    values = values[np.isfinite(values)]
    finite = len(values)
    if finite == 0:
        return Spread(math.nan, math.nan, math.nan, math.nan, math.nan, 0)
    low, median, high = np.quantile(values, [0.05, 0.5, 0.95])
    error = values.std(ddof=1) / math.sqrt(finite) if finite > 1 else math.nan
    return Spread(float(median), float(low), float(high), float(values.mean()), float(error), finite)


def percentile_rank(value: float, values: ArrayLike) -> float:
    """Return the share of the finite values that are below a value, in percent; NaN if there are none.

    Args:
      value: the value to rank.
      values: the values to compare with; equal values count half.
    """
    values = np.asarray(values, np.float64)
    values = values[np.isfinite(values)]
    if len(values) == 0 or not np.isfinite(value):
        return math.nan
    return float(100 * ((values < value).sum() + (values == value).sum() / 2) / len(values))


def sampling_gap(sample_loss: ArrayLike, batch_count: int, eval_interval: int) -> Float[np.ndarray, "*R"]:
    """Return the expected gap if the samples are assigned to the batches by chance: sigma / sqrt(n) times the range of S draws.

    It needs windows of different stripes without common samples: NaN if the evaluation interval does not divide the batch
    count, or if there is a single stripe.

    Args:
      sample_loss: [..., N], every sample's loss at the same parameters.
      batch_count: m.
      eval_interval: w.
    """
    sample_loss = np.asarray(sample_loss, np.float64)
    count = stripe_count(batch_count, eval_interval)
    size = sample_loss.shape[-1] // count
    if batch_count % eval_interval or count == 1 or sample_loss.shape[-1] < 2:
        return np.full(sample_loss.shape[:-1], np.nan)
    return np.asarray(sampling_spread(sample_loss, size) * expected_range(count))


def chance_of_wider(gap: float, expected_gap: float, count: int) -> float:
    """Return the probability of a wider gap than `gap` from sampling alone, for normal levels of `count` stripes.

    The distribution function of the range of S standard normal draws is (Tippett 1925)

        P(range < r) = S * integral of phi(x) (Phi(x + r) - Phi(x))^(S - 1) dx.

    Args:
      gap: the measured gap.
      expected_gap: the expected gap from sampling alone, in the same units.
      count: S.
    """
    if not (math.isfinite(gap) and math.isfinite(expected_gap) and expected_gap > 0 and count > 1):
        return math.nan
    width = gap / expected_gap * expected_range(count)
    x = np.linspace(-9, 9, 3601)
    density = np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)
    between = np.array([math.erfc(-(v + width) / math.sqrt(2)) - math.erfc(-v / math.sqrt(2)) for v in x]) / 2
    return float(np.clip(1 - count * np.trapezoid(density * between ** (count - 1), x), 0, 1))


def rises(printed: ArrayLike) -> tuple[int, int]:
    """Return the number of printed values that are higher than the value before, and the number of comparisons."""
    steps = np.diff(np.asarray(printed, np.float64))
    return int((steps > 0).sum()), len(steps)
