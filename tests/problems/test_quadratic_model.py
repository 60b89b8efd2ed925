"""The noisy quadratic model."""

import jax
import numpy as np
import optax
import pytest

import jaxsgd

KEY = jax.random.key(0)
CURVATURE = 1 / np.arange(1, 6)


def test_the_mean_loss_over_z_is_the_risk_and_its_gradient_is_curvature_times_weight(x64):
    problem = jaxsgd.problems.noisy_quadratic(1, 5, dtype="float64")
    w = np.asarray([1.0, -2.0, 3.0, 0.5, 0.0])
    # z and -z: the linear term cancels in the mean.
    z = np.random.default_rng(0).normal(size=(1, 5))
    both = np.concatenate([z, -z])
    value, grad = jax.jit(jax.value_and_grad(lambda w, both: problem.loss(w, both).mean()))(w, both)
    assert float(value) == pytest.approx(float(np.sum(CURVATURE * w**2)) / 2, rel=1e-14)
    np.testing.assert_allclose(grad, CURVATURE * w, atol=1e-15)


def test_the_gradient_vanishes_at_the_optimum(x64):
    problem = jaxsgd.problems.noisy_quadratic(50, 5, dtype="float64")
    z = jax.jit(problem.sample_data)(KEY)
    grad = jax.jit(jax.grad(lambda w: problem.loss(w, z).mean()))(problem.optimum(z))
    assert np.abs(grad).max() < 1e-15


def test_the_covariance_of_the_samples_gradients_is_the_curvature(x64):
    n = 20_000
    problem = jaxsgd.problems.noisy_quadratic(n, 5, dtype="float64")
    weights = jax.jit(problem.init)(KEY)
    samples = jax.jit(problem.sample_data)(KEY)
    grads = jax.jit(jax.vmap(lambda z: jax.grad(lambda w: problem.loss(w, z[None, :])[0])(weights)))(samples)
    covariance = np.cov(np.asarray(grads).T)
    # Of n normal draws, an estimated covariance has standard error sqrt((s_ii s_jj + s_ij^2) / n).
    error = np.sqrt((np.outer(CURVATURE, CURVATURE) + np.diag(CURVATURE**2)) / n)
    assert np.all(np.abs(covariance - np.diag(CURVATURE)) < 5 * error)
    np.testing.assert_allclose(grads.mean(axis=0), CURVATURE * weights, atol=5 / np.sqrt(n))


def test_over_one_epoch_the_squared_weights_follow_the_papers_recursion():
    runs, batch_size, steps, rate = 4000, 4, 10, 0.5
    problem = jaxsgd.problems.noisy_quadratic(steps * batch_size, 5)

    def final(key):
        return jaxsgd.simulate(problem, key, optimizer=optax.sgd(rate), epochs=1, batch_size=batch_size).params

    squares = np.asarray(jax.vmap(final)(jax.random.split(KEY, runs))) ** 2
    expected = np.ones(5)
    for _ in range(steps):
        expected = (1 - rate * CURVATURE) ** 2 * expected + rate**2 * CURVATURE / batch_size
    # A weight is normal, so the mean of its squares has relative standard error sqrt(2 / runs) = 0.022.
    np.testing.assert_allclose(squares.mean(axis=0), expected, rtol=5 * np.sqrt(2 / runs))
