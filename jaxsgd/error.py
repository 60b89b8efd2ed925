"""What a user is told when an input is wrong."""

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """An input that cannot be used: one line that names the value and what would be right."""


class RunFailure(RuntimeError):
    """A failure that the input is not to blame for, such as workers that are lost: one line. What is finished is kept."""


def no_such(kind: str, name: object, valid: Iterable[str]) -> InputError:
    """The error for an unknown `name` of some `kind`, with the nearest valid name."""
    names = sorted(valid)
    close = difflib.get_close_matches(str(name), names, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return InputError(f"unknown {kind} {name!r}: {hint}valid: {', '.join(names)}")


def shown(value: object) -> str:
    """`value` as a message shows it: its repr, on one line."""
    return " ".join(repr(value).split())


def counted(number: int, noun: str) -> str:
    """A number with its noun: "1 chunk", "1,200 chunks", "2 batches", "3 epochs"."""
    return f"{number:,} {noun}{'' if number == 1 else 'es' if noun.endswith(('tch', 's', 'x')) else 's'}"


def verb(number: int, one: str = "is", several: str = "are") -> str:
    """The verb that goes with so many things."""
    return one if number == 1 else several


def check_count(name: str, value: object, largest: int | None = None, why: str = "") -> int:
    """`value` as an int, if it is a whole number of at least 1 (and at most `largest`).

    Raises:
      InputError: otherwise; the message names `name`, the value and the valid range.
    """
    wanted = "a whole number of at least 1" if largest is None else f"a whole number from 1 to {largest}"
    wanted += f" ({why})" if why else ""
    try:
        count = int(value)  # type: ignore[call-overload]
        whole = not isinstance(value, bool) and bool(count == value)
    except (TypeError, ValueError, OverflowError):
        count, whole = 0, False
    if not whole or count < 1 or (largest is not None and count > largest):
        raise InputError(f"{name} must be {wanted}, got {shown(value)}")
    return count
