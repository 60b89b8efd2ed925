"""Mistakes in Python: one line that says what is wrong and shows what to write."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import xarray as xr

import jaxsgd
from jaxsgd.analysis.confidence import check_confidence
from jaxsgd.analysis.steps_by_size import steps_to_target
from jaxsgd.results.axes import selected
from jaxsgd.simulator import draw
from tests import probe

pytestmark = pytest.mark.usefixtures("unchecked")

KEY = jax.random.key(0)
HOW = {"optimizer": optax.sgd(0.1), "epochs": 1, "batch_count": 2}
FIELDS = {"problem": "least_squares", "seeds": [0], "batch_counts": [2], "learning_rates": [0.1], "epochs": 2}


def simulate(problem, **changed):
    return jaxsgd.simulate(problem, KEY, **HOW | changed)


def problem(init=lambda key: jnp.zeros(3), loss=lambda w, x: x @ w, data=None):
    return jaxsgd.Problem(init, loss, np.ones((10, 3), "float32") if data is None else data)


def study(**changed):
    return jaxsgd.Study(**FIELDS | changed)


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
        "flip_flop, grab, pair_balance, replacement, reshuffle, reshuffle_batches, shuffle_once "
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
    # Numbers that are none, or too many of them
    "a rate that is NaN": (lambda: study(learning_rates=[np.nan]), "learning_rates: must be finite and above 0, got nan"),
    "a truth value as a rate": (lambda: study(learning_rates=[True]), "learning_rates: must be a number, got True"),
    "truth values as seeds": (lambda: study(seeds=[True, False]), "seeds: must be a number, got True"),
    "truth values in an array": (lambda: study(batch_counts=np.array([True])), "batch_counts: must be a number, got True"),
    "a truth value as epochs": (lambda: study(epochs=True), "epochs: must be a number, got True"),
    "a truth value as a hyperparameter": (
        lambda: study(optimizer="momentum", hyper={"momentum": [False]}), "hyper.momentum: must be a number, got False",
    ),
    "a negative seed": (lambda: study(seeds=[-1]), "seeds.0: must be at least 0, got -1"),
    "no seeds": (lambda: study(seeds=[]), "seeds: must have at least one value"),
    "seeds as the shell writes them": (lambda: study(seeds="0:4"), "seeds.0: must be a whole number, got '0:4'"),
    "more seeds than memory has room for": (
        lambda: study(seeds=range(10**12)),
        "seeds: has 1,000,000,000,000 values, more than the 10,000,000 that an axis can have",
    ),
    "more epochs than can be counted": (lambda: study(epochs=10**30), "epochs: must be at most 1000000000000000, got 1000000"),
    "a rate twice": (lambda: study(learning_rates=[0.1, 0.1]), "learning_rates: has 0.1 more than once"),
    "an array of two axes": (
        lambda: study(learning_rates=np.ones((2, 2))), "learning_rates: must have its values along one axis, got float64[2, 2]",
    ),
    "a type of NumPy": (
        lambda: study(dtype=np.float64), "dtype: must be 'float32' or 'float64', got <class 'numpy.float64'>",
    ),
    # Names
    "a name with a ligature": (lambda: study(orders=["\ufb01xed"]), "orders: unknown order '\ufb01xed': did you mean 'fixed'?"),
    "a name with a blank": (lambda: study(orders=["fixed "]), "orders: unknown order 'fixed ': did you mean 'fixed'?"),
    "a class as an order": (
        lambda: study(orders=["tests.test_mistakes:Nothing"]),
        "orders: order 'Nothing' must be a function (key, epoch, num_samples) -> [N]; it fails with TypeError: ",
    ),
    # Problems
    "a scalar loss": (
        lambda: simulate(problem(loss=lambda w, x: (x @ w).mean())),
        "the loss of 'problem' must be one number per sample, shape (10,), got (): leave the mean over the batch",
    ),
    "a loss in whole numbers": (
        lambda: simulate(problem(loss=lambda w, x: (x @ w > 0).astype(int))),
        "the loss of 'problem' must be floating-point numbers, got int32, which has no gradient",
    ),
    "a complex loss": (
        lambda: simulate(problem(loss=lambda w, x: 1j * (x @ w))),
        "the loss of 'problem' must be floating-point numbers, got complex64, which has no gradient",
    ),
    "an array for the function that makes the parameters": (
        lambda: simulate(problem(init=jnp.zeros(3))), "init of 'problem' must be a function, got float32[3]",
    ),
    "no loss": (lambda: simulate(problem(loss=None)), "loss of 'problem' must be a function, got None"),
    "data with a gap": (
        lambda: simulate(problem(data=np.array([[1, None, 3]] * 10, object))),
        "data of 'problem' must be numbers, got object such as None",
    ),
    "data of two lengths": (
        lambda: simulate(problem(data=(np.ones((10, 3)), np.ones(9)))),
        "data must be arrays that share one leading axis of at least 1 sample, got shapes [(10, 3), (9,)]",
    ),
    "whole numbers of 64 bits": (
        lambda: simulate(problem(data=np.full((10, 3), 2**40))),
        "data of 'problem' must fit into int32, whose largest number is 2.147e+09, got 1.09951e+12: scale the data",
    ),
    "a negative number of samples": (
        lambda: jaxsgd.problems.least_squares(num_samples=-1), "num_samples must be a whole number of at least 1, got -1",
    ),
    "an argument of a problem that takes none": (
        lambda: study(problem="tests.test_mistakes:Nothing", problem_args={"width": 3}),
        "problem_args: unknown argument of problem 'tests.test_mistakes:Nothing' 'width': it has none",
    ),
    "data past float32": (
        lambda: simulate(problem(data=np.full((10, 3), -1e300))),
        "data of 'problem' must fit into float32, whose largest number is 3.403e+38, got -1e+300: scale the data",
    ),
    # Results
    "a folder in place of its result": (
        lambda: jaxsgd.best("results/mine"),
        "a result must be an xarray.Dataset, got 'results/mine': read the folder with jaxsgd.load('results/mine')",
    ),
    "nothing in place of a result": (
        lambda: jaxsgd.plot.grid(None),
        "a result must be an xarray.Dataset, got None: give what jaxsgd.sweep or jaxsgd.load returns",
    ),
    "a mean over runs in place of a result": (
        lambda: jaxsgd.best(
            jaxsgd.sweep(study(problem="least_squares", problem_args={"num_samples": 10}, seeds=[0, 1])).mean("seed")
        ),
        "a result must have its single runs, and this is a mean over some of them: give what sweep or load returns",
    ),
    "a selection in the words of the shell": (
        lambda: selected(xr.Dataset(), "optimizer=adam"),
        "select must be a dictionary such as {'learning_rate': 0.1}, got 'optimizer=adam'",
    ),
    "a confidence level in quotes": (
        lambda: check_confidence("0.95"), "confidence must lie between 0 and 1, such as 0.95, got '0.95'"
    ),
    "a target in quotes": (
        lambda: steps_to_target([1.0], [1.0], "0.6"), "target must be a finite number, got '0.6'"
    ),
    "a file in place of a result": (lambda: jaxsgd.load(__file__), f"{__file__}: this is a file; a result is a folder"),
}  # fmt: skip


class Nothing:
    """A class that takes no arguments."""


def counting(learning_rate):
    """An optimizer that counts in whole numbers at first, and in halves then."""
    return optax.GradientTransformation(
        lambda params: jnp.zeros((), int), lambda grads, state, params=None: (grads, state + 0.5)
    )


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line_that_shows_what_to_write(mistake):
    call, beginning = MISTAKES[mistake]
    with pytest.raises(jaxsgd.InputError) as caught:
        call()
    message = str(caught.value)
    assert message.startswith(beginning)
    assert "\n" not in message
    assert len(message) < 500


def test_numbers_of_numpy_and_jax_and_data_of_64_bits_are_taken_as_they_are_meant():
    axes = study(
        seeds=np.arange(3), batch_counts=[np.int64(2)], learning_rates=np.float64(0.1), epochs=np.int32(2),
        optimizer="momentum", hyper={"momentum": jnp.array([0.5, 0.75])},
    )  # fmt: skip
    assert (axes.seeds, axes.batch_counts, axes.learning_rates, axes.epochs) == ((0, 1, 2), (2,), (0.1,), 2)
    assert axes.hyper == {"momentum": (0.5, 0.75)}
    assert simulate(problem(data=np.ones((10, 3)))).loss.dtype == np.float32


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
