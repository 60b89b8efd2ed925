"""Own code: a changed function behind a result is noticed, and a comment, another folder or another process is not a change."""

import subprocess
import sys
import warnings

import pytest

from jaxsgd import InputWarning, Study, sweep
from jaxsgd.study.own_code import code_digests

HELPER = "FACTOR = {'loss': [2.0]}\n\ndef scaled(value):\n    return FACTOR['loss'][0] * value\n"
PROBLEM = '''
from pathlib import Path

import jax.numpy as jnp
import numpy as np

import {helper}
import jaxsgd

HERE = str(Path(__file__).parent.resolve())
X = np.linspace(-1, 1, 12, dtype=np.float32).reshape(6, 2)


def make():
    """Squares."""
    assert HERE

    def loss(w, x):
        return {helper}.scaled((x @ w - 1) ** 2)

    return jaxsgd.Problem(lambda key: jnp.zeros(2), loss, X)


def first(params, context):
    return params[0]
'''


@pytest.fixture
def modules(tmp_path, monkeypatch):
    """Return a function that writes two modules with some changes, imports them anew, and returns a study of them."""
    monkeypatch.syspath_prepend(str(tmp_path))
    names = {"own_helper", "own_problem"}

    def write(helper=HELPER, problem=PROBLEM, **fields):
        for name in names & set(sys.modules):
            monkeypatch.delitem(sys.modules, name)
        (tmp_path / "own_helper.py").write_text(helper)
        (tmp_path / "own_problem.py").write_text(problem.format(helper="own_helper"))
        monkeypatch.setattr(sys, "dont_write_bytecode", True)
        usual = {"seeds": [0], "batch_counts": [2], "learning_rates": [0.1], "epochs": 1, "observe": ["own_problem:first"]}
        return Study(problem="own_problem:make", **usual | fields)

    yield write
    for name in names & set(sys.modules):
        del sys.modules[name]


COMMENT = PROBLEM.replace("Squares.", "Squares of differences.").replace("    def loss", "    # A loss.\n\n    def loss")


@pytest.mark.parametrize(
    ("changes", "changed"),
    [
        ({}, []),
        ({"problem": COMMENT}, []),
        ({"problem": PROBLEM.replace("- 1) ** 2", "- 2) ** 2")}, ["own_problem:make"]),
        ({"problem": PROBLEM.replace("linspace(-1", "linspace(-2")}, ["own_problem:make"]),
        ({"problem": PROBLEM.replace("params[0]", "params[1]")}, ["own_problem:first"]),
        ({"helper": HELPER.replace("2.0", "3.0")}, ["own_problem:make"]),
        ({"helper": HELPER.replace("* value", "+ value")}, ["own_problem:make"]),
    ],
)
def test_only_a_change_of_what_the_code_does_is_a_change(modules, changes, changed):
    before = code_digests(modules())
    after = code_digests(modules(**changes))
    assert set(before) == {"own_problem:make", "own_problem:first"}
    assert [pointer for pointer in before if before[pointer] != after[pointer]] == changed


def test_another_process_and_folder_have_the_same_digests(modules, tmp_path):
    here = code_digests(modules())
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name in ("own_helper.py", "own_problem.py"):
        (tmp_path / name).rename(elsewhere / name)
    script = (
        "from jaxsgd import Study\nfrom jaxsgd.study.own_code import code_digests\n"
        "study = Study(problem='own_problem:make', batch_counts=[2], learning_rates=[0.1], epochs=1,"
        " observe='own_problem:first')\n"
        "print(code_digests(study))"
    )
    command = [sys.executable, "-c", script]
    printed = subprocess.run(command, cwd=elsewhere, capture_output=True, text=True, check=True)
    assert printed.stdout.strip() == str(here)


def test_a_result_that_goes_on_with_other_code_says_so(modules, tmp_path):
    folder = tmp_path / "result"
    sweep(modules(), folder)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sweep(modules(problem=COMMENT, seeds=[0, 1]), folder)
    other = modules(helper=HELPER.replace("2.0", "3.0"), seeds=[0, 1, 2])
    with pytest.warns(InputWarning, match=r"result: the code of own_problem:make \(\w{8}\.\.\., now \w{8}.* another folder"):
        sweep(other, folder)
    # Still: the first cells are of the first code.
    with pytest.warns(InputWarning, match="own_problem:make"):
        sweep(other, folder)


def test_each_further_change_has_a_text_of_its_own_which_python_does_not_hide(modules, tmp_path):
    folder = tmp_path / "result"
    sweep(modules(), folder)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("default")  # at least once for each place and text
        for factor in ("3.0", "3.0", "4.0"):
            sweep(modules(helper=HELPER.replace("2.0", factor)), folder)
    assert len({str(warning.message) for warning in seen}) == 2


def test_names_are_no_code_of_the_users_own():
    study = Study(problem="least_squares", batch_counts=[2], learning_rates=[0.1], epochs=1)
    assert code_digests(study) == {}


def test_a_list_to_which_a_loss_appends_while_it_runs_is_no_other_code(modules):
    study = modules(helper="CALLS = []\n\ndef scaled(value):\n    CALLS.append(1)\n    return value\n")
    before = code_digests(study)
    sys.modules["own_helper"].scaled(1.0)
    assert code_digests(study) == before
    other = modules(helper="CALLS = [0]\n\ndef scaled(value):\n    CALLS.append(1)\n    return value\n")
    assert code_digests(other) != before
