"""The number of seeds that an interval needs, against the chance that the range of seeds holds their median."""

import numpy as np
import pytest

from jaxsgd.analysis.compare import paired_difference
from jaxsgd.analysis.confidence import SAME, fewest_seeds, supported, why_no_difference, why_no_interval


@pytest.mark.parametrize("level", [0.5, 0.8, 0.9, 0.95, 0.99])
def test_the_range_of_so_many_seeds_holds_the_median_with_the_level(level):
    # It misses when all seeds lie on one side: chances of 2^-n each.
    seeds = fewest_seeds(level)
    assert 1 - 2 * 0.5**seeds >= level
    assert seeds == 2 or 1 - 2 * 0.5 ** (seeds - 1) < level
    draws = np.random.default_rng(0).normal(size=(100_000, seeds))
    assert ((draws.min(axis=1) < 0) & (draws.max(axis=1) > 0)).mean() == pytest.approx(1 - 2 * 0.5**seeds, abs=0.005)


@pytest.mark.parametrize(
    ("values", "level", "reason"),
    [
        ([1.0, 2.0], None, ""),
        ([1.0, np.nan], None, "one seed shows no spread"),
        ([np.nan, np.nan], None, "no seed has a number"),
        ([1.0, 1.0, 1.0], None, SAME),
        ([1.0] * 10, 0.95, SAME),
        ([1.0, 2.0, 3.0], 0.95, "3 seeds: a 95 % interval for a median needs 6 or more"),
        ([1.0, 2.0, 3.0, 4.0, 5.0, np.inf], 0.95, ""),
    ],
)
def test_a_reason_is_given(values, level, reason):
    assert why_no_interval(np.array(values), level) == reason


def test_pairs_of_runs_that_no_seed_changes_have_no_interval():
    same, other = np.full(4, 2.0), np.full(4, 3.0)
    paired = paired_difference(same, other)
    assert (paired.difference, paired.pairs) == (-1, 4)
    assert np.isnan([paired.low, paired.high]).all()
    assert not paired.tie
    assert not paired.clear
    assert why_no_difference(same, other) == SAME
    # Two settings that are alike for every one of several seeds are a tie.
    apart = np.arange(4.0)
    assert why_no_difference(apart, apart) == ""
    assert paired_difference(apart, apart).tie


def test_an_interval_without_width_is_none():
    low, high, why = supported(np.array([1.0, 1.0, 1.0]), np.array([2.0, 1.0, 2.0]), np.array(["", "", SAME]))
    np.testing.assert_array_equal(low, [1, np.nan, np.nan])
    np.testing.assert_array_equal(high, [2, np.nan, np.nan])
    assert why[0] == ""
    assert "no width" in why[1]
    assert why[2] == SAME
    # A power of 0 but for rounding.
    assert np.isnan(supported(np.array(0.0), np.array(4.8e-31), np.array(""), 1e-9)[0])
