"""From a study to its cells: the axes, and one value on every axis for each cell."""

import hashlib
import json
import math
from typing import Any, NamedTuple

import numpy as np

from jaxsgd.evaluation import evaluation_steps, observed_epochs
from jaxsgd.order import Split, split
from jaxsgd.study.dimensions import OWN_AXES, Dimension, dimensions
from jaxsgd.study.study import Study, StudyFields
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
      rate: the learning rate of each cell after the rate rule, [R].
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
    rate: np.ndarray
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

        In studies that differ only in the values of their axes, equal keys mean the same run.
        """
        columns = [self._column(axis) for axis in self.values]
        rows = (dict(zip(self.values, row, strict=True)) for row in zip(*columns, strict=True))
        return [hashlib.sha256(json.dumps(row, sort_keys=True).encode()).digest()[:KEY_BYTES] for row in rows]

    def _column(self, axis: str) -> list[Any]:
        values = self.values[axis]
        if axis in self.problem_axes and values.dtype.kind in "iu":  # 16 is the same value beside 32 and beside 0.5
            values = values.astype(float)
        return values.tolist()

    def name(self, cell: int) -> str:
        """Return a cell in words: its value on every axis."""
        return ", ".join(f"{axis}={values[cell]}" for axis, values in self.values.items())


def cells(study: StudyFields, num_samples: int) -> Cells:
    """Return all cells of a study of a problem with N samples."""
    dims = dimensions(study)
    indices = np.indices([dim.length for dim in dims]).reshape(len(dims), -1)
    values = {axis: v[index] for dim, index in zip(dims, indices, strict=True) for axis, v in dim.values.items()}
    size_axis = "batch_count" if "batch_count" in values else "batch_size"
    sizes, which = np.unique(values[size_axis], return_inverse=True)
    options = {"drop_last": study.drop_last} if size_axis == "batch_size" else {}
    splits = [split(num_samples, **{size_axis: int(size)}, **options) for size in sizes]
    rate = values["learning_rate"].astype(np.float64)
    if study.rate_rule != "none":
        factor = study.reference_batch_count / np.asarray([s.batch_count for s in splits])[which]
        rate = rate * (factor if study.rate_rule == "linear" else np.sqrt(factor))
    steps = np.asarray([study.total_steps(split) for split in splits])
    times = _evaluations(study, splits, steps), _observations(study, splits, steps)
    return Cells(dims, values, tuple(study.problem_axes), splits, which.reshape(-1), rate, steps, *times)


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


def hyper_axes(study: Study, cells: Cells) -> list[str]:
    """Return the axes that are hyperparameters of the optimizer other than its rate."""
    others = {*OWN_AXES, *study.problem_axis_names}
    return [axis for axis in cells.values if axis not in others]
