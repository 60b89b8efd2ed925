"""The end of a command: its exit status, and its message on stderr.

    0    done
    1    failure: a run that diverged, a file that could not be written, no memory, a fault of the program
    2    bad input: the line names the wrong value and the valid ones
    130  Ctrl-C
    143  SIGTERM

The message is one line. If the user's own code failed, the lines of the user's own files follow. `--traceback` shows all.
"""

import _thread
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
    IN_OBSERVABLE,
    CommandFailure,
    CommandInterrupt,
    InputError,
    InputWarning,
    RunFailure,
    first_sentence,
    is_users_file,
    user_frames,
)
from jaxsgd.nearest import nearest


def run_app(args: Sequence[str] | None = None, ends: bool = False) -> int:
    """Run the command line and return its exit status.

    Args:
      args: the words after `jaxsgd`; None for the process's own.
      ends: True if the process ends afterwards. Then, after an interruption, further Ctrl-C is ignored: during the end of the
        process it would make Python print a traceback.
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
    """A handler of Ctrl-C that also remembers it, because a module that is being imported may replace the exception."""

    def __init__(self) -> None:
        """Begin without a Ctrl-C."""
        self.heard = False

    def __enter__(self) -> "_Interrupts":
        """Begin to handle Ctrl-C, in the main thread, unless Ctrl-C is ignored, as in a shell's background."""
        self._listens = threading.current_thread() is threading.main_thread()
        self._listens = self._listens and signal.getsignal(signal.SIGINT) is not signal.SIG_IGN
        if self._listens:
            self._before = signal.signal(signal.SIGINT, self._hear)
        return self

    def __exit__(self, *error: object) -> None:
        """End the handling of Ctrl-C."""
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
    """Return True while a package is imported, which may crash if it is interrupted; a user's own module may be interrupted."""
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
    """Raise Ctrl-C again if Python dropped it in a callback, such as JAX's callbacks of the garbage collector."""
    if unraisable.exc_type is KeyboardInterrupt:
        _interrupt_soon()
    else:
        sys.__unraisablehook__(unraisable)


_show_warning = warnings.showwarning


def _one_line(message, category, filename, lineno, file=None, line=None) -> None:
    """Show a warning of this package as one line, and others as Python does."""
    if issubclass(category, InputWarning):
        _write(f"note: {message}", 0)
    else:
        _show_warning(message, category, filename, lineno, file, line)


def _run(words: list[str], interrupts: _Interrupts) -> int:
    try:
        from jaxsgd.cli.commands import app

        status = app(args=words, prog_name="jaxsgd", standalone_mode=False)
    except BrokenPipeError:
        # The reader has closed its end (like `head`). Python would report that when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (Exception, KeyboardInterrupt) as error:
        if _wants_traceback(words):
            traceback.print_exception(error)
        if interrupts.heard and not isinstance(error, CommandInterrupt):
            return _write("interrupted", 130)
        return _report(error, words)
    status = status if isinstance(status, int) else 0
    return _write("interrupted", 130) if status == 130 else status


def _wants_traceback(words: list[str]) -> bool:
    """Return True if the option comes before the command, where the common options are."""
    return "--traceback" in itertools.takewhile(lambda word: word.startswith("-"), words)


_OF_THE_MACHINE = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EMFILE, errno.ENFILE)
"""Failures of a disk or of the system, which are not the fault of any code."""

_NO_MEMORY = "not enough memory: try fewer samples or a smaller network"


def _report(error: BaseException, words: list[str]) -> int:
    """Write the message for an exception, and return the exit status: all of both are decided here."""
    name = type(error).__name__
    if isinstance(error, InputError):
        return _write(str(error), 2)
    if isinstance(error, CommandFailure | RunFailure):
        return _write(str(error), 1)
    if isinstance(error, CommandInterrupt):
        return _write(str(error), 130)
    # By version, Typer takes its exceptions from Click or from a copy of it: they are recognized by their methods.
    if name == "NoArgsIsHelpError":
        return 2  # the help text is on the terminal already
    if hasattr(error, "format_message"):
        return _write(_usage(error), 2)
    if isinstance(error, KeyboardInterrupt) or name == "Abort":
        return _write("interrupted", 130)
    if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error):
        return _write(_NO_MEMORY, 1)
    frames = user_frames(error)
    if frames and getattr(error, "errno", None) not in _OF_THE_MACHINE:
        return _write_users_error(error, frames, words)
    if isinstance(error, OSError):
        return _write(_os_error(error), 1)
    return _write(f"{_fault(error)}; this may be a fault of jaxsgd: see the traceback with {_retry(words)}", 1)


def _write_users_error(error: BaseException, frames: list[traceback.FrameSummary], words: list[str]) -> int:
    """Write an error of the user's own code in one line, and below it the lines of the user's files that it passed through."""
    status = _write(f"{_fault(error)}{_hint(error)}", 2)
    left_out = len(frames) - MOST_FRAMES
    shown = frames if left_out <= 0 else [frames[0], *frames[-MOST_FRAMES + 1 :]]
    for number, frame in enumerate(shown):
        sys.stderr.write(f"  {_near(frame.filename)}, line {frame.lineno}, in {frame.name}\n    {frame.line}\n")
        if left_out > 0 and number == 0:
            sys.stderr.write(f"  ... {left_out:,} more\n")
    sys.stderr.write(f"  (all of the traceback: {_retry(words)})\n")
    return status


MOST_FRAMES = 8
"""The most lines of the user's files that are shown."""

_JAX_HINTS = {
    "TracerBoolConversionError": ": JAX traces this value, so `if`, `and`, `while` cannot look at it; use jax.numpy.where",
    "TracerArrayConversionError": ": JAX traces this value, so NumPy cannot compute with it; use jax.numpy",
    "TracerIntegerConversionError": ": JAX traces this value, so it cannot be a size or an index of a list; use an array",
    "ConcretizationTypeError": ": JAX traces this value, so Python cannot read its number; use jax.numpy",
}


_OPTAX_HINT = ": a schedule of optax cannot look at a rate that JAX traces: make it for the rate 1, and multiply by the rate"


def _hint(error: BaseException) -> str:
    """Return the remedy for what JAX cannot trace; empty for other errors."""
    hint = _JAX_HINTS.get(type(error).__name__, "")
    files = [Path(frame.filename) for frame in traceback.extract_tb(error.__traceback__)]
    return _OPTAX_HINT if hint and any(file.match("optax/schedules/*.py") for file in files) else hint


def _fault(error: BaseException) -> str:
    """Return the type and message of an exception; the message of a KeyError alone would be only a name."""
    message = first_sentence(error)
    where = "".join(f" ({note})" for note in getattr(error, "__notes__", ()) if note.startswith(IN_OBSERVABLE))
    return (f"{type(error).__name__}: {message}" if message else type(error).__name__) + where


def _near(file: str) -> str:
    """Return a file's path, relative to the current folder if it is in it."""
    path = Path(file)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else file


def _retry(words: list[str]) -> str:
    return shlex.join(["jaxsgd", "--traceback", *(word for word in words if word != "--traceback")])


def _write(message: str, status: int) -> int:
    sys.stderr.write(f"jaxsgd: {' '.join(message.split())}\n")
    return status


def _os_error(error: OSError) -> str:
    reason = error.strerror or str(error)
    return f"{error.filename}: {reason}" if error.filename else reason


def _usage(error) -> str:
    """Return the usage error with the value or the nearest name, and the command for help."""
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
        return f": write it before the command: {context.parent.command_path} {option} {context.info_name}"
    if "--set" in own and option[2:].replace("-", "_") in _study_fields():
        return f": to set a field of the study, write --set {option[2:].replace('-', '_')}=VALUE"
    # By the name of a variable, because all options have the dashes.
    names = {name.strip("-").replace("-", "_"): name for name in own}
    near = nearest(option.strip("-").replace("-", "_"), names)
    return f": did you mean {names[near]}?" if near else f"; it has {', '.join(own)}"


def _study_fields() -> list[str]:
    from jaxsgd.study.fields import StudyFields

    return list(StudyFields.model_fields)
