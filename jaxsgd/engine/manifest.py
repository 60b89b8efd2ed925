"""The manifest: what made the numbers, so that they can be made again."""

import datetime
import os
from typing import Any

from jaxsgd.engine.plan import Plan
from jaxsgd.error import InputError
from jaxsgd.machine import compiler_options, devices, git_commit, versions
from jaxsgd.measure.observable import observations
from jaxsgd.problem import Problem
from jaxsgd.results.store import FORMAT


def now() -> str:
    """The time in UTC, to the second (ISO 8601)."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def facts(plan: Plan) -> dict[str, Any]:
    """What must be the same wherever a part of a result is made, as plain values."""
    subject = plan.subject
    return {
        "format": FORMAT,
        # A study whose problem is an object has none; its result is nowhere but in memory.
        "identity": "" if isinstance(plan.study.problem, Problem) else plan.study.identity,
        "num_samples": subject.num_samples,
        "data_sha256": subject.data_fingerprint,
        "observed": list(observations(subject.problem, plan.study.evaluate_every)),
        "cells": plan.cells.num_cells,
        "chunks": len(plan.chunks),
        "held": plan.held(),
        "versions": versions(),
        "flags": {"XLA_FLAGS": os.environ.get("XLA_FLAGS", ""), **compiler_options()},
        "device": devices(),
    }


def new_manifest(plan: Plan) -> dict[str, Any]:
    """A new result's manifest, as plain values."""
    return {
        **facts(plan),
        "problem_name": plan.subject.problem.name,
        "loss_unit": plan.subject.problem.loss_unit,
        "precision": plan.study.precision,
        "git_commit": git_commit(),
        "lanes_narrowed": [],
        "broken_chunks": [],
        "times": {"began": now(), "finished": None, "seconds": 0.0, "compile_seconds": 0.0},
    }


SAME_RUNS = ("format", "identity", "num_samples", "data_sha256", "observed", "chunks")
"""Facts that say what was run: where one differs, other numbers are right."""

_GROUPS = ("held", "versions", "flags", "device")
"""Facts that say how it was run: where one differs, the numbers agree to rounding."""

_ANY_VALUE = ("python", "count", "cores", "machine", "system")
"""Facts of these groups that do not keep a result from being continued; a promise of equal bits needs them too."""


def different(
    stored: dict[str, Any], new: dict[str, Any], there: str = "there", here: str = "now", *, every: bool = False
) -> list[str]:
    """Return the facts that keep `new` from giving the same bits as `stored`, in words: each by name with both values.

    Args:
      stored, new: `facts`, or manifests that have them.
      there, here: the words for where they are from.
      every: also those that do not keep a result from being continued.
    """
    pairs = [(name, stored.get(name), new[name]) for name in SAME_RUNS]
    for group in _GROUPS:
        was, now = stored.get(group, {}), new[group]
        names = [name for name in dict.fromkeys([*was, *now]) if every or name not in _ANY_VALUE]
        pairs += [(f"device {name}" if group == "device" else name, was.get(name), now.get(name)) for name in names]
    return [f"{name}: {_shown(was)} {there}, {_shown(now)} {here}" for name, was, now in pairs if was != now]


def other_samples(stored: dict[str, Any], new: dict[str, Any]) -> str:
    """Return in words how the samples of `new` are not those of `stored`; empty where they are the same."""
    names = ("num_samples", "data_sha256")
    pairs = [(name, stored.get(name), new[name]) for name in names if stored.get(name) != new[name]]
    return "; ".join(f"{name}: {_shown(was)} there, {_shown(now)} now" for name, was, now in pairs)


def _shown(value: Any) -> str:
    return "nothing" if value in ("", None) else str(value)


def check_same(stored: dict[str, Any], new: dict[str, Any], where: str) -> None:
    """Check that a result begun under `stored` can be gone on with under `new`: the same bits are promised.

    Raises:
      InputError: naming each thing that differs.
    """
    differences = different(stored, new)
    if differences:
        raise InputError(f"{where}: this result was begun otherwise ({'; '.join(differences)}); choose another folder")
