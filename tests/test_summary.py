"""Short texts of values: types and shapes in place of numbers, on one line, however large the value."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxsgd
from jaxsgd.summary import brief, brief_axis, shortened
from tests import probe

KEY = jax.random.key(0)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.zeros((3, 100), np.float32), "float32[3, 100]"),
        (jnp.zeros(4), "float32[4]"),
        (KEY, "key<fry>[]"),
        (np.float64(0.25), "0.25"),
        (jnp.float32(0.1), "0.1"),
        (np.int8(3), "3"),
        ({"w1": np.zeros(2), "deep": {"b": np.zeros(())}}, "{w1: float64[2], deep: {b: 0}}"),
        ({"b1": "0.9"}, "{'b1': '0.9'}"),
        ([1, "a", None], "[1, 'a', None]"),
        ((1,), "(1,)"),
        (0.1 + 0.2, "0.3"),
        (list(range(1000)), "[0, 1, 2, 3, 4, 5, ... 1000 in all]"),
        ([[[[[1]]]]], "[[[[...]]]]"),
        (probe.numbered, "<function numbered>"),
        ("a\nb", "'a\\nb'"),
    ],
)  # fmt: skip
def test_a_value_in_short(value, text):
    assert brief(value) == text


def test_a_traced_value_has_a_type_and_no_number():
    texts = []
    jax.jit(lambda x, y: texts.extend([brief(x), brief(y)]))(1.0, jnp.zeros(3))
    assert texts == ["float32[]", "float32[3]"]


def test_a_long_text_is_cut_in_its_middle():
    assert shortened("ab" * 300, 20) == "ababababababa ... babab"
    assert len(brief("x" * 10_000)) < 250


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ((0, 1, 2, 3), "range(4)"),
        ((3, 4, 5), "range(3, 6)"),
        ((0, 5, 10), "range(0, 11, 5)"),
        ((5, 4, 3), "range(5, 2, -1)"),
        ((0, 1), "[0, 1]"),
        ((1, 2, 5), "[1, 2, 5]"),
        ((0.1, 0.2), "[0.1, 0.2]"),
    ],
)
def test_an_axis_as_python_writes_it(values, text):
    assert brief_axis(values) == text
    assert tuple(eval(text)) == values


# What a notebook shows


@pytest.fixture(scope="module")
def run():
    return jaxsgd.simulate(probe.network(), KEY, optimizer=optax.adam(0.1), epochs=3, batch_count=7)


def test_a_run_says_its_sizes_its_last_loss_and_its_parameters(run):
    shapes = {name: f"{leaf.dtype}[{', '.join(map(str, leaf.shape))}]" for name, leaf in run.params.items()}
    params = ", ".join(f"{name}: {shape}" for name, shape in shapes.items())
    assert repr(run) == f"Run(epochs=3, batch_count=7, final loss {run.epoch_loss[-1]:.4g}, params: {{{params}}})"


def test_several_runs_say_the_least_and_the_largest_last_loss(run):
    several = jax.tree.map(lambda leaf: jnp.stack([leaf, 2 * leaf]), run)._replace(size=jnp.stack([run.size, run.size]))
    final = float(run.epoch_loss[-1])
    assert repr(several).startswith(
        f"Run(runs=2, epochs=3, batch_count=7, final losses {final:.4g} to {2 * final:.4g}, params: "
    )


def test_a_run_is_still_a_tree_and_has_a_repr_whatever_its_leaves_are(run):
    assert jax.tree.structure(run) == jax.tree.structure(jax.tree.map(lambda leaf: 2 * leaf, run))
    assert repr(jax.eval_shape(lambda: run)).startswith("Run(epochs=3, batch_count=7, params: ")
    assert repr(jax.tree.map(lambda leaf: None, run)).startswith("Run(")
    assert repr(jax.tree.map(lambda leaf: "a", run)).startswith("Run(loss: 'a'")


def test_results_are_shown_by_shapes(run):
    problem = probe.network()
    stripes = jaxsgd.stripes(run.loss, 2)
    assert repr(stripes).startswith("Stripes(stripe_count: 7, windows: float64[10], time: float64[10], stripe: int64[10], ")
    assert repr(jaxsgd.streams(KEY)) == "Keys(data: key<fry>[], init: key<fry>[], order: key<fry>[])"
    seen = jaxsgd.influence(problem, KEY, optimizer=optax.sgd(0.1), at=[0], batch_count=7)
    assert "effect: float32[1, 7, 7]" in repr(seen)
    diagnosis = jaxsgd.diagnose(np.tile(np.arange(10.0) % 4, (50, 1)))
    assert repr(diagnosis).startswith("Diagnosis('fixed order (")
    long = jaxsgd.analysis.rank_table(np.random.default_rng(0).normal(size=(3, 4, 500)))
    for value in (run, stripes, seen, diagnosis, long, problem, jaxsgd.problems.noisy_quadratic()):
        assert len(repr(value)) < 600
        assert "\n" not in repr(value)


def test_a_problem_says_what_its_data_are():
    problem = probe.network()
    assert repr(problem) == f"Problem('problem', data: {brief(problem.data)})"
    drawn = jaxsgd.problems.least_squares(num_samples=10)
    assert repr(drawn) == "Problem('least_squares', data: drawn with a key, with optimum)"
    assert repr(jaxsgd.hold_out(drawn, 0.2)) == (
        "Problem('least_squares', data: drawn with a key, held_out: drawn with a key, with optimum)"
    )
