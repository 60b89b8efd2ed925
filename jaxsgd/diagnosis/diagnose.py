"""The diagnosis of a log: what causes its pattern, with what probability, and by which numbers."""

import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from jaxsgd.diagnosis.cause import CAUSES, Cause
from jaxsgd.diagnosis.evidence import Evidence, cause_evidence
from jaxsgd.diagnosis.features import measure_features
from jaxsgd.diagnosis.length import missing_length
from jaxsgd.diagnosis.log import Log, losses_log, read_log
from jaxsgd.diagnosis.measures import Features
from jaxsgd.diagnosis.model import learned, readings
from jaxsgd.diagnosis.period import Period, find_period
from jaxsgd.diagnosis.remedy import Remedy, find_remedy
from jaxsgd.error import InputError

TOLD = 0.5
"""Probability from which a cause is told."""


class Verdict(NamedTuple):
    """What is held of one cause.

    Attributes:
      cause: which.
      probability: that it acts on the log; NaN where the log cannot tell.
      evidence: the numbers that carried it, the weightiest first.
    """

    cause: Cause
    probability: float
    evidence: tuple[Evidence, ...]

    @property
    def is_told(self) -> bool:
        """Whether the cause is held to act."""
        return self.probability >= TOLD

    def __repr__(self) -> str:
        """The cause, its probability, and its weightiest evidence."""
        first = f": {self.evidence[0].text}" if self.evidence else ""
        return f"Verdict({self.cause.name!r}, {percent(self.probability)}{first})"


class Diagnosis(NamedTuple):
    """Why a log looks as it does.

    Attributes:
      log: its prints.
      period: when each was made.
      features: its measures; None where it is too short.
      verdicts: one for each cause, likeliest first; none where the log is too short.
      nothing: probability that nothing of its pattern has the period of an epoch; NaN where it is too short.
      remedy: what averaging makes of it; None where it is too short.
      too_short: what is missing, in words; empty where nothing is.
    """

    log: Log
    period: Period
    features: Features | None
    verdicts: tuple[Verdict, ...]
    nothing: float
    remedy: Remedy | None
    too_short: str = ""

    @property
    def causes(self) -> tuple[str, ...]:
        """The names of the causes that are told, likeliest first; empty where nothing periodic is found."""
        return tuple(verdict.cause.name for verdict in self.verdicts if verdict.is_told)

    def __repr__(self) -> str:
        """The finding, and what it rests on, in short."""
        prints = f"{len(self.log.loss):,} prints of {self.log.column!r}"
        probability = {verdict.cause.name: round(verdict.probability, 2) for verdict in self.verdicts}
        shown = f", probabilities: {probability}" if probability else ""
        return f"Diagnosis({str(self)!r}, {prints}, {self.period!r}{shown})"

    def __str__(self) -> str:
        """The finding in one line."""
        if self.too_short:
            return self.too_short
        told = [f"{verdict.cause.title} ({percent(verdict.probability)})" for verdict in self.verdicts if verdict.is_told]
        return " and ".join(told) if told else f"nothing periodic ({percent(self.nothing)})"


def percent(probability: float) -> str:
    """A probability in words: never 0 or 100 %."""
    if not math.isfinite(probability):
        return "unknown"
    return "over 99 %" if probability > 0.99 else "under 1 %" if probability < 0.01 else f"{100 * probability:.0f} %"


def diagnose(
    log: str | Path | ArrayLike | Log,
    *,
    batches_per_epoch: float | int | None = None,
    column: str | None = None,
    run: int | None = None,
) -> Diagnosis:
    """Tells why the loss of a training log has a pattern with the period of an epoch.

    Args:
      log: a file in any format of `jaxsgd.diagnosis.readers`; or losses, [n] one by one or [E, m] by epoch and batch.
      batches_per_epoch: m, where the log does not tell it.
      column: of a file, the loss column; None where only one can be meant.
      run: of a file with several runs, which, from 1.

    Raises:
      InputError: for a file that is no log, a column that is not there, or an m that cannot be.
    """
    if isinstance(log, (str, Path)):
        log = read_log(log, column, run)
    elif not isinstance(log, Log):
        log = array_log(log)
    period = find_period(log, batches_per_epoch)
    short = missing_length(period)
    if short:
        return Diagnosis(log, period, None, (), math.nan, None, short)
    features = measure_features(log.loss, log.rate, period)
    read = readings(features)
    verdicts = []
    for cause in CAUSES:
        model = learned()[cause.name]
        # The causes are told by the place in the epoch: where that is in doubt, so are they.
        probability = model.probability(read) * period.confidence
        if cause.name == "aliasing" and period.is_estimated:
            probability = math.nan
        verdicts.append(Verdict(cause, probability, cause_evidence(cause.name, features, period, model.contributions(read))))
    nothing = float(np.prod([1 - each.probability for each in verdicts if math.isfinite(each.probability)]))
    verdicts.sort(key=lambda each: -each.probability if math.isfinite(each.probability) else 1)
    return Diagnosis(log, period, features, tuple(verdicts), nothing, find_remedy(log, period))


def array_log(loss: Any) -> Log:
    """A log of losses [n], or of losses [E, m] by epoch and batch.

    Raises:
      InputError: for another shape, or what is no array of numbers.
    """
    try:
        values: Float[np.ndarray, ...] = np.asarray(loss, np.float64)
    except (TypeError, ValueError):
        raise InputError(f"log must be a file's path or an array of losses, got {type(loss).__name__}") from None
    if values.ndim not in (1, 2) or 0 in values.shape:
        raise InputError(f"log must have losses of shape [prints] or [epochs, batches], got {list(values.shape)}")
    if values.ndim == 1:
        return losses_log(values)
    epochs, batches = values.shape
    epoch, step = np.divmod(np.arange(epochs * batches), batches)
    flat = values.reshape(-1)
    kept = np.isfinite(flat)
    missing = np.full(int(kept.sum()), np.nan)
    return Log(
        flat[kept], epoch[kept] + 1.0, step[kept] + 1.0, np.full(len(missing), float(batches)), missing,
        non_finite=int((~kept).sum()),
    )  # fmt: skip
