"""A diagnosis as HTML for a notebook: the answer, what to do, the printed losses, and the evidence."""

import numpy as np

from jaxsgd.diagnosis.diagnosis import Diagnosis, percent
from jaxsgd.diagnosis.log import log_notes
from jaxsgd.diagnosis.report import alike_lines, answer_lines, period_lines, source_line, unknown_lines
from jaxsgd.error import counted
from jaxsgd.markup import COLOURS, Curve, card, line, listed, plot, small

MOST_PRINTS = 300
"""The most losses that are drawn: the last ones, without gaps, for thinning would make patterns of its own."""

MOST_COLOURS = 6
"""The most positions of the epoch that have a colour each; of more positions all losses have one colour."""


def diagnosis_card(diagnosis: Diagnosis) -> str:
    """Return a diagnosis as HTML."""
    answer, remedy = answer_lines(diagnosis)
    log = diagnosis.log
    read = " ".join([source_line(diagnosis, "Read") + ";", *period_lines(diagnosis.period)])
    notes = [*(f"Read so: {sample}" for sample in log.samples), *(note.text for note in log_notes(log))]
    likely = [verdict for verdict in diagnosis.verdicts if verdict.is_likely]
    parts = [line(remedy), *_figure(diagnosis)]
    for verdict in likely or diagnosis.verdicts[: int(diagnosis.is_doubtful)]:
        evidence = [*(item.text for item in verdict.evidence), *alike_lines(diagnosis, verdict)]
        parts += [line(f"Evidence for {verdict.cause.title} ({percent(verdict.probability)}):"), listed(evidence)]
    others = [f"{verdict.cause.title} ({percent(verdict.probability)})" for verdict in diagnosis.verdicts[len(likely) :]]
    if others:
        parts.append(small(f"{'Less likely' if likely else 'Checked'}: {', '.join(others)}."))
    unknown = unknown_lines(diagnosis) if diagnosis.verdicts else []
    return card(answer, *parts, *map(small, [*unknown, read, *notes]))


def _figure(diagnosis: Diagnosis) -> tuple[str, str]:
    """Return the plot of the printed losses, a colour for each position in the epoch, and the line that explains it."""
    period, loss = diagnosis.period, np.asarray(diagnosis.log.loss)
    if diagnosis.remedy is None or len(loss) < 2:
        return "", ""
    time = period.epoch + (period.position + 1) / period.length
    shown = slice(max(0, len(loss) - MOST_PRINTS), None)
    positions, number = np.unique(period.position[shown].round(6), return_inverse=True)
    is_coloured = 1 < len(positions) <= MOST_COLOURS
    groups = [number == i for i in range(len(positions))] if is_coloured else [np.ones(len(number), bool)]
    dots = [
        Curve(time[shown][own], loss[shown][own], colour, is_line=False) for own, colour in zip(groups, COLOURS, strict=False)
    ]
    is_within = diagnosis.remedy.time >= time[shown][0]
    mean = Curve(diagnosis.remedy.time[is_within], diagnosis.remedy.averaged[is_within], is_main=True)
    count = f"the last {MOST_PRINTS} of {counted(len(loss), 'loss')}" if len(loss) > MOST_PRINTS else counted(len(loss), "loss")
    colour = ", a colour for each position in the epoch" if is_coloured else ""
    text = f"Dots: {count}, as printed{colour}. Line: the mean over whole epochs."
    return plot([*dots, mean], text, (f"epoch {time[shown][0]:.4g}", f"epoch {time[-1]:.4g}")), small(text)
