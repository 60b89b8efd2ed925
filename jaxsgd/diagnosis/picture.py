"""The figures of a diagnosis: one for each cause that is told, or one that shows that there is none."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from jaxsgd.diagnosis.diagnose import Diagnosis, Verdict, percent
from jaxsgd.diagnosis.features import RATE_JUMP
from jaxsgd.diagnosis.folding import fold
from jaxsgd.diagnosis.report import period_size
from jaxsgd.diagnosis.settling_mean import changes
from jaxsgd.diagnosis.stair import recurring, steps_of
from jaxsgd.plot.log import (
    LogView,
    OrderCase,
    cases_figure,
    fold_figure,
    rate_figure,
    recurrence_figure,
    settling_figure,
    step_figure,
)
from jaxsgd.plot.style import figure_file

_TITLES = {
    "fixed_order": "Fixed order ({chance}): the same levels come back in every epoch",
    "aliasing": "Print interval against epoch ({chance}): the pattern comes back after {cycle:.3g} epochs",
    "running_mean": "Running mean ({chance}): each epoch's loss settles, and is reset at the next",
    "ragged_batch": "Ragged last batch ({chance}): the epoch's last print stands off",
    "re_exposure": "Re-exposure ({chance}): the loss drops where an epoch begins",
    "schedule": "Learning-rate steps ({chance}): the loss steps where an epoch begins",
}


def diagnosis_files(found: Diagnosis, name: str, nearest: Any = None) -> dict[str, bytes]:
    """The figures of a diagnosis as PNG and SVG: file contents by file name; none for a log that is too short.

    Args:
      found: the diagnosis.
      name: the log's, as it is called.
      nearest: simulated cases (`jaxsgd.diagnosis.nearest`), if there are any.
    """
    figures: dict[str, Figure] = {}
    if not found.too_short:
        told = [verdict for verdict in found.verdicts if verdict.is_told]
        for verdict in told:
            figures[verdict.cause.name] = cause_figure(found, verdict, name)
        if not told:
            figures["nothing"] = nothing_figure(found, name)
    if nearest is not None:
        figures["simulated"] = simulated_figure(found, nearest, name)
    return {f"{which}.{kind}": figure_file(figure, kind) for which, figure in figures.items() for kind in ("png", "svg")}


def log_view(found: Diagnosis) -> LogView:
    """What is drawn of a log."""
    assert found.remedy is not None
    period, folded = found.period, fold(found.log.loss, found.period)
    time = period.epoch + (period.position + 1) / period.length
    is_early = folded.epoch <= np.median(folded.epoch)
    averaged_time, averaged = found.remedy.time, found.remedy.averaged
    # The last place, which is measured apart, is drawn with the others.
    count = len(folded.last)
    phase = np.append(folded.phase, np.full(count, period.position.max() / period.length))
    group = np.append(folded.group, np.full(count, len(folded.place)))
    is_early = np.append(is_early, np.arange(count) < count / 2)
    left = np.append(folded.left, folded.last)
    return LogView(time, found.log.loss, averaged_time, averaged, phase, left, group, is_early)


def _subtitle(found: Diagnosis, name: str) -> str:
    return f"{name}: {period_size(found.period)}, {found.period.epochs:.4g} epochs"


def nothing_figure(found: Diagnosis, name: str) -> Figure:
    """That prints at all places of the epoch are alike."""
    assert found.features is not None
    note = f"the place explains {found.features.repeat_index:.0%} of the variance"
    title = f"Nothing periodic ({percent(found.nothing)}): all places of the epoch are alike"
    return fold_figure(log_view(found), title, _subtitle(found, name), note.replace("-0%", "0%"))


def simulated_figure(found: Diagnosis, nearest: Any, name: str) -> Figure:
    """The log beside the simulated cases."""
    view = log_view(found)
    assert found.features is not None
    own = OrderCase(name, f"stripe index {found.features.repeat_index:.2f}", view.time, view.loss)
    cases = [
        OrderCase(
            f"{'nearest: ' * (place == 0)}{case.order}", f"stripe index {case.repeat_index + 0.0:.2f}", case.time, case.loss
        )
        for place, case in enumerate(nearest.cases)
    ]
    title = f"Of {len(nearest.cases)} simulated orders, {nearest.cases[0].order} prints a loss most like this"
    how = "running means" if nearest.form == "running" else f"printed every {nearest.interval}"
    subtitle = f"Least squares with {nearest.optimizer}, {nearest.batches} batches an epoch, {how}; the last epochs of each"
    return cases_figure(own, cases, title, subtitle)


def cause_figure(found: Diagnosis, verdict: Verdict, name: str) -> Figure:
    """The log and the evidence for one cause."""
    features, period = found.features, found.period
    assert features is not None
    cause = verdict.cause.name
    cycle = period.stripe_count / period.per_epoch
    title = _TITLES[cause].format(chance=percent(verdict.probability), cycle=cycle)
    view, subtitle = log_view(found), _subtitle(found, name)
    if cause == "running_mean":
        number, change = changes(found.log.loss, period)
        note = f"goes as batches to the power {features.settle:.2f}"
        return settling_figure(view, number, change, title, subtitle, note)
    if cause == "schedule" and features.rate_steps > 0:
        crosses = np.flatnonzero(np.diff(period.epoch) > 0)
        change = np.abs(np.diff(np.log(np.maximum(found.log.rate, 1e-30))))[crosses]
        jumps = view.time[crosses][change > RATE_JUMP]
        title = f"Learning-rate steps ({percent(verdict.probability)}): the rate jumps where an epoch begins"
        note = f"{len(jumps)} jumps, all where an epoch begins"
        return rate_figure(view, found.log.rate, jumps, title, subtitle, note)
    if cause == "schedule":
        return _stair_figure(found, verdict, view, title, subtitle)
    notes = {
        "fixed_order": f"the place explains {features.repeat_index:.0%} of the variance",
        "aliasing": f"{period.stripe_count} places; they explain {features.repeat_index:.0%} of the variance",
        "ragged_batch": f"off by {features.last_level:+.1f} of the others' scatter",
        "re_exposure": f"rises by {features.ramp:.2f} of its scatter (z = {features.ramp_z:.1f})",
    }
    marks = {"ragged_batch": "last", "re_exposure": "line"}
    return fold_figure(view, title, subtitle, notes[cause], marks.get(cause, "levels"))


def _stair_figure(found: Diagnosis, verdict: Verdict, view: LogView, title: str, subtitle: str) -> Figure:
    """The evidence for a rate that changes, from the loss alone: what carried the verdict."""
    features = found.features
    assert features is not None
    shown = next((each.measure for each in verdict.evidence if each.measure in ("step", "recurs", "ramp")), "step")
    if shown == "ramp":
        note = f"moves by {features.ramp:+.2f} of its scatter (z = {features.ramp_z:.1f})"
        return fold_figure(view, title, subtitle, note, "line")
    steps, beside = steps_of(found.log.loss, found.period)
    if shown == "recurs":
        epochs = int(features.recurs)
        left = recurring(steps.level, epochs)
        place = (int(steps.when[0]) + epochs // 2 + np.arange(len(left))) % epochs
        note = f"repeats every {epochs} epochs (z = {features.recurs_z:.1f})"
        title = f"Learning-rate steps ({percent(verdict.probability)}): the loss repeats every {epochs} epochs"
        return recurrence_figure(view, place + 1, left, title, subtitle, note)
    note = f"largest after {features.step_after:.0f} epochs: a step of {features.step:+.2g} (z = {features.step_z:.1f})"
    return step_figure(view, (steps.when, steps.score), (beside.when, beside.score), title, subtitle, note)
