"""Likelihood of a mean over the epoch so far: its covariances and density by their definitions, and its sign for all marks."""

import numpy as np
import pytest
import scipy.stats

from jaxsgd.diagnosis import epoch_mean
from jaxsgd.diagnosis.epoch_mean import epoch_mean_likelihood
from jaxsgd.diagnosis.habit import Habit, habit_log, printed
from jaxsgd.diagnosis.period import find_period


def likelihood(loss, interval, form="window", **habit):
    values, at = printed(loss, Habit(interval, form, **habit))
    log = habit_log(values, at, loss.shape[1])
    return epoch_mean_likelihood(log.loss, find_period(log))


def test_the_covariances_of_changes_are_those_of_means_written_out_as_a_matrix():
    number, epoch, batches = np.array([2.0, 5, 8, 1, 4, 3]), np.array([0, 0, 0, 1, 1, 2]), 8
    # Each row averages the first batches of its epoch.
    means = np.zeros((6, 3 * batches))
    for row, (count, of) in enumerate(zip(number, epoch, strict=True)):
        means[row, of * batches : of * batches + int(count)] = 1 / count
    changes = np.diff(means, axis=0)
    expected = changes @ changes.T
    bands = epoch_mean._of_changes(epoch_mean._mean_bands(number, epoch))
    for lag in range(5):
        band = bands[lag, : 5 - lag] if lag < len(bands) else 0.0
        np.testing.assert_allclose(np.diagonal(expected, -lag), band, atol=1e-12)


def test_the_log_likelihood_is_that_of_a_normal_distribution_with_the_likeliest_scale_and_drift():
    rng = np.random.default_rng(0)
    number, epoch = np.tile([1.0, 2, 3], 4), np.repeat(np.arange(4), 3)
    bands = epoch_mean._of_changes(epoch_mean._mean_bands(number, epoch))
    change, drift = rng.standard_normal(11), np.ones(11)
    best = -np.inf
    for size in epoch_mean.DRIFTS:
        covariance = sum(np.diag(band[: 11 - lag], lag) for lag, band in enumerate(bands))
        covariance = covariance + np.triu(covariance, 1).T + size * np.eye(11)
        scale = change @ np.linalg.solve(covariance, change) / 11
        best = max(best, float(scipy.stats.multivariate_normal(np.zeros(11), scale * covariance).logpdf(change)))
    # The constant of a normal density with the likeliest scale is left out.
    constant = -11 / 2 * (1 + np.log(2 * np.pi))
    assert epoch_mean._log_likelihood(change, bands, drift, 11) + constant == pytest.approx(best, abs=1e-6)


@pytest.mark.parametrize("levels", [0.0, 2.0])
@pytest.mark.parametrize(("prints", "epochs"), [(2, 60), (3, 40), (5, 20), (60, 8)])
def test_a_running_mean_is_recognized_however_few_prints_an_epoch_has(prints, epochs, levels):
    rng = np.random.default_rng(1)
    loss = rng.standard_normal((epochs, 4 * prints)) + levels * rng.standard_normal(4 * prints)
    assert likelihood(loss, 4, "running") > 3
    for form in ("window", "batch", "smooth"):
        assert likelihood(loss, 4, form) < 0


def test_a_running_mean_is_recognized_where_the_interval_does_not_divide_the_epoch():
    loss = np.random.default_rng(2).standard_normal((60, 11))
    assert likelihood(loss, 4, "running") > 3
    assert likelihood(loss, 4, "running", restarts=True) > 3
    assert likelihood(loss, 4) < -2


@pytest.mark.parametrize(
    "marked",
    [
        pytest.param(lambda loss: loss * (1.05 + np.cos(np.pi * np.arange(20) / 20)), id="scatters less within the epoch"),
        pytest.param(lambda loss: loss + np.cumsum(loss[::-1]).reshape(loss.shape) / 3, id="drifts"),
        pytest.param(lambda loss: loss + np.linspace(0, 3, 20), id="rises within the epoch"),
        pytest.param(lambda loss: loss + 30 * np.exp(-np.arange(800).reshape(40, 20) / 200), id="falls"),
        pytest.param(lambda loss: loss * np.where(np.arange(20) == 19, 4, 1), id="last batch scatters more"),
    ],
)
def test_other_marks_are_no_mean_over_the_epoch(marked):
    loss = marked(np.random.default_rng(3).standard_normal((40, 20)))
    assert likelihood(loss, 1) < -5
    assert likelihood(loss, 5) < -2


def test_too_few_epochs_say_nothing():
    loss = np.random.default_rng(4).standard_normal((4, 20))
    assert likelihood(loss, 5, "running") == 0
    assert likelihood(np.ones((20, 20)), 5) == 0


@pytest.mark.parametrize("prints", [2, 3])
def test_a_running_mean_over_samples_that_are_visited_once_an_epoch_is_recognized(prints):
    """The second half of an epoch lacks the samples that the first had: the mean over the whole epoch hardly changes."""
    rng = np.random.default_rng(5)
    samples = np.stack([rng.permutation(np.linspace(-1, 1, 4 * prints)) for _ in range(40)])
    loss = samples + 0.1 * rng.standard_normal(samples.shape)
    assert likelihood(loss, 4, "running") > 3
    assert likelihood(loss, 4) < -2


@pytest.mark.parametrize("form", ["window", "running"])
def test_levels_that_return_exactly_say_nothing(form):
    loss = np.tile(np.random.default_rng(6).standard_normal(20), (20, 1))
    assert likelihood(loss, 5, form) == 0
