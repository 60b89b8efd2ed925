"""Values and arrays as text within a page: arrays are compressed without loss, so that the page has the dataset's own bits."""

import base64
import gzip
import math
from typing import Any

import numpy as np

from jaxsgd.number import plain_values


def pack(data: bytes) -> str:
    """Return bytes as text that a page unpacks: gzip, then base64."""
    return base64.b64encode(gzip.compress(data, compresslevel=6, mtime=0)).decode("ascii")


def pack_array(values: np.ndarray) -> dict[str, object]:
    """Return an array as plain values: its `type`, `shape` and packed `data`; the inverse is `array` in static/data.js.

    All first bytes of its numbers come first, then all second bytes, and so on: the signs and exponents of neighbouring numbers
    are alike, and so the text is shorter.

    Args:
      values: truth values, whole numbers or floating-point numbers.
    """
    kind = values.dtype.kind
    stored = values.astype("<u1" if kind == "b" else "<f4" if values.dtype == np.float32 else "<f8")
    planes = np.ascontiguousarray(stored).reshape(-1).view(np.uint8).reshape(-1, stored.dtype.itemsize).T
    name = {"b": "truth", "i": "whole", "u": "whole"}.get(kind, "float32" if stored.dtype.itemsize == 4 else "float64")
    return {"type": name, "shape": list(values.shape), "data": pack(np.ascontiguousarray(planes).tobytes())}


def plain(value: Any) -> Any:
    """Return nested values as JSON has them; of numbers that are not finite, "NaN", "Infinity" and "-Infinity"."""
    return plain_values(value, lambda number: "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity")
