"""Optimizers by name, with hyperparameters that may be traced, and schedules of progress.

An optimizer is built inside every step from the values at that step. Optax's transformations are pure functions that
close over their hyperparameters, so a traced rate, momentum or decay enters the program as data: a sweep over rates
compiles once, and the arithmetic is optax's own.
"""

import functools
import importlib
import inspect
import sys
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from jaxsgd.error import InputError, no_such, shown

OptimizerFactory = Callable[..., optax.GradientTransformation]
"""`(learning_rate, **hyperparameters) -> optax transformation`."""

TrainingShare = Float[Array, ""] | float
"""The share of the training that is done before a step, from 0 to 1: (epoch + position / m) / E."""

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


def constant(progress: TrainingShare) -> Float[Array, ""]:
    """Return the factor 1 at every progress."""
    return jnp.ones_like(progress)


def linear(progress: TrainingShare) -> Float[Array, ""]:
    """Return a factor that falls from 1 to 0 in a straight line: 1 - progress."""
    return 1 - jnp.asarray(progress)


def cosine(progress: TrainingShare) -> Float[Array, ""]:
    """Return a factor that falls from 1 to 0 along half a cosine, (1 + cos(pi progress)) / 2.

    Source: Loshchilov and Hutter 2017, "SGDR".
    """
    return (1 + jnp.cos(jnp.pi * progress)) / 2


Schedule = Callable[[TrainingShare], Array]
"""`progress -> factor on the learning rate`."""

SCHEDULES: dict[str, Schedule] = {"constant": constant, "linear": linear, "cosine": cosine}
"""Schedules by name: the factor on the learning rate, a function of progress, so it means the same at every batch count."""


_OWN = ("problems", "order", "optimizer", "measure")
"""The modules of this package that a pointer may lead to: the others run commands and write files."""


POINTERS = {
    "problem": "point at your own, as 'my_module:make', or '__main__:make' in a notebook",
    "order": "point at your own, as 'my_module:my_order', or '__main__:my_order' in a notebook",
    "optimizer": "point at another one of optax, as 'optax.contrib:muon', or at your own, as 'my_module:my_optimizer'",
    "schedule": "point at your own function of progress, as 'my_module:my_schedule'",
    "observable": "point at your own function (params, context), as 'my_module:my_measure'",
}
"""By kind, how a study names a thing from outside this package: the end of the message for an unknown name."""


def _may_be_pointed_at(module: str) -> bool:
    package, _, rest = module.partition(".")
    if package == "jaxsgd":
        return any(rest == own or rest.startswith(f"{own}.") for own in _OWN)
    return package not in sys.stdlib_module_names


def attribute_at(pointer: str, kind: str) -> Any:
    """Return the object that "package.module:attribute" points at.

    A study may come from someone else, and the modules that it points at are imported. So Python's own library and the parts
    of this package that run commands are refused before the import.

    Args:
      pointer: the text "package.module:attribute".
      kind: the kind of object, such as "order", for the message.

    Raises:
      InputError: if the module cannot be imported, has no such attribute, or cannot be a part of a study. An exception that the
        module itself raises while it is imported is not caught.
    """
    module_name, _, attribute = pointer.partition(":")
    if not all(part.isidentifier() for part in module_name.split(".")):
        raise InputError(f"{kind} {pointer!r}: {module_name!r} is not a module name; write a pointer as 'my_module:name'")
    if not _may_be_pointed_at(module_name):
        raise InputError(f"{kind} {pointer!r}: {module_name!r} has no {kind} for a study; point at a module of your own")
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
        function = attribute_at(name, kind)
        if not callable(function):
            raise InputError(f"{kind} {name!r} must be a function, got {shown(function)}")
        return function
    if name not in known:
        raise no_such(kind, name, known, POINTERS[kind])
    return known[name]


def optimizer_named(name: str) -> OptimizerFactory:
    """Return the function that makes the optimizer called `name`, or the one that "package.module:attribute" points at.

    Raises:
      InputError: for an unknown name, with the nearest valid one.
    """
    return _named(name, OPTIMIZERS, "optimizer")


def schedule_named(name: str) -> Schedule:
    """Return the schedule called `name`, or the one that "package.module:attribute" points at.

    Raises:
      InputError: for an unknown name, with the nearest valid one.
    """
    return _named(name, SCHEDULES, "schedule")


def hyperparameters(name: str) -> list[str]:
    """Return the names of an optimizer's hyperparameters besides the learning rate; empty if they cannot be read."""
    try:
        parameters = inspect.signature(optimizer_named(name)).parameters.values()
    except (TypeError, ValueError):
        return []
    named = [p.name for p in parameters if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return [parameter for parameter in named if parameter != "learning_rate"]


def scheduled(
    make: OptimizerFactory, learning_rate: Any, hyper: Mapping[str, Any], schedule: Schedule = constant
) -> Callable[[TrainingShare], optax.GradientTransformation]:
    """Return a function `progress -> optax transformation`, as `simulate` takes it.

    Args:
      make: makes the optimizer from a rate and hyperparameters.
      learning_rate: the rate at factor 1; may be traced.
      hyper: other hyperparameters by name; may be traced.
      schedule: the factor on the rate, as a function of progress.
    """

    def at(progress: TrainingShare) -> optax.GradientTransformation:
        rate = learning_rate if schedule is constant else learning_rate * schedule(progress)
        return make(rate, **hyper)

    return at


def carried_on(new: Any, given: Any) -> Any:
    """Return an optimizer's state that goes on from a given one.

    Hyperparameters within the state (`optax.inject_hyperparams`), and counts of the steps of a schedule, are those of the new
    state: all other parts, such as moments and the count of Adam's bias correction, are the given ones.

    Args:
      new: the state with which the optimizer begins.
      given: a state of the same structure.
    """

    def joined(own: Any, other: Any) -> Any:
        if isinstance(own, optax.ScaleByScheduleState):
            return own
        if isinstance(own, _INJECTED):
            return own._replace(inner_state=carried_on(own.inner_state, other.inner_state))
        return other

    return jax.tree.map(joined, new, given, is_leaf=lambda node: isinstance(node, (optax.ScaleByScheduleState, *_INJECTED)))


_INJECTED = (optax.InjectHyperparamsState, optax.InjectStatefulHyperparamsState)
"""The states of optax that hold hyperparameters."""
