"""The loops of users' problems train what the simulator trains, and each part of their timing is reported."""

import numpy as np
import pytest

import jaxsgd
from benchmarks import report
from benchmarks.beside_loops import USER_LOOPS, WHOLE, beside_loops
from benchmarks.user_problem import USER_PROBLEMS, begun

pytestmark = pytest.mark.usefixtures("unchecked")

TINY = {
    "article": {"num_samples": 20, "num_hidden": 6},
    "digits": {"num_samples": 112, "num_hidden": 4},
    "tanh": {"num_samples": 16, "num_hidden": 4, "depth": 3},
    "convnet": {"num_samples": 32, "num_maps": 2},
    "char_lm": {"num_samples": 32, "context": 4, "width": 8, "num_heads": 2},
    "least_squares": {"num_samples": 40, "num_inputs": 3},
}


@pytest.mark.parametrize("name", ["least_squares", pytest.param("convnet", marks=pytest.mark.slow)])
@pytest.mark.parametrize("runs", [3])
def test_loops_are_timed_beside_the_sweep_whose_losses_they_have(name, runs):
    # `beside_loops` refuses a loop with other losses.
    user = USER_PROBLEMS[name]._replace(args=TINY[name], steps=runs * 2 * USER_PROBLEMS[name].batch_count)
    rows = beside_loops(user, runs, few=1, repeats=1)
    names = [loop.words for loop in USER_LOOPS.values() if loop.is_there]
    assert [row.name for row in rows] == ["jaxsgd, training programs", WHOLE, *names]
    assert {row.group for row in rows} == {f"{user.words}, 3 runs"}
    assert rows[0].ratio == rows[0].cpu == (1, 1, 1)
    assert all(row.cpu.median > 0 for row in rows)


@pytest.mark.parametrize("name", USER_PROBLEMS)
def test_the_loop_in_pytorch_has_the_losses_of_the_simulator(name):
    pytest.importorskip("torch")
    user = USER_PROBLEMS[name]._replace(args=TINY[name])
    study = user.study(1, 2)
    losses = USER_LOOPS["torch"].of(user)(begun(study), 2)
    np.testing.assert_allclose(losses, jaxsgd.sweep(study).loss.values.reshape(losses.shape), rtol=1e-4)


def test_an_unknown_problem_is_named():
    with pytest.raises(jaxsgd.InputError, match="unknown problem 'digit': did you mean 'digits'"):
        report.problems(report.Settings(runs=1, epochs=1, few=1, hidden=1, repeats=1, problem="digit"))


def test_every_problem_is_cut_into_equal_batches():
    for user in USER_PROBLEMS.values():
        samples = user.study(1, 1).subject().num_samples
        assert samples % user.batch_count == 0
        assert f"B = {samples // user.batch_count}" in user.words
