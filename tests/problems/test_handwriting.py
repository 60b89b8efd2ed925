"""Handwritten digits."""

import jax
import numpy as np
import optax
import pytest
from sklearn.datasets import load_digits

import jaxsgd

KEY = jax.random.key(0)


def test_data_are_scikit_learns_digits_scaled_to_0_and_1():
    images, labels = jaxsgd.problems.digits().data
    pixels, expected = load_digits(return_X_y=True)
    assert images.shape == (1797, 64)
    assert (images.min(), images.max()) == (0, 1)
    np.testing.assert_array_equal(images * 16, pixels)
    np.testing.assert_array_equal(labels, expected)


def test_fewer_samples_are_the_first():
    few, all_of_them = (jaxsgd.problems.digits(n).data for n in (10, 1797))
    for part in (0, 1):
        np.testing.assert_array_equal(few[part], all_of_them[part][:10])


def test_more_samples_than_there_are_is_refused():
    with pytest.raises(jaxsgd.InputError, match=r"^num_samples must be a whole number from 1 to 1797 \(.*\), got 1798$"):
        jaxsgd.problems.digits(1798)


def test_the_loss_of_a_network_of_zeros_is_the_logarithm_of_ten():
    # All ten classes are equally likely: -log(1/10).
    problem = jaxsgd.problems.digits()
    params = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), jax.eval_shape(problem.init, KEY))
    np.testing.assert_allclose(jax.jit(problem.loss)(params, problem.data), np.log(10), rtol=1e-6)


def test_the_loss_is_cross_entropy_of_a_relu_network(x64):
    problem = jaxsgd.problems.digits(50, 6, dtype="float64")
    params = jax.jit(problem.init)(KEY)
    (w1, b1), (w2, b2) = (tuple(np.asarray(leaf) + 0.1 for leaf in layer) for layer in params)
    x, label = problem.data
    out = np.maximum(x @ w1 + b1, 0) @ w2 + b2
    expected = np.log(np.exp(out).sum(axis=1)) - out[np.arange(50), label]
    got = jax.jit(problem.loss)(jax.tree.map(lambda leaf: np.asarray(leaf) + 0.1, params), problem.data)
    np.testing.assert_allclose(got, expected, rtol=1e-12)


def test_weights_have_variance_two_over_inputs_and_biases_are_zero():
    (w1, b1), (_, b2) = jax.tree.map(np.asarray, jax.jit(jaxsgd.problems.digits(num_hidden=1000).init)(KEY))
    # 64,000 draws: relative standard error of the variance sqrt(2 / 64000) = 0.006.
    assert float(w1.var()) == pytest.approx(2 / 64, rel=0.03)
    assert not b1.any()
    assert not b2.any()


def test_ten_epochs_of_training_read_nine_digits_in_ten():
    problem = jaxsgd.problems.digits()
    run = jaxsgd.simulate(problem, KEY, optimizer=optax.adam(0.01), epochs=10, batch_size=64, order="reshuffle")
    (w1, b1), (w2, b2) = jax.tree.map(np.asarray, run.params)
    images, labels = problem.data
    read = (np.maximum(images @ w1 + b1, 0) @ w2 + b2).argmax(axis=1)
    assert np.mean(read == labels) > 0.9
    assert run.loss.shape == (10, 29)  # 28 batches of 64 and one of 5
    assert run.epoch_loss[-1] < 0.3 < run.epoch_loss[0]
