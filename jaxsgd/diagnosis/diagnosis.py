"""The diagnosis of a log: the causes of its pattern with their probabilities, and the numbers behind them."""

import math
from typing import NamedTuple

from jaxsgd.diagnosis.cause import Cause, Evidence
from jaxsgd.diagnosis.features import Numbers
from jaxsgd.diagnosis.log import Log
from jaxsgd.diagnosis.period import Period
from jaxsgd.diagnosis.remedy import Remedy

LIKELY = 0.5
"""Probability from which a cause is reported as acting."""


class Verdict(NamedTuple):
    """The answer about one cause.

    Attributes:
      cause: the cause.
      probability: that it acts on the log; NaN where the log cannot show it.
      evidence: the features that decided the probability, the weightiest first.
      share: part of the variance of the detrended loss that the cause explains; NaN where that is not known.
    """

    cause: Cause
    probability: float
    evidence: tuple[Evidence, ...]
    share: float = math.nan

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
      verdicts: one for each cause, likeliest first, of equally likely ones that which explains most; none where the log is too
        short.
      nothing: probability that no cause acts; NaN where the log is too short.
      remedy: the loss averaged over whole epochs; None where the log is too short.
      too_short: what the log lacks, such as epochs, or losses that differ, in words; empty where it lacks nothing.
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

    @property
    def is_doubtful(self) -> bool:
        """True if no cause is likely, but not that nothing is periodic either."""
        return bool(self.verdicts) and not self.causes and self.nothing < LIKELY

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
        titles = [f"{verdict.cause.title} ({percent(verdict.probability)})" for verdict in self.verdicts]
        likely = titles[: len(self.causes)]
        if self.is_doubtful:
            return f"Not sure: most like {titles[0]}"
        return " and ".join(likely) if likely else f"nothing periodic ({percent(self.nothing)})"


def percent(probability: float) -> str:
    """Return a probability in words, never as 0 or 100 %."""
    if not math.isfinite(probability):
        return "unknown"
    return "over 99 %" if probability > 0.99 else "under 1 %" if probability < 0.01 else f"{100 * probability:.0f} %"
