"""A diagnosis for people to read, line by line, and as one object that JSON can hold."""

import math
from typing import Any

from jaxsgd.diagnosis.diagnose import TOLD, Diagnosis, Verdict, percent
from jaxsgd.diagnosis.features import FEWEST_RISING
from jaxsgd.diagnosis.log import log_notes
from jaxsgd.diagnosis.period import Period
from jaxsgd.error import counted


def diagnosis_lines(found: Diagnosis, name: str) -> list[str]:
    """What a diagnosis says, in the order in which it is asked: what was read, what causes it, what to do.

    Args:
      found: the diagnosis.
      name: the log's, as it is called.
    """
    log = found.log
    lines = [f"{name}: {log.form}, {counted(len(log.loss), 'loss')} ({log.column!r})", period_line(found.period)]
    lines += [note.text for note in log_notes(log)]
    lines.append("")
    if found.too_short:
        return [*lines, found.too_short]
    told = [verdict for verdict in found.verdicts if verdict.is_told]
    if not told:
        lines += [f"Nothing periodic ({percent(found.nothing)}).", *_doubt(found)]
    for verdict in told:
        lines += [*verdict_lines(verdict), *_alike(found, verdict), ""]
    rest = [verdict for verdict in found.verdicts if not verdict.is_told]
    listed = ", ".join(f"{verdict.cause.title} {percent(verdict.probability)}" for verdict in rest)
    lines += [f"{'Not told' if told else 'Looked for'}: {listed}.", "", *remedy_lines(found)]
    return lines


def _doubt(found: Diagnosis) -> list[str]:
    if found.period.is_estimated and found.period.confidence < TOLD:
        return ["The log does not say where epochs begin, and no period stands out: give --batches-per-epoch if you know it."]
    return []


def period_size(period: Period) -> str:
    """Batches per epoch and the print interval, as far as they are known."""
    if math.isfinite(period.batch_count):
        return f"{period.batch_count:g} batches an epoch, printed every {period.interval:g}"
    return f"{period.per_epoch:.4g} prints an epoch"


def period_line(period: Period) -> str:
    """The period of a log, in one sentence, with where it comes from."""
    said = period_size(period)
    origin = period.origin if period.confidence >= 1 else f"{period.origin}, {percent(period.confidence)} sure"
    count = period.stripe_count
    places = f"{count} places: {count} stripes, if these differ" if count > 1 else "one place of the epoch"
    return f"{said} ({origin}): {period.epochs:.4g} epochs, prints on {places}."


def verdict_lines(verdict: Verdict) -> list[str]:
    """A cause that is told: its probability, its evidence, its remedy, and the threads."""
    cause = verdict.cause
    return [
        f"{cause.title[0].upper()}{cause.title[1:]} ({percent(verdict.probability)}): {cause.looks}.",
        *(f"  - {each.text} (log odds {each.log_odds:+.1f})" for each in verdict.evidence),
        f"  What to do: {cause.remedy}",
        f"  Others: {', '.join(cause.threads)}",
    ]


LINE_SHARE = 0.8
"""Part of the levels' variance that a rise must be to look like them."""


def _alike(found: Diagnosis, verdict: Verdict) -> list[str]:
    """What else would look the same."""
    features = found.features
    if verdict.cause.name not in ("fixed_order", "aliasing") or features is None:
        return []
    is_line = features.ramp > 0 and features.ramp_share > LINE_SHARE
    # Of two places every difference is a line.
    if not (is_line and 2.5 < features.per_epoch < FEWEST_RISING):
        return []
    return [
        f"  But: re-exposure to the samples would look the same in so few prints; {FEWEST_RISING} an epoch tell them apart."
    ]


def remedy_lines(found: Diagnosis) -> list[str]:
    """What averaging makes of the log."""
    remedy, period = found.remedy, found.period
    if remedy is None:
        return []
    first, last = remedy.averaged[0], remedy.averaged[-1]
    cycle = "epoch" if not period.slides else f"{remedy.prints} prints"
    values = counted(len(remedy.averaged), "value")
    lines = [f"Averaged over each whole {cycle}, the loss goes from {first:.4g} to {last:.4g} in {values}."]
    if not remedy.is_telling:
        whole = "a whole epoch" if not period.slides else cycle
        lines.append(f"The log is too short to say which print interval hides its stripes; the mean of {whole} always does.")
    elif remedy.hiding_prints == 1:
        lines.append("As printed, it shows no stripes that averaging would have to hide.")
    elif math.isfinite(remedy.hiding_interval):
        lines.append(f"The smallest print interval that hides its stripes is {remedy.hiding_interval:g} batches.")
    else:
        lines.append(f"The mean of {remedy.hiding_prints} prints hides its stripes; of fewer, it does not.")
    return lines


def diagnosis_report(found: Diagnosis) -> dict[str, Any]:
    """A diagnosis as nested dictionaries, lists, text and numbers; NaN where there is no number."""
    log, period, remedy = found.log, found.period, found.remedy
    return {
        "finding": str(found),
        "causes": list(found.causes),
        "too_short": found.too_short,
        "log": {
            "form": log.form,
            "column": log.column,
            "other_columns": list(log.other_columns),
            "losses": len(log.loss),
            "non_finite": log.non_finite,
            "duplicates": log.duplicates,
            "resumed": log.resumed,
            "repeated": log.repeated,
            "placeless": log.placeless,
            "notes": [note.text for note in log_notes(log)],
        },
        "period": {
            "batches_per_epoch": period.batch_count,
            "print_interval": period.interval,
            "prints_per_epoch": period.per_epoch,
            "stripe_count": period.stripe_count,
            "epochs": period.epochs,
            "origin": period.origin,
            "confidence": period.confidence,
        },
        "probability": {verdict.cause.name: verdict.probability for verdict in found.verdicts} | {"nothing": found.nothing},
        "verdicts": [
            {
                "cause": verdict.cause.name,
                "title": verdict.cause.title,
                "probability": verdict.probability,
                "told": verdict.is_told,
                "evidence": [each._asdict() for each in verdict.evidence],
                "remedy": verdict.cause.remedy,
                "threads": list(verdict.cause.threads),
            }
            for verdict in found.verdicts
        ],
        "measures": found.features._asdict() if found.features else {},
        "remedy": remedy._asdict() if remedy else {},
    }
