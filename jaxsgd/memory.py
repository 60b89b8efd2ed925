"""The memory that this process may use."""

import os
import sys
from pathlib import Path

if sys.platform != "win32":
    import resource


def machine_memory() -> int:
    """Return the machine's memory in bytes; 4 GiB if it is not known."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return 4 * 2**30


def free_memory() -> int:
    """Return the bytes that this process can still allocate, within the machine's memory and its own limit (`ulimit -v`)."""
    free = machine_memory()
    for line in _lines("/proc/meminfo"):
        if line.startswith("MemAvailable:"):
            free = int(line.split()[1]) * 1024
    if sys.platform != "win32":
        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        if limit != resource.RLIM_INFINITY:
            free = min(free, limit - _status("VmSize"))
    return max(free, 0)


def process_memory() -> int:
    """Return the bytes of memory that this process has now; 0 if that is not known."""
    return _status("VmRSS")


def peak_memory() -> int:
    """Return the most bytes of memory that this process has had; 0 if that is not known."""
    if sys.platform == "win32":
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _status(name: str) -> int:
    """Return a size in bytes that Linux reports for this process; 0 on other systems."""
    return next((int(line.split()[1]) * 1024 for line in _lines("/proc/self/status") if line.startswith(f"{name}:")), 0)


def gibibytes(count: int) -> str:
    """Return a number of bytes in GiB, as messages write it."""
    return f"{count / 2**30:,.1f}" if count >= 2**30 / 10 else f"{count / 2**30:,.3f}"


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:  # not on this system
        return []
