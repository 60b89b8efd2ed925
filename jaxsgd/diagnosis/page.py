"""A diagnosis as one HTML page: the answer, the log with its lines, its fold that the reader can change, and each cause."""

import math
from typing import Any

import numpy as np

from jaxsgd.diagnosis import fold
from jaxsgd.diagnosis.diagnosis import Diagnosis, Verdict, percent
from jaxsgd.diagnosis.features import share_text
from jaxsgd.diagnosis.log import log_notes
from jaxsgd.diagnosis.period import NEAR_RETURN
from jaxsgd.diagnosis.refold import FEWEST_VALUES, refold
from jaxsgd.diagnosis.report import alike_lines, answer_lines, period_lines, remedy_lines, source_line, unknown_lines
from jaxsgd.error import counted
from jaxsgd.plot.scale import LOG_FROM
from jaxsgd.report.packing import pack_array, plain
from jaxsgd.report.page import page

SCRIPTS = ("fold.js", "diagnosis.js")
"""The page's own scripts, after the shared ones of `jaxsgd.report`."""

MOST_LOSSES = 100_000
"""Number of losses, the first of the log, that a page has: about 2 MB with their lines."""


def diagnosis_page(diagnosis: Diagnosis, name: str, command: str = "") -> str:
    """Return a diagnosis as a whole page of HTML, which needs no other file and no network.

    Args:
      diagnosis: of a log.
      name: of the log, as its reader knows it.
      command: the command that gives this diagnosis, for the page to show.

    Raises:
      InputError: if Bokeh is not installed (extra `report`).
    """
    description, arrays = page_contents(diagnosis, name, command)
    return page(description["question"], description, arrays, SCRIPTS)


def page_contents(diagnosis: Diagnosis, name: str, command: str = "") -> tuple[dict[str, Any], dict[str, Any]]:
    """Return (the texts and numbers of the page as plain values, its packed arrays)."""
    log, period = diagnosis.log, diagnosis.period
    answer, remedy = answer_lines(diagnosis)
    shown = min(len(log.loss), MOST_LOSSES)
    batch = (period.epoch * period.length + period.position)[:shown]
    own = refold(log.loss[:shown], period)
    left_out = [note.text for note in log_notes(log)]
    if shown < len(log.loss):
        left_out.append(f"Of {counted(len(log.loss), 'loss')} the first {shown:,} are in this page; the diagnosis is of all.")
    counts_batches = math.isfinite(period.batch_count)
    description = {
        "question": answer,
        "ran": source_line(diagnosis, name),
        "remedy": remedy.removeprefix("What to do: "),
        "facts": _facts(diagnosis, name),
        "notes": left_out,
        "log": {
            "name": name,
            "column": log.column,
            "length": period.length,
            "unit": "batches" if counts_batches else "values",
            "interval": period.interval if counts_batches else 1.0,
            "command": command,
        },
        "share": own.share if own else math.nan,
        "causes": [_cause(diagnosis, verdict) for verdict in diagnosis.verdicts],
        "nothing": {"probability": diagnosis.nothing, "text": percent(diagnosis.nothing)},
        "unknown": unknown_lines(diagnosis) if diagnosis.verdicts else [],
        "averages": remedy_lines(diagnosis),
        "constants": {
            "log_from": LOG_FROM,
            "near_return": NEAR_RETURN,
            "most_bend": fold.MOST_BEND,
            "many_epochs": fold.MANY_EPOCHS,
            "some_epochs": fold.SOME_EPOCHS,
            "steep": fold.STEEP,
            "smooth": fold.SMOOTH,
            "one_way": fold.ONE_WAY,
            "fewest_values": FEWEST_VALUES,
        },
    }
    arrays = {"loss": log.loss[:shown], "batch": batch, "line": log.line[:shown], "epoch_number": log.epoch[:shown]}
    packed = {label: {**pack_array(np.asarray(values)), "dims": ["print"]} for label, values in arrays.items()}
    return plain(description), packed


def _facts(diagnosis: Diagnosis, name: str) -> list[list[str]]:
    """Return what was read: labels and texts."""
    log = diagnosis.log
    facts = [
        ("log", source_line(diagnosis, name)),
        ("epochs", " ".join(period_lines(diagnosis.period))),
        *(("read so", sample) for sample in log.samples),
    ]
    return [[label, text] for label, text in facts if text]


def _cause(diagnosis: Diagnosis, verdict: Verdict) -> dict[str, Any]:
    cause = verdict.cause
    return {
        "name": cause.name,
        "title": cause.title,
        "looks": cause.looks,
        "probability": verdict.probability,
        "text": percent(verdict.probability),
        "is_likely": verdict.is_likely,
        "share": share_text(verdict.share) if math.isfinite(verdict.share) and verdict.share >= 0.005 else "",
        "evidence": [evidence._asdict() for evidence in verdict.evidence],
        "alike": alike_lines(diagnosis, verdict),
        "remedy": cause.remedy,
        "threads": list(cause.threads),
    }
