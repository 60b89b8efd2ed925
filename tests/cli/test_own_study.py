"""A study of a user's own, in a folder outside the repository: the example of docs/your_own_problem.md."""

import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from jaxsgd.cli.errors import run_app
from jaxsgd.error import InputError
from jaxsgd.study.study_file import look_beside, read_study
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


def test_all_commands_have_the_module_beside_the_study_or_in_the_current_folder(own_folder, jaxsgd_command):
    # The result is far from the study, so that only the current folder has the module for the commands that read the result.
    far = own_folder.parent / "over" / "there" / "result"
    ran = jaxsgd_command("run", "mine/my_study.py", *FEWER, "--out", far, cwd=own_folder.parent)
    assert (ran.returncode, ran.stdout) == (0, f"ran 2 cells; the result is in {far}\n"), ran.stderr

    verified = jaxsgd_command("verify", far, cwd=own_folder)
    assert verified.stdout == "verified: 2 cells run again with the same numbers, compared bit by bit\n", verified.stderr

    measured = jaxsgd_command("measure", far, "--noise", "--json", cwd=own_folder)
    assert measured.returncode == 0, measured.stderr
    (noise,) = json.loads(measured.stdout)["tables"]["noise"]
    assert (noise["batch_count"], noise["last_epoch"], noise["seeds"]) == (8, 2, 2)
    assert np.isfinite(noise["loss_deviation"])


def test_the_places_of_modules_come_after_what_is_installed_and_each_once(tmp_path, monkeypatch):
    (tmp_path / "work" / "results" / "mine").mkdir(parents=True)
    (tmp_path / "now").mkdir()
    monkeypatch.chdir(tmp_path / "now")
    for path, near in (("work/my_study.py", ["work"]), ("work/results/mine", ["work/results", "work"])):
        monkeypatch.setattr(sys, "path", ["installed"])
        look_beside(tmp_path / path)
        look_beside(tmp_path / path)
        assert sys.path == ["installed", *(str(tmp_path / folder) for folder in (*near, "now"))]


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
