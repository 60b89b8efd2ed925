"""docs/distributed.md against what it says: its SLURM script's job file, its commands, TLS by Dask's own options."""

import importlib.util
import re
import sys
from pathlib import Path

import dask
import pytest

from jaxsgd import InputError
from jaxsgd.engine import cluster
from tests.dask_processes import scheduler, worker
from tests.document import blocks

distributed = pytest.importorskip("distributed")
pytest.importorskip("dask_jobqueue")

PAGE = Path(__file__).parents[1] / "docs/distributed.md"


def script(name, folder):
    """A Python file of the page, as a module."""
    (block,) = (block for block in blocks(PAGE.read_text(), "python") if block.file_name == name)
    (folder / name).write_text(block.content)
    spec = importlib.util.spec_from_file_location(name.removesuffix(".py"), folder / name)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_job_file_of_the_slurm_script_asks_for_one_core_and_starts_one_encrypted_worker(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with script("slurm_sweep.py", tmp_path).workers(interface="lo") as jobs:
        lines = jobs.job_script().splitlines()
    assert lines[0] == "#!/usr/bin/env bash"
    directives = [line.removeprefix("#SBATCH ") for line in lines if line.startswith("#SBATCH")]
    assert {"-n 1", "--cpus-per-task=1", "--mem=4G", "-t 04:00:00", "--requeue"} <= set(directives)
    assert "export PYTHONPATH=$PWD" in lines
    (started,) = (line for line in lines if "dask_worker" in line)
    assert started.startswith(f"{sys.executable} -m distributed.cli.dask_worker tls://127.0.0.1:")
    for option in ("--nthreads 1", "--nanny", "--lifetime 225m", "--lifetime-stagger 10m", "--protocol tls://", "--tls-key "):
        assert f" {option}" in started


def test_the_job_file_can_ask_for_a_gpu(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert '"--gres=gpu:1"' in PAGE.read_text()
    with script("slurm_sweep.py", tmp_path).workers(interface="lo", job_extra_directives=["--gres=gpu:1"]) as jobs:
        assert "#SBATCH --gres=gpu:1" in jobs.job_script()


def test_the_commands_that_the_tests_start_are_those_of_the_page():
    text = PAGE.read_text()
    assert "dask scheduler --host 127.0.0.1 --port 8786 --no-dashboard\n" in text
    assert "dask worker tcp://127.0.0.1:8786 --host 127.0.0.1 --nthreads 1 --nanny\n" in text
    helper = (Path(__file__).parent / "dask_processes.py").read_text()
    assert '"scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"' in helper
    assert '"worker", address, "--host", "127.0.0.1", "--nthreads", "1", "--nanny"' in helper


@pytest.fixture
def certificates(tmp_path):
    """The options of the page for a scheduler and a worker, and Dask's configuration for the command."""
    security = distributed.Security.temporary()
    for name, content in (("ca", security.tls_ca_file), ("cert", security.tls_client_cert), ("key", security.tls_client_key)):
        (tmp_path / f"{name}.pem").write_text(content)
    ca, cert, key = (str(tmp_path / f"{name}.pem") for name in ("ca", "cert", "key"))
    options = ("--tls-ca-file", ca, "--tls-cert", cert, "--tls-key", key)
    settings = {"CA_FILE": ca, "CLIENT__CERT": cert, "CLIENT__KEY": key}
    for name in settings:
        assert f"DASK_DISTRIBUTED__COMM__TLS__{name}=" in PAGE.read_text()
    return options, {f"DASK_DISTRIBUTED__COMM__TLS__{name}": value for name, value in settings.items()}


def test_tls_by_dasks_own_options_and_no_entrance_without_a_key(certificates, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 2)
    options, settings = certificates
    with (
        scheduler(tmp_path, "--protocol", "tls", *options) as (address, _),
        worker(address, *options),
    ):
        assert re.match(r"tls://127\.0\.0\.1:\d+$", address)
        # As Dask reads the environment when it is imported.
        known = {name.removeprefix("DASK_").lower().replace("__", ".").replace("_", "-"): settings[name] for name in settings}
        with dask.config.set(known), cluster.scheduler_at(address) as executor:
            assert executor.submit(len, "over TLS").result(60) == 8
        with pytest.raises(InputError, match="needs certificates: set DASK_DISTRIBUTED"), cluster.scheduler_at(address):
            pass
        in_the_clear = address.replace("tls://", "tcp://")
        with pytest.raises(InputError, match="no scheduler answers at"), cluster.scheduler_at(in_the_clear):
            pass
        # Certificates of one's own making are no use either.
        own = distributed.Security.temporary()
        with pytest.raises(OSError), distributed.Client(address, security=own, timeout=2, set_as_default=False):
            pass
