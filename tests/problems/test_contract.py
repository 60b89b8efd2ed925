"""One contract for every built-in problem."""

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


@pytest.fixture(params=PROBLEMS)
def make(request, tmp_path):
    """The function that makes the problem, small."""
    sizes = SIZES[request.param]
    if request.param == "from_file":
        rng = np.random.default_rng(0)
        np.savez(tmp_path / "data.npz", x=rng.standard_normal((N, 3)), t=rng.standard_normal((N, 2)))
        sizes = sizes | {"path": tmp_path / "data.npz"}

    def make(**changed):
        return problem_named(request.param)(**(sizes | changed))

    return make


def floats(tree):
    return {leaf.dtype for leaf in jax.tree.leaves(tree) if jnp.issubdtype(leaf.dtype, jnp.floating)}


def test_it_gives_one_finite_loss_per_sample(make):
    problem = make()
    data, params = jax.tree.map(jnp.asarray, problem.sample_data(KEY)), problem.init(KEY)
    assert num_samples(data) == N
    losses = problem.loss(params, data)
    assert losses.shape == (N,)
    assert np.isfinite(losses).all()


def test_a_samples_loss_is_its_own_whoever_is_in_the_batch(make):
    problem = make()
    data, params = jax.tree.map(jnp.asarray, problem.sample_data(KEY)), problem.init(KEY)
    for samples in ([3], [7, 3], list(range(N))[::-1]):
        some = problem.loss(params, jax.tree.map(lambda leaf, at=samples: leaf[jnp.asarray(at)], data))
        np.testing.assert_allclose(some, problem.loss(params, data)[jnp.asarray(samples)], rtol=1e-5)


def test_the_mean_of_the_samples_gradients_is_the_gradient_of_their_mean_loss(make, x64):
    problem = make(dtype="float64")
    data, params = jax.tree.map(jnp.asarray, problem.sample_data(KEY)), problem.init(KEY)
    of_each = jax.jacrev(problem.loss)(params, data)
    of_mean = jax.grad(lambda params: batch_loss(problem, params, data))(params)
    jax.tree.map(lambda gradients, mean: np.testing.assert_allclose(gradients.mean(axis=0), mean, atol=1e-14), of_each, of_mean)


def test_data_and_parameters_are_float32_unless_asked_otherwise(make):
    problem = make()
    data, params = problem.sample_data(KEY), problem.init(KEY)
    assert floats(params) == {jnp.dtype("float32")}
    assert floats(data) == (set() if problem.name in WHOLE_NUMBERS else floats(params))
    assert problem.loss(params, jax.tree.map(jnp.asarray, data)).dtype == jnp.float32


def test_data_and_parameters_are_float64_when_asked(make, x64):
    problem = make(dtype="float64")
    data, params = problem.sample_data(KEY), problem.init(KEY)
    assert floats(params) == {jnp.dtype("float64")}
    assert floats(data) == (set() if problem.name in WHOLE_NUMBERS else floats(params))
    assert problem.loss(params, jax.tree.map(jnp.asarray, data)).dtype == jnp.float64


def test_float32_stays_float32_where_float64_is_on(make, x64):
    problem = make()
    run = jaxsgd.simulate(problem, KEY, optimizer=optax.sgd(0.01), epochs=1, batch_count=3)
    assert floats(run.params) == {run.loss.dtype} == {jnp.dtype("float32")}


def test_the_same_key_gives_the_same_data_and_parameters(make):
    for part in ("sample_data", "init"):
        jax.tree.map(np.testing.assert_array_equal, getattr(make(), part)(KEY), getattr(make(), part)(KEY))


def test_training_makes_the_loss_fall(make):
    run = jaxsgd.simulate(make(), KEY, optimizer=optax.sgd(0.1), epochs=20, batch_count=3)
    assert run.epoch_loss[-1] < run.epoch_loss[0]


DRAWN = ("square_regression", "least_squares", "noisy_quadratic", "power_law_regression", "tanh_network", "deep_linear")
"""Problems whose data are drawn as real numbers."""


@pytest.mark.parametrize("name", DRAWN)
def test_another_key_gives_other_data(name):
    problem = PROBLEMS[name](**SIZES[name])
    leaves = zip(*(jax.tree.leaves(problem.sample_data(key)) for key in (KEY, OTHER_KEY)), strict=True)
    assert not any(np.any(a == b) for a, b in leaves)


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
    given, arranged = (jaxsgd.hold_out(make(arrange=arrange), 0.3) for arrange in ("given", "label"))
    for kept, again in zip(given.sample_held_out(KEY), arranged.sample_held_out(KEY), strict=True):
        np.testing.assert_array_equal(kept, again)
    (x, t), (sorted_x, sorted_t) = (map(np.asarray, problem.sample_data(KEY)) for problem in (given, arranged))
    first = t.reshape(len(t), -1)[:, 0]
    # Python's sort is stable, as ours promises to be; without ties in the first output the others do not matter.
    sequence = sorted(range(len(t)), key=lambda sample: first[sample])
    np.testing.assert_array_equal(sorted_t, t[sequence])
    np.testing.assert_array_equal(sorted_x, x[sequence])
    assert not np.array_equal(sorted_x, x)
