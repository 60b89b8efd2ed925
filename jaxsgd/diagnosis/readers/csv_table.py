"""Tables of text: CSV with commas, semicolons or tabs, and a first line of names.

Lightning's `metrics.csv`, Keras's CSVLogger, exports of W&B (their MIN and MAX columns are dropped) and TensorBoard, and
any other with a column whose name has `loss` in it.
"""

import csv

from jaxsgd.diagnosis.column import role
from jaxsgd.diagnosis.source import Source
from jaxsgd.diagnosis.table import Reader, Table, TableBuilder, number
from jaxsgd.error import InputError

FORM = "CSV"

_OF_TENSORBOARD = ["wall time", "step", "value"]


def matches(head: bytes) -> bool:
    """Return True if the first line contains names, several or that of a loss, and the next line numbers."""
    lines = [line for line in head.decode("utf-8-sig", "replace").splitlines() if line.strip()]
    if len(lines) < 2 or lines[0].lstrip().startswith(("{", "[")):
        return False
    delimiter = _delimiter(lines[0])
    names, values = (next(csv.reader([line], delimiter=delimiter), []) for line in lines[:2])
    if len(names) != len(values) or any(number(name) is not None for name in names):
        return False
    known = [role(name) for name in names]
    is_names = any(known) or [name.strip().lower() for name in names] == _OF_TENSORBOARD
    is_numbers = sum(number(value.strip()) is not None for value in values) > 0
    return is_names and is_numbers and all(":" not in name or role(name) != "loss" for name in names)


def _delimiter(line: str) -> str:
    return max(",;\t", key=line.count)


def read(source: Source) -> Table:
    """Return the rows of a table.

    Raises:
      InputError: when it cannot be read as CSV.
    """
    lines = (line for line in source.lines() if line.strip())
    first = next(lines).lstrip("\ufeff")
    delimiter = _delimiter(first)
    names = [name.strip() for name in next(csv.reader([first], delimiter=delimiter))]
    roles = [role(name) for name in names]
    if [name.lower() for name in names] == _OF_TENSORBOARD:
        roles[2] = "loss"
    if "step" in roles and [name.lower() for name in names].count("batch") and roles.count("step") > 1:
        # Keras's `batch` counts within the epoch; a global step beside it says more.
        roles[[name.lower() for name in names].index("batch")] = ""
    builder = TableBuilder(FORM)
    columns = [(place, meant, names[place]) for place, meant in enumerate(roles) if meant]
    try:
        for cells in csv.reader(lines, delimiter=delimiter):
            _add(builder, columns, cells)
    except csv.Error as error:
        raise InputError(f"{source.path}: cannot be read as CSV: {error}") from None
    return builder.table()


def _add(builder: TableBuilder, columns: list[tuple[int, str, str]], cells: list[str]) -> None:
    losses, places, run = {}, {}, ""
    for place, meant, name in columns:
        cell = cells[place] if place < len(cells) else ""
        if not cell:
            continue
        if meant == "run":
            run = cell
        elif (value := number(cell.strip())) is not None:
            if meant == "loss":
                losses[name] = value
            elif meant not in places:
                places[meant] = value
    if losses:
        builder.add(losses, places, run)


READER = Reader(matches, read)
