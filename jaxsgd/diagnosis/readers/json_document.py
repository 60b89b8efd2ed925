"""One JSON value: Hugging Face's `trainer_state.json`, a list of objects or of losses, or lists by name as Keras's history.

A list of losses is also what Python prints of one.
"""

import json
import re
from typing import Any

from jaxsgd.diagnosis.column import COLUMN
from jaxsgd.diagnosis.readers.json_line import add_record
from jaxsgd.diagnosis.source import Source
from jaxsgd.diagnosis.table import Reader, Table, TableBuilder, number
from jaxsgd.error import InputError

FORM = "JSON"

LARGEST = 64 << 20
"""Largest size of a JSON value that is read whole, bytes: it takes several times as much memory."""


_NUMBERS = re.compile(r"\[\s*-?\d[-+.\deE]*(\s*,\s*(-?\d[-+.\deE]*|NaN)){2,}\s*(,[-+.\deE\s]*$|\]\s*$|$)")
"""A list of three numbers or more with nothing behind it, or the beginning of one: lines of text may begin with a list too."""


def matches(head: bytes) -> bool:
    """Return True if the content begins as a JSON object or list does."""
    if _NUMBERS.match(head.decode("utf-8-sig", "replace").lstrip()):
        return True
    start = head.decode("utf-8-sig", "replace").lstrip()[:64]
    if start.startswith("{"):
        return start[1:].lstrip()[:1] in ('"', "}", "")
    return start.startswith("[") and start[1:].lstrip()[:1] in ("{", "]", "[", "")


def read(source: Source) -> Table:
    """Return the rows of a JSON value.

    Raises:
      InputError: when it is too large, not valid JSON, nested too deeply, or of another form.
    """
    try:
        value = json.loads(source.whole(LARGEST))
    except RecursionError:
        raise InputError(f"{source.path}: is JSON that is nested too deeply for a log") from None
    except ValueError as error:
        reason = str(error).partition(";")[0]
        raise InputError(f"{source.path}: is not valid JSON: {reason}") from None
    history = value.get("log_history") if isinstance(value, dict) else value
    form = "Hugging Face trainer state" if isinstance(value, dict) and "log_history" in value else FORM
    if history is None and isinstance(value, dict):
        history = _rows_of_lists(value)
    if not isinstance(history, list):
        raise InputError(
            f"{source.path}: is JSON, but not a log: it needs 'log_history' (Hugging Face), a list of objects, or lists by "
            "name that have one length"
        )
    builder = TableBuilder(form)
    for record in history:
        if isinstance(record, dict):
            add_record(builder, record)
        elif (loss := number(record)) is not None:
            builder.add_named({f"{COLUMN} 1": loss})
    return builder.table()


def _rows_of_lists(value: dict[str, Any]) -> list[dict[str, Any]] | None:
    """Return the rows of lists by name that have one length; None where there are no such lists."""
    lists = {name: column for name, column in value.items() if isinstance(column, list)}
    lengths = {len(column) for column in lists.values()}
    if len(lengths) != 1:
        return None
    return [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)]


READER = Reader(matches, read)
