"""Workers by Dask: those of a running scheduler, or new processes on this machine.

Dask starts the processes, carries the chunks, and gives a lost worker's chunks to others. Chunks, retries and results are
handled by `jaxsgd.engine.dispatch`, so that any other executor can take Dask's place.
"""

import importlib.util
import logging
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path
from typing import Any

from jaxsgd.error import InputError, RunFailure, check_count

CONNECT_SECONDS = 6
"""The time in which a scheduler must answer."""

VERSION_SECONDS = 60
"""The time in which workers must report their versions: a worker may be busy loading JAX."""

CHECKED_PACKAGES = ("jaxsgd", "jax")
"""The packages of which a worker must have the same version as this process."""

_INSTALL = "pip install 'jaxsgd[distributed]'"

_SCHEMES = ("tcp", "tls", "ws", "wss", "ucx")


@contextmanager
def scheduler_at(address: str, report: Callable[[str], None] = lambda text: None) -> Iterator[Executor]:
    """Yield the workers of a scheduler, as an executor. Dask's own configuration sets up TLS (`distributed.comm.tls`).

    Args:
      address: "tcp://HOST:PORT", or "tls://HOST:PORT".
      report: called with a line of text if the scheduler has no worker yet; then a worker is waited for.

    Raises:
      InputError: for a text that is not an address, if no scheduler answers, if Dask is missing, or if workers have other
        versions.
    """
    distributed = _distributed()
    scheme, separator, host = address.partition("://")
    if not separator or scheme not in _SCHEMES or ":" not in host:
        raise InputError(f"--scheduler must be an address such as tcp://127.0.0.1:8786, got {address!r}")
    if scheme == "tls" and not distributed.Security().get_connection_args("client").get("ssl_context"):
        raise InputError(
            f"{address} needs certificates: set DASK_DISTRIBUTED__COMM__TLS__CA_FILE, "
            "DASK_DISTRIBUTED__COMM__TLS__CLIENT__CERT and DASK_DISTRIBUTED__COMM__TLS__CLIENT__KEY to their files"
        )
    try:
        client = distributed.Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(
            f"no scheduler answers at {address} within {CONNECT_SECONDS} s ({reason}); start a scheduler with: dask scheduler"
        ) from None
    with _closing(client):
        yield _executor(client, report, f"start a worker with: dask worker {address} --nthreads 1 --nanny")


@contextmanager
def local_workers(count: int, environment: Mapping[str, str] | None = None) -> Iterator[Executor]:
    """Yield new worker processes on this machine, as an executor; a worker runs one chunk at a time.

    If JAX can use GPUs on this machine, each worker has its own GPU. The connections are encrypted, with certificates that
    last as long as the cluster; otherwise any user of this machine could make the workers run any code.

    Args:
      count: number of workers.
      environment: environment variables of every worker.

    Raises:
      InputError: if there are fewer GPUs than workers, or Dask is missing.
      RunFailure: if the workers cannot be started.
    """
    distributed = _distributed()
    count = check_count("--workers", count)
    devices = gpus(os.environ, Path("/proc/driver/nvidia/gpus"))
    if devices and count > len(devices):
        raise InputError(f"--workers must be at most {len(devices)}, the number of GPUs, got {count}")
    try:
        host: dict[str, Any] = {"host": "127.0.0.1", "security": distributed.Security.temporary(), "protocol": "tls://"}
    except ImportError:
        raise InputError(f"the workers' certificates need the package cryptography: {_INSTALL}") from None
    # The plan limits the memory; Dask's own limit would kill a worker within the plan's limit.
    worker = host | {"nthreads": 1, "memory_limit": None, "dashboard": False, "silence_logs": logging.CRITICAL}
    specs = {
        number: {
            "cls": distributed.Nanny,
            "options": worker | {"env": {**(environment or {}), **_device(devices, number)}},
        }
        for number in range(count)
    }
    # The system chooses the ports, also for the scheduler's own pages, which it opens with or without a dashboard.
    ports = {"port": 0, "dashboard": False, "dashboard_address": "127.0.0.1:0"}
    scheduler = {"cls": distributed.Scheduler, "options": host | ports}
    loop = _loop_without_ctrl_c(distributed)
    how = {"security": host["security"], "silence_logs": logging.CRITICAL, "name": "jaxsgd"}
    try:
        cluster = distributed.SpecCluster(workers=specs, scheduler=scheduler, loop=loop, **how)
    except RuntimeError as error:
        raise RunFailure(f"the workers could not be started: {' '.join(str(error).split())}") from None
    with _closing(cluster):
        client = distributed.Client(cluster, timeout=CONNECT_SECONDS, set_as_default=False)
        with _closing(client):
            yield _executor(client, lambda text: None, "")


def _loop_without_ctrl_c(distributed: Any) -> Any:
    """Return a running event loop for a cluster whose processes ignore Ctrl-C.

    A terminal sends Ctrl-C to all processes of a command. The command decides about the running chunks, so the workers must not
    receive it. They inherit their signal mask from the thread that starts them, and that thread inherits it from this one.
    """
    runner = distributed.utils.LoopRunner()
    if not hasattr(signal, "pthread_sigmask"):
        runner.start()
        return runner.loop
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        runner.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return runner.loop


def gpus(environment: Mapping[str, str], driver: Path) -> list[str]:
    """Return the GPUs that JAX would use, as CUDA_VISIBLE_DEVICES names them, without starting JAX on them.

    Args:
      environment: the process's environment variables.
      driver: the folder in which NVIDIA's driver lists its devices.
    """
    platforms = environment.get("JAX_PLATFORMS", "")
    if (platforms and "cuda" not in platforms and "gpu" not in platforms) or not _plugin():
        return []
    chosen = environment.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return [name for name in chosen.split(",") if name.strip() not in ("", "-1")]
    return [str(number) for number in range(len(list(driver.iterdir())))] if driver.is_dir() else []


def _plugin() -> bool:
    return any(importlib.util.find_spec(f"jax_cuda{version}_plugin") for version in (12, 13))


def _device(devices: list[str], number: int) -> dict[str, str]:
    return {"CUDA_VISIBLE_DEVICES": devices[number]} if devices else {}


def _distributed() -> Any:
    """Return Dask's package.

    Raises:
      InputError: if it is missing, with the command that installs it.
    """
    try:
        import distributed  # noqa: PLC0415
    except ImportError:
        raise InputError(f"Dask is not installed: {_INSTALL}") from None
    # This module reports an error once; Dask would report every connection, with tracebacks.
    for name in ("distributed", *(name for name in logging.root.manager.loggerDict if name.startswith("distributed."))):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return distributed


@contextmanager
def _closing(closed: Any) -> Iterator[None]:
    """Close a client or a cluster at the end of the block, in any state, without an exception."""
    try:
        yield
    finally:
        with suppress(Exception):
            closed.close()


def _executor(client: Any, report: Callable[[str], None], hint: str) -> Executor:
    """Wait for a worker, check the workers' versions and return the client's executor."""
    if not client.scheduler_info(n_workers=-1)["workers"]:
        report(f"waiting for a worker; {hint}")
        client.wait_for_workers(1)
    for package in CHECKED_PACKAGES:
        # A function of Python's library, which every worker has.
        asked = (metadata.version, package)
        try:
            answers = client.sync(client.run, *asked, on_error="return", callback_timeout=VERSION_SECONDS)
        except TimeoutError:
            raise RunFailure(f"a worker did not report its version of {package} within {VERSION_SECONDS} s") from None
        check_versions(package, metadata.version(package), answers)
    # `dispatch` retries failed chunks and counts the attempts; Dask retries only the chunks of a worker that died.
    return client.get_executor(pure=False)


def check_versions(package: str, own: str, versions: Mapping[str, Any]) -> None:
    """Check that all workers have the same version of a package as this process.

    Args:
      package: its name.
      own: the version of this process.
      versions: by worker, its version, or the exception that the question raised.

    Raises:
      InputError: with both versions and a worker that differs.
      RunFailure: if no worker answered.
    """
    if not versions:
        raise RunFailure("no worker reported its versions")
    for worker, version in versions.items():
        has = f"no {package}" if isinstance(version, metadata.PackageNotFoundError) else f"{package} {version}"
        if version != own:
            raise InputError(
                f"the worker {worker} has {has}, and this process has {package} {own}: install the same version there"
            )
