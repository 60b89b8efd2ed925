"""The likelihood that each printed loss is the mean over its epoch so far, by how prints of one epoch vary together.

A mean over the first n of the m batches of an epoch has the variance 1 / n of a batch, and two such means of one epoch, over a
and b batches, have the covariance 1 / max(a, b): the later one contains the earlier. Means of different epochs have none.
Windows of equal size and single batches have equal variances and no covariance. An epoch that visits each sample once takes up
to 1 / m off all of these within it: what its first batches have too much, its last ones have too little.

So both are a normal distribution of all prints, and the ratio of their likelihoods (Neyman and Pearson 1933) uses all of a log:
its logarithm grows with the number of epochs.
"""

import numpy as np
from jaxtyping import Float, Int
from scipy.linalg import get_lapack_funcs

from jaxsgd.diagnosis.fold import local_scale
from jaxsgd.diagnosis.period import Period
from jaxsgd.diagnosis.series import cut_score

MOST_PRINTS, MOST_EPOCHS = 12, 100
"""Largest numbers of prints an epoch and of epochs that are compared: others are left out, which changes no covariance."""

FEWEST_EPOCHS, FEWEST_CHANGES, FEWEST_AN_EPOCH = 4, 8, 1.5
"""Smallest numbers of epochs, of changes beyond the mean change of each place, and of prints an epoch that are compared."""

SHARES_ONCE = (0.0, 0.5, 0.9)
"""Parts of the variance of a batch that come from its samples, of which an epoch has each once, and do not change meanwhile."""

FALLS = (0.5, 1.0)
"""Powers of the batches in the epoch so far with which the variance of independent prints may fall."""

DRIFTS = (0.0, 0.1, 0.5, 2.0)
"""Variances that a slow drift, as of a loss that falls, may add from print to print; in variances of a print."""

KINSHIPS = (0.3, 0.6, 0.8)
"""Correlations of successive prints that an exponential mean, or noise that lasts, may have; they die out as powers."""

NO_KINSHIP = 1e-3
"""Correlation below which it is left out."""

ROUNDING = 1e-18
"""Share of the squares of the changes that rounding leaves of changes that return exactly."""

_factored, _solved = get_lapack_funcs(("pbtrf", "tbtrs"), dtype=np.float64)
# `scipy.linalg.cholesky_banded` and `solve_banded` take longer to check what they are given than LAPACK to work it out.

FARTHEST = 3.5
"""Distance from the mean change of a place, in root mean squares of that place, at which a change is cut."""


def epoch_mean_likelihood(loss: Float[np.ndarray, " n"], period: Period) -> float:
    """Return the log likelihood of means over the epoch so far over that of prints that do not depend on the epoch.

    The changes from print to print are compared, less their mean at each place of the epoch, so that neither a trend nor levels
    that repeat count. Beside either case the loss may drift. The other case is the likeliest of: independent prints of equal
    variance; independent prints that scatter less and less within an epoch, as means do; and prints that resemble their
    predecessors, also across epochs.

    Args:
      loss: of each print.
      period: when each was printed.

    Returns:
      The difference in nats, at most `LARGEST`; 0 where there are too few epochs or prints.
    """
    kept = _kept(period)
    number, epoch = period.position[kept] + 1, period.epoch[kept]
    epochs, change = len(np.unique(epoch)), np.diff(loss[kept])
    if epochs < FEWEST_EPOCHS or period.per_epoch < FEWEST_AN_EPOCH or not change.any():
        return 0.0
    change = change / local_scale(change, max(2, round(len(kept) / epochs)))
    place = np.unique(np.round(number[1:], 3), return_inverse=True)[1]
    count = np.bincount(place)
    if len(change) - len(count) < max(FEWEST_CHANGES, len(change) / 2):
        return 0.0
    before = float((change**2).sum())
    change = change - (np.bincount(place, change) / count)[place]
    # What is left of levels that return exactly is rounding.
    if float((change**2).sum()) <= ROUNDING * before:
        return 0.0
    size = np.sqrt(np.bincount(place, change**2) / count)[place]
    change = np.clip(change, -FARTHEST * size, FARTHEST * size)
    freedom = len(change) - len(count)
    gap = np.diff(epoch * period.length + period.position[kept])
    drift = gap / gap.mean()
    once = [share * _alike(epoch) for share in SHARES_ONCE]
    means = [_of_changes((_mean_bands(number, epoch) - part / period.length) * number.mean()) for part in once]
    own = max(_log_likelihood(change, bands, drift, freedom) for bands in means)
    even = [_of_changes(np.eye(len(part), 1) - part / period.per_epoch) for part in once]
    even += [_of_changes((number.mean() / number[None]) ** power) for power in FALLS]
    kin = [_of_changes(_kin_bands(kinship, len(number))) for kinship in KINSHIPS]
    other = max(_log_likelihood(change, bands, drift, freedom) for bands in (*even, *kin))
    return cut_score(_fewer(change, place) * (own - other))


def _fewer(change: np.ndarray, place: np.ndarray) -> float:
    """Return the share of the changes that count as independent: those of one place resemble each other where levels drift."""
    order = np.argsort(place, kind="stable")
    again = np.diff(place[order]) == 0
    ordered = change[order]
    kinship = float((ordered[1:] * ordered[:-1])[again].sum()) / float((change**2).sum())
    return (1 - kinship) / (1 + kinship) if kinship > 0 else 1.0


def _kept(period: Period) -> Int[np.ndarray, " k"]:
    """Return the numbers of the prints that are compared: not those of the first epoch, which falls steeply."""
    since = period.epoch - period.epoch[0]
    late = np.flatnonzero((since > 0) & (since <= MOST_EPOCHS))
    step = int(np.ceil(period.per_epoch / MOST_PRINTS))
    if step <= 1:
        return late
    begin, count = _epochs(period.epoch[late])
    inner = np.arange(len(late)) - np.repeat(begin, count)
    return late[inner % step == step - 1]


def _epochs(epoch: Int[np.ndarray, " k"]) -> tuple[Int[np.ndarray, " e"], Int[np.ndarray, " e"]]:
    """Return (number of the first print, number of prints) of each epoch."""
    begin = np.flatnonzero(np.diff(epoch, prepend=-1))
    return begin, np.diff(begin, append=len(epoch))


def _kin_bands(kinship: float, count: int) -> Float[np.ndarray, "b n"]:
    """Return the covariances of `count` prints of which successive ones have a correlation, by lag."""
    reach = int(np.ceil(np.log(NO_KINSHIP) / np.log(kinship)))
    return np.tile(kinship ** np.arange(reach, dtype=np.float64)[:, None], count)


def _alike(epoch: Int[np.ndarray, " n"]) -> Float[np.ndarray, "b n"]:
    """Return 1 for each print and the one `lag` later if they are of one epoch, otherwise 0; by lag."""
    bands = np.zeros((int(_epochs(epoch)[1].max()), len(epoch)))
    for lag, band in enumerate(bands):
        band[: len(epoch) - lag] = epoch[lag:] == epoch[: len(epoch) - lag]
    return bands


def _mean_bands(number: Float[np.ndarray, " n"], epoch: Int[np.ndarray, " n"]) -> Float[np.ndarray, "b n"]:
    """Return the covariances of means over the first `number` batches of an epoch, by lag; in variances of a batch."""
    bands = _alike(epoch)
    for lag, band in enumerate(bands):
        band[: len(epoch) - lag] /= np.maximum(number[lag:], number[: len(epoch) - lag])
    return bands


def _of_changes(bands: Float[np.ndarray, "b n"]) -> Float[np.ndarray, "c n1"]:
    """Return the covariances of the changes from value to value, by lag, from those of the n values."""
    reach, count = bands.shape

    def covariance(lag: int) -> np.ndarray:
        return bands[abs(lag)] if abs(lag) < reach else np.zeros(count)

    rows = np.zeros((min(reach + 1, count - 1), count - 1))
    for lag in range(len(rows)):
        # Of x[t + 1] - x[t] with x[t + lag + 1] - x[t + lag].
        size = count - 1 - lag
        same = covariance(lag)
        across = covariance(lag - 1)[1:] if lag else covariance(1)
        rows[lag, :size] = same[1:][:size] + same[:size] - across[:size] - covariance(lag + 1)[:size]
    return rows


def _log_likelihood(change: np.ndarray, bands: np.ndarray, drift: np.ndarray, freedom: int) -> float:
    """Return the largest log likelihood over all drifts, without a constant; the common scale is the likeliest."""
    best = -np.inf
    for size in DRIFTS:
        bent = bands.copy()
        bent[0] += size * drift + 1e-9
        root, failed = _factored(bent, lower=1)
        if failed:
            continue
        white, _ = _solved(root, change, uplo="L")
        best = max(best, -float(np.log(root[0]).sum()) - freedom / 2 * float(np.log((white**2).mean())))
    return best
