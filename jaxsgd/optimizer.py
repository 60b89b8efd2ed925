"""Optimizers by name, with hyperparameters that may be traced, and schedules of progress.

An optimizer is built anew inside every step from the values it has there. Optax's transformations are pure functions that
close over their hyperparameters, so a traced rate, momentum or decay enters the program as data: a sweep over rates
compiles once, and no wrapper stands between the values and optax's own arithmetic.
"""

import functools
import importlib
import inspect
import sys
from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from jaxsgd.error import InputError, no_such, shown

OptimizerFactory = Callable[..., optax.GradientTransformation]
"""`(learning_rate, **hyperparameters) -> optax transformation`."""

Progress = Float[Array, ""] | float
"""How much of the training is done, from 0 to 1, before a step: (epoch + position / m) / E."""

OPTIMIZERS: dict[str, OptimizerFactory] = {
    "sgd": optax.sgd,
    "momentum": functools.partial(optax.sgd, momentum=0.9),
    "nesterov": functools.partial(optax.sgd, momentum=0.9, nesterov=True),
    "adam": optax.adam,
    "adamw": optax.adamw,
    "rmsprop": optax.rmsprop,
    "lion": optax.lion,
    "adagrad": optax.adagrad,
    "nadam": optax.nadam,
    "radam": optax.radam,
}
"""The optimizers by name: optax's own, and its `sgd` with a momentum of 0.9, heavy-ball and Nesterov."""


def constant(progress: Progress) -> Float[Array, ""]:
    """The factor 1 throughout."""
    return jnp.ones_like(progress)


def linear(progress: Progress) -> Float[Array, ""]:
    """From 1 down to 0 in a straight line: 1 - progress."""
    return 1 - jnp.asarray(progress)


def cosine(progress: Progress) -> Float[Array, ""]:
    """From 1 down to 0 along half a cosine, (1 + cos(pi progress)) / 2 (Loshchilov and Hutter 2017, "SGDR")."""
    return (1 + jnp.cos(jnp.pi * progress)) / 2


Schedule = Callable[[Progress], Array]
"""`progress -> factor on the learning rate`."""

SCHEDULES: dict[str, Schedule] = {"constant": constant, "linear": linear, "cosine": cosine}
"""Schedules by name: the factor on the learning rate, a function of progress, so it means the same at every batch count."""


_OWN = ("problems", "order", "optimizer", "diagnosis.rate_course")
"""What of this package a pointer may lead to: the rest runs commands and writes files."""


POINTERS = {
    "problem": "point at your own, as 'my_module:make', or '__main__:make' in a notebook",
    "order": "point at your own, as 'my_module:my_order', or '__main__:my_order' in a notebook",
    "optimizer": "point at another of optax's, as 'optax.contrib:muon', or at your own, as 'my_module:my_optimizer'",
    "schedule": "point at your own function of progress, as 'my_module:my_schedule'",
}
"""How a study names what is none of this package's, by kind: the end of the message for an unknown name."""


def _may_be_pointed_at(module: str) -> bool:
    package, _, rest = module.partition(".")
    if package == "jaxsgd":
        return any(rest == own or rest.startswith(f"{own}.") for own in _OWN)
    return package not in sys.stdlib_module_names


def attribute_at(pointer: str, kind: str) -> Any:
    """What "package.module:attribute" points at.

    A study may come from someone else, and what it points at is imported. What can be no part of one is refused before that:
    Python's own library, and the parts of this package that are none.

    Raises:
      InputError: when the module cannot be found, has no such attribute, or can be no part of a study. What the module itself
        raises while it is imported comes through.
    """
    module_name, _, attribute = pointer.partition(":")
    if not all(part.isidentifier() for part in module_name.split(".")):
        raise InputError(f"{kind} {pointer!r}: {module_name!r} is no module's name; a pointer is 'my_module:name'")
    if not _may_be_pointed_at(module_name):
        raise InputError(f"{kind} {pointer!r}: {module_name!r} holds no {kind} for a study; point at a module of your own")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if not f"{module_name}.".startswith(f"{error.name}."):
            raise  # the module is there, and one that it imports is not: its own traceback says where
        raise InputError(f"{kind} {pointer!r}: cannot import {module_name!r}: {error}") from None
    if not hasattr(module, attribute):
        public = [name for name in vars(module) if not name.startswith("_")]
        raise no_such(f"{kind} in {module_name}", attribute, public)
    return getattr(module, attribute)


def _named(name: str, known: Mapping[str, Callable], kind: str) -> Callable:
    if ":" in name:
        found = attribute_at(name, kind)
        if not callable(found):
            raise InputError(f"{kind} {name!r} must be a function, got {shown(found)}")
        return found
    if name not in known:
        raise no_such(kind, name, known, POINTERS[kind])
    return known[name]


def optimizer_named(name: str) -> OptimizerFactory:
    """The function that makes the optimizer called `name`, or the one that "package.module:attribute" points at.

    Raises:
      InputError: when there is none, with the nearest valid name.
    """
    return _named(name, OPTIMIZERS, "optimizer")


def schedule_named(name: str) -> Schedule:
    """The schedule called `name`, or the one that "package.module:attribute" points at.

    Raises:
      InputError: when there is none, with the nearest valid name.
    """
    return _named(name, SCHEDULES, "schedule")


def hyperparameters(name: str) -> list[str]:
    """The names of an optimizer's hyperparameters besides the learning rate; empty where they cannot be read."""
    try:
        parameters = inspect.signature(optimizer_named(name)).parameters.values()
    except (TypeError, ValueError):
        return []
    named = [p.name for p in parameters if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return [parameter for parameter in named if parameter != "learning_rate"]


def scheduled(
    make: OptimizerFactory, learning_rate: Any, hyper: Mapping[str, Any], schedule: Schedule = constant
) -> Callable[[Progress], optax.GradientTransformation]:
    """`progress -> optax transformation`, as `simulate` takes it: `make` at the rate that the schedule gives there."""

    def at(progress: Progress) -> optax.GradientTransformation:
        rate = learning_rate if schedule is constant else learning_rate * schedule(progress)
        return make(rate, **hyper)

    return at
