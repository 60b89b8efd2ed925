"""The values that a habit prints, and the counters beside them."""

import numpy as np

from jaxsgd.diagnosis.habit import Habit, habit_log, printed


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
