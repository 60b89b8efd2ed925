"""The values that a habit prints, and the counters beside them."""

import numpy as np
import pytest

from jaxsgd.diagnosis.habit import Habit, habit_log, printed
from jaxsgd.diagnosis.period import find_period


def test_the_printed_values_of_a_sum_are_the_sum_of_the_printed_values():
    rng = np.random.default_rng(3)
    first, second = rng.standard_normal((2, 6, 5))
    for form in ("window", "batch", "running", "smooth"):
        habit = Habit(2, form, restarts=True, last_factor=0.5)
        both, at = printed(first + second, habit)
        np.testing.assert_allclose(both, printed(first, habit)[0] + printed(second, habit)[0], atol=1e-12)
        log = habit_log(both, at, 5)
        assert log.step.tolist() == [2, 4] * 6
        assert log.epoch.tolist() == [epoch for epoch in range(1, 7) for _ in range(2)]


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        # Batches 0, 2, 4 of two epochs of five, whose losses are 1 to 10.
        ("batch", [1, 3, 5, 6, 8, 10]),
        ("running", [1, 2, 3, 6, 7, 8]),
        ("window", [1, 2.5, 4.5, 6, 7.5, 9.5]),
    ],
)
def test_a_trainer_that_prints_from_the_first_batch_begins_each_epoch_with_a_single_one(form, expected):
    loss = np.arange(1.0, 11).reshape(2, 5)
    values, at = printed(loss, Habit(2, form, restarts=True, from_first=True))
    assert (values.tolist(), at.tolist()) == (expected, [0, 2, 4, 5, 7, 9])


def test_a_count_through_the_run_prints_its_first_batch_once():
    loss = np.arange(1.0, 11).reshape(2, 5)
    values, at = printed(loss, Habit(3, from_first=True))
    assert (values.tolist(), at.tolist()) == ([1, 3, 6, 9], [0, 3, 6, 9])


def test_the_counters_of_prints_from_the_first_batch_say_the_batches_in_each_print():
    values, at = printed(np.zeros((6, 334)), Habit(100, restarts=True, from_first=True))
    period = find_period(habit_log(values, at, 334))
    assert period.position.tolist() == [0, 100, 200, 300] * 6
    assert period.window.tolist() == [1, 100, 100, 100] * 6
    # An interval that does not divide the epoch: the windows go on through its end.
    values, at = printed(np.zeros((8, 10)), Habit(4))
    assert find_period(habit_log(values, at, 10)).window.tolist() == [4] * 20
