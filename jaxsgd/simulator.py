"""The simulator: one step, and the parts of a run for a loop over its steps.

    step:   loss and gradient of one batch, then one update
    epoch:  `lax.scan` of the step over the m batches that the order visits
    run:    `lax.scan` of the epoch over E epochs (in `jaxsgd.train`)

`jaxsgd.simulate` does all of it. `Simulator` gives the parts, for those who want to stop between two steps.
"""

import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int

from jaxsgd.compiling.jit import jit, jit_per_problem
from jaxsgd.error import InputError, no_such, shown
from jaxsgd.feedback import Feedback, Visited
from jaxsgd.optimizer import evaluated
from jaxsgd.order import Order, Split, Visits, as_order, first_state, visits
from jaxsgd.problem import Batch, Params, Problem, check_problem, num_samples, take_samples
from jaxsgd.run_card import run_card
from jaxsgd.summary import brief_fields, short_repr

PRECISIONS = ("float32", "tensorfloat32", "bfloat16")
"""Precisions of matrix products by name."""


def check_precision(precision: str) -> None:
    """Check that a precision of matrix products is one of `PRECISIONS`.

    Raises:
      InputError: for another one, with the nearest.
    """
    if precision not in PRECISIONS:
        raise no_such("precision", precision, PRECISIONS)


class Keys(NamedTuple):
    """One random key for each stream, so that each random part of a run has a key of its own.

    Attributes:
      data: key for the samples.
      init: key for the initial parameters.
      order: key for the order of the samples.
    """

    data: Array
    init: Array
    order: Array

    __repr__ = short_repr

    @property
    def noise(self) -> Array:
        """The key for the random parts of the loss: it follows from that of the order, so that orders can be compared."""
        return noise_stream(self.order)


def noise_stream(order_key: Array) -> Array:
    """Return the key for the random parts of the loss, from the key of the order."""
    return jax.random.fold_in(order_key, zlib.crc32(b"noise"))


def noise_keys(order_key: Array, epoch: Int[Array, ""] | int, slots: int) -> Array:
    """Return the keys of an epoch's batches for the random parts of the loss, [slots].

    A key depends on the epoch and on the position of the batch alone: not on the order, the rate or the batch count.
    """
    key = jax.random.fold_in(noise_stream(order_key), epoch)
    return jax.vmap(lambda position: jax.random.fold_in(key, position))(jnp.arange(slots))


def streams(key: Array, *, data: Array | None = None, init: Array | None = None, order: Array | None = None) -> Keys:
    """Return three independent streams, derived from `key` by name.

    They depend on the key alone. So the same key gives the same data and the same initial parameters for every order,
    batch count and learning rate: comparisons are paired. `streams(a)` equals `streams(a, data=a, order=a)`.

    Args:
      key: a JAX random key.
      data, init, order: the key to derive that stream from, in place of `key`.
    """

    def derive(own: Array | None, stream: str) -> Array:
        return jax.random.fold_in(key if own is None else own, zlib.crc32(stream.encode()))

    return Keys(derive(data, "data"), derive(init, "init"), derive(order, "order"))


class State(NamedTuple):
    """The state that a step passes to the next step.

    Attributes:
      params: the parameters, in the problem's own pytree.
      opt_state: the optimizer's state.
      order_state: the state of an order that looks at gradients; None for other orders.
    """

    params: Params
    opt_state: Any
    order_state: Any = None

    __repr__ = short_repr


class Run(NamedTuple):
    """A finished run.

    Attributes:
      loss: [E, m], the mean loss of each batch, taken before that batch's update; loss units.
      size: [E, m], samples in each batch. If runs of several batch counts share an array, the positions past a run's
        own count have size 0 and loss NaN.
      params: parameters after the last step.
      opt_state: the optimizer's state after the last step.
      observed: the values of `observe`, arrays with leading axis E, or V if the run was evaluated within epochs; None
        without `observe`.
      kept: the states after the epochs that are kept, with leading axis V in their order; None if none are.
      observed_batches: the values that were measured before each step of chosen epochs, arrays with leading axes [V, m]; None
        without any.
    """

    loss: Float[Array, "E m"]
    size: Int[Array, "E m"]
    params: Params
    opt_state: Any
    observed: Any = None
    kept: State | None = None
    observed_batches: Any = None

    @property
    def epoch_loss(self) -> Float[Array, "*runs E"]:
        """The averaged view, [E]: mean loss over each epoch's samples, so that a small batch weighs less."""
        return _epoch_means(self.loss, self.size)

    def __repr__(self) -> str:
        """Return its sizes, its last epoch's loss, and the shapes of its parameters."""
        shape = getattr(self.loss, "shape", ())
        if len(shape) < 2:
            return brief_fields(self)
        *runs, epochs, batch_count = shape
        headline = [f"runs={runs[0] if len(runs) == 1 else runs}"] if runs else []
        headline += [f"epochs={epochs}", f"batch_count={batch_count}", *_final_loss(self)]
        return brief_fields(self, headline, ["params", *(["observed"] if self.observed is not None else [])])

    def _repr_html_(self) -> str | None:
        """Return the run as a notebook shows it; None while its arrays are traced."""
        return run_card(self)


def epoch_mean(loss: Float[Array, "*runs m"], size: Int[Array, "*runs m"]) -> Float[Array, "*runs"]:
    """Return the mean loss over the samples of an epoch, from its batches' losses and sizes; NaN without samples."""
    weighted = jnp.where(size > 0, loss * size, 0)
    return jnp.sum(weighted, axis=-1) / jnp.sum(size, axis=-1)


_epoch_means = jit(epoch_mean)  # of whole runs: each operation would be a program of its own


def _final_loss(run: Run) -> list[str]:
    """Return the loss of the last epoch in words; nothing while it is traced."""
    try:
        loss, size = np.asarray(run.loss[..., -1, :], np.float64), np.asarray(run.size[..., -1, :])
    except Exception:  # a repr shows what it can
        return []
    final = np.where(size > 0, loss * size, 0).sum(axis=-1) / size.sum(axis=-1)
    low, high = final.min(), final.max()
    return [f"final loss {low:.4g}" if final.ndim == 0 else f"final losses {low:.4g} to {high:.4g}"]


def batch_loss(problem: Problem, params: Params, batch: Batch, size: Int[Array, ""] | None = None) -> Float[Array, ""]:
    """Return the mean loss of a batch in a measurement.

    Args:
      problem: gives the losses of the samples.
      params: parameters.
      batch: arrays with leading axis B.
      size: the first `size` of the B samples are the batch's own; None for all. The others repeat one of them, so that
        their losses are finite whenever the batch's are.
    """
    return batch_mean(problem.losses(params, batch), size)


def training_loss(
    problem: Problem, params: Params, batch: Batch, size: Int[Array, ""] | None, noise: Array | None
) -> Float[Array, ""]:
    """Return the mean loss of a batch in a step.

    Args:
      problem, params, batch, size: as for `batch_loss`.
      noise: the batch's random key, for a loss that takes one.
    """
    return batch_mean(problem.training_losses(params, batch, noise), size)


def batch_mean(values: Float[Array, " B"], size: Int[Array, ""] | None = None) -> Float[Array, ""]:
    """Return the mean over the samples of a batch.

    Args:
      values: [B], a number for each sample.
      size: the first `size` samples are the batch's own; None for all.
    """
    if size is None:
        return jnp.mean(values)
    own = jnp.arange(values.shape[0]) < size
    return jnp.sum(jnp.where(own, values, 0)) / size.astype(values.dtype)


BLOCK = 1024
"""The number of samples whose losses are computed at a time by `sample_losses`."""


def sample_losses(problem: Problem, params: Params, data: Batch) -> Float[Array, " N"]:
    """Return every sample's loss at the same parameters, [N], computed in blocks to save memory."""
    samples = num_samples(data)
    if samples <= BLOCK:
        return problem.losses(params, data)
    blocks = jnp.arange(-(-samples // BLOCK) * BLOCK).reshape(-1, BLOCK)

    def block_losses(indices: Array) -> Array:
        own = jnp.minimum(indices, samples - 1)
        return problem.losses(params, take_samples(data, own))

    return jax.lax.map(block_losses, blocks).reshape(-1)[:samples]


class Batches(NamedTuple):
    """The samples of an epoch's batches, in K parts: whole batches, or the micro-steps that make them up.

    Attributes:
      sample: [K, q], the samples of each part; entries that it does not need repeat a sample of its batch.
      own: [K, q], True for its own samples; None if all are its own.
      position: [K], the position of its batch in the epoch.
      size: [M], samples in the batch at each position, 0 past the batch count.
    """

    sample: Int[Array, "K q"]
    own: Bool[Array, "K q"] | None
    position: Int[Array, " K"]
    size: Int[Array, " M"]

    __repr__ = short_repr


def batches_of(visits: Visits) -> Batches:
    """Return the batches of an epoch's visits, one part for each of them."""
    count, width = visits.sample.shape
    return Batches(visits.sample, jnp.arange(width)[None, :] < visits.size[:, None], jnp.arange(count), visits.size)


Optimizer = optax.GradientTransformation | Callable[[Float[Array, ""]], optax.GradientTransformation]
"""An optax transformation, or a function of progress that returns one, always with the same structure of state."""


def optimizer_at(optimizer: Optimizer, progress: Float[Array, ""]) -> optax.GradientTransformationExtraArgs:
    """Return the transformation of `optimizer` at `progress`, the share of the training that is done before a step.

    Raises:
      InputError: if a function of progress returns something other than a transformation.
    """
    transform = optimizer if isinstance(optimizer, optax.GradientTransformation) else optimizer(progress)
    if not isinstance(transform, optax.GradientTransformation):
        raise InputError(
            f"an optimizer that is a function of progress must return an optax transformation, got {shown(transform)}"
        )
    return optax.with_extra_args_support(transform)


def judged_params(state: State) -> Params:
    """Return the parameters at which observables are measured: those that the optimizer's state names, else those it trains."""
    return evaluated(state.params, state.opt_state)


def initial_state(optimizer: Optimizer, params: Params) -> State:
    """Return the state before the first step."""
    return State(params, optimizer_at(optimizer, jnp.zeros(())).init(params))


def with_order_state(state: State, order: Order, slots: int) -> State:
    """Return a state before the first step with the state of an order that looks at gradients, if it does not have it yet.

    Args:
      state: of the training.
      order: of the run.
      slots: the largest batch count for which the order's state has room.

    Raises:
      InputError: as `jaxsgd.order.first_state`.
    """
    if order.feedback is None or state.order_state is not None:
        return state
    return state._replace(order_state=first_state(order, state.params, slots))


def with_feedback(
    optimizer: optax.GradientTransformationExtraArgs, feedback: Feedback, visited: Visited
) -> optax.GradientTransformationExtraArgs:
    """Return a transformation that also shows the gradient of a step to the feedback of an order.

    Its state is a pair: the state of the optimizer, and the state of the order.

    Args:
      optimizer: the transformation for the step.
      feedback: of the order.
      visited: the step's batch.
    """

    def update(updates: Params, state: Any, params: Params | None = None, **extra: Any) -> tuple[Params, Any]:
        new, opt_state = optimizer.update(updates, state[0], params, **extra)
        return new, (opt_state, feedback.update(state[1], visited, updates))

    # The state that it goes on from is that of a run, and is not begun here.
    return optax.GradientTransformationExtraArgs(optimizer.init, update)


def step(
    problem: Problem,
    optimizer: optax.GradientTransformationExtraArgs,
    state: State,
    batch: Batch,
    size: Int[Array, ""] | None = None,
    noise: Array | None = None,
) -> tuple[State, Float[Array, ""]]:
    """Take one update of mini-batch SGD and return the new state and the batch's mean loss before it.

    Args:
      problem: gives the losses of the samples.
      optimizer: the transformation for this step.
      state: before it.
      batch: arrays with leading axis B.
      size: the first `size` of the B samples are the batch's own; None for all.
      noise: the batch's random key, for a loss that takes one.
    """

    def value(params: Params) -> Array:
        return training_loss(problem, params, batch, size, noise)

    loss, grad = jax.value_and_grad(value)(state.params)
    updates, opt_state = optimizer.update(grad, state.opt_state, state.params, value=loss, grad=grad, value_fn=value)
    return State(optax.apply_updates(state.params, updates), opt_state), loss


class Simulator(NamedTuple):
    """The pure parts of a run, as `make_simulator` returns them.

    A run is `state = start(keys.init)` and then, for each epoch, `state, loss = advance(state, data, visits)` with
    `visits = epoch_visits(keys.order, epoch)`. Any slice of the visits along their positions can be advanced on its own.
    An order that looks at gradients needs the state before the epoch: `epoch_visits(keys.order, epoch, state)`.

    Attributes:
      start: `init_key -> State`.
      epoch_visits: `(order_key, epoch, state=None) -> Visits`, with leading axis m.
      advance: `(state, data, visits, progress=None) -> (State, losses)`, one step for each of the visits; `progress`
        has one value for each of them, and is needed only by an optimizer that is a function of it.
      visit_step: `(state, data, visit, progress) -> (State, loss)`, the step for one of the visits, without its leading axis.
    """

    start: Callable[[Array], State]
    epoch_visits: Callable[..., Visits]
    advance: Callable[..., tuple[State, Float[Array, " m"]]]
    visit_step: Callable[[State, Batch, Visits, Float[Array, ""]], tuple[State, Float[Array, ""]]]


def make_simulator(
    problem: Problem,
    optimizer: Optimizer,
    split: Split,
    order: str | Order | Callable = "fixed",
    precision: str = "float32",
) -> Simulator:
    """Return the pure parts of a run of `problem`, for a given split of the samples into batches.

    Args:
      problem: the problem to train.
      optimizer: any optax transformation, or a function of progress that returns one.
      split: the cut of the samples into batches, as `jaxsgd.split` returns it.
      order: a name, an `Order`, or a function `(key, epoch, num_samples) -> [N]`.
      precision: matrix-product precision on every device: "float32", or "tensorfloat32" or "bfloat16" for speed.
    """
    check_problem(problem)
    order = as_order(order)
    check_precision(precision)

    def start(key: Array) -> State:
        return with_order_state(initial_state(optimizer, problem.init(key)), order, split.batch_count)

    def epoch_visits(key: Array, epoch: Int[Array, ""] | int, state: State | None = None) -> Visits:
        own = visits(order, key, epoch, split, state and state.order_state)
        return own._replace(noise=noise_keys(key, epoch, split.batch_count)) if problem.has_noise else own

    def advance(
        state: State, data: Batch, visits: Visits, progress: Float[Array, " m"] | None = None
    ) -> tuple[State, Float[Array, " m"]]:
        if progress is None:
            progress = jnp.zeros(visits.size.shape)
        with jax.default_matmul_precision(precision):
            return jax.lax.scan(lambda state, inputs: visit_step(state, data, *inputs), state, (visits, progress))

    def visit_step(state: State, data: Batch, visit: Visits, done: Array) -> tuple[State, Array]:
        batch = take_samples(data, visit.sample)
        size = visit.size if split.is_ragged else None
        transform = optimizer_at(optimizer, done)
        if order.feedback is None:
            return step(problem, transform, state, batch, size, visit.noise)
        assert visit.visited is not None, "visits of an order with a feedback have the batches"
        both = State(state.params, (state.opt_state, state.order_state))
        after, loss = step(problem, with_feedback(transform, order.feedback, visit.visited), both, batch, size, visit.noise)
        return State(after.params, *after.opt_state), loss

    return Simulator(start, epoch_visits, advance, visit_step)


def draw(problem: Problem, keys: Keys) -> tuple[Params, Batch]:
    """Draw the initial parameters and the data, and return the two."""
    check_problem(problem)
    return problem.init(keys.init), problem.sample_data(keys.data)


class Stepping(NamedTuple):
    """The parts of one run for a loop over its steps; a step of the loop may be a part of a step.

    Attributes:
      length: K, the number of the loop's steps in an epoch.
      start: `State -> State` before the first step of a run, with the state of an order that looks at gradients.
      inputs: `(epoch, State before it) -> inputs` of the loop's steps in that epoch, with leading axis K.
      begin: `State -> carry` at the beginning of an epoch.
      step: `(carry, inputs of one step of the loop) -> (carry, loss)`.
      state: `carry -> State`.
      ends: `inputs of one step of the loop -> []`, True if it completes a batch; None if each of them does.
      steps_done: `steps of the loop -> steps` that are complete after so many in an epoch.
      losses: `(losses [K], inputs, done) -> (loss [M], size [M])` of an epoch after `done` steps of the loop, None for all; a
        batch that is not done has loss NaN and size 0.
      batches: `inputs -> Batches` of those steps of the loop.
      visit: `(inputs of one step of the loop, of all) -> Visits` without its leading axis: the whole batch of that step.
      by_batch: `values [K, ...] -> [M, ...]`: of each batch the value at the step of the loop that completes it; NaN past m.
      batch_count: m.
    """

    length: int
    start: Callable[[State], State]
    inputs: Callable[[Int[Array, ""] | int, State], Any]
    begin: Callable[[State], Any]
    step: Callable[[Any, Any], tuple[Any, Float[Array, ""]]]
    state: Callable[[Any], State]
    ends: Callable[[Any], Bool[Array, ""]] | None
    steps_done: Callable[[Int[Array, ""]], Int[Array, ""]]
    losses: Callable[[Float[Array, " K"], Any, Int[Array, ""] | int | None], tuple[Float[Array, " M"], Int[Array, " M"]]]
    batches: Callable[[Any], Batches]
    visit: Callable[[Any, Any], Visits]
    by_batch: Callable[[Array], Array]
    batch_count: int | Int[Array, ""]


def stepping(
    problem: Problem,
    data: Batch,
    order_key: Array,
    *,
    optimizer: Optimizer,
    split: Split,
    order: Order,
    epochs: int,
    steps: int | None = None,
) -> Stepping:
    """Return the parts of the run that `run` trains with the same arguments."""
    parts = make_simulator(problem, optimizer, split, order)
    count = split.batch_count
    position = jnp.arange(count)
    length = epochs if steps is None else steps / count

    def inputs(epoch: Array | int, state: State) -> tuple[Visits, Array]:
        return parts.epoch_visits(order_key, epoch, state), (epoch + position / count) / length

    def losses(losses: Array, inputs: tuple[Visits, Array], done: Array | int | None) -> tuple[Array, Array]:
        if done is None:
            return losses, inputs[0].size
        return jnp.where(position < done, losses, jnp.nan), jnp.where(position < done, inputs[0].size, 0)

    return Stepping(
        length=count,
        start=lambda state: with_order_state(state, order, count),
        inputs=inputs,
        begin=lambda state: state,
        step=lambda state, inputs: parts.visit_step(state, data, *inputs),
        state=lambda state: state,
        ends=None,
        steps_done=lambda done: done,
        losses=losses,
        batches=lambda inputs: batches_of(inputs[0]),
        visit=lambda inputs, all_inputs: inputs[0],
        by_batch=lambda values: values,
        batch_count=count,
    )


# Two programs, because most compile time goes to the random draws: a new optimizer or split compiles only the second.
_draw = jit_per_problem(draw)
_init = jit_per_problem(lambda problem, key: problem.init(key))


def as_keys(key: Array | Keys) -> Keys:
    """Return the streams of a key; `Keys` are returned as they are.

    Raises:
      InputError: for a value that is not a random key.
    """
    if isinstance(key, Keys):
        return key
    if not hasattr(key, "dtype") or jnp.shape(key) not in ((), (2,), (4,)):
        raise InputError(f"key must be a JAX random key such as jax.random.key(0), got {shown(key)}")
    return streams(key)


def draw_start(problem: Problem, keys: Keys) -> tuple[Params, Batch]:
    """Return the initial parameters and the data, drawn by a compiled program."""
    return _draw(problem, keys) if callable(problem.data) else (_init(problem, keys.init), problem.data)


def check_optimizer(optimizer: Optimizer) -> None:
    """Check that an optimizer is a transformation, or a function of progress that is not one of optax's own.

    Raises:
      InputError: if it is not; the message shows how to write it.
    """
    if isinstance(optimizer, optax.GradientTransformation):
        return
    if not callable(optimizer):
        raise InputError(f"optimizer must be an optax transformation such as optax.sgd(1e-3), got {shown(optimizer)}")
    # Optax's own functions would take the progress for their learning rate.
    if getattr(optimizer, "__module__", "").partition(".")[0] == "optax":
        name = getattr(optimizer, "__name__", "sgd")
        raise InputError(f"optimizer must be a transformation, got the function optax.{name}: call it, as optax.{name}(1e-3)")
