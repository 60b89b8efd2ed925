"""Stripes: the pattern of a printed loss if the evaluation interval does not average over whole epochs.

A trainer that prints the mean of every w losses goes through its m batches in steps of w. The windows begin at
m / gcd(m, w) positions of the epoch, in turn. If batches differ and keep their positions, each of these positions has its own
level, and the printed values split into that many interleaved sequences: stripes.

All functions here take arrays of any leading shape, compute in float64, and return missing values as NaN. They compute with
NumPy, except `window_means` and `stripe_levels`, which take JAX's arrays too: a sweep on a GPU measures its runs there.
"""

import functools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike

from jaxsgd.error import InputError, check_count
from jaxsgd.measure.trend import AnyArray, pairwise_sum, period_means, trend_through, trend_weights
from jaxsgd.summary import short_repr

FEWEST_WINDOWS = 5
"""The fewest windows in each stripe for a meaningful stripe index of a run."""

STRIPED, HIDDEN = 0.5, 0.05
"""The stripe index from which a loss is called striped, and the index below which its stripes count as hidden."""


def is_telling(batch_count: int, epochs: int, eval_interval: int) -> bool:
    """Return True if each stripe of a run has enough windows for a meaningful stripe index of that run.

    This is the only rule for too little data: tables and figures show no index if it is not met. `stripes` and a stored result
    still have the number. It has no bias, so its mean over many seeds is meaningful; and the bits of a stored result must not
    depend on this rule.

    Args:
      batch_count: m.
      epochs: E.
      eval_interval: w, batches per window.
    """
    return epochs * batch_count // eval_interval >= FEWEST_WINDOWS * stripe_count(batch_count, eval_interval)


class Stripes(NamedTuple):
    """The striped view of a loss and its measures; S stripes, W windows.

    Attributes:
      stripe_count: S = m / gcd(m, w).
      windows: [..., W], mean loss of each window; loss units.
      time: [W], the end of each window, in epochs since the start.
      stripe: [W], the stripe of each window, 0 ... S-1 by first appearance.
      level: [..., S], each stripe's mean over whole cycles of stripes, without the trend; loss units.
      slope: [..., S], least-squares slope of each stripe; loss per epoch. NaN with fewer than two cycles.
      gap: [...], largest minus smallest level; 0 for a single stripe.
      stripe_index: [...], share of the detrended variance that the position in the epoch explains, at most 1. Its
        expectation is 0 without stripes (so a value may be negative, and far below 0 with few windows).
        NaN for a single stripe, fewer than two cycles, or a loss without any variance.
    """

    stripe_count: int
    windows: Float[np.ndarray, "*runs W"]
    time: Float[np.ndarray, " W"]
    stripe: Int[np.ndarray, " W"]
    level: Float[np.ndarray, "*runs S"]
    slope: Float[np.ndarray, "*runs S"]
    gap: Float[np.ndarray, "*runs"]
    stripe_index: Float[np.ndarray, "*runs"]

    __repr__ = short_repr

    @property
    def readable_index(self) -> Float[np.ndarray, "*runs"]:
        """[...], the stripe index; NaN if there are too few windows for a meaningful index of a run (`is_telling`)."""
        enough = self.windows.shape[-1] >= FEWEST_WINDOWS * self.stripe_count
        return np.asarray(np.where(enough, self.stripe_index, np.nan))


def stripe_count(batch_count: int, eval_interval: int) -> int:
    """Return the number of stripes at an evaluation interval: m / gcd(m, w), which is 1 if w is a multiple of m.

    Raises:
      InputError: for a batch count m or an interval w below 1.
    """
    batch_count, eval_interval = check_count("batch_count", batch_count), check_count("eval_interval", eval_interval)
    return batch_count // math.gcd(batch_count, eval_interval)


def windows(loss: ArrayLike, eval_interval: int) -> Float[np.ndarray, "*runs W"]:
    """Return the means of every `eval_interval` consecutive batch losses, as a trainer prints them.

    Args:
      loss: [..., E, m], the loss of each batch.
      eval_interval: w, batches per window. Windows continue across epochs; an incomplete last window is left out.

    Returns:
      [..., W] with W = E m // w, in loss units.

    Raises:
      InputError: for an array without axes [E, m], or w outside 1 ... E m.
    """
    loss = np.asarray(loss)
    if loss.ndim < 2 or 0 in loss.shape[-2:]:
        raise InputError(f"loss must have shape [..., epochs, batches], got {list(loss.shape)}")
    iterations = loss.shape[-2] * loss.shape[-1]
    return window_means(loss, check_count("eval_interval", eval_interval, iterations, "the number of batch losses"))


def window_means(loss: AnyArray, width: int) -> AnyArray:
    """Return the same of an array of NumPy, or of JAX if it has float64; nothing is checked."""
    runs, iterations = loss.shape[:-2], loss.shape[-2] * loss.shape[-1]
    count = iterations // width
    table = loss.reshape(*runs, iterations)[..., : count * width].reshape(*runs, count, width)
    if width >= FEW:
        return table.mean(axis=-1, dtype=np.float64)
    # NumPy is slow at many means of few values.
    total = table[..., 0].astype(np.float64)
    for position in range(1, width):
        total += table[..., position]
    return total / width if width > 1 else total


FEW = 8
"""Fewer losses than this in a window are added one by one."""


def stripes(loss: ArrayLike, eval_interval: int) -> Stripes:
    """Return the striped view of a loss, with the level and slope of each stripe, their gap and the stripe index.

    The trend is a line through the means of consecutive cycles (a cycle is one window of each stripe). The detrended values
    are grouped by stripe, and the index is the adjusted coefficient of determination of these groups,

        index = 1 - (SS_within / v_within) / (SS_total / v_total),

    the epsilon squared of Kelley 1935 ("An unbiased correlation ratio measure"). The degrees of freedom v are the traces of
    the quadratic forms, with the trend's share taken out (Hastie and Tibshirani 1990, "Generalized additive models",
    3.5): for white noise both quotients have the same expectation, so the index averages 0, nearly so (-0.06) where there are
    no more than two cycles of two stripes.

    Args:
      loss: [..., E, m], the loss of each batch.
      eval_interval: w, batches per window.

    Raises:
      InputError: for an array without axes [E, m], or w outside 1 ... E m.
    """
    values = windows(loss, eval_interval)
    batch_count, eval_interval = np.shape(loss)[-1], int(eval_interval)
    count = stripe_count(batch_count, eval_interval)
    windows_end = window_ends(values.shape[-1], batch_count, eval_interval)
    runs = values.shape[:-1]
    rows = values.reshape(-1, len(windows_end))
    size = max(LEAST_RUNS, BLOCK // len(windows_end))
    # A run that is not finite has no levels, and needs no warning.
    with np.errstate(invalid="ignore", over="ignore"):
        firsts = range(0, max(len(rows), 1), size)
        blocks = [stripe_levels(np.ascontiguousarray(rows[first : first + size].T), windows_end, count) for first in firsts]
        level, slope, index = (np.concatenate(parts, axis=-1) for parts in zip(*blocks, strict=True))
        gap = level.max(axis=0) - level.min(axis=0)
    level, slope = (np.ascontiguousarray(part.T).reshape(*runs, count) for part in (level, slope))
    stripe = np.arange(len(windows_end)) % count
    return Stripes(count, values, windows_end, stripe, level, slope, gap.reshape(runs)[()], index.reshape(runs)[()])


BLOCK = 2**15
"""About how many windows are measured together: the arrays of so many stay in a core's cache."""

LEAST_RUNS = 16
"""The fewest runs that are measured together where there are more: NumPy is slow along short axes."""


def window_ends(count: int, batch_count: int, eval_interval: int) -> Float[np.ndarray, " W"]:
    """Return the end of each of `count` windows, in epochs since the start."""
    return (np.arange(count) + 1) * eval_interval / batch_count


def stripe_levels(values: AnyArray, time: Float[np.ndarray, " W"], count: int) -> tuple[AnyArray, AnyArray, AnyArray]:
    """Return level [S, R], slope [S, R] and index [R] of interleaved stripes, from the whole cycles of windows.

    Args:
      values: [W, R] in float64, of NumPy or of JAX.
      time: [W], the end of each window.
      count: S.
    """
    xp, runs = values.__array_namespace__(), values.shape[-1]
    cycles = len(values) // count
    if cycles == 0:
        missing = xp.full((count, runs), np.nan)
        return missing, missing, xp.full(runs, np.nan)
    values = values[: cycles * count]
    table = values.reshape(cycles, count, runs)
    if cycles == 1:
        return table[0], xp.full((count, runs), np.nan), xp.full(runs, np.nan)

    means = period_means(values, count, count)
    left = table - trend_through(means, len(values), count, count).reshape(table.shape)
    mean_left = pairwise_sum(left) / cycles
    level = mean_left + pairwise_sum(means) / cycles

    when = time[: cycles * count].reshape(cycles, count)
    when = when - when.mean(axis=0)
    slope = pairwise_sum(when[..., None] * table) / (when**2).sum(axis=0)[:, None]
    return level, slope, _index(left, mean_left, xp.abs(values).max(axis=0))


def _index(left: AnyArray, mean_left: AnyArray, scale: AnyArray) -> AnyArray:
    """Return the index [R] of detrended windows [cycles, S, R], given each stripe's mean of them and the largest window."""
    xp, (cycles, count, runs) = left.__array_namespace__(), left.shape
    if count == 1:
        return xp.full(runs, np.nan)
    freedom_total, freedom_within = _degrees_of_freedom(cycles, count)
    total = _squares(left - pairwise_sum(mean_left) / count)
    within = _squares(left - mean_left)
    # A loss that is exactly on the trend leaves only rounding, which has nothing to explain.
    rounding = cycles * count * (8 * np.finfo(np.float64).eps * scale) ** 2
    return 1 - (within / freedom_within) / xp.where(total > rounding, total / freedom_total, np.nan)


def _squares(differences: AnyArray) -> AnyArray:
    """Return the sum of squares, [R], of [cycles, S, R]."""
    return pairwise_sum(pairwise_sum(differences**2))


@functools.lru_cache(4)
def _degrees_of_freedom(cycles: int, count: int) -> tuple[float, float]:
    """Return the degrees of freedom of the detrended windows around their mean, and around the mean of each stripe."""
    before, after, share = (part.reshape(cycles, count) for part in trend_weights(cycles * count, count, count))
    # Each remainder is a linear form in white noise; the traces are the sums of the forms' squared coefficients.
    own = np.where(before == np.arange(cycles)[:, None], 1 - share, share)
    squares = np.sum(1 - 2 * own / count + ((1 - share) ** 2 + share**2) / count)
    weight = np.zeros((count, cycles))
    stripe = np.broadcast_to(np.arange(count), before.shape)
    np.add.at(weight, (stripe, before), (1 - share) / cycles)
    np.add.at(weight, (stripe, after), share / cycles)
    of_levels = np.sum(1 / cycles - 2 / (cycles * count) + (weight**2).sum(axis=1) / count)
    of_mean = np.sum((1 / cycles - weight.mean(axis=0)) ** 2) / count
    return float(squares - cycles * count * of_mean), float(squares - cycles * of_levels)


def hiding_interval(
    loss: ArrayLike, threshold: float = HIDDEN, intervals: Sequence[int] | None = None
) -> Int[np.ndarray, "*runs"]:
    """Return the smallest evaluation interval that hides the stripes, up to m.

    The trend is that of `stripes`. If the first epochs fall much faster than the others, leave them out.

    Args:
      loss: [..., E, m].
      threshold: stripes count as hidden if the stripe index is below it, or within two standard deviations of chance
        (`chance_deviation`). An interval with too few windows (`is_telling`) does not count.
      intervals: the intervals to try, from 1 to m - 1; all of them by default.

    Returns:
      [...], in batches; m if no smaller interval hides them, because a whole epoch always does.
    """
    loss = np.asarray(loss, np.float64)
    batch_count = loss.shape[-1]
    smallest = np.full(loss.shape[:-2], batch_count)
    for width in sorted(range(1, batch_count) if intervals is None else intervals, reverse=True):
        seen = stripes(loss, width)
        # Without any variance there is no index and no stripe.
        flat = np.isnan(seen.stripe_index) & np.isfinite(seen.slope).all(axis=-1)
        chance = 2 * chance_deviation(seen.stripe_count, seen.windows.shape[-1] // seen.stripe_count)
        smallest = np.where((seen.readable_index < max(threshold, chance)) | flat, width, smallest)
    return smallest


def chance_deviation(stripe_count: int, cycles: int) -> float:
    """Return the standard deviation of the stripe index in white noise, for S stripes of c windows each.

    The share of the variance that S groups explain by chance follows Beta((S - 1) / 2, v / 2) with v degrees of freedom
    within them (Fisher 1925, "Statistical methods for research workers"), and the index is a linear function of it. The trend
    takes one of the S windows of each cycle, so v = (S - 1)(c - 1). Infinite with fewer than two cycles.
    """
    between, within = stripe_count - 1, (stripe_count - 1) * (cycles - 1)
    return math.sqrt(2 * between / (within * (between + within + 2))) if within > 0 else math.inf


def sampling_spread(sample_loss: ArrayLike, window_size: int) -> Float[np.ndarray, "*runs"]:
    """Return the standard deviation of a level from sampling alone: sigma / sqrt(n), in loss units.

    Args:
      sample_loss: [..., N], every sample's loss at the same parameters; sigma is their standard deviation.
      window_size: n, samples in a window: batch size times evaluation interval.
    """
    return np.asarray(np.std(np.asarray(sample_loss, np.float64), axis=-1, ddof=1) / math.sqrt(window_size))


def expected_range(count: int) -> float:
    """Return the expected range, largest minus smallest, of `count` independent standard normal draws (Tippett 1925).

    Its product with `sampling_spread` is the expected gap between stripes from sampling alone.
    """
    x = np.linspace(-9, 9, 3601)
    below = np.array([0.5 * math.erfc(-value / math.sqrt(2)) for value in x])
    return float(np.trapezoid(1 - below**count - (1 - below) ** count, x))
