"""A table in memory: a data frame, or a dictionary of columns."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxsgd.diagnosis.readers.json_line import add_record
from jaxsgd.diagnosis.table import Table, TableBuilder
from jaxsgd.error import InputError


def is_frame(log: Any) -> bool:
    """Return True for columns by name, such as a data frame of pandas or Polars, or the history of a Keras model.

    A data frame whose columns have numbers for names is an array.
    """
    if not (isinstance(log, Mapping) or hasattr(log, "columns")):
        return False
    return any(isinstance(name, str) for name in getattr(log, "columns", log))


def frame_table(frame: Any) -> Table:
    """Return the rows of a data frame or of a dictionary of columns. A row has no value where it is NaN or None.

    Raises:
      InputError: for columns that are no lists of numbers or words, or that differ in length.
    """
    form = type(frame).__name__
    names = list(getattr(frame, "columns", frame))
    columns = [np.asarray(frame[name]) for name in names]
    lengths = {
        f"{name}": len(column) if column.ndim == 1 else column.shape for name, column in zip(names, columns, strict=True)
    }
    if any(column.ndim != 1 for column in columns) or len(set(lengths.values())) > 1:
        raise InputError(f"{form}: its columns must be lists of one length, got the lengths {lengths}")
    builder = TableBuilder(form)
    for row in zip(*(column.tolist() for column in columns), strict=True):
        # Of a missing value NaN is not equal to itself.
        add_record(builder, {f"{name}": value for name, value in zip(names, row, strict=True) if value == value})
    return builder.table()
