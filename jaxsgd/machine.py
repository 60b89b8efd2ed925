"""The machine and its software: what of them a result depends on. Loads nothing but JAX."""

import os
import platform
import subprocess
from importlib import metadata
from typing import Any

import jax

PACKAGES = ("jaxsgd", "jax", "jaxlib", "optax", "numpy")
"""The packages whose versions can change a result's bits."""


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that can change a result's bits."""
    numbers = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            numbers[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            numbers[package] = "unknown"
    return numbers


def devices() -> dict[str, Any]:
    """The devices of this process and the host they are on."""
    local = jax.local_devices()
    return {
        "backend": jax.default_backend(),
        "kind": local[0].device_kind,
        "count": len(local),
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "system": platform.system(),
    }


def git_commit() -> str | None:
    """The commit checked out in the current folder, with "-dirty" where files differ from it; None outside a repository."""
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            capture_output=True, text=True, timeout=10, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return described.stdout.strip() or None


def cores() -> int:
    """Processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def threads() -> int:
    """Threads that run chunks: one for each GPU, or one for each core of a CPU."""
    return cores() if jax.default_backend() == "cpu" else jax.local_device_count()


CPU_OPTIONS: dict[str, str | bool] = {"xla_cpu_prefer_vector_width": "512"}
"""Options of XLA with which a sweep's programs are compiled for a CPU. A network's sigmoids and sums are faster with the whole
vectors of AVX-512, of which XLA uses half unless told; a processor without them is not touched by it.
"""


def compiler_options() -> dict[str, str | bool]:
    """Options of XLA for the programs of a sweep on the default device; they concern no other program of the process."""
    return CPU_OPTIONS if jax.default_backend() == "cpu" else {}
