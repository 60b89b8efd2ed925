"""One thread for BLAS and LAPACK while chunks run."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

import scipy.linalg  # noqa: F401  JAX calls this library's LAPACK, and a limit reaches only libraries that are loaded
from threadpoolctl import threadpool_limits

P = ParamSpec("P")
R = TypeVar("R")


def with_one_blas_thread(function: Callable[P, R]) -> Callable[P, R]:
    """Return the function such that BLAS and LAPACK use one thread for each call while it runs.

    A chunk runs on each core, and calls LAPACK for many cells, for example to solve for the optimum of least squares. With a
    thread for each core in each of these calls, OpenBLAS's threads wait for one another in loops, in most of the CPU time. With
    one, the bits of a result also do not depend on the number of cores.

    Args:
      function: runs chunks. The limit is that of the process, and is lifted when the function returns.
    """
    return threadpool_limits.wrap(limits=1, user_api="blas")(function)
