"""The deep linear network."""

import jax
import numpy as np
import optax

import jaxsgd

KEY = jax.random.key(0)


def test_the_loss_is_the_squared_distance_of_a_numpy_product(x64):
    problem = jaxsgd.problems.deep_linear(num_samples=5, num_inputs=3, num_hidden=4, depth=2, dtype="float64")
    (x, target), params = jax.jit(problem.sample_data)(KEY), jax.jit(problem.init)(KEY)
    first, second, last = map(np.asarray, params)
    assert [first.shape, second.shape, last.shape] == [(3, 4), (4, 4), (4, 1)]
    # 3, 4 and 4 inputs to the layers: divided by sqrt(3 * 4 * 4).
    output = np.asarray(x) @ first @ second @ last / np.sqrt(48)
    np.testing.assert_allclose(jax.jit(problem.loss)(params, (x, target)), (output[:, 0] - np.asarray(target)) ** 2, rtol=1e-12)


def test_the_targets_are_a_linear_function_of_the_inputs(x64):
    x, target = map(np.asarray, jax.jit(jaxsgd.problems.deep_linear(20, 3, dtype="float64").sample_data)(KEY))
    weights = np.linalg.lstsq(x, target)[0]
    np.testing.assert_allclose(x @ weights, target, atol=1e-12)


def test_it_is_learned_to_a_loss_below_a_millionth():
    problem = jaxsgd.problems.deep_linear(num_samples=16)
    run = jaxsgd.simulate(problem, KEY, optimizer=optax.sgd(0.5), epochs=60, batch_count=1)
    assert run.epoch_loss[0] > 0.1
    assert run.epoch_loss[-1] < 1e-6
