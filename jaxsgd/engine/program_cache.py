"""The compiled programs of this process: a program is compiled once for all sweeps, verifications and chunks."""

import collections
import contextlib
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, NamedTuple

import jax

from jaxsgd.compiling.compiler_options import compiler_options
from jaxsgd.engine.spec import Spec

MOST_PROGRAMS = 128
"""The most programs that are kept; the program that was not used for the longest time is dropped first."""

MOST_BYTES = 2**30
"""The most memory of the programs and of the arrays of their problems; beyond it the oldest programs are dropped."""

PROGRAM_BYTES = 4 * 2**20
"""The memory of a program itself on a CPU, an estimate: 20 training programs of a small network took 3 MiB each."""

_SETTINGS = (
    "jax_enable_x64",
    "jax_default_prng_impl",
    "jax_threefry_partitionable",
    "jax_default_matmul_precision",
    "jax_numpy_dtype_promotion",
    "jax_disable_most_optimizations",
    "jax_debug_nans",
    "jax_debug_infs",
    "jax_random_seed_offset",
)
"""Settings of JAX that change what a program computes or how it is compiled."""


class _Entry(NamedTuple):
    compiled: Future
    size: int


class ProgramCache:
    """Compiled programs by their static parts, bounded in number and memory. Threads may share it."""

    def __init__(self, most_programs: int = MOST_PROGRAMS, most_bytes: int = MOST_BYTES):
        """Begin empty.

        Args:
          most_programs: the most programs to keep.
          most_bytes: the most memory for them, with the arrays of their problems.
        """
        self.most_programs, self.most_bytes = most_programs, most_bytes
        self._entries: collections.OrderedDict[tuple, _Entry] = collections.OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Return the number of programs that are kept."""
        return len(self._entries)

    def compiled(self, spec: Spec, device: Any) -> tuple[Callable, float]:
        """Return a program for a device, and the seconds that it took to compile: 0 if another call has compiled it.

        Args:
          spec: the program's static parts.
          device: the `jax.Device` that it runs on.
        """
        key = (*_key(spec), device)
        with self._lock:
            is_new = key not in self._entries
            if is_new:
                self._entries[key] = _Entry(Future(), PROGRAM_BYTES + spec.own_bytes)
            self._entries.move_to_end(key)
            future = self._entries[key].compiled
        if not is_new:
            return future.result(), 0.0
        began = time.perf_counter()
        try:
            with on_device(device):
                future.set_result(spec.compile())
        except BaseException as error:
            future.set_exception(error)
            self._remove(key)
            raise
        self._shrink(key)
        return future.result(), time.perf_counter() - began

    def drop(self, spec: Spec) -> None:
        """Drop a program for all devices, so that its memory is free when nobody runs it."""
        key = _key(spec)
        with self._lock:
            for entry in [entry for entry in self._entries if entry[:-1] == key]:
                del self._entries[entry]

    def clear(self) -> None:
        """Drop all programs."""
        with self._lock:
            self._entries.clear()

    def _remove(self, key: tuple) -> None:
        with self._lock:
            self._entries.pop(key, None)

    def _shrink(self, newest: tuple) -> None:
        with self._lock:
            size = sum(entry.size for entry in self._entries.values())
            for key in list(self._entries):
                if len(self._entries) <= self.most_programs and size <= self.most_bytes:
                    return
                if key != newest and self._entries[key].compiled.done():
                    size -= self._entries.pop(key).size


def on_device(device: Any) -> contextlib.AbstractContextManager[None]:
    """Return a context in which a device is JAX's default.

    If it is the default already, nothing is changed, because JAX keeps what it has traced for each default that is set: the
    functions that the checks of a study have traced would be traced again for its programs.

    Args:
      device: a `jax.Device`.
    """
    is_default = getattr(jax.config, "jax_default_device", None) is None and device == jax.local_devices()[0]
    return contextlib.nullcontext() if is_default else jax.default_device(device)


def _key(spec: Spec) -> tuple:
    # The values of this thread; some settings are not attributes. JAX collects `values` anew each time.
    values = jax.config.values
    settings = tuple(getattr(jax.config, name, values.get(name)) for name in _SETTINGS)
    return (*spec.key, settings, tuple(sorted(compiler_options().items())))


PROGRAMS = ProgramCache()
"""The programs of this process. A sweep, `verify` and a worker take theirs from here."""
