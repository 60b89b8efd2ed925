"""JSON lines: one object a line, as many trainers write them, and the text logs of W&B and MMDetection."""

import json
from typing import Any

from jaxsgd.diagnosis.column import LONGEST_NAME, is_training, role
from jaxsgd.diagnosis.source import Source
from jaxsgd.diagnosis.table import Reader, Table, TableBuilder, number
from jaxsgd.error import InputError

FORM = "JSON lines"

MOST_WRONG = 20
"""Number of successive lines that may be invalid (a killed writer leaves one) before the file is refused."""


def matches(head: bytes) -> bool:
    """Return True if the first line is a whole JSON object, of values and no lists unless the next line is one, too."""
    lines = (line for line in head.decode("utf-8-sig", "replace").splitlines() if line.strip())
    first = next(lines, "")
    record = _value(first) if first.lstrip().startswith("{") else None
    if not isinstance(record, dict):
        return False
    # One object of lists may be a whole history; two objects are lines.
    return not any(isinstance(value, list) for value in record.values()) or isinstance(_value(next(lines, "")), dict)


def read(source: Source) -> Table:
    """Return the rows of a file of JSON objects. Lines that are not valid JSON are skipped.

    Raises:
      InputError: when many successive lines are not valid JSON.
    """
    builder = TableBuilder(FORM)
    wrong = 0
    for place, line in source.numbered_lines():
        if not line.strip():
            continue
        record = _value(line)
        if not isinstance(record, dict):
            wrong += 1
            if wrong > MOST_WRONG:
                raise InputError(f"{source.path}: line {place} is not a JSON object, nor are the {MOST_WRONG} lines before it")
            continue
        wrong = 0
        add_record(builder, record, place)
    return builder.table()


def _value(line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def add_record(builder: TableBuilder, record: dict[str, Any], line: int = 0) -> None:
    """Add a JSON object as a row: its numbers by name, also those one level below (`train/loss`)."""
    flat: dict[str, Any] = {}
    for name, value in record.items():
        if isinstance(value, dict):
            flat |= {f"{name}/{inner}": leaf for inner, leaf in value.items() if not isinstance(leaf, (dict, list))}
        elif not isinstance(value, list):
            flat[name] = value
    row, run, split = {}, "", ""
    for name, value in flat.items():
        meant = role(name)
        if meant == "run" and isinstance(value, (str, int)):
            run = str(value)[:LONGEST_NAME]
        elif meant == "split" and isinstance(value, str):
            split = value[:LONGEST_NAME]
        elif (numeric := number(value)) is not None:
            row[name] = numeric
    if split and not is_training(split):
        row = {f"{split}/{name}" if role(name) in ("loss", "") else name: value for name, value in row.items()}
    if row:
        builder.add_named(row, run, line)


READER = Reader(matches, read)
