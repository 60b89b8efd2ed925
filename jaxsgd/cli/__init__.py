"""The command line: thin commands over the other packages. It opens without JAX."""

import os
import signal
import sys


def main() -> None:
    """Entry point of the `jaxsgd` command: runs the process's arguments and ends the process."""
    # Until the command listens for Ctrl-C itself, nothing has begun that would have to be ended well.
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # as for a command that the shell runs in the background
        signal.signal(signal.SIGINT, _leave)
    from jaxsgd.cli.errors import run_app

    status = run_app(ends=True)
    if status:
        # JAX may be computing in the background still. Python's own way out waits for that, and has been seen to crash.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _leave(number: int, frame: object) -> None:
    """End the process at once."""
    del number, frame
    os.write(2, b"jaxsgd: interrupted\n")
    os._exit(130)
