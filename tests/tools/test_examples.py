"""Simulated logs with known causes: the truth about each follows from how its runs were made."""

import numpy as np
import pytest

from jaxsgd.diagnosis.cause import CAUSE_NAMES
from tools.diagnosis_model.examples import Recording, draw_habit, make_examples

SEEDS, EPOCHS, BATCHES = 8, 40, 12


@pytest.fixture
def noise():
    return 5 + np.random.default_rng(0).standard_normal((SEEDS, EPOCHS, BATCHES))


def known(cause, loss, order="reshuffle", count=60, **given):
    """Return what is known of a cause in many logs of some runs: a list of 0, 1, and None where it is unknown; and the logs."""
    examples = make_examples(Recording(loss, order, **given), count, np.random.default_rng(1))
    truth = np.array([example.truth[CAUSE_NAMES.index(cause)] for example in examples])
    return [None if np.isnan(label) else int(label) for label in truth], examples


def is_plain(example):
    """Return True if a log prints batches or windows, with an honest mean of the last batch."""
    return example.setting["form"] in ("window", "batch") and example.setting["last_factor"] == 1


def test_a_habit_prints_at_least_once_in_two_epochs_and_mostly_where_it_divides_the_epoch():
    drawn = [draw_habit(BATCHES, np.random.default_rng(seed)) for seed in range(300)]
    assert all(1 <= habit.interval < 2 * BATCHES for habit in drawn)
    assert sum(BATCHES % habit.interval == 0 for habit in drawn) > 150
    assert {habit.form for habit in drawn} == {"window", "batch", "running", "smooth"}
    assert sum(habit.last_factor != 1 for habit in drawn) == pytest.approx(66, abs=25)


def test_the_same_random_numbers_make_the_same_logs(noise):
    first, other = (make_examples(Recording(noise, "reshuffle"), 5, np.random.default_rng(3)) for _ in range(2))
    assert [example.setting for example in first] == [example.setting for example in other]
    assert all(example.features == same.features for example, same in zip(first, other, strict=True))


def test_noise_in_a_new_order_teaches_that_nothing_acts(noise):
    truth, examples = known("fixed_order", noise)
    assert set(truth) <= {0, None}
    assert {None if np.isnan(example.truth[5]) else int(example.truth[5]) for example in examples} == {0}
    plain = [example for example in examples if is_plain(example)]
    assert plain
    assert all((np.nan_to_num(example.truth) == 0).all() for example in plain)


def test_levels_that_repeat_are_a_fixed_order_where_they_are_clear(noise):
    pattern = 3 * np.random.default_rng(2).standard_normal(BATCHES)
    truth, examples = known("fixed_order", noise + pattern, "fixed")
    assert 0 not in truth
    plain = [label for label, example in zip(truth, examples, strict=True) if is_plain(example) and example.prints > 100]
    assert plain.count(1) > 0.9 * len(plain) > 0
    truth, examples = known("fixed_order", noise + pattern / 100, "fixed")
    # A last batch that stands off is itself a level that repeats.
    faint = [label for label, example in zip(truth, examples, strict=True) if example.setting["last_factor"] == 1]
    assert set(faint) == {None}


def test_a_sliding_interval_is_aliasing_only_over_levels_that_repeat(noise):
    pattern = 3 * np.random.default_rng(2).standard_normal(BATCHES)
    truth, examples = known("aliasing", noise + pattern, "fixed")
    slides = [example.features["slides"] == 1 for example in examples]
    assert 1 in truth
    assert all(sliding for label, sliding in zip(truth, slides, strict=True) if label == 1)
    assert set(known("aliasing", noise)[0]) <= {0, None}


def test_a_rise_within_the_epoch_is_re_exposure_unless_samples_are_drawn_anew(noise):
    rise = np.linspace(-2, 2, BATCHES)
    truth, examples = known("re_exposure", noise + rise)
    plain = [
        label
        for label, example in zip(truth, examples, strict=True)
        if is_plain(example) and example.features["per_epoch"] >= 6 and example.prints > 100
    ]
    assert plain.count(1) == len(plain) > 0
    # Of few places a rise looks like levels.
    assert 1 not in [label for label, example in zip(truth, examples, strict=True) if example.features["per_epoch"] < 6]
    assert set(known("re_exposure", noise + rise, "replacement")[0]) <= {0, None}
    # A loss that falls within the epoch is no sign of it.
    assert 1 not in known("re_exposure", noise - rise)[0]


def test_a_faint_rise_is_neither_there_nor_absent(noise):
    """A rise of 0.3 standard deviations over 480 prints is 2 standard errors: too little to decide."""
    truth, examples = known("re_exposure", noise + 0.3 * np.linspace(-0.5, 0.5, BATCHES))
    long = [label for label, example in zip(truth, examples, strict=True) if example.prints > 400]
    assert long
    assert 1 not in long
    assert None in long


def test_a_running_mean_is_known_by_the_habit(noise):
    truth, examples = known("running_mean", noise)
    for label, example in zip(truth, examples, strict=True):
        assert (label == 0) == (example.setting["form"] != "running")


def test_a_small_last_batch_is_known_where_it_scatters_clearly_more(noise):
    wide = noise.copy()
    wide[..., -1] = 5 + 4 * (noise[..., -1] - 5)
    truth, examples = known("ragged_batch", wide, count=20, last_share=0.0625)
    plain = [
        label
        for label, example in zip(truth, examples, strict=True)
        if is_plain(example) and example.setting["interval"] == 1 and example.prints == EPOCHS * BATCHES
    ]
    assert plain.count(1) > 0.8 * len(plain) > 0
    # Of a last batch that differs by nothing there is nothing to tell.
    even, examples = known("ragged_batch", noise, count=10, last_share=0.9)
    honest = [label for label, example in zip(even, examples, strict=True) if example.setting["last_factor"] == 1]
    assert 1 not in honest


def test_steps_of_the_rate_are_known_from_a_log_that_says_it_or_steps_clearly(noise):
    rate = np.repeat([1.0, 0.1], EPOCHS * BATCHES // 2)
    level = np.repeat([20.0, 0.0], EPOCHS // 2)[:, None]
    stepped, examples = known("schedule", noise + level, count=24, rate=rate, plain=noise + 20)
    assert all(label == 1 for label, example in zip(stepped, examples, strict=True) if example.features["rate_steps"] > 0)
    long = [label for label, example in zip(stepped, examples, strict=True) if example.setting["epochs"] == EPOCHS]
    assert long.count(1) > 0.8 * len(long)
    straight, examples = known("schedule", noise, count=24, rate=rate, plain=noise)
    assert all(label is None for label, example in zip(straight, examples, strict=True) if example.features["rate_steps"] == 0)


def test_a_rate_that_restarts_is_known_from_a_loss_that_comes_back_and_from_no_other(noise):
    epoch = np.arange(EPOCHS * BATCHES) // BATCHES
    rate = 1 - (epoch % 5) / 5
    saw = 8 * rate.reshape(EPOCHS, BATCHES)
    restarting, examples = known("schedule", noise + saw, count=24, rate=rate, plain=noise)
    silent = [
        label
        for label, example in zip(restarting, examples, strict=True)
        if example.features["rate_steps"] == 0 and not example.features["slides"] and example.setting["epochs"] == EPOCHS
    ]
    assert silent.count(1) > 0.7 * len(silent) > 0
    # What comes back at a constant rate, too, is not the rate's doing.
    same, examples = known("schedule", noise + saw, count=24, rate=rate, plain=noise + saw)
    assert all(label is None for label, example in zip(same, examples, strict=True) if example.features["rate_steps"] == 0)
