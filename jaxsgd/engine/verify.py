"""Verify: run a stored result again and compare the numbers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxsgd.engine.blas import with_one_blas_thread
from jaxsgd.engine.execution import Device, Execution, summary, workers
from jaxsgd.engine.halving import stopped_after
from jaxsgd.engine.manifest import different, facts, other_samples
from jaxsgd.engine.plan import Chunk, plan
from jaxsgd.error import InputError, check_count
from jaxsgd.measure.observable import METRICS, differs
from jaxsgd.results.chunk_form import stored_form
from jaxsgd.results.load import fitted, stored_chunks, stored_result
from jaxsgd.results.store import ChunkArrays, Folder
from jaxsgd.study.study import Study
from jaxsgd.summary import short_repr

DETERMINISTIC = "--xla_gpu_exclude_nondeterministic_ops=true"
"""The flag of XLA with which a GPU gave the same bits in every process (docs/speed_on_gpu.md)."""

TOLERANCE = METRICS["loss_epoch"].tolerance
"""The largest relative difference of a loss between machines and versions, for runs whose rounding does not grow. The tests
require the same of the one-program, the grouped and the plain path."""


class Difference(NamedTuple):
    """A cell whose numbers differ from the stored ones.

    Attributes:
      cell: the cell's value on every axis, in words.
      what: the variable that differs most.
      relative: its largest relative difference; infinite if a value is missing.
    """

    cell: str
    what: str
    relative: float


class Verification(NamedTuple):
    """The outcome of running a result again.

    Attributes:
      cells: the number of cells that were run again.
      bitwise: True if equal bits were required (same machine, versions and flags); False for equality within `TOLERANCE`.
      reason: the reason why equal bits were not required, in words; empty if they were.
      differences: the cells that differ.
      broken: chunks that could not be read, in words; every chunk's checksum is checked, also outside a sample.
      missing: the number of the study's cells that are in no whole chunk.
      other_samples: the differences between the samples and those of the result, in words; then no cell is run again.
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
        """True if the result is complete, and every cell that was run again has the same numbers."""
        return not (self.differences or self.broken or self.missing or self.other_samples)


@with_one_blas_thread
def verify(folder: str | Path, sample: int | None = None, seed: int = 0) -> Verification:
    """Read all chunks of a result, run its cells again and compare the numbers.

    They are compared bit by bit on a CPU of the same kind with the same versions, and otherwise within `TOLERANCE`.

    Args:
      folder: the result; its chunks are only read.
      sample: the number of cells to run again, drawn at random; None for all.
      seed: of that draw.

    Raises:
      InputError: if the folder has no result, its study cannot be run here, or no chunk of it is finished.
    """
    result = Folder.at(folder)
    fields, manifest = stored_result(result)
    study = Study(**fields.resolved())
    planned = plan(study, **manifest["held"])
    new = facts(planned)
    reason = why_not_bitwise(manifest, new)
    changed = other_samples(manifest, new)
    drawn = np.ones(planned.cells.num_cells, bool)
    if sample is not None:
        drawn[:] = False
        drawn[np.random.default_rng(seed).permutation(len(drawn))[: check_count("sample", sample)]] = True
    tolerances = {name: record.tolerance for name, record in planned.records.items()}
    execution, device = Execution(planned), workers()[0]
    program_of = np.empty(len(drawn), int)
    for number, program in enumerate(planned.programs):
        program_of[program.cells] = number
    form = stored_form(study, planned.cells, manifest)
    cells, missing, whole, differences, broken = 0, np.ones(len(drawn), bool), 0, [], []
    for stored in stored_chunks(result, study, planned.cells, form):
        if stored.fault:
            broken.append(stored.fault)
            continue
        whole += 1
        own = stored.arrays["cell"]
        missing[own] = False
        if changed:
            continue
        for program in np.unique(program_of[own[drawn[own]]]):
            rows = np.flatnonzero(program_of[own] == program)
            ran = _run_again(execution, Chunk(int(program), own[rows]), device, stored.arrays, rows)
            # A result from before an observable was added does not have it.
            again = fitted({name: ran[name] for name in stored.arrays if name in ran and name != "cell"}, form)
            compared = np.flatnonzero(drawn[own[rows]])
            cells += len(compared)
            for i in compared:
                was = {name: array[rows[i]] for name, array in stored.arrays.items() if name != "cell"}
                worst = _worst(was, {name: array[i] for name, array in again.items()}, not reason, tolerances)
                if worst:
                    differences.append(Difference(planned.cells.name(int(own[rows[i]])), *worst))
    if not whole and not broken:
        raise InputError(f"{result.path}: nothing to verify: no chunk is finished")
    return Verification(cells, not reason, reason, differences, broken, int(missing.sum()), changed)


def _run_again(execution: Execution, chunk: Chunk, device: Device, stored: ChunkArrays, rows: np.ndarray) -> ChunkArrays:
    """Return the arrays of a chunk that is run again; runs that a halving stopped are cut where they were stopped.

    Args:
      execution, chunk, device: as `Execution.run_chunk` takes them.
      stored: the stored arrays of a file.
      rows: the places of the chunk's cells in them.
    """
    if not execution.plan.study.halving:
        return execution.run_chunk(chunk, device)[0]
    # Whole runs in one piece: the halving trained them in parts.
    outputs = stopped_after(execution.plan, chunk, execution.outputs(chunk, device)[0], stored["stopped_rung"][rows])
    return summary(execution.plan, chunk, outputs) | {name: stored[name][rows] for name in ("stopped_rung", "rung_value")}


def why_not_bitwise(stored: dict[str, Any], here: dict[str, Any]) -> str:
    """Return the reasons why a result and its cells that run again here may differ in rounding; empty if there are none.

    Args:
      stored: the manifest of the result.
      here: the `facts` of its plan in this process.
    """
    reasons = different(stored, here, new_label="here", every=True)
    if stored["lanes_narrowed"]:
        reasons.append("some chunks were run with fewer lanes because memory was short")
    if here["device"]["backend"] != "cpu" and DETERMINISTIC not in here["flags"]["XLA_FLAGS"].split():
        reasons.append(
            "on an accelerator, each process chooses the products that were fastest when it tried them, "
            f"unless XLA_FLAGS has {DETERMINISTIC}"
        )
    return "; ".join(reasons)


def _worst(
    stored: dict[str, Any], again: dict[str, Any], bitwise: bool, tolerances: Mapping[str, float]
) -> tuple[str, float] | None:
    """Return the variable of a cell that differs most, and its relative difference; None if no variable differs."""
    differing = []
    for name in sorted(set(stored) | set(again)):
        if name not in stored or name not in again or np.shape(stored[name]) != np.shape(again[name]):
            differing.append((name, np.inf))
            continue
        was, now = np.asarray(stored[name]), np.asarray(again[name])
        if was.tobytes() == now.tobytes():
            continue
        # Gap, index and slope are differences of losses: rounding is a larger share of them, so only losses count.
        is_judged = name in tolerances and differs(was, now, tolerances[name])
        if not bitwise and not (name in ("loss", "loss_epoch") or is_judged):
            continue
        with np.errstate(invalid="ignore", divide="ignore"):
            relative = np.where(np.isnan(was) & np.isnan(now), 0, np.abs(now / was - 1))
        relative = np.where(was == now, 0, np.where(np.isnan(relative), np.inf, relative))
        largest = float(relative.max())
        if bitwise or largest > TOLERANCE:
            differing.append((name, largest))
    return max(differing, key=lambda pair: pair[1]) if differing else None
