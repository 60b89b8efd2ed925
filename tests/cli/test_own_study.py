"""A study of a user's own, in a folder outside the repository: the example of docs/your_own_problem.md."""

import importlib
import json
import sys
from pathlib import Path

import pytest

from jaxsgd.cli.errors import run_app
from jaxsgd.engine.study_file import read_study
from jaxsgd.error import InputError
from tests.document import blocks

PAGE = Path(__file__).parents[2] / "docs/your_own_problem.md"
FEWER = ("--set", "seeds=0:2", "--set", "orders=fixed", "--set", "epochs=3", "--set", "learning_rates=0.1")


@pytest.fixture
def own_folder(tmp_path, monkeypatch):
    """A folder with the files of the page: samples, problem and study."""
    folder = tmp_path / "mine"
    folder.mkdir()
    first, *others = blocks(PAGE.read_text(), "python")
    monkeypatch.chdir(folder)
    exec(compile(first.content, str(PAGE), "exec"), {})
    for block in others:
        if block.file_name:
            (folder / block.file_name).write_text(block.content)
    assert {"samples.csv", "my_problem.py", "my_study.py"} <= {path.name for path in folder.iterdir()}
    return folder


def test_the_study_runs_from_anywhere_and_its_result_from_its_own_folder(own_folder, jaxsgd_command):
    elsewhere = own_folder.parent
    ran = jaxsgd_command("run", "mine/my_study.py", *FEWER, "--out", "mine/result", cwd=elsewhere)
    assert (ran.returncode, ran.stdout) == (0, "ran 2 cells; the result is in mine/result\n"), ran.stderr

    verified = jaxsgd_command("verify", "result", cwd=own_folder)
    assert verified.stdout == "verified: 2 cells came out the same, compared bit by bit\n", verified.stderr


def test_an_error_in_the_problem_is_said_as_on_the_page(own_folder, monkeypatch, capsys, unchecked):
    monkeypatch.setattr(sys, "path", [*sys.path])
    problem = own_folder / "my_problem.py"
    problem.write_text(problem.read_text().replace("(2, num_hidden)", "(3, num_hidden)"))
    monkeypatch.delitem(sys.modules, "my_problem", raising=False)
    importlib.invalidate_caches()
    assert run_app(["run", "my_study.py"]) == 2
    assert f"```\n{capsys.readouterr().err}```" in PAGE.read_text()
    del sys.modules["my_problem"]


def test_the_study_of_its_result_finds_the_problem_in_the_current_folder(own_folder, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    (own_folder / "result").mkdir()
    fields = {"problem": "my_parts:made", "seeds": [0], "batch_counts": [2], "learning_rates": [0.1], "epochs": 1}
    (own_folder / "result" / "study.json").write_text(json.dumps(fields))
    with pytest.raises(InputError, match="unknown problem in my_parts 'made'"):
        read_study(Path("result/study.json"))
    (own_folder / "my_parts.py").unlink()
    monkeypatch.delitem(sys.modules, "my_parts")
    importlib.invalidate_caches()
    with pytest.raises(InputError, match="cannot import 'my_parts'"):
        read_study(Path("result/study.json"))
