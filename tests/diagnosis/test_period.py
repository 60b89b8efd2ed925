"""The positions of a log's prints: from its counters, its epochs, the user, or the losses alone."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxsgd.diagnosis.diagnose import diagnose
from jaxsgd.diagnosis.log import Log
from jaxsgd.diagnosis.period import find_period
from jaxsgd.diagnosis.report import period_lines
from jaxsgd.error import InputError
from jaxsgd.measure import stripe_count

SIZES = st.tuples(st.integers(2, 40), st.integers(1, 40), st.integers(4, 30))
"""m, w and E."""


def log(count, epoch=None, step=None, total=None, loss=None):
    missing = np.full(count, np.nan)
    filled = [missing if values is None else np.asarray(values, float) for values in (epoch, step, total)]
    return Log(np.zeros(count) if loss is None else loss, *filled, missing)


def last_batches(m, w, epochs):
    """The last batch of each print, from 0 through the run."""
    return np.arange(w - 1, m * epochs, w)


def check(period, at, m, w):
    np.testing.assert_allclose(period.position, at % m)
    np.testing.assert_array_equal(period.epoch - period.epoch[0], at // m - at[0] // m)
    assert (period.batch_count, period.interval, period.confidence) == (m, w, 1)


def enough(m, w, epochs):
    return len(last_batches(m, w, epochs)) >= 3 * m // math.gcd(m, w) and m * epochs >= 3 * w


@given(SIZES)
def test_a_counter_within_the_epoch_says_all(sizes):
    m, w, epochs = sizes
    at = last_batches(m, w, epochs)
    if not enough(m, w, epochs):
        return
    period = find_period(log(len(at), at // m + 1, at % m + 1, np.full(len(at), m)))
    check(period, at, m, w)
    # The formula of the measures: m / gcd(m, w) places.
    assert period.stripe_count == stripe_count(m, w)


@given(SIZES)
def test_a_count_through_the_run_with_an_m_that_is_given_says_all(sizes):
    m, w, epochs = sizes
    at = last_batches(m, w, epochs)
    if not enough(m, w, epochs):
        return
    for step in (at + 1, at) if w > 1 else (at + 1,):
        check(find_period(log(len(at), step=step), m), at, m, w)


def test_an_m_that_is_given_against_the_logs_own_epochs_is_taken_and_said():
    at = last_batches(20, 5, 6)
    counted = log(len(at), at // 20 + 1, at % 20 + 1, np.full(len(at), 20))
    whole = log(len(at), at // 20, at)
    assert find_period(counted, 20).origin == find_period(whole, 20).origin == "given"
    assert find_period(counted, 15).origin == "given, but 20 by the log's counter"
    assert (find_period(whole, 15).batch_count, find_period(whole, 15).origin) == (15, "given, but 20 by the log's epochs")
    # Nothing in the log is against it.
    assert find_period(log(len(at), step=at), 15).origin == "given"


@given(SIZES)
def test_epochs_as_fractions_beside_steps_say_m(sizes):
    m, w, epochs = sizes
    at = last_batches(m, w, epochs)
    if not enough(m, w, epochs) or w >= m:
        return
    # Hugging Face has rounded epochs to two digits.
    check(find_period(log(len(at), np.round((at + 1) / m, 2), at + 1)), at, m, w)


@pytest.mark.parametrize(("m", "w"), [(20, 4), (20, 5), (12, 3), (7, 1)])
@pytest.mark.parametrize("first", [0, 1])
def test_whole_epochs_beside_steps_bound_m_until_one_is_left(m, w, first):
    # Lightning counts from 0, others from 1.
    at = last_batches(m, w, 25)
    check(find_period(log(len(at), at // m, at + first)), at, m, w)


@pytest.mark.parametrize("with_steps", [True, False])
@pytest.mark.parametrize("epoch", [[0] * 16 + [0.5] + [0] * 23, [0] * 16 + [1] + [0] * 23, [3] * 20 + [2] * 20, [1] + [0] * 39])
def test_epochs_that_end_where_they_began_or_before_say_nothing(epoch, with_steps):
    loss = np.linspace(3, 2, 40)
    period = find_period(log(40, epoch=epoch, step=10 * np.arange(1, 41) if with_steps else None, loss=loss))
    assert period.origin == find_period(log(40, loss=loss)).origin


def test_whole_epochs_alone_count_prints():
    period = find_period(log(40, np.repeat(np.arange(10), 4)))
    np.testing.assert_array_equal(period.position, np.tile(np.arange(4), 10))
    assert (period.per_epoch, period.stripe_count, period.slides) == (pytest.approx(4), 4, False)
    assert math.isnan(period.batch_count)


def test_four_batches_printed_every_five_fall_on_four_places_in_turn():
    # elixir-nx/axon#531: the epoch advances with nearly every print, and the batch in it counts 0, 1, 2, 3.
    at = np.arange(0, 200, 5)
    period = find_period(log(40, at // 4, at % 4))
    assert (period.batch_count, period.interval, period.stripe_count, period.slides) == (4, 5, 4, True)
    np.testing.assert_array_equal(period.position[:5], [0, 1, 2, 3, 0])


@pytest.mark.parametrize(("m", "w", "slides"), [(10, 5, False), (10, 3, True), (10, 1, False), (4, 5, True), (12, 8, True)])
def test_prints_slide_where_neither_interval_nor_epoch_divides_the_other(m, w, slides):
    at = last_batches(m, w, 40)
    assert find_period(log(len(at), at // m + 1, at % m + 1, np.full(len(at), m))).slides == slides


def test_a_progress_bar_that_prints_by_the_clock_does_not_slide():
    rng = np.random.default_rng(0)
    at = np.flatnonzero(rng.random(400) < 0.3)
    period = find_period(log(len(at), at // 20 + 1, at % 20 + 1, np.full(len(at), 20)))
    assert not period.is_steady
    assert not period.slides
    assert period.per_epoch == pytest.approx(len(at) / 20, rel=0.05)


def test_an_unknown_period_is_estimated_with_confidence_where_levels_repeat():
    rng = np.random.default_rng(1)
    pattern = rng.standard_normal(14)
    loss = 3 * np.exp(-np.arange(280) / 200) + 0.2 * np.tile(pattern, 20) + 0.05 * rng.standard_normal(280)
    period = find_period(log(280, step=5 * np.arange(1, 281), loss=loss))
    assert (period.per_epoch, period.batch_count, period.interval) == (pytest.approx(14), 70, 5)
    assert period.origin == "estimated from the losses"
    assert 0.9 < period.confidence < 1


@pytest.mark.parametrize("seed", range(5))
def test_levels_that_nearly_repeat_twice_an_epoch_have_the_epoch_s_period(seed):
    rng = np.random.default_rng(seed)
    # Even and odd positions differ most, so that two prints explain 85 % of the levels' variance; all twelve explain the rest.
    pattern = np.tile([1.0, -1.0], 6) + 0.4 * rng.standard_normal(12)
    loss = np.tile(pattern, 25) + 0.5 * rng.standard_normal(300)
    assert find_period(log(300, loss=loss)).per_epoch == pytest.approx(12)


def test_noise_has_no_period_to_be_confident_of():
    for seed in range(20):
        loss = np.random.default_rng(seed).standard_normal(200)
        assert find_period(log(200, loss=loss)).confidence < 0.5


@pytest.mark.parametrize("wrong", [0, -3, 0.5, math.nan, math.inf])
def test_an_m_that_cannot_be_is_refused(wrong):
    with pytest.raises(InputError, match="--batches-per-epoch must be a number of at least 1, got"):
        find_period(log(20), wrong)


def test_an_m_beyond_a_log_without_steps_is_refused():
    with pytest.raises(InputError, match="20 losses and no steps, so each loss counts as a batch"):
        find_period(log(20), 50)


def test_one_epoch_that_a_log_lacks_is_in_the_singular():
    short = diagnose(np.arange(15.0).reshape(3, 5)).too_short
    assert short.endswith("At least 20 losses over 4 epochs are needed: 5 more (1 more epoch).")


@pytest.mark.parametrize(
    ("steps", "possible", "first"),
    [
        # The last of the prints of every 100 is that of batch 300 in each case, and the next would have been that of 400.
        ([100, 200, 300], (300, 399), 99),
        ([99, 199, 299], (300, 399), 99),
        ([0, 100, 200, 300], (301, 400), 0),
        ([1, 101, 201, 301], (301, 400), 0),
    ],
)
def test_a_counter_without_its_total_leaves_the_batches_behind_the_last_print_open(steps, possible, first):
    count = 5 * len(steps)
    period = find_period(log(count, np.repeat(np.arange(5), len(steps)), np.tile(steps, 5)))
    assert period.possible == possible
    assert possible[0] <= period.batch_count <= possible[1]
    assert (period.position[0], period.interval, period.stripe_count) == (first, 100, len(steps))
    assert f"{possible[0]} to {possible[1]} batches an epoch, printed every 100" in period_lines(period)[0]


def test_a_counter_with_its_total_or_of_every_batch_leaves_nothing_open():
    epoch, step = np.repeat(np.arange(5), 3), np.tile([100, 200, 300], 5)
    assert find_period(log(15, epoch, step, np.full(15, 380))).possible == ()
    assert find_period(log(15, epoch, step // 100)).possible == ()


def test_epochs_that_go_back_beside_steps_say_at_most_when_the_first_ends():
    period = find_period(log(8, [0, 0, 0, 0, 0, 4, 1, 4], [9, 19, 29, 39, 49, 51, 199, 619]))
    assert period.confidence <= 0.5
    assert np.isfinite(period.position).all()


def test_a_total_of_no_batches_in_one_line_does_not_count():
    epoch, step, total = np.repeat([0.0, 1, 2], 4), np.tile([0.0, 10, 20, 30], 3), np.full(12, 40.0)
    total[4] = 0
    period = find_period(log(12, epoch, step, total))
    assert period.batch_count == find_period(log(12, epoch, step)).batch_count
    assert np.isfinite(period.position).all()


def test_the_values_of_whole_epochs_are_counted():
    # Three prints an epoch, of which the last comes long before its end: from first to last print it is less than 14/3 epochs.
    period = find_period(log(15, np.repeat(np.arange(5), 3), np.tile([100, 200, 300], 5), np.full(15, 380)))
    assert period.whole_count == 3
    assert period_lines(period)[1].startswith("5 epochs, ")
    # Every 4 of 10 batches: 2 or 3 prints an epoch.
    at = last_batches(10, 4, 8)
    assert find_period(log(len(at), at // 10, at % 10 + 1, np.full(len(at), 10))).whole_count == pytest.approx(2.5, rel=0.02)


def test_one_epoch_is_counted_in_its_values_where_its_steps_go_on_from_others():
    period = find_period(log(5, np.full(5, 64), np.arange(45457, 45462)))
    assert (period.per_epoch, period.epochs) == (pytest.approx(6.25, rel=1), pytest.approx(1, rel=0.3))
    assert period_lines(period) == [
        "5 values an epoch (the log's epochs).",
        "1 epoch, with values at 5 positions: 5 stripes if their losses differ.",
    ]
