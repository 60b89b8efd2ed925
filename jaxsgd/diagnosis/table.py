"""The result of reading a log file of any format: numbers by name, row by row; and the type of the readers."""

import math
from array import array
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from jaxsgd.diagnosis.column import LONGEST_NAME, is_known_loss, is_unnamed, role
from jaxsgd.diagnosis.place import PLACES, Column, find_places
from jaxsgd.diagnosis.source import Source
from jaxsgd.error import InputError

MOST_ROWS = 4_000_000
"""Largest number of rows: with a few columns of 8 bytes each they take some hundreds of megabytes."""

MOST_VALUES = 32_000_000
"""Largest number of values of all columns together, 8 bytes each."""

MOST_COLUMNS = 64
"""Largest number of columns; losses count first."""


MOST_RANKS = 4096
"""Largest number of processes whose rows are told apart by their rank."""

LARGEST = 1e100
"""Largest loss: the square of a larger one may be infinite."""


class Table(NamedTuple):
    """The rows of one shape of a file; K rows.

    Attributes:
      form: the format's name, as a message shows it.
      losses: each loss column's values, [K], in loss units; NaN where a row has none.
      non_finite: True for the rows, [K], in which a column is NaN or infinite in the file; by column.
      places: epoch, step, total and rate of each row, [K]; NaN where the row does not contain it. Steps and totals count
        batches, or samples where `in_samples`.
      run: the number of the run that each row names, [K]; all 0 where none is named.
      run_names: the names of these runs.
      in_samples: True if steps count samples instead of batches.
      numbers: the other named numbers, [K], as `losses`.
      line: the number of the line of each row, from 1, [K]; empty where the format has no lines.
      words: the words by which lines of this shape differ from others; empty where there is one shape.
      is_held_out: True if these words speak of a validation or test set.
      other_ranks: the ranks of the processes whose rows are left out, because the first rank's are read.
      others: the rows of other shapes in the same file.
    """

    form: str
    losses: dict[str, Float[np.ndarray, " K"]]
    non_finite: dict[str, Bool[np.ndarray, " K"]]
    places: dict[str, Float[np.ndarray, " K"]]
    run: Int[np.ndarray, " K"]
    run_names: tuple[str, ...] = ("",)
    in_samples: bool = False
    numbers: Mapping[str, Float[np.ndarray, " K"]] = {}
    line: Int[np.ndarray, " L"] = np.zeros(0, np.int64)
    words: str = ""
    is_held_out: bool = False
    other_ranks: tuple[int, ...] = ()
    others: tuple["Table", ...] = ()

    @property
    def shapes(self) -> tuple["Table", ...]:
        """All tables of the file, this one first."""
        return (self._replace(others=()), *self.others)

    def values(self, name: str) -> Float[np.ndarray, " K"]:
        """Return the values of a loss or of another named number, [K]."""
        return self.losses[name] if name in self.losses else self.numbers[name]


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


def check_rows(rows: int, values: int) -> None:
    """Check that a file's numbers fit into memory.

    Raises:
      InputError: when there are too many.
    """
    if rows > MOST_ROWS:
        raise InputError(f"more than {MOST_ROWS:,} losses: keep every tenth line, or one part of the training run")
    if values > MOST_VALUES:
        raise InputError(f"more than {MOST_VALUES:,} numbers: keep every tenth line, or only the columns that you need")


class TableBuilder:
    """A table to which rows are added one by one; only their numbers are kept."""

    def __init__(self, form: str):
        """Begin an empty table of a file of the format `form`."""
        self._form = form
        self._rows = 0
        self._columns: dict[str, array] = {}
        self._places = {name: array("d") for name in PLACES}
        self._run = array("q")
        self._run_names: dict[str, int] = {}
        self._line = array("q")
        self._losses: set[str] = set()
        self._listed: frozenset[str] = frozenset()
        self._dropped: set[str] = set()
        self.in_samples = False

    def add(self, losses: Mapping[str, float], places: Mapping[str, float], run: str = "", line: int = 0) -> None:
        """Add a row of which it is known what its numbers are.

        Args:
          losses: its losses by column; one that is not finite is counted and left out.
          places: its numbers named in `PLACES`, as far as it contains them.
          run: the run that it names.
          line: its line in the file, from 1; 0 where there are no lines.

        Raises:
          InputError: when there are too many rows or columns.
        """
        self._losses |= losses.keys()
        self._add(losses, run, line)
        for name in PLACES:
            self._places[name].append(places.get(name, math.nan))

    def add_named(self, numbers: Mapping[str, float], run: str = "", line: int = 0) -> None:
        """Add a row of named numbers; `table` finds out by names and behaviour which of them are losses, epochs and steps.

        Raises:
          InputError: when there are too many rows or columns.
        """
        self._add(numbers, run, line)

    def call_loss(self, name: str) -> None:
        """Take a column for a loss whatever its name."""
        self._listed |= {name}

    def _add(self, numbers: Mapping[str, float], run: str, line: int) -> None:
        check_rows(self._rows + 1, self._rows * len(self._columns))
        for name, value in numbers.items():
            column = self._columns.get(name)
            if column is None:
                if name in self._dropped or not self._has_room(name):
                    continue
                column = self._columns[name] = array("d", [math.nan]) * self._rows
            column.append(value if math.isfinite(value) else math.inf)
        self._run.append(self._run_names.setdefault(run, len(self._run_names)))
        self._line.append(line)
        self._rows += 1
        for column in self._columns.values():
            if len(column) < self._rows:
                column.append(math.nan)

    def _has_room(self, name: str) -> bool:
        """Return True if a new column may be kept: losses, epochs and steps come before other numbers."""
        if len(self._columns) < MOST_COLUMNS:
            return True
        if name in self._losses or role(name) or is_known_loss(name):
            spare = next((other for other in self._columns if other not in self._losses and not role(other)), None)
            if spare is None:
                raise InputError(f"more than {MOST_COLUMNS} loss columns: keep only those of one run")
            del self._columns[spare]
            self._dropped.add(spare)
            return True
        self._dropped.add(name)
        return False

    def table(self) -> Table:
        """Return the rows that were added."""
        columns = [
            Column(
                name,
                np.array(values, np.float64),
                is_listed_loss=name in self._listed,
                is_unnamed=is_unnamed(name),
            )
            for name, values in self._columns.items()
        ]
        line = np.array(self._line, np.int64)
        run = np.array(self._run, np.int64)
        names = tuple(self._run_names) or ("",)
        places = {name: np.array(column, np.float64) for name, column in self._places.items()}
        if len(places["epoch"]) == self._rows and self._losses:
            table = named_table(self._form, [], run, line, names)
            losses = {column.name: column.values for column in columns}
            return _finite(table._replace(losses=losses, places=places, in_samples=self.in_samples))
        return named_table(self._form, columns, run, line, names)


def named_table(
    form: str,
    columns: list[Column],
    run: Int[np.ndarray, " K"],
    line: Int[np.ndarray, " K"],
    run_names: tuple[str, ...] = ("",),
    words: str = "",
    is_held_out: bool = False,
) -> Table:
    """Return rows of named numbers as a table, with the columns that behave as epochs and steps in `places`.

    Args:
      form: the format's name.
      columns: the named numbers; NaN where a row has none, infinite where it has one that is not finite.
      run, run_names: the number of the run of each row, and the names of the runs.
      line: the number of the line of each row; 0 where there are none.
      words, is_held_out: as in `Table`.
    """
    kept, other_ranks = first_rank_rows(columns)
    if other_ranks:
        columns = [column.rows(kept) for column in columns]
        run, line = run[kept], line[kept]
    columns = _one_case(columns)
    known = find_places(columns, len(run))
    left = [column for column in columns if column.name not in known.used and column.is_value]
    losses = {column.name: column.values for column in left if column.is_loss}
    numbers = {column.name: column.values for column in left if not column.is_loss}
    line = line if line.any() else line[:0]
    table = Table(form, losses, {}, known.places, run, run_names, known.in_samples, numbers, line, words, is_held_out)
    return _finite(table._replace(other_ranks=other_ranks))


def first_rank_rows(columns: list[Column]) -> tuple[Bool[np.ndarray, " K"], tuple[int, ...]]:
    """Return (True for the rows of rank 0 and for those that name no rank, the other ranks); no ranks where there are none.

    Several processes of one training print their rows in turns. Numbers called rank are ranks if they count from 0 without a
    gap and each comes back.
    """
    for column in columns:
        if role(column.name) != "rank" or column.is_carried:
            continue
        known = column.values[~np.isnan(column.values)]
        ranks, counts = np.unique(known, return_counts=True)
        if 1 < len(ranks) <= MOST_RANKS and (ranks == np.arange(len(ranks))).all() and counts.min() > 1:
            return ~(column.values > 0), tuple(int(rank) for rank in ranks[1:])
    return np.ones(len(columns[0].values) if columns else 0, bool), ()


def _finite(table: Table) -> Table:
    """Return a table with NaN for the values that are infinite or as good as that, and their rows by column."""
    non_finite, kept = {}, []
    for columns in (table.losses, table.numbers):
        with np.errstate(invalid="ignore"):
            wrong = {name: np.abs(values) > LARGEST for name, values in columns.items()}
        non_finite |= wrong
        kept.append({name: np.where(wrong[name], np.nan, values) for name, values in columns.items()})
    return table._replace(losses=kept[0], numbers=kept[1], non_finite=non_finite)


MOST_UNEQUAL = 2
"""Factor by which two spellings of a name may differ in their number of values and still be one name."""


def _one_case(columns: list[Column]) -> list[Column]:
    """Return the columns with spellings of one name joined: they differ in case only and take turns, row by row."""
    joined: dict[str, Column] = {}
    result: list[Column] = []
    for column in columns:
        other = joined.get(column.name.lower())
        if other is None or not _take_turns(other.values, column.values):
            joined.setdefault(column.name.lower(), column)
            result.append(column)
            continue
        both = other._replace(values=np.where(np.isnan(other.values), column.values, other.values))
        result[next(place for place, known in enumerate(result) if known is other)] = both
        joined[column.name.lower()] = both
    return result


def _take_turns(first: Float[np.ndarray, " K"], second: Float[np.ndarray, " K"]) -> bool:
    known: tuple[Bool[np.ndarray, " K"], ...] = (~np.isnan(first), ~np.isnan(second))
    counts = [int(mask.sum()) for mask in known]
    return not (known[0] & known[1]).any() and max(counts) <= MOST_UNEQUAL * min(counts)


def number(text: object) -> float | None:
    """Return `text` as a number, or None if it is none: NaN and infinities count as numbers, True does not."""
    if isinstance(text, bool):
        return None
    if isinstance(text, (int, float)):
        try:
            return float(text)
        except OverflowError:
            return math.inf
    if not isinstance(text, str) or len(text) > LONGEST_NAME:
        return None
    try:
        return float(text)
    except ValueError:
        return None
