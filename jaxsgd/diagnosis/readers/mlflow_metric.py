"""A metric file of MLflow's file store, `mlruns/EXPERIMENT/RUN/metrics/NAME`: time in milliseconds, value and step by line."""

import re

from jaxsgd.diagnosis.source import Source
from jaxsgd.diagnosis.table import Reader, Table, TableBuilder, number

FORM = "MLflow metric"

_LINE = re.compile(r"(\d{10,16}) (\S{1,64})(?: (-?\d{1,15}))?(?: .*)?")


def matches(head: bytes) -> bool:
    """Return True if the first lines all have that form."""
    lines = head.decode("utf-8", "replace").splitlines()[:20]
    whole = lines[:-1] if len(lines) == 20 else lines
    return bool(whole) and all(_row(line) is not None for line in whole)


def _row(line: str) -> tuple[float, float | None] | None:
    match = _LINE.fullmatch(line.rstrip())
    value = number(match[2]) if match else None
    if match is None or value is None:
        return None
    return value, float(match[3]) if match[3] else None


def read(source: Source) -> Table:
    """Return the rows of a metric file; its only column is named after the file."""
    builder = TableBuilder(FORM)
    for place, line in source.numbered_lines():
        row = _row(line)
        if row is not None:
            value, step = row
            builder.add({source.path.name: value}, {} if step is None else {"step": step}, line=place)
    return builder.table()


READER = Reader(matches, read)
