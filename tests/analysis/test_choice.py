"""The choice of the best setting against NumPy's median, and its edges by hand."""

import numpy as np
import pytest

from jaxsgd.analysis.choice import best_place, is_clearly_better, is_edge, seed_median, why_unclear


@pytest.mark.parametrize("seeds", [1, 2, 5, 6])
def test_the_median_is_that_of_the_seeds_that_ran(seeds):
    rng = np.random.default_rng(seeds)
    cost = rng.normal(size=(200, seeds))
    cost[rng.uniform(size=cost.shape) < 0.3] = np.inf
    cost[rng.uniform(size=cost.shape) < 0.2] = np.nan
    for median, row in zip(seed_median(cost), cost, strict=True):
        ran = row[~np.isnan(row)]
        if len(ran):
            assert median == np.median(np.minimum(ran, 1e300)) or (
                median == np.inf and np.median(np.minimum(ran, 1e300)) > 1e299
            )
        else:
            assert np.isnan(median)


def test_the_best_is_the_lowest_finite_median_and_the_first_of_several():
    assert best_place([[3.0, 1, 2], [np.nan, 5, np.inf], [2, 1, 1], [-np.inf, 4, np.nan]]).tolist() == [1, 1, 1, 1]
    assert best_place([[np.inf, np.nan], [np.nan, np.nan]]).tolist() == [-1, -1]


@pytest.mark.parametrize(
    ("values", "edges"),
    [
        ([0.1, 0.2, 0.3], [True, False, True]),
        ([0.3, 0.1, 0.2], [True, True, False]),  # in any order
        ([0.0, 0.5, 0.9], [False, False, True]),  # nothing lies beyond 0
        ([0.1, 0.2], [False, False]),  # two are no range
        ([0.1, 0.2, 0.1], [False, False, False]),  # nor are three of which two are the same
        (["sgd", "adam", "lion"], [False, False, False]),
        ([0.1, np.nan, 0.2, 0.3], [True, False, False, True]),
    ],
)
def test_an_edge_is_the_least_or_the_greatest_of_three_numbers(values, edges):
    assert is_edge(values, np.arange(len(values))).tolist() == edges
    assert is_edge(values, [-1]).tolist() == [False]


def test_a_setting_is_clearly_better_if_it_is_so_for_nearly_every_seed_that_both_have():
    cost, others = np.arange(20) / 100, np.ones((4, 20))
    others[1, 0] = -1  # better in 19 of 20 seeds, 95 %
    others[2, :2] = -1  # in 18 of 20
    others[3, 0], others[3, 1:] = -1, np.nan  # in none of the one seed that both have
    assert is_clearly_better(cost, others).tolist() == [True, True, False, False]
    assert not is_clearly_better(cost, np.full(20, np.nan))
    # A run that diverged counts as infinitely bad.
    assert is_clearly_better(cost, np.full(20, np.inf))


def test_few_seeds_or_equal_ones_do_not_show_which_setting_is_better():
    cost = np.arange(6.0)
    # Of two settings that are alike, one is better for all of n seeds with probability 2^(1 - n): under 5 % from six seeds on.
    assert is_clearly_better(cost, cost + 1)
    assert not is_clearly_better(cost[:5], cost[:5] + 1)
    assert why_unclear(cost[:5], cost[:5] + 1) == "5 seeds do not show which setting is better: that takes 6 or more"
    others = np.array([np.arange(6.0), [7, *[np.nan] * 5], [np.nan] * 6])
    assert why_unclear(cost, others).tolist() == [
        "",
        "one seed does not show which setting is better: that takes 6 or more",
        "no seed in common does not show which setting is better: that takes 6 or more",
    ]
    # All seeds are the same run twice: their number says nothing.
    assert not is_clearly_better(np.zeros(20), np.ones(20))
    assert why_unclear(np.zeros(20), np.ones(20)) == "all seeds give the same value, so they show no spread"
    assert why_unclear(np.zeros(20), np.arange(20)) == ""
