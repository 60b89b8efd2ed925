"""Inputs that `simulate` refuses, and its messages."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxsgd
from tests import probe

pytestmark = pytest.mark.usefixtures("unchecked")

KEY = jax.random.key(0)
PROBLEM = probe.numbered(10)


def shown(value):
    """The value on one line, as a message has it: an array by its type and shape."""
    return f"{value.dtype}{list(value.shape)}" if isinstance(value, np.ndarray) else repr(value)


def short(value):
    return value if isinstance(value, str) else shown(value)[:20]


def refusal(problem=PROBLEM, **changed):
    """The message of the InputError, which is one line."""
    settings = {"optimizer": optax.sgd(0.1), "epochs": 2, "batch_count": 5} | changed
    with pytest.raises(jaxsgd.InputError) as caught:
        jaxsgd.simulate(problem, KEY, **settings)
    message = str(caught.value)
    assert "\n" not in message
    return message


def changed(**parts):
    return jaxsgd.Problem(**{"init": PROBLEM.init, "loss": PROBLEM.loss, "data": PROBLEM.data} | parts)


NO_COUNTS = [0, -3, 2.5, "3", True, None, float("nan"), float("inf"), [2, 3], np.ones((30, 30))]


@pytest.mark.parametrize("value", [11, *NO_COUNTS], ids=short)
@pytest.mark.parametrize("name", ["batch_count", "batch_size"])
def test_sizes_that_are_no_whole_number_from_1_to_N(name, value):
    message = refusal(**{"batch_count": None, name: value})
    if value is None:
        assert message == "give either batch_count or batch_size, got batch_count=None, batch_size=None"
    else:
        assert message.startswith(f"{name} must be a whole number from 1 to 10 (")
        assert message.endswith(f", got {shown(value)}")


@pytest.mark.parametrize("value", NO_COUNTS, ids=short)
def test_epochs_that_are_no_whole_number(value):
    message = refusal(epochs=value)
    assert message == f"epochs must be a whole number of at least 1, got {shown(value)}"


def test_a_batch_count_that_is_traced():
    with pytest.raises(jaxsgd.InputError, match="batch_count must be a whole number from 1 to 10"):
        jax.jit(lambda m: jaxsgd.simulate(PROBLEM, KEY, optimizer=optax.sgd(0.1), epochs=1, batch_count=m).loss)(2)


@pytest.mark.parametrize("number", [2.0, np.int64(2), np.float32(2), jnp.asarray(2)], ids=short)
def test_whole_numbers_of_any_type_are_counts(number):
    as_int = jaxsgd.simulate(PROBLEM, KEY, optimizer=optax.sgd(0.1), epochs=2, batch_count=2, order="reshuffle")
    as_given = jaxsgd.simulate(PROBLEM, KEY, optimizer=optax.sgd(0.1), epochs=number, batch_count=number, order="reshuffle")
    np.testing.assert_array_equal(as_given.loss, as_int.loss)


def test_both_sizes():
    assert refusal(batch_size=2) == "give either batch_count or batch_size, got batch_count=5, batch_size=2"


def test_drop_last_without_a_batch_size():
    assert refusal(drop_last=True) == "drop_last=True needs batch_size: with batch_count, the batches hold every sample"


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("reshufle", "reshuffle"), ("Fixed", "fixed"), ("shuffle-once", "shuffle_once"), ("flipflop", "flip_flop")],
)
def test_an_unknown_order_is_answered_with_the_nearest(typed, meant):
    message = refusal(order=typed)
    assert message.startswith(f"unknown order {typed!r}: did you mean {meant!r}? valid: ")
    assert all(name in message for name in jaxsgd.ORDERS)


def test_an_unknown_order_that_is_near_to_none():
    own = "(or give your own function (key, epoch, num_samples) -> [N])"
    valid = sorted([*jaxsgd.ORDERS, "block_buffer(k, n)", "blocks(k)", "buffer(k)"])
    assert refusal(order="zzz") == f"unknown order 'zzz': valid: {', '.join(valid)} {own}"


@pytest.mark.parametrize("order", [3, None, np.ones((30, 30))], ids=short)
def test_an_order_that_is_neither_a_name_nor_a_function(order):
    message = refusal(order=order)
    assert message.startswith("order must be a name, an Order or a function (key, epoch, num_samples) -> [N], got ")
    assert message.endswith(shown(order))


@pytest.mark.parametrize(
    ("returned", "got"),
    [
        (jnp.arange(9), "shape (9,) of int32"),
        (jnp.arange(20), "shape (20,) of int32"),
        (jnp.arange(10)[:, None], "shape (10, 1) of int32"),
        (jnp.arange(10.0), "shape (10,) of float32"),
        (np.zeros((), np.int32), "shape () of int32"),
    ],
    ids=short,
)
def test_an_order_function_that_gives_other_than_N_indices(returned, got):
    def mine(key, epoch, num_samples):
        return returned

    assert refusal(order=mine) == f"order 'mine' must give 10 sample indices, got {got}"


@pytest.mark.parametrize(
    ("loss", "got"),
    [
        (lambda w, x: jnp.mean(x - w), "()"),
        (lambda w, x: 1.0, "()"),
        (lambda w, x: (x - w)[:, None], "(10, 1)"),
        (lambda w, x: (x - w,), "tuple"),
        (lambda w, x: {"loss": x - w}, "dict"),
    ],
)
def test_a_loss_that_is_not_one_number_per_sample(loss, got):
    message = refusal(changed(loss=loss))
    assert message.startswith(f"the loss of 'problem' must be one number per sample, shape (10,), got {got}: ")


def test_a_loss_per_output_where_outputs_happen_to_be_as_many_as_samples():
    data = jnp.ones((10, 10))
    message = refusal(changed(data=data, loss=lambda w, x: jnp.mean((x - w) ** 2, axis=0)))
    assert "must be one number per sample, shape (11,), got (10,)" in message


@pytest.mark.parametrize(
    ("data", "shapes"),
    [
        ((jnp.ones(10), jnp.ones(9)), "[(10,), (9,)]"),
        ({"x": jnp.ones((10, 3)), "t": jnp.ones((3, 10))}, "[(3, 10), (10, 3)]"),
        ((jnp.ones(10), jnp.ones(())), "[(10,), ()]"),
        (jnp.ones((0, 3)), "[(0, 3)]"),
        ((), "[]"),
        (None, "[]"),
    ],
    ids=short,
)
def test_data_without_one_leading_axis(data, shapes):
    expected = f"data must be arrays that share one leading axis of at least 1 sample, got shapes {shapes}"
    assert refusal(changed(data=data)) == expected
    assert refusal(changed(data=lambda key: data)) == expected


@pytest.mark.parametrize("optimizer", [0.1, "sgd", None, np.ones((30, 30))], ids=short)
def test_an_optimizer_that_is_no_transformation(optimizer):
    message = refusal(optimizer=optimizer)
    assert message.startswith("optimizer must be an optax transformation such as optax.sgd(1e-3), got ")
    assert message.endswith(shown(optimizer))


def test_a_function_of_progress_that_makes_no_transformation():
    message = refusal(optimizer=lambda progress: 0.1)
    assert message == "an optimizer that is a function of progress must return an optax transformation, got 0.1"


def test_an_unknown_precision():
    message = refusal(precision="flot32")
    assert message == "unknown precision 'flot32': did you mean 'float32'? valid: bfloat16, float32, tensorfloat32"


@pytest.mark.parametrize("precision", ["float32", "tensorfloat32", "bfloat16"])
def test_the_precision_that_is_named_is_the_one_that_is_compiled(precision):
    problem = probe.network()
    text = str(
        jax.make_jaxpr(
            lambda: jaxsgd.simulate(problem, KEY, optimizer=optax.sgd(0.1), epochs=1, batch_count=2, precision=precision).loss
        )()
    )
    assert set(re.findall(r"(?<=Precision\.)\w+", text)) == {jax.lax.Precision(precision).name}


@pytest.mark.parametrize("name", ["square_regression", "least_squares", "noisy_quadratic", "digits"])
@pytest.mark.parametrize("value", [0, -1, 2.5, "3", None], ids=short)
def test_problems_refuse_sizes_that_are_no_counts(name, value):
    with pytest.raises(jaxsgd.InputError, match=r"^num_samples must be a whole number .*, got ") as caught:
        jaxsgd.problems.PROBLEMS[name](num_samples=value)
    assert str(caught.value).endswith(repr(value))


@pytest.mark.parametrize("name", ["noise", "condition"])
@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
def test_least_squares_refuses_numbers_out_of_range(name, value):
    with pytest.raises(jaxsgd.InputError, match=f"^{name} must be a finite number of at least [01], got {value}$"):
        jaxsgd.problems.least_squares(**{name: value})


@pytest.mark.parametrize("key", [0, "seed", np.zeros(3)], ids=short)
def test_a_key_that_is_none(key):
    with pytest.raises(jaxsgd.InputError, match=r"key must be a JAX random key such as jax.random.key\(0\), got"):
        jaxsgd.simulate(PROBLEM, key, optimizer=optax.sgd(0.1), epochs=1, batch_count=2)


def test_an_optimizer_of_optax_that_was_not_called():
    # It would take the progress, from 0 to 1, for its learning rate.
    message = refusal(optimizer=optax.adam)
    assert message == "optimizer must be a transformation, got the function optax.adam: call it, as optax.adam(1e-3)"
