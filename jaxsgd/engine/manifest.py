"""The manifest: the machine, the versions and the plan behind a result, so that it can be made again."""

import datetime
import os
from typing import Any

from jaxsgd.engine.plan import Plan
from jaxsgd.error import InputError
from jaxsgd.machine import compiler_options, devices, git_commit, versions
from jaxsgd.problem import Problem
from jaxsgd.results.store import FORMAT
from jaxsgd.study.kept import plain_states
from jaxsgd.study.observed import plain_records
from jaxsgd.study.study import Study


def now() -> str:
    """Return the time in UTC, to the second (ISO 8601)."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def facts(plan: Plan) -> dict[str, Any]:
    """Return the facts that must be the same for all parts of a result, as plain values."""
    subject = plan.subject
    return {
        "format": FORMAT,
        # A study whose problem is an object has no identity; its result is only in memory.
        **({"identity": "", "fixed_identity": ""} if isinstance(plan.study.problem, Problem) else identities(plan.study)),
        "num_samples": subject.num_samples,
        "data_sha256": subject.data_fingerprint,
        "observed": list(plan.records),
        "measures": plain_records(plan.records),
        "params": [leaf.described() for leaf in plan.kept.params],
        "states": plain_states(plan.kept),
        "start": plan.start.identity if plan.start else "",
        "cells": plan.cells.num_cells,
        "held": plan.settings(),
        "versions": versions(),
        "flags": {"XLA_FLAGS": os.environ.get("XLA_FLAGS", ""), **compiler_options()},
        "device": devices(),
    }


def identities(study: Study) -> dict[str, str]:
    """Return the identity of a study, and that of all studies that differ only in the values of their axes."""
    return {"identity": study.identity, "fixed_identity": study.fixed_identity}


def new_manifest(plan: Plan) -> dict[str, Any]:
    """Return a new result's manifest, as plain values."""
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


SAME_RUNS = ("fixed_identity", "num_samples", "data_sha256", "observed", "measures", "params", "start")
"""Facts about the runs themselves: if one of them differs, the numbers differ."""

_GROUPS = ("held", "versions", "flags", "device")
"""Groups of facts about the execution: if one of them differs, the numbers agree to rounding."""

_ANY_VALUE = ("python", "count", "cores", "machine", "system")
"""Facts of these groups that may differ when a result is continued; equal bits are promised only if they are the same."""


def different(
    stored: dict[str, Any],
    new: dict[str, Any],
    stored_label: str = "in the result",
    new_label: str = "now",
    *,
    every: bool = False,
) -> list[str]:
    """Return the facts that keep `new` from giving the same bits as `stored`: texts with the name and both values.

    Args:
      stored, new: `facts`, or manifests that have them.
      stored_label, new_label: the words for their origins.
      every: True to include the facts that may differ when a result is continued.
    """
    pairs = [(name, stored.get(name), new[name]) for name in SAME_RUNS]
    # A result that grows by an optimizer has states that the stored part has not.
    was, now = stored.get("states", {}), new["states"]
    pairs += [(f"state of {name}", was[name], now[name]) for name in was if name in now]
    for group in _GROUPS:
        was, now = stored.get(group, {}), new[group]
        names = [name for name in dict.fromkeys([*was, *now]) if every or name not in _ANY_VALUE]
        pairs += [(f"device {name}" if group == "device" else name, was.get(name), now.get(name)) for name in names]
    return [f"{name}: {_shown(was)} {stored_label}, {_shown(now)} {new_label}" for name, was, now in pairs if was != now]


def other_samples(stored: dict[str, Any], new: dict[str, Any]) -> str:
    """Return the differences between the samples of `new` and of `stored`, in words; empty if they are the same."""
    names = ("num_samples", "data_sha256")
    pairs = [(name, stored.get(name), new[name]) for name in names if stored.get(name) != new[name]]
    return "; ".join(f"{name}: {_shown(was)} in the result, {_shown(now)} now" for name, was, now in pairs)


def _shown(value: Any) -> str:
    return "nothing" if value in ("", None) else str(value)


def check_same(stored: dict[str, Any], new: dict[str, Any], where: str) -> None:
    """Check that a result that was begun with `stored` can be continued with `new` with the same bits.

    Raises:
      InputError: with all facts that differ.
    """
    differences = different(stored, new)
    if differences:
        raise InputError(
            f"{where}: this result was begun with other settings ({'; '.join(differences)}); choose another folder"
        )
