"""Simulated logs with known causes: the truth about each follows from how its runs were made."""

import numpy as np
import pytest

from jaxsgd.diagnosis.cause import CAUSE_NAMES
from tools.diagnosis_model.examples import Recording, draw_habit, make_examples

SEEDS, EPOCHS, BATCHES = 5, 40, 12

NOISE = 5 + np.random.default_rng(0).standard_normal((SEEDS, EPOCHS, BATCHES))
LEVELS = 3 * np.random.default_rng(2).standard_normal(BATCHES)
RISE = np.linspace(-2, 2, BATCHES)


def known(cause, examples):
    """Return what is known of a cause in logs: a list of 0, 1, and None where it is unknown."""
    truth = [example.truth[CAUSE_NAMES.index(cause)] for example in examples]
    return [None if np.isnan(label) else int(label) for label in truth]


def logs(loss, order="reshuffle", count=60, **given):
    """Return many logs of some runs."""
    return make_examples(Recording(loss, order, **given), count, np.random.default_rng(1))


@pytest.fixture(scope="module")
def of_noise():
    """Logs of noise in a new order in every epoch: nothing acts but what their habits build in."""
    return logs(NOISE)


@pytest.fixture(scope="module")
def of_levels():
    """Logs of clear levels in a fixed order."""
    return logs(NOISE + LEVELS, "fixed")


def is_plain(example):
    """Return True if a log prints batches or windows, with an honest mean of the last batch."""
    return example.setting["form"] in ("window", "batch") and example.setting["last_factor"] == 1


def test_a_habit_prints_at_least_once_in_two_epochs_and_mostly_where_it_divides_the_epoch():
    drawn = [draw_habit(BATCHES, np.random.default_rng(seed)) for seed in range(300)]
    assert all(1 <= habit.interval < 2 * BATCHES for habit in drawn)
    assert sum(BATCHES % habit.interval == 0 for habit in drawn) > 150
    assert {habit.form for habit in drawn} == {"window", "batch", "running", "smooth"}
    assert sum(habit.last_factor != 1 for habit in drawn) == pytest.approx(66, abs=25)


def test_the_same_random_numbers_make_the_same_logs():
    first, other = (make_examples(Recording(NOISE, "reshuffle"), 5, np.random.default_rng(3)) for _ in range(2))
    assert [example.setting for example in first] == [example.setting for example in other]
    assert all(example.features == same.features for example, same in zip(first, other, strict=True))


def test_noise_in_a_new_order_teaches_that_nothing_acts(of_noise):
    assert set(known("fixed_order", of_noise)) <= {0, None}
    assert {None if np.isnan(example.truth[5]) else int(example.truth[5]) for example in of_noise} == {0}
    plain = [example for example in of_noise if is_plain(example)]
    assert plain
    assert all((np.nan_to_num(example.truth) == 0).all() for example in plain)


def test_levels_that_repeat_are_a_fixed_order_where_they_are_clear(of_levels):
    truth = known("fixed_order", of_levels)
    assert 0 not in truth
    plain = [label for label, example in zip(truth, of_levels, strict=True) if is_plain(example) and example.prints > 100]
    assert plain.count(1) > 0.9 * len(plain) > 0
    # A last batch that stands off is itself a level that repeats.
    honest = [example for example in logs(NOISE + LEVELS / 100, "fixed") if example.setting["last_factor"] == 1]
    assert set(known("fixed_order", honest)) == {None}


def test_a_sliding_interval_is_aliasing_only_over_levels_that_repeat(of_levels, of_noise):
    truth = known("aliasing", of_levels)
    slides = [example.features["slides"] == 1 for example in of_levels]
    assert 1 in truth
    assert all(sliding for label, sliding in zip(truth, slides, strict=True) if label == 1)
    assert set(known("aliasing", of_noise)) <= {0, None}


def test_a_rise_within_the_epoch_is_re_exposure_unless_samples_are_drawn_anew():
    rising = logs(NOISE + RISE)
    # Of few places a rise looks like levels.
    few, many = ([example for example in rising if (example.features["per_epoch"] >= 6) == large] for large in (False, True))
    assert 1 not in known("re_exposure", few)
    plain = known("re_exposure", [example for example in many if is_plain(example) and example.prints > 100])
    assert plain.count(1) == len(plain) > 0
    assert set(known("re_exposure", logs(NOISE + RISE, "replacement"))) <= {0, None}
    # A loss that falls within the epoch is no sign of it.
    assert 1 not in known("re_exposure", logs(NOISE - RISE))


def test_a_rise_where_each_epoch_restarts_the_rate_is_neither_there_nor_absent():
    rates = {"each": np.tile(np.linspace(1, 0.02, BATCHES), EPOCHS), "once": np.linspace(1, 0.02, EPOCHS * BATCHES)}
    known_of = {name: known("re_exposure", logs(NOISE + RISE, rate=rate)) for name, rate in rates.items()}
    assert 1 not in known_of["each"]
    assert None in known_of["each"]
    assert 1 in known_of["once"]


def test_a_faint_rise_is_neither_there_nor_absent():
    """A rise of 0.3 standard deviations over 480 prints is 2 standard errors: too little to decide."""
    long = [example for example in logs(NOISE + 0.3 * RISE / np.ptp(RISE)) if example.prints > 400]
    assert long
    assert 1 not in known("re_exposure", long)
    assert None in known("re_exposure", long)


def test_a_running_mean_is_known_by_the_habit(of_noise):
    for label, example in zip(known("running_mean", of_noise), of_noise, strict=True):
        assert (label == 0) == (example.setting["form"] != "running")


def test_a_small_last_batch_is_known_where_it_scatters_clearly_more():
    wide = NOISE.copy()
    wide[..., -1] = 5 + 4 * (NOISE[..., -1] - 5)
    plain = [
        example
        for example in logs(wide, count=20, last_share=0.0625)
        if is_plain(example) and example.setting["interval"] == 1 and example.prints == EPOCHS * BATCHES
    ]
    assert known("ragged_batch", plain).count(1) > 0.8 * len(plain) > 0
    # Of a last batch that differs by nothing there is nothing to tell.
    honest = [example for example in logs(NOISE, count=10, last_share=0.9) if example.setting["last_factor"] == 1]
    assert 1 not in known("ragged_batch", honest)


def test_steps_of_the_rate_are_known_from_a_log_that_says_it_or_steps_clearly():
    rate = np.repeat([1.0, 0.1], EPOCHS * BATCHES // 2)
    level = np.repeat([20.0, 0.0], EPOCHS // 2)[:, None]
    stepped = logs(NOISE + level, count=24, rate=rate, plain=NOISE + 20)
    stated = [example for example in stepped if example.features["rate_steps"] > 0]
    assert all(label == 1 for label in known("schedule", stated))
    long = known("schedule", [example for example in stepped if example.setting["epochs"] == EPOCHS])
    assert long.count(1) > 0.8 * len(long)
    straight = [example for example in logs(NOISE, count=24, rate=rate, plain=NOISE) if example.features["rate_steps"] == 0]
    assert all(label is None for label in known("schedule", straight))


def test_a_rate_that_restarts_is_known_from_a_loss_that_comes_back_and_from_no_other():
    epoch = np.arange(EPOCHS * BATCHES) // BATCHES
    rate = 1 - (epoch % 5) / 5
    saw = NOISE + 8 * rate.reshape(EPOCHS, BATCHES)

    def silent(plain):
        return [example for example in logs(saw, count=24, rate=rate, plain=plain) if example.features["rate_steps"] == 0]

    restarting = [
        example for example in silent(NOISE) if not example.features["slides"] and example.setting["epochs"] == EPOCHS
    ]
    assert known("schedule", restarting).count(1) > 0.7 * len(restarting) > 0
    # What comes back at a constant rate, too, is not the rate's doing.
    assert all(label is None for label in known("schedule", silent(saw)))
