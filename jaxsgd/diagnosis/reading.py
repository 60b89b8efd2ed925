"""Which reader a file is for, and its table."""

from pathlib import Path
from typing import Protocol

from jaxsgd.diagnosis.readers import csv_table, event_file, json_document, json_line, mlflow_metric, text_line
from jaxsgd.diagnosis.source import Source
from jaxsgd.diagnosis.table import Table
from jaxsgd.error import InputError


class Reader(Protocol):
    """A module that reads one format."""

    @property
    def FORM(self) -> str:
        """The format's name."""
        ...

    def matches(self, head: bytes) -> bool:
        """Whether a file that begins so is of this format."""
        ...

    def read(self, source: Source) -> Table:
        """The rows of the file."""
        ...


READERS: tuple[Reader, ...] = (event_file, mlflow_metric, json_line, json_document, csv_table, text_line)
"""All readers, the pickiest first; the last takes any text."""


def read_table(path: str | Path) -> Table:
    """The rows of a file that hold a loss, read by the first reader that knows its content.

    Raises:
      InputError: when it is no log that can be read.
    """
    source = Source(path)
    head = source.head()
    reader = next(reader for reader in READERS if reader.matches(head))
    if reader is not event_file:
        source.check_text()
    table = reader.read(source)
    if not table.losses:
        raise InputError(
            f"{source.path}: is no training log that can be read (taken for {table.form}): no number stands beside a name "
            "with 'loss' in it"
        )
    return table
