"""Stripes: windows, levels, slopes, gap, index, and what is to be expected of them."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxsgd
from jaxsgd.measure.stripes import (
    chance_deviation,
    expected_range,
    hiding_interval,
    is_telling,
    sampling_spread,
    stripe_count,
    stripes,
    windows,
)
from tests import probe

SHAPES = [(), (3,), (2, 3), (0,)]
"""Leading axes: of one run, of runs, of runs by two axes, and of no run."""


def noise(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def printed(loss, eval_interval):
    """Return the values that a trainer prints: the mean loss since it last printed, every `eval_interval` batches."""
    lines, total, count = [], 0.0, 0
    for epoch in loss:
        for batch_loss in epoch:
            total, count = total + batch_loss, count + 1
            if count == eval_interval:
                lines.append(total / count)
                total, count = 0.0, 0
    return lines


def lines_and_levels(batch_levels, slope, epochs):
    """Loss [E, m] of fixed levels plus a line of the given slope per epoch, at the end of each iteration."""
    batch_count = len(batch_levels)
    time = np.arange(1, epochs * batch_count + 1) / batch_count
    return np.tile(batch_levels, (epochs, 1)) + slope * time.reshape(epochs, batch_count)


# Windows


@pytest.mark.parametrize("leading", SHAPES)
@pytest.mark.parametrize(("batch_count", "eval_interval"), [(10, 5), (10, 3), (10, 10), (10, 25), (4, 5), (7, 1), (1, 2)])
def test_windows_are_what_a_trainer_prints(batch_count, eval_interval, leading):
    loss = noise(*leading, 6, batch_count)
    got = windows(loss, eval_interval)
    assert got.shape == (*leading, 6 * batch_count // eval_interval)
    for place in np.ndindex(leading):
        np.testing.assert_allclose(got[place], printed(loss[place], eval_interval), rtol=1e-12)


def test_windows_of_a_whole_epoch_are_the_epochs_means():
    loss = noise(5, 8)
    np.testing.assert_allclose(windows(loss, 8), loss.mean(axis=1), rtol=1e-12)


@pytest.mark.parametrize("make", [np.asarray, jnp.asarray, lambda loss: loss.tolist()], ids=["numpy", "jax", "list"])
def test_float32_is_averaged_in_float64(make):
    # 2^24 + 1 is no float32: added up in float32, the ones after 2^24 are lost.
    loss = np.float32([[2**24, 1, 1, 1]])
    got = windows(make(loss), 4)
    assert got.dtype == np.float64
    assert got == (2**24 + 3) / 4


@pytest.mark.parametrize("shape", [(), (5,), (0, 3), (3, 0)])
@pytest.mark.parametrize("measure", [windows, stripes])
def test_a_loss_without_epochs_and_batches_is_refused(measure, shape):
    with pytest.raises(jaxsgd.InputError) as caught:
        measure(np.zeros(shape), 1)
    assert str(caught.value) == f"loss must have shape [..., epochs, batches], got {list(shape)}"


@pytest.mark.parametrize("value", [0, -1, 7, 2.5, None])
@pytest.mark.parametrize("measure", [windows, stripes])
def test_an_interval_outside_the_iterations_is_refused(unchecked, measure, value):
    with pytest.raises(jaxsgd.InputError) as caught:
        measure(np.zeros((2, 3)), value)
    expected = "eval_interval must be a whole number from 1 to 6 (the number of batch losses)"
    assert str(caught.value) == f"{expected}, got {value}"


def test_an_interval_may_be_whole_as_a_float(unchecked):
    loss = noise(6, 10)
    assert stripes(loss, 5.0).stripe_index == stripes(loss, 5).stripe_index


# The count


@pytest.mark.parametrize(
    ("batch_count", "eval_interval", "count"),
    [
        (10, 5, 2),  # the article's first experiment: windows of batches 0-4 and 5-9
        (20, 5, 4),  # its second
        (20, 20, 1),  # its third: a whole epoch
        (20, 40, 1),
        (4, 5, 4),  # aliasing: windows begin at batches 0, 1, 2, 3, 0 ...
        (10, 3, 10),  # 0, 3, 6, 9, 2, 5, 8, 1, 4, 7
        (10, 4, 5),  # 0, 4, 8, 2, 6
        (10, 1, 10),
        (1, 1, 1),
    ],
)
def test_as_many_stripes_as_places_where_a_window_can_begin(batch_count, eval_interval, count):
    assert stripe_count(batch_count, eval_interval) == count
    assert count == len({k * eval_interval % batch_count for k in range(1000)})
    got = stripes(noise(3 * count * eval_interval, batch_count), eval_interval)
    assert got.stripe_count == count
    begins = np.arange(got.windows.size) * eval_interval % batch_count
    for stripe in range(count):
        assert set(begins[got.stripe == stripe]) == {stripe * eval_interval % batch_count}


@pytest.mark.parametrize(("batch_count", "eval_interval"), [(0, 5), (10, 0), (10, -5)])
def test_a_count_of_nothing_is_refused(batch_count, eval_interval):
    with pytest.raises(jaxsgd.InputError, match=r"^(batch_count|eval_interval) must be a whole number of at least 1, got "):
        stripe_count(batch_count, eval_interval)


def test_time_is_when_a_window_ends_in_epochs():
    # Windows of 5 batches, 4 to an epoch of 20; and of 5 batches in epochs of 4.
    np.testing.assert_allclose(stripes(noise(2, 20), 5).time, [0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75, 2])
    np.testing.assert_allclose(stripes(noise(5, 4), 5).time, [1.25, 2.5, 3.75, 5])


# Levels, slopes and gap


@pytest.mark.parametrize("slope", [0.0, -0.01, 3.0])
@pytest.mark.parametrize(("batch_count", "eval_interval"), [(10, 5), (20, 5), (4, 5), (10, 3), (10, 4), (6, 1), (20, 20)])
def test_levels_slopes_and_gap_of_fixed_levels_plus_a_line_are_recovered(batch_count, eval_interval, slope):
    epochs = 3 * eval_interval
    batch_levels = noise(batch_count, seed=1)
    got = stripes(lines_and_levels(batch_levels, slope, epochs), eval_interval)
    # A stripe's own level: the mean over the batches of its window. The line, averaged over windows, is its value in the
    # middle of the windows, and the windows fill the epochs from 0 to E.
    count = stripe_count(batch_count, eval_interval)
    of_window = [(k * eval_interval + np.arange(eval_interval)) % batch_count for k in range(count)]
    own = np.array([batch_levels[batches].mean() for batches in of_window])
    middle = (epochs + 1 / batch_count) / 2
    np.testing.assert_allclose(got.level, own + slope * middle, atol=1e-12)
    np.testing.assert_allclose(got.slope, [slope] * count, atol=1e-12)
    assert got.gap == pytest.approx(own.max() - own.min(), abs=1e-12)
    if count > 1:
        assert got.stripe_index == pytest.approx(1, abs=1e-12)


def test_the_slope_of_each_stripe_is_its_own_least_squares_line():
    loss = noise(30, 10).cumsum(axis=0)
    got = stripes(loss, 5)
    for stripe in range(2):
        mine = got.stripe == stripe
        expected = np.polyfit(got.time[mine], got.windows[mine], 1)[0]
        assert got.slope[stripe] == pytest.approx(expected, rel=1e-9)


def test_windows_past_the_last_whole_cycle_are_left_out_of_levels():
    # Windows of 4 of 10 batches come in cycles of 5; 3 epochs give 7 windows, so 1 cycle and 2 more windows.
    batch_levels = noise(10)
    whole = stripes(np.tile(batch_levels, (2, 1)), 4)
    more = stripes(np.r_[np.tile(batch_levels, (2, 1)), np.full((1, 10), 1e6)], 4)
    assert more.windows.size == 7
    np.testing.assert_allclose(more.level, whole.level, rtol=1e-12)


# The index


# A loss of stripes, epochs and interval for at least three cycles.
CASES = [(10, 5, 100), (10, 5, 3), (20, 5, 5), (4, 5, 20), (10, 3, 12), (10, 4, 10), (3, 1, 4)]


@pytest.mark.parametrize(("batch_count", "eval_interval", "epochs"), CASES)
def test_the_index_of_white_noise_averages_0(batch_count, eval_interval, epochs):
    index = stripes(noise(4000, epochs, batch_count), eval_interval).stripe_index
    assert abs(index.mean()) < 4 * index.std() / math.sqrt(4000)


def test_the_index_of_two_cycles_of_two_stripes_averages_0_nearly():
    # A ratio's mean is not the ratio of means: with 4 windows it is off by 0.06, in 40,000 draws known to 0.004.
    index = stripes(noise(40_000, 2, 10), 5).stripe_index
    assert index.mean() == pytest.approx(-0.06, abs=0.02)


@pytest.mark.parametrize(("batch_count", "eval_interval", "epochs"), CASES)
def test_the_index_of_a_noisy_fall_without_stripes_averages_0(batch_count, eval_interval, epochs):
    time = np.arange(epochs * batch_count).reshape(epochs, batch_count) / (epochs * batch_count)
    index = stripes(2 + 0.1 * np.exp(-3 * time) + noise(4000, epochs, batch_count), eval_interval).stripe_index
    assert abs(index.mean()) < 4 * index.std() / math.sqrt(4000)


@pytest.mark.parametrize("fall", [0.0, 5.0])
@pytest.mark.parametrize(("batch_count", "eval_interval", "epochs"), CASES)
def test_the_index_of_fixed_levels_with_little_noise_is_near_1(batch_count, eval_interval, epochs, fall):
    # The noise has 1e-4 of the levels' variance, and the index falls short of 1 by its share; the median is over 50 draws of
    # the levels, for two of them can come to lie close.
    loss = noise(50, 1, batch_count) + 0.01 * noise(50, epochs, batch_count, seed=1)
    loss = loss - fall * np.linspace(0, 1, epochs * batch_count).reshape(epochs, batch_count)
    index = stripes(loss, eval_interval).stripe_index
    assert np.median(index) > 0.999
    assert np.all(index <= 1)


@pytest.mark.parametrize("ratio", [0.3, 1.0, 3.0])
def test_the_index_is_the_levels_share_of_the_variance(ratio):
    # Many stripes with normal levels of variance r^2 in noise of variance 1: the share is r^2 / (1 + r^2).
    batch_count, epochs = 400, 50
    index = stripes(ratio * noise(1, batch_count) + noise(epochs, batch_count, seed=1), 1).stripe_index
    assert index == pytest.approx(ratio**2 / (1 + ratio**2), abs=0.05)


def test_the_index_does_not_change_with_unit_or_origin():
    loss = noise(20, 10)
    assert stripes(1e3 * loss - 7, 5).stripe_index == pytest.approx(float(stripes(loss, 5).stripe_index), rel=1e-9)


def test_a_fixed_order_has_stripes_and_a_reshuffled_one_has_none():
    problem, key, epochs = probe.network(200), jax.random.key(0), 50
    index = {}
    for order in ("fixed", "shuffle_once", "reshuffle"):
        run = jaxsgd.simulate(problem, key, optimizer=optax.sgd(1e-3), epochs=epochs, batch_count=10, order=order)
        index[order] = float(stripes(run.loss, 5).stripe_index)
    assert index["fixed"] > 0.99
    assert index["shuffle_once"] > 0.99
    # 100 windows, 2 stripes: the index of noise has standard deviation sqrt(2) / 100.
    assert abs(index["reshuffle"]) < 5 * math.sqrt(2) / 100


# What is missing


def test_a_single_stripe_has_a_level_and_a_slope_and_no_gap_or_index():
    got = stripes(noise(20, 10), 10)
    assert np.isfinite(got.level).all()
    assert np.isfinite(got.slope).all()
    assert got.gap == 0
    assert np.isnan(got.stripe_index)


def test_one_cycle_has_levels_and_a_gap_and_no_slope_or_index():
    got = stripes(np.arange(10.0)[None, :], 5)
    np.testing.assert_array_equal(got.level, [2, 7])
    assert got.gap == 5
    assert np.isnan(got.slope).all()
    assert np.isnan(got.stripe_index)


def test_less_than_one_cycle_has_windows_alone():
    got = stripes(np.arange(10.0)[None, :], 3)
    np.testing.assert_array_equal(got.windows, [1, 4, 7])
    assert got.level.shape == got.slope.shape == (10,)
    for missing in (got.level, got.slope, got.gap, got.stripe_index):
        assert np.isnan(missing).all()


@pytest.mark.parametrize("slope", [0.0, 1e-3, -1.0])
def test_a_loss_without_any_variance_about_its_trend_has_no_index(slope):
    got = stripes(lines_and_levels(np.full(10, 2.4), slope, 20), 5)
    assert np.isnan(got.stripe_index)
    assert got.gap == pytest.approx(0, abs=1e-13)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e200])
def test_a_run_that_blew_up_is_measured_without_a_warning_and_leaves_the_others_alone(bad):
    loss = noise(3, 20, 10)
    loss[1, 7:] = bad
    got, alone = stripes(loss, 5), stripes(loss[[0, 2]], 5)
    for field in ("windows", "level", "slope", "gap", "stripe_index"):
        np.testing.assert_array_equal(getattr(got, field)[[0, 2]], getattr(alone, field))
    if not np.isfinite(bad):
        assert np.isnan(got.stripe_index[1])
        assert not np.isfinite(got.gap[1])


@pytest.mark.parametrize("leading", SHAPES)
@pytest.mark.parametrize(
    ("epochs", "batch_count", "eval_interval"), [(20, 10, 5), (20, 4, 5), (1, 10, 5), (1, 10, 3), (8, 6, 6)]
)
def test_leading_axes_are_runs_of_their_own(epochs, batch_count, eval_interval, leading):
    loss = noise(*leading, epochs, batch_count)
    got = stripes(loss, eval_interval)
    for place in np.ndindex(leading):
        alone = stripes(loss[place], eval_interval)
        for field in ("windows", "level", "slope", "gap", "stripe_index"):
            np.testing.assert_array_equal(getattr(got, field)[place], getattr(alone, field))
    assert got.gap.shape == got.stripe_index.shape == leading


# Hiding, and what to expect


@pytest.mark.parametrize(
    ("batch_levels", "smallest"),
    [
        ([0, 1, 0, 1], 2),  # windows of two always hold one of each
        ([0, 0, 1, 1], 4),  # windows of two are (0, 0) and (1, 1), of three (0, 0, 1), (1, 0, 0), (1, 1, 0), (0, 1, 1)
        ([0, 1, 2, 0, 1, 2], 3),
        ([0, 1, 2, 3, 4, 6], 6),
        ([5, 5, 5, 5], 1),
        ([5], 1),
    ],
)
@pytest.mark.parametrize("deviation", [0.0, 0.01])
def test_the_smallest_interval_that_hides_the_stripes(batch_levels, smallest, deviation):
    loss = np.array(batch_levels) + deviation * noise(200, len(batch_levels))
    assert hiding_interval(loss) == smallest


def test_stripes_that_cannot_be_told_are_hidden_by_a_whole_epoch():
    # One epoch has one cycle, and so no index at any interval; nor has a run that is not finite.
    assert hiding_interval(noise(1, 10)) == 10
    assert hiding_interval(np.full((20, 10), np.nan)) == 10


def test_the_interval_of_each_run_is_its_own():
    loss = np.array([[0, 1, 0, 1], [0, 0, 1, 1], [5, 5, 5, 5]])[:, None, :] + 0.01 * noise(3, 200, 4)
    np.testing.assert_array_equal(hiding_interval(loss), [2, 4, 1])


def test_a_higher_threshold_hides_more():
    # Levels of variance 1/4 in noise of variance 1: an index near 1/5.
    loss = np.array([0, 0, 1, 1]) + noise(400, 4)
    assert hiding_interval(loss, threshold=0.05) == 4
    assert hiding_interval(loss, threshold=0.9) == 1


def test_sampling_spread_is_sigma_over_the_root_of_the_samples():
    # Losses 0 and 2: sigma^2 = (1 + 1) / (2 - 1) = 2; over 8 samples sqrt(2 / 8).
    assert sampling_spread([0.0, 2.0], 8) == pytest.approx(0.5)
    np.testing.assert_allclose(sampling_spread([[0.0, 2.0], [0.0, 4.0]], 8), [0.5, 1.0])


@pytest.mark.parametrize(
    ("count", "expected"),
    [(1, 0), (2, 2 / math.sqrt(math.pi)), (3, 3 / math.sqrt(math.pi)), (5, 2.32593), (10, 3.07751), (100, 5.01519)],
)
def test_expected_range_of_normal_draws(count, expected):
    # E|x - y| = sqrt(2) sqrt(2/pi) for two; the range of three is half the sum of their three differences, so 3/2 of that;
    # the others are in Tippett 1925.
    assert expected_range(count) == pytest.approx(expected, abs=1e-5)


def test_the_gap_of_a_fixed_order_is_what_sampling_alone_makes_it():
    # Nothing is learned, so losses are their samples' for good: 2 stripes of 5 batches of 4 samples each.
    def measured(key):
        run = jaxsgd.simulate(probe.drawn(40), key, optimizer=optax.sgd(0.0), epochs=2, batch_count=10)
        return run.loss

    gap = stripes(jax.vmap(measured)(jax.random.split(jax.random.key(0), 2000)), 5).gap
    # Uniform samples have variance 1/12, and means of 20 of them are all but normal.
    expected = expected_range(2) * math.sqrt(1 / 12 / 20)
    assert gap.mean() == pytest.approx(expected, abs=4 * gap.std() / math.sqrt(2000))


def test_five_windows_of_each_stripe_are_enough():
    # 20 batches in windows of 5 are 4 stripes: 5 epochs of 4 windows.
    assert is_telling(20, 5, 5)
    assert not is_telling(20, 4, 5)


@pytest.mark.parametrize(("epochs", "shown"), [(4, False), (5, True)])
def test_an_index_of_too_few_windows_is_measured_but_not_read(epochs, shown):
    measured = stripes(noise(epochs, 20), 5)
    assert np.isfinite(measured.stripe_index)
    assert np.isfinite(measured.readable_index) == shown
    assert not shown or measured.readable_index == measured.stripe_index


@pytest.mark.parametrize(("stripe_number", "cycles"), [(2, 10), (4, 5), (4, 20), (10, 8)])
def test_chance_scatters_the_index_as_its_deviation_says(stripe_number, cycles):
    index = stripes(noise(4000, cycles, stripe_number), 1).stripe_index
    assert index.std() == pytest.approx(chance_deviation(stripe_number, cycles), rel=0.1)
    assert (index > 2 * chance_deviation(stripe_number, cycles)).mean() < 0.06


def test_stripes_that_chance_may_make_count_as_hidden():
    # Of white noise in six epochs of four batches, far more than one index in twenty is above 0.05.
    smallest = hiding_interval(noise(400, 6, 4))
    assert (stripes(noise(400, 6, 4), 1).stripe_index > 0.05).mean() > 0.25
    assert (smallest == 1).mean() > 0.9
