"""Steps to a target against batch size, on curves whose answer is known."""

import numpy as np
import pytest

from jaxsgd import InputError
from jaxsgd.analysis.steps_by_size import critical_batch_size, fit_bend, power_of_size, regimes, steps_to_target

CURVE_SIZES = np.array([1, 2, 4, 8, 16, 32, 64, 128.0])


def law(critical, sizes=CURVE_SIZES, fewest=100.0):
    return fewest * (1 + critical / sizes)


def scattered(steps, seeds=20, spread=0.1):
    return steps[:, None] * np.exp(spread * np.random.default_rng(0).normal(size=(len(steps), seeds)))


def test_between_two_records_the_curve_is_straight():
    np.testing.assert_allclose(steps_to_target([4.0, 2.0, 1.0], [10, 20, 40], 1.5), 30)
    np.testing.assert_allclose(steps_to_target([4.0, 2.0, 1.0], [10, 20, 40], 2.0), 20)


def test_with_a_record_after_every_step_it_is_the_first_record_at_or_past_the_target():
    curve = [[4.0, 2.0, 1.0], [1.0, 0.5, 0.2], [4.0, 3.0, 2.0]]
    np.testing.assert_array_equal(steps_to_target(curve, [1, 2, 3], 1.5, exact=True), [3, 1, np.nan])
    mixed = steps_to_target(curve[:1] * 2, [1, 2, 3], 1.5, exact=[True, False])
    np.testing.assert_allclose(mixed, [3, 2.5])


def test_the_first_time_counts_though_the_curve_rises_again():
    np.testing.assert_allclose(steps_to_target([4.0, 1.0, 5.0, 0.5], [1, 2, 3, 4], 2.5), 1.5)


def test_a_rising_curve_reaches_its_target_from_below():
    np.testing.assert_allclose(steps_to_target([0.2, 0.6, 0.9], [1, 2, 3], 0.4, rising=True), 1.5)
    assert np.isnan(steps_to_target([0.2, 0.6], [1, 2], 0.7, rising=True))


def test_reached_at_the_first_record_it_has_that_records_step_as_a_bound():
    assert steps_to_target([0.5, 0.4], [7, 14], 1.0) == 7


def test_what_is_never_reached_is_missing_and_so_is_what_a_diverged_run_does_after():
    steps = steps_to_target([[3, 2, 1.5], [3, np.nan, np.nan], [3, np.inf, 0.5]], [1, 2, 3], 1.0)
    np.testing.assert_array_equal(np.isnan(steps), [True, True, False])
    # From infinity there is no straight line: the record itself.
    assert steps[2] == 3


def test_steps_may_differ_from_curve_to_curve():
    steps = steps_to_target([[2.0, 1.0], [2.0, 1.0]], [[1, 2], [10, 20]], 1.5)
    np.testing.assert_allclose(steps, [1.5, 15])


@pytest.mark.parametrize(
    ("value", "step", "target", "message"),
    [
        ([1.0, 2.0], [1, 2, 3], 1.0, r"share their last axis.*\(2,\) and \(3,\)"),
        ([1.0], [1], np.nan, "target must be a finite number, got nan"),
    ],
)
def test_wrong_arguments_are_named(value, step, target, message):
    with pytest.raises(InputError, match=message):
        steps_to_target(value, step, target)


@pytest.mark.parametrize("critical", [1.5, 20, 90])
def test_the_fit_finds_the_curve_that_made_the_steps(critical):
    fit = fit_bend(law(critical), CURVE_SIZES)
    np.testing.assert_allclose(fit, (critical, 100, 100 * critical), rtol=1e-3)
    # McCandlish et al.'s form of it.
    steps = law(critical)
    product = (steps / fit.fewest_steps - 1) * (steps * CURVE_SIZES / fit.fewest_samples - 1)
    np.testing.assert_allclose(product, 1, rtol=5e-3)


def test_many_fits_at_once_are_the_fits_one_by_one():
    steps = np.stack([law(3), law(30), law(50)])
    steps[2, 4] = np.nan
    together = fit_bend(steps, CURVE_SIZES)
    for place, own in enumerate(steps):
        np.testing.assert_allclose([part[place] for part in together], fit_bend(own, CURVE_SIZES), rtol=1e-12)
    np.testing.assert_allclose(together.critical, [3, 30, 50], rtol=1e-3)


def test_a_straight_curve_has_no_bend():
    assert fit_bend(1000 / CURVE_SIZES, CURVE_SIZES)[:2] == (np.inf, 0)
    assert fit_bend(np.full(8, 7.0), CURVE_SIZES)[0] == 0


def test_two_sizes_are_too_few():
    assert np.isnan(fit_bend([10, 5, np.inf], CURVE_SIZES[:3])).all()


def test_the_interval_holds_what_made_the_steps_and_tells_it_from_half_and_twice():
    estimate = critical_batch_size(scattered(law(20)), CURVE_SIZES)
    assert 10 < estimate.low < estimate.critical < estimate.high < 40
    assert estimate.low < 20 < estimate.high


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    rng, covered = np.random.default_rng(1), 0
    for _ in range(60):
        steps = law(20)[:, None] * np.exp(0.2 * rng.normal(size=(len(CURVE_SIZES), 15)))
        estimate = critical_batch_size(steps, CURVE_SIZES, confidence=0.9, resamples=200)
        covered += estimate.low <= 20 <= estimate.high
    # 54 expected of 60; a bootstrap of 15 seeds is known to be a little short.
    assert 42 <= covered <= 60


def test_a_fit_without_a_bend_gives_an_open_interval_and_no_number():
    perfect = critical_batch_size(scattered(1000 / CURVE_SIZES), CURVE_SIZES)
    assert np.isnan(perfect.critical)
    assert (perfect.low, perfect.high) == (128, np.inf)
    none = critical_batch_size(scattered(np.full(8, 50.0)), CURVE_SIZES)
    assert np.isnan(none.critical)
    assert (none.low, none.high) == (0, 1)


def test_where_the_sizes_do_not_bound_it_on_one_side_the_interval_is_open_there():
    estimate = critical_batch_size(scattered(law(100, CURVE_SIZES), spread=0.6), CURVE_SIZES)
    assert estimate.high == np.inf
    assert 1 < estimate.low < 128


def test_the_critical_batch_size_of_one_seed_has_no_interval():
    estimate = critical_batch_size(law(20)[:, None], CURVE_SIZES)
    np.testing.assert_allclose(estimate.critical, 20, rtol=1e-3)
    assert np.isnan([estimate.low, estimate.high]).all()


def test_a_run_that_never_arrives_counts_as_later_than_all_others():
    steps = np.repeat(law(20)[:, None], 5, axis=1)
    steps[3, :2] = np.nan
    np.testing.assert_allclose(critical_batch_size(steps, CURVE_SIZES).critical, 20, rtol=1e-3)
    steps[3, :3] = np.nan  # the median is one of them: that size is left out
    np.testing.assert_allclose(critical_batch_size(steps, CURVE_SIZES).critical, 20, rtol=1e-3)


def test_the_same_seed_gives_the_same_interval():
    steps = scattered(law(20))
    assert critical_batch_size(steps, CURVE_SIZES, seed=3) == critical_batch_size(steps, CURVE_SIZES, seed=3)
    assert critical_batch_size(steps, CURVE_SIZES, seed=3) != critical_batch_size(steps, CURVE_SIZES, seed=4)


def test_arrays_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match=r"steps must be \[sizes, seeds\].*\(8,\)"):
        critical_batch_size(np.ones(8), CURVE_SIZES)


def test_the_three_regimes():
    # Within 1.25 of the fewest samples, 1100 at B = 1, are B = 1 and 2; of the fewest steps, 107.8 at 128, those from 32 on.
    labels = regimes(law(10), CURVE_SIZES)
    assert labels.tolist() == ["perfect"] * 2 + ["diminishing"] * 3 + ["none"] * 3


def test_a_regime_that_does_not_span_a_doubling_is_not_located():
    assert regimes(1000 / CURVE_SIZES, CURVE_SIZES).tolist() == ["perfect"] * 8
    assert regimes(np.full(8, 5.0), CURVE_SIZES).tolist() == ["none"] * 8
    assert regimes(CURVE_SIZES**-0.5, CURVE_SIZES).tolist() == ["diminishing"] * 8
    assert regimes([np.nan, 3, 2, np.inf], CURVE_SIZES[:4]).tolist() == ["", "diminishing", "diminishing", ""]


@pytest.mark.parametrize("power", [0, 0.5, 1])
def test_the_power_of_the_size(power):
    rate = np.where(CURVE_SIZES == 4, np.nan, 0.3 * CURVE_SIZES**power)
    np.testing.assert_allclose(power_of_size(rate, CURVE_SIZES), power, atol=1e-12)
    assert np.isnan(power_of_size([np.nan, 1.0], CURVE_SIZES[:2]))
