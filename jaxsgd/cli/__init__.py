"""The command line: thin commands over the packages above it. Opens without JAX."""

import os
import sys

from jaxsgd.cli.errors import run_app


def main() -> None:
    """Entry point of the `jaxsgd` command: runs the process's arguments and ends the process."""
    status = run_app(ends=True)
    if status:
        # JAX may be computing in the background still. Python's own way out waits for that, and has been seen to crash.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
