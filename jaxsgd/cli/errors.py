"""How a command ends: its exit status, and the one line on stderr that says why.

    0    done
    1    failure: a run that diverged, a file that could not be written, no memory
    2    bad input: the line names what is wrong and what would be right
    130  Ctrl-C

A defect of the program keeps its traceback.
"""

import _thread
import difflib
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence

from jaxsgd.error import InputError, RunFailure

NEAR = 0.65
"""Share of letters in common (`difflib.SequenceMatcher.ratio`) from which an option may have been meant."""


class CommandFailure(Exception):
    """A failure that the input is not to blame for: one line, exit status 1."""


class CommandInterrupt(Exception):
    """Ctrl-C, with one line of its own on what is kept; exit status 130."""


def run_app(args: Sequence[str] | None = None, ends: bool = False) -> int:
    """Runs the command line and returns its exit status.

    Args:
      args: the words after `jaxsgd`; None for the process's own.
      ends: whether the process ends with it; once it has been interrupted, it then hears no further Ctrl-C, which would find it
        on its way out and have Python print a traceback.
    """
    unraisable = sys.unraisablehook
    sys.unraisablehook = _interrupt_again
    try:
        return _run(args, (lambda: signal.signal(signal.SIGINT, signal.SIG_IGN)) if ends else lambda: None)
    finally:
        sys.unraisablehook = unraisable


def _interrupt_again(unraisable) -> None:
    """Python drops exceptions in callbacks, such as those that JAX hangs on the garbage collector: not this one."""
    if unraisable.exc_type is KeyboardInterrupt:
        threading.Timer(0.05, _thread.interrupt_main).start()
    else:
        sys.__unraisablehook__(unraisable)


def _run(args: Sequence[str] | None, interrupted: Callable[[], object]) -> int:
    try:
        from jaxsgd.cli.commands import app

        status = app(args=None if args is None else list(args), prog_name="jaxsgd", standalone_mode=False)
    except KeyboardInterrupt:
        interrupted()
        status = 130
    except InputError as error:
        return _say(str(error), 2)
    except (CommandFailure, RunFailure) as error:
        return _say(str(error), 1)
    except CommandInterrupt as error:
        interrupted()
        return _say(str(error), 130)
    except BrokenPipeError:
        # The reader has left (as `head` does). Python would complain when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        return _say(_os_error(error), 1)
    except MemoryError:
        return _say(_NO_MEMORY, 1)
    except Exception as error:
        return _other(error)
    status = status if isinstance(status, int) else 0
    return _say("interrupted", 130) if status == 130 else status


_NO_MEMORY = "not enough memory: try fewer samples or a smaller network"


def _other(error: Exception) -> int:
    # Typer has its exceptions from Click or carries a copy of it, by version: known by what they do.
    if type(error).__name__ == "NoArgsIsHelpError":
        # The help text is on the terminal already.
        return 2
    if hasattr(error, "format_message"):
        return _say(_usage(error), 2)
    if type(error).__name__ == "Abort":
        return _say("interrupted", 130)
    if "RESOURCE_EXHAUSTED" in str(error):
        return _say(_NO_MEMORY, 1)
    raise error


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
    from jaxsgd.engine.study import StudyFields

    return list(StudyFields.model_fields)
