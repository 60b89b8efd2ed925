"""Simulate: one complete run from a problem and a key."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Array

from jaxsgd.compiling.convolution import with_fast_convolutions
from jaxsgd.compiling.jit import jit_per_problem
from jaxsgd.error import InputError, check_count, shown
from jaxsgd.evaluation import check_every
from jaxsgd.measure.observable import known, measures_of
from jaxsgd.order import Order, as_order, check_feedback, split
from jaxsgd.problem import Batch, Params, Problem, check_training, num_samples
from jaxsgd.simulator import Keys, Optimizer, Run, as_keys, check_optimizer, check_precision, draw_start, initial_state
from jaxsgd.train import Recording, Sparse, run


def _observed_run(problem: Problem, params: Params, data: Batch, held_out: Batch | None, order_key: Array, **how: Any) -> Run:
    if how["recording"].observe or how["recording"].sparse:
        how["known"] = known(problem, data, held_out)

    def trained(params: Params, data: Batch, order_key: Array) -> Run:
        return run(problem, initial_state(how["optimizer"], params), data, order_key, **how)

    return with_fast_convolutions(trained, problem.losses, params, data)(params, data, order_key)


_run = jit_per_problem(_observed_run, static_argnames=("optimizer", "split", "order", "precision", "epochs", "recording"))
_held_out = jit_per_problem(lambda problem, key: problem.sample_held_out(key))


def simulate(
    problem: Problem,
    key: Array | Keys,
    *,
    optimizer: Optimizer,
    epochs: int,
    batch_count: int | None = None,
    batch_size: int | None = None,
    drop_last: bool = False,
    order: str | Order | Callable = "fixed",
    precision: str = "float32",
    observe: str | Callable | Sequence[str | Callable] | None = None,
    evaluate_every: int | float | None = None,
    observe_every: int | None = None,
    observe_batches: bool | str | Callable | Sequence[str | Callable] = False,
    keep: Sequence[int] = (),
) -> Run:
    """Train one complete run by mini-batch SGD: w <- w - lr * mean gradient over the batch, or the update of `optimizer`.

    Pure, and compiled once per problem, optimizer and sizes: works under `jit`, `vmap` and `grad`. To sweep a rate in one
    program, build the optimizer inside the mapped function: `vmap(lambda lr: simulate(..., optimizer=optax.sgd(lr)))`. In a
    Python loop each other rate is another program; two calls with `optax.sgd(0.1)` share one.

    Args:
      problem: the problem to train.
      key: a JAX random key, or `Keys` with a key for each stream (see `streams`).
      optimizer: any optax transformation, or a function of progress (the share of the training that is done, from 0 to 1)
        that returns one, so that a schedule means the same at every batch count; a warmup over a tenth of the training is
        `lambda progress: optax.sgd(0.1 * jnp.minimum(progress / 0.1, 1))`.
      epochs: E, passes over the data.
      batch_count: m, batches per epoch; sizes differ by at most one, as in `numpy.array_split`.
      batch_size: B, in place of `batch_count`: full batches and a smaller last one.
      drop_last: with `batch_size`, leave out a smaller last batch.
      order: one of `jaxsgd.ORDERS`, a name with numbers in brackets such as "buffer(100)" (`jaxsgd.order.ORDER_FAMILIES`), an
        `Order`, or a function `(key, epoch, num_samples) -> [N]`.
      precision: matrix-product precision on every device: "float32", or "tensorfloat32" or "bfloat16" for speed.
      observe: observables to measure after each epoch, kept in `Run.observed`: names in `jaxsgd.measure.METRICS` such as
        "sharpness", pointers "my_module:my_measure", and functions `(params, context) -> a number, an array or a dictionary of
        these`, with a `jaxsgd.context.Context`. The values of a single one are kept as they are, and those of a list by
        name, as in a result. Another function compiles again.
      evaluate_every: observe more often or less often than each epoch: a share 1/q of an epoch such as 0.25, or a whole number
        of steps; `jaxsgd.evaluation.evaluation_steps` gives the steps done before each of the V evaluations.
      observe_every: observe after each so many epochs, and after the last; `jaxsgd.evaluation.observed_epochs` lists the V
        epochs.
      observe_batches: observables to measure before each step of these epochs, kept in `Run.observed_batches`, [V, m, ...];
        True for those of `observe`. Their context has the step's batch and its gradient too.
      keep: numbers of epochs, 0 for the start, after which the parameters and the optimizer's state are kept, in `Run.kept`.

    Raises:
      InputError: for sizes that do not fit the data, an unknown order, or a loss that is not one number per sample.
    """
    check_training(problem)
    epochs = check_count("epochs", epochs)
    keys = as_keys(key)
    samples = num_samples(jax.eval_shape(problem.sample_data, keys.data))
    cut = split(samples, batch_count=batch_count, batch_size=batch_size, drop_last=drop_last)
    check_optimizer(optimizer)
    check_precision(precision)
    if observe is None:
        wanting = {"evaluate_every": evaluate_every is not None, "observe_batches=True": observe_batches is True}
        wanting["observe_every"] = observe_every is not None and not observe_batches
        for name in (name for name, is_given in wanting.items() if is_given):
            raise InputError(f"{name} needs observe, a name or a function (params, context) -> arrays to measure")
    if observe_batches and observe_every is None:
        raise InputError("observe_batches needs observe_every: the steps of each so many epochs are measured")
    if evaluate_every is not None:
        if observe_every is not None:
            raise InputError("give either evaluate_every or observe_every, and not both")
        evaluate_every = check_every(evaluate_every)
    measures = None if observe is None else measures_of(problem, observe)
    of_steps = measures if observe_batches is True else measures_of(problem, observe_batches) if observe_batches else None
    every = None if observe_every is None else check_count("observe_every", observe_every)
    kept = _check_keep(keep, epochs)
    if every is None:
        recording = Recording(measures, evaluate_every, keep=kept)
    else:
        recording = Recording(sparse=Sparse(measures, every, of_steps), keep=kept)
    params, data = draw_start(problem, keys)
    order = as_order(order)
    check_feedback(order, params, cut.batch_count)
    held_out = _held_out(problem, keys.data) if (measures or of_steps) and problem.held_out is not None else None
    return _run(
        problem,
        params,
        data,
        held_out,
        keys.order,
        optimizer=optimizer,
        split=cut,
        order=order,
        precision=precision,
        epochs=epochs,
        recording=recording,
    )


def _check_keep(keep: Any, epochs: int) -> tuple[int, ...]:
    """Return the numbers of epochs after which states are kept.

    Raises:
      InputError: unless they are whole numbers from 0 to E, ascending.
    """
    listed: list[Any] = [*keep] if isinstance(keep, Iterable) and not isinstance(keep, str) else [keep]
    numbers = all(isinstance(value, int | np.integer) and not isinstance(value, bool) for value in listed)
    if not numbers or listed != sorted(set(listed)) or not all(0 <= value <= epochs for value in listed):
        raise InputError(f"keep must list numbers of epochs from 0 to {epochs} in ascending order, got {shown(keep)}")
    return tuple(int(value) for value in listed)
