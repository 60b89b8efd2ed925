"""The manifest: the machine, the versions and the plan behind a result, so that it can be made again."""

import datetime
import os
from typing import Any

from jaxsgd.compiling.compiler_options import compiler_options
from jaxsgd.engine.plan import Plan
from jaxsgd.error import InputError
from jaxsgd.machine import devices, versions
from jaxsgd.problem import Problem
from jaxsgd.results.store import FORMAT
from jaxsgd.study.dimensions import setting_text
from jaxsgd.study.observed import plain_records
from jaxsgd.study.study import Study


def now() -> str:
    """Return the time in UTC, to the second (ISO 8601)."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def facts(plan: Plan) -> dict[str, Any]:
    """Return the facts that must be the same for all parts of a result, as plain values."""
    names, by_problem = plan.study.problem_axis_names, problem_facts(plan)
    return {
        "format": FORMAT,
        # A study whose problem is an object has no identity; its result is only in memory.
        **({"identity": "", "fixed_identity": ""} if isinstance(plan.study.problem, Problem) else identities(plan.study)),
        "num_samples": plan.subject.num_samples,
        "observed": list(plan.records),
        "measures": plain_records(plan.records),
        # In a study with axes of the problem, each problem has these facts for itself.
        **({"data_sha256": None, "params": [], "states": {}} if names else by_problem[""]),
        "problem_axes": list(names),
        "problems": by_problem if names else {},
        "start": plan.start.identity if plan.start else "",
        "cells": plan.cells.num_cells,
        "held": plan.settings(),
        "versions": versions(),
        "flags": {"XLA_FLAGS": os.environ.get("XLA_FLAGS", ""), **compiler_options()},
        "device": devices(),
    }


def problem_facts(plan: Plan) -> dict[str, dict[str, Any]]:
    """Return the facts about each problem of a plan, by its arguments that are axes, as text."""
    own = zip(plan.subjects.args, plan.subjects.distinct, plan.kept.problems, strict=True)
    return {
        setting_text(args): {"data_sha256": subject.data_fingerprint, **leaves.described()} for args, subject, leaves in own
    }


def add_problems(manifest: dict[str, Any], plan: Plan) -> None:
    """Add the facts about the problems and optimizers by which a result grows to its manifest."""
    for text, own in problem_facts(plan).items():
        stored = manifest["problems"].setdefault(text, {}) if text else manifest
        stored |= {**own, "states": stored.get("states", {}) | own["states"]}


def identities(study: Study) -> dict[str, str]:
    """Return the identity of a study, and that of all studies that differ only in the values of their axes."""
    return {"identity": study.identity, "fixed_identity": study.fixed_identity}


def new_manifest(plan: Plan) -> dict[str, Any]:
    """Return a new result's manifest, as plain values, without the commit of the current folder."""
    return {
        **facts(plan),
        "problem_name": plan.subject.problem.name,
        "loss_unit": plan.subject.problem.loss_unit,
        "precision": plan.study.precision,
        "lanes_narrowed": [],
        "broken_chunks": [],
        "times": {"began": now(), "finished": None, "seconds": 0.0, "compile_seconds": 0.0},
    }


SAME_RUNS = ("fixed_identity", "num_samples", "data_sha256", "observed", "measures", "params", "start")
"""Facts about the runs themselves: if one of them differs, the numbers differ."""

_HASHED = ("data_sha256", "fixed_identity")
"""Facts that are long hashes, of which a message shows the beginning."""

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
    pairs = [(name, stored.get(name), new[name]) for name in SAME_RUNS] + _problem_pairs(stored, new)
    for group in _GROUPS:
        was, now = stored.get(group, {}), new[group]
        names = [name for name in dict.fromkeys([*was, *now]) if every or name not in _ANY_VALUE]
        pairs += [(f"device {name}" if group == "device" else name, was.get(name), now.get(name)) for name in names]
    pairs = [(name.replace("data_sha256", "samples (data_sha256)"), was, now) for name, was, now in pairs]
    return _in_words(pairs, stored_label, new_label)


def other_samples(stored: dict[str, Any], new: dict[str, Any]) -> str:
    """Return the differences between the samples of `new` and of `stored`, in words; empty if they are the same."""
    names = ("num_samples", "data_sha256")
    pairs = [(name, stored.get(name), new[name]) for name in names]
    pairs += [pair for pair in _problem_pairs(stored, new) if pair[0].startswith("data_sha256")]
    return "; ".join(_in_words(pairs, "in the result", "now"))


def _problem_pairs(stored: dict[str, Any], new: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    """Return the facts about the problems and optimizers that both have: name, stored and new value.

    A result may have grown by others.
    """
    pairs = _state_pairs(stored, new, "")
    for text, own in new["problems"].items():
        was = stored.get("problems", {}).get(text)
        if was is not None:
            pairs += [(f"{name} with {text}", was.get(name), own[name]) for name in ("data_sha256", "params")]
            pairs += _state_pairs(was, own, f" with {text}")
    return pairs


def _state_pairs(stored: dict[str, Any], new: dict[str, Any], where: str) -> list[tuple[str, Any, Any]]:
    was, now = stored.get("states", {}), new["states"]
    return [(f"state of {name}{where}", was[name], now[name]) for name in was if name in now]


def _in_words(pairs: list[tuple[str, Any, Any]], stored_label: str, new_label: str) -> list[str]:
    """Return a text for each fact that differs: its name with both values, of a hash the beginning."""
    texts = []
    for name, was, now in pairs:
        if was != now:
            is_hash = any(hashed in name for hashed in _HASHED)
            texts.append(f"{name}: {_shown(was, is_hash)} {stored_label}, {_shown(now, is_hash)} {new_label}")
    return texts


def _shown(value: Any, is_hash: bool) -> str:
    return "nothing" if value in ("", None) else f"{value[:8]}..." if is_hash and isinstance(value, str) else str(value)


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
