"""The floors that a constant rate leaves: against their exact expectations, and their powers of the rate as published.

Ying, Yuan, Vlaski and Sayed 2018, "Stochastic learning under random reshuffling with constant step-sizes": the mean squared
distance is O(lr) with replacement and O(lr^2) with reshuffling. Safran and Shamir 2020, "How good is SGD with random
shuffling?": with lr ~ 1/(n k), their lower bounds 1/(nk)^2 + 1/(n k^3) for reshuffling and 1/(n k^2) for a single shuffle are
lr^2 + n^2 lr^3 and n lr^2.
"""

import functools

import numpy as np
import pytest

from tests.validation import noise_floor

# With two weights, all seeds' smallest curvatures are above 0.6. In the 300 epochs of 32 steps before the first that counts, at
# the smallest rate, what a run still has of its start falls to exp(-32 * 300 * 0.001 * 0.6) = 0.003 of the floor's root, twice
# that of the floor, and goes on falling.
HOW = {"num_inputs": 2, "seeds": 16, "epochs": 600}
STILL_STARTING = 0.006


@functools.cache
def floor(order):
    return noise_floor.measure(order, **HOW)


@pytest.mark.parametrize("order", ["fixed", "shuffle_once", "flip_flop"])
def test_an_order_that_repeats_ends_where_its_affine_maps_say(x64, order):
    np.testing.assert_allclose(floor(order).simulated, floor(order).exact, rtol=STILL_STARTING)


# Six means over 16 or 32 seeds: with 15 degrees of freedom, one beyond 5 standard errors has a chance of 0.0002. The errors are
# held small, for a floor that is altogether wrong scatters more than it is wrong.
def assert_exact_on_average(result, error):
    assert np.all(result.ratio_error < error)
    assert np.all(np.abs(result.ratio - 1) < 5 * result.ratio_error)


def test_with_replacement_the_mean_squared_distance_is_what_the_moments_say(x64):
    assert_exact_on_average(floor("replacement"), 0.12)


def test_reshuffled_the_mean_squared_distance_is_the_mean_over_all_orders(x64):
    # Of 6 samples, all 6! orders are within reach.
    result = noise_floor.measure("reshuffle", num_samples=6, num_inputs=2, seeds=32, epochs=1000, rates=(0.02, 0.01, 0.005))
    assert_exact_on_average(result, 0.08)


@pytest.mark.parametrize("order", ["fixed", "shuffle_once"])
def test_in_a_repeating_order_the_floor_falls_with_the_square_of_the_rate(x64, order):
    # The next power has the factor n lr below 0.13 of the first, and its share halves with the rate.
    np.testing.assert_allclose(floor(order).slope, 2, atol=0.05)


def test_with_replacement_the_floor_falls_with_the_rate(x64):
    result = floor("replacement")
    assert np.all(np.abs(result.slope - 1) < 5 * result.slope_error)
    assert np.all(result.slope_error < 0.05)


def test_reshuffled_the_floor_falls_with_a_power_between_2_and_3(x64):
    result = floor("reshuffle")
    assert np.all(result.slope - 2 * result.slope_error > 2)
    assert np.all(result.slope + 2 * result.slope_error < 3)


def test_the_floors_are_in_the_published_order(x64):
    mean = {order: floor(order).simulated.mean(axis=0) for order in ("replacement", "shuffle_once", "reshuffle", "flip_flop")}
    assert np.all(mean["replacement"] > 10 * mean["shuffle_once"])
    # n lr^2 against lr^2 + n^2 lr^3, and lr^2 with a reversal: factors of 1/n + n lr and of n, but for constants.
    assert np.all(mean["shuffle_once"] > 5 * mean["reshuffle"])
    assert np.all(mean["shuffle_once"] > 16 * mean["flip_flop"])
    # lr^2 + n^2 lr^3 against lr^2.
    assert np.all(mean["reshuffle"] > mean["flip_flop"])
