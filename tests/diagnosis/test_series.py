"""Scores, against what they should be."""

import pytest
from scipy import stats

from jaxsgd.diagnosis.series import normal_score


def test_a_normal_score_is_as_rare_as_the_value_of_fishers_f():
    for f, between, within in ((2.0, 9, 90), (4.0, 5, 40), (1.0, 20, 200), (8.0, 3, 30)):
        exact = stats.norm.isf(stats.f.sf(f, between, within))
        assert normal_score(f, between, within) == pytest.approx(exact, abs=0.1)
