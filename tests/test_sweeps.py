"""The shipped studies: every one can be planned, and runs, shrunk; and they are found from a checkout and from a wheel."""

import ast
import json
import subprocess
import sys
import zipfile

import numpy as np
import pytest

import jaxsgd
from jaxsgd.engine.plan import plan
from jaxsgd.study.shipped import question, shipped
from jaxsgd.study.study_file import read_studies, read_study, result_folders, starts_in_folders, study_path
from tests import test_published

NAMES = sorted(shipped())
RUN_HERE = [name for name in NAMES if name not in test_published.RUN_HERE]
"""The studies that `test_published.py` does not run with a check of their number."""


def few_cells(study):
    """Return short axes of a study: one value where each has a program of its own, which `Study` has checked; otherwise two."""
    apart = ("batch_counts", "batch_sizes", "optimizers", "orders", *(("learning_rates",) if study.zipped else ()))
    axes = ("seeds", "data_seeds", "init_seeds", "order_seeds", "learning_rates")
    most = dict.fromkeys(axes, 2) | dict.fromkeys(apart, 1)
    return {axis: values[:number] for axis, number in most.items() if (values := getattr(study, axis))}


@pytest.mark.parametrize("name", NAMES)
def test_every_shipped_study_can_be_planned_as_it_is(name):
    for study in read_studies(study_path(name)).values():
        if not study.start:  # a fork needs its parent's result
            planned = plan(study)
            assert sum(len(chunk.cells) for chunk in planned.chunks) == study.num_cells


@pytest.mark.parametrize("name", RUN_HERE)
def test_every_shipped_study_runs(name, tmp_path):
    for part, study in read_studies(study_path(name)).items():
        small = few_cells(study)
        args = study.problem_args | {"num_samples": 200}
        if isinstance(study.keep, tuple):
            small["keep"] = [0, 1, 2]
        if isinstance(study.evaluate_every, int):
            small["evaluate_every"] = 1
        if study.start:
            small |= {"start": tmp_path / study.start, "start_epoch": min(study.start_epoch or 2, 2)}
        ds = jaxsgd.sweep(study.replaced(epochs=2, problem_args=args, **small), tmp_path / part)
        assert ds.attrs["missing_cells"] == 0
        assert np.isfinite(ds.loss_epoch).all()
        assert ("loss" in ds) == (study.record == "batch")


@pytest.mark.parametrize("name", NAMES)
def test_every_shipped_study_opens_with_question_command_cost_and_finding(name):
    path = shipped()[name]
    assert question(path).endswith("?")
    text = ast.get_docstring(ast.parse(path.read_text()))
    assert f"Command: jaxsgd run {name}" in text
    assert "Cost:" in text
    assert "Finding:" in text


def test_a_study_round_trips_through_json(tmp_path):
    study = read_study(study_path("orders"))
    (tmp_path / "copy.json").write_text(json.dumps(study.resolved()))
    assert read_study(tmp_path / "copy.json") == study


def test_assignments_take_json_ranges_lists_and_text():
    path = study_path("orders")
    named = read_study(
        path, ["schedules=constant,wsd(0.1, 0.2)", 'batch_rules={"learning_rate": "sqrt"}', "reference_batch_count=5"]
    )
    assert named.schedules == ("constant", "wsd(0.1, 0.2)")
    assert named.batch_rules == (("learning_rate sqrt", {"learning_rate": "sqrt"}),)
    changed = read_study(
        path, ["seeds=3:5", "learning_rates=[0.5]", "orders=fixed,reshuffle", "schedules=cosine", "optimizer=adam"]
    )
    assert changed.seeds == (3, 4)
    assert changed.learning_rates == (0.5,)
    assert changed.orders == ("fixed", "reshuffle")
    assert (changed.schedules, changed.optimizers) == (("cosine",), ("adam",))
    assert read_study(path, ["problem_args.num_inputs=7"]).problem_args == {"num_samples": 1000, "num_inputs": 7, "noise": 5.0}


def test_the_single_study_of_a_file_with_several_is_refused_with_their_names():
    with pytest.raises(jaxsgd.InputError, match="must have a single study, got striped, striped_seeds, band, band_seeds"):
        read_study(study_path("article"))


def test_the_wheel_holds_the_studies_where_bare_names_find_them(tmp_path, pytestconfig):
    source = pytestconfig.rootpath
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", tmp_path, source],
        check=True, capture_output=True,
    )  # fmt: skip
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    program = "from jaxsgd.study.study_file import shipped\nfor path in shipped().values(): print(path)"
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path / "site", capture_output=True, text=True, check=True)
    files = done.stdout.split()
    assert files == [str(tmp_path / "site" / "jaxsgd" / "_sweeps" / f"{name}.py") for name in NAMES]


def test_forks_of_a_file_begin_at_the_results_of_its_own_studies_wherever_they_are(tmp_path, monkeypatch, capsys, unchecked):
    from jaxsgd.cli.errors import run_app

    monkeypatch.chdir(tmp_path)
    assert run_app(["run", "branches", "--out", "elsewhere", "--dry-run"]) == 0
    assert "from_4: begins at elsewhere/parent, which is run first" in capsys.readouterr().out
    studies = read_studies(study_path("branches"))
    alone = {name: studies[name] for name in ("parent", "from_4")}
    folders = result_folders(alone, tmp_path)
    assert starts_in_folders(alone, folders)["from_4"].start == str(tmp_path / "parent")
    assert starts_in_folders(alone, folders)["parent"] == studies["parent"]
