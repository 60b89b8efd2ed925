"""What a user is told when an input is wrong."""

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """An input that cannot be used: one line that names the value and what would be right."""


def no_such(kind: str, name: object, valid: Iterable[str]) -> InputError:
    """The error for an unknown `name` of some `kind`, with the nearest valid name."""
    names = sorted(valid)
    close = difflib.get_close_matches(str(name), names, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return InputError(f"unknown {kind} {name!r}: {hint}valid: {', '.join(names)}")


def check_count(name: str, value: object, largest: int | None = None, why: str = "") -> int:
    """`value` as an int, if it is a whole number of at least 1 (and at most `largest`).

    Raises:
      InputError: otherwise; the message names `name`, the value and the valid range.
    """
    wanted = "a whole number of at least 1" if largest is None else f"a whole number from 1 to {largest}"
    wanted += f" ({why})" if why else ""
    try:
        count = int(value)  # type: ignore[call-overload]
    except (TypeError, ValueError, OverflowError):
        count = 0
    if isinstance(value, bool) or count != value or count < 1 or (largest is not None and count > largest):
        raise InputError(f"{name} must be {wanted}, got {value!r}")
    return count
