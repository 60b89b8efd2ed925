"""Optimizers by name, with hyperparameters that may be traced.

An optimizer is built inside every step from the values at that step. Optax's transformations are pure functions that
close over their hyperparameters, so a traced rate, momentum or decay enters the program as data: a sweep over rates
compiles once, and the arithmetic is optax's own.

Some optimizers train parameters other than those that should be evaluated: an average, the sequence x of schedule-free, or the
parameters that SAM has not moved. `evaluated` returns the parameters to evaluate.
"""

import functools
import importlib
import inspect
import sys
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Int

from jaxsgd.error import InputError, no_such, shown
from jaxsgd.schedule import Schedule, TrainingShare, as_schedule, constant

Transformation = optax.GradientTransformation

OptimizerFactory = Callable[..., Transformation]
"""`(learning_rate, **hyperparameters) -> optax transformation`."""


def sgdw(learning_rate: Any, momentum: Any = 0.9, weight_decay: Any = 1e-4, nesterov: bool = False) -> Transformation:
    """Return SGD with momentum whose weight decay is not a part of the gradient: each step subtracts rate * decay * parameters.

    Source: Loshchilov and Hutter 2019, "Decoupled weight decay regularization", algorithm 1 (SGDW). As in optax's `adamw`, the
    decay is multiplied by the rate.
    """
    return optax.chain(
        optax.trace(decay=momentum, nesterov=nesterov),
        optax.add_decayed_weights(weight_decay),
        optax.scale_by_learning_rate(learning_rate),
    )


def sam(learning_rate: Any, rho: Any = 0.05, momentum: Any = None) -> Transformation:
    """Return sharpness-aware minimization, as `optax.contrib.sam` does it without `opaque_mode`.

    Steps alternate: the first moves the parameters by rho along the gradient, upwards, and the second updates the original
    parameters by SGD with the gradient of the next batch at the moved ones. So an update takes two batches.

    Source: Foret et al. 2021, "Sharpness-aware minimization for efficiently improving generalization".
    """
    inner, outwards = optax.sgd(learning_rate, momentum), optax.chain(optax.contrib.normalize(), optax.sgd(rho))
    both = optax.contrib.sam(inner, outwards)
    # Its update takes no further arguments, such as the loss, which the simulator gives to those that do.
    return optax.GradientTransformation(both.init, lambda updates, state, params=None: both.update(updates, state, params))


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
    "sgdw": sgdw,
    "sam": sam,
    "schedule_free_sgd": optax.contrib.schedule_free_sgd,
    "schedule_free_adamw": optax.contrib.schedule_free_adamw,
}
"""The optimizers by name: optax's own, its `sgd` with a momentum of 0.9, heavy-ball and Nesterov, `sgdw` and `sam`."""

AVERAGE = "ema"
"""The hyperparameter that every optimizer has: the decay of the average of its parameters, see `with_average`."""


_OWN = ("problems", "order", "optimizer", "schedule", "measure")
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


def _own_names(module: ModuleType) -> list[str]:
    """Return the public names of what a study may point at in a module: no imported packages, and no arrays."""
    package = module.__name__.partition(".")[0]

    def is_own(value: Any) -> bool:
        home = getattr(value, "__module__", None) or type(value).__module__
        return home.partition(".")[0] in (package, "jaxsgd", "optax") and not isinstance(value, ModuleType)

    return [name for name, value in vars(module).items() if not name.startswith("_") and is_own(value)]


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
        if getattr(module.__spec__, "_initializing", False):
            raise InputError(f"{module_name} points at its own {attribute} before it defines it: write the study below")
        if attribute and hasattr(getattr(module, "contrib", None), attribute):
            raise InputError(f"{kind} {pointer!r}: it is in {module_name}.contrib, write '{module_name}.contrib:{attribute}'")
        raise no_such(f"{kind} in {module_name}", attribute, _own_names(module))
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
      InputError: for an unknown name, with the nearest valid one, and for numbers in brackets that are missing or out of range.
    """
    if ":" in name:
        return _named(name, {}, "schedule")
    return as_schedule(name, POINTERS["schedule"]).thing


def hyperparameters(name: str) -> list[str]:
    """Return the names of an optimizer's hyperparameters besides the learning rate; empty if they cannot be read."""
    parameters = _arguments(optimizer_named(name)).values()
    if not parameters:
        return []
    named = [p.name for p in parameters if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return [*dict.fromkeys([*(parameter for parameter in named if parameter != "learning_rate"), AVERAGE])]


def default_value(name: str, hyperparameter: str) -> float | None:
    """Return the value that a hyperparameter has if none is given; None if it has none, or if the optimizer is a pointer."""
    if name not in OPTIMIZERS:
        return None
    parameters = inspect.signature(OPTIMIZERS[name]).parameters
    default = parameters[hyperparameter].default if hyperparameter in parameters else None
    return float(default) if isinstance(default, int | float) and not isinstance(default, bool) else None


class AveragedState(NamedTuple):
    """The state of an optimizer with an average of its parameters.

    Attributes:
      inner: the optimizer's own state.
      average: of the parameters after each step, shaped like them; before the first step, the parameters.
      steps: the number of steps done.
    """

    inner: Any
    average: Any
    steps: Int[Array, ""]

    def evaluation_params(self, params: Any) -> Any:
        """Return the average, which is evaluated in place of the parameters."""
        del params
        return self.average


def with_average(transform: Transformation, decay: Any) -> optax.GradientTransformationExtraArgs:
    """Return an optimizer that also averages its parameters; what it trains is unchanged, and the average is evaluated.

    The average is `optax.ema(decay)` of the parameters after each step, without bias from its start: the parameters of t steps
    ago have a weight proportional to decay ** t.

    Args:
      transform: the optimizer.
      decay: from 0, which keeps the last parameters, to below 1; may be traced.
    """
    inner = optax.with_extra_args_support(transform)

    def init(params: Any) -> AveragedState:
        return AveragedState(inner.init(params), params, jnp.zeros((), jnp.int32))

    def update(updates: Any, state: Any, params: Any = None, **others: Any) -> tuple[Any, AveragedState]:
        updates, inner_state = inner.update(updates, state.inner, params, **others)
        stepped = evaluated(optax.apply_updates(params, updates), inner_state)
        steps = state.steps + 1
        # (1 - decay) / (1 - decay ** steps), without the cancellation of a decay near 1.
        weight = (1 - decay) / -jnp.expm1(steps * jnp.log(decay))

        def averaged(old: Array, new: Array) -> Array:
            return old + weight.astype(old.dtype) * (new - old)

        return updates, AveragedState(inner_state, jax.tree.map(averaged, state.average, stepped), steps)

    return optax.GradientTransformationExtraArgs(init, update)


def _chooses(node: Any) -> bool:
    return hasattr(type(node), "evaluation_params") or isinstance(node, (_ScheduleFreeState, _SAMState))


def evaluated(params: Any, opt_state: Any) -> Any:
    """Return the parameters to evaluate, which for most optimizers are those that it trains.

    They are the average for `ema`, the sequence x of schedule-free (Defazio et al. 2024, "The road less scheduled"), and for
    SAM those that are not moved. A state of your own may have a method `evaluation_params(params)`. If an optimizer has several
    such states, the outermost decides.

    Args:
      params: that the optimizer trains.
      opt_state: its state.
    """
    states = [node for node in jax.tree.leaves(opt_state, is_leaf=_chooses) if _chooses(node)]
    if not states:
        return params
    state = states[0]
    if isinstance(state, _ScheduleFreeState):
        return optax.contrib.schedule_free_eval_params(state, params)
    if isinstance(state, _SAMState):
        if state.cache is None:
            return params
        return jax.tree.map(lambda own, before: jnp.where(state.steps_since_sync == 0, own, before), params, state.cache)
    return state.evaluation_params(params)


_ScheduleFreeState, _SAMState = optax.contrib.ScheduleFreeState, optax.contrib.SAMState


def transformation(make: OptimizerFactory, learning_rate: Any, hyper: Mapping[str, Any]) -> Transformation:
    """Return the optimizer with a rate and hyperparameters, with an average of its parameters if `ema` is among them."""
    if AVERAGE not in hyper or AVERAGE in _arguments(make):
        return make(learning_rate, **hyper)
    return with_average(make(learning_rate, **{name: hyper[name] for name in hyper if name != AVERAGE}), hyper[AVERAGE])


def _arguments(make: OptimizerFactory) -> Mapping[str, inspect.Parameter]:
    """Return the arguments of a function by name; empty if they cannot be read."""
    try:
        return inspect.signature(make).parameters
    except (TypeError, ValueError):
        return {}


def scheduled(
    make: OptimizerFactory, learning_rate: Any, hyper: Mapping[str, Any], schedule: Schedule = constant
) -> Callable[[TrainingShare], Transformation]:
    """Return a function `progress -> optax transformation`, as `simulate` takes it.

    Args:
      make: makes the optimizer from a rate and hyperparameters.
      learning_rate: the rate at factor 1; may be traced.
      hyper: other hyperparameters by name, also `ema`; may be traced.
      schedule: the factor on the rate, as a function of progress.
    """

    def at(progress: TrainingShare) -> Transformation:
        rate = learning_rate if schedule is constant else learning_rate * schedule(progress)
        return transformation(make, rate, hyper)

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
        if isinstance(own, _ScheduleFreeState):
            inner = carried_on(own.base_optimizer_state, other.base_optimizer_state)
            return other._replace(b1=own.b1, base_optimizer_state=inner)
        return other

    kinds = (optax.ScaleByScheduleState, _ScheduleFreeState, *_INJECTED)
    return jax.tree.map(joined, new, given, is_leaf=lambda node: isinstance(node, kinds))


_INJECTED = (optax.InjectHyperparamsState, optax.InjectStatefulHyperparamsState)
"""The states of optax that hold hyperparameters."""
