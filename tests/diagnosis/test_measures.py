"""Each measure finds the mark it is named for in a loss that was made to have it, and not in one that was not."""

import numpy as np
import pytest

from jaxsgd import diagnose, stripes
from jaxsgd.diagnosis.features import measure_features
from jaxsgd.diagnosis.habit import Habit, habit_log, printed
from jaxsgd.diagnosis.period import find_period
from jaxsgd.diagnosis.report import diagnosis_lines
from jaxsgd.diagnosis.series import moving_mean, normal_score
from tools.diagnosis_model.logistic import fit_logistic


def logged(loss, interval=1, **habit):
    """The log of losses [E, m] under a habit, and its period."""
    values, at = printed(loss, Habit(interval, **habit))
    log = habit_log(values, at, loss.shape[1])
    return log, find_period(log)


def measured(loss, **habit):
    log, period = logged(loss, **habit)
    return measure_features(log.loss, log.rate, period)


@pytest.fixture
def noise():
    return np.random.default_rng(0).standard_normal((40, 20))


def test_noise_has_no_mark(noise):
    found = measured(noise)
    assert abs(found.repeat_index) < 0.05
    assert max(abs(found.jagged_z), abs(found.ramp_z), abs(found.last_spread_z)) < 3.5
    assert abs(found.settle) < 0.3
    assert found.settle_likelihood < 0


@pytest.mark.parametrize("form", ["batch", "smooth"])
@pytest.mark.parametrize("shape", [(60, 12), (20, 6)])
def test_chance_gives_scores_a_deviation_of_about_one(form, shape):
    """Successive epochs' slopes resemble each other, for they share a trend and a smoothed loss; the score counts that."""
    rng = np.random.default_rng(5)
    found = [measured(rng.standard_normal(shape), form=form) for _ in range(200)]
    assert np.std([each.ramp_z for each in found]) == pytest.approx(1, abs=0.2)
    assert np.mean([abs(each.ramp_z) > 2.5 for each in found]) < 0.04
    assert np.std([each.repeat_z for each in found]) < 1.5


def test_one_place_that_stands_off_is_rarer_among_many_than_among_few(noise):
    noise[:, -1] += 6
    many, few = measured(noise), measured(noise[:, -5:])
    assert many.last_level_rare > 4
    assert few.last_level_rare < many.last_level_rare
    # What it is in the others' scatter says less.
    assert few.last_level > few.last_level_rare


def test_levels_that_repeat_are_explained_by_their_place(noise):
    pattern = np.random.default_rng(1).standard_normal(20)
    found = measured(pattern + 0.3 * noise)
    # Variance of the pattern over that of pattern and noise.
    assert found.repeat_index == pytest.approx(pattern[:-1].var() / (pattern[:-1].var() + 0.09), abs=0.05)
    assert found.agreement > 0.9


def test_the_repeat_index_is_the_stripe_index_of_a_loss_with_few_places():
    rng = np.random.default_rng(2)
    loss = rng.standard_normal(3) + 0.5 * rng.standard_normal((30, 3))
    assert measured(loss).repeat_index == pytest.approx(float(stripes(loss, 1).stripe_index), abs=0.1)


def test_a_sawtooth_is_a_ramp_and_not_jagged(noise):
    found = measured(np.linspace(-1, 1, 20) + noise)
    assert found.ramp_z > 5
    assert found.jagged_z < 3
    assert measured(np.linspace(1, -1, 20) + noise).ramp_z < -5


def test_a_running_mean_settles_with_the_power_minus_one(noise):
    found = measured(noise + 3, form="running")
    assert found.settle == pytest.approx(-1, abs=0.3)
    assert found.settle_likelihood > 5
    assert found.reset > 1


@pytest.mark.parametrize("factor", [0.3, 3.0])
def test_a_last_batch_divided_by_the_wrong_number_stands_off(noise, factor):
    found = measured(5 + noise, last_factor=factor)
    assert np.sign(found.last_level) == np.sign(factor - 1)
    assert min(abs(found.last_level), abs(found.last_level_z)) > 5


def test_a_small_last_batch_scatters_as_the_root_of_its_share(noise):
    noise[:, -1] *= 3
    found = measured(noise)
    # Of 40 values, a standard deviation is known to about 1 / sqrt(80).
    assert np.exp(found.last_spread) == pytest.approx(3, rel=0.35)
    assert found.last_spread_z > 6


@pytest.mark.parametrize("width", [2, 3, 4, 7])
def test_a_moving_mean_over_a_cycle_leaves_a_line_and_removes_what_repeats(width):
    count = 8 * width
    line, pattern = 0.5 * np.arange(count), np.tile(np.random.default_rng(3).standard_normal(width), 8)
    half = width // 2
    expected = line[half : count - half] + pattern[:width].mean()
    np.testing.assert_allclose(moving_mean(line + pattern, width), expected, atol=1e-12)


def test_a_normal_score_is_as_rare_as_the_value_of_fishers_f():
    from scipy import stats

    for f, between, within in ((2.0, 9, 90), (4.0, 5, 40), (1.0, 20, 200), (8.0, 3, 30)):
        exact = stats.norm.isf(stats.f.sf(f, between, within))
        assert normal_score(f, between, within) == pytest.approx(exact, abs=0.1)


def test_logistic_regression_agrees_with_scikit_learn():
    linear_model = pytest.importorskip("sklearn.linear_model")
    rng = np.random.default_rng(4)
    rows = rng.standard_normal((300, 3))
    truth = (rows @ [1.0, -2.0, 0.5] + rng.logistic(size=300) > 0.3).astype(float)
    weight = rng.uniform(0.5, 2, 300)
    intercept, weights = fit_logistic(rows, truth, weight, ridge=0.01)
    # Its C is one over the penalty on half the squared length, summed over samples.
    other = linear_model.LogisticRegression(C=1 / (0.01 * 300), tol=1e-10, max_iter=1000).fit(rows, truth, weight)
    assert intercept == pytest.approx(other.intercept_[0], abs=1e-4)
    np.testing.assert_allclose(weights, other.coef_[0], atol=1e-4)


@pytest.mark.parametrize("shape", [(60, 50), (1000, 50), (1000, 8)])
def test_levels_that_rise_by_chance_are_no_re_exposure_however_long_the_log(shape):
    """A thousand epochs make sure of any slope of the levels; how rare a line through so few of them is, they do not change."""
    told = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        told.append(diagnose(2 + 0.1 * rng.standard_normal(shape[1]) + 0.05 * rng.standard_normal(shape)).causes)
    assert all(causes[0] == "fixed_order" and "re_exposure" not in causes for causes in told)
    # The levels of few places may settle by chance, as a running mean's do: seen in one of sixty logs.
    assert sum(causes != ("fixed_order",) for causes in told) <= (shape[1] < 10)


@pytest.mark.parametrize(("places", "alike"), [(4, True), (12, False)])
def test_levels_that_rise_over_few_places_are_said_to_look_like_re_exposure(places, alike):
    noise = 0.02 * np.random.default_rng(6).standard_normal((40, places))
    jagged = 0.3 * np.random.default_rng(7).standard_normal(places) if not alike else 0
    found = diagnose(2 + np.linspace(-0.5, 0.5, places) + jagged + noise)
    assert found.causes[0] == "fixed_order"
    lines = diagnosis_lines(found, "train.log")
    assert any("re-exposure to the samples would look the same" in line for line in lines) == alike
