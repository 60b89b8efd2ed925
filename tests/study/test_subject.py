"""Subjects: the functions of the user's own that may make one."""

import sys

import pytest

import jaxsgd
from jaxsgd.study.subject import Subject

OWN_MODULES = {
    "own_base": "import jax.numpy as jnp\nimport numpy as np\n\nimport jaxsgd\n\ndef build():\n    return jaxsgd.Problem("
    "lambda key: jnp.zeros(2), lambda w, x: (x @ w - 1) ** 2, np.ones((4, 2), np.float32))\n",
    "own_by_module": "import own_base\n\ndef make():\n    return own_base.build()\n",
    "own_by_function": "from own_base import build\n\ndef make():\n    return build()\n",
    "own_within": "def make():\n    from jaxsgd.problems import least_squares\n    return least_squares(num_samples=4)\n",
    "own_remover": "import os\n\ndef make(path):\n    os.remove(path)\n",
}


@pytest.fixture
def own_modules(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    for name, text in OWN_MODULES.items():
        (tmp_path / f"{name}.py").write_text(text)
    yield
    for name in OWN_MODULES:
        sys.modules.pop(name, None)


@pytest.mark.parametrize("name", ["own_base:build", "own_by_module:make", "own_by_function:make", "own_within:make"])
@pytest.mark.usefixtures("own_modules")
def test_a_function_of_the_users_own_may_make_a_problem_by_another_one_or_import_this_package_itself(name):
    assert Subject.of(name, {}, "float32").num_samples == 4


@pytest.mark.usefixtures("own_modules")
@pytest.mark.parametrize("name", ["own_remover:make", "numpy:load"])
def test_a_function_that_cannot_make_a_problem_is_not_called(name, tmp_path):
    target = tmp_path / "target.txt"
    target.write_text("here")
    argument = "path" if name == "own_remover:make" else "file"
    with pytest.raises(jaxsgd.InputError, match=r"uses nothing of jaxsgd, so it cannot make a jaxsgd\.Problem"):
        Subject.of(name, {argument: str(target)}, "float32")
    assert target.read_text() == "here"
