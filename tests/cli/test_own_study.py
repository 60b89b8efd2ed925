"""A study of a user's own, in a folder outside the repository: the example of docs/your_own_problem.md, by the real command."""

import json
from pathlib import Path

import pytest

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

    again = jaxsgd_command("run", "result/study.json", "--dry-run", "--json", cwd=own_folder)
    assert json.loads(again.stdout)["cells"] == 2, again.stderr


def test_a_problem_that_is_not_in_reach_is_one_line(own_folder, jaxsgd_command):
    (own_folder / "my_problem.py").rename(own_folder / "my_other_problem.py")
    done = jaxsgd_command("run", "my_study.py", cwd=own_folder)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "cannot import 'my_problem'" in done.stderr
