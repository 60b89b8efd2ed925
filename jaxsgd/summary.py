"""Short texts of values, for messages and notebooks: an array by its type and shape, never by its numbers."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

MOST_ITEMS = 6
"""The most items of a collection that are shown; for the others, only their number."""

MOST_LETTERS = 200
"""The most letters of a text that are shown."""

MOST_LEVELS = 3
"""The most levels of collections within collections that are shown."""


def brief(value: Any, levels: int = MOST_LEVELS) -> str:
    """Return a short text of `value`, on one line.

    Arrays become their type and shape (`float32[3, 100]`), and an array of no axes its number. Dictionaries, lists and tuples
    show their first items; the keys of arrays stand without quotes. A function is shown by its name, and anything else by its
    repr.

    Args:
      value: any value.
      levels: the most levels of collections within each other that are shown.
    """
    if hasattr(value, "dtype") and hasattr(value, "shape") and not isinstance(value, type):
        return _array(value)
    if isinstance(value, Mapping):
        bare = _has_arrays(value)
        items = (f"{key if bare and _is_name(key) else brief(key)}: {brief(value[key], levels - 1)}" for key in value)
        return _collection("{}", items, len(value), levels)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value).__repr__(value) if _has_own_repr(value) else brief_fields(value, levels=levels)
    if isinstance(value, list | tuple) and type(value) in (list, tuple):
        items = (brief(item, levels - 1) for item in value)
        return _collection("[]" if isinstance(value, list) else "()", items, len(value), levels)
    if callable(value) and not isinstance(value, type) and hasattr(value, "__qualname__"):
        return f"<function {value.__qualname__}>"
    text = " ".join(repr(value).split())
    return f"{value:.6g}" if type(value) is float and len(text) > 12 else shortened(text)


def brief_fields(
    value: Any, headline: Iterable[str] = (), fields: Sequence[str] | None = None, levels: int = MOST_LEVELS
) -> str:
    """Return the short repr of a tuple with named fields: `Stripes(2 stripes, gap: 0.01, level: float64[2])`.

    Args:
      value: the named tuple.
      headline: texts that come first.
      fields: the fields to show; None for all that are not None.
      levels: the most levels of collections within each other that are shown.
    """
    names = [name for name in value._fields if getattr(value, name) is not None] if fields is None else fields
    parts = [*headline, *(f"{name}: {brief(getattr(value, name), levels - 1)}" for name in names)]
    return f"{type(value).__name__}({', '.join(parts)})" if levels > 0 else f"{type(value).__name__}(...)"


def short_repr(self: Any) -> str:
    """Return the short repr of a tuple with named fields, with all fields that are not None; for use as `__repr__`."""
    return brief_fields(self)


def brief_axis(values: Sequence) -> str:
    """Return the values of an axis as short Python: whole numbers in equal steps as a range, others as a list."""
    if len(values) > 2 and all(type(value) is int for value in values):
        step = values[1] - values[0]
        stop = values[-1] + (1 if step > 0 else -1)
        if step and tuple(range(values[0], stop, step)) == tuple(values):
            ends = f"{values[0]}, {stop}" if values[0] or step != 1 else f"{stop}"
            return f"range({ends}{f', {step}' if step != 1 else ''})"
    return brief(list(values))


def shortened(text: str, most: int = MOST_LETTERS) -> str:
    """Return a text of at most `most` letters; a longer text is cut to its beginning and end."""
    return text if len(text) <= most else f"{text[: most * 2 // 3]} ... {text[-most // 4 :]}"


def _array(value: Any) -> str:
    if value.shape == () and getattr(value.dtype, "kind", "") in "fiubc":
        try:
            number = value.item()
        except Exception:  # a traced number, or one that was given away: it has a type only
            return f"{value.dtype}[]"
        return f"{number:.6g}" if isinstance(number, float) else repr(number)
    return f"{value.dtype}[{', '.join(map(str, value.shape))}]"


def _collection(brackets: str, items: Iterator[str], count: int, levels: int) -> str:
    if count and levels <= 0:
        return f"{brackets[0]}...{brackets[1]}"
    shown = list(islice(items, count if count <= MOST_ITEMS + 1 else MOST_ITEMS))
    rest = [f"... {count} in all"] if count > len(shown) else []
    comma = "," if brackets == "()" and count == 1 else ""
    return f"{brackets[0]}{', '.join(shown + rest)}{comma}{brackets[1]}"


def _has_arrays(value: Mapping) -> bool:
    """Return True if a dictionary has arrays as values, so that its keys are shown without quotes."""
    return any(hasattr(item, "dtype") or (isinstance(item, Mapping) and _has_arrays(item)) for item in value.values())


def _is_name(key: Any) -> bool:
    return isinstance(key, str) and key.isidentifier()


def _has_own_repr(value: Any) -> bool:
    return type(value).__repr__.__module__ != "collections"  # where every named tuple has its repr from
