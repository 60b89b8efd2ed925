"""The costs of observing, of growing and of halving, on few and short runs."""

import math

from benchmarks.study_cost import growing, halving, observing


def test_both_sides_are_timed_on_the_cells_that_they_run():
    observed = observing(cells=4, rounds=2, epochs=10)
    assert observed.cells == (4, 4)
    assert min(observed.first, observed.second) > 0
    grown = growing(before=2, after=6, rounds=1, epochs=2)
    assert grown.cells == (4, 6)
    assert min(grown.first, grown.second) > 0


def test_halving_is_timed_beside_the_whole_grid_and_trains_fewer_epochs():
    small = {"learning_rates": [0.001, 0.01, 0.3], "hyper": {"momentum": [0.5]}}
    whole, halved = halving(1, [[1]], epochs=4, seeds=2, **small)
    assert min(whole.seconds, halved.seconds) > 0
    # Two of three settings stop after one epoch of four: 2 seeds x (2 x 1 + 4), in place of 2 x 3 x 4.
    assert (whole.epochs, halved.epochs) == (24, 12)
    assert whole.best == halved.best == {"learning_rate": 0.3, "momentum": 0.5}
    assert whole.loss == halved.loss < math.log(10)  # that of a guess
