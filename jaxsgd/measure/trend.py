"""The trend of a loss that has a pattern of some period: lines through its means over whole periods.

A mean over a whole period contains nothing of the pattern, whatever the phase at which it begins. `stripes` and
`jaxsgd.diagnosis` take the same trend away. They differ in the number of means that it goes through: `stripes` takes those of
successive cycles, which are independent in white noise, so that its index has a closed form; the diagnosis takes the means
around all values, which follow a curved loss more closely.
"""

import functools
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

AnyArray = Any
"""An array of NumPy, or of JAX."""


def pairwise_sum(values: AnyArray) -> AnyArray:
    """Return the sum over the first axis, of one value at least, by adding halves; of an array of JAX, by XLA's own sum.

    The sequence of additions depends on n alone. That of `np.sum` depends on the other axes too, so that a run would have other
    bits among other runs; and it is slow for many sums of few values.

    Args:
      values: [n, ...].
    """
    if not isinstance(values, np.ndarray):
        return values.sum(axis=0)
    while len(values) > 1:
        half = len(values) // 2
        folded = values[:half] + values[half : 2 * half]
        if len(values) % 2:
            folded[0] += values[-1]
        values = folded
    return values[0]


def cycle_trend(values: Float[np.ndarray, "n *runs"], width: int, step: int) -> Float[np.ndarray, "n *runs"]:
    """Return the trend at each value: lines from mean to mean over `width` values, continued beyond the first and the last.

    Args:
      values: [n, ...], with n of at least `width`.
      width: values in a period.
      step: values from the beginning of a mean to that of the next. With 1, the trend is the centred moving mean, apart from
        half a period at either end.

    Returns:
      [n, ...]; a straight line is its own trend, and a pattern that repeats every `width` values has a flat one.
    """
    return trend_through(period_means(values, width, step), len(values), width, step)


def trend_through(means: AnyArray, count: int, width: int, step: int) -> AnyArray:
    """Return the `cycle_trend` of n values, given their `period_means`, of NumPy or of JAX; n is `count`."""
    before, after, share = trend_weights(count, width, step)
    share = share.reshape(count, *[1] * (means.ndim - 1))
    return (1 - share) * means[before] + share * means[after]


class TrendWeights(NamedTuple):
    """The two means between which the trend at each of n values lies.

    Attributes:
      before, after: [n], their numbers.
      share: [n], weight of the mean `after`; the other has 1 - share.
    """

    before: Int[np.ndarray, " n"]
    after: Int[np.ndarray, " n"]
    share: Float[np.ndarray, " n"]


@functools.lru_cache(4)
def trend_weights(count: int, width: int, step: int) -> TrendWeights:
    """Return the means, and their weights, that `cycle_trend` takes at each of `count` values."""
    last = (count - width) // step
    middle = (np.arange(count) - (width - 1) / 2) / step
    before = np.clip(np.floor(middle).astype(int), 0, max(last - 1, 0))
    return TrendWeights(before, np.minimum(before + 1, last), middle - before)


def period_means(values: AnyArray, width: int, step: int) -> AnyArray:
    """Return the mean of every `width` consecutive values, from every `step`-th on: [n, ...] -> [(n - width) // step + 1, ...].

    The values may be of JAX where `step` is `width`.
    """
    if step == width:
        count = len(values) // width
        table = values[: count * width].reshape(count, width, *values.shape[1:])
        return pairwise_sum(table.swapaxes(0, 1)) / width
    middle = values.mean(axis=0, keepdims=True)
    total = np.zeros((len(values) + 1, *values.shape[1:]), middle.dtype)
    np.cumsum(values - middle, axis=0, out=total[1:])
    return ((total[width:] - total[:-width]) / width + middle)[::step]


def moving_mean(values: Float[np.ndarray, "n *runs"], width: int) -> Float[np.ndarray, "k *runs"]:
    """Return the centred mean over a whole period, [n - 2 (width // 2), ...]: the ends of an even width count half.

    It is the trend through all means without its ends.
    """
    means = period_means(values, width, 1)
    return means if width % 2 else 0.5 * means[:-1] + 0.5 * means[1:]
