"""Problems that a user brings."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxsgd
from jaxsgd import InputError, Study
from jaxsgd.problem import check_training
from tests import probe

KEY = jax.random.key(0)


def test_held_data_are_given_as_they_are_and_drawn_data_by_the_key():
    stored, drawn = probe.numbered(4), probe.drawn(4)
    assert stored.sample_data(KEY) is stored.data
    np.testing.assert_array_equal(drawn.sample_data(KEY), jax.random.uniform(KEY, (4,)))


def test_data_are_drawn_at_full_precision_whatever_the_devices_own():
    problem = jaxsgd.Problem(
        lambda key: jnp.zeros(()), lambda w, x: x[:, 0] * w, lambda key: jnp.ones((4, 3)) @ jnp.ones((3, 2))
    )
    assert "Precision.HIGHEST" in str(jax.make_jaxpr(problem.sample_data)(KEY))


def test_problems_are_equal_only_if_they_are_the_same_object():
    first = probe.numbered(4)
    other = dataclasses.replace(first)
    assert first == first and first != other  # noqa: PT018
    assert len({first, first, other}) == 2


def test_data_held_and_the_same_data_drawn_train_alike():
    stored = probe.network()
    drawn = jaxsgd.Problem(stored.init, stored.loss, lambda key: jax.tree.map(jnp.asarray, stored.data))
    runs = [
        jaxsgd.simulate(p, KEY, optimizer=optax.sgd(0.1), epochs=3, batch_count=7, order="reshuffle") for p in (stored, drawn)
    ]
    np.testing.assert_allclose(runs[0].loss, runs[1].loss, rtol=1e-6)


def test_a_model_written_elsewhere_is_a_function_of_its_parameters():
    # Any library's model that is a function of parameters and inputs fits: here one with a nested dict of its own.
    def apply(variables, x):
        return jnp.tanh(x @ variables["params"]["kernel"] + variables["params"]["bias"][None, :])

    x = np.random.default_rng(0).standard_normal((20, 3)).astype(np.float32)
    problem = jaxsgd.Problem(
        init=lambda key: {"params": {"kernel": jnp.zeros((3, 2)), "bias": jnp.zeros(2)}},
        loss=lambda variables, batch: jnp.mean((apply(variables, batch) - 0.5) ** 2, axis=-1),
        data=x,
    )
    run = jaxsgd.simulate(problem, KEY, optimizer=optax.adam(0.05), epochs=100, batch_count=4)
    # Every target is 1/2, which the bias alone reaches at tanh(b) = 1/2.
    np.testing.assert_allclose(jnp.tanh(run.params["params"]["bias"]), 0.5, atol=1e-2)
    np.testing.assert_allclose(run.params["params"]["kernel"], 0, atol=2e-2)


class Table:
    """A table as libraries have them: columns of mixed types, and `to_numpy`."""

    def to_numpy(self):
        return np.zeros((4, 2))


X, LABELS = np.arange(8.0, dtype=np.float32).reshape(4, 2), np.arange(4.0, dtype=np.float32)[:, None]
GAP = np.where(np.arange(8).reshape(4, 2) >= 5, np.nan, X)


def line(params, batch):
    x, t = batch
    return (x @ params - t) ** 2


def mistaken(**fields):
    usual = {"init": lambda key: jnp.zeros(2), "loss": line, "data": (X, LABELS[:, 0]), "name": "mine"}
    return jaxsgd.Problem(**usual | fields)


MISTAKES = {
    "mean": (
        {"loss": lambda params, batch: jnp.mean(line(params, batch))},
        "the loss of 'mine' must be one number per sample, shape (4,), got (): leave the mean over the batch to the simulator",
    ),
    # Labels of shape [N, 1] less predictions of shape [N] are [N, N].
    "column": (
        {"data": (X, LABELS)},
        "the loss of 'mine' must be one number per sample, shape (4,), got (4, 4): "
        "predictions or targets have an axis too many and were broadcast, give both the shape (4,)",
    ),
    "outputs": (
        {"loss": lambda params, batch: line(params, batch)[:, None] * jnp.ones(3)},
        "the loss of 'mine' must be one number per sample, shape (4,), got (4, 3): take the mean or the sum over the other ",
    ),
    "whole": (
        {"init": lambda key: {"w": jnp.zeros(2, int)}, "loss": lambda p, b: line(p["w"], b)},
        "parameters of 'mine' must be floating-point arrays, got int32[2] at ['w']: make them float32",
    ),
    "gap": ({"data": (GAP, LABELS[:, 0])}, "data[0] of 'mine' must be finite, got nan in sample 2 (3 such values): leave"),
    "infinite": (
        {"data": (X, np.array([0, 1, np.inf, 2]))},
        "data[1] of 'mine' must be finite, got inf in sample 2 (the only such value): leave such samples out",
    ),
    "text": ({"data": (X, np.array(["a", "b", "c", "d"]))}, "data[1] of 'mine' must be numbers, got <U1 such as 'a'"),
    "table": ({"data": (X, Table())}, "data[1] of 'mine' is a Table: give an array, such as data.to_numpy()"),
    "list": (
        {"data": (X, [0.0, 1.0])},
        "data[1][0] of 'mine' is a single float, 0.0: give an array, such as numpy.asarray(...)",
    ),
    "list of rows": (
        {"data": (X, list(LABELS[:, 0]))},
        "data[1][0] of 'mine' is a single float32, ",
    ),
    "lengths": ({"data": (X, X[:3, 0])}, "data must be arrays that share one leading axis of at least 1 sample, got shapes "),
    "held out": (
        {"held_out": (X, LABELS)},
        "a held-out sample of 'mine' must be like a sample of its data, ('float32[2]', 'float32[]'), got ('float32[2]', ",
    ),
}


def make_mistaken(mistake):
    return mistaken(**MISTAKES[mistake][0])


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistaken_problem_is_refused_in_one_line_by_a_run_and_by_a_study(mistake):
    beginning = MISTAKES[mistake][1]
    fields = {"problem": "tests.test_problem:make_mistaken", "problem_args": {"mistake": mistake}, "epochs": 1}
    # As users have it; the tests' stricter JAX would refuse to broadcast.
    with jax.numpy_rank_promotion("allow"):
        with pytest.raises(InputError) as error:
            jaxsgd.simulate(make_mistaken(mistake), KEY, batch_count=2, optimizer=optax.sgd(0.1), epochs=1)
        assert str(error.value).startswith(beginning)
        with pytest.raises(InputError) as error:
            Study(**fields, batch_counts=[2], learning_rates=[0.1])
    assert str(error.value).startswith(f"problem_args: {beginning}")
    assert "\n" not in str(error.value)


def test_a_problem_without_mistakes_passes():
    check_training(mistaken())


# The sequence of the samples


def dictionary(labels):
    data = {"image": np.arange(6.0)[:, None], "label": np.asarray(labels)}
    return jaxsgd.Problem(lambda key: jnp.zeros(1), lambda w, batch: (batch["image"] @ w) ** 2, data, name="mine")


def test_a_dictionary_is_sorted_by_the_part_that_is_called_like_a_label_and_ties_keep_their_sequence():
    arranged = dictionary([2, 0, 1, 0, 2, 1]).arranged("label")
    np.testing.assert_array_equal(arranged.data["image"][:, 0], [1, 3, 2, 5, 0, 4])
    assert "sorted by label" in repr(arranged)


def test_labels_with_several_outputs_are_sorted_by_the_first_that_differs():
    one_hot = np.eye(3)[[2, 0, 1, 0, 2, 1]]
    np.testing.assert_array_equal(dictionary(one_hot).arranged("label").data["image"][:, 0], [0, 4, 2, 5, 1, 3])


def test_other_data_than_those_arranged_are_held_out_as_they_are():
    changed = dataclasses.replace(dictionary([1, 0, 1, 0, 1, 0]).arranged("label"), data=dictionary(range(6)).data)
    expected = jaxsgd.hold_out(dictionary(range(6)), 0.5)
    np.testing.assert_array_equal(jaxsgd.hold_out(changed, 0.5).data["image"], expected.data["image"])


@pytest.mark.parametrize(
    ("arrangement", "message"),
    [
        ("labels", r"^unknown arrangement 'labels': did you mean 'label'\? valid: given, label$"),
        ("label", r"^to be sorted by label, data of 'problem' must be \(inputs, targets\), or a dictionary with one of t, "),
    ],
)
def test_a_wrong_arrangement_or_data_without_labels_is_one_line(arrangement, message):
    with pytest.raises(jaxsgd.InputError, match=message):
        probe.numbered(4).arranged(arrangement)


def test_a_whole_module_as_parameters_is_answered_with_how_to_keep_its_arrays():
    eqx = pytest.importorskip("equinox")
    problem = jaxsgd.Problem(
        lambda key: eqx.nn.MLP(2, 1, 4, 1, key=key), lambda net, x: jax.vmap(net)(x)[:, 0], np.ones((6, 2), np.float32)
    )
    with pytest.raises(InputError, match=r"init of .* must return floating-point arrays alone.*equinox\.filter"):
        check_training(problem)


def test_a_loss_that_takes_targets_in_place_of_the_random_key_says_how_it_is_called():
    data = (np.ones((6, 2), np.float32), np.ones(6, np.float32))
    problem = jaxsgd.Problem(lambda key: jnp.zeros(2), lambda w, x, y: (x @ w - y) ** 2, data, name="swapped")
    with pytest.raises(TypeError, match="unsupported operand") as raised:
        check_training(problem)
    note = raised.value.__notes__[-1]
    assert note == "the loss of 'swapped' takes three arguments, so it is called as loss(params, batch, key)"
