"""The loss series of a file, and the choice of the one that is the training loss."""

from typing import NamedTuple

import numpy as np

from jaxsgd.diagnosis.column import is_held_out, is_known_loss, is_training, is_unnamed
from jaxsgd.diagnosis.table import Table
from jaxsgd.error import InputError, counted, no_such

FEWEST = 4
"""Number of values from which a column counts as a log; a trainer's summary has one value."""

_PREFERRED = (
    "loss", "train_loss", "train/loss", "training_loss", "train loss", "training loss", "total_loss", "total loss",
    "loss_total", "loss/total", "train/total_loss", "train_loss_step", "loss_step", "lm loss", "lm_loss", "avg loss",
    "avr_loss", "total", "train/crossentropyloss", "train_inner/loss", "loss/train", "loss_train", "trl",
    "xent", "cost", "train", "training",
)  # fmt: skip

NEARLY_AS_MANY = 0.5
"""Part of the largest number of values in a shape from which a series is not left out for having fewer."""

PLACELESS = 0.2
"""Factor on the number of values of a shape that has neither epoch nor step, when shapes are compared."""


class LossSeries(NamedTuple):
    """A number of one shape of a file.

    Attributes:
      table: the rows of that shape.
      name: of the number.
      kind: 0 for a loss by its name, 1 for a name that trainers give a loss without the word, 2 for any other number.
      finite_count: number of its finite values.
      all_count: number of all its values, with those that are NaN or infinite.
      is_held_out: True if its name or its lines speak of a validation or test set.
    """

    table: Table
    name: str
    kind: int
    finite_count: int
    all_count: int
    is_held_out: bool

    @property
    def label(self) -> str:
        """The name with the words of its lines, which tell it from others of the same name."""
        return f"{self.name} (in lines with {self.table.words!r})" if self.table.words else self.name


def file_series(table: Table) -> list[LossSeries]:
    """Return all numbers of all shapes of a file, losses first."""
    series = []
    for shape in table.shapes:
        for names, is_loss in ((shape.losses, True), (shape.numbers, False)):
            for name, values in names.items():
                kind = 0 if is_loss else 1 if is_known_loss(name) or is_unnamed(name) else 2
                held_out = is_held_out(name) or (shape.is_held_out and not is_training(name))
                finite = int(np.isfinite(values).sum())
                lost = int(shape.non_finite[name].sum()) if name in shape.non_finite else 0
                series.append(LossSeries(shape, name, kind, finite, finite + lost, held_out))
    return sorted(series, key=lambda item: item.kind)


def chosen_series(series: list[LossSeries], wanted: str | None, where: str, form: str = "text") -> LossSeries:
    """Return the series to read.

    Args:
      series: all numbers of the file.
      wanted: the name that the user gives, of any named number; None for the training loss, if only one series can be that.
      where: the file, for messages.
      form: its format.

    Raises:
      InputError: when there is no loss, none of that name, or several that may be meant; the message lists them.
    """
    if wanted is not None:
        return _wanted(series, wanted, where)
    for kind in (0, 1):
        named = [item for item in series if item.kind == kind and item.all_count]
        training = [item for item in named if not item.is_held_out]
        if training:
            return _training(training, where)
    losses = [item for item in series if item.kind == 0]
    if losses:
        return _training(losses, where)
    raise _no_loss(series, where, form)


def _no_loss(series: list[LossSeries], where: str, form: str) -> InputError:
    """Return the error for a file in which nothing is called a loss; it lists the named numbers."""
    listed = _listed([item for item in series if item.finite_count])
    choice = f"; its named numbers are {listed}; choose one with --column{_read_so(series)}" if listed else ""
    return InputError(
        f"{where}: no training log could be read from it (it looks like {form}): no number stands beside a name that "
        f"contains 'loss'{choice}"
    )


def _read_so(series: list[LossSeries]) -> str:
    """Return a sentence with the reading of a row of the first of these series that has one."""
    samples = next((texts for item in series if (texts := sample_texts(item))), ())
    return f". Read so: {samples[0]}" if samples else ""


def _wanted(series: list[LossSeries], wanted: str, where: str) -> LossSeries:
    """Return the series of a name, of the shape with most values of it; its label or the last word of its name will do."""
    plain = wanted.strip().lower()
    for same in (
        lambda item: item.name == wanted,
        lambda item: item.label == wanted,
        lambda item: item.name.lower() == plain,
    ):
        matching = [item for item in series if same(item)]
        if matching:
            return max(matching, key=lambda item: (not item.is_held_out, item.finite_count))
    if not series:
        raise InputError(f"{where}: has no loss column, so none called {wanted!r} either")
    raise no_such(f"loss column in {where}:", wanted, dict.fromkeys(item.name for item in series))


def _training(training: list[LossSeries], where: str) -> LossSeries:
    """Return the series of the training loss: in the shape with most values, the total or the only one."""
    # A training that diverges at once has its loss in as many lines, all NaN.
    many = [item for item in training if item.all_count >= FEWEST] or training
    # Where two shapes have as many losses, the one with a validation loss is of evaluations.
    weight = {
        id(item): (item.all_count * (1 if _has_place(item.table) else PLACELESS), not any(map(is_held_out, item.table.losses)))
        for item in many
    }
    best = max(many, key=lambda item: weight[id(item)])
    same = [item for item in many if item.table is best.table]
    most = max(item.finite_count for item in same)
    same = [item for item in same if item.finite_count >= NEARLY_AS_MANY * most] or same
    same = [item for item in same if not item.name.lower().endswith("_epoch")] or same
    for name in _PREFERRED:
        matching = [item for item in same if item.name.lower() == name]
        if len(matching) == 1:
            return matching[0]
    if len(same) == 1:
        return same[0]
    totals = [item for item in same if "total" in item.name.lower()]
    if len(totals) == 1:
        return totals[0]
    raise InputError(f"{where}: has {len(same)} loss columns: {_listed(same)}; choose one with --column{_read_so(same)}")


def _has_place(table: Table) -> bool:
    return any(np.isfinite(table.places[name]).any() for name in ("epoch", "step"))


MOST_LISTED = 12


def _listed(series: list[LossSeries]) -> str:
    names = [f"{item.name!r} ({counted(item.finite_count, 'value')})" for item in series]
    return ", ".join(names[:MOST_LISTED]) + (f" and {len(names) - MOST_LISTED} more" if len(names) > MOST_LISTED else "")


def left_out_series(series: list[LossSeries], chosen: LossSeries) -> tuple[str, ...]:
    """Return the losses of other names and of other shapes of lines that are not read, each in a few words."""
    texts = []
    for item in series:
        is_chosen = item.name == chosen.name and item.table is chosen.table
        if item.kind <= chosen.kind and item.finite_count and not is_chosen:
            texts.append(f"{_apart(item, chosen.table)}: {counted(item.finite_count, 'value')}")
    return tuple(texts)


def _apart(item: LossSeries, own: Table) -> str:
    """Return the name of a series, with what tells its lines from those of the table that is read."""
    if item.table is own:
        return item.name
    if item.table.words and item.table.words != own.words:
        return item.label
    return f"{item.name} (in other lines, such as line {item.table.line[0]:,})" if len(item.table.line) else item.name


def sample_text(series: LossSeries, row: int) -> str:
    """Return the reading of a row: "line 41: epoch 3, step 200 of 500, loss 1.23"."""
    table = series.table
    epoch, step, total = (table.places[name][row] for name in ("epoch", "step", "total"))
    parts = [f"epoch {epoch:g}"] if np.isfinite(epoch) else []
    if np.isfinite(step):
        unit = "sample" if table.in_samples else "step"
        parts.append(f"{unit} {step:.12g}" + (f" of {total:.12g}" if np.isfinite(total) else ""))
    value = f"{table.values(series.name)[row]:.6g}"
    parts.append(f"{series.name} is {value}" if is_unnamed(series.name) else f"{series.name} {value}")
    return f"{row_place(table, row)}: {', '.join(parts)}"


def row_place(table: Table, row: int) -> str:
    """Return where a row stands: "line 41"."""
    return f"line {table.line[row]:,}" if len(table.line) else f"value {row + 1:,}"


def sample_texts(series: LossSeries) -> tuple[str, ...]:
    """Return the readings of two rows of a series: its first, and one from its middle."""
    rows = np.flatnonzero(np.isfinite(series.table.values(series.name)))
    return tuple(sample_text(series, int(row)) for row in dict.fromkeys([rows[0], rows[len(rows) // 2]])) if len(rows) else ()
