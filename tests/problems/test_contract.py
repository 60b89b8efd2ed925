"""One contract for every built-in problem."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxsgd
from jaxsgd.problem import num_samples
from jaxsgd.problems import PROBLEMS, problem_named
from jaxsgd.simulator import batch_loss

KEY, OTHER_KEY = jax.random.key(0), jax.random.key(1)
N = 20

SIZES = {
    "square_regression": {"num_samples": N, "num_inputs": 3, "num_hidden": 5},
    "least_squares": {"num_samples": N, "num_inputs": 3, "condition": 10.0},
    "noisy_quadratic": {"num_samples": N, "num_inputs": 3},
    "power_law_regression": {"num_samples": N, "num_inputs": 3},
    "digits": {"num_samples": N, "num_hidden": 4},
    "mnist1d": {"num_samples": N, "num_hidden": 4},
    "convnet": {"num_samples": N, "num_maps": 2},
    "tanh_network": {"num_samples": N, "num_inputs": 3, "num_hidden": 4},
    "deep_linear": {"num_samples": N, "num_inputs": 3, "num_hidden": 4},
    "char_lm": {"num_samples": N, "context": 4, "width": 4, "num_heads": 2},
    "from_file": {"num_hidden": 5},
}


WHOLE_NUMBERS = ("char_lm",)
"""Problems whose data are whole numbers only."""

WITHOUT_LABELS = ("noisy_quadratic", "char_lm")
"""Problems whose samples have no targets of their own."""


@pytest.fixture(params=PROBLEMS, scope="module")
def make(request, tmp_path_factory):
    """The function that makes the problem, small."""
    sizes = SIZES[request.param]
    if request.param == "from_file":
        rng = np.random.default_rng(0)
        path = tmp_path_factory.mktemp("contract") / "data.npz"
        np.savez(path, x=rng.standard_normal((N, 3)), t=rng.standard_normal((N, 2)))
        sizes = sizes | {"path": path}

    def make(**changed):
        return problem_named(request.param)(**(sizes | changed))

    return make


SUBSETS = ([3], [7, 3], list(range(N))[::-1])


class Measured(NamedTuple):
    """The data, parameters and losses of a problem, from compiled programs.

    Attributes:
      problem: it.
      draw: its data and its initial parameters, from a key.
      data, params: of `KEY`.
      losses: of all samples, [N].
      subset_losses: of the samples of each of `SUBSETS`, computed as batches of their own.
    """

    problem: jaxsgd.Problem
    draw: Callable
    data: Any
    params: Any
    losses: jax.Array
    subset_losses: list[jax.Array]


def drawing(problem):
    """Return the function of a key that gives the data and the initial parameters, compiled once.

    Arrays are given as they are, with the types that they have.
    """
    if callable(problem.data):
        return jax.jit(lambda key: (problem.sample_data(key), problem.init(key)))
    init = jax.jit(problem.init)
    return lambda key: (problem.sample_data(key), init(key))


@jax.jit(static_argnums=0)
def losses_of_subsets(loss, params, data):
    parts = [jax.tree.map(lambda leaf, at=samples: leaf[jnp.asarray(at)], data) for samples in SUBSETS]
    return loss(params, data), [loss(params, part) for part in parts]


@pytest.fixture(scope="module")
def measured(make):
    problem = make()
    draw = drawing(problem)
    data, params = draw(KEY)
    return Measured(problem, draw, data, params, *losses_of_subsets(problem.loss, params, data))


def floats(tree):
    return {leaf.dtype for leaf in jax.tree.leaves(tree) if jnp.issubdtype(leaf.dtype, jnp.floating)}


def test_it_gives_one_finite_loss_per_sample(measured):
    assert num_samples(measured.data) == N
    assert measured.losses.shape == (N,)
    assert np.isfinite(measured.losses).all()


def test_a_samples_loss_is_its_own_whoever_is_in_the_batch(measured):
    for samples, losses in zip(SUBSETS, measured.subset_losses, strict=True):
        np.testing.assert_allclose(losses, np.asarray(measured.losses)[samples], rtol=1e-5)


def test_in_float64_the_mean_of_the_samples_gradients_is_the_gradient_of_their_mean_loss(make, x64):
    problem = make(dtype="float64")
    data, params = drawing(problem)(KEY)

    @jax.jit
    def gradients(params, data):
        of_mean = jax.grad(lambda params: batch_loss(problem, params, data))(params)
        return problem.loss(params, data), jax.jacrev(problem.loss)(params, data), of_mean

    losses, of_samples, of_mean = jax.tree.map(np.asarray, gradients(params, data))
    jax.tree.map(
        lambda gradients, mean: np.testing.assert_allclose(np.mean(gradients, axis=0), mean, atol=1e-14), of_samples, of_mean
    )
    assert floats(params) == {jnp.dtype("float64")}
    assert floats(data) == (set() if problem.name in WHOLE_NUMBERS else floats(params))
    assert losses.dtype == jnp.float64


def test_data_and_parameters_are_float32_unless_asked_otherwise(measured):
    assert floats(measured.params) == {jnp.dtype("float32")}
    assert floats(measured.data) == (set() if measured.problem.name in WHOLE_NUMBERS else floats(measured.params))
    assert measured.losses.dtype == jnp.float32


def test_float32_stays_float32_where_float64_is_on(make, x64):
    problem = make()
    # The types of a run follow from tracing it.
    run = jax.eval_shape(lambda key: jaxsgd.simulate(problem, key, optimizer=optax.sgd(0.01), epochs=1, batch_count=3), KEY)
    assert floats(run.params) == {run.loss.dtype} == {jnp.dtype("float32")}


def test_the_same_key_gives_the_same_data_and_parameters(make, measured):
    # A problem made anew shares no traced function with the first.
    jax.tree.map(np.testing.assert_array_equal, drawing(make())(KEY), (measured.data, measured.params))


def test_training_makes_the_loss_fall(measured):
    # From the start and on the data that are drawn for the other checks: to draw them again takes most of the time to compile.
    problem = dataclasses.replace(measured.problem, data=measured.data, init=lambda key: measured.params)
    run = jaxsgd.simulate(problem, KEY, optimizer=optax.sgd(0.1), epochs=20, batch_count=3)
    assert run.epoch_loss[-1] < run.epoch_loss[0]


DRAWN = ("square_regression", "least_squares", "noisy_quadratic", "power_law_regression", "tanh_network", "deep_linear")
"""Problems whose data are drawn as real numbers."""


@pytest.mark.parametrize("make", DRAWN, indirect=True, scope="module")
def test_another_key_gives_other_data(measured):
    leaves = zip(*map(jax.tree.leaves, (measured.data, measured.draw(OTHER_KEY)[0])), strict=True)
    assert not any(np.any(np.asarray(a) == np.asarray(b)) for a, b in leaves)


def test_an_unknown_problem_is_answered_with_the_nearest():
    with pytest.raises(jaxsgd.InputError, match=r"^unknown problem 'digit': did you mean 'digits'\? valid: "):
        problem_named("digit")


def test_every_problem_is_public_by_its_name():
    assert all(getattr(jaxsgd.problems, name) is make for name, make in PROBLEMS.items())


def test_arranged_by_label_its_samples_are_the_same_sorted_and_so_are_those_held_out(make):
    if (name := make().name) in WITHOUT_LABELS:
        with pytest.raises(jaxsgd.InputError, match=f"to be sorted by label, data of '{name}' must be"):
            make().arranged("label").sample_data(KEY)
        return
    problems = [jaxsgd.hold_out(make(arrange=arrange), 0.3) for arrange in ("given", "label")]

    def draw(key):
        return [(problem.sample_data(key), problem.sample_held_out(key)) for problem in problems]

    given, arranged = jax.tree.map(np.asarray, (jax.jit(draw) if callable(problems[0].data) else draw)(KEY))
    jax.tree.map(np.testing.assert_array_equal, given[1], arranged[1])
    (x, t), (sorted_x, sorted_t) = given[0], arranged[0]
    first = t.reshape(len(t), -1)[:, 0]
    # Python's sort is stable, as ours promises to be; without ties in the first output the others do not matter.
    sequence = sorted(range(len(t)), key=lambda sample: first[sample])
    np.testing.assert_array_equal(sorted_t, t[sequence])
    np.testing.assert_array_equal(sorted_x, x[sequence])
    assert not np.array_equal(sorted_x, x)
