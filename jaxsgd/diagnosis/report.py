"""A diagnosis as lines for people to read, and as one object that JSON can hold."""

import math
from typing import Any

from jaxsgd.diagnosis.column import is_unnamed
from jaxsgd.diagnosis.diagnosis import LIKELY, Diagnosis, Verdict, percent
from jaxsgd.diagnosis.features import share_text
from jaxsgd.diagnosis.fold import FEWEST_LEVELS, FEWEST_RISING
from jaxsgd.diagnosis.log import log_notes
from jaxsgd.diagnosis.period import Period, missing_length
from jaxsgd.error import counted


def diagnosis_lines(diagnosis: Diagnosis, name: str) -> list[str]:
    """Return a diagnosis line by line: the answer, what to do, what was read, then the evidence.

    Args:
      diagnosis: of a log.
      name: of the log, as its reader knows it.
    """
    log = diagnosis.log
    first, *rest = period_lines(diagnosis.period)
    lines = [*answer_lines(diagnosis), f"Read: {source_line(diagnosis, name)}; {first}", *rest]
    if log.samples:
        lines.append(f"Read so: {'; '.join(log.samples)}.")
    lines += [note.text for note in log_notes(log)]
    if diagnosis.too_short:
        return lines
    shown = [verdict for verdict in diagnosis.verdicts if verdict.is_likely]
    for verdict in shown or diagnosis.verdicts[: int(diagnosis.is_doubtful)]:
        lines += ["", *verdict_lines(verdict), *(f"  {line}" for line in alike_lines(diagnosis, verdict))]
    others = diagnosis.verdicts[len(shown) :]
    listed = ", ".join(f"{verdict.cause.title} ({percent(verdict.probability)})" for verdict in others)
    lines += ["", f"{'Less likely' if shown else 'Checked'}: {listed}.", *unknown_lines(diagnosis)]
    averages = remedy_lines(diagnosis)
    return [*lines, "", *averages] if averages else lines


def source_line(diagnosis: Diagnosis, name: str) -> str:
    """Return the name of a log, its format, and the number of its losses."""
    log = diagnosis.log
    column = log.column if is_unnamed(log.column) else f"column {log.column!r}"
    return f"{name}: {log.form}, {counted(len(log.loss), 'loss')} in {column}"


def answer_lines(diagnosis: Diagnosis) -> list[str]:
    """Return the answer in one line and what to do in another; of a log that is too short, what it lacks."""
    if diagnosis.too_short:
        answer, _, remedy = diagnosis.too_short.rpartition(". ")
        if not remedy.startswith(("Give", "Print")):
            return [diagnosis.too_short, "What to do: Give a longer log."]
        return [f"{answer}.", f"What to do: {remedy}"]
    likely = [verdict for verdict in diagnosis.verdicts if verdict.is_likely]
    if _is_period_unknown(diagnosis.period) and not likely:
        return [
            "No pattern stands out, and the log does not say where epochs begin.",
            "What to do: Give --batches-per-epoch if you know it, and ask again.",
        ]
    text = str(diagnosis)
    if len(likely) == 1:
        text = f"{text}: {likely[0].cause.looks}"
    if diagnosis.is_doubtful:
        remedy = "Print more losses, over more epochs, and ask again. " + diagnosis.verdicts[0].cause.remedy
    elif not likely:
        text = f"{text}: no cause is likely"
        remedy = "Nothing: the loss shows no pattern with the period of an epoch."
    else:
        remedy = " ".join(
            verdict.cause.remedy if len(likely) == 1 else f"({number}) {verdict.cause.remedy}"
            for number, verdict in enumerate(likely, 1)
        )
    return [f"{text[0].upper()}{text[1:]}.", f"What to do: {remedy}"]


def _is_period_unknown(period: Period) -> bool:
    """Return True if the log does not say where epochs begin, and its losses do not show it."""
    return period.is_estimated and period.confidence < LIKELY


def unknown_lines(diagnosis: Diagnosis) -> list[str]:
    """Return why some causes are unknown, line by line."""
    period = diagnosis.period
    lines = []
    if missing_length(period):
        lines.append(
            f"With {period.epochs:.3g} epochs only a drop where epochs begin can be seen; other causes need four epochs."
        )
    elif not period.has_last and not _is_period_unknown(period):
        lines.append("A ragged last batch is unknown: the last batch of an epoch is never printed.")
    return lines


def period_size(period: Period) -> str:
    """Return the batches per epoch and the print interval, as far as they are known, in words."""
    if math.isfinite(period.batch_count):
        counts = " to ".join(f"{count:g}" for count in period.possible) or f"{period.batch_count:g}"
        return f"{counts} batches an epoch, printed every {period.interval:g}"
    per_epoch = f"{period.whole_count:.4g}"
    return f"{per_epoch} {'value' if per_epoch == '1' else 'values'} an epoch"


FAINT = 0.1
"""Probability of an estimated period below which it is not stated."""


def period_lines(period: Period) -> list[str]:
    """Return the period of a log in two sentences, with its origin; in one where nothing shows it."""
    if period.is_estimated and missing_length(period):
        return ["the log does not say where epochs begin."]
    if _is_period_unknown(period):
        if period.confidence < FAINT:
            return ["neither the log nor its losses show where epochs begin."]
        return [f"its losses suggest {period_size(period)}, which is only {percent(period.confidence)} sure."]
    origin = period.origin if period.confidence >= 1 else f"{period.origin}, {percent(period.confidence)} sure"
    count = period.stripe_count
    positions = f"{count} positions: {count} stripes if their losses differ" if count > 1 else "one position of the epoch"
    if period.others:
        counts = sorted({period.batch_count, *(other.batch_count for other in period.others)})
        origin += f", which leaves {counts[0]:g} to {counts[-1]:g} batches an epoch"
    epochs = f"{len(period.position) / period.whole_count:.4g}"
    return [
        f"{period_size(period)} ({origin}).",
        f"{epochs} {'epoch' if epochs == '1' else 'epochs'}, with values at {positions}.",
    ]


def verdict_lines(verdict: Verdict) -> list[str]:
    """Return a cause line by line: its probability, the variance that it explains, its evidence, and the threads."""
    cause = verdict.cause
    known = math.isfinite(verdict.share) and verdict.share >= 0.005
    share = f", {share_text(verdict.share)} of the variance" if known else ""
    return [
        f"Evidence for {cause.title} ({percent(verdict.probability)}{share}): {cause.looks}.",
        *(f"  - {evidence.text} Log odds {evidence.log_odds:+.1f}." for evidence in verdict.evidence),
        f"  Others who met it: {', '.join(cause.threads)}",
    ]


LINE_SHARE = 0.8
"""Part of the differences between positions that a straight line must explain for a rise to look like levels that repeat."""


def alike_lines(diagnosis: Diagnosis, verdict: Verdict) -> list[str]:
    """Return what else would look the same as a likely cause, line by line."""
    features, cause = diagnosis.features, verdict.cause.name
    if features is None:
        return []
    lines = []
    is_line = features["ramp"] > 0 and features["ramp_share"] > LINE_SHARE
    # Of two places every difference is a line.
    if cause in ("fixed_order", "aliasing") and is_line and 2.5 < features["per_epoch"] < FEWEST_RISING:
        lines.append(
            "But with so few values an epoch, re-exposure to the samples would look the same. "
            f"Print at least {FEWEST_RISING} values an epoch to distinguish the two."
        )
    if cause == "fixed_order" and features["per_epoch"] >= FEWEST_LEVELS:
        lines.append(_buffer_line(features["level_length"], features["per_epoch"]))
    if cause == "re_exposure" and features["repeat_index"] > PARTLY:
        lines.append(
            "But samples in some order that pass a shuffle buffer smaller than the data would look the same. "
            "If there is a buffer, make it as large as the data."
        )
    return lines


PARTLY = 0.05
"""Share of the variance that levels must explain beside a rise within the epoch for the data's order to be suspected."""


def _buffer_line(length: float, per_epoch: float) -> str:
    if not length:
        return (
            "The levels jump from value to value: a shuffle buffer, if there is one, holds less than "
            f"{100 / per_epoch:.2g} % of the data."
        )
    return (
        f"But the levels resemble their neighbours over {share_text(length)} of the epoch. Samples in order that are "
        f"shuffled only nearby, by a buffer of up to about {share_text(length)} of the data, look like an order without "
        "any shuffling in which similar samples are neighbours: look up the size of the shuffle buffer."
    )


def remedy_lines(diagnosis: Diagnosis) -> list[str]:
    """Return the loss averaged over whole epochs, and the print interval that hides the pattern, in sentences.

    There are none for a log that is too short, and none where nobody knows where its epochs begin.
    """
    remedy, period = diagnosis.remedy, diagnosis.period
    if remedy is None or _is_period_unknown(period):
        return []
    first, last = remedy.averaged[0], remedy.averaged[-1]
    cycle = "each whole epoch" if not period.slides else f"every {remedy.prints} values"
    means = counted(len(remedy.averaged), "value")
    lines = [f"Averaged over {cycle}, the loss goes from {first:.4g} to {last:.4g} in {means}."]
    if not remedy.is_telling:
        whole = "a whole epoch" if not period.slides else f"{remedy.prints} values"
        lines.append(f"The log is too short to show which print interval hides its stripes; the mean of {whole} always does.")
    elif remedy.hiding_prints == 1:
        lines.append("The loss as printed shows no stripes, so it needs no averaging.")
    elif not diagnosis.causes and not diagnosis.is_doubtful:
        pass  # The answer is that there is no pattern, so nothing is to be hidden.
    elif math.isfinite(remedy.hiding_interval):
        lines.append(f"The smallest print interval that hides its stripes is {remedy.hiding_interval:g} batches.")
    else:
        lines.append(f"The mean of {remedy.hiding_prints} successive values hides its stripes; the mean of fewer does not.")
    return lines


def diagnosis_report(diagnosis: Diagnosis) -> dict[str, Any]:
    """Return a diagnosis as nested dictionaries, lists, text and numbers; NaN where there is no number."""
    log, period, remedy = diagnosis.log, diagnosis.period, diagnosis.remedy
    return {
        "finding": str(diagnosis),
        "doubtful": diagnosis.is_doubtful,
        "causes": list(diagnosis.causes),
        "too_short": diagnosis.too_short,
        "log": {
            "form": log.form,
            "column": log.column,
            "samples": list(log.samples),
            "other_columns": list(log.other_columns),
            "left_out": list(log.left_out),
            "losses": len(log.loss),
            "non_finite": log.non_finite,
            "non_finite_from": log.non_finite_from,
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
            "possible_batches_per_epoch": list(period.possible),
            "other_batches_per_epoch": [other.batch_count for other in period.others],
        },
        "probability": {verdict.cause.name: verdict.probability for verdict in diagnosis.verdicts}
        | {"nothing": diagnosis.nothing},
        "verdicts": [
            {
                "cause": verdict.cause.name,
                "title": verdict.cause.title,
                "probability": verdict.probability,
                "explained_share": verdict.share,
                "told": verdict.is_likely,
                "evidence": [evidence._asdict() for evidence in verdict.evidence],
                "remedy": verdict.cause.remedy,
                "threads": list(verdict.cause.threads),
            }
            for verdict in diagnosis.verdicts
        ],
        "measures": dict(diagnosis.features) if diagnosis.features else {},
        "remedy": remedy._asdict() if remedy else {},
    }
