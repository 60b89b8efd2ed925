"""Routines of LAPACK for several matrices, in programs that run side by side on a CPU.

Where programs side by side call a routine for several matrices at once, they can wait for each other for ever: with JAX 0.10.2
on two cores, a sweep of three programs that measured the eigenvalues of 40 x 40 matrices for eight cells never ended. Called
for one matrix at a time, the routines come to an end.
"""

import math
from typing import Any

import jax

from jaxsgd.compiling.rewritten import Rule

ROUTINES = frozenset(("cholesky", "eig", "eigh", "geqrf", "hessenberg", "lu", "qr", "schur", "svd", "tridiagonal"))
"""The names of the primitives that are routines of LAPACK for a matrix."""


def _is_for_several(eqn: Any) -> bool:
    return eqn.primitive.name in ROUTINES and eqn.invars[0].aval.ndim > 2


def _one_by_one(eqn: Any, *inputs: jax.Array) -> Any:
    axes = inputs[0].ndim - 2
    batch = inputs[0].shape[:axes]
    listed = [value.reshape(math.prod(batch), *value.shape[axes:]) for value in inputs]
    results = jax.lax.map(lambda own: eqn.primitive.bind(*own, **eqn.params), listed)
    return jax.tree.map(lambda result: result.reshape(*batch, *result.shape[1:]), results)


ONE_BY_ONE = Rule(_is_for_several, _one_by_one)
"""The rule that takes the matrices of a routine one by one, with the same numbers."""
