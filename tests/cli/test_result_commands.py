"""run, verify, export, studies and info, over one small result."""

import json
import shutil
import signal
import subprocess

import pytest

import jaxsgd
from tests.cli.conftest import COMMAND, once

SMALL = ("--set", "seeds=0:2", "--set", "batch_counts=2,10", "--set", "epochs=3", "--set", "problem_args.num_hidden=20")


@pytest.fixture(scope="session")
def small_result(shared_folder, jaxsgd_command):
    """A folder in which `jaxsgd run stripes_by_batch_count` ran, shrunk; what it said is in `run.json`."""

    def make(folder):
        done = jaxsgd_command("run", "stripes_by_batch_count", *SMALL, "--json", cwd=folder)
        (folder / "run.json").write_text(done.stdout if done.returncode == 0 else done.stderr)

    return once(shared_folder / "small_result", make)


def test_run_says_what_it_did_as_one_json_object(small_result):
    payload = json.loads((small_result / "run.json").read_text())
    # 2 seeds x 2 orders x 2 batch counts
    assert (payload["cells"], payload["resumed_cells"], payload["diverged_cells"], payload["broken_chunks"]) == (8, 0, 0, [])
    assert payload["folder"] == "results/stripes_by_batch_count"


def test_run_again_does_nothing_and_says_so(small_result, jaxsgd_command):
    chunks = sorted((small_result / "results/stripes_by_batch_count/chunks").iterdir())
    before = [(path.name, path.stat().st_mtime_ns) for path in chunks]
    done = jaxsgd_command("run", "stripes_by_batch_count", *SMALL, cwd=small_result)
    assert (done.returncode, done.stdout) == (0, "nothing to do: all 8 cells are in results/stripes_by_batch_count\n")
    assert [(path.name, path.stat().st_mtime_ns) for path in chunks] == before


def test_a_damaged_chunk_is_run_again_and_said(small_result, jaxsgd_command, tmp_path):
    shutil.copytree(small_result / "results/stripes_by_batch_count", tmp_path / "copy")
    chunk = tmp_path / "copy/chunks/000000.npz"
    chunk.write_bytes(chunk.read_bytes()[:-100])
    done = jaxsgd_command("run", "stripes_by_batch_count", *SMALL, "--out", "copy", cwd=tmp_path)
    assert done.returncode == 0
    assert "run again because the file was damaged: 000000.npz" in done.stdout
    assert (
        jaxsgd.load(tmp_path / "copy")
        .drop_attrs()
        .identical(jaxsgd.load(small_result / "results/stripes_by_batch_count").drop_attrs())
    )


def test_dry_run_tells_cells_programs_memory_and_time_and_writes_nothing(jaxsgd_command, tmp_path):
    done = jaxsgd_command("run", "stripes_by_batch_count", "--dry-run", "--json", cwd=tmp_path)
    plan = json.loads(done.stdout)
    assert plan["cells"] == 64 * 2 * 6
    assert plan["axes"] == {"seed": 64, "optimizer": 1, "order": 2, "learning_rate": 1, "batch_count": 6}
    assert min(plan["seconds"], plan["memory_bytes"], plan["result_bytes"], plan["chunks"], plan["programs"]) > 0
    # float32 losses of 40 epochs: 50 places for batches and the mean
    assert plan["result_bytes"] == 768 * 40 * 51 * 4
    # The process with JAX in it takes more than any chunk here.
    assert plan["memory_bytes"] > 200 * 2**20
    assert plan["probed_programs"] == 0
    assert list(tmp_path.iterdir()) == []


def test_dry_run_has_a_line_for_each_number(jaxsgd_command, tmp_path):
    text = jaxsgd_command("run", "stripes_by_batch_count", "--dry-run", cwd=tmp_path).stdout
    assert [line.split()[0] for line in text.splitlines()] == [
        "study",
        "cells",
        "programs",
        "chunks",
        "time",
        "memory",
        "result",
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["artcle"],
            "unknown study (give a path to a .py or .json file, or a name from `jaxsgd studies`) 'artcle': "
            "did you mean 'article'?",
        ),
        (["missing.py"], "missing.py: no such study file"),
        (["stripes_by_batch_count", "--set", "epochs"], "--set epochs: must be field=value, such as epochs=10"),
        (["stripes_by_batch_count", "--set", "sede=1"], "unknown field 'sede': did you mean 'seeds'?"),
        (["stripes_by_batch_count", "--set", "learning_rates=nan"], "learning_rates"),
        (
            ["stripes_by_batch_count", "--set", "epochs=0", "--set", "orders=fxed"],
            "orders: unknown order 'fxed': did you mean 'fixed'?",
        ),
        (["stripes_by_batch_count", "--vectorize", "wide"], "vectorize must be auto, one_program or grouped, got 'wide'"),
        (["stripes_by_batch_count", "--chunk-width", "0"], "chunk_width must be a whole number of at least 1, got 0"),
        (["stripes_by_batch_count", "--out", "taken"], "taken"),
    ],
)
def test_wrong_words_are_one_line_and_write_nothing(words, message, jaxsgd_command, tmp_path):
    (tmp_path / "taken").write_text("")
    done = jaxsgd_command("run", *words, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("jaxsgd: ")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_another_study_in_the_folder_is_refused_by_name(small_result, jaxsgd_command):
    done = jaxsgd_command("run", "stripes_by_batch_count", *SMALL, "--set", "epochs=4", cwd=small_result)
    assert (done.returncode, done.stdout) == (2, "")
    assert "has the result of another study (epochs: 3 in the result, 4 now)" in done.stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("STUDY = 3\n", "must define STUDY = jaxsgd.Study(...), got int"),
        ("x = 1\n", "must define STUDY = jaxsgd.Study(...): it has none"),
        ("STUDY = Study(\n", "line 1"),
        ("STUDIES = {}\n", 'STUDIES must be a dictionary such as {"first": jaxsgd.Study(...)}, with names for folders, got {}'),
        ("STUDIES = {'a': 1}\n", "with names for folders, got {'a': 1}"),
        ("from jaxsgd import Study\nSTUDIES = {'a/b': Study(batch_counts=[1], learning_rates=[1], epochs=1)}\n", "got {'a/b':"),
        ("from jaxsgd import Study\nSTUDY = Study(epochs=0)\n", "epochs: must be at least 1, got 0"),
    ],
)
def test_a_study_file_without_a_study_is_one_line(text, message, jaxsgd_command, tmp_path):
    (tmp_path / "mine.py").write_text(text)
    done = jaxsgd_command("run", "mine.py", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert message in done.stderr


def test_a_study_of_a_problem_of_ones_own(jaxsgd_command, tmp_path):
    (tmp_path / "mine.py").write_text(
        "import jax, jax.numpy as jnp\n"
        "from jaxsgd import Problem, Study\n"
        "def mean(num_samples=30):\n"
        "    return Problem(init=lambda key: jnp.zeros(2), loss=lambda w, x: jnp.sum((x - w) ** 2, axis=1),\n"
        "                   data=lambda key: jax.random.normal(key, (num_samples, 2)))\n"
        "STUDY = Study(problem='mine:mean', problem_args={'num_samples': 12}, batch_counts=[3], learning_rates=[0.1],\n"
        "              epochs=2)\n"
    )
    done = jaxsgd_command("run", "mine.py", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "ran 1 cell; the result is in results/mine\n", "")
    assert jaxsgd.load(tmp_path / "results/mine").loss.shape == (1, 1, 1, 1, 2, 3)
    assert jaxsgd_command("verify", "results/mine", cwd=tmp_path).returncode == 0


def test_a_file_of_several_studies_gives_each_a_folder_and_a_report(jaxsgd_command, tmp_path):
    (tmp_path / "two.py").write_text(
        "from jaxsgd import Study\n"
        "few = Study(problem='least_squares', problem_args={'num_samples': 6}, seeds=[0, 1], batch_counts=[3],\n"
        "            learning_rates=[0.1], epochs=2)\n"
        "STUDIES = {'few': few, 'long': few.replaced(epochs=3)}\n"
    )
    done = jaxsgd_command("run", "two.py", "--set", "seeds=[5]", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    names = {"few": "results/two/few", "long": "results/two/long"}
    assert done.stdout.splitlines() == [f"ran 1 cell; the result is in {folder}" for folder in names.values()]
    assert [jaxsgd.load(tmp_path / folder).sizes["epoch"] for folder in names.values()] == [2, 3]
    again = json.loads(jaxsgd_command("run", "two.py", "--set", "seeds=[5]", "--json", cwd=tmp_path).stdout)
    reports = again["studies"]
    assert {name: (reports[name]["folder"], reports[name]["resumed_cells"]) for name in reports} == {
        name: (folder, 1) for name, folder in names.items()
    }
    dry = jaxsgd_command("run", "two.py", "--dry-run", cwd=tmp_path).stdout
    assert [line.split()[1] for line in dry.splitlines() if line.startswith("study")] == list(names)


@pytest.mark.slow
def test_ctrl_c_keeps_the_finished_chunks_and_is_130(environment, jaxsgd_process, tmp_path):
    words = (
        "run",
        "stripes_by_batch_count",
        "--chunk-width",
        "1",
        "--set",
        "problem_args.num_hidden=20",
        "--set",
        "batch_counts=10",
        "--set",
        "epochs=400",  # seconds of work after the first chunk, for Ctrl-C to come in time
    )
    process = subprocess.Popen([*COMMAND, *words], cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)
    chunks = tmp_path / "results/stripes_by_batch_count/chunks"
    while not list(chunks.glob("0*.npz")):
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    kept = len(list(chunks.glob("0*.npz")))
    assert process.returncode == 130
    *before, last = err.splitlines()
    where = "results/stripes_by_batch_count"
    assert last == f"jaxsgd: interrupted: {kept} of 128 cells are kept in {where}; run the command again to finish"
    assert all(line.startswith("jaxsgd: interrupted: finishing ") for line in before)
    again = jaxsgd_process(*words, "--json", cwd=tmp_path)
    done = json.loads(again.stdout)
    assert (done["cells"], done["resumed_cells"]) == (128, kept)


def test_verify_passes_and_names_the_cell_that_was_changed(small_result, jaxsgd_command, tmp_path):
    from jaxsgd.results.store import Folder

    shutil.copytree(small_result / "results/stripes_by_batch_count", tmp_path / "copy")
    done = jaxsgd_command("verify", "copy", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "verified: 8 cells run again with the same numbers, compared bit by bit\n")
    folder = Folder(tmp_path / "copy")
    identity = json.loads(folder.manifest_file.read_text())["fixed_identity"]
    arrays = folder.read_chunk(0, identity)
    arrays["loss_epoch"][1, 2] *= 1.001
    folder.write_chunk(0, arrays, identity)
    done = jaxsgd_command("verify", "copy", "--json", cwd=tmp_path)
    assert done.returncode == 1
    payload = json.loads(done.stdout)
    assert not payload["passed"]
    assert [difference["what"] for difference in payload["differences"]] == ["loss_epoch"]
    assert payload["differences"][0]["cell"] in done.stderr


@pytest.mark.parametrize("command", ["verify", "export"])
def test_a_folder_without_a_result_is_one_line(command, jaxsgd_command, tmp_path):
    words = ["--to", "csv"] if command == "export" else []
    done = jaxsgd_command(command, ".", *words, cwd=tmp_path)
    assert done.returncode == 2
    assert "this folder is not a result" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(("to", "name"), [("netcdf", "article.nc"), ("zarr", "article.zarr")])
def test_export_holds_all_of_the_result(to, name, small_result, jaxsgd_command, tmp_path):
    import xarray as xr

    shutil.copytree(small_result / "results/stripes_by_batch_count", tmp_path / "article")
    assert jaxsgd_command("export", "article", "--to", to, cwd=tmp_path).stdout == f"wrote {name}\n"
    path = tmp_path / name
    again = xr.open_dataset(path, engine="h5netcdf") if to == "netcdf" else xr.open_zarr(path, consolidated=False)
    result = jaxsgd.load(tmp_path / "article")
    assert again.load().equals(result)
    assert again.attrs["study"] == result.attrs["study"]
    again.close()


@pytest.mark.parametrize("to", ["csv", "parquet"])
def test_export_as_a_table_has_a_row_for_every_batch(to, small_result, jaxsgd_command, tmp_path):
    import pandas as pd

    done = jaxsgd_command(
        "export", small_result / "results/stripes_by_batch_count", "--to", to, "--out", f"table.{to}", cwd=tmp_path
    )
    assert done.returncode == 0
    table = (pd.read_csv if to == "csv" else pd.read_parquet)(tmp_path / f"table.{to}")
    # 2 seeds x 2 orders x 3 epochs x (2 + 10) batches
    assert len(table) == 2 * 2 * 3 * 12
    assert not table.loss.isna().any()
    assert {"seed", "order", "batch_count", "epoch", "batch", "loss", "loss_epoch", "stripe_index"} <= set(table.columns)


def test_export_to_an_unknown_format_names_the_nearest(small_result, jaxsgd_command):
    done = jaxsgd_command("export", "results/stripes_by_batch_count", "--to", "netcd", cwd=small_result)
    assert done.returncode == 2
    assert "unknown format 'netcd': did you mean 'netcdf'?" in done.stderr


def test_studies_lists_each_with_its_question(jaxsgd_command, tmp_path):
    studies = json.loads(jaxsgd_command("studies", "--json", cwd=tmp_path).stdout)
    assert {"article", "batch_count_scaling", "hyperparameters", "optimizer_benchmark", "orders", "seed_variance"} <= set(
        studies
    )
    assert all(study["question"].endswith("?") for study in studies.values())


def test_info_tells_versions_devices_and_the_cache(environment, jaxsgd_process, tmp_path):
    payload = json.loads(jaxsgd_process("info", "--json", cwd=tmp_path).stdout)
    assert {"python", "jaxsgd", "jax", "jaxlib", "optax", "numpy"} <= set(payload["versions"])
    assert payload["device"]["backend"] == "cpu"
    assert payload["cache"] | {"programs": 0, "bytes": 0} == {
        "folder": environment["JAX_COMPILATION_CACHE_DIR"],
        "enabled": True,
        "programs": 0,
        "bytes": 0,
    }
    assert payload["flags"]["JAX_PLATFORMS"] == "cpu"
    assert payload["flags"]["JAX_COMPILATION_CACHE_DIR"] == environment["JAX_COMPILATION_CACHE_DIR"]
