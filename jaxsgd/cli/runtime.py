"""What a command sets up before it computes. Nothing of it is forced on those who import the library."""

import logging
import os
import tempfile
import time
from pathlib import Path
from typing import NamedTuple, TypeVar

import typer

T = TypeVar("T")


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


def start_jax(context: typer.Context) -> None:
    """Loads JAX and turns its cache of compiled programs on, if the user wants it and its folder can be written."""
    settings: Settings = context.obj or Settings()
    # Where no cache can be written, Matplotlib would say at length that its list of fonts is not kept either.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    import jax

    folder = cache_folder()
    if not (settings.cache and _can_keep(folder)):
        jax.config.update("jax_enable_compilation_cache", False)
        return
    jax.config.update("jax_compilation_cache_dir", str(folder))
    # Every program here is small: the default thresholds would keep none of them.
    for name, value in (("min_compile_time_secs", 0.0), ("min_entry_size_bytes", -1)):
        if f"JAX_PERSISTENT_CACHE_{name.upper()}" not in os.environ:
            jax.config.update(f"jax_persistent_cache_{name}", value)


def _can_keep(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except (OSError, RuntimeError):
        return False


def wait_for(arrays: T) -> T:
    """The arrays once JAX has filled them; unlike JAX's own wait, Ctrl-C ends it at once."""
    import jax

    while not all(leaf.is_ready() for leaf in jax.tree.leaves(arrays)):
        time.sleep(0.01)
    return arrays
