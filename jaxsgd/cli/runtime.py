"""What a command sets up before it computes. Nothing of it is forced on those who import the library."""

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
    """What holds for every command.

    Attributes:
      cache: keep compiled programs on disk.
    """

    cache: bool = True


def start_jax(context: typer.Context, computes: bool = True) -> None:
    """Load JAX and turns its cache of compiled programs on, if the user wants it and its folder can be written.

    Args:
      context: the command's.
      computes: whether this process computes; otherwise it leaves the GPUs alone, for the workers to have them.
    """
    settings: Settings = context.obj or Settings()
    # Where no cache can be written, Matplotlib would say at length that its list of fonts is not kept either.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    import jax

    if not computes:
        jax.config.update("jax_platforms", "cpu")
    from jaxsgd.engine.program_folder import keep_programs

    if not (settings.cache and keep_programs()):
        jax.config.update("jax_enable_compilation_cache", False)


@contextmanager
def started_workers(scheduler: str | None, workers: int | None) -> Iterator[Any]:
    """The executor that a command's options ask for; None where this process is to run everything itself.

    Args:
      scheduler: address of a Dask scheduler.
      workers: how many processes to start on this machine.

    Raises:
      InputError: when both are given, or the workers cannot be had.
    """
    if scheduler is None and workers is None:
        yield None
        return
    if scheduler is not None and workers is not None:
        raise InputError("give --scheduler or --workers, not both: the workers of a scheduler are started with it")
    from jaxsgd.engine.cluster import local_workers, scheduler_at
    from jaxsgd.engine.program_folder import environment_of_programs

    if scheduler is not None:
        found = scheduler_at(scheduler, lambda text: typer.echo(f"jaxsgd: {scheduler}: {text}", err=True))
    else:
        found = local_workers(workers or 0, environment_of_programs())
    with found as executor:
        yield executor


class Background:
    """Computations that go on while a command prints and draws, on as many cores as there are.

    JAX runs the programs that one thread hands it one after another; those of two threads run side by side.
    """

    def __init__(self) -> None:
        """Start no thread yet."""
        self._pool = ThreadPoolExecutor(max(2, os.cpu_count() or 1))

    def __enter__(self) -> "Background":
        """Itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """Begin no further call."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def start(self, calls: Any) -> Any:
        """Start every call of a pytree of calls, in its order; `wait` takes what it returns."""
        import jax

        return jax.tree.map(lambda call: self._pool.submit(lambda: jax.block_until_ready(call())), calls)

    def wait(self, started: Any) -> Any:
        """The results, once all are there; unlike a future's own wait, Ctrl-C ends it at once."""
        import jax

        futures = jax.tree.leaves(started)
        while not all(future.done() for future in futures):
            time.sleep(0.01)
        return jax.tree.map(lambda future: future.result(), started)
