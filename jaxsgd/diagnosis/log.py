"""A training log: the printed losses of one run in their order, and a count of everything that was left out."""

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from jaxsgd.diagnosis.column import is_held_out, is_training
from jaxsgd.diagnosis.loss_series import LossSeries, chosen_series, file_series, left_out_series, row_place, sample_texts
from jaxsgd.diagnosis.reading import read_table
from jaxsgd.diagnosis.table import Table
from jaxsgd.error import InputError, counted, verb
from jaxsgd.summary import short_repr


class Log(NamedTuple):
    """The printed losses of one run; n prints.

    Attributes:
      loss: [n], in loss units, in the order of training.
      epoch: [n], as the log has it; NaN where it does not.
      step: [n], batches done, over the whole run or within the epoch, as the log has it; NaN where it does not.
      total: [n], the number that the step counts up to; NaN where the log does not have it.
      rate: [n], learning rate; NaN where the log does not have it.
      in_samples: True if steps count samples.
      form: the file's format.
      column: the name of the losses' column.
      other_columns: the loss columns that are not read.
      non_finite: number of values that are NaN or infinite, left out.
      non_finite_from: where the values at the end begin that are all NaN or infinite, in words: "line 152"; empty where there
        are fewer than two of them.
      duplicates: number of prints of a step that is printed again at once, left out.
      resumed: how often the steps go back, as when a run is resumed; later prints then replace the earlier ones of their steps.
      repeated: number of prints that were so replaced.
      placeless: number of losses left out because they have no step and others do.
      samples: two of the readings in words, with their lines: "line 41: epoch 3, step 200, loss 1.23".
      left_out: the other losses in the file, of this and other shapes of lines, in words.
      other_ranks: the ranks of the processes whose losses are left out, because those of rank 0 are read.
      processes: losses of each step, of which the mean is read; 1 where each step has one loss.
      line: [n], the line of each loss in the file, from 1; empty where the format has no lines.
    """

    loss: Float[np.ndarray, " n"]
    epoch: Float[np.ndarray, " n"]
    step: Float[np.ndarray, " n"]
    total: Float[np.ndarray, " n"]
    rate: Float[np.ndarray, " n"]
    in_samples: bool = False
    form: str = "array"
    column: str = "loss"
    other_columns: tuple[str, ...] = ()
    non_finite: int = 0
    non_finite_from: str = ""
    duplicates: int = 0
    resumed: int = 0
    repeated: int = 0
    placeless: int = 0
    samples: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    other_ranks: tuple[int, ...] = ()
    processes: int = 1
    line: Int[np.ndarray, " L"] = np.zeros(0, np.int64)

    __repr__ = short_repr


def read_log(path: str | Path, column: str | None = None, run: int | None = None) -> Log:
    """Read a training log in any of the formats of `jaxsgd.diagnosis.readers`.

    Args:
      path: the file.
      column: the loss column; None where only one can be meant.
      run: of a file with several runs, the number of the run, from 1.

    Raises:
      InputError: when there is no log in the file, no such column, or more than one run and none is chosen.
    """
    return table_log(read_table(path), str(path), column, run)


def table_log(table: Table, where: str, column: str | None = None, run: int | None = None) -> Log:
    """Return the log in a table.

    Args:
      table: rows of numbers.
      where: the table's name, for messages.
      column, run: as in `read_log`.

    Raises:
      InputError: as `read_log`.
    """
    series = file_series(table)
    chosen = chosen_series(series, column, where, table.form)
    try:
        log = joined_log(chosen, where, run)
    except InputError as error:
        samples = "; ".join(sample_texts(chosen))
        raise InputError(
            f"{error}. Read so: {samples}" if samples and not str(error).startswith("--run") else str(error)
        ) from None
    return log._replace(left_out=left_out_series(series, chosen))


def losses_log(loss: Float[np.ndarray, " n"]) -> Log:
    """Return a log of bare losses, known by their order only; those that are not finite are left out."""
    loss = np.asarray(loss, np.float64)
    known = np.isfinite(loss)
    kept = loss[known]
    missing = np.full(len(kept), np.nan)
    return Log(kept, missing, missing, missing, missing, non_finite=len(loss) - len(kept), non_finite_from=lost_from(known))


FEWEST_AT_END = 2
"""Number of values at the end of a log that are all NaN or infinite from which on the training has diverged."""


def lost_from(known: Bool[np.ndarray, " n"]) -> str:
    """Return where the losses at the end begin that are not finite, in words; empty where there are fewer than two.

    Args:
      known: [n], True for the finite losses.
    """
    count = int(np.flatnonzero(known)[-1]) + 1 if known.any() else 0
    return f"value {count + 1:,}" if len(known) - count >= FEWEST_AT_END else ""


def _row_lost_from(series: LossSeries, last: int) -> str:
    """Return where the values begin that are not finite and come after the last loss of a run, in words.

    Args:
      series: of which the losses are.
      last: the row of that loss.
    """
    table, values = series.table, series.table.values(series.name)
    later = np.flatnonzero(np.isfinite(values[last + 1 :]))
    stop = last + 1 + int(later[0]) if len(later) else len(values)
    lost = np.flatnonzero(table.non_finite[series.name][:stop] & (table.run[:stop] == table.run[last]))
    lost = lost[lost > last]
    return row_place(table, int(lost[0])) if len(lost) >= FEWEST_AT_END else ""


def joined_log(series: LossSeries, where: str, run: int | None = None) -> Log:
    """Return one run's losses of a series, in the order of training.

    Args:
      series: the losses of the rows of one shape.
      where: the file, for messages.
      run: the number of the run, from 1.

    Raises:
      InputError: when the rows contain several runs and `run` is None, or there is no such run, or nothing is left.
    """
    table, column = series.table, series.name
    values = table.values(column)
    known = np.isfinite(values)
    if not known.any():
        count = int(table.non_finite[column].sum()) if column in table.non_finite else 0
        raise InputError(f"{where}: {column!r} has no finite value" + (f": all {count:,} are NaN or infinite" * bool(count)))
    # The rows go through all that is left out and joined with the epochs and steps.
    rows = {**table.places, "row": np.arange(len(values), dtype=np.float64)}
    loss, places = values[known], {name: place[known] for name, place in rows.items()}
    chosen = _run_rows(table.run[known], table.run_names, where, run)
    loss, places = loss[chosen], {name: place[chosen] for name, place in places.items()}
    loss, places, placeless = _placed(loss, places)
    places = _with_epochs(places)
    key = order_key(places)
    processes = _process_count(key, loss)
    if processes > 1:
        key, first, number, count = np.unique(key, return_index=True, return_inverse=True, return_counts=True)
        loss, places = np.bincount(number, loss) / count, {name: place[first] for name, place in places.items()}
    begins = _beginnings(key, loss)
    if isinstance(begins, str):
        raise InputError(f"{where}: {begins}")
    if len(begins) > 1 and len(set(table.run[known])) == 1:
        rows = [f"{start + 1}-{stop}" for start, stop in zip(begins, [*begins[1:], len(key)], strict=True)]
        number = _number_of_run(run, len(begins), f"losses {_few(rows)}", where)
        own = slice(begins[number], [*begins[1:], len(key)][number])
        loss, key, places = loss[own], key[own], {name: place[own] for name, place in places.items()}
    elif run is not None and len(set(table.run[known])) == 1 and run != 1:
        raise InputError(f"--run {run}: {where} contains one run; leave --run out")
    kept, duplicates, resumed, repeated = _newest(key)
    others = tuple(name for name in table.losses if name != column)
    row = places["row"][kept].astype(np.int64)
    return Log(
        loss[kept], places["epoch"][kept], places["step"][kept], places["total"][kept], places["rate"][kept],
        table.in_samples, table.form, column, others, int(table.non_finite[column].sum()),
        _row_lost_from(series, int(row[-1])), duplicates, resumed, repeated, placeless,
        sample_texts(series), other_ranks=table.other_ranks, processes=processes,
        line=table.line[row] if len(table.line) else table.line,
    )  # fmt: skip


def _placed(loss: np.ndarray, places: dict[str, np.ndarray]) -> tuple[np.ndarray, dict[str, np.ndarray], int]:
    """Return losses and places without the losses that have no step where most have one, and the number of these."""
    placed = np.isfinite(places["step"])
    if placed.all() or not placed.any():
        return loss, places, 0
    if placed.mean() < 0.5:
        missing = np.full(len(loss), np.nan)
        return loss, places | {"step": missing, "total": missing}, 0
    return loss[placed], {name: values[placed] for name, values in places.items()}, int((~placed).sum())


def _run_rows(numbers: np.ndarray, names: tuple[str, ...], where: str, run: int | None) -> np.ndarray:
    """Return True for the rows of the chosen run, where rows name their run."""
    runs = [int(number) for number in np.unique(numbers)]
    if len(runs) == 1:
        return np.ones(len(numbers), bool)
    chosen = _number_of_run(run, len(runs), _few([names[number] for number in runs]), where)
    return numbers == runs[chosen]


def _number_of_run(run: int | None, count: int, listed: str, where: str) -> int:
    if run is None:
        raise InputError(f"{where}: contains {count} runs ({listed}); choose one with --run 1 ... {count}")
    if not 1 <= run <= count:
        raise InputError(f"--run must be a whole number from 1 to {count}, the runs in {where}, got {run}")
    return run - 1


def _few(names: list[str]) -> str:
    return ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")


FEWEST_RESETS = 2
"""How often a count must begin again to be one within the epoch, where the log has no epochs."""


def _with_epochs(places: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the places with epochs counted where the log has none, from a step that begins again after equally many prints."""
    step = places["step"]
    if np.isfinite(places["epoch"]).any() or not np.isfinite(step).all() or len(step) < 4:
        return places
    resets = np.flatnonzero(np.diff(step) < 0) + 1
    lengths = np.diff(np.append(0, resets))
    if len(resets) < FEWEST_RESETS or np.ptp(lengths) > max(1, 0.02 * lengths.max()):
        return places
    epoch = np.zeros(len(step))
    epoch[resets] = 1
    return places | {"epoch": np.cumsum(epoch)}


SHARE_OF_RESETS = 0.1
"""Share of the new epochs at which a count must begin again to be one within the epoch."""


def counts_within_epoch(epoch: Float[np.ndarray, " n"], step: Float[np.ndarray, " n"]) -> bool:
    """Return True if steps begin again with each epoch and do not go on through the run."""
    if not (np.isfinite(epoch).all() and np.isfinite(step).all()):
        return False
    later = np.diff(epoch) > 0
    # Not with each new epoch: where prints are rarer than epochs, a later epoch may be printed at a later batch.
    return bool(later.any()) and float(np.mean(np.diff(step)[later] <= 0)) >= SHARE_OF_RESETS


def order_key(places: dict[str, Float[np.ndarray, " n"]]) -> Float[np.ndarray, " n"]:
    """Return a number for each print that grows as training goes on, [n]; prints of one step have the same number."""
    epoch, step = places["epoch"], places["step"]
    if counts_within_epoch(epoch, step):
        return epoch * (step.max() - step.min() + 1) + step - step.min()
    if np.isfinite(step).all():
        return step
    if np.isfinite(epoch).all():
        return epoch + _place_among_equal(epoch)
    return np.arange(len(epoch), dtype=np.float64)


def _place_among_equal(epoch: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Return the place of each print among those next to it of the same epoch, as a part of the step to the next epoch, [n].

    Several prints may share an epoch, whole or rounded: their order in the file separates them.
    """
    count = len(epoch)
    begins = np.append(True, np.diff(epoch) != 0)
    within = np.arange(count) - np.maximum.accumulate(np.where(begins, np.arange(count), 0))
    gaps = np.abs(np.diff(np.unique(epoch)))
    return within * (float(gaps.min()) if len(gaps) else 1.0) / (within.max(initial=0) + 1)


MOST_PROCESSES = 64
"""Largest number of losses of a step that are taken for those of as many processes."""

IN_STEP = 0.95
"""Share of the steps that must have that many losses."""

MOST_APART = 0.5
"""Mean difference from the other losses of a step, in its standard deviations, from which losses are of another training."""


def _process_count(key: Float[np.ndarray, " n"], loss: Float[np.ndarray, " n"]) -> int:
    """Return the number of processes that print a loss of their own at each step of one training; 1 if that is not so.

    The processes of one training wait for each other at each step: every step has as many losses, which stand together, and
    none is usually larger than the others, because all have the same parameters. Two trainings do not wait for each other, or
    their losses differ.
    """
    number, count = np.unique(key, return_inverse=True, return_counts=True)[1:]
    usual = int(np.median(count)) if len(count) else 1
    if not 1 < usual <= MOST_PROCESSES or float((count == usual).mean()) < IN_STEP:
        return 1
    order = np.argsort(key, kind="stable")
    if np.abs(order - np.arange(len(key))).max() >= usual:
        return 1
    whole = loss[order][(count == usual)[number[order]]].reshape(-1, usual)
    apart = whole - whole.mean(axis=1, keepdims=True)
    scatter = apart.std(axis=0)
    # The same loss from all is no loss of their own: it is printed again, and left out as such.
    if float((np.ptp(whole, axis=1) > 0).mean()) <= 0.5 or (np.abs(apart.mean(axis=0)) > MOST_APART * scatter).any():
        return 1
    return usual


def _beginnings(key: np.ndarray, loss: np.ndarray) -> list[int] | str:
    """Return the prints at which runs begin: the first, and those at which the key goes back to it; or an error in words."""
    back = np.flatnonzero(np.diff(key) < 0) + 1
    begins = [0, *(int(place) for place in back if key[place] <= key[0])]
    if len(back) - len(begins) + 1 > max(20, 0.05 * len(key)):
        return (
            f"its steps go back {len(back):,} times, as those of one run do not; sort its lines, or keep only those of one run"
        )
    same = np.diff(key) == 0
    if same.sum() > 0.4 * len(key) and (np.diff(loss)[same] != 0).mean() > 0.5:
        return "has several different losses for each step, so two runs are mixed; keep only the lines of one run"
    return begins


def _newest(key: np.ndarray) -> tuple[np.ndarray, int, int, int]:
    """Return the prints that no later one replaces: (indices, duplicates, times the key goes back, prints replaced so)."""
    lowest_later = np.minimum.accumulate(np.append(key[1:], math.inf)[::-1])[::-1]
    kept = key < lowest_later
    twice = np.append(key[1:] == key[:-1], False)
    resumed = int((np.diff(key) < 0).sum())
    duplicates = int((~kept & twice).sum())
    return np.flatnonzero(kept), duplicates, resumed, int((~kept).sum()) - duplicates


class LogNote(NamedTuple):
    """A remark on something that was left out of a log or joined in it, or on its losses.

    Attributes:
      name: its subject.
      text: one sentence or two.
    """

    name: str
    text: str


def log_notes(log: Log) -> list[LogNote]:
    """Return a remark on each kind of thing that was left out or joined, and on losses that are not of the training."""
    notes = []
    if is_held_out(log.column) and not is_training(log.column):
        notes.append(
            LogNote(
                "held_out",
                f"By its name, {log.column!r} is the loss of a validation or test set, in which the order of the training data "
                "leaves no levels. Give a log of the training loss.",
            )
        )
    if log.non_finite:
        text = f"Left out {counted(log.non_finite, 'value')} that {verb(log.non_finite)} NaN or infinite."
        if log.non_finite_from:
            text += f" From {log.non_finite_from} on all values are: the training diverged there."
        notes.append(LogNote("non_finite", text))
    if log.duplicates:
        notes.append(LogNote("duplicates", f"Left out {counted(log.duplicates, 'value')} that the next line repeats."))
    if log.resumed:
        times = "once" if log.resumed == 1 else f"{log.resumed} times"
        notes.append(
            LogNote(
                "resumed",
                f"The steps go back {times}, as when a run is resumed. The parts are joined there: later values replace "
                f"{counted(log.repeated, 'earlier value')}.",
            )
        )
    if log.placeless:
        notes.append(LogNote("placeless", f"Left out {counted(log.placeless, 'loss')} without a step."))
    if log.other_ranks:
        first, last = log.other_ranks[0], log.other_ranks[-1]
        others = f"ranks {first} to {last}" if last > first else f"rank {first}"
        notes.append(
            LogNote("ranks", f"Several processes print: the losses of rank 0 are read, those of {others} are left out.")
        )
    if log.processes > 1:
        notes.append(
            LogNote(
                "processes",
                f"Each step has {log.processes} different losses, as when {log.processes} processes print without their rank, "
                "or each part of a batch is printed: their mean is read.",
            )
        )
    if log.left_out:
        notes.append(LogNote("columns", f"Other losses in the file, chosen with --column: {_few(list(log.left_out))}."))
    return notes
