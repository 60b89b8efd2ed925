"""The figures of a diagnosis: one for each likely cause, or one that shows that there is none."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from jaxsgd.diagnosis.diagnosis import LIKELY, Diagnosis, Verdict, percent
from jaxsgd.diagnosis.features import is_step, share_text, size_text
from jaxsgd.diagnosis.fold import changes, fold
from jaxsgd.diagnosis.model import staircase_chance
from jaxsgd.diagnosis.report import period_size
from jaxsgd.diagnosis.stair import RATE_JUMP, recurring, steps_of
from jaxsgd.number import to_decimals
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
    "fixed_order": "Fixed order ({chance}): the same levels return in every epoch",
    "aliasing": "Print interval against epoch ({chance}): the pattern returns after {cycle:.3g} epochs",
    "running_mean": "Running mean ({chance}): within each epoch the printed loss moves less and less",
    "ragged_batch": "Ragged last batch ({chance}): the epoch's last value lies far from the others",
    "re_exposure": "Re-exposure ({chance}): the loss drops where an epoch begins",
    "schedule": "Learning-rate steps ({chance}): the loss steps where an epoch begins",
}


def diagnosis_files(diagnosis: Diagnosis, name: str, nearest: Any = None) -> dict[str, bytes]:
    """Return the figures of a diagnosis as PNG and SVG, content by file name; none for a log that is too short.

    Args:
      diagnosis: of a log.
      name: of the log, as its reader knows it.
      nearest: simulated cases (`jaxsgd.diagnosis.nearest`), if there are any.
    """
    figures: dict[str, Figure] = {}
    if not diagnosis.too_short:
        likely = [verdict for verdict in diagnosis.verdicts if verdict.is_likely]
        for verdict in likely:
            figures[verdict.cause.name] = cause_figure(diagnosis, verdict, name)
        if not likely:
            figures["nothing"] = nothing_figure(diagnosis, name)
    if nearest is not None:
        figures["simulated"] = simulated_figure(diagnosis, nearest, name)
    return {f"{which}.{kind}": figure_file(figure, kind) for which, figure in figures.items() for kind in ("png", "svg")}


def log_view(diagnosis: Diagnosis) -> LogView:
    """Return the arrays that are drawn of a log."""
    assert diagnosis.remedy is not None
    period, folded = diagnosis.period, fold(diagnosis.log.loss, diagnosis.period)
    time = period.epoch + (period.position + 1) / period.length
    is_early = folded.epoch <= np.median(folded.epoch)
    averaged_time, averaged = diagnosis.remedy.time, diagnosis.remedy.averaged
    # The last place, which is measured apart, is drawn with the others.
    count = len(folded.last)
    phase = np.append(folded.phase, np.full(count, period.position.max() / period.length))
    group = np.append(folded.group, np.full(count, len(folded.place)))
    is_early = np.append(is_early, np.arange(count) < count / 2)
    left = np.append(folded.left, folded.last)
    return LogView(time, diagnosis.log.loss, averaged_time, averaged, phase, left, group, is_early)


def _subtitle(diagnosis: Diagnosis, name: str) -> str:
    return f"{name}: {period_size(diagnosis.period)}, {diagnosis.period.epochs:.4g} epochs"


def nothing_figure(diagnosis: Diagnosis, name: str) -> Figure:
    """Return the figure that shows that all positions of the epoch are alike."""
    assert diagnosis.features is not None
    note = f"the position explains {share_text(diagnosis.features['repeat_index'])} of the variance"
    title = f"Nothing periodic ({percent(diagnosis.nothing)}): all positions of the epoch are alike"
    if diagnosis.is_doubtful:
        title = str(diagnosis)
    return fold_figure(log_view(diagnosis), title, _subtitle(diagnosis, name), note)


def simulated_figure(diagnosis: Diagnosis, nearest: Any, name: str) -> Figure:
    """Return the figure of the log beside the simulated cases."""
    view = log_view(diagnosis)
    assert diagnosis.features is not None
    own = OrderCase(name, f"stripe index {to_decimals(diagnosis.features['repeat_index'], 2)}", view.time, view.loss)
    cases = [
        OrderCase(case.order, f"stripe index {to_decimals(case.repeat_index, 2)}", case.time, case.loss)
        for case in nearest.cases
    ]
    title = f"Of {len(nearest.cases)} simulated orders, {nearest.group} gives a loss most like this"
    habit = "running means" if nearest.form == "running" else f"printed every {nearest.interval}"
    run = f"Least squares with {nearest.optimizer}, {nearest.batches} batches an epoch, {habit}"
    subtitle = f"{run}; last epochs, the nearest in orange"
    return cases_figure(own, cases, title, subtitle)


def cause_figure(diagnosis: Diagnosis, verdict: Verdict, name: str) -> Figure:
    """Return the figure of the log and the evidence for one cause."""
    features, period = diagnosis.features, diagnosis.period
    assert features is not None
    cause = verdict.cause.name
    cycle = period.stripe_count / period.per_epoch
    title = _TITLES[cause].format(chance=percent(verdict.probability), cycle=cycle)
    view, subtitle = log_view(diagnosis), _subtitle(diagnosis, name)
    if cause == "running_mean":
        number, change = changes(diagnosis.log.loss, period)
        note = f"after k batches in proportion to k^{features['settle']:.2f}"
        return settling_figure(view, number, change, title, subtitle, note)
    if cause == "schedule" and features["rate_steps"] > 0:
        crosses = np.flatnonzero(np.diff(period.epoch) > 0)
        change = np.abs(np.diff(np.log(np.maximum(diagnosis.log.rate, 1e-30))))[crosses]
        jumps = view.time[crosses][change > RATE_JUMP]
        title = f"Learning-rate steps ({percent(verdict.probability)}): the rate jumps where an epoch begins"
        note = f"{len(jumps)} jumps, all where an epoch begins"
        return rate_figure(view, diagnosis.log.rate, jumps, title, subtitle, note)
    if cause == "schedule":
        return _stair_figure(diagnosis, verdict, view, title, subtitle)
    index, level = share_text(features["repeat_index"]), features["last_level"]
    notes = {
        "fixed_order": f"the position explains {index} of the variance",
        "aliasing": f"{period.stripe_count} positions; they explain {index} of the variance",
        "ragged_batch": f"{'above' if level > 0 else 'below'} the other means by {abs(level):.1f} times their spread",
        "re_exposure": _slope_note(diagnosis),
    }
    if cause == "re_exposure" and features["ramp"] > 0:
        chance = percent(verdict.probability)
        title = f"Re-exposure ({chance}): the loss rises within each epoch and drops where the next begins"
    marks = {"ragged_batch": "last", "re_exposure": "line"}
    return fold_figure(view, title, subtitle, notes[cause], marks.get(cause, "levels"))


def _slope_note(diagnosis: Diagnosis) -> str:
    assert diagnosis.features is not None
    drop, is_log = diagnosis.features["staircase_drop"], diagnosis.features["staircase_log"]
    if is_log and staircase_chance(diagnosis.features["staircase_score"]) >= LIKELY:
        return f"drops by {size_text(-drop, is_log)} where an epoch begins (z = {diagnosis.features['staircase_z']:.1f})"
    rise, z = diagnosis.features["ramp"], diagnosis.features["ramp_z"]
    return f"{'rises' if rise > 0 else 'falls'} by {abs(rise):.1f} standard deviations (z = {z:.1f})"


def _stair_figure(diagnosis: Diagnosis, verdict: Verdict, view: LogView, title: str, subtitle: str) -> Figure:
    """Return the evidence for a changing rate from the loss alone: the feature that decided the verdict."""
    features = diagnosis.features
    assert features is not None
    names = (evidence.measure for evidence in verdict.evidence)
    if next((name for name in names if name in ("stair", "ramp")), "stair") == "ramp":
        course = "rises" if features["ramp"] > 0 else "falls"
        title = f"Learning-rate steps ({percent(verdict.probability)}): the loss {course} within each epoch"
        return fold_figure(view, title, subtitle, _slope_note(diagnosis), "line")
    steps, beside = steps_of(diagnosis.log.loss, diagnosis.period)
    if not is_step(features):
        epochs = int(features["recurs"])
        left = recurring(steps.level, epochs)
        place = (int(steps.when[0]) + epochs // 2 + np.arange(len(left))) % epochs
        note = f"repeats every {epochs} epochs (z = {features['recurs_z']:.1f})"
        title = f"Learning-rate steps ({percent(verdict.probability)}): the loss repeats every {epochs} epochs"
        return recurrence_figure(view, place + 1, left, title, subtitle, note)
    after, size = features["step_after"], features["step"]
    title = f"Learning-rate steps ({percent(verdict.probability)}): the loss steps after {after:.0f} epochs"
    note = f"clearest after {after:.0f} epochs: a step of {size:+.2g} (z = {features['step_z']:.1f})"
    return step_figure(view, (steps.when, steps.score), (beside.when, beside.score), title, subtitle, note)
