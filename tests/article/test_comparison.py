"""The numbers that are compared."""

import math

import numpy as np
import pytest

import jaxsgd
from jaxsgd.article.comparison import (
    chance_of_wider,
    measure_seeds,
    percentile_rank,
    quantities,
    rises,
    sampling_gap,
    spread,
)


def falling_stripes(levels, slope, epochs):
    """Loss [E, m] that prints stripes at these levels, each falling by `slope` an epoch in equal steps."""
    count = len(levels)
    return np.asarray(levels) + slope * (np.arange(epochs)[:, None] + np.arange(count) / count)


def test_quantities_of_a_run_made_to_measure():
    measured = quantities(jaxsgd.stripes(falling_stripes([2.0, 1.0], -0.01, 30), 1))
    assert measured.first_loss == 2.0
    assert measured.gap == pytest.approx(1.0)
    assert measured.slope == pytest.approx(-0.01)
    assert measured.stripe_count == 2
    assert measured.stripe_index == pytest.approx(1.0)


def test_a_run_that_became_non_finite_is_missing_and_leaves_the_others_alone():
    good = falling_stripes([2.0, 1.0], -0.01, 30)
    bad = good.copy()
    bad[20, 1] = np.inf
    measured = measure_seeds(np.stack([good, bad, good]), 1)
    for values in measured:
        assert np.isnan(values[1])
        assert values[0] == values[2]
        assert np.isfinite(values[0])


@pytest.mark.parametrize(
    ("value", "place"),
    # Among 1, 2, 3, 4: none is below 1, and half of the equal one counts: 0.5 of 4.
    [(0.0, 0), (1.0, 12.5), (2.5, 50), (4.0, 87.5), (5.0, 100)],
)
def test_percentile_place(value, place):
    assert percentile_rank(value, [4, 2, 1, 3]) == place


def test_percentile_place_passes_over_what_is_missing():
    assert percentile_rank(2.5, [1, math.nan, 2, math.inf, 3, 4]) == 50
    assert math.isnan(percentile_rank(1.0, [math.nan]))
    assert math.isnan(percentile_rank(math.nan, [1.0]))


def test_spread_of_a_ramp():
    # 0 ... 100: the quantiles are the numbers themselves; variance of n = 101 equal steps is n (n + 1) / 12 = 858.5.
    measured = spread([*np.arange(101.0), math.nan])
    assert measured[:4] == (50, 5, 95, 50)
    assert measured.error == pytest.approx(math.sqrt(858.5 / 101))
    assert measured.finite == 101


def test_spread_of_nothing_is_missing():
    assert spread([math.nan]).finite == 0
    assert math.isnan(spread([math.nan]).median)


def test_sampling_gap_of_two_stripes():
    # Two normal draws are 2 / sqrt(pi) apart on average; each level is a mean of 50 of the 100 samples.
    sample_loss = np.random.default_rng(0).normal(3, 2, 100)
    expected = np.std(sample_loss, ddof=1) / math.sqrt(50) * 2 / math.sqrt(math.pi)
    assert sampling_gap(sample_loss, batch_count=10, eval_interval=5) == pytest.approx(expected, rel=1e-6)


def test_sampling_gap_is_what_chance_makes():
    # 400 data sets of 120 samples in 4 stripes of 30: the mean gap has a standard error of about 2 %.
    losses = np.random.default_rng(1).gamma(2.0, size=(400, 120))
    gaps = np.ptp(losses.reshape(400, 4, 30).mean(axis=-1), axis=-1)
    assert sampling_gap(losses, batch_count=4, eval_interval=1).mean() == pytest.approx(gaps.mean(), rel=0.06)


@pytest.mark.parametrize(("batch_count", "eval_interval"), [(10, 10), (10, 20), (10, 4), (1, 1)])
def test_sampling_gap_is_missing_where_stripes_share_samples_or_are_one(batch_count, eval_interval):
    assert np.isnan(sampling_gap(np.arange(20.0), batch_count, eval_interval))


@pytest.mark.parametrize("width", [0.1, 1.0, 3.0])
def test_chance_of_a_wider_gap_between_two(width):
    # The difference of two standard normal draws is N(0, 2): P(|d| > r) = erfc(r / 2).
    expected = 2 / math.sqrt(math.pi)
    assert chance_of_wider(width, expected, 2) == pytest.approx(math.erfc(width / 2), abs=1e-6)


def test_chance_of_a_wider_gap_among_five():
    draws = np.ptp(np.random.default_rng(2).normal(size=(40_000, 5)), axis=1)
    # 40,000 draws give a probability to within 0.0025 (one standard error).
    assert chance_of_wider(2.5, jaxsgd.measure.expected_range(5), 5) == pytest.approx((draws > 2.5).mean(), abs=0.01)


def test_chance_is_missing_without_an_expectation():
    assert math.isnan(chance_of_wider(1.0, math.nan, 2))
    assert math.isnan(chance_of_wider(0.0, 1.0, 1))


def test_rises():
    assert rises([3, 1, 2, 2, 5]) == (2, 4)
    assert rises([1.0]) == (0, 0)
