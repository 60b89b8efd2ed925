"""Halving: train the cells of a study up to one rung after another, and stop the settings that lose there."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxsgd.engine.execution import Device, Execution, summary
from jaxsgd.engine.plan import Chunk, Plan
from jaxsgd.engine.train_program import Outputs, state_shapes
from jaxsgd.error import InputError, no_such
from jaxsgd.measure.observable import MetricName, direction
from jaxsgd.results.seed_median import seed_median
from jaxsgd.results.store import ChunkArrays
from jaxsgd.study.halving import rungs_of, settings_of
from jaxsgd.study.kept import state_leaves
from jaxsgd.train import Span, missing_value


class Decided(NamedTuple):
    """The decisions on the cells that are stored, of R cells and K rungs.

    Attributes:
      cells: [R], True for the stored cells.
      stopped_rung: [R], the rung at which a cell was stopped, in epochs done; NaN for a cell that was not.
      rung_value: [R, K], the metric at each rung; NaN where a cell did not reach it.
    """

    cells: np.ndarray
    stopped_rung: np.ndarray
    rung_value: np.ndarray

    @staticmethod
    def none(planned: Plan) -> "Decided":
        """Return the decisions of a result that has no cell yet."""
        number = planned.cells.num_cells
        rungs = len(rungs_of(planned.study, planned.cells))
        return Decided(np.zeros(number, bool), np.full(number, np.nan), np.full((number, rungs), np.nan))

    def note(self, arrays: ChunkArrays) -> None:
        """Take in a chunk."""
        own = arrays["cell"]
        self.cells[own] = True
        self.stopped_rung[own], self.rung_value[own] = arrays["stopped_rung"], arrays["rung_value"]


class _Trained:
    """The outputs of all cells of each program as far as they are trained, with the states from which they go on."""

    def __init__(self, execution: Execution):
        """Begin with nothing trained.

        Args:
          execution: its plan has the programs.
        """
        self._execution, self._plan = execution, execution.plan
        self.outputs: dict[int, Outputs] = {}

    def span(self, number: int, first: int, last: int) -> Span:
        """Return the part of the runs of a chunk, given by its number in the execution's plan, between two rungs."""
        chunk = self._execution.plan.chunks[number]
        if first == 0:
            shapes = state_shapes(self._execution.spec(chunk.program, self._execution.lanes[chunk.program], True))
            state: Any = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)
        else:
            rows = self._rows(chunk.program, np.resize(chunk.cells, self._plan.width))
            state = jax.tree.map(lambda leaf: leaf[rows], self.outputs[chunk.program].kept)
        return Span(np.int32(first), np.int32(last), state)  # type: ignore[arg-type]

    def add(self, chunk: Chunk, part: Outputs, first: int, last: int) -> None:
        """Take in the outputs of a part of the runs of a chunk."""
        if chunk.program not in self.outputs:
            count = len(self._plan.programs[chunk.program].cells)
            self.outputs[chunk.program] = jax.tree.map(
                lambda leaf: np.full((count, *leaf.shape[1:]), missing_value(leaf.dtype), leaf.dtype), part
            )
        rows, own = self._rows(chunk.program, chunk.cells), self.outputs[chunk.program]

        def put(record: np.ndarray, values: np.ndarray) -> None:
            record[rows, first:last] = values[:, first:last]

        jax.tree.map(put, (own.loss, own.loss_epoch, own.observed), (part.loss, part.loss_epoch, part.observed))

        def replace(record: np.ndarray, values: np.ndarray) -> None:
            record[rows] = values

        jax.tree.map(replace, (own.finite, own.kept), (part.finite, part.kept))

    def metric(self, chunk: Chunk, name: str, epoch: int) -> np.ndarray:
        """Return a metric of a chunk's cells after an epoch, 0-based."""
        return _record(self.outputs[chunk.program], name)[self._rows(chunk.program, chunk.cells), epoch]

    def arrays(self, chunk: Chunk, epochs: int) -> ChunkArrays:
        """Return the arrays of a chunk's cells, which a result keeps, after so many epochs done."""
        plan, rows = self._plan, self._rows(chunk.program, chunk.cells)
        outputs: Outputs = jax.tree.map(lambda leaf: leaf[rows], self.outputs[chunk.program])
        return summary(plan, chunk, stopped_after(plan, chunk, outputs, np.full(len(chunk.cells), float(epochs))))

    def _rows(self, program: int, cells: np.ndarray) -> np.ndarray:
        return np.searchsorted(self._plan.programs[program].cells, cells)


def stopped_after(plan: Plan, chunk: Chunk, outputs: Outputs, epochs: np.ndarray) -> Outputs:
    """Return the outputs of a chunk of which each run is stopped after so many epochs; NaN past them.

    A stopped run counts as finite if its metric was at the stop: the parameters at a stop are not known of a whole run.

    Args:
      plan: of the chunk.
      chunk: the cells.
      outputs: of whole runs, or of runs that were trained so far.
      epochs: [n], numbers of epochs done; NaN for a run that is not stopped.
    """
    epochs = np.where(np.isnan(epochs), plan.cells.epochs, epochs).astype(int)

    def cut(record: Any) -> np.ndarray:
        values = np.array(record)
        for row, last in zip(values, epochs, strict=True):
            row[last:] = missing_value(values.dtype)
        return values

    taken = np.where(epochs < plan.cells.epochs, epochs * plan.cells.batch_count[chunk.cells], -1)
    loss, loss_epoch, observed = jax.tree.map(cut, (outputs.loss, outputs.loss_epoch, outputs.observed))
    stopped: Any = {"loss": loss, "loss_epoch": loss_epoch, "observed": observed, "stopped": taken, "kept": None}
    cut_outputs = outputs._replace(**stopped)
    assert plan.study.halving, "the study has no halving"
    at_stop = np.isfinite(_record(cut_outputs, plan.study.halving.metric)[np.arange(len(epochs)), epochs - 1])
    return cut_outputs._replace(finite=np.where(taken >= 0, at_stop, outputs.finite))  # type: ignore[arg-type]


def _record(outputs: Outputs, metric: str) -> np.ndarray:
    """Return a metric after each epoch, [R, E]."""
    return np.asarray(outputs.loss_epoch if metric == "loss_epoch" else outputs.observed[metric])


def check_can_halve(planned: Plan) -> MetricName | str:
    """Return the metric of a study's halving, with its direction.

    Raises:
      InputError: for a metric that its runs do not have after each epoch, that is no number, or of which no value is better; if
        there are too few settings or epochs; if an optimizer's state has a random key.
    """
    study = planned.study
    assert study.halving, "the study has no halving"
    numbers = {name: record.better for name, record in planned.records.items() if not (record.sparse or record.shape)}
    better = {"loss_epoch": "lower", **numbers}
    name = study.halving.metric
    valid = [metric for metric, own in better.items() if own != "neither"]
    if name not in valid:
        raise no_such("metric of halving", name, valid)
    rungs_of(study, planned.cells)
    for subject in planned.subjects.distinct:
        for optimizer in study.optimizers:
            state_leaves(study, subject, planned.cells, optimizer)
    return MetricName.of(name, better[name])


def halve(
    execution: Execution,
    stored: Decided,
    finished: Callable[[int, ChunkArrays], None],
    changed: Callable[[], None] = lambda: None,
) -> None:
    """Train the cells of a plan up to each rung, and stop there the settings that lose.

    The cells that go on are put into chunks anew. The states between two rungs are in memory only. So an interrupted halving
    begins with the cells that are not stored, and takes the same decisions, because their runs are the same.

    Args:
      execution: runs the chunks; its plan has all cells of the study.
      stored: the decisions on the cells that are stored, which are not run again.
      finished: takes a chunk of cells that were stopped, or that were trained to the end, with its number from 0.
      changed: called as `Execution.run_all` does.

    Raises:
      InputError: as `check_can_halve`; if the runs lead to another decision than the stored one.
    """
    planned, metric = execution.plan, check_can_halve(execution.plan)
    study, own, number = planned.study, planned.cells, 0
    assert study.halving, "the study has no halving"
    rungs, settings, trained = rungs_of(study, own), settings_of(own), _Trained(execution)
    values, alive, first = stored.rung_value.copy(), np.ones(len(settings.group), bool), 0
    missing = ~stored.cells

    def finish(cells: np.ndarray, last: int) -> None:
        nonlocal number
        for chunk in planned.of_cells(cells).chunks:
            arrays = trained.arrays(chunk, last)
            rung = np.full(len(chunk.cells), float(last) if last in rungs else np.nan)
            finished(number, {**arrays, "stopped_rung": rung, "rung_value": values[chunk.cells]})
            number += 1

    for place, last in enumerate((*rungs, own.epochs)):
        running = missing & alive[settings.of_cell]
        execution.plan = planned.of_cells(running)
        _train(execution, trained, first, last, changed)
        if place == len(rungs):
            finish(running, last)
            break
        for chunk in execution.plan.chunks:
            values[chunk.cells, place] = trained.metric(chunk, metric, last - 1)
        going_on = settings.survivors(_costs(values[:, place], settings.of_cell, direction(metric)), alive, study.halving.eta)
        stops = (alive & ~going_on)[settings.of_cell]
        other = stored.cells & alive[settings.of_cell] & (stops != (stored.stopped_rung == last))
        if other.any():
            raise InputError(
                f"the stored result stopped other settings after {last} epochs than the runs here do, the first: "
                f"{own.name(int(other.argmax()))}; run the study into a new folder"
            )
        finish(running & stops, last)
        alive, first = going_on, last


def _train(execution: Execution, trained: _Trained, first: int, last: int, changed: Callable[[], None]) -> None:
    """Train the cells of the execution's plan from one rung to the next."""
    chunks = execution.plan.chunks

    def run(number: int, device: Device) -> Outputs:
        return execution.outputs(chunks[number], device, trained.span(number, first, last))[0]

    execution.run_all(range(len(chunks)), lambda number, part: trained.add(chunks[number], part, first, last), changed, run)


def _costs(values: np.ndarray, of_cell: np.ndarray, sign: float) -> np.ndarray:
    """Return the median cost of each setting over its seeds, [S]; a run without a finite value is infinitely bad.

    Args:
      values: [R], the metric of each cell.
      of_cell: [R], the number of each cell's setting.
      sign: -1 if higher is better, else 1.
    """
    costs = np.where(np.isfinite(values), sign * values, np.inf)
    return seed_median(costs[np.argsort(of_cell, kind="stable")].reshape(of_cell.max() + 1, -1))
