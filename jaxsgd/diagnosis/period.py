"""The period of a log: batches per epoch, the print interval, and the place of every print in its epoch."""

import functools
import itertools
import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from jaxsgd.diagnosis.log import Log, counts_within_epoch
from jaxsgd.diagnosis.model import chance, stored_model
from jaxsgd.diagnosis.series import normal_score
from jaxsgd.error import InputError, counted, shown
from jaxsgd.summary import short_repr

MOST_BATCHES = 1e7
"""Largest number of batches in an epoch that is looked for."""

ESTIMATED = "estimated from the losses"


FEWEST_WHOLE = 2
"""Number of epochs, without the first and the last, from which their equal numbers of prints are taken for that of all."""

NEAR_RETURN = 0.06
"""Distance, as a share of the part of the epoch in which prints fall, at which prints have returned to nearly the same
places."""


class _Fields(NamedTuple):
    """The stored part of a `Period`."""

    batch_count: float
    interval: float
    length: float
    position: Float[np.ndarray, " n"]
    epoch: Int[np.ndarray, " n"]
    origin: str
    confidence: float = 1.0
    others: "tuple[Period, ...]" = ()
    possible: tuple[float, ...] = ()


class Period(_Fields):
    """The period of a log; n prints. It is not changed, so what follows from it is worked out once.

    Attributes:
      batch_count: m, batches per epoch; NaN where it is not known.
      interval: w, batches from one print to the next (the median); NaN where it is not known.
      length: the epoch's length in the unit of `position`: m, or prints per epoch.
      position: [n], place in the epoch of the last batch of a print, from 0; in batches, or in prints where batches are not
        known.
      epoch: [n], the epoch of that batch, from 0.
      origin: the source of the period, in words.
      confidence: 1 where the log or the user gives it; otherwise the probability that the estimate is right.
      others: the periods with the other batch counts that are as likely; at most `MOST_OTHERS`.
      possible: smallest and largest m, where the last print of an epoch comes before its end and only tells that far; empty
        where the log says m. The places of the prints are the same with all of them.
    """

    __repr__ = short_repr

    @property
    def is_estimated(self) -> bool:
        """True if neither the log nor the user gives the period."""
        return self.origin == ESTIMATED

    @functools.cached_property
    def per_epoch(self) -> float:
        """Prints per epoch, on average."""
        if len(self.position) < 2:
            return 1.0
        time = self.epoch + self.position / self.length
        return (len(time) - 1) / max(float(time[-1] - time[0]), 1e-9)

    @functools.cached_property
    def whole_count(self) -> float:
        """Prints of a whole epoch, where all have as many at the same places; otherwise the average, which ends count in."""
        epochs, counts = np.unique(self.epoch, return_counts=True)
        whole = counts[1:-1]
        if len(whole) < FEWEST_WHOLE or np.ptp(epochs) != len(epochs) - 1:
            return self.per_epoch
        return float(whole[0]) if np.ptp(whole) == 0 and whole[0] == self.stripe_count else self.per_epoch

    @functools.cached_property
    def cycle(self) -> float:
        """Prints until they fall near the same places of the epoch again: an epoch's, or more where prints are as rare."""
        if self.per_epoch >= 2:
            return self.per_epoch
        count, span = len(self.position), float(np.ptp(self.position))
        for later in range(2, count // 3):
            if float(np.median(np.abs(self.position[later:] - self.position[:-later]))) <= NEAR_RETURN * span:
                return float(later)
        return float(max(count // 3, 2))

    @property
    def has_last(self) -> bool:
        """True if the last batch of an epoch is in some print: the last print of an epoch is at its end, or prints slide."""
        return self.slides or float(self.position.max(initial=0)) >= self.length - 1.5

    @property
    def epochs(self) -> float:
        """Epochs that the log covers."""
        return len(self.position) / self.per_epoch

    @functools.cached_property
    def stripe_count(self) -> int:
        """Places of the epoch at which prints fall: m / gcd(m, w) for a trainer that prints every w batches throughout."""
        return len(np.unique(np.round(self.position, 3)))

    @functools.cached_property
    def window(self) -> Float[np.ndarray, " n"]:
        """Batches since the print before, or since the epoch began where every epoch has the same places; [n], as `position`.

        A trainer that prints batches 0, w, 2 w, ... of each epoch has a window of one batch first.
        """
        gap = np.diff(self.epoch * self.length + self.position, prepend=-math.inf)
        usual = self.interval if math.isfinite(self.interval) else 1.0
        return np.where(np.isfinite(gap), gap, usual) if self.slides else np.minimum(gap, self.position + 1)

    @functools.cached_property
    def slides(self) -> bool:
        """True if prints fall on other places from epoch to epoch: a steady interval does not divide the epoch."""
        # With prints left out, as those that are NaN, an epoch has fewer of them than places.
        whole = self.length / self.interval if math.isfinite(self.interval) else 0.0
        return self.is_steady and self.stripe_count > max(1.0, self.per_epoch + 0.5, whole + 0.5)

    @functools.cached_property
    def is_steady(self) -> bool:
        """True if the interval is the same throughout, but for a few prints; a progress bar prints by the clock."""
        gap = np.diff(self.epoch * self.length + self.position)
        return not len(gap) or float(np.mean(np.abs(gap - np.median(gap)) < 0.01)) > 0.8


MOST_OTHERS = 4
"""Largest number of other batch counts that a log is judged with, where its epochs and steps leave several."""


def find_period(log: Log, batches_per_epoch: float | int | None = None) -> Period:
    """Return the period of a log: as the user gives it, from the log's epochs or counters, or estimated from its losses alone.

    Args:
      log: of n prints.
      batches_per_epoch: m, where the user knows it.

    Raises:
      InputError: for an impossible m.
    """
    if batches_per_epoch is None:
        return _stated(log) or _estimated(log)
    period, stated = _given(log, float(batches_per_epoch)), _stated(log)
    # Whole epochs of few steps leave more than one number.
    if stated and all(abs(own.batch_count - period.batch_count) >= 1 for own in (stated, *stated.others)):
        return period._replace(origin=f"{period.origin}, but {stated.batch_count:g} by {stated.origin}")
    return period


def _stated(log: Log) -> Period | None:
    """Return the period that the epochs or counters of a log say; None without any."""
    epoch, step = log.epoch, log.step
    if counts_within_epoch(epoch, step):
        return _from_counter(epoch, step, log.total, log.in_samples)
    are_known = len(epoch) > 1 and bool(np.isfinite(epoch).all())
    if are_known and np.ptp(epoch) == 0:
        return _of_one_epoch(log)
    # Epochs that end where they began or before, as after a damaged line, say nothing.
    has_epochs = are_known and bool(epoch[-1] > epoch[0])
    fractional = has_epochs and bool((epoch % 1 != 0).any())
    if has_epochs and np.isfinite(step).all() and np.ptp(step) > 0:
        return _from_fractions(epoch, step) if fractional else _from_steps(epoch, step)
    if fractional:
        return _from_fractions(epoch, None)
    if has_epochs:
        return _from_prints(epoch)
    return None


def placed(batch: np.ndarray, length: float, interval: float, origin: str, confidence: float = 1.0) -> Period:
    """Return the period of prints whose last batches are counted from 0 through the run."""
    epoch = np.floor((batch + 1e-6) / length)
    return Period(length, interval, length, np.maximum(batch - epoch * length, 0), epoch.astype(int), origin, confidence)


def _zero_based(step: np.ndarray) -> tuple[np.ndarray, float]:
    """Return steps as the number of the last batch of each print, from 0, and the interval.

    A trainer that prints every w batches and counts from 1 prints first at w; one that counts from 0 at w - 1, or at 0.
    """
    gaps = np.diff(step)
    interval = float(np.median(gaps[gaps > 0])) if (gaps > 0).any() else 1.0
    return (step - 1 if step[0] == interval else step), interval


def _given(log: Log, length: float) -> Period:
    if not (math.isfinite(length) and length >= 1):
        raise InputError(f"--batches-per-epoch must be a number of at least 1, got {shown(length)}")
    origin = "given"
    if counts_within_epoch(log.epoch, log.step):
        inner = _from_counter(log.epoch, log.step, log.total, log.in_samples)
        batch = inner.epoch * length + inner.position * length / inner.length
        gaps = np.diff(batch)
        return placed(np.round(batch), length, float(np.median(gaps)) if len(gaps) else 1.0, origin)
    if np.isfinite(log.step).all() and np.ptp(log.step) > 0:
        batch, interval = _zero_based(log.step)
        return placed(batch, length, interval, origin)
    if np.isfinite(log.epoch).all() and (log.epoch % 1 != 0).any():
        batch = np.round(log.epoch * length)
        batch, interval = _zero_based(batch)
        return placed(batch, length, interval, origin)
    if length > len(log.loss):
        raise InputError(
            f"--batches-per-epoch {length:g}: the log has {len(log.loss)} losses and no steps, so each loss counts as a batch; "
            "give the number of losses per epoch"
        )
    return placed(np.arange(len(log.loss), dtype=np.float64), length, 1.0, f"{origin}; each loss counts as one batch")


def _of_one_epoch(log: Log) -> Period:
    """Return the period of a log in which all prints name the same epoch."""
    count = len(log.loss)
    step = log.step if np.isfinite(log.step).all() and (np.diff(log.step) > 0).all() else np.arange(1.0, count + 1)
    counts_batches = step is log.step and not log.in_samples
    batch, interval = _zero_based(step)
    total = float(log.total[0]) if np.isfinite(log.total).all() and np.ptp(log.total) == 0 else math.nan
    epoch = np.zeros(count, int)
    if not (counts_batches and total > batch[-1]):
        # A count that goes on from earlier epochs, or counts samples, says nothing of the place in this one.
        return Period(math.nan, math.nan, float(count), np.arange(float(count)), epoch, "the log's epochs")
    length = size = total
    return Period(size, interval if counts_batches else math.nan, length, batch, epoch, "the log's epochs")


def _from_counter(epoch: np.ndarray, step: np.ndarray, total: np.ndarray, in_samples: bool) -> Period:
    """Return the period of a log that counts batches within each epoch."""
    number = epoch - epoch[0]
    inner = np.diff(step)[np.diff(epoch) == 0]
    whole = np.unique(step).astype(np.int64)
    unit = float(np.gcd.reduce(whole)) or 1.0
    gap = float(np.gcd.reduce(inner.astype(np.int64))) if len(inner) else 1.0
    # Every w-th batch is w - 1, 2 w - 1, ... counted from 0; or 1, w + 1, ... counted from 1 with the first.
    from_zero = step.min() == 0 or (gap > 1 and bool(((step + 1) % gap == 0).all()))
    from_first = gap > 2 and bool((step % gap == 1).all())
    possible = ()
    if np.isfinite(total).all() and np.ptp(total) > 0 and (total >= np.maximum(step, 1)).all():
        # An epoch that differs from another by a batch: the place is the share of it that is done.
        length = float(np.median(total))
        step = step * length / total
    elif np.isfinite(total).all() and np.ptp(total) == 0 and total[0] >= step.max():
        length = float(total[0])
    else:
        # Prints that begin with the first batch leave up to an interval behind the last print.
        done = float(step.max()) + (1.0 if from_zero else 0.0)
        length = done + (gap if len(inner) else unit) - 1 if step.min() == 0 or from_first else done
        if len(inner) and np.ptp(inner) == 0 and gap > 1:
            possible = (done, done + gap - 1)
    from_one = step.min() > 0 and (from_first or step.max() >= length or not len(inner) or step.min() == np.median(inner))
    position = step - 1 if from_one else step
    gaps = np.diff(number * length + position)
    interval = float(np.median(gaps)) if len(gaps) else 1.0
    epochs = np.round(number).astype(int)
    if in_samples:
        # Samples are not batches: the places are known, the number of batches is not.
        scale = interval
        return Period(math.nan, math.nan, length / scale, position / scale, epochs, "the log's counter of samples")
    return Period(length, interval, length, position, epochs, "the log's counter", possible=possible)


def _from_steps(epoch: np.ndarray, step: np.ndarray) -> Period:
    """Return the period of a count of batches through the run beside whole epochs: the m that puts every print in its epoch."""
    number = epoch - epoch[0]
    zero_based, interval = _zero_based(step)
    for batch in (zero_based, 2 * step - 1 - zero_based):
        with np.errstate(divide="ignore", invalid="ignore"):
            low, high = float((batch / (number + 1)).max()), float(np.nanmin(batch / number))
        if low < high < MOST_BATCHES and batch[0] >= 0:
            candidates = np.arange(math.floor(low) + 1, math.floor(high) + 1)
            if len(candidates):
                whole = candidates[candidates % interval == 0]
                likely = whole if len(whole) else candidates
                length = float(likely[len(likely) // 2])
                tried = np.unique(
                    likely[np.linspace(0, len(likely) - 1, min(len(likely), MOST_OTHERS + 1)).round().astype(int)]
                )
                others = tuple(
                    placed(batch, float(other), interval, "the log's epochs") for other in tried if float(other) != length
                )
                return placed(batch, length, interval, "the log's epochs")._replace(others=others[:MOST_OTHERS])
    begins = np.flatnonzero(np.diff(number) > 0) + 1
    first, last = begins[0], begins[-1]
    if number[last] <= number[first]:  # a single change, or epochs that go back, as after a damaged line
        length = float(step[first] - step[0])
        return placed(step - step[0], max(length, interval), interval, "the log's one change of epoch", 0.5)
    length = round(float((step[last] - step[first]) / (number[last] - number[first])))
    return placed(step - step[first] + length * number[first], max(length, interval), interval, "the log's epochs", 0.9)


def _from_fractions(epoch: np.ndarray, step: np.ndarray | None) -> Period:
    """Return the period of epochs as fractions, as Hugging Face prints them: epochs done at each print, perhaps rounded."""
    if step is None:
        gaps = np.diff(epoch)
        length = 1 / float((epoch[-1] - epoch[0]) / len(gaps))
        whole = round(length)
        length = float(whole) if abs(length - whole) < 0.01 * whole else length
        prints = np.round((epoch - epoch[0]) * length) + max(0, round(epoch[0] * length) - 1)
        return placed(prints, length, 1.0, "the log's epochs, in prints")._replace(batch_count=math.nan, interval=math.nan)
    length = float((step[-1] - step[0]) / (epoch[-1] - epoch[0]))
    whole = round(length)
    length = float(whole) if abs(length - whole) < max(0.02 * whole, 0.5) else length
    gaps = np.diff(step)
    return placed(step - 1, length, float(np.median(gaps)), "the log's epochs")


def _from_prints(epoch: np.ndarray) -> Period:
    """Return the period of whole epochs and nothing else, in prints."""
    values, counts = np.unique(epoch, return_counts=True)
    number = np.searchsorted(values, epoch)
    inner = counts[1:-1] if len(counts) > 2 else counts
    prints = np.arange(len(epoch), dtype=np.float64)
    if np.ptp(inner) == 0:
        length = float(inner[0])
        starts = np.searchsorted(epoch, values)
        position = prints - starts[number] + np.where(number == 0, length - counts[0], 0)
        return Period(math.nan, math.nan, length, np.maximum(position, 0), number, "the log's epochs, in prints")
    length = float(inner.mean())
    # Epochs of unequal numbers of prints: each is stretched to the same length, so that time never goes back.
    position = (prints - np.searchsorted(epoch, values)[number]) * length / counts[number]
    return Period(math.nan, math.nan, length, position, number, "the log's epochs, in prints")


def _estimated(log: Log) -> Period:
    """Return the period that the losses alone suggest."""
    length, score = best_period(log.loss)
    confidence = period_confidence(score)
    prints = np.arange(len(log.loss), dtype=np.float64)
    epoch = np.floor(prints / length).astype(int)
    period = Period(math.nan, math.nan, length, prints - epoch * length, epoch, ESTIMATED, confidence)
    if np.isfinite(log.step).all() and len(log.step) > 1 and np.ptp(np.diff(log.step)) == 0 and log.step[1] > log.step[0]:
        interval = float(log.step[1] - log.step[0])
        return period._replace(
            batch_count=length * interval, interval=interval, length=length * interval, position=period.position * interval
        )
    return period


MOST_CANDIDATES = 24
"""Largest number of lags, the peaks of the autocorrelation, that are compared closely."""


NOTHING_MORE = 2.0
"""Score of what a period explains beyond a divisor of it up to which the divisor is preferred: some are tried."""

NO_SCORE = -10.0
"""The score where there is no candidate."""


def best_period(loss: Float[np.ndarray, " n"]) -> tuple[float, float]:
    """Return the most likely period, in prints, and the score of its fold less that of the best of as many folds of noise.

    Candidates are the peaks of the autocorrelation of the detrended loss; of these, the one whose fold (the split of the prints
    by their place in the period) explains most beyond chance, as a normal score; or the smallest divisor of it beyond which it
    explains nothing more than chance would.

    Args:
      loss: [n], equally far apart.
    """
    count = len(loss)
    if count < 8:
        return float(max(count, 1)), NO_SCORE
    left = _even_loss(loss)
    if not np.any(left):
        return float(count), NO_SCORE
    size = 1 << (2 * count - 1).bit_length()
    power = np.abs(np.fft.rfft(left, size)) ** 2
    correlation = np.fft.irfft(power, size)[:count]
    lags = np.arange(2, max(3, count // 4 + 1))
    height = correlation[lags] / (correlation[0] * (1 - lags / count))
    before, after = correlation[lags - 1], correlation[np.minimum(lags + 1, count - 1)]
    peak = (correlation[lags] >= before) & (correlation[lags] >= after)
    candidates = lags[peak][np.argsort(-height[peak], kind="stable")[:MOST_CANDIDATES]]
    if not len(candidates):
        return float(count), NO_SCORE
    scores = [_fold_score(left, int(lag)) for lag in candidates]
    score = max(scores)
    length = int(candidates[scores.index(score)])
    # A pattern that repeats after a period also repeats after its multiples, of which one may score more by chance.
    parts = (part for part in range(2, length) if length % part == 0)
    length = next((part for part in parts if _beyond_score(left, length, part) < NOTHING_MORE), length)
    return float(length), score - math.sqrt(2 * math.log(len(lags) + 1))


def _even_loss(loss: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Return the loss less a smooth trend, brought to an even scale: lines between the means of a few stretches."""
    count = len(loss)
    knots = max(3, min(12, count // 16))
    edges = np.linspace(0, count, knots + 1).astype(int)
    middle = np.array([(start + stop - 1) / 2 for start, stop in itertools.pairwise(edges)])
    level = np.array([loss[start:stop].mean() for start, stop in itertools.pairwise(edges)])
    place = np.arange(count)
    left = loss - np.interp(place, middle, level)
    slope_first, slope_last = (
        (level[1] - level[0]) / (middle[1] - middle[0]),
        (level[-1] - level[-2]) / (middle[-1] - middle[-2]),
    )
    early, late = place < middle[0], place > middle[-1]
    left[early] -= slope_first * (place[early] - middle[0])
    left[late] -= slope_last * (place[late] - middle[-1])
    spread = np.array([left[start:stop].std() for start, stop in itertools.pairwise(edges)])
    floor = 1e-12 * max(1e-300, float(np.abs(loss).max()))
    scale = np.interp(place, middle, spread)
    return np.where(scale > floor, left / np.maximum(scale, floor), 0.0)


def _fold_score(left: Float[np.ndarray, " n"], lag: int) -> float:
    """Return the normal score of the differences between the levels by place in a period of `lag`."""
    cycles = len(left) // lag
    if cycles < 2:
        return 0.0
    table = left[: cycles * lag].reshape(cycles, lag)
    return _level_score(table, np.full(lag, table.mean()), 1)


def _beyond_score(left: Float[np.ndarray, " n"], lag: int, part: int) -> float:
    """Return the normal score of the levels by place in a period of `lag` beyond those in a divisor of it."""
    cycles = len(left) // lag
    table = left[: cycles * lag].reshape(cycles, lag)
    return _level_score(table, np.tile(table.reshape(-1, part).mean(axis=0), lag // part), part)


def _level_score(table: Float[np.ndarray, "c l"], known: Float[np.ndarray, " l"], levels: int) -> float:
    """Return the normal score of the columns' means around known ones, of which `levels` were fitted."""
    cycles, lag = table.shape
    means = table.mean(axis=0)
    freedom = lag * (cycles - 1)
    between = cycles * float(((means - known) ** 2).sum())
    within = float(((table - means) ** 2).sum())
    # What is left of a pattern that returns exactly is rounding.
    if within <= 1e-20 * float((table**2).sum()):
        return 40.0 if between > within else 0.0
    return min(normal_score((between / (lag - levels)) / (within / freedom), lag - levels, freedom), 40.0)


def period_confidence(score: float) -> float:
    """Return the probability that a period estimated with such a score is right."""
    line = stored_model()["period"]
    return chance(line["intercept"] + line["slope"] * score)


FEWEST_STAIRS, FEWEST_ON_STAIR = 2, 4
"""Smallest numbers of epochs and of prints an epoch with which a staircase can be seen."""

FEWEST_EPOCHS, FEWEST_PRINTS = 4, 12
"""Smallest log that is judged: places must return a few times to be distinguished from chance."""


def missing_length(period: Period) -> str:
    """Return what a log lacks to be judged, in words; empty where it lacks nothing."""
    prints = len(period.position)
    if period.is_estimated:
        if prints >= 2 * FEWEST_PRINTS:
            return _two_series(period)
        return (
            f"The log is too short: it has {counted(prints, 'loss')} and does not say where epochs begin. "
            f"Give --batches-per-epoch, or a log of at least {2 * FEWEST_PRINTS} losses."
        )
    if period.epoch.max(initial=0) == period.epoch.min(initial=0):
        part = f"{counted(prints, 'loss')} of one epoch" + (
            f", {100 * prints * period.interval / period.batch_count:.0f} % of its {period.batch_count:,.0f} batches"
            if math.isfinite(period.batch_count)
            else ""
        )
        return (
            f"One epoch only: the log has {part}. A pattern with the period of an epoch cannot be seen before it returns. "
            "Give a log of several epochs, or --batches-per-epoch if the log's epochs are wrong."
        )
    if period.per_epoch <= 1.01 and not period.slides:
        return (
            "One print an epoch: the log has one loss an epoch, which does not show what happens within an epoch. "
            "Print the loss at least twice an epoch."
        )
    # A cycle that is longer than an epoch must return, too.
    epochs = float(FEWEST_EPOCHS)
    if period.slides and period.per_epoch < 2:
        epochs = max(epochs, 3 * min(period.stripe_count, period.cycle) / period.per_epoch)
    needed = max(FEWEST_PRINTS, math.ceil(epochs * period.per_epoch - 1e-9))
    # One print more or less is a matter of rounding.
    if prints >= max(needed - 1, FEWEST_PRINTS):
        return ""
    more = needed - prints
    epochs_more = f"{more / period.per_epoch:.3g}"
    unit = "epoch" if epochs_more == "1" else "epochs"
    return (
        f"The log is too short: it has {prints} losses over {period.epochs:.3g} epochs. At least {needed} losses over "
        f"{needed / period.per_epoch:.3g} epochs are needed: {more} more ({epochs_more} more {unit})."
    )


SURE = 0.5
"""Probability of an estimated period of two values from which they may be two series instead."""


def _two_series(period: Period) -> str:
    """Return that losses without steps that alternate between two levels may be two series; empty for others."""
    if period.length != 2 or math.isfinite(period.interval) or period.confidence < SURE:
        return ""
    return (
        "Two series in turn, or two values an epoch: the losses alternate between two levels, as training and validation "
        "losses do that are printed in turn, and the log has no steps or epochs. "
        "Give --batches-per-epoch 2 if these are two values of an epoch, or keep the lines of one series."
    )


def shows_stairs(period: Period) -> bool:
    """Return True if a log, too short for other causes, may show a staircase: it has two epochs of several prints."""
    return not period.is_estimated and period.epochs >= FEWEST_STAIRS - 0.3 and period.per_epoch >= FEWEST_ON_STAIR - 0.5
