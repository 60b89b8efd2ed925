"""Tables of text: CSV with commas, semicolons or tabs, and a first line of names.

Lightning's `metrics.csv`, Keras's CSVLogger, exports of W&B (their MIN and MAX columns are dropped) and TensorBoard, and
any other with a column whose name has `loss` in it.
"""

import csv
import re

from jaxsgd.diagnosis.column import is_known_loss, role
from jaxsgd.diagnosis.source import Source
from jaxsgd.diagnosis.table import Reader, Table, TableBuilder, number
from jaxsgd.error import InputError

FORM = "CSV"

_OF_TENSORBOARD = ["wall time", "step", "value"]


def matches(head: bytes) -> bool:
    """Return True if the first line contains names, several or that of a loss, and the next line as many cells, with numbers."""
    lines = [line for line in head.decode("utf-8-sig", "replace").splitlines() if line.strip()]
    if len(lines) < 2 or lines[0].lstrip().startswith(("{", "[")):
        return False
    delimiter = _delimiter(lines[0])
    names, values = (next(csv.reader([line], delimiter=delimiter), []) for line in lines[:2])
    if len(names) != len(values) or any(number(name) is not None or not name.strip() for name in names[1:] or names):
        return False
    is_names = len(names) > 1 or any(role(name) or is_known_loss(name) for name in names)
    is_numbers = any(number(value.strip()) is not None for value in values)
    # A line of text may have commas, too, but it has numbers beside its names.
    return is_names and is_numbers and not any(re.search(r"[:=]\s*[-+.\d]", name) for name in names)


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
    known = [name.lower() for name in names]
    builder = TableBuilder(FORM)
    if known == _OF_TENSORBOARD:
        names[0] = ""
        builder.call_loss(names[2])
    runs = [place for place, name in enumerate(names) if role(name) == "run"]
    columns = [(place, name) for place, name in enumerate(names) if name and place not in runs and not _is_extreme(name)]
    table = csv.reader(lines, delimiter=delimiter)
    try:
        for cells in table:
            row = {}
            for place, name in columns:
                if place < len(cells) and (value := number(cells[place].strip())) is not None:
                    row.setdefault(name, value)
            if row:
                run = cells[runs[0]] if runs and runs[0] < len(cells) else ""
                builder.add_named(row, run, table.line_num + 1)
    except csv.Error as error:
        raise InputError(f"{source.path}: cannot be read as CSV: {error}") from None
    return builder.table()


def _is_extreme(name: str) -> bool:
    return name.lower().endswith(("__min", "__max"))


READER = Reader(matches, read)
