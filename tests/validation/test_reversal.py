"""A pass and its reverse: what becomes of the order's influence. `reversal.py` derives the powers.

Rajput, Lee and Papailiopoulos 2022, "Permutation-based SGD: is random optimal?" (flip-flop, for quadratics); Nguyen, Phan and
Kalagnanam 2026, "Learning to shuffle: block reshuffling and reversal schemes for stochastic optimization" (order sensitivity:
from the square to the cube of the rate).
"""

import numpy as np
import pytest

from tests.validation import reversal, tables
from tests.validation.noise_floor import halvings


# Over two epochs, the next power of the rate has a factor of 2 n lr h: at most 1/8 here, and half of that at each halving.
@pytest.mark.parametrize(("order", "power"), [("shuffle_once", 2), ("flip_flop", 3)])
def test_two_orders_end_a_pair_of_epochs_apart_by_a_power_of_the_rate(x64, order, power):
    slope = halvings(reversal.apart(order, epochs=2, rates=reversal.PAIR_RATES))
    # The distance from the power halves with the rate too: the slopes approach it from one side.
    off = np.abs(slope - power)
    assert np.all(off < [0.2, 0.1, 0.05])
    np.testing.assert_allclose(off[1:] / off[:-1], 0.5, atol=0.1)


@pytest.mark.parametrize(("order", "power"), [("shuffle_once", 1), ("flip_flop", 2)])
def test_two_orders_cycles_are_apart_by_one_power_less(x64, order, power):
    # The smallest curvature is 0.63: of the start, a few units off, exp(-32 * 1200 * 0.001 * 0.63) = 3e-11 is left at most.
    slope = halvings(reversal.apart(order, epochs=1200, rates=reversal.CYCLE_RATES))
    np.testing.assert_allclose(slope, power, atol=0.05)


def test_with_reversal_the_cycle_is_off_the_optimum_by_what_no_order_can_change(x64):
    ends = reversal.ends("flip_flop", epochs=1200, rates=reversal.CYCLE_RATES)
    predicted = reversal.order_free_distance(ends.data, reversal.CYCLE_RATES)
    optimum = reversal.order_free_distance(ends.data, np.zeros(len(reversal.CYCLE_RATES)))
    # The prediction is of first order, what it leaves of second.
    np.testing.assert_allclose(halvings(reversal.rms(ends.weights[:, 0] - predicted)), 2, atol=0.05)
    left = reversal.rms(ends.weights[:, 0] - predicted) / reversal.rms(predicted - optimum)
    assert left[-1] < 0.25


def test_the_documents_numbers_are_these(x64, pytestconfig):
    document = (pytestconfig.rootpath / "docs/validation.md").read_text()
    rows = [row for row in tables.TABLES["Orders"] if row.setting in (tables.PAIRS, tables.CYCLES)]
    assert len(rows) == 3
    for row in rows:
        assert f"{tables.text(row)} {row.measured()} |" in document
