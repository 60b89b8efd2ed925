"""The parts of the machine and its software that a result depends on. Loads nothing but JAX."""

import functools
import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import jax

PACKAGES = ("jaxsgd", "jax", "jaxlib", "optax", "numpy")
"""The packages whose versions can change a result's bits."""


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that can change a result's bits, by name."""
    return {"python": platform.python_version(), **{package: _version(package) for package in PACKAGES}}


@functools.cache
def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "unknown"


def devices() -> dict[str, Any]:
    """Return the devices of this process and the host that they are on."""
    local = jax.local_devices()
    return {
        "backend": jax.default_backend(),
        "kind": local[0].device_kind,
        "count": len(local),
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "system": platform.system(),
    }


def processor() -> str:
    """Return the processor's name, family and model, and its widest vectors, as far as the system tells them."""
    try:
        return processor_of(Path("/proc/cpuinfo").read_text())
    except OSError:  # not on Linux
        return platform.processor() or platform.machine()


def processor_of(cpuinfo: str) -> str:
    """Return the same from the text of Linux's /proc/cpuinfo, where processors of one family may have one name."""
    first = cpuinfo.split("\n\n")[0]
    facts = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in first.splitlines())}
    flags = facts.get("flags", facts.get("Features", "")).split()
    vectors = next((words for flag, words in _VECTORS.items() if flag in flags), "")
    family = f"family {facts['cpu family']} model {facts['model']}" if "cpu family" in facts and "model" in facts else ""
    return ", ".join(filter(None, (facts.get("model name", platform.machine()), family, vectors)))


_VECTORS = {"avx512f": "AVX-512", "avx2": "AVX2 without AVX-512", "avx": "AVX", "sve": "SVE", "asimd": "NEON"}
"""Vector instructions by their flag in /proc/cpuinfo, the widest first."""


def git_commit() -> str | None:
    """Return the commit of the current folder, with "-dirty" if files differ from it; None outside a repository."""
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            capture_output=True, text=True, timeout=10, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return described.stdout.strip() or None


def cores() -> int:
    """Return the number of processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


THREADS_OF_ACCELERATOR = 2
"""Threads that run chunks on an accelerator: while the processor stores one chunk, the next is trained."""


def threads() -> int:
    """Return the number of threads that run chunks: two for each GPU, or one for each core of a CPU."""
    return cores() if jax.default_backend() == "cpu" else THREADS_OF_ACCELERATOR * jax.local_device_count()
