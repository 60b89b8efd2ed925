"""Diagnose a log: from its printed losses to the causes of its pattern with their probabilities."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from jaxsgd.diagnosis.cause import CAUSES, Evidence, cause_evidence
from jaxsgd.diagnosis.diagnosis import LIKELY, Diagnosis, Verdict
from jaxsgd.diagnosis.diagnosis_card import diagnosis_card
from jaxsgd.diagnosis.features import Numbers, feature_sentence, measure_features, readings
from jaxsgd.diagnosis.log import Log, losses_log, lost_from, read_log, table_log
from jaxsgd.diagnosis.model import CauseModel, learned, staircase_chance
from jaxsgd.diagnosis.period import Period, find_period, missing_length, shows_stairs
from jaxsgd.diagnosis.readers.frame import frame_table, is_frame
from jaxsgd.diagnosis.remedy import find_remedy
from jaxsgd.error import InputError, counted


class ShownDiagnosis(Diagnosis):
    """A diagnosis that a notebook shows as a card."""

    def _repr_html_(self) -> str:
        """Return the answer, what to do, the loss as it was printed, and the evidence."""
        return diagnosis_card(self)


def diagnose(
    log: str | Path | ArrayLike | Mapping[str, Any] | Log,
    *,
    batches_per_epoch: float | int | None = None,
    column: str | None = None,
    run: int | None = None,
) -> Diagnosis:
    """Explain a pattern with the period of an epoch in the loss of a training log.

    Args:
      log: a file in any format of `jaxsgd.diagnosis.readers`; or losses, [n] one by one or [E, m] by epoch and batch; or a
        data frame or a dictionary of columns, whose names say which are the loss, the epoch and the step.
      batches_per_epoch: m, where the log does not contain it.
      column: of a file or a data frame, the loss column; None where only one column can be meant.
      run: of a file or a data frame with several runs, the number of the run, from 1.

    Raises:
      InputError: for a file that is no log, an unknown column, or an impossible m.
    """
    if isinstance(log, (str, Path)):
        log = read_log(log, column, run)
    elif is_frame(log):
        log = table_log(frame_table(log), type(log).__name__, column, run)
    elif not isinstance(log, Log):
        log = array_log(log)
    return judged(log, find_period(log, batches_per_epoch), learned())


def judged(log: Log, period: Period, models: Mapping[str, CauseModel]) -> Diagnosis:
    """Return the diagnosis of a log of which it is known when each loss was printed.

    Where several batch counts are possible, the probabilities are means over them.

    Args:
      log: its printed losses.
      period: when each was printed.
      models: the model of each cause.
    """
    short = missing_length(period) or _sameness(log)
    features = measure_features(log.loss, log.rate, period) if not short or shows_stairs(period) else None
    if features is None or (short and staircase_chance(features["staircase_score"]) < LIKELY):
        return ShownDiagnosis(log, period, None, (), math.nan, None, short)
    others = [measure_features(log.loss, log.rate, other) for other in period.others]
    chances = [cause_chances(numbers, models) for numbers in (features, *others)]
    read = readings(features)
    verdicts = []
    for cause in CAUSES:
        # The causes are judged by the place in the epoch: where that is in doubt, so are they.
        probability = float(np.mean([known[cause.name] for known in chances])) * period.confidence
        if (cause.name == "aliasing" and period.is_estimated) or (short and cause.name != "re_exposure"):
            probability = math.nan
        if cause.name == "ragged_batch" and not period.has_last:
            probability = math.nan
        evidence = cause_evidence(cause.name, features, period, models[cause.name].contributions(read))
        if cause.name == "re_exposure":
            evidence = staircase_evidence(features, period, evidence, models[cause.name].probability(read))
        verdicts.append(Verdict(cause, probability, evidence, explained_share(cause.name, features)))
    nothing = float(np.prod([1 - verdict.probability for verdict in verdicts if math.isfinite(verdict.probability)]))
    verdicts.sort(key=_rank)
    return ShownDiagnosis(log, period, features, tuple(verdicts), nothing, find_remedy(log, period))


def _sameness(log: Log) -> str:
    """Return, in words, that all losses of a log are one number; "" where they are not."""
    if not len(log.loss) or np.ptp(log.loss) > 0:
        return ""
    losses = counted(len(log.loss), "loss")
    return (
        f"All {losses} are {log.loss[0]:g}, which shows no pattern: the trainer does not log its loss, or it does not train. "
        "Print the loss of each batch where it is computed, with more digits."
    )


def _rank(verdict: Verdict) -> tuple[float, float]:
    """Return the place of a verdict among the others: by probability in percent, then by the variance that it explains."""
    probability, share = (value if math.isfinite(value) else -1.0 for value in (verdict.probability, verdict.share))
    return -round(probability, 2), -share


def cause_chances(features: Numbers, models: Mapping[str, CauseModel]) -> dict[str, float]:
    """Return the probability of each cause by name, from the measured numbers of a log.

    Re-exposure shows itself as a rise within the epoch, which its model judges, or as a staircase.
    """
    read = readings(features)
    chances = {name: model.probability(read) for name, model in models.items()}
    stairs = staircase_chance(features["staircase_score"]) if features["staircase_score"] > 0 else 0.0
    return chances | {"re_exposure": max(chances["re_exposure"], stairs)}


def staircase_evidence(features: Numbers, period: Period, evidence: tuple[Evidence, ...], rise: float) -> tuple[Evidence, ...]:
    """Return the evidence for re-exposure: the staircase first, where that is likelier than a rise within the epoch.

    Args:
      features: the measured numbers.
      period: of the log.
      evidence: for the rise within the epoch.
      rise: probability of re-exposure by that.
    """
    stairs = staircase_chance(features["staircase_score"])
    if stairs < max(rise, LIKELY):
        return evidence
    return (Evidence("staircase", feature_sentence("staircase", features, period), math.log(stairs / max(1 - stairs, 1e-17))),)


def explained_share(cause: str, features: Numbers) -> float:
    """Return the part of the variance of the detrended loss that a cause explains; NaN where that is not measured."""
    stairs = features["staircase_share"] if staircase_chance(features["staircase_score"]) >= LIKELY else 0.0
    levels = (1 - stairs) * float(np.clip(features["repeat_index"], 0, 1))
    line = levels * features["ramp_share"] if features["ramp"] > 0 else 0.0
    shares = {"fixed_order": levels, "aliasing": levels, "re_exposure": stairs or line}
    return shares.get(cause, math.nan)


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
        non_finite=int((~kept).sum()), non_finite_from=lost_from(kept),
    )  # fmt: skip
