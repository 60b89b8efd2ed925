"""Steps to a target against batch size: functions of arrays.

References:
  Shallue, Lee, Antognini, Sohl-Dickstein, Frostig and Dahl 2019, "Measuring the effects of data parallelism on neural network
  training": the three regimes.
  McCandlish, Kaplan, Amodei and the OpenAI Dota team 2018, "An empirical model of large-batch training": the curve between
  them, (S / S_min - 1) (E / E_min - 1) = 1, and the critical batch size E_min / S_min.

The functions take arrays of any leading shape, compute in float64, and return missing values as NaN.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from jaxsgd.analysis.choice import seed_median
from jaxsgd.analysis.confidence import check_confidence, enough_sizes, interval, resampled_seeds, why_no_interval
from jaxsgd.error import InputError, check_finite
from jaxsgd.summary import short_repr

REGIMES = ("perfect", "diminishing", "none")
"""Perfect scaling: twice the batch size, half the steps. Diminishing returns. None: more samples per step save no steps."""

WITHIN = 1.25
"""A batch size scales perfectly if it needs at most this many times the fewest samples, and not at all if it needs at most this
many times the fewest steps: on McCandlish's curve, below a quarter of the critical batch size and above four times it."""


def steps_to_target(
    value: ArrayLike, step: ArrayLike, target: float, *, rising: bool = False, exact: bool | ArrayLike = False
) -> Float[np.ndarray, "*runs"]:
    """Return the number of steps after which a curve first reaches a target, with linear interpolation between two records.

    Args:
      value: [..., E], the curve at E records; not finite after a run has diverged.
      step: [E] or [..., E], number of steps taken at each record.
      target: in the units of the curve.
      rising: True if the target is reached from below, as an accuracy is.
      exact: [] or [...], True for a curve with a record after every step: the first record at or past the target is then the
        answer, without interpolation.

    Returns:
      [...]; NaN if the target is never reached. A curve that has reached it at its first record has that record's step, which
      is an upper bound, or the answer if `exact`.

    Raises:
      InputError: for a target that is not finite, or shapes that do not fit.
    """
    value, step = np.asarray(value, np.float64), np.asarray(step, np.float64)
    target = check_finite("target", target)
    if value.ndim < 1 or 0 in value.shape[-1:] or step.ndim < 1 or step.shape[-1] != value.shape[-1]:
        raise InputError(f"value and step must share their last axis, the records, got {value.shape} and {step.shape}")
    above = target - value if rising else value - target
    step = np.broadcast_to(step, np.broadcast_shapes(step.shape, above.shape))
    above = np.broadcast_to(above, step.shape)
    reached = above <= 0
    at = np.asarray(reached.argmax(axis=-1))
    before = np.asarray(np.maximum(at - 1, 0))

    def pick(array: np.ndarray, position: np.ndarray) -> np.ndarray:
        return np.take_along_axis(array, position[..., None], axis=-1)[..., 0]

    high, low = pick(above, before), pick(above, at)
    with np.errstate(invalid="ignore", divide="ignore"):
        between = (at > 0) & np.isfinite(high) & (high > low) & ~np.asarray(exact, bool)
        share = np.where(between, high / (high - low), 1.0)
    steps = pick(step, before) + share * (pick(step, at) - pick(step, before))
    return np.asarray(np.where(reached.any(axis=-1), steps, np.nan))


class Bend(NamedTuple):
    """McCandlish's curve S = S_min (1 + B_crit / B) fitted to steps S at batch sizes B.

    Attributes:
      critical: [...], B_crit, in samples: the batch size that needs twice the fewest steps and twice the fewest samples. 0 or
        infinite if a straight line fits best.
      fewest_steps: [...], S_min.
      fewest_samples: [...], E_min = B_crit S_min.
    """

    critical: Float[np.ndarray, "*fits"]
    fewest_steps: Float[np.ndarray, "*fits"]
    fewest_samples: Float[np.ndarray, "*fits"]

    __repr__ = short_repr


FINE = 600
"""Number of critical batch sizes at which the fit is tried before it is refined."""


def fit_bend(steps: ArrayLike, batch_size: ArrayLike) -> Bend:
    """Return the curve S = S_min (1 + B_crit / B) that fits the steps, by least squares of the logarithm of S.

    The curve is (S / S_min - 1) (E / E_min - 1) = 1 with E = S B.

    Args:
      steps: [..., K], S; values that are not finite and positive are left out.
      batch_size: [K], B.

    Returns:
      Bend: NaN with fewer than three sizes.
    """
    steps, batch_size = np.asarray(steps, np.float64), np.asarray(batch_size, np.float64)
    known = np.isfinite(steps) & (steps > 0)
    count = known.sum(axis=-1)
    log_steps = np.log(np.where(known, steps, 1.0))
    low, high = np.log(batch_size.min() / 1000), np.log(batch_size.max() * 1000)
    tried = np.linspace(low, high, FINE)

    # Every fit tries the same curves, so the sums over sizes are products of matrices. With the means taken off first, little
    # is lost in the differences of sums.
    bend = np.log1p(np.exp(tried)[:, None] / batch_size)
    bend -= bend.mean(axis=-1, keepdims=True)
    level = np.where(known, log_steps, 0.0).sum(axis=-1, keepdims=True) / np.maximum(count, 1)[..., None]
    off = np.where(known, log_steps - level, 0.0)
    total = (known @ bend.T) ** 2 / np.maximum(count, 1)[..., None]
    squares = (off**2).sum(axis=-1, keepdims=True) - 2 * off @ bend.T + known @ (bend**2).T - total
    best = squares.argmin(axis=-1)
    inner = np.clip(best, 1, FINE - 2)
    a, b, c = (np.take_along_axis(squares, (inner + d)[..., None], axis=-1)[..., 0] for d in (-1, 0, 1))
    with np.errstate(invalid="ignore", divide="ignore"):
        shift = np.clip(np.nan_to_num((a - c) / (2 * (a - 2 * b + c))), -0.5, 0.5)
    log_critical = tried[inner] + shift * (tried[1] - tried[0])
    critical = np.exp(log_critical)
    rest = np.where(known, log_steps - np.log1p(critical[..., None] / batch_size), 0.0)
    least = np.exp(rest.sum(axis=-1) / np.maximum(count, 1))
    most = least * critical
    # At either end the curve is straight: S falls as 1/B everywhere, or is constant.
    critical = np.where(best == 0, 0.0, np.where(best == FINE - 1, np.inf, critical))
    least, most = np.where(best == FINE - 1, 0.0, least), np.where(best == 0, 0.0, most)
    enough = enough_sizes(np.where(known, steps, np.nan))
    return Bend(*(np.asarray(np.where(enough, part, np.nan)) for part in (critical, least, most)))


class CriticalBatchSize(NamedTuple):
    """The batch size from which more samples per step save fewer steps.

    Attributes:
      critical: B_crit, in samples; NaN if the batch sizes do not enclose it, so that only the interval is informative.
      low, high: ends of the interval; 0 or infinite if the batch sizes do not bound it on that side. NaN if the seeds support
        none (`jaxsgd.analysis.confidence.why_no_interval`), or if fewer than three sizes reach the target.
      fewest_steps: S_min, of the fit.
      fewest_samples: E_min, of the fit.
    """

    critical: float
    low: float
    high: float
    fewest_steps: float
    fewest_samples: float

    __repr__ = short_repr


def critical_batch_size(
    steps: ArrayLike, batch_size: ArrayLike, *, confidence: float = 0.95, resamples: int = 1000, seed: int = 0
) -> CriticalBatchSize:
    """Return the critical batch size, fitted to the median steps over seeds, with a bootstrap interval over the seeds.

    Args:
      steps: [K, R], steps to a target at K batch sizes with the same R seeds; NaN for a run that never reached it, which counts
        as more than all others.
      batch_size: [K].
      confidence: level of the interval, between 0 and 1.
      resamples: number of draws of R seeds with replacement (Efron 1979, "Bootstrap methods: another look at the jackknife").
      seed: of those draws.

    Raises:
      InputError: for arrays whose shapes do not fit, or a confidence level outside (0, 1).
    """
    check_confidence(confidence)
    steps, batch_size = np.asarray(steps, np.float64), np.asarray(batch_size, np.float64)
    if steps.ndim != 2 or batch_size.shape != steps.shape[:1]:
        raise InputError(f"steps must be [sizes, seeds] and batch_size [sizes], got {steps.shape} and {batch_size.shape}")
    drawn = resampled_seeds(steps.shape[-1], resamples, seed)
    point = fit_bend(median_steps(steps), batch_size)
    spread = bool((why_no_interval(np.where(np.isfinite(steps), steps, np.inf), confidence) == "").any())
    fits = fit_bend(median_steps(steps[:, drawn]).T, batch_size) if spread else None
    return enclosed(point, None if fits is None else fits.critical, batch_size, confidence)


def enclosed(point: Bend, resampled: np.ndarray | None, batch_size: np.ndarray, confidence: float) -> CriticalBatchSize:
    """Return a fit with its interval from the fits of resamples, [n]; neither reaches past the batch sizes of the fit."""
    least, most = float(batch_size.min()), float(batch_size.max())
    low, high = interval(np.asarray(resampled), confidence) if resampled is not None else (np.nan, np.nan)
    low, high = (0.0 if low < least else min(float(low), most)), (np.inf if high > most else max(float(high), least))
    critical = float(point.critical)
    if np.isnan(critical):
        low = high = np.nan
    located = least <= critical <= most
    return CriticalBatchSize(critical if located else np.nan, low, high, float(point.fewest_steps), float(point.fewest_samples))


def median_steps(steps: np.ndarray) -> np.ndarray:
    """Return the median over the seeds, [..., R] -> [...]; a run that never reached the target needs infinitely many steps."""
    return seed_median(np.where(np.isfinite(steps), steps, np.inf))


def regimes(steps: ArrayLike, batch_size: ArrayLike) -> np.ndarray:
    """Return the regime, one of `REGIMES`, of each batch size (Shallue et al. 2019, section 4.1, who judge by eye).

    A regime is located only if it spans a factor of two in batch size: the smallest size needs the fewest samples and the
    largest the fewest steps in any curve.

    Args:
      steps: [K], to the target; not finite if it was not reached.
      batch_size: [K].

    Returns:
      [K], names; "" if the target was not reached.
    """
    steps, batch_size = np.asarray(steps, np.float64), np.asarray(batch_size, np.float64)
    known = np.isfinite(steps)
    names = np.where(known, REGIMES[1], "")
    if not known.any():
        return names
    cost = np.where(known, steps, np.inf)
    for name, needed in ((REGIMES[2], cost), (REGIMES[0], cost * batch_size)):
        near = needed <= WITHIN * needed.min()
        if batch_size[near].max() >= 2 * batch_size[near].min():
            names = np.where(near, name, names)
    return names


def power_of_size(rate: ArrayLike, batch_size: ArrayLike) -> Float[np.ndarray, "*fits"]:
    """Return the p of rate ~ B^p by least squares of the logarithms.

    p is 1 for the linear rule (Goyal et al. 2017) and 1/2 for the square-root rule (Krizhevsky 2014).

    Args:
      rate: [..., K]; values that are not finite and positive are left out.
      batch_size: [K].

    Returns:
      [...]; NaN with fewer than three sizes.
    """
    rate, batch_size = np.asarray(rate, np.float64), np.asarray(batch_size, np.float64)
    known = np.isfinite(rate) & (rate > 0)
    x = np.where(known, np.log(batch_size), 0.0)
    y = np.where(known, np.log(np.where(known, rate, 1.0)), 0.0)
    count = np.maximum(known.sum(axis=-1), 1)[..., None]
    x, y = (np.where(known, side - side.sum(axis=-1, keepdims=True) / count, 0.0) for side in (x, y))
    with np.errstate(invalid="ignore", divide="ignore"):
        power = (x * y).sum(axis=-1) / np.where((x**2).sum(axis=-1) > 0, (x**2).sum(axis=-1), np.nan)
    return np.asarray(np.where(enough_sizes(np.where(known, rate, np.nan)), power, np.nan))
