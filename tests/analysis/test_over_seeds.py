"""Every setting's median and mean over the seeds: against SciPy's interval, against `best`, and with runs that diverged."""

import numpy as np
import pytest
from scipy import stats

import jaxsgd
from jaxsgd.analysis import over_seeds
from jaxsgd.analysis.confidence import SAME
from tests.analysis.test_best import RATES, SEEDS, by_rate, stored


@pytest.fixture(scope="module")
def last():
    """Values of 7 seeds, two orders and three rates."""
    return np.random.default_rng(0).normal(size=(SEEDS, 2, 3))


def test_the_mean_has_students_interval_and_the_median_is_that_of_the_seeds(last):
    settings = over_seeds(stored(last, order=["fixed", "reshuffle"], learning_rate=RATES), confidence=0.9)
    assert settings.median_value.dims == ("order", "learning_rate")
    np.testing.assert_allclose(settings.median_value, np.median(last, axis=0))
    np.testing.assert_allclose(settings.mean_value, last.mean(axis=0))
    interval = stats.ttest_1samp(last, 0, axis=0).confidence_interval(0.9)
    np.testing.assert_allclose(settings.mean_low, interval.low)
    np.testing.assert_allclose(settings.mean_high, interval.high)
    assert (settings.seeds == SEEDS).all()
    assert not settings.diverged.any()


@pytest.mark.parametrize("name", ["loss_epoch", "validation_accuracy"])
def test_where_nothing_is_searched_the_medians_are_those_of_best(last, name):
    ds = stored(last, name=name, order=["fixed", "reshuffle"], batch_count=[2, 5, 10])
    settings, best = over_seeds(ds, name), jaxsgd.best(ds, name)
    for column in ("median_value", "low", "high"):
        np.testing.assert_array_equal(settings[column], best[column])
    assert (settings.low < settings.median_value).all()
    assert (settings.median_value < settings.high).all()


def test_a_run_that_diverged_is_infinitely_bad_in_the_median_and_left_out_of_the_mean(last):
    diverged = np.zeros(last.shape, bool)
    diverged[:4, 0, 2] = diverged[0, 1, 0] = True
    values = np.where(diverged, np.nan, last)
    settings = over_seeds(stored(values, diverged, order=["fixed", "reshuffle"], learning_rate=RATES))
    assert settings.median_value.values[0, 2] == np.inf
    np.testing.assert_allclose(settings.mean_value, np.nanmean(values, axis=0))
    np.testing.assert_array_equal(settings.diverged, diverged.sum(axis=0))
    assert (settings.seeds == SEEDS).all()


def test_seeds_without_spread_have_no_interval():
    settings = over_seeds(by_rate(3.0, 1.0, 2.0))
    assert settings.no_interval.values.tolist() == [SAME] * 3
    for column in ("low", "high", "mean_low", "mean_high"):
        assert np.isnan(settings[column]).all()
