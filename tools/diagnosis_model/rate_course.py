"""Courses of the learning rate that step where epochs begin, for the recorded runs.

Functions of progress, as `Study.schedule` takes them by "tools.diagnosis_model.rate_course:steps". They step at boundaries of
epochs where the number of epochs is a multiple of 60.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

_FLOAT = 1e-4
"""Progress in float32 may fall short of a boundary by less."""


def steps(progress: Float[Array, ""] | float) -> Float[Array, ""]:
    """Return a tenth of the rate from one third of the training on, a hundredth from two thirds on."""
    return jnp.asarray(10.0 ** -jnp.floor(3 * jnp.asarray(progress) + _FLOAT))


def restarts(progress: Float[Array, ""] | float) -> Float[Array, ""]:
    """Return twelve half cosines, one after the other (Loshchilov and Hutter 2017, "SGDR")."""
    return _cosines(progress, 12)


def restarts_each_epoch(progress: Float[Array, ""] | float) -> Float[Array, ""]:
    """Return sixty half cosines, one after the other."""
    return _cosines(progress, 60)


def _cosines(progress, count):
    through = count * jnp.asarray(progress) + _FLOAT
    return 0.02 + 0.98 * (1 + jnp.cos(jnp.pi * (through - jnp.floor(through)))) / 2
