"""The place of each row in a training run: the columns that behave as an epoch, a step and the number it counts up to."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from jaxsgd.diagnosis.column import is_known_loss, role

PLACES: tuple[str, ...] = ("epoch", "step", "total", "rate")
"""The numbers that a row may contain besides its losses: its epoch, a count of batches, its total, the learning rate."""

LARGEST_COUNT = 1e12
"""Largest number that is taken for an epoch or a step; a larger one is a damaged number."""


class Column(NamedTuple):
    """A named number of each row; K rows.

    Attributes:
      name: as the file has it; empty for a number without a name.
      values: [K]; NaN where a row does not contain it, infinite where it is not finite in the file.
      total: [K], the second number of a share, such as 60 in `10/60`; None where it is no share.
      has_percent: True if a percentage stands beside the share.
      is_listed_loss: True if it stands in a list of losses, so that it is one whatever its name.
      is_carried: True if the rows have it from an earlier line.
      is_value: False if it can only be a place.
      in_epoch_line: True if the word epoch stands in the row's line.
      is_unnamed: True if the name only numbers it, because it has none.
    """

    name: str
    values: Float[np.ndarray, " K"]
    total: Float[np.ndarray, " K"] | None = None
    has_percent: bool = False
    is_listed_loss: bool = False
    is_carried: bool = False
    is_value: bool = True
    in_epoch_line: bool = False
    is_unnamed: bool = False

    @property
    def is_loss(self) -> bool:
        """True if the name is that of a loss."""
        return self.is_listed_loss or role(self.name) == "loss"

    def rows(self, kept: Bool[np.ndarray, " K"]) -> "Column":
        """Return the column with some of its rows only."""
        return self._replace(values=self.values[kept], total=None if self.total is None else self.total[kept])


class RowPlaces(NamedTuple):
    """The places of K rows.

    Attributes:
      places: epoch, step, total and rate, [K]; NaN where a row does not contain it.
      used: the names of the columns that they come from.
      in_samples: True if the step counts samples.
    """

    places: dict[str, Float[np.ndarray, " K"]]
    used: frozenset[str]
    in_samples: bool


def find_places(columns: list[Column], rows: int) -> RowPlaces:
    """Return the places of rows: names propose the columns, and their behaviour decides.

    A step grows, or grows and begins again where the epoch grows. An epoch grows where the step begins again.
    """
    missing = np.full(rows, np.nan)
    loss = next((column.values for column in columns if column.is_loss or is_known_loss(column.name)), None)
    # Rows that have no loss, such as those of another network's, do not count.
    own = ~np.isnan(loss) if loss is not None and (~np.isnan(loss)).any() else np.ones(rows, bool)
    counts = [_clean(column) for column in columns if not column.is_loss]
    counts = [column for column in counts if np.isfinite(column.values[own]).mean() >= MOST_OF_ROWS] if own.any() else []
    counts = [part for column in counts for part in _parts(column, own)]
    epoch = _named_epoch(counts, own)
    steps = [column for column in counts if column is not epoch and _may_count(column) and role(column.name) != "epoch"]
    step = _step(steps, epoch, own)
    if step is not None and (epoch is None or np.ptp(epoch.values[own]) == 0):
        rising = [column for column in counts if column is not step and _is_whole(column.values[own])]
        better = next((column for column in rising if _is_epoch_of(column.values[own], step.values[own])), None)
        epoch = better or epoch
    if step is not None and epoch is None:
        last = next((column for column in steps if column is not step and _is_last_of(column.values[own], step, own)), None)
        epoch, step = (step, last) if last is not None else (epoch, step)
    places = dict.fromkeys(PLACES, missing)
    used = []
    if epoch is not None:
        places["epoch"] = _from_the_start(epoch)
        used.append(epoch.name)
    if step is not None:
        places["step"] = step.values
        used.append(step.name)
        total = step.total
        if total is None:
            total = next((column.values for column in counts if role(column.name) == "total"), None)
        if total is not None:
            places["total"] = total
    rate = next((column for column in columns if role(column.name) == "rate"), None)
    if rate is not None:
        places["rate"] = np.where(np.isfinite(rate.values), rate.values, np.nan)
    if step is None and epoch is None:
        return RowPlaces(places, frozenset(), False)
    return RowPlaces(places, frozenset(used), step is not None and _counts_samples(step, own))


MOST_OF_ROWS = 0.5
"""Share of the rows that must contain a number for it to be their place."""


def _from_the_start(epoch: Column) -> Float[np.ndarray, " K"]:
    """Return epochs with those of the rows before the first headline, which is then that of the next epoch."""
    known = np.flatnonzero(np.isfinite(epoch.values))
    if not epoch.is_carried or not len(known) or known[0] == 0 or epoch.values[known[0]] < 1:
        return epoch.values
    values = epoch.values.copy()
    values[: known[0]] = values[known[0]] - 1
    return values


def _clean(column: Column) -> Column:
    """Return a column with NaN for what is too large, or below 0, to count something."""
    values, total = column.values, column.total
    with np.errstate(invalid="ignore"):
        values = np.where((values >= 0) & (values < LARGEST_COUNT), values, np.nan)
        total = None if total is None else np.where((total >= 0) & (total < LARGEST_COUNT), total, np.nan)
    return column._replace(values=values, total=total)


def _parts(column: Column, own: Bool[np.ndarray, " K"]) -> list[Column]:
    """Return the column; or its two numbers apart where the second is no total, as in WeNet's `Batch 3/100` of epoch 3."""
    if column.total is None or _is_constant(column.total[own]):
        return [column]
    moved, counted = (
        float((np.diff(values[own]) != 0).mean()) if own.sum() > 1 else 0.0 for values in (column.values, column.total)
    )
    if not (counted > 0.5 > moved and _falls(column.values[own]) == 0):
        return [column]
    return [column._replace(name=f"{column.name} epoch", total=None), column._replace(values=column.total, total=None)]


def _is_whole(values: np.ndarray) -> bool:
    known = values[np.isfinite(values)]
    return bool(len(known)) and bool((known % 1 == 0).all())


def _may_count(column: Column) -> bool:
    """Return True for a column that may be a step by its name: a step's, a count of samples, a share's, or none."""
    meant = role(column.name)
    if meant in ("step", "samples"):
        return True
    return meant == "" and (column.total is not None or column.is_unnamed) and _is_whole(column.values)


def _named_epoch(counts: list[Column], own: Bool[np.ndarray, " K"]) -> Column | None:
    """Return the first column with an epoch's name that seldom falls, or else the first with the name."""
    named = [column for column in counts if role(column.name) == "epoch"]
    falls = [_falls(column.values[own]) for column in named]
    return named[int(np.argmin(falls))] if named else None


def _falls(values: np.ndarray) -> float:
    """Return the share of the changes that are downwards; 0 where nothing changes."""
    change = np.diff(values[np.isfinite(values)])
    change = change[change != 0]
    return float((change < 0).mean()) if len(change) else 0.0


STEADY = 0.8
"""Share of a step's changes that must be upwards, where the epoch does not begin anew."""

MOVING = 0.3
"""Share of the rows in which a step that has no name, or stands on an earlier line, must be another than in the row before."""


def _step(steps: list[Column], epoch: Column | None, own: Bool[np.ndarray, " K"]) -> Column | None:
    """Return the column that behaves as a step; or one that is called so, if none does.

    A count within the epoch with its total says all. A count through the run comes next.
    """
    ranked = []
    for rank, column in enumerate(steps):
        values = column.values[own]
        growth, moves, restarts = _growth(values, None if epoch is None else epoch.values[own])
        is_step = role(column.name) == "step"
        if not _is_whole(values) or growth < STEADY:
            continue
        needed = MOVING if column.is_carried or not is_step else 0.0
        if moves < needed or (moves == 0 and column.total is None):
            continue
        total_known = column.total is not None and _is_constant(column.total[own])
        if column.total is not None and not total_known and not is_step:
            # Two numbers of tokens a second are no share.
            continue
        quality = (
            total_known and restarts,
            is_step and not column.is_carried,
            is_step,
            total_known,
            role(column.name) != "samples",
            not column.is_unnamed,
        )
        ranked.append((quality, -rank, column))
    # `[3,    20] loss: 1.07`: the first of two numbers without names is the epoch of the second.
    ranked = [
        item
        for item in ranked
        if not item[2].is_unnamed or not any(_is_epoch_of(item[2].values[own], other[2].values[own]) for other in ranked)
    ]
    if ranked:
        return max(ranked, key=lambda item: item[:2])[2]
    named = [
        column
        for column in steps
        if role(column.name) == "step"
        and not column.is_carried
        and _is_whole(column.values[own])
        and np.ptp(column.values[own]) > 0
    ]
    return named[0] if named else None


def _is_constant(total: np.ndarray) -> bool:
    """Return True if a total stays the same, but for a few rows."""
    known = total[np.isfinite(total)]
    return bool(len(known)) and float((np.diff(known) == 0).mean() if len(known) > 1 else 1.0) >= 0.9


def _growth(values: np.ndarray, epoch: np.ndarray | None) -> tuple[float, float, bool]:
    """Return (share of the changes that are upwards, share of the rows with a change, True if it begins again)."""
    change = np.diff(values)
    known = np.isfinite(change)
    inner = known.copy()
    if epoch is not None:
        inner &= ~(np.diff(epoch) != 0)
    moved = inner & (change != 0)
    if not moved.any():
        across = known & (change != 0)
        return 1.0, float(across.sum()) / max(int(known.sum()), 1), bool((change[known] <= 0).any())
    up = (change > 0) & moved
    down = moved & (change < 0)
    if epoch is None:
        # A count that begins again comes back to where it began; one that does so after equal stretches counts as growing.
        first = values[np.isfinite(values)][0]
        down &= ~(values[1:] <= first)
    growth = 1 - float(down.sum()) / int(moved.sum())
    if up.sum() < down.sum() or not up.any():
        growth = 0.0
    return growth, float((known & (change != 0)).sum()) / max(int(known.sum()), 1), bool((change[known] < 0).any())


def _is_epoch_of(values: np.ndarray, step: np.ndarray) -> bool:
    """Return True if a number grows by one where the step begins again, and nowhere else."""
    change, restart = np.diff(values), np.diff(step) < 0
    if not np.isfinite(change).all() or not restart.any():
        return False
    grows = change == 1
    return bool(((change == 0) | grows).all()) and float((grows & restart).sum()) >= 0.9 * max(
        int(grows.sum()), int(restart.sum())
    )


def _is_last_of(values: np.ndarray, epoch: Column, own: Bool[np.ndarray, " K"]) -> bool:
    """Return True if a number is the same in all rows, and a number without a name counts below it, by one from row to row.

    `[7, 2000] loss: 0.573`, printed once an epoch: the first is the epoch, the second the batch.
    """
    count = epoch.values[own]
    is_alone = epoch.is_unnamed and epoch.total is None and len(values) > 1
    return is_alone and bool((np.diff(count) == 1).all() and np.ptp(values) == 0 and count.max() < values[0])


def _counts_samples(step: Column, own: Bool[np.ndarray, " K"]) -> bool:
    """Return True if a step counts samples: by its name, or as PyTorch's MNIST example prints them.

    That example prints the samples done before the batch with their percentage, in a line with the word epoch, so that its
    count never comes to its end.
    """
    if role(step.name) == "samples":
        return True
    if not (step.has_percent and step.in_epoch_line and step.total is not None):
        return False
    with np.errstate(invalid="ignore"):
        return not bool((step.values[own] >= step.total[own] - 1).any())
