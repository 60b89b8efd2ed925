"""The model's answers are counted, compared and drawn."""

import numpy as np
import pytest

from jaxsgd.diagnosis.cause import CAUSE_NAMES
from tests.plot.drawn import check_legible, words
from tools.diagnosis_model.assess import Assessment, assess, assessment_text, confusion, reliability, reliability_figure
from tools.diagnosis_model.train import PRIOR, fit_models

ORDER = CAUSE_NAMES.index("fixed_order")


def answered(stated, acts):
    """The assessment of logs with the first two causes alone."""
    truth, probability = np.zeros((len(stated), len(CAUSE_NAMES))), np.zeros((len(stated), len(CAUSE_NAMES)))
    probability[:, :2], truth[:, :2] = stated, acts
    nothing = np.zeros(len(CAUSE_NAMES))
    return Assessment(probability, truth, 0.0, 0.0, nothing, nothing, 0.0)


def test_answers_are_counted_where_they_are_known(examples):
    answers = assess(fit_models(examples), examples)
    known = np.isfinite(answers.truth)
    right = (answers.probability >= 0.5) == (answers.truth == 1)
    assert answers.right == pytest.approx(right[known].mean())
    assert answers.whole == pytest.approx((right | ~known).all(axis=1).mean())
    nothing = (answers.truth == 0).all(axis=1)
    assert nothing.any()
    assert answers.false_alarm == pytest.approx((answers.probability >= 0.5)[nothing].any(axis=1).mean())


def test_a_confusion_matrix_counts_acting_causes_by_reported_causes():
    # Reported rightly, missed, reported as the other, both reported where one acts, nothing and a false alarm.
    table = confusion(
        answered(
            [(0.9, 0.1), (0.1, 0.1), (0.1, 0.9), (0.9, 0.9), (0.2, 0.1), (0.9, 0.0)],
            [(1, 0), (1, 0), (1, 0), (1, 0), (0, 0), (0, 0)],
        )
    )
    assert table[ORDER].tolist() == [2, 1, 0, 0, 0, 0, 1]
    assert table[-1].tolist() == [1, 0, 0, 0, 0, 0, 1]


def test_reliability_of_a_probability_that_is_right_lies_on_the_diagonal():
    rng = np.random.default_rng(1)
    stated = np.full((20_000, 2), 0.3)
    bins = reliability(answered(stated, rng.random((20_000, 2)) < 0.3))
    place = 2 if np.isfinite(bins.stated[2]) else 3
    assert bins.stated[place] == pytest.approx(0.3)
    # Weighted to the prior share of each cause: odds 3 to 7 become those of the prior.
    assert 0 < bins.acts[place] < 0.3
    assert bins.answers.sum() == 20_000 * len(CAUSE_NAMES)
    # Of each cause 6,000 answers act and 14,000 do not; to odds of p to 1 - p they are weighted p / 6,000 and (1 - p) / 14,000.
    square = 2 * 20_000**2 * (PRIOR**2 / 6_000 + (1 - PRIOR) ** 2 / 14_000)
    assert bins.effective[place] == pytest.approx(40_000**2 / square, rel=0.05)
    assert bins.error[place] == pytest.approx(np.sqrt(0.21 / bins.effective[place]))


def test_the_figure_of_the_reliability_can_be_read():
    stated = np.random.default_rng(2).random((500, 2))
    bins = reliability(answered(stated, np.random.default_rng(3).random((500, 2)) < stated))
    figure = reliability_figure(bins, "How often a cause acts", "All causes together")
    assert "stated probability" in words(figure)
    check_legible(figure)


def test_a_text_has_a_line_for_each_cause_in_both_tables(examples):
    text = assessment_text(assess(fit_models(examples), examples), 7)
    assert text.startswith("Trained on 7 logs, tried on ")
    assert sum(line.startswith(("| fixed order |", "| ragged last batch |")) for line in text.splitlines()) == 4
