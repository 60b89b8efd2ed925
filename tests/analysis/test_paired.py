"""Paired differences against SciPy, ranks by hand, and what is missing stays missing."""

import math

import numpy as np
import pytest
from scipy import stats

from jaxsgd import InputError
from jaxsgd.analysis.paired import paired_difference, rank_table, student_quantile

NAN = np.nan


@pytest.mark.parametrize("level", [0.5, 0.95, 0.999])
def test_quantiles_are_those_of_scipy(level):
    for freedom in [*range(1, 40), 99, 100, 1000]:
        assert student_quantile(freedom, level) == pytest.approx(stats.t.ppf((1 + level) / 2, freedom), rel=1e-9)


def test_quantiles_with_one_and_two_degrees_of_freedom_in_closed_form():
    # Cauchy: P(|T| <= t) = 2 atan(t) / pi. With two, P(|T| <= t) = t / sqrt(2 + t^2).
    assert student_quantile(1, 0.5) == pytest.approx(1)
    assert student_quantile(2, 0.5) == pytest.approx(math.sqrt(2 / 3))


def test_the_interval_is_that_of_the_paired_t_test():
    rng = np.random.default_rng(0)
    value, reference = rng.normal(size=(2, 3, 7)) + 10 * rng.normal(size=7)
    found = paired_difference(value, reference, 0.9)
    for i in range(3):
        told = stats.ttest_rel(value[i], reference[i])
        low, high = told.confidence_interval(0.9)
        np.testing.assert_allclose([found.low[i], found.high[i]], [low, high])
        # The interval leaves 0 out exactly where the test rejects at 1 - level.
        assert found.clear[i] == (told.pvalue < 0.1) == (not found.tie[i])
    np.testing.assert_allclose(found.difference, (value - reference).mean(axis=1))
    assert found.pairs.tolist() == [7, 7, 7]


def test_what_a_seed_adds_to_both_sides_drops_out():
    # Differences 1, 2, 3: mean 2, s = 1, and t = 4.303 with two degrees of freedom (any printed table).
    seeds = np.array([0.0, 1e3, -1e3])
    found = paired_difference(seeds + np.array([1, 2, 3]), seeds)
    reach = 4.303 / 3**0.5
    np.testing.assert_allclose([found.difference, found.low, found.high], [2, 2 - reach, 2 + reach], rtol=1e-3)
    assert bool(found.tie)


def test_pairs_with_a_missing_side_are_left_out_and_counted():
    value = np.array([[1.0, NAN, 3.0, np.inf, 5.0], [NAN] * 5])
    reference = np.array([0.0, 0.0, NAN, 0.0, 1.0])
    found = paired_difference(value, reference)
    # Seeds 0 and 4 are left in the first row: differences 1 and 4.
    whole = paired_difference([1.0, 5.0], [0.0, 1.0])
    assert [found.difference[0], found.low[0], found.high[0]] == [2.5, whole.low, whole.high]
    assert (found.pairs.tolist(), found.left_out.tolist()) == ([2, 0], [3, 5])
    assert np.isnan([found.difference[1], found.low[1], found.high[1]]).all()


def test_one_pair_has_a_difference_and_no_interval_and_is_neither_clear_nor_a_tie():
    found = paired_difference([3.0, NAN], [1.0, 1.0])
    assert (found.difference, found.pairs) == (2, 1)
    assert np.isnan([found.low, found.high]).all()
    assert not found.tie
    assert not found.clear


def test_equal_values_are_a_tie_and_a_constant_difference_is_clear():
    same, shifted = paired_difference([1.0, 2.0], [1.0, 2.0]), paired_difference([2.0, 3.0], [1.0, 2.0])
    assert (same.low, same.high, bool(same.tie)) == (0, 0, True)
    assert (shifted.low, shifted.high, bool(shifted.clear)) == (1, 1, True)


def test_the_interval_covers_the_true_difference_as_often_as_it_says():
    # 4,000 intervals of 5 normal differences around 1: the share that covers is 0.8 with a standard error of 0.0063.
    value = 1 + np.random.default_rng(1).normal(size=(4000, 5))
    found = paired_difference(value, np.zeros(5), 0.8)
    assert abs(np.mean((found.low <= 1) & (found.high >= 1)) - 0.8) < 0.02


@pytest.mark.parametrize("level", [0, 1, 95, NAN])
@pytest.mark.usefixtures("unchecked")
def test_a_level_that_is_none(level):
    with pytest.raises(InputError, match=r"^level must lie between 0 and 1, such as 0\.95, got "):
        paired_difference([1.0, 2.0], [1.0, 2.0], level)


@pytest.mark.parametrize(("one", "other"), [((3,), (2,)), ((2, 3), (3, 3)), ((3,), (1,)), ((), (3,))])
def test_sides_with_other_seeds(one, other):
    with pytest.raises(InputError, match=r"must share their last axis, the seeds, got shapes \("):
        paired_difference(np.zeros(one), np.zeros(other))


def test_ranks_by_hand():
    # Seed 0: 1, 2, 3. Seed 1: the first two share 1 and 2. Seed 2: 3, 1, 2. Seed 3 lacks one and is left out.
    value = np.array([[0.1, 5.0, 9.0, 1.0], [0.2, 5.0, 7.0, NAN], [0.3, 6.0, 8.0, 0.0]])
    found = rank_table(value)
    np.testing.assert_allclose(found.mean, [(1 + 1.5 + 3) / 3, (2 + 1.5 + 1) / 3, (3 + 3 + 2) / 3])
    np.testing.assert_allclose(found.share_first, [1.5 / 3, 1.5 / 3, 0])
    assert found.seeds == 3


def test_ranks_of_many_tables_are_those_of_scipy():
    value = np.random.default_rng(2).integers(0, 4, size=(5, 4, 6)).astype(float)
    value[0, 1, 2] = np.inf  # ranks last
    np.testing.assert_allclose(rank_table(value).mean, stats.rankdata(value, axis=1).mean(axis=-1))


def test_ranks_without_a_whole_seed_are_missing():
    found = rank_table([[NAN, 1.0], [1.0, NAN]])
    assert np.isnan(found.mean).all()
    assert found.seeds == 0
    with pytest.raises(InputError, match=r"must be an array \[\.\.\., settings, seeds\], got shape \(3,\)"):
        rank_table([1.0, 2.0, 3.0])
