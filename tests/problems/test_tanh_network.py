"""The small tanh network."""

import jax
import numpy as np

import jaxsgd

KEY = jax.random.key(0)


def test_the_loss_is_the_squared_distance_of_a_numpy_networks_output(x64):
    problem = jaxsgd.problems.tanh_network(num_samples=5, num_inputs=3, num_hidden=4, depth=3, dtype="float64")
    (x, target), params = jax.jit(problem.sample_data)(KEY), jax.jit(problem.init)(KEY)
    shifted = [(weights, np.asarray(biases) + 0.1 * (place + 1)) for place, (weights, biases) in enumerate(params)]
    hidden = np.asarray(x)
    for weights, biases in shifted[:-1]:
        hidden = np.tanh(hidden @ np.asarray(weights) + np.asarray(biases))
    weights, biases = map(np.asarray, shifted[-1])
    np.testing.assert_allclose(
        jax.jit(problem.loss)(shifted, (x, target)), ((hidden @ weights + biases)[:, 0] - target) ** 2, rtol=1e-12
    )


def test_its_layers_have_the_sizes_that_are_asked_for():
    params = jax.jit(jaxsgd.problems.tanh_network(num_samples=5, num_inputs=3, num_hidden=4, depth=2).init)(KEY)
    assert [weights.shape for weights, _ in params] == [(3, 4), (4, 4), (4, 1)]
    assert all(np.all(np.asarray(biases) == 0) for _, biases in params)
