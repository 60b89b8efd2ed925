"""What a command sets up before it computes. Nothing of it is forced on those who import the library."""

import logging
import os
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import typer

from jaxsgd.error import InputError


class Settings(NamedTuple):
    """What holds for every command.

    Attributes:
      cache: keep compiled programs on disk.
    """

    cache: bool = True


def cache_folder() -> Path:
    """Where compiled programs are kept: JAX_COMPILATION_CACHE_DIR, or `jaxsgd` in the user's cache folder."""
    named = os.environ.get("JAX_COMPILATION_CACHE_DIR")
    if named:
        return Path(named)
    # The XDG specification has relative paths ignored.
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (base if base.is_absolute() else Path("~/.cache").expanduser()) / "jaxsgd"


def start_jax(context: typer.Context, computes: bool = True) -> None:
    """Loads JAX and turns its cache of compiled programs on, if the user wants it and its folder can be written.

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
    folder = cache_folder()
    if not (settings.cache and _can_keep(folder)):
        jax.config.update("jax_enable_compilation_cache", False)
        return
    jax.config.update("jax_compilation_cache_dir", str(folder))
    # Every program here is small: the default thresholds would keep none of them.
    for name, value in (("min_compile_time_secs", 0.0), ("min_entry_size_bytes", -1)):
        if f"JAX_PERSISTENT_CACHE_{name.upper()}" not in os.environ:
            jax.config.update(f"jax_persistent_cache_{name}", value)


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

    if scheduler is not None:
        found = scheduler_at(scheduler, lambda text: typer.echo(f"jaxsgd: {scheduler}: {text}", err=True))
    else:
        found = local_workers(workers or 0, _cache_environment())
    with found as executor:
        yield executor


def _cache_environment() -> dict[str, str]:
    """What has another process keep its compiled programs where this one does."""
    import jax

    names = ("compilation_cache_dir", "persistent_cache_min_compile_time_secs", "persistent_cache_min_entry_size_bytes")
    names = ("enable_compilation_cache", *names)
    found = {name: getattr(jax.config, f"jax_{name}") for name in names}
    return {f"JAX_{name.upper()}": str(value) for name, value in found.items() if value is not None}


def _can_keep(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except (OSError, RuntimeError):
        return False


class Background:
    """Computations that go on while a command prints and draws, on as many cores as there are.

    JAX runs the programs that one thread hands it one after another; those of two threads run side by side.
    """

    def __init__(self) -> None:
        """Starts no thread yet."""
        self._pool = ThreadPoolExecutor(max(2, os.cpu_count() or 1))

    def __enter__(self) -> "Background":
        """Itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """Begins no further call."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def start(self, calls: Any) -> Any:
        """Starts every call of a pytree of calls, in its order; `wait` takes what it returns."""
        import jax

        return jax.tree.map(lambda call: self._pool.submit(lambda: jax.block_until_ready(call())), calls)

    def wait(self, started: Any) -> Any:
        """The results, once all are there; unlike a future's own wait, Ctrl-C ends it at once."""
        import jax

        futures = jax.tree.leaves(started)
        while not all(future.done() for future in futures):
            time.sleep(0.01)
        return jax.tree.map(lambda future: future.result(), started)
