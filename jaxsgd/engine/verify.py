"""Verify: a stored result run again and compared."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxsgd.engine.execution import Execution, workers
from jaxsgd.engine.manifest import different, facts, other_samples
from jaxsgd.engine.plan import plan
from jaxsgd.error import InputError, check_count
from jaxsgd.measure.observable import METRICS, differs, observables
from jaxsgd.results.load import stored_result
from jaxsgd.results.store import BrokenChunk, Folder
from jaxsgd.study.study import Study
from jaxsgd.summary import short_repr

TOLERANCE = METRICS["loss_epoch"].tolerance
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
      bitwise: whether equal bits were asked for (same machine, versions and flags) and not just equality within `TOLERANCE`.
      reason: why they were not, in words; empty if they were.
      differences: the cells that differ.
      broken: chunks that could not be read, in words; every chunk's checksum is read, also outside a sample.
      missing: how many of the study's cells are in no chunk.
      other_samples: how the samples differ from those that the result was made with, in words; then no cell is run again.
    """

    cells: int
    bitwise: bool
    reason: str
    differences: list[Difference]
    broken: list[str]
    missing: int
    other_samples: str

    __repr__ = short_repr

    @property
    def passed(self) -> bool:
        """True if the result is whole, and every cell that was run again came out the same."""
        return not (self.differences or self.broken or self.missing or self.other_samples)


def verify(folder: str | Path, sample: int | None = None, seed: int = 0) -> Verification:
    """Read all chunks of a result, run its cells again and compare: bit by bit on a like machine, else within `TOLERANCE`.

    Args:
      folder: the result; its chunks are only read.
      sample: run only the chunks of this many cells, drawn at random; None for all.
      seed: of that draw.

    Raises:
      InputError: when there is no result there, its study cannot be run here, or nothing of it is finished.
    """
    place = Folder(Path(folder))
    fields, manifest = stored_result(place)
    study = Study(**fields.resolved())
    planned = plan(study, **manifest["held"])
    new = facts(planned)
    reason = "; ".join(different(manifest, new, here="here", every=True))
    if manifest["lanes_narrowed"]:
        reason = "; ".join(filter(None, (reason, "some chunks were run with fewer lanes, for want of memory")))
    changed = other_samples(manifest, new)
    drawn = np.ones(planned.cells.num_cells, bool)
    if sample is not None:
        drawn[:] = False
        drawn[np.random.default_rng(seed).permutation(len(drawn))[: check_count("sample", sample)]] = True
    # What this version observes and the one that made the result did not is nothing to compare.
    unseen = set(observables()) - set(manifest["observed"])
    execution, device = Execution(planned), workers()[0]
    cells, missing, whole, differences, broken = 0, 0, 0, [], []
    for number, chunk in enumerate(planned.chunks):
        try:
            stored = place.read_chunk(number, study.identity, chunk.cells)
        except BrokenChunk as error:
            broken.append(str(error))
            continue
        if stored is None:
            missing += len(chunk.cells)
            continue
        whole += 1
        compared = np.flatnonzero(drawn[chunk.cells])
        if changed or not len(compared):
            continue
        again = {name: array for name, array in execution.run(number, device).items() if name not in unseen}
        cells += len(compared)
        for i in compared:
            worst = _worst({k: v[i] for k, v in stored.items()}, {k: v[i] for k, v in again.items()}, not reason)
            if worst:
                differences.append(Difference(planned.cells.name(int(chunk.cells[i])), *worst))
    if not whole and not broken:
        raise InputError(f"{place.path}: nothing to verify, no chunk of it is finished")
    return Verification(cells, not reason, reason, differences, broken, missing, changed)


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
        if not bitwise and not (name.startswith("loss") or (name in METRICS and differs(name, was, now))):
            continue
        with np.errstate(invalid="ignore", divide="ignore"):
            relative = np.where(np.isnan(was) & np.isnan(now), 0, np.abs(now / was - 1))
        relative = np.where(was == now, 0, np.where(np.isnan(relative), np.inf, relative))
        largest = float(relative.max())
        if bitwise or largest > TOLERANCE:
            found.append((name, largest))
    return max(found, key=lambda pair: pair[1]) if found else None
