"""The tail of a run in a repeating order against the cycle that NumPy solves for, place by place."""

import pytest

from tests.validation import tail


@pytest.mark.parametrize("order", ["fixed", pytest.param("shuffle_once", marks=pytest.mark.slow), "flip_flop"])
def test_the_tail_and_the_solved_cycle_are_the_exact_one(x64, order):
    result = tail.measure(order)
    assert result.weights < 1e-10
    assert result.loss < 1e-10
    assert result.solved < 1e-10
    # They have something to agree on: the places are nowhere near the optimum.
    assert result.size > 0.05
