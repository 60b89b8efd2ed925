"""Verify: a stored result run again and compared."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxsgd.engine.execution import Execution, workers
from jaxsgd.engine.loading import stored_result
from jaxsgd.engine.observation import OBSERVABLES, differs
from jaxsgd.engine.planner import Plan, plan
from jaxsgd.engine.provenance import devices, versions
from jaxsgd.engine.store import BrokenChunk, Folder
from jaxsgd.engine.study import Study
from jaxsgd.error import InputError, check_count

TOLERANCE = 1e-5
"""Largest relative difference of a loss between machines and versions, for runs whose rounding does not grow: what the
one-program, the grouped and the plain path are held to among themselves."""


class Difference(NamedTuple):
    """A cell that did not come out the same.

    Attributes:
      cell: the cell's value on every axis, in words.
      what: the variable that differs most.
      relative: its largest relative difference; infinite where one is missing.
    """

    cell: str
    what: str
    relative: float


class Verification(NamedTuple):
    """The outcome of running a result again.

    Attributes:
      cells: how many cells were run again.
      bitwise: whether equal bits were asked for (same machine and versions) and not just equality within `TOLERANCE`.
      reason: why they were not, in words; empty if they were.
      differences: the cells that differ.
      broken: chunks that could not be read, in words.
    """

    cells: int
    bitwise: bool
    reason: str
    differences: list[Difference]
    broken: list[str]

    @property
    def passed(self) -> bool:
        """Whether every cell came out the same."""
        return not self.differences and not self.broken


def verify(folder: str | Path, sample: int | None = None, seed: int = 0) -> Verification:
    """Runs a result's cells again and compares: bit by bit on a like machine, else within `TOLERANCE`.

    Args:
      folder: the result; its chunks are only read.
      sample: run only the chunks of this many cells, drawn at random; None for all.
      seed: of that draw.

    Raises:
      InputError: when there is no result there, its study cannot be run here, or nothing of it is finished.
    """
    place = Folder(Path(folder))
    fields, told = stored_result(place)
    study = Study(**fields.resolved())
    planned = plan(study, **told["held"])
    reason = _why_not_bitwise(told, planned)
    rng = np.random.default_rng(seed)
    numbers = range(len(planned.chunks))
    wanted = None if sample is None else set(rng.permutation(planned.cells.num_cells)[: check_count("sample", sample)].tolist())
    execution, device = Execution(planned), workers()[0]
    cells, differences, broken = 0, [], []
    for number in numbers:
        own = planned.chunks[number].cells
        compared = np.ones(len(own), bool) if wanted is None else np.isin(own, list(wanted))
        if not compared.any():
            continue
        try:
            stored = place.read_chunk(number, study.identity, own)
        except BrokenChunk as error:
            broken.append(str(error))
            continue
        if stored is None:
            continue
        # What this version observes and the one that made the result did not is nothing to compare.
        unseen = set(OBSERVABLES) - set(told["observed"])
        again = {name: array for name, array in execution.run(number, device).items() if name not in unseen}
        cells += int(compared.sum())
        for i in np.flatnonzero(compared):
            worst = _worst({k: v[i] for k, v in stored.items()}, {k: v[i] for k, v in again.items()}, not reason)
            if worst:
                differences.append(Difference(planned.cells.name(int(own[i])), *worst))
    if not cells and not broken:
        raise InputError(f"{place.path}: nothing to verify, no chunk of it is finished")
    return Verification(cells, not reason, reason, differences, broken)


def _why_not_bitwise(told: dict[str, Any], planned: Plan) -> str:
    """What is different here from where the result was made; empty if nothing is that could change bits."""
    here, there = versions(), told.get("versions", {})
    different = [f"{name} {there.get(name)} there, {here[name]} here" for name in here if there.get(name) != here[name]]
    device = devices()
    different += [
        f"{name} {told.get('device', {}).get(name)} there, {device[name]} here"
        for name in ("backend", "kind", "cores", "machine", "system")
        if told.get("device", {}).get(name) != device[name]
    ]
    if told.get("lanes_narrowed"):
        different.append("some chunks were run with fewer lanes, for want of memory")
    if told.get("held") != planned.held():
        different.append(f"held {told.get('held')} there, {planned.held()} here")
    return "; ".join(different)


def _worst(stored: dict[str, Any], again: dict[str, Any], bitwise: bool) -> tuple[str, float] | None:
    """The variable of a cell that differs most, and by how much; None if none does."""
    found = []
    for name in sorted(set(stored) | set(again)):
        if name not in stored or name not in again or np.shape(stored[name]) != np.shape(again[name]):
            found.append((name, np.inf))
            continue
        was, now = np.asarray(stored[name]), np.asarray(again[name])
        if was.tobytes() == now.tobytes():
            continue
        # Gap, index and slope are differences of losses: rounding is a larger share of them, so losses decide.
        if not bitwise and not (name.startswith("loss") or (name in OBSERVABLES and differs(name, was, now))):
            continue
        with np.errstate(invalid="ignore", divide="ignore"):
            relative = np.where(np.isnan(was) & np.isnan(now), 0, np.abs(now / was - 1))
        relative = np.where(was == now, 0, np.where(np.isnan(relative), np.inf, relative))
        largest = float(relative.max())
        if bitwise or largest > TOLERANCE:
            found.append((name, largest))
    return max(found, key=lambda pair: pair[1]) if found else None
