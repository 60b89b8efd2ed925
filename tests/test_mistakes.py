"""Mistakes in Python: one line that says what is wrong and shows what to write."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxsgd
from jaxsgd.simulator import draw
from tests import probe

pytestmark = pytest.mark.usefixtures("unchecked")

KEY = jax.random.key(0)
HOW = {"optimizer": optax.sgd(0.1), "epochs": 1, "batch_count": 2}
FIELDS = {"problem": "least_squares", "seeds": [0], "batch_counts": [2], "learning_rates": [0.1], "epochs": 2}


def simulate(problem, **changed):
    return jaxsgd.simulate(problem, KEY, **HOW | changed)


def problem(init=lambda key: jnp.zeros(3), loss=lambda w, x: x @ w):
    return jaxsgd.Problem(init, loss, np.ones((10, 3), "float32"))


MISTAKES = {
    "a name": (
        lambda: simulate("digits"),
        "problem must be a jaxsgd.Problem, got the text 'digits': write jaxsgd.problems.digits() (only a Study takes names)",
    ),
    "a pointer": (
        lambda: simulate("my_module:make"),
        "problem must be a jaxsgd.Problem, got the text 'my_module:make': write my_module.make() (only a Study takes names)",
    ),
    "an uncalled function": (
        lambda: simulate(jaxsgd.problems.digits),
        "problem must be a jaxsgd.Problem, got the function digits: call it, as digits()",
    ),
    "a dictionary": (
        lambda: simulate({"w": np.ones((200, 3))}),
        "problem must be a jaxsgd.Problem, got {w: float64[200, 3]}: write jaxsgd.Problem(init, loss, data)",
    ),
    "a name held out": (lambda: jaxsgd.hold_out("digits", 0.2), "problem must be a jaxsgd.Problem, got the text 'digits': "),
    "a name drawn": (lambda: draw("digits", jaxsgd.streams(KEY)), "problem must be a jaxsgd.Problem, got the text "),
    "a name measured": (
        lambda: jaxsgd.influence("digits", KEY, at=[0], optimizer=optax.sgd(0.1), batch_count=2),
        "problem must be a jaxsgd.Problem, got the text 'digits': ",
    ),
    "a name solved": (
        lambda: jaxsgd.limit_cycle("digits", KEY, optimizer=optax.sgd(0.1), batch_count=2),
        "problem must be a jaxsgd.Problem, got the text 'digits': ",
    ),
    "whole-number parameters": (
        lambda: simulate(problem(init=lambda key: {"w": jnp.zeros(3, int)}, loss=lambda p, x: x @ p["w"])),
        "parameters of 'problem' must be floating-point arrays, got int32[3] at ['w']: make them float32, "
        "as in jax.numpy.zeros(3)",
    ),
    "no parameters": (
        lambda: simulate(problem(init=lambda key: {}, loss=lambda p, x: x[:, 0])),
        "init of 'problem' must return floating-point arrays, got {}: nothing to train",
    ),
    "a large key": (
        lambda: jaxsgd.simulate(problem(), np.zeros((1000, 1000)), **HOW),
        "key must be a JAX random key such as jax.random.key(0), got float64[1000, 1000]",
    ),
    "an unknown order": (
        lambda: simulate(problem(), order="reshufle"),
        "unknown order 'reshufle': did you mean 'reshuffle'? valid: block_buffer(k, n), blocks(k), buffer(k), fixed, "
        "flip_flop, replacement, reshuffle, reshuffle_batches, shuffle_once "
        "(or give your own function (key, epoch, num_samples) -> [N])",
    ),
    "a study's file": (
        lambda: jaxsgd.sweep("studies/my_study.py"),
        "study must be a jaxsgd.Study, got the text 'studies/my_study.py': write `from my_study import STUDY` and "
        "jaxsgd.sweep(STUDY), or in a shell: jaxsgd run studies/my_study.py",
    ),
    "a study's fields": (
        lambda: jaxsgd.sweep(FIELDS),
        "study must be a jaxsgd.Study, got a dictionary: write jaxsgd.sweep(jaxsgd.Study(**fields))",
    ),
    "no study": (lambda: jaxsgd.sweep(3), "study must be a jaxsgd.Study, got 3: write jaxsgd.sweep(jaxsgd.Study(...))"),
    "a field by position": (
        lambda: jaxsgd.Study("digits"),
        "Study takes its fields by name, as Study(problem='digits', ...), got 'digits' without a name",
    ),
    "a function that makes a problem in a study": (
        lambda: jaxsgd.Study(**FIELDS | {"problem": probe.network}),
        "problem: must be a name or a pointer in quotes, such as 'tests.probe:network' (or a jaxsgd.Problem), got <function ",
    ),
    "arguments of a problem that is an object": (
        lambda: jaxsgd.Study(**FIELDS | {"problem": probe.network(), "problem_args": {"num_samples": 3}}),
        "problem_args: problem 'problem' is a Problem and takes no problem_args, got {'num_samples': 3}",
    ),
    "an order in a study": (
        lambda: jaxsgd.Study(**FIELDS | {"orders": jaxsgd.ORDERS["fixed"]}),
        "orders.0: must be a name or a pointer in quotes, such as 'fixed', got Order(",
    ),
    "a function in a study": (
        lambda: jaxsgd.Study(**FIELDS | {"optimizer": optax.adam}),
        "optimizers.0: must be a name or a pointer in quotes, such as 'optax:adam', got <function adam>",
    ),
    "an optimizer whose state changes its type": (
        lambda: jaxsgd.Study(**FIELDS | {"optimizer": "tests.test_mistakes:counting"}),
        "optimizer 'tests.test_mistakes:counting' must not change the types and shapes of the parameters and of its state, got "
        "State(params: float32[10], opt_state: int32[]) before a step and State(params: float32[10], opt_state: float32[]) "
        "after it",
    ),
}  # fmt: skip


def counting(learning_rate):
    """An optimizer that counts in whole numbers at first, and in halves then."""
    return optax.GradientTransformation(
        lambda params: jnp.zeros((), int), lambda grads, state, params=None: (grads, state + 0.5)
    )


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line_that_shows_what_to_write(mistake):
    call, said = MISTAKES[mistake]
    with pytest.raises(jaxsgd.InputError) as caught:
        call()
    message = str(caught.value)
    assert message.startswith(said)
    assert "\n" not in message
    assert len(message) < 500


def test_a_field_of_a_study_cannot_be_assigned_to_and_the_error_says_what_to_write():
    study = jaxsgd.Study(**FIELDS)
    with pytest.raises(
        TypeError, match=r"^a Study cannot be changed; make a changed copy: study.replaced\(batch_counts=\[2, 4\]\)$"
    ):
        study.batch_counts = [2, 4]


def test_what_the_users_own_function_raises_in_a_study_comes_through_as_it_is():
    # ValueError is what validators raise too, and would become a clause of the message, without the place in the user's code.
    with pytest.raises(ValueError, match=r"^not mine$") as caught:
        jaxsgd.Study(**FIELDS | {"problem": "tests.test_mistakes:refuses"})
    assert type(caught.value) is ValueError
    assert caught.traceback[-1].name == "refuses"


def refuses():
    raise ValueError("not mine")
