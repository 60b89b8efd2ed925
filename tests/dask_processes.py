"""Real schedulers and workers of Dask: processes started by the documented commands, on ports of the system's choice."""

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).parents[1]
PATIENCE = 120
"""Seconds that anything may take on a busy machine before it counts as broken."""

_DASK = (sys.executable, "-m", "dask")


def wait_until(condition, what="it"):
    """Wait until `condition` returns something true, and return that."""
    give_up = time.monotonic() + PATIENCE
    while not (result := condition()):
        assert time.monotonic() < give_up, f"{what} has not come within {PATIENCE} s"
        time.sleep(0.02)
    return result


@contextmanager
def process(*words, environment=None, **how):
    """A process that is killed at the end, with all that it started, if it is there still."""
    started = subprocess.Popen(
        words, env=os.environ | (environment or {}), start_new_session=True, text=True, **{"stderr": subprocess.PIPE, **how}
    )
    try:
        yield started
    finally:
        kill_all(started)
        for pipe in (started.stdout, started.stderr):
            if pipe:
                pipe.close()


def kill_all(started):
    """Kills a process and those that it started."""
    with suppress(ProcessLookupError):
        os.killpg(started.pid, 9)
    started.wait()


@contextmanager
def scheduler(folder, *words, environment=None):
    """A scheduler: its address and its process."""
    address_file = Path(folder) / f"scheduler-{time.monotonic_ns()}.json"
    command = ("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", address_file, *words)
    with process(*_DASK, *map(str, command), environment=environment, stderr=subprocess.DEVNULL) as started:

        def address():
            assert started.poll() is None, "the scheduler has ended"
            try:
                return json.loads(address_file.read_text())["address"]
            except (OSError, ValueError):
                return None

        yield wait_until(address, "the scheduler"), started


@contextmanager
def worker(address, *words, environment=None):
    """A worker with its nanny, which importing modules of the tests, finds them: the nanny's process."""
    command = ("worker", address, "--host", "127.0.0.1", "--nthreads", "1", "--nanny", "--no-dashboard", *words)
    environment = {"PYTHONPATH": str(ROOT)} | (environment or {})
    with process(*_DASK, *map(str, command), environment=environment, stderr=subprocess.DEVNULL) as started:
        yield started
