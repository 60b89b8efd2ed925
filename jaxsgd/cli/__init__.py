"""The command line: thin commands over the packages above it. Opens without JAX."""

from collections.abc import Sequence

from jaxsgd.cli.errors import run_app


def main(args: Sequence[str] | None = None) -> None:
    """Entry point of the `jaxsgd` command: runs it and exits with its status.

    Args:
      args: the words after `jaxsgd`; None for the process's own.
    """
    raise SystemExit(run_app(args))
