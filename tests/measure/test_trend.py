"""The trend through means over whole periods: lines, patterns, and the moving mean."""

import numpy as np
import pytest

from jaxsgd.diagnosis.fold import fold
from jaxsgd.measure.stripes import stripes
from jaxsgd.measure.trend import cycle_trend, moving_mean, period_means
from tests.diagnosis.test_features import logged

WIDTHS = [2, 3, 4, 7]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("every", ["mean", "cycle"])
def test_a_line_is_its_own_trend_and_what_repeats_has_a_flat_one(width, every):
    count = 8 * width
    line, pattern = 0.5 * np.arange(count), np.tile(np.random.default_rng(3).standard_normal(width), 8)
    trend = cycle_trend(line + pattern, width, 1 if every == "mean" else width)
    np.testing.assert_allclose(trend, line + pattern[:width].mean(), atol=1e-12)


@pytest.mark.parametrize("width", WIDTHS)
def test_a_moving_mean_is_the_mean_around_each_value_whose_ends_count_half_where_the_width_is_even(width):
    values = np.random.default_rng(4).standard_normal((30, 2))
    weight = np.ones(width) if width % 2 else np.r_[0.5, np.ones(width - 1), 0.5]
    expected = np.stack([np.convolve(column, weight / width, "valid") for column in values.T], axis=-1)
    np.testing.assert_allclose(moving_mean(values, width), expected, atol=1e-12)


def test_means_begin_at_every_step():
    values = np.arange(7.0) ** 2
    np.testing.assert_allclose(period_means(values, 3, 1), [5 / 3, 14 / 3, 29 / 3, 50 / 3, 77 / 3])
    np.testing.assert_allclose(period_means(values, 3, 3), [5 / 3, 50 / 3])


def test_of_a_curve_the_trend_through_all_means_leaves_a_constant_and_that_through_cycles_a_pattern():
    # A mean of t^2 over the width w around t is t^2 + (w^2 - 1) / 12, for odd w.
    time, width = np.arange(35.0), 7
    left = (time**2 - cycle_trend(time**2, width, 1))[3:-3]
    np.testing.assert_allclose(left, -(width**2 - 1) / 12, atol=1e-9)
    # Between the middles of cycles a line lies above the curve by up to w^2 / 4 more; at odd w nearly that.
    between = (time**2 - cycle_trend(time**2, width, width))[3:-3]
    assert np.ptp(between) == pytest.approx(width**2 / 4, abs=0.3)


def test_stripes_and_the_diagnosis_have_the_same_levels():
    rng = np.random.default_rng(5)
    loss = rng.standard_normal(3) + 0.1 * rng.standard_normal((40, 3)) - 0.01 * np.arange(120).reshape(40, 3)
    level = stripes(loss, 1).level
    log, period = logged(loss)
    folded = fold(log.loss, period)
    # The diagnosis divides by the scale around each print; the levels' differences keep their ratios.
    np.testing.assert_allclose(np.corrcoef(level, folded.level)[0, 1], 1, atol=1e-3)
