"""Tables of text: CSV with commas, semicolons (then with decimal points or commas) or tabs, and a first line of names.

Lightning's `metrics.csv`, Keras's CSVLogger, exports of W&B (their MIN and MAX columns are dropped) and TensorBoard, and
any other with a column whose name has `loss` in it.
"""

import csv
import itertools
import re

from jaxsgd.diagnosis.column import COLUMN, is_known_loss, role
from jaxsgd.diagnosis.source import Source
from jaxsgd.diagnosis.table import Reader, Table, TableBuilder, number
from jaxsgd.error import InputError

FORM = "CSV"

_OF_TENSORBOARD = ["wall time", "step", "value"]


def matches(head: bytes) -> bool:
    """Return True if the first line contains names, several or a loss's, and the next line as many cells with numbers."""
    lines = [line for line in head.decode("utf-8-sig", "replace").splitlines() if line.strip()]
    if len(lines) < 2 or lines[0].lstrip().startswith(("{", "[")):
        return False
    if _is_headless(lines[:3]):
        return True
    delimiter = _delimiter(lines[0])
    names, values = (next(csv.reader([line], delimiter=delimiter), []) for line in lines[:2])
    if len(names) != len(values) or any(number(name) is not None or not name.strip() for name in names[1:] or names):
        return False
    is_names = len(names) > 1 or any(role(name) or is_known_loss(name) for name in names)
    is_numbers = any(value is not None for value in _values(values, delimiter))
    # A line of text may have commas, too, but it has numbers beside its names.
    return is_names and is_numbers and not any(re.search(r"[:=]\s*[-+.\d]", name) for name in names)


def _is_headless(lines: list[str]) -> bool:
    """Return True if all lines have the same number of cells, two or more, and all of them are numbers."""
    delimiter = _delimiter(lines[0])
    rows = [next(csv.reader([line], delimiter=delimiter), []) for line in lines]
    same = len({len(cells) for cells in rows}) == 1 and len(rows[0]) > 1
    return same and all(value is not None for cells in rows for value in _values(cells, delimiter))


def _delimiter(line: str) -> str:
    return max(";,\t", key=line.count)


def _values(cells: list[str], delimiter: str) -> list[float | None]:
    """Return the numbers in the cells of a line, None where there is none.

    Between semicolons a comma is a decimal mark, as spreadsheets write it, unless another number of the line has a point: then
    it may separate thousands.
    """
    has_commas = delimiter == ";" and not any("." in cell for cell in cells)
    texts = [cell.strip() for cell in cells]
    return [number(text.replace(",", ".") if has_commas and text.count(",") == 1 else text) for text in texts]


def read(source: Source) -> Table:
    """Return the rows of a table.

    Raises:
      InputError: when it cannot be read as CSV.
    """
    lines = (line for line in source.lines() if line.strip())
    first = next(lines).lstrip("\ufeff")
    delimiter = _delimiter(first)
    names = [name.strip() for name in next(csv.reader([first], delimiter=delimiter))]
    begin = 1
    if _is_headless([first]):
        names = [f"{COLUMN} {place}" for place in range(1, len(names) + 1)]
        lines, begin = itertools.chain([first], lines), 0
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
            values = _values(cells, delimiter)
            for place, name in columns:
                if place < len(cells) and (value := values[place]) is not None:
                    row.setdefault(name, value)
            if row:
                run = cells[runs[0]] if runs and runs[0] < len(cells) else ""
                builder.add_named(row, run, table.line_num + begin)
    except csv.Error as error:
        raise InputError(f"{source.path}: cannot be read as CSV: {error}") from None
    return builder.table()


def _is_extreme(name: str) -> bool:
    return name.lower().endswith(("__min", "__max"))


READER = Reader(matches, read)
