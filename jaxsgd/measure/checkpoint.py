"""Training that stops at chosen epochs for a measurement."""

import functools
from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from jaxsgd.compiling.convolution import with_fast_convolutions
from jaxsgd.compiling.jit import jit_per_problem
from jaxsgd.error import InputError, check_count, shown
from jaxsgd.microstep import Cut, Layout, MicroVisits, cut, layout, micro_stepping, micro_visits
from jaxsgd.order import Order, Split, as_order, split
from jaxsgd.problem import Batch, Params, Problem, check_training, num_samples
from jaxsgd.simulator import Keys, Optimizer, State, as_keys, check_optimizer, check_precision, draw_start, initial_state
from jaxsgd.train import train_epoch


class TrainingSpec(NamedTuple):
    """The static parts of a training besides its problem; hashable, so that it can be a static argument.

    Attributes:
      optimizer, order, precision: as in `simulate`.
      epochs: E; for a training of so many steps, these over the batch count, which need not be a whole number.
      layout: the micro-steps in which it trains.
      whole: the layout of the same M batches with a single micro-step for each batch.
    """

    optimizer: Optimizer
    order: Order
    precision: str
    epochs: int | float
    layout: Layout
    whole: Layout


class Cuts(NamedTuple):
    """A split as data, for the training's two layouts."""

    micro: Cut
    whole: Cut


def layouts(splits: Sequence[Split], has_noise: bool) -> tuple[Layout, Layout, list[Cuts]]:
    """Return the micro-steps for training, the whole batches for measuring, and each split as data for both.

    A loss that takes a key is trained in whole batches too, so that its random parts are those of `simulate`.
    """
    whole = layout(splits, max(int(split.sizes.max()) for split in splits))
    micro = whole if has_noise else layout(splits)
    return micro, whole, [Cuts(cut(split, micro), cut(split, whole)) for split in splits]


class Epoch(NamedTuple):
    """An epoch that is about to begin.

    Attributes:
      number: [], 0-based.
      state: before its first step.
      visits: its batches, [M]; those past the batch count never `end`.
      progress: [M], the share of the training that is done before each step.
    """

    number: Int[Array, ""]
    state: State
    visits: MicroVisits
    progress: Array


Measure = Callable[[Problem, TrainingSpec, Batch, Epoch, Any], Any]
"""`(problem, training, data, epoch, option) -> arrays`. A function of a module, for a program is compiled for each."""


def measured(given: "Prepared", measure: Measure, option: Hashable) -> Any:
    """Return a measurement at the beginning of chosen epochs of a training, which it does not change.

    Args:
      given: the training, and the C epochs to measure in.
      measure: the measurement.
      option: its last argument.

    Returns:
      The values of `measure`, with leading axis C; of several batch counts [S, C, ...].
    """
    return measured_runs(
        given.problem,
        given.params,
        given.data,
        given.order_key,
        given.cuts,
        given.at,
        training=given.training,
        several=given.runs is not None,
        measure=measure,
        option=option,
    )


@functools.partial(jit_per_problem, static_argnames=("training", "several", "measure", "option"))
def measured_runs(
    problem: Problem,
    params: Params,
    data: Batch,
    order_key: Array,
    cuts: Cuts,
    at: Int[Array, " C"],
    *,
    training: TrainingSpec,
    several: bool,
    measure: Measure,
    option: Hashable,
) -> Any:
    """Return what `measured` returns, compiled.

    Args:
      problem, params, data, order_key, cuts, at, training: as in `Prepared`.
      several: True if `cuts` are those of several splits.
      measure, option: as `measured` takes them.
    """

    def runs(params: Params, data: Batch, order_key: Array, cuts: Cuts, at: Array) -> Any:
        def run(cuts: Cuts) -> Any:
            def at_epoch(epoch: Epoch) -> Any:
                return measure(problem, training, data, epoch, option)

            return _at_epochs(problem, training, params, data, order_key, cuts, at, at_epoch)

        # In sequence, so that a small batch count takes only its own steps.
        return jax.lax.map(run, cuts) if several else run(cuts)

    return with_fast_convolutions(runs, problem.losses, params, data)(params, data, order_key, cuts, at)


def _at_epochs(
    problem: Problem,
    training: TrainingSpec,
    params: Params,
    data: Batch,
    order_key: Array,
    cuts: Cuts,
    at: Int[Array, " C"],
    measure: Callable[[Epoch], Any],
) -> Any:
    """Train, and return the values of `measure` at the beginning of C epochs, with leading axis C."""
    how = {"optimizer": training.optimizer, "order": training.order, "epochs": training.epochs}
    parts = micro_stepping(problem, data, order_key, cuts.micro, layout=training.layout, **how)

    def to_next_stop(carry: tuple[State, Array], stop: Array) -> tuple[tuple[State, Array], Any]:
        state, begun = carry
        state = jax.lax.fori_loop(begun, stop, lambda i, state: train_epoch(parts, state, i), state)
        has_noise = problem.has_noise
        visits = micro_visits(training.order, order_key, stop, cuts.whole, training.whole, has_noise, state.order_state)
        progress = (stop + visits.position / cuts.whole.batch_count) / training.epochs
        # A measurement has the epoch's batches, and takes its steps without the order.
        return (state, stop), measure(Epoch(stop, state._replace(order_state=None), visits, progress))

    with jax.default_matmul_precision(training.precision):
        first = (parts.start(initial_state(training.optimizer, params)), jnp.zeros((), at.dtype))
        return jax.lax.scan(to_next_stop, first, at)[1]


def _check_epochs(at: Sequence[int] | int, epochs: int | None) -> tuple[np.ndarray, int]:
    """Return the epochs to measure in, ascending and without repeats, and the epochs of the whole training.

    Raises:
      InputError: for epochs that are not whole numbers from 0 to E - 1.
    """
    listed = [at] if isinstance(at, int | np.integer) else list(at)
    if not listed:
        raise InputError("at must name at least one epoch, such as at=[0]")
    if epochs is not None:
        epochs = check_count("epochs", epochs)
    for value in listed:
        whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
        if not whole or value < 0 or (epochs is not None and value >= epochs):
            wanted = "from 0" if epochs is None else f"from 0 to {epochs - 1}"
            raise InputError(f"at must list epochs {wanted} (0-based whole numbers), got {shown(value)}")
    stops = np.unique(np.asarray(listed, np.int32))
    return stops, int(stops[-1]) + 1 if epochs is None else epochs


class Prepared(NamedTuple):
    """A checked training with its initial parameters and data.

    Attributes:
      problem: to train.
      training: its other static parts.
      params: initial parameters.
      data: arrays with leading axis N.
      order_key: the key of the order's stream.
      cuts: of a single split, or stacked [S] of several splits.
      runs: S, or None for a single batch count.
      at: [C], epochs to measure in, ascending.
    """

    problem: Problem
    training: TrainingSpec
    params: Params
    data: Batch
    order_key: Array
    cuts: Cuts
    runs: int | None
    at: np.ndarray


def prepare(
    problem: Problem,
    key: Array | Keys,
    *,
    optimizer: Optimizer,
    at: Sequence[int] | int,
    epochs: int | None,
    batch_count: int | Sequence[int] | None,
    batch_size: int | None = None,
    drop_last: bool = False,
    order: str | Order | Callable,
    precision: str,
    steps: int | None = None,
) -> Prepared:
    """Check the arguments of a measurement during a training, and draw its data and initial parameters.

    Raises:
      InputError: as `simulate`, for epochs outside the training, and for `steps` with `epochs` or with several batch counts.
    """
    check_training(problem)
    if steps is not None:
        if epochs is not None:
            raise InputError(f"give either epochs or steps, and not both, got epochs={epochs} and steps={steps}")
        if np.ndim(batch_count) == 1:  # type: ignore[arg-type]
            raise InputError("steps needs a single batch_count: runs of so many steps have different numbers of epochs")
        steps = check_count("steps", steps)
    check_precision(precision)
    keys = as_keys(key)
    check_optimizer(optimizer)
    several = np.ndim(batch_count) == 1  # type: ignore[arg-type]
    counts: list[Any] = list(batch_count) if several else [batch_count]  # type: ignore[arg-type]
    if not counts:
        raise InputError("batch_count must name at least one batch count, such as [1, 10]")
    samples = num_samples(jax.eval_shape(problem.sample_data, keys.data))
    splits = [split(samples, batch_count=count, batch_size=batch_size, drop_last=drop_last) for count in counts]
    begun = epochs if steps is None else -(-steps // splits[0].batch_count)
    stops, length = _check_epochs(at, begun)
    micro, whole, cuts = layouts(splits, problem.has_noise)
    params, data = draw_start(problem, keys)
    length = length if steps is None else steps / splits[0].batch_count
    training = TrainingSpec(optimizer, as_order(order), precision, length, micro, whole)
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *cuts) if several else cuts[0]
    return Prepared(problem, training, params, data, keys.order, stacked, len(cuts) if several else None, stops)
