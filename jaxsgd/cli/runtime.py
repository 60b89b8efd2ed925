"""The setup of a command before it computes. Importing the library does none of it."""

import logging
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, NamedTuple

import typer

from jaxsgd.error import InputError


class Settings(NamedTuple):
    """The settings of all commands.

    Attributes:
      cache: True to keep compiled programs on disk.
    """

    cache: bool = True


def start_jax(context: typer.Context, computes: bool = True) -> None:
    """Load JAX and turn its cache of compiled programs on, if the user wants it and its folder can be written.

    Args:
      context: the command's.
      computes: True if this process computes; False leaves the GPUs to the workers.
    """
    settings: Settings = context.obj or Settings()
    # If no cache can be written, Matplotlib would report at length that it cannot store its list of fonts.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    import jax

    # JAX writes ten frames of Python's stack beside each operation of a program, in a tenth of the time to lower it.
    jax.config.update("jax_traceback_in_locations_limit", 0)
    if not computes:
        jax.config.update("jax_platforms", "cpu")
    from jaxsgd.engine.program_folder import keep_programs

    if not (settings.cache and keep_programs()):
        jax.config.update("jax_enable_compilation_cache", False)


@contextmanager
def started_workers(scheduler: str | None, workers: int | None) -> Iterator[Any]:
    """Yield the executor of a command's options; None if this process runs everything itself.

    Args:
      scheduler: address of a Dask scheduler, or None.
      workers: the number of processes to start on this machine, or None.

    Raises:
      InputError: if both are given, or the workers cannot be started or reached.
    """
    if scheduler is None and workers is None:
        yield None
        return
    if scheduler is not None and workers is not None:
        raise InputError("give either --scheduler or --workers, not both: a scheduler has its own workers")
    from jaxsgd.engine.cluster import local_workers, scheduler_at
    from jaxsgd.engine.program_folder import environment_of_programs

    if scheduler is not None:
        team = scheduler_at(scheduler, lambda text: typer.echo(f"jaxsgd: {scheduler}: {text}", err=True))
    else:
        team = local_workers(workers or 0, environment_of_programs())
    with team as executor:
        yield executor


class Background:
    """Computations that run while a command prints and draws, on all cores.

    JAX runs the programs of one thread in sequence; those of several threads run side by side.
    """

    def __init__(self) -> None:
        """Start no thread yet."""
        self._pool = ThreadPoolExecutor(max(2, os.cpu_count() or 1))

    def __enter__(self) -> "Background":
        """Return itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """Cancel the calls that have not begun."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def start(self, calls: Any) -> Any:
        """Start all calls of a pytree of functions, in its order, and return the futures for `wait`."""
        import jax

        return jax.tree.map(lambda call: self._pool.submit(lambda: jax.block_until_ready(call())), calls)

    def wait(self, started: Any) -> Any:
        """Wait for all futures of a pytree, and return the results; unlike a future's own wait, Ctrl-C ends it at once."""
        import jax

        futures = jax.tree.leaves(started)
        while not all(future.done() for future in futures):
            time.sleep(0.01)
        return jax.tree.map(lambda future: future.result(), started)
