"""Errors, and the one-line messages that a user reads."""

import functools
import math
import os
import re
import site
import sys
import sysconfig
import traceback
from collections.abc import Iterable
from pathlib import Path

from jaxsgd.nearest import nearest
from jaxsgd.summary import brief, shortened


class InputError(ValueError):
    """An input that cannot be used: one line that names the value and what would be right."""


class InputWarning(UserWarning):
    """A part of an input that is left out or read differently: one line."""


class CommandFailure(Exception):
    """A failure that is not the input's fault: one line, exit status 1."""


class CommandInterrupt(Exception):
    """Ctrl-C, with one line on what is kept; exit status 130."""


class RunFailure(RuntimeError):
    """A failure that is not the input's fault, such as lost workers: one line. Finished chunks are kept."""


MOST_NAMES = 20
"""The most valid names that a message lists."""


def no_such(kind: str, name: object, valid: Iterable[str], own: str = "") -> InputError:
    """Return the error for an unknown `name` of some `kind`, with the nearest valid name if one is near, and a short list.

    Args:
      kind: the kind of thing that is named, such as "order".
      name: the unknown name.
      valid: the known names.
      own: how to give a thing of the user's own, in words; empty if that is not possible.
    """
    names = sorted(valid)
    before_brackets = {text.partition("(")[0]: text for text in names}  # "buffer" for "buffer(k)"
    near = nearest(str(name).partition("(")[0], before_brackets)
    parts = [f"did you mean {before_brackets[near]!r}?"] if near else []
    if len(names) <= MOST_NAMES:
        parts += [f"valid: {', '.join(names)}" if names else "it has none"]
    elif not near:
        parts += [f"valid: {', '.join(names[:MOST_NAMES])}, and {len(names) - MOST_NAMES} more"]
    parts += [f"(or {own})"] if own else []
    return InputError(f"unknown {kind} {shown(name)}: {' '.join(parts)}")


def shown(value: object) -> str:
    """Return `value` as a message shows it: a short repr on one line, arrays by type and shape."""
    return brief(value)


IN_OBSERVABLE = "in the observable "
"""The beginning of the note that names the observable whose own code failed."""


def user_frames(error: BaseException) -> list[traceback.FrameSummary]:
    """Return the frames in the user's own files that an exception passed through, the deepest last.

    Frames of this package, of installed packages and of Python's library are left out.
    """
    return [frame for frame in traceback.extract_tb(error.__traceback__) if is_users_file(frame.filename)]


def is_raised_here(error: BaseException) -> bool:
    """Return True if the code of this package raised an exception itself, and not code that it called."""
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and _is_in(frames[-1].filename, (_PACKAGE,))


def first_sentence(error: BaseException) -> str:
    """Return an exception's message, short and on one line; for JAX and other packages only its first sentence."""
    text = str(error)
    frames = traceback.extract_tb(error.__traceback__)
    if (frames and not is_users_file(frames[-1].filename)) or _is_of_jax(error):
        text = re.split(r"\.\s+(?=[A-Z])|\n+(?=[A-Z])", text.strip(), maxsplit=1)[0].rstrip(".")
        text = re.sub(r"'?\b\w+Tracer\b'?", "a traced array", text)
    return shortened(" ".join(text.split()), 400)


def _is_of_jax(error: BaseException) -> bool:
    """Return True if JAX raised an exception: it takes its own frames out of the traceback, and notes that."""
    return type(error).__module__.partition(".")[0] == "jax" or any("JAX" in note for note in getattr(error, "__notes__", ()))


_PACKAGE = str(Path(__file__).resolve().parent)


@functools.cache
def _installed() -> tuple[str, ...]:
    """Return the folders of this package, of Python's library and of all installed packages."""
    paths = sysconfig.get_paths()
    folders = [paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    folders += [*site.getsitepackages(), site.getusersitepackages()]
    return (_PACKAGE, *{str(Path(folder).resolve()) for folder in folders})


@functools.lru_cache(maxsize=4096)
def is_users_file(file: str) -> bool:
    """Return True if a source file is the user's own, not of this package, an installed package or Python's library."""
    return not file.startswith("<") and not _is_in(file, _installed())


def is_users_module(name: str | None) -> bool:
    """Return True if a module is the user's own, a notebook's too, so that its code may be edited while Python runs."""
    if not name or name.partition(".")[0] == "jaxsgd":
        return False
    file = getattr(sys.modules.get(name), "__file__", None)
    # A notebook has no file, and Python's own parts in C have none either.
    return is_users_file(file) if file else name not in sys.builtin_module_names


def _is_in(file: str, folders: tuple[str, ...]) -> bool:
    return os.path.realpath(file).startswith(tuple(folder + os.sep for folder in folders))


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: "1 chunk", "1,200 chunks", "2 batches", "3 epochs"."""
    return f"{number:,} {noun}{'' if number == 1 else 'es' if noun.endswith(('tch', 's', 'x')) else 's'}"


def verb(number: int, singular: str = "is", plural: str = "are") -> str:
    """Return the form of a verb that goes with a number of things."""
    return singular if number == 1 else plural


def check_count(name: str, value: object, largest: int | None = None, why: str = "") -> int:
    """Return `value` as an int, if it is a whole number of at least 1 (and at most `largest`).

    Args:
      name: of the argument, for the message.
      value: any value.
      largest: the largest valid number; None for no limit.
      why: the reason for that limit, in words.

    Raises:
      InputError: otherwise; the message gives `name`, the value and the valid range.
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


def check_finite(name: str, value: object) -> float:
    """Return `value` as a float, if it is a finite number.

    Args:
      name: of the argument, for the message.
      value: any value.

    Raises:
      InputError: otherwise; the message gives `name` and the value.
    """
    try:
        finite = not isinstance(value, (str, bool)) and math.isfinite(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        finite = False
    if not finite:
        raise InputError(f"{name} must be a finite number, got {shown(value)}")
    return float(value)  # type: ignore[arg-type]


def check_counts(**values: object) -> tuple[int, ...]:
    """Return several values as ints, in their order, if each is a whole number of at least 1.

    Args:
      values: by the name of the argument.

    Raises:
      InputError: for the first that is not.
    """
    return tuple(check_count(name, value) for name, value in values.items())
