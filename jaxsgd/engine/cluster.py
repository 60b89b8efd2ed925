"""Workers by Dask: those of a scheduler that is there, or one for each core or GPU of this machine.

Dask starts the processes, carries the chunks, and gives a lost worker's chunks to others. What a chunk is, when it is tried
again and what is kept of it is decided in `jaxsgd.engine.dispatch`, so that any other executor does as well.
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
"""How long a scheduler has to answer."""

ASKED_SECONDS = 60
"""How long workers have to say which versions they have: one may be busy loading JAX."""

CHECKED = ("jaxsgd", "jax")
"""Packages of which a worker must have the version that is here, or it is not given anything."""

_INSTALL = "pip install 'jaxsgd[distributed]'"

_SCHEMES = ("tcp", "tls", "ws", "wss", "ucx")


@contextmanager
def scheduler_at(address: str, say: Callable[[str], None] = lambda text: None) -> Iterator[Executor]:
    """The workers of a scheduler, as an executor. TLS is set up by Dask's own configuration (`distributed.comm.tls`).

    Args:
      address: "tcp://HOST:PORT", or "tls://HOST:PORT".
      say: told when there is no worker yet, which is waited for.

    Raises:
      InputError: when it is no address, nothing answers there, Dask is missing, or workers have other versions.
    """
    distributed = _distributed()
    scheme, there, place = address.partition("://")
    if not there or scheme not in _SCHEMES or ":" not in place:
        raise InputError(f"--scheduler must be an address such as tcp://127.0.0.1:8786, got {address!r}")
    if scheme == "tls" and not distributed.Security().get_connection_args("client").get("ssl_context"):
        raise InputError(
            f"{address} needs certificates: set DASK_DISTRIBUTED__COMM__TLS__CA_FILE, "
            "DASK_DISTRIBUTED__COMM__TLS__CLIENT__CERT and DASK_DISTRIBUTED__COMM__TLS__CLIENT__KEY to their files"
        )
    try:
        client = distributed.Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError, RuntimeError) as error:
        said = " ".join(str(error).split()) or type(error).__name__
        raise InputError(
            f"no scheduler answers at {address} within {CONNECT_SECONDS} s ({said}); start one with: dask scheduler"
        ) from None
    with _leaving(client):
        yield _executor(client, say, f"start one with: dask worker {address} --nthreads 1 --nanny")


@contextmanager
def local_workers(count: int, environment: Mapping[str, str] | None = None) -> Iterator[Executor]:
    """Processes of this machine's own, one chunk at a time each, as an executor.

    On a machine with GPUs that JAX can use, each has one of them. The connections are encrypted, with certificates that live
    as long as the cluster: without, any user of this machine could have the workers run anything.

    Args:
      count: how many.
      environment: set in each.

    Raises:
      InputError: when there are fewer GPUs than that, or Dask is missing.
      RunFailure: when they cannot be started.
    """
    distributed = _distributed()
    count = check_count("--workers", count)
    devices = gpus(os.environ, Path("/proc/driver/nvidia/gpus"))
    if devices and count > len(devices):
        raise InputError(f"--workers must be at most {len(devices)}, the number of GPUs, got {count}")
    try:
        host: dict[str, Any] = {"host": "127.0.0.1", "security": distributed.Security.temporary(), "protocol": "tls://"}
    except ImportError:
        raise InputError(f"certificates for the workers need cryptography: {_INSTALL}") from None
    # Memory is bounded by the plan; Dask's own limit would kill a worker that is within it.
    worker = host | {"nthreads": 1, "memory_limit": None, "dashboard": False, "silence_logs": logging.CRITICAL}
    specs = {
        number: {
            "cls": distributed.Nanny,
            "options": worker | {"env": {**(environment or {}), **_device(devices, number)}},
        }
        for number in range(count)
    }
    # Ports are the system's choice, that of the scheduler's own pages too, which it opens with or without a dashboard.
    ports = {"port": 0, "dashboard": False, "dashboard_address": "127.0.0.1:0"}
    scheduler = {"cls": distributed.Scheduler, "options": host | ports}
    loop = _loop_deaf_to_ctrl_c(distributed)
    how = {"security": host["security"], "silence_logs": logging.CRITICAL, "name": "jaxsgd"}
    try:
        cluster = distributed.SpecCluster(workers=specs, scheduler=scheduler, loop=loop, **how)
    except RuntimeError as error:
        raise RunFailure(f"the workers could not be started: {' '.join(str(error).split())}") from None
    with _leaving(cluster):
        client = distributed.Client(cluster, timeout=CONNECT_SECONDS, set_as_default=False)
        with _leaving(client):
            yield _executor(client, lambda text: None, "")


def _loop_deaf_to_ctrl_c(distributed: Any) -> Any:
    """A running event loop for a cluster.

    A terminal sends Ctrl-C to all processes of a command. What becomes of the chunks in hand is for the command to decide, so
    the workers must not hear it; they have their signal mask from the thread that starts them, and that from this one.
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
    """The GPUs that JAX would use, as CUDA_VISIBLE_DEVICES names them. JAX is not asked: it would take hold of them.

    Args:
      environment: the process's.
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
    """Dask's package.

    Raises:
      InputError: when it is missing, with the command that installs it.
    """
    try:
        import distributed  # noqa: PLC0415
    except ImportError:
        raise InputError(f"Dask is not installed: {_INSTALL}") from None
    # What goes wrong is told once, by us; Dask would tell of every connection, with tracebacks.
    for name in ("distributed", *(name for name in logging.root.manager.loggerDict if name.startswith("distributed."))):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return distributed


@contextmanager
def _leaving(closed: Any) -> Iterator[None]:
    """Close a client or a cluster at the end, whatever state it is in: what there was to say has been said."""
    try:
        yield
    finally:
        with suppress(Exception):
            closed.close()


def _executor(client: Any, say: Callable[[str], None], hint: str) -> Executor:
    """The client's executor, once there are workers and their versions are the ones here."""
    if not client.scheduler_info(n_workers=-1)["workers"]:
        say(f"waiting for a worker; {hint}")
        client.wait_for_workers(1)
    for package in CHECKED:
        # A function of Python's own, so that it answers whatever the worker has installed.
        asked = (metadata.version, package)
        try:
            answers = client.sync(client.run, *asked, on_error="return", callback_timeout=ASKED_SECONDS)
        except TimeoutError:
            raise RunFailure(f"a worker has not said within {ASKED_SECONDS} s which version of {package} it has") from None
        check_versions(package, metadata.version(package), answers)
    # Failed chunks are tried again in `dispatch`, where it is counted; Dask alone repeats those of a worker that died.
    return client.get_executor(pure=False)


def check_versions(package: str, here: str, there: Mapping[str, Any]) -> None:
    """Check the versions that workers have of a package.

    Args:
      package: its name.
      here: the version of this process.
      there: by worker, its version, or the exception that asking for it raised.

    Raises:
      InputError: naming both, and a worker.
      RunFailure: when no worker answered.
    """
    if not there:
        raise RunFailure("no worker answered which versions it has")
    for worker, version in there.items():
        if isinstance(version, metadata.PackageNotFoundError):
            raise InputError(f"the worker {worker} has no {package}, and here it is {here}: install the same there")
        if version != here:
            raise InputError(f"the worker {worker} has {package} {version}, and here it is {here}: install the same there")
