"""The result of reading a log file of any format: numbers by column, row by row; and the type of the readers."""

import math
from array import array
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from jaxsgd.diagnosis.source import Source
from jaxsgd.error import InputError

MOST_ROWS = 4_000_000
"""Largest number of rows: with a few columns of 8 bytes each they take some hundreds of megabytes."""

MOST_COLUMNS = 64
"""Largest number of loss columns."""

PLACES = ("epoch", "step", "total", "rate")
"""The numbers that a row may contain besides its losses: its epoch, a count of batches, its total, the learning rate."""


class Table(NamedTuple):
    """The rows of a file that contain a loss; K rows.

    Attributes:
      form: the format's name, as a message shows it.
      losses: each loss column's values, [K], in loss units; NaN where a row has none.
      non_finite: number of values of each loss column that are NaN or infinite in the file.
      places: epoch, step, total and rate of each row, [K]; NaN where the row does not contain it. Steps and totals count
        batches, or samples where `in_samples`.
      run: the number of the run that each row names, [K]; all 0 where none is named.
      run_names: the names of these runs.
      in_samples: True if steps count samples instead of batches.
    """

    form: str
    losses: dict[str, Float[np.ndarray, " K"]]
    non_finite: dict[str, int]
    places: dict[str, Float[np.ndarray, " K"]]
    run: Int[np.ndarray, " K"]
    run_names: tuple[str, ...]
    in_samples: bool = False


class Reader(NamedTuple):
    """A format of log files.

    Attributes:
      matches: the function that returns True if a file that begins with these bytes is of this format.
      read: the function that returns the rows of a file; it raises `InputError` when there are none to be read.
      is_text: True if the format is text, so that a file that is not is refused before it is read.
    """

    matches: Callable[[bytes], bool]
    read: Callable[[Source], Table]
    is_text: bool = True


class TableBuilder:
    """A table to which rows are added one by one; only their numbers are kept."""

    def __init__(self, form: str):
        """Begin an empty table of a file of the format `form`."""
        self._form = form
        self._rows = 0
        self._losses: dict[str, array] = {}
        self._non_finite: dict[str, int] = {}
        self._places = {name: array("d") for name in PLACES}
        self._run = array("q")
        self._run_names: dict[str, int] = {}
        self.in_samples = False

    def add(self, losses: Mapping[str, float], places: Mapping[str, float], run: str = "") -> None:
        """Add a row.

        Args:
          losses: its losses by column; one that is not finite is counted and left out.
          places: its numbers named in `PLACES`, as far as it contains them.
          run: the run that it names.

        Raises:
          InputError: when there are too many rows or columns.
        """
        if self._rows >= MOST_ROWS:
            raise InputError(f"more than {MOST_ROWS:,} losses: keep every tenth line, or one part of the training run")
        for name, value in losses.items():
            if name not in self._losses:
                if len(self._losses) >= MOST_COLUMNS:
                    raise InputError(f"more than {MOST_COLUMNS} loss columns: keep only those of one run")
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
        """Return the rows that were added."""
        losses = {name: np.frombuffer(column, np.float64) for name, column in self._losses.items()}
        places = {name: np.array(column, np.float64) for name, column in self._places.items()}
        run = np.array(self._run, np.int64)
        return Table(self._form, losses, self._non_finite, places, run, tuple(self._run_names), self.in_samples)


def number(text: object) -> float | None:
    """Return `text` as a number, or None if it is none: NaN and infinities count as numbers, True does not."""
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
