"""TensorBoard event files, by the `tensorboard` package's own reader; TensorFlow is not needed."""

import importlib
import struct
from typing import Any

from jaxsgd.diagnosis.source import Source
from jaxsgd.diagnosis.table import Reader, Table, TableBuilder
from jaxsgd.error import InputError

FORM = "TensorBoard events"

LARGEST_RECORD = 64 << 20
"""Largest size of a record, bytes: images are the largest. The reader would reserve as much memory as a damaged length says."""


def matches(head: bytes) -> bool:
    """Return True if the content begins with a record that contains an event file's version."""
    return len(head) > 24 and struct.unpack("<Q", head[:8])[0] < 1024 and b"brain.Event:" in head[12:128]


def read(source: Source) -> Table:
    """Return the rows of an event file: every scalar by its tag.

    Raises:
      InputError: when the `tensorboard` package is not installed, or the file is packed or damaged.
    """
    if source.is_packed:
        raise InputError(f"{source.path}: is a packed event file; unpack it first")
    _check_records(source)
    try:
        loader = importlib.import_module("tensorboard.backend.event_processing.event_file_loader")
        tensor_util = importlib.import_module("tensorboard.util.tensor_util")
    except ImportError:
        raise InputError(
            f"{source.path}: is a TensorBoard event file, which needs tensorboard: pip install 'jaxsgd[tensorboard]'"
        ) from None
    builder = TableBuilder(FORM)
    values: dict[int, dict[str, float]] = {}
    for event in loader.EventFileLoader(str(source.path)).Load():
        for value in event.summary.value:
            scalar = _scalar(value, tensor_util)
            if scalar is not None:
                _keep(values, event.step, value.tag, scalar, builder)
    for step, scalars in values.items():
        _add(builder, step, scalars)
    return builder.table()


def _check_records(source: Source) -> None:
    size = source.path.stat().st_size
    with source.path.open("rb") as file:
        place = 0
        while place + 12 <= size:
            file.seek(place)
            (length,) = struct.unpack("<Q", file.read(8))
            if length > LARGEST_RECORD:
                raise InputError(f"{source.path}: is damaged: a record at byte {place} claims {length:,} bytes")
            place += length + 16


def _scalar(value: Any, tensor_util: Any) -> float | None:
    if value.HasField("simple_value"):
        return float(value.simple_value)
    if value.HasField("tensor"):
        array = tensor_util.make_ndarray(value.tensor)
        return float(array.reshape(-1)[0]) if array.size == 1 and array.dtype.kind == "f" else None
    return None


WAITING = 64
"""Number of steps that wait for more of their scalars: every scalar comes in an event of its own."""


def _keep(values: dict[int, dict[str, float]], step: int, tag: str, scalar: float, builder: TableBuilder) -> None:
    if step in values and tag in values[step]:
        _add(builder, step, values.pop(step))
    values.setdefault(step, {})[tag] = scalar
    if len(values) > WAITING:
        oldest = next(iter(values))
        _add(builder, oldest, values.pop(oldest))


def _add(builder: TableBuilder, step: int, scalars: dict[str, float]) -> None:
    builder.add_named(scalars | {"step": float(step)})


READER = Reader(matches, read, is_text=False)
