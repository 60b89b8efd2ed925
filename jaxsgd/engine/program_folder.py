"""Compiled programs kept on disk, so that a second start does not compile them again."""

import hashlib
import os
import platform
import tempfile
from pathlib import Path

import jax
from jax.experimental.compilation_cache import compilation_cache

_SETTINGS = {"min_compile_time_secs": 0.0, "min_entry_size_bytes": -1}
"""Every program here is small: JAX's own thresholds would keep none of them."""


def processor_kind() -> str:
    """Return a short name of this processor's instruction set: compiled programs need the same instruction set."""
    text = f"{platform.machine()} {platform.processor()}"
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # not on this system
        lines = []
    # The flags of x86, the features of Arm.
    flags = next((line.partition(":")[2] for line in lines if line.lower().startswith(("flags", "features"))), "")
    return f"{platform.machine() or 'cpu'}-{hashlib.sha256((text + ' '.join(sorted(flags.split()))).encode()).hexdigest()[:8]}"


def program_folder() -> Path:
    """Return the folder of compiled programs: JAX_COMPILATION_CACHE_DIR, or `jaxsgd` in the user's cache folder."""
    named = os.environ.get("JAX_COMPILATION_CACHE_DIR")
    if named:
        return Path(named)
    # By the XDG specification, relative paths are ignored.
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (base if base.is_absolute() else Path("~/.cache").expanduser()) / "jaxsgd" / processor_kind()


def keep_programs(folder: str | Path | None = None) -> Path | None:
    """Keep compiled programs on disk from now on, as the commands do, and return the folder; None if it cannot be written.

    Args:
      folder: the folder for them; None for the folder that the commands use (`JAX_COMPILATION_CACHE_DIR`, or a folder of this
        processor's kind in the user's cache folder).
    """
    chosen = program_folder() if folder is None else Path(folder)
    if not _is_writable(chosen):
        return None
    jax.config.update("jax_compilation_cache_dir", str(chosen))
    compilation_cache.reset_cache()  # JAX looks at the setting only once
    for name, value in _SETTINGS.items():
        if f"JAX_PERSISTENT_CACHE_{name.upper()}" not in os.environ:
            jax.config.update(f"jax_persistent_cache_{name}", value)
    return chosen


def environment_of_programs() -> dict[str, str]:
    """Return the environment variables with which another process uses the same folder of compiled programs."""
    names = ("enable_compilation_cache", "compilation_cache_dir", *(f"persistent_cache_{name}" for name in _SETTINGS))
    values = {name: getattr(jax.config, f"jax_{name}") for name in names}
    return {f"JAX_{name.upper()}": str(value) for name, value in values.items() if value is not None}


def _is_writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except (OSError, RuntimeError):
        return False
