"""A process of one thread for each core: what a machine can do when no two of its threads get in each other's way."""

import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context

ONE_THREAD: dict[str, str] = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NPROC"), "1")
"""What tells a linear-algebra library, and XLA on a CPU (`NPROC`), before it starts, how many threads it may use."""


@contextmanager
def one_thread_each(processes: int) -> Iterator[ProcessPoolExecutor]:
    """A pool of new processes with one thread each."""
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ.update(ONE_THREAD)
    try:
        with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
            yield pool
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
