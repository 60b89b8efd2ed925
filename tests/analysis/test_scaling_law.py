"""Steps to a target, and the curve that batch-count scaling follows."""

import numpy as np
import pytest

from jaxsgd import InputError
from jaxsgd.analysis.scaling_law import critical_batch_size, fit_bend, power_of_size, regimes, steps_to_target

SIZES = np.array([1, 2, 4, 8, 16, 32, 64, 128.0])


def curve(critical, sizes=SIZES, fewest=100.0):
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


def test_an_accuracy_is_reached_from_below():
    np.testing.assert_allclose(steps_to_target([0.2, 0.6, 0.9], [1, 2, 3], 0.4, rising=True), 1.5)
    assert np.isnan(steps_to_target([0.2, 0.6], [1, 2], 0.7, rising=True))


def test_reached_at_the_first_record_it_has_that_records_step_as_a_bound():
    assert steps_to_target([0.5, 0.4], [7, 14], 1.0) == 7


def test_what_is_never_reached_is_missing_and_so_is_what_a_diverged_run_does_after():
    found = steps_to_target([[3, 2, 1.5], [3, np.nan, np.nan], [3, np.inf, 0.5]], [1, 2, 3], 1.0)
    np.testing.assert_array_equal(np.isnan(found), [True, True, False])
    # From infinity there is no straight line: the record itself.
    assert found[2] == 3


def test_steps_may_differ_from_curve_to_curve():
    found = steps_to_target([[2.0, 1.0], [2.0, 1.0]], [[1, 2], [10, 20]], 1.5)
    np.testing.assert_allclose(found, [1.5, 15])


@pytest.mark.parametrize(
    ("value", "step", "target", "said"),
    [
        ([1.0, 2.0], [1, 2, 3], 1.0, r"share their last axis.*\(2,\) and \(3,\)"),
        ([1.0], [1], np.nan, "target must be finite, got nan"),
    ],
)
def test_wrong_arguments_are_named(value, step, target, said):
    with pytest.raises(InputError, match=said):
        steps_to_target(value, step, target)


@pytest.mark.parametrize("critical", [1.5, 20, 90])
def test_the_fit_finds_the_curve_that_made_the_steps(critical):
    found = fit_bend(curve(critical), SIZES)
    np.testing.assert_allclose(found, (critical, 100, 100 * critical), rtol=1e-3)
    # McCandlish et al.'s form of it.
    steps = curve(critical)
    product = (steps / found.fewest_steps - 1) * (steps * SIZES / found.fewest_samples - 1)
    np.testing.assert_allclose(product, 1, rtol=5e-3)


def test_many_fits_at_once_are_the_fits_one_by_one():
    steps = np.stack([curve(3), curve(30), curve(50)])
    steps[2, 4] = np.nan
    together = fit_bend(steps, SIZES)
    for place, own in enumerate(steps):
        np.testing.assert_allclose([part[place] for part in together], fit_bend(own, SIZES), rtol=1e-12)
    np.testing.assert_allclose(together.critical, [3, 30, 50], rtol=1e-3)


def test_a_straight_curve_has_no_bend():
    assert fit_bend(1000 / SIZES, SIZES)[:2] == (np.inf, 0)
    assert fit_bend(np.full(8, 7.0), SIZES)[0] == 0


def test_two_sizes_are_too_few():
    assert np.isnan(fit_bend([10, 5, np.inf], SIZES[:3])).all()


def test_the_interval_holds_what_made_the_steps_and_tells_it_from_half_and_twice():
    found = critical_batch_size(scattered(curve(20)), SIZES)
    assert 10 < found.low < found.critical < found.high < 40
    assert found.low < 20 < found.high


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    rng, held = np.random.default_rng(1), 0
    for _ in range(60):
        steps = curve(20)[:, None] * np.exp(0.2 * rng.normal(size=(len(SIZES), 15)))
        found = critical_batch_size(steps, SIZES, level=0.9, resamples=200)
        held += found.low <= 20 <= found.high
    # 54 expected of 60; a bootstrap of 15 seeds is known to be a little short.
    assert 42 <= held <= 60


def test_a_fit_without_a_bend_gives_an_open_interval_and_no_number():
    perfect = critical_batch_size(scattered(1000 / SIZES), SIZES)
    assert np.isnan(perfect.critical)
    assert (perfect.low, perfect.high) == (128, np.inf)
    none = critical_batch_size(scattered(np.full(8, 50.0)), SIZES)
    assert np.isnan(none.critical)
    assert (none.low, none.high) == (0, 1)


def test_where_the_sizes_do_not_bound_it_on_one_side_the_interval_is_open_there():
    found = critical_batch_size(scattered(curve(100, SIZES), spread=0.6), SIZES)
    assert found.high == np.inf
    assert 1 < found.low < 128


def test_one_seed_has_no_interval():
    found = critical_batch_size(curve(20)[:, None], SIZES)
    np.testing.assert_allclose(found.critical, 20, rtol=1e-3)
    assert np.isnan([found.low, found.high]).all()


def test_a_run_that_never_arrives_counts_as_later_than_all_others():
    steps = np.repeat(curve(20)[:, None], 5, axis=1)
    steps[3, :2] = np.nan
    np.testing.assert_allclose(critical_batch_size(steps, SIZES).critical, 20, rtol=1e-3)
    steps[3, :3] = np.nan  # the median is one of them: that size is left out
    np.testing.assert_allclose(critical_batch_size(steps, SIZES).critical, 20, rtol=1e-3)


def test_the_same_seed_gives_the_same_interval():
    steps = scattered(curve(20))
    assert critical_batch_size(steps, SIZES, seed=3) == critical_batch_size(steps, SIZES, seed=3)
    assert critical_batch_size(steps, SIZES, seed=3) != critical_batch_size(steps, SIZES, seed=4)


def test_arrays_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match=r"steps must be \[sizes, seeds\].*\(8,\)"):
        critical_batch_size(np.ones(8), SIZES)


def test_the_three_regimes():
    # Within 1.25 of the fewest samples, 1100 at B = 1, are B = 1 and 2; of the fewest steps, 107.8 at 128, those from 32 on.
    found = regimes(curve(10), SIZES)
    assert found.tolist() == ["perfect"] * 2 + ["diminishing"] * 3 + ["none"] * 3


def test_a_regime_that_does_not_span_a_doubling_is_not_located():
    assert regimes(1000 / SIZES, SIZES).tolist() == ["perfect"] * 8
    assert regimes(np.full(8, 5.0), SIZES).tolist() == ["none"] * 8
    assert regimes(SIZES**-0.5, SIZES).tolist() == ["diminishing"] * 8
    assert regimes([np.nan, 3, 2, np.inf], SIZES[:4]).tolist() == ["", "diminishing", "diminishing", ""]


@pytest.mark.parametrize("power", [0, 0.5, 1])
def test_the_power_of_the_size(power):
    rate = np.where(SIZES == 4, np.nan, 0.3 * SIZES**power)
    np.testing.assert_allclose(power_of_size(rate, SIZES), power, atol=1e-12)
    assert np.isnan(power_of_size([np.nan, 1.0], SIZES[:2]))
