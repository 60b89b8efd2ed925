"""The oracle is held to what can be derived by hand, for everything else is held to the oracle."""

import numpy as np
import pytest

from tests import reference

RNG = np.random.default_rng(0)
X, T = RNG.standard_normal((7, 3)), RNG.standard_normal((7, 2))
W1, W2 = RNG.standard_normal((3, 5)), RNG.standard_normal((2, 5))
RULES = [lambda: reference.sgd(0.1), lambda: reference.momentum(0.1, 0.9), lambda: reference.adam(0.1)]


def test_loss_of_one_hand_computed_sample():
    # sigmoid(0) = 1/2 in both hidden units; outputs sigmoid(2 ln 3 / 2) = 3/4 and sigmoid(0) = 1/2.
    # Errors against 0 and 1: 3/4 and -1/2, so the loss is (9/16 + 1/4) / 2 = 13/32.
    w2 = np.array([[np.log(3), np.log(3)], [1.0, -1.0]])
    loss, _, _ = reference.loss_and_gradient(np.zeros((1, 2)), w2, np.ones((1, 1)), np.array([[0.0, 1.0]]))
    assert loss == pytest.approx(13 / 32, rel=1e-15)


@pytest.mark.parametrize("which", [0, 1])
def test_gradient_agrees_with_central_differences(which):
    weights = [W1, W2]
    grad = reference.loss_and_gradient(W1, W2, X, T)[1 + which]
    h = 1e-5  # truncation h^2 = 1e-10, rounding 1e-16 / h = 1e-11
    for place in np.ndindex(weights[which].shape):
        ends = []
        for sign in (-1, 1):
            moved = [w.copy() for w in weights]
            moved[which][place] += sign * h
            ends.append(reference.loss_and_gradient(*moved, X, T)[0])
        assert grad[place] == pytest.approx((ends[1] - ends[0]) / (2 * h), abs=1e-9)


def test_sgd_is_one_step_down_the_gradient():
    assert reference.sgd(0.1)(np.array([2.0])) == pytest.approx(-0.2)


def test_momentum_on_a_constant_gradient_is_a_geometric_sum():
    # v_k = g (1 + mu + ... + mu^(k-1)): 1, 1.5, 1.75 for g = 1 and mu = 1/2.
    change = reference.momentum(0.1, 0.5)
    assert [change(np.array(1.0)) for _ in range(3)] == pytest.approx([-0.1, -0.15, -0.175])


def test_adam_on_a_constant_gradient_moves_by_the_rate_whatever_the_gradient():
    # Both averages of a constant are that constant once corrected for their start at 0: lr g / (sqrt(g^2) + eps).
    for grad in (3.0, -1e-3):
        change = reference.adam(0.1, eps=0)
        assert [change(np.array(grad)) for _ in range(5)] == pytest.approx([-0.1 * np.sign(grad)] * 5)


def test_adam_on_two_gradients_as_derived():
    # g = 1, then 0. First: 0.1, then 0.09, over 1 - 0.81 = 0.19. Second: 0.001, then 0.000999, over 1 - 0.998001 = 0.001999.
    change = reference.adam(1.0, eps=0.5)
    assert change(np.array(1.0)) == pytest.approx(-1 / 1.5)
    assert change(np.array(0.0)) == pytest.approx(-(0.09 / 0.19) / (np.sqrt(0.000999 / 0.001999) + 0.5))


def test_losses_are_taken_before_each_update_and_the_start_is_left_alone():
    batches = [np.array([0, 1]), np.array([2, 3, 4])]
    start = W1.copy(), W2.copy()
    losses, _, _ = reference.train(X, T, *start, [batches], lambda: reference.sgd(0.3))
    first, g1, g2 = reference.loss_and_gradient(W1, W2, X[:2], T[:2])
    second, _, _ = reference.loss_and_gradient(W1 - 0.3 * g1, W2 - 0.3 * g2, X[2:5], T[2:5])
    assert losses == pytest.approx(np.array([[first, second]]))
    np.testing.assert_array_equal(start[0], W1)
    np.testing.assert_array_equal(start[1], W2)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rule", RULES)
def test_the_loop_computes_in_the_dtype_it_is_given(dtype, rule):
    arrays = [a.astype(dtype) for a in (X, T, W1, W2)]
    losses, w1, w2 = reference.train(*arrays, [[np.arange(7)]] * 3, rule)
    assert losses.dtype == w1.dtype == w2.dtype == dtype
