"""The costs of observing and of growing, on few and short runs."""

from benchmarks.study_cost import growing, observing


def test_both_sides_are_timed_on_the_cells_that_they_run():
    observed = observing(cells=4, rounds=2, epochs=10)
    assert observed.cells == (4, 4)
    assert min(observed.first, observed.second) > 0
    grown = growing(before=2, after=6, rounds=1, epochs=2)
    assert grown.cells == (4, 6)
    assert min(grown.first, grown.second) > 0
