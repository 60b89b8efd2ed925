"""Least squares."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxsgd

KEY = jax.random.key(0)


def mean_gradient(problem, params, data):
    return jax.jit(jax.grad(lambda params, data: problem.loss(params, data).mean()))(params, data)


@pytest.mark.parametrize("condition", [1.0, 100.0])
def test_the_gradient_vanishes_at_the_optimum_and_nowhere_near_the_start(x64, condition):
    problem = jaxsgd.problems.least_squares(200, 5, condition=condition, dtype="float64")
    data = jax.jit(problem.sample_data)(KEY)
    assert np.abs(mean_gradient(problem, problem.optimum(data), data)).max() < 1e-13
    assert np.abs(mean_gradient(problem, jax.jit(problem.init)(KEY), data)).max() > 0.1


def test_the_optimum_is_numpys_least_squares_solution(x64):
    problem = jaxsgd.problems.least_squares(50, 3, dtype="float64")
    x, t = jax.jit(problem.sample_data)(KEY)
    np.testing.assert_allclose(problem.optimum((x, t)), np.linalg.lstsq(np.asarray(x), np.asarray(t))[0], rtol=1e-10)


def test_without_noise_every_sample_agrees_on_the_optimum(x64):
    problem = jaxsgd.problems.least_squares(50, 3, noise=0.0, dtype="float64")
    data = jax.jit(problem.sample_data)(KEY)
    np.testing.assert_allclose(jax.jit(problem.loss)(problem.optimum(data), data), 0, atol=1e-28)


def test_noise_leaves_half_its_variance_as_loss_at_the_optimum(x64):
    # Residuals have N - D degrees of freedom: the mean loss is sigma^2 (1 - D/N) / 2, with relative error sqrt(2/N) = 0.014.
    problem = jaxsgd.problems.least_squares(10_000, 10, noise=3.0, dtype="float64")
    data = jax.jit(problem.sample_data)(KEY)
    assert np.mean(jax.jit(problem.loss)(problem.optimum(data), data)) == pytest.approx(4.5 * 0.999, rel=0.07)


def test_input_variances_run_evenly_in_the_logarithm_from_1_to_1_over_condition(x64):
    x, _ = jax.jit(jaxsgd.problems.least_squares(20_000, 3, condition=100.0, dtype="float64").sample_data)(KEY)
    # Relative standard error of a variance: sqrt(2/N) = 0.01.
    np.testing.assert_allclose(np.asarray(x).var(axis=0), [1, 0.1, 0.01], rtol=0.05)


def test_the_loss_is_half_the_squared_residual():
    problem = jaxsgd.problems.least_squares(2, 2)
    batch = (jnp.asarray([[1.0, 2.0], [0.0, 1.0]]), jnp.asarray([4.0, 1.0]))
    # Residuals at w = (1, 1): 3 - 4 = -1 and 1 - 1 = 0.
    np.testing.assert_allclose(jax.jit(problem.loss)(jnp.ones(2), batch), [0.5, 0.0])


def test_full_batch_training_reaches_the_optimum(x64):
    problem = jaxsgd.problems.least_squares(100, 3, dtype="float64")
    data = jax.jit(problem.sample_data)(jaxsgd.streams(KEY).data)
    # Contraction per epoch is at most 1 - lr * (smallest curvature, about 0.7): below 1e-12 after 100 epochs.
    run = jaxsgd.simulate(problem, KEY, optimizer=optax.sgd(0.5), epochs=100, batch_count=1)
    np.testing.assert_allclose(run.params, problem.optimum(data), rtol=1e-10)
