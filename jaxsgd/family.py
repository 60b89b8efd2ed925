"""Families: names with numbers in brackets, such as `buffer(100)` or `wsd(0.1, 0.2)`, read and checked in one place."""

import functools
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from jaxsgd.error import InputError, counted, no_such, shown


class Parameter(NamedTuple):
    """A parameter of a family.

    Attributes:
      name: in messages and in the family's form, such as "k".
      meaning: in words, such as "samples in the buffer".
      whole: True for whole numbers.
      lowest, highest: the range, both ends included.
    """

    name: str
    meaning: str
    whole: bool = True
    lowest: float = 1
    highest: float = math.inf

    @property
    def range(self) -> str:
        """The valid values in words: "a whole number of at least 1", "a number from 0 to 1"."""
        kind = "a whole number" if self.whole else "a number"
        if self.highest == math.inf:
            return f"{kind} of at least {self.lowest:g}"
        return f"{kind} from {self.lowest:g} to {self.highest:g}"


class Family(NamedTuple):
    """A family of things whose names have numbers in brackets.

    Attributes:
      make: `(*numbers) -> thing`. It is called once for the same numbers.
      parameters: in the order of the numbers.
    """

    make: Callable[..., Any]
    parameters: tuple[Parameter, ...]

    def form(self, name: str) -> str:
        """Return the family's name with its parameters: "block_buffer(k, n)"."""
        return f"{name}({', '.join(parameter.name for parameter in self.parameters)})"


class Member(NamedTuple):
    """A thing with its name.

    Attributes:
      name: written in one way only: `buffer( 1e2 )` becomes "buffer(100)".
      thing: the same object for the same name.
    """

    name: str
    thing: Any


def member(kind: str, text: str, things: Mapping[str, Any], families: Mapping[str, Family], own: str = "") -> Member:
    """Return what a name stands for: one of `things`, or a member of one of `families`.

    Args:
      kind: the kind of thing that is named, such as "order", for the messages.
      text: the name, with numbers in brackets for a family.
      things: by name, those without numbers.
      families: by name, those with numbers.
      own: how to give a thing of the user's own, in words.

    Raises:
      InputError: for an unknown name (with the nearest valid one), or for numbers that are missing, too many or out of range.
    """
    if text in things:
        return Member(text, things[text])
    name, numbers = _parts(text)
    if name in things and numbers is not None:
        raise InputError(f"{kind} {name!r} takes no numbers in brackets, got {shown(text)}")
    if name not in families:
        raise no_such(kind, text, [*things, *(family.form(other) for other, family in families.items())], own)
    family = families[name]
    count = len(family.parameters)
    if numbers is None or len(numbers) != count:
        meanings = ", ".join(f"{parameter.name}: {parameter.meaning}" for parameter in family.parameters)
        wanted = f"needs {counted(count, 'number')} in brackets, {family.form(name)} ({meanings})"
        raise InputError(f"{kind} {name!r} {wanted}, got {shown(text)}")
    checked = tuple(_number(kind, text, *pair) for pair in zip(family.parameters, numbers, strict=True))
    return Member(f"{name}({', '.join(map(repr, checked))})", _thing(family.make, checked))


def without_numbers(text: str) -> str:
    """Return a name without its numbers in brackets: "buffer" for "buffer(100)"."""
    return _parts(text)[0]


def split_names(text: str) -> list[str]:
    """Return the names in a text: they are separated by commas, and those inside brackets separate numbers."""
    return re.split(r",(?![^(]*\))", text)


def _parts(text: str) -> tuple[str, Sequence[str] | None]:
    """Return a text's name, and its numbers as texts; None without brackets."""
    match = re.fullmatch(r"\s*(\w+)\s*(?:\((.*)\)\s*)?", text)
    if match is None:
        return text, None
    name, inside = match.groups()
    if inside is None:
        return name, None
    return name, [number.strip() for number in inside.split(",")] if inside.strip() else []


def _number(kind: str, text: str, parameter: Parameter, written: str) -> int | float:
    """Return the number that is written for a parameter."""
    try:
        number = float(written)
    except ValueError:
        number = math.nan
    valid = parameter.lowest <= number <= parameter.highest and math.isfinite(number)
    if not valid or (parameter.whole and not number.is_integer()):
        wanted = f"must be {parameter.range} ({parameter.meaning})"
        raise InputError(f"{parameter.name} of {kind} {shown(text)} {wanted}, got {written or 'nothing'}")
    return int(number) if parameter.whole else number


@functools.cache
def _thing(make: Callable[..., Any], numbers: tuple[int | float, ...]) -> Any:
    # Made once, so that the compiled programs of an earlier call, which know it by identity, are used again.
    return make(*numbers)
