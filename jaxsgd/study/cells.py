"""From a study to its cells: the axes, and one value on every axis for each cell."""

import hashlib
import json
import math
from typing import Any, NamedTuple

import numpy as np

from jaxsgd.evaluation import evaluation_steps, observed_epochs
from jaxsgd.order import Split
from jaxsgd.study.batch_rules import effect_of, ruled_values
from jaxsgd.study.dimensions import OWN_AXES, Dimension, cell_values, dimensions, splits_of
from jaxsgd.study.fields import StudyFields
from jaxsgd.study.study import Study
from jaxsgd.summary import short_repr

KEY_BYTES = 16
"""Length of a cell's key."""


class Cells(NamedTuple):
    """All cells of a study, flat, in the order of its dimensions (the last varies fastest).

    Attributes:
      dims: the dimensions.
      values: by axis, the value of each cell, [R].
      problem_axes: the axes that are arguments of the problem, without random ones.
      splits: the distinct splits.
      split: the index in `splits` of each cell, [R].
      ruled: by hyperparameter, its value in each cell after the batch rules, [R]; those without a rule are not here, except the
        learning rate.
      rules: by name of a set of batch rules, all that decides its effect; None if it changes nothing.
      steps: the number of steps of a run of each split, [S].
      observations: the number of steps done before each measurement of sparse observables, [S, V], NaN past a split's last;
        None without them.
      evaluations: the number of steps done before each evaluation, [S, V], NaN past a split's last; None if the observables
        are measured after each epoch.
    """

    dims: list[Dimension]
    values: dict[str, np.ndarray]
    problem_axes: tuple[str, ...]
    splits: list[Split]
    split: np.ndarray
    ruled: dict[str, np.ndarray]
    rules: dict[str, Any]
    steps: np.ndarray
    evaluations: np.ndarray | None
    observations: np.ndarray | None

    __repr__ = short_repr

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the dimensions."""
        return tuple(dim.length for dim in self.dims)

    @property
    def num_cells(self) -> int:
        """The number of cells, R."""
        return math.prod(self.shape)

    @property
    def batch_count(self) -> np.ndarray:
        """The batch count m of each cell, [R]."""
        return np.asarray([s.batch_count for s in self.splits])[self.split]

    @property
    def rate(self) -> np.ndarray:
        """The learning rate of each cell after the batch rules, [R]."""
        return self.ruled["learning_rate"]

    def used(self, name: str) -> np.ndarray:
        """Return the value of a hyperparameter in each cell after the batch rules, [R]."""
        return self.ruled[name] if name in self.ruled else self.values[name]

    @property
    def schedule(self) -> np.ndarray:
        """The name of the schedule of each cell, [R]."""
        return self.values["schedule"] if "schedule" in self.values else np.full(self.num_cells, "constant")

    @property
    def epochs(self) -> int:
        """The largest number of epochs that a run begins, E."""
        return max(map(self.epochs_of, self.splits))

    @property
    def num_records(self) -> int:
        """The number of records of an observable: V evaluations, or E if there is a record after each epoch."""
        return self.epochs if self.evaluations is None else self.evaluations.shape[1]

    @property
    def num_observations(self) -> int:
        """The number of measurements of sparse observables in a run, V; 0 without them."""
        return 0 if self.observations is None else self.observations.shape[1]

    def steps_of(self, split: Split) -> int:
        """Return the number of steps of a run of a split."""
        return int(self.steps[self.splits.index(split)])

    def epochs_of(self, split: Split) -> int:
        """Return the number of epochs that a run of a split begins; the last may be incomplete."""
        return -(-self.steps_of(split) // split.batch_count)

    def seeds(self, stream: str) -> np.ndarray:
        """Return the seed of a stream ("data", "init" or "order") in each cell, [R]."""
        for axis in (f"{stream}_seed", "seed"):
            if axis in self.values:
                return self.values[axis]
        return np.zeros(self.num_cells, np.int64)

    def keys(self) -> list[bytes]:
        """Return the key of each cell, 16 bytes: a hash of its value on every axis.

        In studies that differ only in the values of their axes, equal keys mean the same run. A constant schedule and batch
        rules that change nothing are left out, so that a study without these axes has the same keys.
        """
        columns = [self._column(axis) for axis in self.values]
        rows = (dict(zip(self.values, row, strict=True)) for row in zip(*columns, strict=True))
        texts = (json.dumps({axis: value for axis, value in row.items() if value is not None}, sort_keys=True) for row in rows)
        return [hashlib.sha256(text.encode()).digest()[:KEY_BYTES] for text in texts]

    def _column(self, axis: str) -> list[Any]:
        values = self.values[axis]
        if axis == "schedule":
            return [None if name == "constant" else name for name in values.tolist()]
        if axis == "batch_rule":  # the rules decide the numbers, and not the name that the user gives them
            return [self.rules[name] for name in values.tolist()]
        if axis in self.problem_axes and values.dtype.kind in "iu":  # 16 is the same value beside 32 and beside 0.5
            values = values.astype(float)
        return values.tolist()

    def name(self, cell: int) -> str:
        """Return a cell in words: its value on every axis."""
        return ", ".join(f"{axis}={values[cell]}" for axis, values in self.values.items())


def cells(study: StudyFields, num_samples: int) -> Cells:
    """Return all cells of a study of a problem with N samples."""
    dims = dimensions(study)
    values = cell_values(dims)
    splits, which = splits_of(study, values, num_samples)
    ruled = ruled_values(study, values, num_samples)
    steps = np.asarray([study.total_steps(split) for split in splits])
    times = _evaluations(study, splits, steps), _observations(study, splits, steps)
    rules = {name: effect_of(study, name) for name, _ in study.batch_rules or ()}
    return Cells(dims, values, tuple(study.problem_axes), splits, which, ruled, rules, steps, *times)


def _evaluations(study: StudyFields, splits: list[Split], steps: np.ndarray) -> np.ndarray | None:
    if study.evaluate_every is None:
        return None
    rows = [evaluation_steps(study.evaluate_every, s.batch_count, int(own)) for s, own in zip(splits, steps, strict=True)]
    return _stacked(rows)


def _observations(study: StudyFields, splits: list[Split], steps: np.ndarray) -> np.ndarray | None:
    if study.observe_every is None:
        return None
    rows = []
    for count, own in zip([own.batch_count for own in splits], steps, strict=True):
        epochs = observed_epochs(study.observe_every, -(-int(own) // count))
        rows.append(np.minimum((epochs + 1) * count, own))
    return _stacked(rows)


def _stacked(rows: list[np.ndarray]) -> np.ndarray:
    """Return rows of unequal length as an array, NaN past their ends."""
    longest = max(map(len, rows))
    return np.stack([np.pad(row.astype(float), (0, longest - len(row)), constant_values=np.nan) for row in rows])


def traced_hyperparameters(study: Study, cells: Cells) -> list[str]:
    """Return the hyperparameters other than the rate that are data of a program: the axes, and those with a batch rule."""
    others = {*OWN_AXES, *study.problem_axis_names}
    axes = [axis for axis in cells.values if axis not in others]
    return [*axes, *(name for name in cells.ruled if name not in (*axes, "learning_rate"))]
