"""Kept parameters and states as files, read back by the libraries that the files are for."""

import csv
import json
import sys

import numpy as np
import pytest

import jaxsgd
from jaxsgd import InputError, Study
from jaxsgd.cli.errors import run_app
from jaxsgd.results.parameter_files import export_cells, export_parameters

STUDY = Study(
    problem="square_regression", problem_args={"num_samples": 20, "num_hidden": 3}, seeds=[0, 5], batch_counts=[2],
    orders=["reshuffle"], optimizers=["momentum", "adam"], learning_rates=[0.05], epochs=2, keep=[0, 2], keep_state=True,
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("files") / "result"
    jaxsgd.sweep(STUDY, place)
    return place


def read(path):
    """The arrays of a file by name, and what it says of their axes: names of dimensions, values by axis, the study."""
    if path.suffix == ".safetensors":
        safe_open = pytest.importorskip("safetensors", reason="safetensors is not installed").safe_open
        with safe_open(path, "np") as file:
            about = {name: json.loads(text) for name, text in file.metadata().items()}
            return {name: file.get_tensor(name) for name in file.keys()}, about["dims"], about["axes"], about["study"]  # noqa: SIM118
    with np.load(path, allow_pickle=False) as file:
        arrays = dict(file)
    study, dims = json.loads(str(arrays.pop("study"))), arrays.pop("dims").tolist()
    axes = {name.removeprefix("axis/"): arrays.pop(name).tolist() for name in list(arrays) if name.startswith("axis/")}
    return arrays, dims, axes, study


@pytest.mark.parametrize("to", ["npz", "safetensors"])
def test_one_file_has_all_cells_with_their_axes_in_front(to, folder, tmp_path):
    arrays, dims, axes, study = read(export_parameters(folder, tmp_path / "new" / f"weights.{to}"))
    assert dims == ["seed", "optimizer", "order", "learning_rate", "batch_count", "epoch"]
    assert (axes["seed"], axes["optimizer"], axes["epoch"]) == ([0, 5], ["momentum", "adam"], [0, 2])
    assert Study(**study) == STUDY
    expected = jaxsgd.parameters(folder)
    np.testing.assert_array_equal(arrays["params/w1"], expected["w1"])
    assert arrays["params/w1"].shape == (2, 2, 1, 1, 1, 2, 10, 3)
    adam = jaxsgd.state(folder, optimizer=["adam"])[0]
    np.testing.assert_array_equal(arrays["state/adam/0/count"], adam.count)
    np.testing.assert_array_equal(arrays["state/adam/0/nu/w2"], adam.nu["w2"])
    assert arrays["state/adam/0/count"].dtype == np.int32
    moments = {f"state/{name}/{leaf}" for name, leaf in [("momentum", "0/trace"), ("adam", "0/mu"), ("adam", "0/nu")]}
    assert set(arrays) == {f"{part}/{w}" for part in {"params", *moments} for w in ("w1", "w2")} | {"state/adam/0/count"}


@pytest.mark.parametrize("to", ["npz", "safetensors"])
def test_a_file_for_each_cell_has_its_values_beside_its_name(to, folder, tmp_path):
    out = export_cells(folder, tmp_path / "cells", to)
    rows = list(csv.DictReader((out / "cells.csv").read_text().splitlines()))
    assert sorted(path.name for path in out.iterdir()) == [*sorted(row["file"] for row in rows), "cells.csv"]
    assert len(rows) == 4
    for row in rows:
        own = {"seed": int(row["seed"]), "optimizer": row["optimizer"]}
        arrays, dims, axes, _ = read(out / row["file"])
        assert (dims, axes["seed"], axes["epoch"]) == (["epoch"], own["seed"], [0, 2])
        chosen = {**own, "order": "reshuffle", "learning_rate": 0.05, "batch_count": 2}
        np.testing.assert_array_equal(arrays["params/w2"], jaxsgd.parameters(folder, **chosen)["w2"])
        assert ("state/adam/0/count" in arrays) == (row["optimizer"] == "adam")


def test_the_commands_write_the_same_files(folder, tmp_path, capsys, monkeypatch, unchecked):
    monkeypatch.chdir(tmp_path)
    assert run_app(["export", str(folder), "--params", "weights.npz"]) == 0
    assert capsys.readouterr().out == "wrote weights.npz\n"
    assert (tmp_path / "weights.npz").read_bytes() == export_parameters(folder, tmp_path / "other.npz").read_bytes()
    assert run_app(["export", str(folder), "--params", "cells", "--per-cell", "npz", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"file": "cells", "format": "npz", "per_cell": True}
    assert len(list((tmp_path / "cells").glob("*.npz"))) == 4


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ([], "give either --to FORMAT, for the numbers (netcdf, zarr, csv, parquet, tensorboard, wandb, mlflow), or --params"),
        (["--to", "csv", "--params", "a.npz"], "give either --to FORMAT"),
        (["--params", "weights.pkl"], "a file of parameters must end in .npz or .safetensors, got 'weights.pkl'"),
        (["--params", "cells", "--per-cell", "npy"], "unknown format of parameters 'npy': did you mean 'npz'?"),
        (["--to", "csv", "--per-cell", "npz"], "--per-cell needs --params FOLDER"),
        (["--params", "a.npz", "--out", "b"], "leave out --out b"),
    ],
)
def test_wrong_options_are_one_line(words, text, folder, capsys, monkeypatch, tmp_path, unchecked):
    monkeypatch.chdir(tmp_path)
    assert run_app(["export", str(folder), *words]) == 2
    error = capsys.readouterr().err
    assert text in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_without_safetensors_one_line_says_how_to_get_it(folder, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    with pytest.raises(InputError, match=r"this format needs safetensors: pip install 'jaxsgd\[export\]'"):
        export_parameters(folder, tmp_path / "weights.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_the_command_finds_the_module_of_a_problem_beside_the_result(tmp_path, monkeypatch, unchecked):
    (tmp_path / "beside.py").write_text("import jaxsgd\n\n\ndef make():\n    return jaxsgd.problems.least_squares(20, 2)\n")
    monkeypatch.syspath_prepend(tmp_path)
    fields = {"seeds": [0], "batch_counts": [2], "learning_rates": [0.05], "epochs": 1}
    jaxsgd.sweep(Study(problem="beside:make", **fields, keep="final"), tmp_path / "results" / "mine")
    sys.path.remove(str(tmp_path))
    del sys.modules["beside"]
    monkeypatch.chdir(tmp_path.parent)
    assert run_app(["export", str(tmp_path / "results" / "mine"), "--params", str(tmp_path / "w.npz")]) == 0
    sys.path.remove(str(tmp_path))
    (weights,) = read(tmp_path / "w.npz")[0].values()
    assert weights.shape[-1] == 2
