"""`jaxsgd run` on workers: those of a scheduler, those of this machine, and what it says when they cannot be had."""

import json
import os
import signal
import socket
import subprocess
import sys

import pytest

import jaxsgd
from jaxsgd import InputError, RunFailure, Study
from jaxsgd.cli.errors import run_app
from jaxsgd.engine import cluster
from jaxsgd.study.study_file import look_beside
from tests.cli.conftest import COMMAND
from tests.dask_processes import ROOT, process, scheduler, wait_until, worker
from tests.study_parts import hold, let_go

distributed = pytest.importorskip("distributed")

OBEDIENT = {"seeds": range(8), "batch_counts": [4], "learning_rates": [0.1], "epochs": 2}
TO_RESULT = ("--out", "result", "--vectorize", "one_program", "--chunk-width", "1")


@pytest.fixture(scope="module")
def alone():
    """The bits of those runs when this process does them and nothing is in the way."""
    plain = Study(problem="tests.study_parts:waves", **OBEDIENT)
    return bits(jaxsgd.sweep(plain, vectorize="one_program", chunk_width=1))


@pytest.fixture
def study(tmp_path):
    """The file of a study of eight runs that do what files in `tmp_path` tell their seeds."""
    obedient = Study(problem="tests.study_parts:obedient", problem_args={"folder": str(tmp_path)}, **OBEDIENT)
    (tmp_path / "study.json").write_text(json.dumps(obedient.resolved()))
    return obedient


@pytest.fixture
def finds_tests(environment):
    """The environment of a command that finds modules of the tests."""
    return environment | {"PYTHONPATH": str(ROOT)}


def command(*words, folder, environment):
    return process(*COMMAND, *map(str, words), environment=environment, cwd=folder, stdout=subprocess.PIPE)


def chunks(folder):
    return sorted(path.name for path in (folder / "result" / "chunks").glob("0*.npz"))


def bits(ds):
    return {name: array.values.tobytes() for name, array in ds.data_vars.items()}


def test_a_scheduler_that_is_killed_is_one_line_and_what_is_finished_is_kept(study, alone, finds_tests, tmp_path):
    hold(tmp_path, range(2, 8))
    with (
        scheduler(tmp_path) as (address, killed),
        worker(address, environment=finds_tests),
        command(
            "run",
            "study.json",
            "--out",
            "result",
            *TO_RESULT,
            "--scheduler",
            address,
            folder=tmp_path,
            environment=finds_tests,
        ) as running,
    ):
        wait_until(lambda: len(chunks(tmp_path)) == 2, "two chunks")
        killed.kill()
        output, wrong = running.communicate(timeout=120)
    assert (running.returncode, output) == (1, "")
    # On a busy machine the command has waited for the worker, and said so before.
    assert wrong.splitlines()[-1] == (
        f"jaxsgd: {address}: the connection to the workers is lost; 2 of 8 cells are kept in result; "
        "run the command again for the rest"
    )
    assert chunks(tmp_path) == ["000000.npz", "000001.npz"]
    let_go(tmp_path)
    assert bits(jaxsgd.sweep(study, tmp_path / "result")) == alone


def test_workers_of_this_machine_are_deaf_to_ctrl_c_and_the_command_keeps_what_is_finished(study, finds_tests, tmp_path):
    hold(tmp_path, range(3, 8))
    words = ("run", "study.json", *TO_RESULT, "--workers", 1)
    with command(*words, folder=tmp_path, environment=finds_tests) as running:
        wait_until(lambda: len(chunks(tmp_path)) == 3, "three chunks")
        os.killpg(running.pid, signal.SIGINT)  # as a terminal does: to the command and to all its workers
        output, wrong = running.communicate(timeout=120)
    assert (running.returncode, output) == (130, "")
    *before, last = wrong.splitlines()
    assert last == "jaxsgd: interrupted: 3 of 8 cells are kept in result; run the command again to finish"
    # Where a chunk was handed to the worker already, that is waited for, and said.
    assert before in ([], ["jaxsgd: interrupted: finishing 1 chunk; press Ctrl-C again to end at once"])
    assert chunks(tmp_path) == ["000000.npz", "000001.npz", "000002.npz"]


def test_a_worker_is_waited_for_and_refused_when_it_has_another_version_of_jax(study, finds_tests, tmp_path):
    from importlib import metadata

    (tmp_path / "old" / "jax-0.0.1.dist-info").mkdir(parents=True)
    (tmp_path / "old" / "jax-0.0.1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: jax\nVersion: 0.0.1\n")
    with (
        scheduler(tmp_path) as (address, _),
        command("run", "study.json", "--scheduler", address, folder=tmp_path, environment=finds_tests) as running,
    ):
        hint = f"jaxsgd: {address}: waiting for a worker; start a worker with: dask worker {address} --nthreads 1 --nanny\n"
        assert running.stderr.readline() == hint
        with worker(address, environment={"PYTHONPATH": f"{tmp_path / 'old'}{os.pathsep}{ROOT}"}):
            output, wrong = running.communicate(timeout=120)
    assert (running.returncode, output) == (2, "")
    assert wrong.startswith("jaxsgd: the worker tcp://127.0.0.1:")
    assert wrong.endswith(
        f"has jax 0.0.1, and this process has jax {metadata.version('jax')}: install the same version there\n"
    )
    assert not (tmp_path / "results").exists()
    assert list(tmp_path.glob("*.begun.*")) == []


def test_another_version_of_this_package_is_refused_too_and_so_is_none():
    with pytest.raises(InputError, match=r"the worker b has jaxsgd 9\.9, and this process has jaxsgd 0\.1"):
        cluster.check_versions("jaxsgd", "0.1", {"a": "0.1", "b": "9.9"})
    from importlib.metadata import PackageNotFoundError

    with pytest.raises(
        InputError, match=r"the worker a has no jaxsgd, and this process has jaxsgd 0\.1: install the same version there"
    ):
        cluster.check_versions("jaxsgd", "0.1", {"a": PackageNotFoundError("jaxsgd")})


def test_a_worker_that_does_not_answer_is_waited_for_as_long_as_is_said(monkeypatch, finds_tests, tmp_path):
    monkeypatch.setattr(cluster, "VERSION_SECONDS", 1)
    with (
        scheduler(tmp_path) as (address, _),
        worker(address, environment=finds_tests) as stopped,
        distributed.Client(address, set_as_default=False) as client,
    ):
        client.wait_for_workers(1)
        os.killpg(stopped.pid, signal.SIGSTOP)
        with (
            pytest.raises(RunFailure, match=r"^a worker did not report its version of jaxsgd within 1 s$"),
            cluster.scheduler_at(address),
        ):
            pass
        os.killpg(stopped.pid, signal.SIGCONT)


@pytest.fixture
def in_process(study, tmp_path, monkeypatch, unchecked):
    """`jaxsgd run` of the study in this process: its status."""
    monkeypatch.chdir(tmp_path)
    return lambda *words: run_app(["run", "study.json", *words])


def test_no_scheduler_at_the_address_is_one_line_and_nothing_is_begun(in_process, capfd, tmp_path):
    with socket.socket() as free:  # a port that nobody listens at, once it is closed
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    assert in_process("--scheduler", address) == 2
    output, wrong = capfd.readouterr()
    assert output == ""
    assert wrong.startswith(f"jaxsgd: no scheduler answers at {address} within {cluster.CONNECT_SECONDS} s (")
    assert wrong.endswith("; start a scheduler with: dask scheduler\n")
    assert wrong.count("\n") == 1
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("--scheduler", "127.0.0.1:8786"),
            "--scheduler must be an address such as tcp://127.0.0.1:8786, got '127.0.0.1:8786'",
        ),
        (("--scheduler", "tcp://nowhere"), "--scheduler must be an address such as tcp://127.0.0.1:8786, got 'tcp://nowhere'"),
        (("--scheduler", "tcp://a:1", "--workers", "2"), "give either --scheduler or --workers, not both"),
        (("--workers", "0"), "Invalid value for '--workers'"),
        (("--retries", "-1"), "Invalid value for '--retries'"),
    ],
)
def test_options_that_cannot_be_are_one_line(words, message, in_process, capsys):
    assert in_process(*words) == 2
    wrong = capsys.readouterr().err
    assert message in wrong
    assert wrong.count("\n") == 1


@pytest.mark.parametrize("words", [("--workers", "2"), ("--scheduler", "tcp://127.0.0.1:8786")])
def test_without_dask_the_message_has_the_command_that_installs_it(words, in_process, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert in_process(*words) == 2
    assert capsys.readouterr().err == "jaxsgd: Dask is not installed: pip install 'jaxsgd[distributed]'\n"


def test_without_cryptography_too(in_process, capsys, monkeypatch):
    def missing():
        raise ImportError("no module named cryptography")

    monkeypatch.setattr(distributed.Security, "temporary", missing)
    assert in_process("--workers", "2") == 2
    message = "jaxsgd: the workers' certificates need the package cryptography: pip install 'jaxsgd[distributed]'\n"
    assert capsys.readouterr().err == message


def test_more_workers_than_gpus_are_refused(in_process, capsys, monkeypatch):
    monkeypatch.setattr(cluster, "gpus", lambda environment, driver: ["0", "1"])
    assert in_process("--workers", "3") == 2
    assert "--workers must be at most 2, the number of GPUs, got 3" in capsys.readouterr().err


@pytest.mark.slow
def test_workers_of_this_machine_have_one_gpu_each_and_find_modules_in_the_folder_of_the_study(alone, tmp_path, monkeypatch):
    """The machine's GPUs are made up; what the workers are given is read in real ones."""
    monkeypatch.setattr(cluster, "gpus", lambda environment, driver: ["0", "GPU-5f2a"])
    (tmp_path / "my_own.py").write_text("from tests.study_parts import waves as make\n")
    monkeypatch.setattr(sys, "path", [*sys.path])
    look_beside(tmp_path / "my_study.py")
    own = Study(problem="my_own:make", **OBEDIENT)
    with cluster.local_workers(2, {}) as executor:
        assert bits(jaxsgd.sweep(own, executor=executor, vectorize="one_program", chunk_width=1)) == alone
        addresses = list(executor._client.scheduler_info(n_workers=-1)["workers"])
        seen = [executor.submit(os.getenv, "CUDA_VISIBLE_DEVICES", workers=[address]).result(60) for address in addresses]
    assert sorted(seen) == ["0", "GPU-5f2a"]
    assert all(address.startswith("tls://127.0.0.1:") for address in addresses)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, ["0", "1"]),
        ({"CUDA_VISIBLE_DEVICES": "3,GPU-5f2a"}, ["3", "GPU-5f2a"]),
        ({"CUDA_VISIBLE_DEVICES": ""}, []),
        ({"CUDA_VISIBLE_DEVICES": "-1"}, []),
        ({"JAX_PLATFORMS": "cpu"}, []),
        ({"JAX_PLATFORMS": "cuda,cpu"}, ["0", "1"]),
    ],
)
def test_gpus_are_those_of_the_driver_or_those_that_the_environment_names(environment, expected, tmp_path, monkeypatch):
    for device in ("0000:17:00.0", "0000:65:00.0"):
        (tmp_path / device).mkdir()
    monkeypatch.setattr(cluster, "_plugin", lambda: True)
    assert cluster.gpus(environment, tmp_path) == expected
    assert cluster.gpus({}, tmp_path / "no driver") == []
    monkeypatch.setattr(cluster, "_plugin", lambda: False)
    assert cluster.gpus(environment, tmp_path) == []
