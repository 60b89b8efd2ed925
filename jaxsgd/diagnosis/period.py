"""When each print of a log was made: batches per epoch, the print interval, and the place of every print in its epoch."""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from jaxsgd.diagnosis.estimate import best_period
from jaxsgd.diagnosis.log import Log, counts_within_epoch
from jaxsgd.diagnosis.model import period_confidence
from jaxsgd.error import InputError, shown
from jaxsgd.summary import short_repr

ESTIMATED = "estimated from the losses"


class Period(NamedTuple):
    """The period of a log; n prints.

    Attributes:
      batch_count: m, batches per epoch; NaN where the log does not tell.
      interval: w, batches from one print to the next (the median); NaN where the log does not tell.
      length: the epoch's length in the unit of `position`: m, or prints per epoch.
      position: [n], place in the epoch of the last batch that a print holds, from 0; in batches, or in prints where batches
        are not known.
      epoch: [n], the epoch of that batch, from 0.
      origin: where the period comes from, in words.
      confidence: 1 where the log or the user says it; otherwise the probability that the estimate is right.
    """

    batch_count: float
    interval: float
    length: float
    position: Float[np.ndarray, " n"]
    epoch: Int[np.ndarray, " n"]
    origin: str
    confidence: float = 1.0

    __repr__ = short_repr

    @property
    def is_estimated(self) -> bool:
        """Whether neither the log nor the user says what the period is."""
        return self.origin == ESTIMATED

    @property
    def per_epoch(self) -> float:
        """Prints per epoch, on average."""
        if len(self.position) < 2:
            return 1.0
        time = self.epoch + self.position / self.length
        return (len(time) - 1) / max(float(time[-1] - time[0]), 1e-9)

    @property
    def epochs(self) -> float:
        """Epochs that the log covers."""
        return len(self.position) / self.per_epoch

    @property
    def stripe_count(self) -> int:
        """Places of the epoch at which prints fall: m / gcd(m, w) for a trainer that prints every w batches throughout."""
        return len(np.unique(np.round(self.position, 3)))

    @property
    def slides(self) -> bool:
        """Whether prints fall at other places from epoch to epoch: a steady interval and the epoch do not fit each other."""
        return self.is_steady and self.stripe_count > max(1.0, self.per_epoch + 0.5)

    @property
    def is_steady(self) -> bool:
        """Whether the interval is the same throughout, but for a few prints; a progress bar prints by the clock."""
        gap = np.diff(self.epoch * self.length + self.position)
        return not len(gap) or float(np.mean(np.abs(gap - np.median(gap)) < 0.01)) > 0.8


def find_period(log: Log, batches_per_epoch: float | int | None = None) -> Period:
    """The period of a log: as the user says, as the log's epochs or counters say, or estimated from its losses alone.

    Args:
      log: of n prints.
      batches_per_epoch: m, where the user knows it.

    Raises:
      InputError: for an m that cannot be.
    """
    epoch, step = log.epoch, log.step
    if batches_per_epoch is not None:
        return _given(log, float(batches_per_epoch))
    if counts_within_epoch(epoch, step):
        return _from_counter(epoch, step, log.total, log.in_samples)
    has_epochs = bool(np.isfinite(epoch).all()) and len(np.unique(epoch)) > 1
    fractional = has_epochs and bool((epoch % 1 != 0).any())
    if has_epochs and np.isfinite(step).all() and np.ptp(step) > 0:
        return _from_fractions(epoch, step) if fractional else _from_steps(epoch, step)
    if fractional:
        return _from_fractions(epoch, None)
    if has_epochs:
        return _from_prints(epoch)
    return _estimated(log)


def _placed(batch: np.ndarray, length: float, interval: float, origin: str, confidence: float = 1.0) -> Period:
    """The period of prints whose last batches are counted from 0 through the run."""
    epoch = np.floor((batch + 1e-6) / length)
    return Period(length, interval, length, np.maximum(batch - epoch * length, 0), epoch.astype(int), origin, confidence)


def _zero_based(step: np.ndarray) -> tuple[np.ndarray, float]:
    """Steps as the number of the last batch of each print, from 0, and the interval.

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
        return _placed(np.round(batch), length, float(np.median(gaps)) if len(gaps) else 1.0, origin)
    if np.isfinite(log.step).all() and np.ptp(log.step) > 0:
        batch, interval = _zero_based(log.step)
        return _placed(batch, length, interval, origin)
    if np.isfinite(log.epoch).all() and (log.epoch % 1 != 0).any():
        batch = np.round(log.epoch * length)
        batch, interval = _zero_based(batch)
        return _placed(batch, length, interval, origin)
    if length > len(log.loss):
        raise InputError(
            f"--batches-per-epoch {length:g}: the log has {len(log.loss)} losses and no steps, so each counts as a batch; "
            "give the number of prints per epoch"
        )
    return _placed(np.arange(len(log.loss), dtype=np.float64), length, 1.0, f"{origin}; each print counts as one batch")


def _from_counter(epoch: np.ndarray, step: np.ndarray, total: np.ndarray, in_samples: bool) -> Period:
    """Batches counted within each epoch."""
    number = epoch - epoch[0]
    inner = np.diff(step)[np.diff(epoch) == 0]
    unit = float(np.gcd.reduce(np.unique(step).astype(np.int64))) or 1.0
    if np.isfinite(total).all() and np.ptp(total) == 0 and total[0] >= step.max():
        length = float(total[0])
    else:
        length = float(step.max()) + (unit if step.min() == 0 else 0)
    from_one = step.min() > 0 and (step.max() >= length or not len(inner) or step.min() == np.median(inner))
    position = step - 1 if from_one else step
    gaps = np.diff(number * length + position)
    interval = float(np.median(gaps)) if len(gaps) else 1.0
    epochs = np.round(number).astype(int)
    if in_samples:
        # Samples are no batches: the places are known, how many batches they are is not.
        scale = interval
        return Period(math.nan, math.nan, length / scale, position / scale, epochs, "the log's counter of samples")
    return Period(length, interval, length, position, epochs, "the log's counter")


def _from_steps(epoch: np.ndarray, step: np.ndarray) -> Period:
    """A count of batches through the run beside whole epochs: the m at which every print lies in the epoch it says."""
    number = epoch - epoch[0]
    zero_based, interval = _zero_based(step)
    for batch in (zero_based, 2 * step - 1 - zero_based):
        with np.errstate(divide="ignore", invalid="ignore"):
            low, high = float((batch / (number + 1)).max()), float(np.nanmin(batch / number))
        if low < high and batch[0] >= 0:
            candidates = np.arange(math.floor(low) + 1, math.floor(high) + 1)
            if len(candidates):
                whole = candidates[candidates % interval == 0]
                length = float(whole[len(whole) // 2] if len(whole) else candidates[len(candidates) // 2])
                return _placed(batch, length, interval, "the log's epochs", 1 / max(1, len(whole) or len(candidates)))
    begins = np.flatnonzero(np.diff(number) > 0) + 1
    first, last = begins[0], begins[-1]
    if first == last:
        length = float(step[first] - step[0])
        return _placed(step - step[0], max(length, interval), interval, "the log's one change of epoch", 0.5)
    length = round(float((step[last] - step[first]) / (number[last] - number[first])))
    return _placed(step - step[first] + length * number[first], max(length, interval), interval, "the log's epochs", 0.9)


def _from_fractions(epoch: np.ndarray, step: np.ndarray | None) -> Period:
    """Epochs as fractions, as Hugging Face prints them: done epochs at each print, rounded perhaps."""
    if step is None:
        gaps = np.diff(epoch)
        length = 1 / float((epoch[-1] - epoch[0]) / len(gaps))
        whole = round(length)
        length = float(whole) if abs(length - whole) < 0.01 * whole else length
        prints = np.round((epoch - epoch[0]) * length) + max(0, round(epoch[0] * length) - 1)
        return _placed(prints, length, 1.0, "the log's epochs, in prints")._replace(batch_count=math.nan, interval=math.nan)
    length = float((step[-1] - step[0]) / (epoch[-1] - epoch[0]))
    whole = round(length)
    length = float(whole) if abs(length - whole) < max(0.02 * whole, 0.5) else length
    gaps = np.diff(step)
    return _placed(step - 1, length, float(np.median(gaps)), "the log's epochs")


def _from_prints(epoch: np.ndarray) -> Period:
    """Whole epochs and nothing else: prints are counted."""
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
    position = np.mod(prints - counts[0], length)
    return Period(math.nan, math.nan, length, position, number, "the log's epochs, in prints")


def _estimated(log: Log) -> Period:
    """From the losses alone."""
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
