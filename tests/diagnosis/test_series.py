"""Moving means and scores, against what they should be."""

import numpy as np
import pytest
from scipy import stats

from jaxsgd.diagnosis.series import moving_mean, normal_score


@pytest.mark.parametrize("width", [2, 3, 4, 7])
def test_a_moving_mean_over_a_cycle_leaves_a_line_and_removes_what_repeats(width):
    count = 8 * width
    line, pattern = 0.5 * np.arange(count), np.tile(np.random.default_rng(3).standard_normal(width), 8)
    half = width // 2
    expected = line[half : count - half] + pattern[:width].mean()
    np.testing.assert_allclose(moving_mean(line + pattern, width), expected, atol=1e-12)


def test_a_normal_score_is_as_rare_as_the_value_of_fishers_f():
    for f, between, within in ((2.0, 9, 90), (4.0, 5, 40), (1.0, 20, 200), (8.0, 3, 30)):
        exact = stats.norm.isf(stats.f.sf(f, between, within))
        assert normal_score(f, between, within) == pytest.approx(exact, abs=0.1)
