"""The figures say what is told, label their axes, and can be read."""

import numpy as np
import pytest

from jaxsgd.diagnosis.diagnose import diagnose
from jaxsgd.diagnosis.picture import cause_figure, nothing_figure
from jaxsgd.plot.log import OrderCase, cases_figure
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
