"""Curvature against the Hessian written out: sharpness, trace, batch sharpness, and the lengths beside them."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

import jaxsgd
from jaxsgd.measure import batch_sharpness, gradient_norm, hessian_trace, linear_barrier, parameter_norm, sharpness, update_norm
from jaxsgd.measure.blocks import hessian_product
from jaxsgd.order import visits
from jaxsgd.simulator import batches_of
from tests import probe

KEY = jax.random.key(3)


def tanh_network(num_samples=24, num_inputs=3, num_hidden=4):
    """Squared errors of a small tanh network, on data that NumPy drew; its Hessian has eigenvalues of both signs."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal((num_samples, num_inputs)).astype("float32")
    weights = {
        "first": rng.standard_normal((num_inputs, num_hidden)).astype("float32"),
        "second": rng.standard_normal(num_hidden).astype("float32"),
    }

    def loss(params, batch):
        x, target = batch
        return (jnp.tanh(x @ params["first"]) @ params["second"] - target) ** 2

    return jaxsgd.Problem(lambda key: jax.tree.map(jnp.asarray, weights), loss, (jnp.asarray(x), jnp.sin(2 * x[:, 0])))


def line(num_samples, num_inputs=4):
    """Least squares, with arrays of JAX, as the simulator passes them on."""
    problem = probe.line(num_samples, num_inputs)
    return dataclasses.replace(problem, data=jax.tree.map(jnp.asarray, problem.data))


PROBLEMS = {"line": functools.partial(line, 24), "tanh": tanh_network}


@functools.partial(jax.jit, static_argnums=0)
def hessian_and_gradient(problem, params, batch):
    flat, unravel = ravel_pytree(params)

    def mean_loss(flat):
        return jnp.mean(problem.loss(unravel(flat), batch))

    return jax.hessian(mean_loss)(flat), jax.grad(mean_loss)(flat)


def dense_hessian(problem, params, own=slice(None)):
    """The Hessian [P, P] of the mean loss over some samples, and the gradient [P], by JAX's own transformations."""
    both = hessian_and_gradient(problem, params, jax.tree.map(lambda leaf: np.asarray(leaf)[own], problem.data))
    return tuple(np.asarray(array, np.float64) for array in both)


@pytest.fixture(scope="module", params=PROBLEMS)
def case(request):
    problem = PROBLEMS[request.param]()
    params = problem.init(KEY)
    return problem, params, *dense_hessian(problem, params)


def test_the_sharpness_is_the_largest_eigenvalue_within_one_percent(case):
    problem, params, hessian, _ = case
    largest = np.linalg.eigvalsh(hessian)[-1]
    measured = jax.jit(jax.vmap(lambda key: sharpness(problem, params, problem.data, key)))(jax.random.split(KEY, 5))
    assert measured.dtype == np.float32
    np.testing.assert_allclose(measured, largest, rtol=1e-2)


def test_it_is_the_largest_and_not_the_largest_in_size():
    # The Hessian is diagonal, -5, -3, ..., -1: the largest is -1, though -5 is the largest in size.
    curvature = -np.linspace(5, 1, 6, dtype=np.float32)
    problem = jaxsgd.Problem(lambda key: jnp.ones(6), lambda params, x: x * jnp.sum(curvature * params**2) / 2, jnp.ones(4))
    measured = jax.jit(lambda: sharpness(problem, jnp.ones(6), problem.data, KEY))()
    np.testing.assert_allclose(measured, -1, rtol=1e-2)


def test_few_iterations_or_a_large_tolerance_give_less():
    problem = line(40, 20)
    largest = np.linalg.eigvalsh(dense_hessian(problem, jnp.ones(20))[0])[-1]
    measure = jax.jit(lambda tolerance: sharpness(problem, jnp.ones(20), problem.data, KEY, tolerance=tolerance))
    np.testing.assert_allclose(measure(1e-6), largest, rtol=1e-5)
    # A tolerance that the first residual meets already gives v'Hv of the random start, and so does a single iteration.
    assert measure(10.0) < 0.9 * largest
    single = jax.jit(lambda: sharpness(problem, jnp.ones(20), problem.data, KEY, iterations=1))()
    np.testing.assert_allclose(measure(10.0), single, rtol=1e-6)


def test_the_trace_is_within_its_standard_error(case):
    problem, params, hessian, _ = case
    measure = jax.jit(jax.vmap(lambda key: hessian_trace(problem, params, problem.data, key, probes=10)))
    traces = measure(jax.random.split(KEY, 200))
    means = np.asarray(traces.value, np.float64)
    error = means.std(ddof=1) / np.sqrt(len(means))
    assert abs(means.mean() - np.trace(hessian)) < 3.5 * error
    # v'Hv has the variance 2 sum_(i != j) H_ij^2 (Hutchinson 1989), so the mean of 10 has the standard error below.
    off = hessian - np.diag(np.diag(hessian))
    exact = np.sqrt(2 * np.sum(off**2) / 10)
    np.testing.assert_allclose(np.sqrt(np.mean(np.asarray(traces.error) ** 2)), exact, rtol=0.1)


def test_the_batch_sharpness_is_the_mean_over_batches_of_the_curvature_along_their_gradients(case):
    problem, params, *_ = case
    # Batches of 8, 8 and 7 samples.
    epoch = jax.jit(lambda key: visits(jaxsgd.ORDERS["reshuffle"], key, 0, jaxsgd.split(23, batch_count=3)))(KEY)
    curvatures = []
    for sample, size in zip(np.asarray(epoch.sample), np.asarray(epoch.size), strict=True):
        hessian, gradient = dense_hessian(problem, params, sample[:size])
        curvatures.append(gradient @ hessian @ gradient / (gradient @ gradient))
    measure = jax.jit(lambda params, epoch: batch_sharpness(problem, params, problem.data, batches_of(epoch)))
    measured = measure(params, epoch)
    np.testing.assert_allclose(measured, np.mean(curvatures), rtol=1e-4)


def test_lengths():
    params = {"a": np.float32([3, 0]), "b": np.float32(4)}
    norms = jax.jit(lambda params, after: (parameter_norm(params), update_norm(params, after)))
    length, change = norms(params, jax.tree.map(lambda leaf: np.asarray(leaf) + 1, params))
    assert float(length) == 5
    assert float(change) == np.sqrt(np.float32(3))


def test_the_gradient_norm_is_that_of_the_mean_loss(case):
    problem, params, _, gradient = case
    measured = jax.jit(gradient_norm, static_argnums=0)(problem, params, problem.data)
    np.testing.assert_allclose(measured, np.linalg.norm(gradient), rtol=1e-5)


def test_many_samples_are_taken_in_blocks_with_the_same_numbers():
    # 2,500 samples are three blocks, the last of which is not full.
    problem, weights = line(2500), jnp.ones(4)
    hessian, gradient = dense_hessian(problem, weights)
    np.testing.assert_allclose(
        jax.jit(gradient_norm, static_argnums=0)(problem, weights, problem.data), np.linalg.norm(gradient), rtol=1e-5
    )
    product = jax.jit(hessian_product, static_argnums=0)(problem, weights, problem.data, jnp.arange(4.0))
    np.testing.assert_allclose(product, hessian @ np.arange(4), rtol=1e-5)


def test_a_single_parameter_is_its_own_curvature():
    problem = jaxsgd.Problem(init=lambda key: jnp.ones(1), loss=lambda w, x: 1.5 * (w[0] - x) ** 2, data=jnp.arange(6.0))
    np.testing.assert_allclose(jax.jit(lambda: sharpness(problem, jnp.ones(1), problem.data, KEY))(), 3, rtol=1e-6)


def test_no_routine_of_lapack_is_called():
    """Two programs side by side that call one from several lanes wait for each other for ever."""
    problem = tanh_network()
    shapes = jax.eval_shape(problem.init, KEY)
    several = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((3, *leaf.shape), leaf.dtype), shapes)
    text = jax.jit(jax.vmap(lambda params: sharpness(problem, params, problem.data, KEY))).lower(several).as_text()
    assert "while" in text
    assert "lapack" not in text


def test_with_values_each_measure_is_traced_in_its_first_call_only():
    problem, traced = line(24), []

    def loss(params, batch):
        traced.append(params)
        return problem.loss(params, batch)

    counted = dataclasses.replace(problem, loss=loss)
    batches = jax.jit(lambda key: batches_of(visits(jaxsgd.ORDERS["fixed"], key, 0, jaxsgd.split(24, batch_count=4))))(KEY)
    measures = {
        "sharpness": lambda params: sharpness(counted, params, problem.data, KEY),
        "hessian_trace": lambda params: hessian_trace(counted, params, problem.data, KEY, probes=2),
        "batch_sharpness": lambda params: batch_sharpness(counted, params, problem.data, batches),
        "gradient_norm": lambda params: gradient_norm(counted, params, problem.data),
        "linear_barrier": lambda params: linear_barrier(counted, params, params, problem.data, points=3),
    }
    for name, measure in measures.items():
        measure(jnp.ones(4))
        assert traced, name
        traced.clear()
        measure(jnp.zeros(4))
        assert not traced, name


def test_bad_sizes():
    problem = line(24)
    with pytest.raises(jaxsgd.InputError, match="iterations must be a whole number of at least 1, got 0"):
        sharpness(problem, jnp.ones(4), problem.data, KEY, iterations=0)
    with pytest.raises(jaxsgd.InputError, match="probes must be at least 2, so that they have a scatter, got 1"):
        hessian_trace(problem, jnp.ones(4), problem.data, KEY, probes=1)


def test_parameters_that_are_not_finite_give_nan():
    problem = tanh_network()
    params = jax.tree.map(lambda leaf: leaf * jnp.nan, problem.init(KEY))
    assert np.isnan(jax.jit(lambda: sharpness(problem, params, problem.data, KEY, iterations=3))())
