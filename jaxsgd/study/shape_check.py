"""Checks of a study's orders, schedules and optimizers by shapes alone, before anything is compiled."""

import inspect
import json
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxsgd.compiling.per_owner import PerOwner
from jaxsgd.error import InputError, first_sentence, shown, user_frames
from jaxsgd.optimizer import OptimizerFactory, scheduled, transformation
from jaxsgd.order import Order, check_feedback, sample_sequence
from jaxsgd.problem import Problem
from jaxsgd.simulator import initial_state, optimizer_at, step
from jaxsgd.study.subject import Subject, precision_of

_CHECKED: PerOwner[None] = PerOwner()
"""The orders and optimizers that passed, by the problem: they are traced once for it."""


def check_order(order: Order, num_samples: int, problem: Problem, dtype: str) -> None:
    """Check that an order gives N sample numbers, and the functions by which it looks at gradients, if it does.

    Args:
      order: the order.
      num_samples: N.
      problem: the problem to train.
      dtype: of its parameters.

    Raises:
      InputError: if it does not. Exceptions of the user's own function are not caught.
    """
    _CHECKED.get(problem, (order, num_samples, dtype), lambda: _check_order(order, num_samples, problem, dtype))


def _check_order(order: Order, num_samples: int, problem: Problem, dtype: str) -> None:
    key = jax.eval_shape(lambda: jax.random.key(0))
    epoch = jax.ShapeDtypeStruct((), jnp.int32)
    try:
        jax.eval_shape(lambda key, epoch: sample_sequence(order, key, epoch, num_samples), key, epoch)
        if order.feedback is not None:
            with precision_of(dtype):
                check_feedback(order, jax.eval_shape(problem.init, key), num_samples)
    except InputError:
        raise
    except Exception as error:
        if user_frames(error):
            raise
        raise InputError(
            f"order {order.name!r} must be a function (key, epoch, num_samples) -> [N]; it fails with "
            f"{type(error).__name__}: {first_sentence(error)}"
        ) from error


def check_schedule(name: str, schedule: Callable) -> None:
    """Check that a schedule is a function of progress that returns one number.

    Raises:
      InputError: if it is not. Exceptions of the user's own function are not caught.
    """
    wanted = f"schedule {name!r} must be a function of progress, from 0 to 1, that returns one number, the factor on the rate"
    if (getattr(schedule, "__module__", None) or "").partition(".")[0] == "optax":
        raise InputError(
            f"{wanted}; optax's schedules are functions of steps, so write your own function, as 'my_module:my_schedule'"
        )
    try:
        factor = jax.eval_shape(schedule, jax.ShapeDtypeStruct((), jnp.float32))
    except Exception as error:
        if user_frames(error):
            raise
        raise InputError(f"{wanted}; it fails with {type(error).__name__}: {first_sentence(error)}") from error
    if getattr(factor, "shape", None) != () or not jnp.issubdtype(factor.dtype, jnp.number):
        raise InputError(f"{wanted}, got {shown(factor)}")


def check_factors(name: str, schedule: Callable) -> None:
    """Check that a schedule makes no rate negative or non-finite, by its factors at a hundred times of a training.

    Raises:
      InputError: if it does. Exceptions of the user's own function are not caught.
    """
    progress = np.arange(100, dtype=np.float32) / 100
    factors = np.asarray(jax.jit(lambda times: jax.lax.map(schedule, times))(progress))
    wrong = np.flatnonzero(~(np.isfinite(factors) & (factors >= 0)))
    if len(wrong):
        at = wrong[0]
        raise InputError(
            f"schedule {name!r} must return a factor of at least 0, got {factors[at]:.4g} at progress {progress[at]:g}"
        )


def check_optimizer(
    name: str, make: OptimizerFactory, args: Mapping[str, Any], axes: Mapping[str, float], subject: Subject, dtype: str
) -> None:
    """Check that an optimizer can be made and take a step.

    Args:
      name: of the optimizer, for the message.
      make: makes it from a rate and hyperparameters.
      args: its fixed arguments.
      axes: hyperparameters that are axes, each with any of its values; they are traced.
      subject: the problem to train.
      dtype: of its parameters.

    Raises:
      InputError: if it cannot. Exceptions of the user's own function are not caught.
    """
    fixed, traced = (json.dumps(dict(values), sort_keys=True) for values in (args, axes))
    own = (name, make, fixed, traced)
    _CHECKED.get(subject.problem, (*own, dtype), lambda: _check_optimizer(*own, subject.problem, dtype))


def _check_optimizer(name: str, make: OptimizerFactory, args_json: str, axes_json: str, problem: Problem, dtype: str) -> None:
    args, axes = json.loads(args_json), json.loads(axes_json)
    for axis in axes:
        if isinstance(_default(make, axis), bool):
            raise _no_axis(axis, name)
    with precision_of(dtype):
        try:
            _trace_step(make, args, axes, problem)
        except InputError as error:
            raise InputError(f"optimizer {name!r} {error}") from None
        except Exception as error:
            if user_frames(error):
                raise
            for axis in axes if isinstance(error, jax.errors.ConcretizationTypeError) else ():
                others = {other: value for other, value in axes.items() if other != axis}
                if _fails(make, args | others, {axis: axes[axis]}, problem):
                    raise _no_axis(axis, name) from error
            given = f" with {shown(args | axes)}" if args or axes else ""
            raise InputError(f"optimizer {name!r}{given} fails with {type(error).__name__}: {first_sentence(error)}") from error


def _fails(make: OptimizerFactory, args: dict[str, Any], axes: dict[str, float], problem: Problem) -> bool:
    try:
        _trace_step(make, args, axes, problem)
    except Exception:
        return True
    return False


def _trace_step(make: OptimizerFactory, args: dict[str, Any], axes: dict[str, float], problem: Problem) -> None:
    """Trace a step of `problem` from its first parameters, by shapes alone; the rate and the axes are traced."""

    def first_step(key: Any, data: Any, rate: Any, hyper: dict[str, Any]) -> Any:
        transform = transformation(make, rate, {**args, **hyper})
        if not isinstance(transform, optax.GradientTransformation):
            raise InputError(f"must be a function that returns an optax transformation, got {shown(transform)}")
        optimizer = scheduled(make, rate, {**args, **hyper})
        state = initial_state(optimizer, problem.init(key))
        after, _ = step(problem, optimizer_at(optimizer, jnp.zeros(())), state, data, noise=key)
        return state, after

    values = {name: np.float32(value) for name, value in axes.items()}
    key = jax.random.key(0)
    data = jax.eval_shape(problem.sample_data, key)
    before, after = jax.eval_shape(first_step, key, data, np.float32(0.1), values)
    if jax.tree.map(_kind, before) != jax.tree.map(_kind, after):
        raise InputError(
            "must not change the types and shapes of the parameters and of its state, got "
            f"{shown(before)} before a step and {shown(after)} after it"
        )


def _kind(leaf: Any) -> tuple:
    return leaf.shape, leaf.dtype


def check_numbers(make: OptimizerFactory, args: Mapping[str, Any]) -> None:
    """Check that no argument is text if the optimizer's own default is a number.

    Raises:
      InputError: for such an argument.
    """
    for name, value in args.items():
        default = _default(make, name)
        if isinstance(value, str) and isinstance(default, int | float) and not isinstance(default, bool):
            raise InputError(f"{name} must be a number such as {default}, got the text {value!r}")


def _default(make: OptimizerFactory, argument: str) -> Any:
    """Return an argument's default; None if it has no default, or it cannot be read."""
    try:
        parameters = inspect.signature(make).parameters
    except (TypeError, ValueError):
        return None
    return parameters[argument].default if argument in parameters else None


def _no_axis(axis: str, optimizer: str) -> InputError:
    return InputError(
        f"{axis!r} of optimizer {optimizer!r} cannot be an axis: it is a switch or a size, not a number that can vary within a "
        "program; give it in optimizer_args"
    )
