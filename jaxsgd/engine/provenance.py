"""The manifest: what made the numbers, so that they can be made again."""

import datetime
import os
import platform
import subprocess
from importlib import metadata
from typing import Any

import jax

from jaxsgd.engine.observation import observations
from jaxsgd.engine.planner import Plan
from jaxsgd.engine.program import compiler_options
from jaxsgd.error import InputError

FORMAT = 1
"""Version of the result folder's format."""

PACKAGES = ("jaxsgd", "jax", "jaxlib", "optax", "numpy")
"""The packages whose versions can change a result's bits."""


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that can change a result's bits."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "unknown"
    return found


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
        told = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            capture_output=True, text=True, timeout=10, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return told.stdout.strip() or None


def now() -> str:
    """The time in UTC, to the second (ISO 8601)."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def facts(plan: Plan) -> dict[str, Any]:
    """What must be the same wherever a part of a result is made, as plain values."""
    subject = plan.subject
    return {
        "format": FORMAT,
        "identity": plan.study.identity,
        "num_samples": subject.num_samples,
        "data_sha256": subject.data_fingerprint(),
        "observed": list(observations(subject.problem)),
        "cells": plan.cells.num_cells,
        "chunks": len(plan.chunks),
        "held": plan.held(),
        "versions": versions(),
        "device": devices(),
    }


def manifest(plan: Plan) -> dict[str, Any]:
    """A new result's manifest, as plain values."""
    return {
        **facts(plan),
        "problem_name": plan.subject.problem.name,
        "precision": plan.study.precision,
        "flags": {"XLA_FLAGS": os.environ.get("XLA_FLAGS", ""), **compiler_options()},
        "git_commit": git_commit(),
        "lanes_narrowed": [],
        "broken_chunks": [],
        "times": {"began": now(), "finished": None, "seconds": 0.0, "compile_seconds": 0.0},
    }


def different(stored: dict[str, Any], new: dict[str, Any], there: str = "there", here: str = "now") -> list[str]:
    """What keeps `new` from giving the same bits as `stored`, in words: each thing by name and both values."""
    found = []
    for name in ("format", "identity", "num_samples", "data_sha256", "observed", "chunks"):
        if stored.get(name) != new[name]:
            found.append(f"{name}: {stored.get(name)} {there}, {new[name]} {here}")
    for group in ("held", "versions"):
        for name, value in new[group].items():
            was = stored.get(group, {}).get(name)
            if was != value and name != "python":
                found.append(f"{name}: {was} {there}, {value} {here}")
    for name in ("backend", "kind"):
        was = stored.get("device", {}).get(name)
        if was != new["device"][name]:
            found.append(f"device {name}: {was} {there}, {new['device'][name]} {here}")
    return found


def check_same(stored: dict[str, Any], new: dict[str, Any], where: str) -> None:
    """Checks that a result begun under `stored` can be gone on with under `new`: the same bits are promised.

    Raises:
      InputError: naming each thing that differs.
    """
    found = different(stored, new)
    if found:
        raise InputError(f"{where}: this result was begun otherwise ({'; '.join(found)}); choose another folder")
