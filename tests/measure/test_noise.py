"""Gradient noise where it is known in closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxsgd
from tests import probe

INPUTS = 5
CURVATURE = 1 / np.arange(1, INPUTS + 1)


def noises(num_samples, seeds, **changed):
    """Over data seeds, from the same initial weights."""
    problem = jaxsgd.problems.noisy_quadratic(num_samples, INPUTS)
    how = {"optimizer": optax.sgd(0.1), "at": [0], "batch_count": 1} | changed

    def of_seed(seed):
        keys = jaxsgd.streams(jax.random.key(0), data=jax.random.key(seed))
        return jaxsgd.noise(problem, keys, **how)

    return jax.jit(jax.vmap(of_seed))(jnp.arange(seeds)), np.asarray(problem.init(jaxsgd.streams(jax.random.key(0)).init))


@pytest.mark.parametrize(("num_samples", "small_batch"), [(8, 1), (8, 4), (50, 7)])
def test_both_parts_are_unbiased_on_the_noisy_quadratic(num_samples, small_batch):
    """A sample's gradient is h w - sqrt(h) z: its mean is h w, its summed variance the sum of h."""
    seen, weights = noises(num_samples, 4000, small_batch=small_batch)
    for values, exact in ((seen.trace, CURVATURE.sum()), (seen.gradient_square, ((CURVATURE * weights) ** 2).sum())):
        values = np.asarray(values[:, 0], np.float64)
        error = values.std(ddof=1) / np.sqrt(len(values))
        assert abs(values.mean() - exact) < 3.5 * error
        assert error < 0.05 * exact


def test_single_samples_give_the_sample_variance_itself():
    problem = probe.line(num_samples=20)
    seen = jaxsgd.noise(problem, jax.random.key(0), optimizer=optax.sgd(0.1), at=0, batch_count=2)
    x, t = problem.data
    gradients = (x @ np.ones(4, np.float32) - t)[:, None] * x
    np.testing.assert_allclose(seen.trace, [gradients.var(axis=0, ddof=1).sum()], rtol=1e-5)
    mean_square = (gradients.mean(axis=0) ** 2).sum()
    np.testing.assert_allclose(seen.gradient_square, [mean_square - gradients.var(axis=0, ddof=1).sum() / 20], rtol=1e-5)
    np.testing.assert_array_equal(seen.scale, jaxsgd.measure.noise_scale(seen.trace, seen.gradient_square))


def test_it_is_measured_where_the_training_has_come_to():
    problem = probe.line(num_samples=20)
    run = jaxsgd.simulate(problem, jax.random.key(0), optimizer=optax.sgd(0.1), epochs=3, batch_count=5)
    began_there = jaxsgd.Problem(lambda key: run.params, problem.loss, problem.data)
    how = {"optimizer": optax.sgd(0.1), "batch_count": [2, 5]}
    later = jaxsgd.noise(problem, jax.random.key(0), at=[1, 3], **how)
    restarted = jaxsgd.noise(began_there, jax.random.key(0), at=[0], **how)
    assert later.trace.shape == (2, 2)
    np.testing.assert_allclose(later.trace[1, 1], restarted.trace[1, 0], rtol=1e-5)
    np.testing.assert_allclose(later.gradient_square[1, 1], restarted.gradient_square[1, 0], rtol=1e-4)


def test_a_scale_is_missing_where_noise_hides_the_gradient():
    np.testing.assert_array_equal(jaxsgd.measure.noise_scale([2.0, 2.0, 2.0], [4.0, 0.0, -1.0]), [0.5, np.nan, np.nan])


@pytest.mark.parametrize(
    ("num_samples", "changed", "message"),
    [
        (1, {}, "noise needs at least 2 samples, got 1"),
        (20, {"small_batch": 11}, r"small_batch must be a whole number from 1 to 10 \(half the samples\), got 11"),
        (20, {"at": "0"}, r"at must list epochs .*, got '0'"),
        (20, {"at": 3, "batch_count": 4, "steps": 12}, r"at must list epochs from 0 to 2 \(0-based whole numbers\), got 3"),
        (20, {"epochs": 3, "steps": 12}, "give either epochs or steps, and not both, got epochs=3 and steps=12"),
        (20, {"batch_count": [2, 4], "steps": 12}, "steps needs a single batch_count: .*"),
        (20, {"steps": 1.5}, "steps must be a whole number of at least 1, got 1.5"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_bad_input(num_samples, changed, message):
    how = {"optimizer": optax.sgd(0.1), "at": 0, "batch_count": 1} | changed
    with pytest.raises(jaxsgd.InputError, match=f"^{message}$"):
        jaxsgd.noise(probe.line(num_samples), jax.random.key(0), **how)
