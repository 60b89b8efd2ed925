"""The figures say what is told, label their axes, and can be read."""

import numpy as np
import pytest

from jaxsgd.diagnosis.diagnose import diagnose
from jaxsgd.diagnosis.nearest import Case, Cases
from jaxsgd.diagnosis.picture import cause_figure, nothing_figure, simulated_figure
from jaxsgd.plot.log import LogView, OrderCase, cases_figure, fold_figure
from tests.diagnosis.test_diagnose import FOLDER
from tests.plot.drawn import check_legible, words

SHOWN = {
    "torch_shuffle_false.txt": "Fixed order",
    "torch_shuffle_false_every_7.txt": "Print interval against epoch",
    "keras_batches_in_order.jsonl": "Running mean",
    "torch_ragged_sum.txt": "Ragged last batch",
    "torch_adam_memorizes.txt": "Re-exposure",
    "torch_step_lr.jsonl": "Learning-rate steps",
    "torch_step_lr_silent.txt": "Learning-rate steps",
    "torch_warm_restarts_silent.txt": "Learning-rate steps",
}


@pytest.mark.parametrize("name", SHOWN)
def test_each_cause_has_a_figure_that_can_be_read(name):
    diagnosis = diagnose(FOLDER / name)
    drawn = [cause_figure(diagnosis, verdict, name) for verdict in diagnosis.verdicts if verdict.is_likely]
    (figure,) = (candidate for candidate in drawn if words(candidate).startswith(SHOWN[name]))
    assert "20 batches an epoch" in words(figure) or "17 batches an epoch" in words(figure)
    assert all(axes.get_xlabel() and axes.get_ylabel() for axes in figure.axes)
    check_legible(figure)


def test_a_log_with_nothing_periodic_has_a_figure_too():
    figure = nothing_figure(diagnose(FOLDER / "torch_replacement.txt"), "torch_replacement.txt")
    assert "Nothing periodic" in words(figure)
    check_legible(figure)


@pytest.mark.parametrize(("height", "is_cut"), [(10.0, True), (0.5, False)])
def test_a_steep_first_epoch_does_not_hide_the_levels_of_the_others(height, is_cut):
    time = np.arange(1, 41) / 5
    levels = np.tile([0.0, 0.1, -0.1, 0.05, -0.05], 8)
    loss = 1 + levels + height * np.exp(-time / 0.3)
    averages = np.arange(1.0, 9), loss.reshape(8, 5).mean(axis=1)
    view = LogView(time, loss, *averages, time % 1, levels, np.arange(40) % 5, time < 4)
    figure = fold_figure(view, "A title", "What was read", "A number")
    low, high = figure.axes[1].get_ylim()
    assert (high < loss.max()) == is_cut
    assert low < loss.min()
    top = f"{loss.max():.3g}"
    assert (f"beyond the top: the first epoch, up to {top}" in words(figure)) == is_cut
    case = OrderCase("train.log", "stripe index 0.52", time, loss)
    lines = cases_figure(case, [case], "A title", "What was run").axes[0].lines
    assert (lines[0].get_xdata()[0] > 1) == is_cut


def test_the_number_of_the_nearest_case_is_not_cut():
    diagnosis = diagnose(FOLDER / "torch_shuffle_false.txt")
    time = np.arange(1, 41) / 5
    cases = tuple(Case(order, time, np.cos(time), 0.123, 0.5, 0.2) for order in ("fixed", "reshuffle_batches"))
    figure = simulated_figure(diagnosis, Cases(cases, 20, 5, 8, False, "window", "SGD"), "train.log")
    assert words(figure).count("stripe index 0.12") == 2
    check_legible(figure)


@pytest.mark.parametrize("count", [1, 6, 7, 10])
def test_any_number_of_cases_stands_beside_a_log_within_the_figure(count):
    time = np.arange(1, 41) / 4
    cases = [OrderCase(f"order {number}", "stripe index 0.50", time, np.cos(time + number)) for number in range(count)]
    figure = cases_figure(OrderCase("train.log", "stripe index 0.52", time, np.sin(time)), cases, "A title", "What was run")
    figure.draw_without_rendering()
    boxes = [axes.get_tightbbox() for axes in figure.axes]
    assert len(boxes) == count + 1
    assert all(box.x0 >= 0 and box.y0 >= 0 for box in boxes)
    assert not any(a.overlaps(b) for place, a in enumerate(boxes) for b in boxes[:place])
    check_legible(figure)
