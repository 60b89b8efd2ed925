"""Batch-count scaling: the steps that a batch size needs to reach a target, and the batch size at which more samples a step
stop saving steps.

References:
  Shallue, Lee, Antognini, Sohl-Dickstein, Frostig and Dahl 2019, "Measuring the effects of data parallelism on neural network
  training": steps to a target against batch size, tuned anew at each, and its three regimes.
  McCandlish, Kaplan, Amodei and the OpenAI Dota team 2018, "An empirical model of large-batch training": the curve between
  them, (S / S_min - 1) (E / E_min - 1) = 1, and the critical batch size E_min / S_min.

All functions here take arrays of any leading shape, compute in float64 with NumPy, and return missing values as NaN.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from jaxsgd.analysis.choice import seed_median
from jaxsgd.analysis.confidence import enough_sizes, why_no_interval
from jaxsgd.error import InputError, shown
from jaxsgd.summary import short_repr

REGIMES = ("perfect", "diminishing", "none")
"""Perfect scaling: twice the batch size, half the steps. Diminishing returns. None: more samples a step save no steps."""

WITHIN = 1.25
"""A batch size scales perfectly if it needs at most so many times the fewest samples, and not at all if so many times the
fewest steps: on McCandlish's curve, below a quarter of the critical batch size and above four times it."""


def steps_to_target(
    value: ArrayLike, step: ArrayLike, target: float, *, rising: bool = False, exact: bool | ArrayLike = False
) -> Float[np.ndarray, "*runs"]:
    """The number of steps after which a curve first reaches a target, by a straight line between two records.

    Args:
      value: [..., E], the curve at E records; not finite from where a run has diverged.
      step: [E] or [..., E], how many steps had been taken at each.
      target: in the units of `value`.
      rising: whether the target is reached from below, as an accuracy is.
      exact: [] or [...], whether a curve has a record after every step: the first record at or past the target is then the
        answer, and nothing lies between two records.

    Returns:
      [...]; NaN where the target is never reached. A curve that has reached it at its first record has that record's step,
      which is then only a bound, or its answer where that is exact.

    Raises:
      InputError: for a target that is not finite, or shapes that do not fit.
    """
    value, step = np.asarray(value, np.float64), np.asarray(step, np.float64)
    if not np.isfinite(target):
        raise InputError(f"target must be finite, got {shown(target)}")
    if value.ndim < 1 or 0 in value.shape[-1:] or step.ndim < 1 or step.shape[-1] != value.shape[-1]:
        raise InputError(f"value and step must share their last axis, the records, got {value.shape} and {step.shape}")
    above = target - value if rising else value - target
    step = np.broadcast_to(step, np.broadcast_shapes(step.shape, above.shape))
    above = np.broadcast_to(above, step.shape)
    reached = above <= 0
    at = np.asarray(reached.argmax(axis=-1))
    before = np.asarray(np.maximum(at - 1, 0))

    def taken(array: np.ndarray, place: np.ndarray) -> np.ndarray:
        return np.take_along_axis(array, place[..., None], axis=-1)[..., 0]

    high, low = taken(above, before), taken(above, at)
    with np.errstate(invalid="ignore", divide="ignore"):
        between = (at > 0) & np.isfinite(high) & (high > low) & ~np.asarray(exact, bool)
        share = np.where(between, high / (high - low), 1.0)
    found = taken(step, before) + share * (taken(step, at) - taken(step, before))
    return np.asarray(np.where(reached.any(axis=-1), found, np.nan))


class Bend(NamedTuple):
    """McCandlish's curve S = S_min (1 + B_crit / B) fitted to steps S at batch sizes B.

    Attributes:
      critical: [...], B_crit, samples: where twice the fewest steps and twice the fewest samples are needed. 0 or infinite
        where no bend of the curve fits better than none.
      fewest_steps: [...], S_min.
      fewest_samples: [...], E_min = B_crit S_min.
    """

    critical: Float[np.ndarray, "*fits"]
    fewest_steps: Float[np.ndarray, "*fits"]
    fewest_samples: Float[np.ndarray, "*fits"]

    __repr__ = short_repr


FINE = 600
"""Places at which the fit is tried before it is refined."""


def fit_bend(steps: ArrayLike, batch_size: ArrayLike) -> Bend:
    """The curve S = S_min (1 + B_crit / B), which is (S / S_min - 1) (E / E_min - 1) = 1 with E = S B, by least squares of the
    logarithm of S.

    Args:
      steps: [..., K], S; those that are not finite and above 0 are left out.
      batch_size: [K], B.

    Returns:
      Bend: NaN with fewer than three sizes.
    """
    steps, batch_size = np.asarray(steps, np.float64), np.asarray(batch_size, np.float64)
    known = np.isfinite(steps) & (steps > 0)
    count = known.sum(axis=-1)
    log_steps = np.log(np.where(known, steps, 1.0))
    low, high = np.log(batch_size.min() / 1000), np.log(batch_size.max() * 1000)
    places = np.linspace(low, high, FINE)

    def left(log_critical: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Sum of squares, and log S_min, for B_crit [..., G] at each fit."""
        bend = np.log1p(np.exp(log_critical)[..., None] / batch_size)
        rest = np.where(known[..., None, :], log_steps[..., None, :] - bend, 0.0)
        mean = rest.sum(axis=-1) / np.maximum(count, 1)[..., None]
        off = np.where(known[..., None, :], rest - mean[..., None], 0.0)
        return (off**2).sum(axis=-1), mean

    squares, _ = left(np.broadcast_to(places, (*steps.shape[:-1], FINE)))
    best = squares.argmin(axis=-1)
    inner = np.clip(best, 1, FINE - 2)
    a, b, c = (np.take_along_axis(squares, (inner + d)[..., None], axis=-1)[..., 0] for d in (-1, 0, 1))
    with np.errstate(invalid="ignore", divide="ignore"):
        shift = np.clip(np.nan_to_num((a - c) / (2 * (a - 2 * b + c))), -0.5, 0.5)
    log_critical = places[inner] + shift * (places[1] - places[0])
    _, log_least = left(log_critical[..., None])
    least = np.exp(log_least[..., 0])
    critical = np.exp(log_critical)
    most = least * critical
    # At either end the curve is straight: S falls as 1/B throughout, or not at all.
    critical = np.where(best == 0, 0.0, np.where(best == FINE - 1, np.inf, critical))
    least, most = np.where(best == FINE - 1, 0.0, least), np.where(best == 0, 0.0, most)
    enough = enough_sizes(np.where(known, steps, np.nan))
    return Bend(*(np.asarray(np.where(enough, part, np.nan)) for part in (critical, least, most)))


class CriticalBatchSize(NamedTuple):
    """Where more samples a step begin to save fewer steps.

    Attributes:
      critical: B_crit, samples; NaN where the batch sizes do not enclose it, so that only the interval says something.
      low, high: ends of the interval; 0 or infinite where the batch sizes do not bound it on that side. NaN where the seeds
        give none (`jaxsgd.analysis.confidence.why_no_interval`), or fewer than three sizes at which the target is reached.
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
    steps: ArrayLike, batch_size: ArrayLike, *, level: float = 0.95, resamples: int = 1000, seed: int = 0
) -> CriticalBatchSize:
    """The critical batch size, fitted to the median steps over seeds, with a bootstrap interval over the seeds.

    Args:
      steps: [K, R], steps to a target at K batch sizes with R seeds, the same ones at each; NaN for a run that never reached
        it, which counts as more than all others.
      batch_size: [K].
      level: of the interval, between 0 and 1.
      resamples: draws of R seeds with replacement (Efron 1979, "Bootstrap methods: another look at the jackknife").
      seed: of those draws.

    Raises:
      InputError: for arrays whose shapes do not fit.
    """
    steps, batch_size = np.asarray(steps, np.float64), np.asarray(batch_size, np.float64)
    if steps.ndim != 2 or batch_size.shape != steps.shape[:1]:
        raise InputError(f"steps must be [sizes, seeds] and batch_size [sizes], got {steps.shape} and {batch_size.shape}")
    drawn = resampled_seeds(steps.shape[-1], resamples, seed)
    point = fit_bend(median_steps(steps), batch_size)
    scatters = bool((why_no_interval(np.where(np.isfinite(steps), steps, np.inf), level) == "").any())
    again = fit_bend(np.stack([median_steps(steps[:, own]) for own in drawn]), batch_size) if scatters else None
    return enclosed(point, None if again is None else again.critical, batch_size, level)


def enclosed(point: Bend, again: np.ndarray | None, batch_size: np.ndarray, level: float) -> CriticalBatchSize:
    """A fit with its interval from the fits of resamples, [n]: neither reaches past the batch sizes it was made from."""
    least, most = float(batch_size.min()), float(batch_size.max())
    low, high = interval(np.asarray(again), level) if again is not None else (np.nan, np.nan)
    low, high = (0.0 if low < least else min(float(low), most)), (np.inf if high > most else max(float(high), least))
    critical = float(point.critical)
    if np.isnan(critical):
        low = high = np.nan
    located = least <= critical <= most
    return CriticalBatchSize(critical if located else np.nan, low, high, float(point.fewest_steps), float(point.fewest_samples))


def median_steps(steps: np.ndarray) -> np.ndarray:
    """Median over the seeds, [..., R] -> [...], where a run that never reached the target needs infinitely many steps."""
    return seed_median(np.where(np.isfinite(steps), steps, np.inf))


def resampled_seeds(count: int, resamples: int, seed: int) -> np.ndarray:
    """Places of seeds drawn with replacement, [resamples, R]; none for one seed, which says nothing of how seeds scatter."""
    if count < 2:
        return np.zeros((0, count), int)
    return np.random.default_rng(seed).integers(0, count, (resamples, count))


def interval(values: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
    """The percentile interval of resampled values, [n, ...] -> ([...], [...]); values may be infinite, NaN are left out."""
    if not len(values):
        missing = np.full(values.shape[1:], np.nan)
        return missing, missing
    ordered = np.sort(values, axis=0)
    count = np.isfinite(values).sum(axis=0) + np.isinf(values).sum(axis=0)

    def at(share: float) -> np.ndarray:
        place = np.clip(np.round(share * (count - 1)).astype(int), 0, len(values) - 1)
        found = np.take_along_axis(ordered, place[None], axis=0)[0]
        return np.where(count > 0, found, np.nan)

    return at((1 - level) / 2), at((1 + level) / 2)


def regimes(steps: ArrayLike, batch_size: ArrayLike) -> np.ndarray:
    """Which of `REGIMES` each batch size lies in (Shallue et al. 2019, section 4.1, who tell them by eye).

    A regime is located only where it spans a factor of two in batch size: the smallest size needs the fewest samples and the
    largest the fewest steps in any curve.

    Args:
      steps: [K], to the target; not finite where it was not reached.
      batch_size: [K].

    Returns:
      [K], names; "" where the target was not reached.
    """
    steps, batch_size = np.asarray(steps, np.float64), np.asarray(batch_size, np.float64)
    known = np.isfinite(steps)
    found = np.where(known, REGIMES[1], "")
    if not known.any():
        return found
    cost = np.where(known, steps, np.inf)
    for name, needed in ((REGIMES[2], cost), (REGIMES[0], cost * batch_size)):
        near = needed <= WITHIN * needed.min()
        if batch_size[near].max() >= 2 * batch_size[near].min():
            found = np.where(near, name, found)
    return found


def power_of_size(rate: ArrayLike, batch_size: ArrayLike) -> Float[np.ndarray, "*fits"]:
    """The p of rate ~ B^p by least squares of the logarithms: 1 for the linear rule (Goyal et al. 2017), 1/2 for that of the
    square root (Krizhevsky 2014).

    Args:
      rate: [..., K]; those that are not finite are left out.
      batch_size: [K].

    Returns:
      [...]; NaN with fewer than three sizes.
    """
    rate, batch_size = np.asarray(rate, np.float64), np.asarray(batch_size, np.float64)
    known = np.isfinite(rate) & (rate > 0)
    x = np.where(known, np.log(batch_size), 0.0)
    y = np.where(known, np.log(np.where(known, rate, 1.0)), 0.0)
    count = np.maximum(known.sum(axis=-1), 1)[..., None]
    x, y = (np.where(known, each - each.sum(axis=-1, keepdims=True) / count, 0.0) for each in (x, y))
    with np.errstate(invalid="ignore", divide="ignore"):
        power = (x * y).sum(axis=-1) / np.where((x**2).sum(axis=-1) > 0, (x**2).sum(axis=-1), np.nan)
    return np.asarray(np.where(enough_sizes(np.where(known, rate, np.nan)), power, np.nan))
