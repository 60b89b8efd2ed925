"""The article's network and data."""

import jax
import numpy as np
import pytest

import jaxsgd
from tests import reference

KEY = jax.random.key(0)


def test_sizes_are_the_articles_by_default():
    problem = jaxsgd.problems.square_regression()
    x, t = jax.eval_shape(problem.sample_data, KEY)
    params = jax.eval_shape(problem.init, KEY)
    assert (x.shape, t.shape) == ((1000, 10), (1000, 10))
    assert {name: leaf.shape for name, leaf in params.items()} == {"w1": (10, 1000), "w2": (10, 1000)}


@pytest.fixture(scope="module")
def draws():
    """The inputs, the targets and both weight matrices that a key draws, as NumPy arrays by name."""
    problem = jaxsgd.problems.square_regression()
    (x, t), params = jax.jit(lambda key: (problem.sample_data(key), problem.init(key)))(KEY)
    return jax.tree.map(np.asarray, {"inputs": x, "targets": t, **params})


def test_targets_are_the_squares_of_the_inputs(draws):
    np.testing.assert_array_equal(draws["targets"], draws["inputs"] ** 2)


@pytest.mark.parametrize("draw", ["inputs", "w1", "w2"])
def test_inputs_and_weights_are_standard_normal(draws, draw):
    # 10,000 draws: the mean's standard error is 1/100, the variance's sqrt(2)/100.
    assert abs(draws[draw].mean()) < 0.05
    assert abs(draws[draw].var() - 1) < 0.07


def test_the_two_weight_matrices_are_drawn_apart(draws):
    assert abs(np.mean(draws["w1"] * draws["w2"])) < 0.05


def test_each_samples_loss_is_the_oracles_on_that_sample_alone(x64):
    problem = jaxsgd.problems.square_regression(12, 4, 30, dtype="float64")
    (x, t), params = jax.jit(problem.sample_data)(KEY), jax.jit(problem.init)(KEY)
    (x, t), params = jax.tree.map(np.asarray, ((x, t), params))
    alone = [reference.loss_and_gradient(params["w1"], params["w2"], x[n : n + 1], t[n : n + 1])[0] for n in range(12)]
    np.testing.assert_allclose(jax.jit(problem.loss)(params, (x, t)), alone, rtol=1e-12)


def test_the_loss_starts_where_the_articles_does():
    # The article's first printed loss is 2.3137. Over draws of data and weights the first epoch's mean is 2.42 +- 0.07,
    # measured with a separate NumPy loop; the mean of 8 draws has a third of that spread.
    problem = jaxsgd.problems.square_regression()
    loss = jax.jit(lambda key: problem.loss(problem.init(key), problem.sample_data(key)).mean())
    assert np.mean([loss(key) for key in jax.random.split(KEY, 8)]) == pytest.approx(2.42, abs=0.1)
