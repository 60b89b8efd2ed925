"""Scores, against what they should be."""

import numpy as np
import pytest
from scipy import signal, stats

from jaxsgd.diagnosis.series import explained, normal_score, score_of_largest
from jaxsgd.measure.trend import moving_mean


def test_a_normal_score_is_as_rare_as_the_value_of_fishers_f():
    for f, between, within in ((2.0, 9, 90), (4.0, 5, 40), (1.0, 20, 200), (8.0, 3, 30)):
        exact = stats.norm.isf(stats.f.sf(f, between, within))
        assert normal_score(f, between, within) == pytest.approx(exact, abs=0.1)


@pytest.mark.parametrize("count", [1, 7.5, 100, 3000])
@pytest.mark.parametrize("largest", [0.3, 2.0, 5.0, 9.0, 37.0])
def test_the_largest_of_many_scores_is_as_rare_as_its_own_score(largest, count):
    score = score_of_largest(largest, count)
    if score > 5:
        # Few of count small chances happen: their sum is the chance of any.
        assert stats.norm.logsf(score) == pytest.approx(np.log(count) + stats.norm.logsf(largest), abs=1e-3)
    else:
        assert stats.norm.logcdf(score) == pytest.approx(count * stats.norm.logcdf(largest), rel=1e-6)


@pytest.mark.parametrize(
    ("places", "cycles", "kinship"), [(2, 40, 0.0), (3, 40, 0.0), (12, 60, 0.0), (12, 60, 0.9), (20, 40, 0.9), (5, 20, 0.5)]
)
def test_places_that_resemble_their_neighbours_are_not_explained_by_chance_more_often(places, cycles, kinship):
    rng = np.random.default_rng(0)
    place = np.arange(places * cycles) % places
    scores = []
    for _ in range(300):
        noise = signal.lfilter([1.0], [1.0, -kinship], rng.standard_normal(len(place) + 100))[100:]
        left = noise[places // 2 : len(noise) - places // 2] - moving_mean(noise, places)
        scores.append(explained(left, place[: len(left)], places)[1])
    # As if the places were independent, the deviation is 1.9 for 20 places with a kinship of 0.9.
    assert np.mean(scores) == pytest.approx(0, abs=0.35)
    assert np.std(scores) == pytest.approx(1, abs=0.25)
    assert np.quantile(scores, 0.99) < 3.5
