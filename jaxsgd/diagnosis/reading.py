"""The readers of all formats, and the table that the right one makes of a file."""

from pathlib import Path

from jaxsgd.diagnosis.readers import csv_table, event_file, json_document, json_line, mlflow_metric, text_line
from jaxsgd.diagnosis.source import Source
from jaxsgd.diagnosis.table import Reader, Table

READERS: tuple[Reader, ...] = (
    event_file.READER,
    mlflow_metric.READER,
    json_line.READER,
    json_document.READER,
    csv_table.READER,
    text_line.READER,
)
"""All readers, the most selective first; the last takes any text. A new format is a module in `readers` and an entry here."""


def read_table(path: str | Path) -> Table:
    """Return the rows of numbers in a file, read by the first reader that recognizes its content.

    Raises:
      InputError: when the file cannot be read.
    """
    source = Source(path)
    head = source.head()
    reader = next(reader for reader in READERS if reader.matches(head))
    if reader.is_text:
        source.check_text()
    return reader.read(source)
