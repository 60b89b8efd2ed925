"""What a reader hands on: numbers by column, row by row, whatever the file's format."""

import math
from array import array
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from jaxsgd.error import InputError

MOST_ROWS = 4_000_000
"""Rows that are held at most: with a few columns of 8 bytes each, some hundreds of megabytes."""

MOST_COLUMNS = 64
"""Loss columns that are held at most."""

PLACES = ("epoch", "step", "total", "rate")
"""What a row may say besides its losses: its epoch, a count of batches, what that counts up to, the learning rate."""


class Table(NamedTuple):
    """The rows of a file that hold a loss; K rows.

    Attributes:
      form: the format's name, as a message shows it.
      losses: each loss column's values, [K], in loss units; NaN where a row has none.
      non_finite: how many values of each loss column are NaN or infinite in the file.
      places: epoch, step, total and rate of each row, [K]; NaN where it is not said. Steps and totals count batches, or samples
        where `in_samples`.
      run: the number of the run that each row says it belongs to, [K]; all 0 where none is said.
      run_names: the names of these runs.
      in_samples: whether steps count samples instead of batches.
    """

    form: str
    losses: dict[str, Float[np.ndarray, " K"]]
    non_finite: dict[str, int]
    places: dict[str, Float[np.ndarray, " K"]]
    run: Int[np.ndarray, " K"]
    run_names: tuple[str, ...]
    in_samples: bool = False


class TableBuilder:
    """Rows are added one by one; only numbers are kept of them."""

    def __init__(self, form: str):
        """For a file of the format `form`."""
        self._form = form
        self._rows = 0
        self._losses: dict[str, array] = {}
        self._non_finite: dict[str, int] = {}
        self._places = {name: array("d") for name in PLACES}
        self._run = array("q")
        self._run_names: dict[str, int] = {}
        self.in_samples = False

    def add(self, losses: Mapping[str, float], places: Mapping[str, float], run: str = "") -> None:
        """Adds a row.

        Args:
          losses: its losses by column; one that is not finite is counted and left out.
          places: what it says of `PLACES`.
          run: the run that it says it belongs to.

        Raises:
          InputError: when there are more rows or columns than are held.
        """
        if self._rows >= MOST_ROWS:
            raise InputError(f"more than {MOST_ROWS:,} losses: keep every tenth line, or one part of the training")
        for name, value in losses.items():
            if name not in self._losses:
                if len(self._losses) >= MOST_COLUMNS:
                    raise InputError(f"more than {MOST_COLUMNS} loss columns: keep those of one run")
                self._losses[name] = array("d", [math.nan]) * self._rows
                self._non_finite[name] = 0
            if not math.isfinite(value):
                self._non_finite[name] += 1
                value = math.nan
            self._losses[name].append(value)
        for name in PLACES:
            self._places[name].append(places.get(name, math.nan))
        self._run.append(self._run_names.setdefault(run, len(self._run_names)))
        self._rows += 1
        if len(losses) < len(self._losses):
            for column in self._losses.values():
                if len(column) < self._rows:
                    column.append(math.nan)

    def table(self) -> Table:
        """What was added."""
        losses = {name: np.frombuffer(column, np.float64) for name, column in self._losses.items()}
        places = {name: np.array(column, np.float64) for name, column in self._places.items()}
        run = np.array(self._run, np.int64)
        return Table(self._form, losses, self._non_finite, places, run, tuple(self._run_names), self.in_samples)


def number(text: object) -> float | None:
    """`text` as a number, or None if it is none: NaN and infinities are numbers here, True is not."""
    if isinstance(text, bool):
        return None
    if isinstance(text, (int, float)):
        try:
            return float(text)
        except OverflowError:
            return math.inf
    if not isinstance(text, str) or len(text) > 64:
        return None
    try:
        return float(text)
    except ValueError:
        return None
