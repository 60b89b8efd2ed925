"""How a command ends: its exit status, and what stderr says of why.

    0    done
    1    failure: a run that diverged, a file that could not be written, no memory, a fault of the program
    2    bad input: the line names what is wrong and what would be right
    130  Ctrl-C

It is one line. Where the user's own code failed, the places in the user's own files stand below it. `--traceback` shows all.
"""

import _thread
import difflib
import errno
import itertools
import os
import shlex
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from jaxsgd.error import (
    CommandFailure,
    CommandInterrupt,
    InputError,
    InputWarning,
    RunFailure,
    first_sentence,
    is_users_file,
    user_frames,
)

NEAR = 0.65
"""Share of letters in common (`difflib.SequenceMatcher.ratio`) from which an option may have been meant."""


def run_app(args: Sequence[str] | None = None, ends: bool = False) -> int:
    """Run the command line and returns its exit status.

    Args:
      args: the words after `jaxsgd`; None for the process's own.
      ends: whether the process ends with it; once it has been interrupted, it then hears no further Ctrl-C, which would find it
        on its way out and have Python print a traceback.
    """
    unraisable, warning = sys.unraisablehook, warnings.showwarning
    sys.unraisablehook, warnings.showwarning = _interrupt_again, _one_line
    try:
        with _Interrupts() as interrupts:
            status = _run(list(sys.argv[1:] if args is None else args), interrupts)
        if status == 130 and ends:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        return status
    finally:
        sys.unraisablehook, warnings.showwarning = unraisable, warning


class _Interrupts:
    """Hears Ctrl-C as Python does, and remembers it: what is being imported may turn the exception into another one."""

    def __init__(self) -> None:
        """Has heard nothing yet."""
        self.heard = False

    def __enter__(self) -> "_Interrupts":
        """Listens, in the main thread, the only one that may, unless Ctrl-C is ignored, as in a shell's background."""
        self._listens = threading.current_thread() is threading.main_thread()
        self._listens = self._listens and signal.getsignal(signal.SIGINT) is not signal.SIG_IGN
        if self._listens:
            self._before = signal.signal(signal.SIGINT, self._hear)
        return self

    def __exit__(self, *error: object) -> None:
        """Listen no longer."""
        if self._listens:
            signal.signal(signal.SIGINT, self._before)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        del number
        self.heard = True
        if _imports_a_package(frame):
            _interrupt_soon()
        else:
            raise KeyboardInterrupt


def _imports_a_package(frame: FrameType | None) -> bool:
    """Return True while a package is imported, which may crash when it is interrupted; a user's own module may be."""
    while frame is not None and not is_users_file(frame.f_code.co_filename):
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _interrupt_soon() -> None:
    timer = threading.Timer(0.05, _thread.interrupt_main)
    timer.daemon = True
    timer.start()


def _interrupt_again(unraisable) -> None:
    """Python drops exceptions in callbacks, such as those that JAX hangs on the garbage collector: not this one."""
    if unraisable.exc_type is KeyboardInterrupt:
        _interrupt_soon()
    else:
        sys.__unraisablehook__(unraisable)


_show_warning = warnings.showwarning


def _one_line(message, category, filename, lineno, file=None, line=None) -> None:
    """Show a warning of this package as one line, and others as Python does."""
    if issubclass(category, InputWarning):
        _say(f"note: {message}", 0)
    else:
        _show_warning(message, category, filename, lineno, file, line)


def _run(words: list[str], interrupts: _Interrupts) -> int:
    try:
        from jaxsgd.cli.commands import app

        status = app(args=words, prog_name="jaxsgd", standalone_mode=False)
    except BrokenPipeError:
        # The reader has left (as `head` does). Python would complain when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (Exception, KeyboardInterrupt) as error:
        if _wants_traceback(words):
            traceback.print_exception(error)
        if interrupts.heard and not isinstance(error, CommandInterrupt):
            return _say("interrupted", 130)
        return _report(error, words)
    status = status if isinstance(status, int) else 0
    return _say("interrupted", 130) if status == 130 else status


def _wants_traceback(words: list[str]) -> bool:
    """Return True if the option stands before the command, as the options of all commands do."""
    return "--traceback" in itertools.takewhile(lambda word: word.startswith("-"), words)


_OF_THE_MACHINE = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EMFILE, errno.ENFILE)
"""Failures of a disk or of the system, which no code is to blame for."""

_NO_MEMORY = "not enough memory: try fewer samples or a smaller network"


def _report(error: BaseException, words: list[str]) -> int:
    """Says what an exception means and returns the exit status: the one place that knows."""
    name = type(error).__name__
    if isinstance(error, InputError):
        return _say(str(error), 2)
    if isinstance(error, CommandFailure | RunFailure):
        return _say(str(error), 1)
    if isinstance(error, CommandInterrupt):
        return _say(str(error), 130)
    # Typer has its exceptions from Click or carries a copy of it, by version: known by what they do.
    if name == "NoArgsIsHelpError":
        return 2  # the help text is on the terminal already
    if hasattr(error, "format_message"):
        return _say(_usage(error), 2)
    if isinstance(error, KeyboardInterrupt) or name == "Abort":
        return _say("interrupted", 130)
    if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error):
        return _say(_NO_MEMORY, 1)
    frames = user_frames(error)
    if frames and getattr(error, "errno", None) not in _OF_THE_MACHINE:
        return _say_of_users_code(error, frames, words)
    if isinstance(error, OSError):
        return _say(_os_error(error), 1)
    return _say(f"{_fault(error)}; this may be a fault of jaxsgd: {_retry(words)} shows where", 1)


def _say_of_users_code(error: BaseException, frames: list[traceback.FrameSummary], words: list[str]) -> int:
    """The error in one line, and below it the user's own places that it came through."""
    said = f"{_fault(error)}{_JAX_HINTS.get(type(error).__name__, '')}"
    status = _say(said, 2)
    left_out = len(frames) - MOST_FRAMES
    shown = frames if left_out <= 0 else [frames[0], *frames[-MOST_FRAMES + 1 :]]
    for number, frame in enumerate(shown):
        sys.stderr.write(f"  {_near(frame.filename)}, line {frame.lineno}, in {frame.name}\n    {frame.line}\n")
        if left_out > 0 and number == 0:
            sys.stderr.write(f"  ... {left_out:,} more\n")
    sys.stderr.write(f"  (all of the traceback: {_retry(words)})\n")
    return status


MOST_FRAMES = 8
"""Places in the user's files that are shown."""

_JAX_HINTS = {
    "TracerBoolConversionError": ": JAX traces this value, so `if`, `and`, `while` cannot look at it; use jax.numpy.where",
    "TracerArrayConversionError": ": JAX traces this value, so NumPy cannot compute with it; use jax.numpy",
    "TracerIntegerConversionError": ": JAX traces this value, so it cannot be a size or an index of a list; use an array",
    "ConcretizationTypeError": ": JAX traces this value, so Python cannot read its number; use jax.numpy",
}


def _fault(error: BaseException) -> str:
    """The type and message of an exception; a KeyError's message alone would be a mere name."""
    message = first_sentence(error)
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def _near(file: str) -> str:
    """A file's path, from the current folder if it lies within it."""
    path = Path(file)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else file


def _retry(words: list[str]) -> str:
    return shlex.join(["jaxsgd", "--traceback", *(word for word in words if word != "--traceback")])


def _say(message: str, status: int) -> int:
    sys.stderr.write(f"jaxsgd: {' '.join(message.split())}\n")
    return status


def _os_error(error: OSError) -> str:
    reason = error.strerror or str(error)
    return f"{error.filename}: {reason}" if error.filename else reason


def _usage(error) -> str:
    """The usage error with the value or the nearest name, and where to look."""
    context = getattr(error, "ctx", None)
    message = error.format_message().rstrip(".")
    path = context.command_path if context else "jaxsgd"
    # Newer versions of Typer leave the value to the error of Pydantic underneath.
    for detail in error.__cause__.errors() if hasattr(error.__cause__, "errors") else []:
        message += f", got {detail.get('input')!r}"
    option = getattr(error, "option_name", None)
    if option and message.startswith("No such option"):
        message = f"{path} has no option {option}{_nearest_option(option, context)}"
    return f"{message} (see {path} --help)"


def _nearest_option(option: str, context) -> str:
    if context is None:
        return ""
    own = [name for parameter in context.command.params for name in parameter.opts] + ["--help"]
    outer = [name for parameter in context.parent.command.params for name in parameter.opts] if context.parent else []
    if option in outer:
        return f": it goes before the command: {context.parent.command_path} {option} {context.info_name}"
    if "--set" in own and option[2:].replace("-", "_") in _study_fields():
        return f": a field of the study is set by --set {option[2:].replace('-', '_')}=VALUE"
    # Without the dashes, which make any two options alike.
    close = difflib.get_close_matches(option.strip("-"), [name.strip("-") for name in own], n=1, cutoff=NEAR)
    near = next((name for name in own if close and name.strip("-") == close[0]), None)
    return f": did you mean {near}?" if near else f"; it has {', '.join(own)}"


def _study_fields() -> list[str]:
    from jaxsgd.study.study import StudyFields

    return list(StudyFields.model_fields)
