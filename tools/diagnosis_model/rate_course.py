"""Courses of the learning rate that step where epochs begin, and the optimizers that follow them, for the recorded runs.

The course is a hyperparameter of the optimizer, so that runs of all courses share a compiled program. Rates step at boundaries
of epochs where the number of epochs is a multiple of 60.
"""

import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

_FLOAT = 1e-4
"""Progress in float32 may fall short of a boundary by less."""


def constant(progress: Float[Array, ""] | float) -> Float[Array, ""]:
    """Return the whole rate."""
    return jnp.ones_like(jnp.asarray(progress))


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


COURSES = (constant, steps, restarts, restarts_each_epoch)
"""The factor on the rate as a function of progress from 0 to 1, by the number of the course."""


def course_factor(course: Float[Array, ""] | float, progress: Float[Array, ""] | float) -> Float[Array, ""]:
    """Return the factor on the rate at some progress of the course of a number, which may be traced."""
    factors = jnp.stack([factor(progress) for factor in COURSES])
    return factors[jnp.asarray(course).astype(int)]


def sgd(learning_rate: float, course: float = 0, num_steps: float = 1) -> optax.GradientTransformation:
    """Return gradient descent with the rate on a course.

    Args:
      learning_rate: the whole rate.
      course: the number of the course.
      num_steps: steps of the whole training.
    """
    return optax.sgd(lambda done: learning_rate * course_factor(course, done / num_steps))


def adam(learning_rate: float, course: float = 0, num_steps: float = 1) -> optax.GradientTransformation:
    """Return Adam with the rate on a course; the arguments are those of `sgd`."""
    return optax.adam(lambda done: learning_rate * course_factor(course, done / num_steps))
