"""Learning the model of the causes from examples, and how its answers are counted."""

import numpy as np
import pytest

from jaxsgd.diagnosis.cause import CAUSE_NAMES
from jaxsgd.diagnosis.habit import Habit, habit_log, printed
from tools.diagnosis_model.learning import (
    PRIOR,
    Report,
    assess,
    confusion,
    fit_models,
    fit_period,
    prior_weights,
    reliability,
)
from tools.diagnosis_model.lesson import lesson_text
from tools.diagnosis_model.logistic import fit_logistic
from tools.diagnosis_model.teaching import Runs, make_examples

ORDER = CAUSE_NAMES.index("fixed_order")
SLIDES = CAUSE_NAMES.index("aliasing")


@pytest.fixture(scope="module")
def examples():
    """Logs of noise, of levels that repeat, and of a rise within the epoch."""
    rng = np.random.default_rng(0)
    noise = 5 + rng.standard_normal((8, 40, 12))
    settings = {"a": (noise, "reshuffle"), "b": (noise + 5 * rng.standard_normal(12), "fixed")}
    settings["c"] = (noise + np.linspace(-2, 2, 12), "reshuffle")
    made = [make_examples(Runs(*each, setting=name), 80, rng) for name, each in settings.items()]
    return [example for each in made for example in each]


def report(said, acts):
    """A report of logs with the first two causes alone."""
    truth, probability = np.zeros((len(said), len(CAUSE_NAMES))), np.zeros((len(said), len(CAUSE_NAMES)))
    probability[:, :2], truth[:, :2] = said, acts
    nothing = np.zeros(len(CAUSE_NAMES))
    return Report(probability, truth, 0.0, 0.0, nothing, nothing, 0.0)


def test_weights_give_a_cause_its_prior_share():
    acts = np.array([True] * 3 + [False] * 17)
    weights = prior_weights(acts, 0.5)
    assert weights.mean() == pytest.approx(1)
    assert weights[acts].sum() / weights.sum() == pytest.approx(0.5)


def test_a_model_tells_levels_that_repeat_from_noise(examples):
    models = fit_models(examples)
    found = assess(models, examples)
    assert tuple(models) == CAUSE_NAMES
    assert found.recall[ORDER] > 0.7
    assert found.precision[ORDER] > 0.9
    assert found.probability.shape == found.truth.shape == (len(examples), len(CAUSE_NAMES))


def test_the_ridge_leaves_probabilities_as_sharp_as_they_are(examples):
    """Probabilities average to the prior share, and their log odds have the slope 1 against the truth."""
    found = assess(fit_models(examples, ridge=0.05), examples)
    known = np.isfinite(found.truth[:, ORDER])
    said, acts = found.probability[known, ORDER], found.truth[known, ORDER] == 1
    weights = prior_weights(acts, PRIOR["fixed_order"])
    assert np.average(said, weights=weights) == pytest.approx(np.average(acts, weights=weights), abs=0.005)
    # The slope of the truth over the log odds that are said is 1 where they are neither too bold nor too cautious.
    _, (slope,) = fit_logistic(np.log(said / (1 - said))[:, None] / 4, acts.astype(float), weights, ridge=0.0)
    assert slope / 4 == pytest.approx(1, abs=0.02)


def test_answers_are_counted_where_they_are_known(examples):
    found = assess(fit_models(examples), examples)
    known = np.isfinite(found.truth)
    right = (found.probability >= 0.5) == (found.truth == 1)
    assert found.right == pytest.approx(right[known].mean())
    assert found.whole == pytest.approx((right | ~known).all(axis=1).mean())
    nothing = (found.truth == 0).all(axis=1)
    assert nothing.any()
    assert found.false_alarm == pytest.approx((found.probability >= 0.5)[nothing].any(axis=1).mean())


def test_a_confusion_matrix_counts_what_acts_by_what_is_told():
    # Told rightly, missed, told as the other, both told where one acts, nothing and a false alarm.
    table = confusion(
        report(
            [(0.9, 0.1), (0.1, 0.1), (0.1, 0.9), (0.9, 0.9), (0.2, 0.1), (0.9, 0.0)],
            [(1, 0), (1, 0), (1, 0), (1, 0), (0, 0), (0, 0)],
        )
    )
    assert table[ORDER].tolist() == [2, 1, 0, 0, 0, 0, 1]
    assert table[-1].tolist() == [1, 0, 0, 0, 0, 0, 1]


def test_reliability_of_what_is_said_as_often_as_it_comes_lies_on_the_diagonal():
    rng = np.random.default_rng(1)
    said = np.full((20_000, 2), 0.3)
    found = reliability(report(said, rng.random((20_000, 2)) < 0.3))
    place = 2 if np.isfinite(found.said[2]) else 3
    assert found.said[place] == pytest.approx(0.3)
    # Weighted to the prior share of each cause: odds 3 to 7 become those of the prior.
    assert 0 < found.came[place] < 0.3
    assert found.answers.sum() == 20_000 * len(CAUSE_NAMES)


def test_a_period_with_a_high_score_is_held_to_be_right():
    rng = np.random.default_rng(2)
    noise = rng.standard_normal((8, 40, 12))
    made = make_examples(Runs(noise + 3 * rng.standard_normal(12), "fixed"), 60, rng)
    made += make_examples(Runs(noise, "reshuffle"), 60, rng)
    assert fit_period(made)["slope"] > 0


def test_a_report_has_a_line_for_each_cause(examples):
    text = lesson_text(assess(fit_models(examples), examples), 7)
    assert text.startswith("Learned from 7 logs, tried on ")
    assert sum(line.startswith(("| fixed order |", "| ragged last batch |")) for line in text.splitlines()) == 4


def test_what_a_habit_prints_of_a_sum_is_the_sum_of_what_it_prints():
    rng = np.random.default_rng(3)
    one, other = rng.standard_normal((2, 6, 5))
    for form in ("window", "batch", "running", "smooth"):
        habit = Habit(2, form, restarts=True, last_factor=0.5)
        both, at = printed(one + other, habit)
        np.testing.assert_allclose(both, printed(one, habit)[0] + printed(other, habit)[0], atol=1e-12)
        log = habit_log(both, at, 5)
        assert log.step.tolist() == [2, 4] * 6
        assert log.epoch.tolist() == [epoch for epoch in range(1, 7) for _ in range(2)]
