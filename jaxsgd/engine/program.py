"""Programs: the groups of cells that share a compiled program, with its inputs."""

from typing import Any, NamedTuple

import jax
import numpy as np

from jaxsgd.measure.observable import direction
from jaxsgd.microstep import Layout, cut, layout
from jaxsgd.order import Split
from jaxsgd.study.cells import Cells, traced_hyperparameters
from jaxsgd.study.fields import stop_of
from jaxsgd.study.study import Study


class Program(NamedTuple):
    """A program to compile, and the cells that it runs.

    Attributes:
      optimizer: the optimizer's name.
      order: the order's name.
      schedule: the schedule's name.
      split: the split that all its cells have; None if the split is data (one program for all batch counts).
      layout: micro-steps, if the split is data.
      cells: numbers of its cells, ascending.
      subject: the number of their problem among the distinct ones of the study.
    """

    optimizer: str
    order: str
    schedule: str
    split: Split | None
    layout: Layout | None
    cells: np.ndarray
    subject: int

    @property
    def slots(self) -> int:
        """The number of batch losses that an epoch has room for, M."""
        return self.split.batch_count if self.split else self.layout.slots  # type: ignore[union-attr]


def programs(cells: Cells, subject: np.ndarray, one_program: bool, micro_size: int | None = None) -> list[Program]:
    """Return the programs for all cells.

    Args:
      cells: the cells of a study.
      subject: [R], the number of each cell's problem.
      one_program: True if batch counts are data and share a program; False if each split has its own program.
      micro_size: q, the size of the micro-steps; None for the cheapest.
    """
    shared = layout(cells.splits, micro_size) if one_program else None
    key = [subject.tolist(), cells.values["optimizer"], cells.values["order"], cells.schedule]
    keys = list(zip(*key, *([] if one_program else [cells.split]), strict=True))
    groups = []
    for distinct in dict.fromkeys(keys):
        members = np.asarray([i for i, other in enumerate(keys) if other == distinct])
        number, optimizer, order, schedule = distinct[:4]
        own = None if one_program else cells.splits[distinct[4]]
        groups.append(Program(str(optimizer), str(order), str(schedule), own, shared, members, number))
    return groups


def seeds(cells: Cells, members: np.ndarray) -> dict[str, np.ndarray]:
    """Return the seeds of some cells' data and initial parameters, by stream, [len(members)] each."""
    return {stream: cells.seeds(stream)[members].astype(np.uint32) for stream in ("data", "init")}


def inputs(study: Study, cells: Cells, program: Program, members: np.ndarray) -> dict[str, Any]:
    """Return the training program's inputs for some of its cells, without the drawn arrays; arrays [len(members), ...]."""
    given: dict[str, Any] = {
        "order_seed": cells.seeds("order")[members].astype(np.uint32),
        "learning_rate": cells.rate[members].astype(study.dtype),
        "hyper": {name: cells.used(name)[members].astype(study.dtype) for name in traced_hyperparameters(study, cells)},
    }
    if study.stop:
        given["target"] = np.full(len(members), _within(*stop_of(study), study.dtype), study.dtype)
    if program.layout:
        cuts = [cut(split, program.layout) for split in cells.splits]
        given["cut"] = jax.tree.map(lambda *leaves: np.stack(leaves)[cells.split[members]], *cuts)
    return given


def _within(metric: str, target: float, dtype: str) -> np.floating:
    """Return the value of a type nearest to a target that is not better, so that a value at it is at or past the target."""
    sign, kind = direction(metric), np.dtype(dtype).type
    nearest = kind(target)
    return np.nextafter(nearest, kind(-sign * np.inf)) if sign * float(nearest) > sign * target else nearest
