"""The command line: thin commands over the other packages. It opens without JAX."""

import gc
import os
import signal
import sys

NEW_OBJECTS = 100_000
"""New objects after which Python looks for garbage. Imports and traced programs are hundreds of thousands of objects that are
in use until the end: to look through them after every 700 took a twentieth of a command's time.
"""


def main() -> None:
    """Entry point of the `jaxsgd` command: runs the process's arguments and ends the process."""
    gc.set_threshold(NEW_OBJECTS)
    # Until the command listens for Ctrl-C itself, nothing has begun that would have to be ended well.
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # as for a command that the shell runs in the background
        signal.signal(signal.SIGINT, _end)
    # A cluster or a container sends it, and soon ends the process by force: nothing is waited for.
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _end)
    from jaxsgd.cli.errors import run_app

    status = run_app(ends=True)
    if status:
        # JAX may be computing in the background still. Python's own way out waits for that, and has been seen to crash.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


_LINES = {
    signal.SIGINT: b"jaxsgd: interrupted\n",
    signal.SIGTERM: b"jaxsgd: ended by SIGTERM; a result keeps its complete chunks, and the same command finishes it\n",
}


def _end(number: int, frame: object) -> None:
    """End the process at once, with a line and the exit status that a shell gives to the signal."""
    del frame
    os.write(2, _LINES[signal.Signals(number)])
    os._exit(128 + number)
