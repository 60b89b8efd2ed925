"""The diagnosis of a log: the causes of its pattern with their probabilities, and the numbers behind them."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from jaxsgd.diagnosis.cause import CAUSES, Cause, Evidence, cause_evidence
from jaxsgd.diagnosis.features import Numbers, measure_features, readings
from jaxsgd.diagnosis.log import Log, losses_log, read_log
from jaxsgd.diagnosis.model import CauseModel, learned
from jaxsgd.diagnosis.period import Period, find_period, missing_length
from jaxsgd.diagnosis.remedy import Remedy, find_remedy
from jaxsgd.error import InputError

LIKELY = 0.5
"""Probability from which a cause is reported as acting."""


class Verdict(NamedTuple):
    """The answer about one cause.

    Attributes:
      cause: the cause.
      probability: that it acts on the log; NaN where the log cannot show it.
      evidence: the features that decided the probability, the weightiest first.
    """

    cause: Cause
    probability: float
    evidence: tuple[Evidence, ...]

    @property
    def is_likely(self) -> bool:
        """True if the cause is reported as acting."""
        return self.probability >= LIKELY

    def __repr__(self) -> str:
        """Return the cause, its probability, and its weightiest evidence."""
        first = f": {self.evidence[0].text}" if self.evidence else ""
        return f"Verdict({self.cause.name!r}, {percent(self.probability)}{first})"


class Diagnosis(NamedTuple):
    """The explanation of a log's pattern.

    Attributes:
      log: its printed losses.
      period: when each was printed.
      features: the measured numbers by name (`jaxsgd.diagnosis.features`); None where the log is too short.
      verdicts: one for each cause, likeliest first; none where the log is too short.
      nothing: probability that no cause acts; NaN where the log is too short.
      remedy: the loss averaged over whole epochs; None where the log is too short.
      too_short: what the log lacks, in words; empty where it lacks nothing.
    """

    log: Log
    period: Period
    features: Numbers | None
    verdicts: tuple[Verdict, ...]
    nothing: float
    remedy: Remedy | None
    too_short: str = ""

    @property
    def causes(self) -> tuple[str, ...]:
        """The names of the likely causes, likeliest first; empty where nothing is periodic."""
        return tuple(verdict.cause.name for verdict in self.verdicts if verdict.is_likely)

    def __repr__(self) -> str:
        """Return the finding and what it rests on, in short."""
        losses = f"{len(self.log.loss):,} losses of {self.log.column!r}"
        probability = {verdict.cause.name: round(verdict.probability, 2) for verdict in self.verdicts}
        shown = f", probabilities: {probability}" if probability else ""
        return f"Diagnosis({str(self)!r}, {losses}, {self.period!r}{shown})"

    def __str__(self) -> str:
        """Return the finding in one line."""
        if self.too_short:
            return self.too_short
        likely = [f"{verdict.cause.title} ({percent(verdict.probability)})" for verdict in self.verdicts if verdict.is_likely]
        return " and ".join(likely) if likely else f"nothing periodic ({percent(self.nothing)})"


def percent(probability: float) -> str:
    """Return a probability in words, never as 0 or 100 %."""
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
    """Explain a pattern with the period of an epoch in the loss of a training log.

    Args:
      log: a file in any format of `jaxsgd.diagnosis.readers`; or losses, [n] one by one or [E, m] by epoch and batch.
      batches_per_epoch: m, where the log does not contain it.
      column: of a file, the loss column; None where only one column can be meant.
      run: of a file with several runs, the number of the run, from 1.

    Raises:
      InputError: for a file that is no log, an unknown column, or an impossible m.
    """
    if isinstance(log, (str, Path)):
        log = read_log(log, column, run)
    elif not isinstance(log, Log):
        log = array_log(log)
    return judged(log, find_period(log, batches_per_epoch), learned())


def judged(log: Log, period: Period, models: Mapping[str, CauseModel]) -> Diagnosis:
    """Return the diagnosis of a log of which it is known when each loss was printed.

    Args:
      log: its printed losses.
      period: when each was printed.
      models: the model of each cause.
    """
    short = missing_length(period)
    if short:
        return Diagnosis(log, period, None, (), math.nan, None, short)
    features = measure_features(log.loss, log.rate, period)
    read = readings(features)
    verdicts = []
    for cause in CAUSES:
        model = models[cause.name]
        # The causes are judged by the place in the epoch: where that is in doubt, so are they.
        probability = model.probability(read) * period.confidence
        if cause.name == "aliasing" and period.is_estimated:
            probability = math.nan
        verdicts.append(Verdict(cause, probability, cause_evidence(cause.name, features, period, model.contributions(read))))
    nothing = float(np.prod([1 - verdict.probability for verdict in verdicts if math.isfinite(verdict.probability)]))
    verdicts.sort(key=lambda verdict: -verdict.probability if math.isfinite(verdict.probability) else 1)
    return Diagnosis(log, period, features, tuple(verdicts), nothing, find_remedy(log, period))


def array_log(loss: Any) -> Log:
    """Return a log of losses [n], or of losses [E, m] by epoch and batch.

    Raises:
      InputError: for another shape, or something that is no array of numbers.
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
