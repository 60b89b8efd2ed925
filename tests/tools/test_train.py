"""The training of the model of the causes from examples."""

import numpy as np
import pytest
from scipy import optimize

from jaxsgd.diagnosis.cause import CAUSE_NAMES
from tools.diagnosis_model.assess import assess
from tools.diagnosis_model.examples import Recording, make_examples
from tools.diagnosis_model.train import PRIOR, SURE, fit_logistic, fit_models, fit_period, prior_weights

ORDER = CAUSE_NAMES.index("fixed_order")


@pytest.mark.parametrize("ridge", [0.0, 0.01])
def test_logistic_regression_has_the_largest_weighted_likelihood_less_the_ridge(ridge):
    rng = np.random.default_rng(4)
    rows = rng.standard_normal((300, 3))
    target = (rows @ [1.0, -2.0, 0.5] + rng.logistic(size=300) > 0.3).astype(float)
    weight = rng.uniform(0.5, 2, 300)

    def loss(values):
        score = values[0] + rows @ values[1:]
        # The intercept has no penalty; the ridge counts once for each row.
        return np.sum(weight * (np.logaddexp(0, score) - target * score)) + ridge * 300 * np.sum(values[1:] ** 2) / 2

    expected = optimize.minimize(loss, np.zeros(4), tol=1e-9).x
    intercept, coefficients = fit_logistic(rows, target, weight, ridge)
    np.testing.assert_allclose([intercept, *coefficients], expected, atol=1e-4)


def test_a_cause_of_which_all_examples_say_the_same_has_a_sure_answer():
    rows, weight = np.random.default_rng(0).standard_normal((5, 2)), np.ones(5)
    for target, expected in ((np.zeros(5), -SURE), (np.ones(5), SURE)):
        intercept, coefficients = fit_logistic(rows, target, weight, 1e-3)
        assert intercept == expected
        assert coefficients.tolist() == [0, 0]


def test_weights_give_a_cause_its_prior_share():
    acts = np.array([True] * 3 + [False] * 17)
    weights = prior_weights(acts, 0.5)
    assert weights.mean() == pytest.approx(1)
    assert weights[acts].sum() / weights.sum() == pytest.approx(0.5)


def test_a_model_distinguishes_levels_that_repeat_from_noise(examples):
    models = fit_models(examples)
    answers = assess(models, examples)
    assert tuple(models) == CAUSE_NAMES
    assert answers.recall[ORDER] > 0.7
    assert answers.precision[ORDER] > 0.9
    assert answers.probability.shape == answers.truth.shape == (len(examples), len(CAUSE_NAMES))


def test_the_ridge_leaves_probabilities_as_sharp_as_they_are(examples):
    """Probabilities average to the prior share, and their log odds have the slope 1 against the truth."""
    answers = assess(fit_models(examples, ridge=0.05), examples)
    known = np.isfinite(answers.truth[:, ORDER])
    stated, acts = answers.probability[known, ORDER], answers.truth[known, ORDER] == 1
    weights = prior_weights(acts, PRIOR)
    assert np.average(stated, weights=weights) == pytest.approx(np.average(acts, weights=weights), abs=0.005)
    # The slope of the truth over the stated log odds is 1 where they are neither too bold nor too cautious.
    _, (slope,) = fit_logistic(np.log(stated / (1 - stated))[:, None] / 4, acts.astype(float), weights, ridge=0.0)
    assert slope / 4 == pytest.approx(1, abs=0.02)


def test_a_period_with_a_high_score_is_likely_to_be_right():
    rng = np.random.default_rng(2)
    noise = rng.standard_normal((8, 40, 12))
    logs = make_examples(Recording(noise + 3 * rng.standard_normal(12), "fixed"), 40, rng)
    logs += make_examples(Recording(noise, "reshuffle"), 40, rng)
    assert fit_period(logs)["slope"] > 0
