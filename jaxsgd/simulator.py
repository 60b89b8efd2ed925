"""The simulator: one step, one epoch, one run.

    step:   loss and gradient of one batch, then one update
    epoch:  `lax.scan` of the step over the m batches that the order visits
    run:    `lax.scan` of the epoch over E epochs

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

from jaxsgd.error import InputError, no_such, shown
from jaxsgd.evaluation import evaluation_steps, observed_epochs
from jaxsgd.order import Order, Split, Visits, as_order, visits
from jaxsgd.problem import Batch, Params, Problem, check_problem, num_samples
from jaxsgd.summary import brief_fields, short_repr

PRECISIONS = ("float32", "tensorfloat32", "bfloat16")
"""Precisions of matrix products by name."""


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
    """

    params: Params
    opt_state: Any

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
    """

    loss: Float[Array, "E m"]
    size: Int[Array, "E m"]
    params: Params
    opt_state: Any
    observed: Any = None

    @property
    def epoch_loss(self) -> Float[Array, "*runs E"]:
        """The averaged view, [E]: mean loss over each epoch's samples, so that a small batch weighs less."""
        return epoch_mean(self.loss, self.size)

    def __repr__(self) -> str:
        """Return its sizes, its last epoch's loss, and the shapes of its parameters."""
        shape = getattr(self.loss, "shape", ())
        if len(shape) < 2:
            return brief_fields(self)
        *runs, epochs, batch_count = shape
        headline = [f"runs={runs[0] if len(runs) == 1 else runs}"] if runs else []
        headline += [f"epochs={epochs}", f"batch_count={batch_count}", *_final_loss(self)]
        return brief_fields(self, headline, ["params", *(["observed"] if self.observed is not None else [])])


def epoch_mean(loss: Float[Array, "*runs m"], size: Int[Array, "*runs m"]) -> Float[Array, "*runs"]:
    """Return the mean loss over the samples of an epoch, from its batches' losses and sizes; NaN without samples."""
    weighted = jnp.where(size > 0, loss * size, 0)
    return jnp.sum(weighted, axis=-1) / jnp.sum(size, axis=-1)


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
    """Return the mean loss of a batch.

    Args:
      problem: gives the losses of the samples.
      params: parameters.
      batch: arrays with leading axis B.
      size: the first `size` of the B samples are the batch's own; None for all. The others repeat one of them, so that
        their losses are finite whenever the batch's are.
    """
    return batch_mean(problem.loss(params, batch), size)


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
        return problem.loss(params, data)
    blocks = jnp.arange(-(-samples // BLOCK) * BLOCK).reshape(-1, BLOCK)

    def block_losses(indices: Array) -> Array:
        own = jnp.minimum(indices, samples - 1)
        return problem.loss(params, jax.tree.map(lambda leaf: leaf[own], data))

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


def initial_state(optimizer: Optimizer, params: Params) -> State:
    """Return the state before the first step."""
    return State(params, optimizer_at(optimizer, jnp.zeros(())).init(params))


def step(
    problem: Problem,
    optimizer: optax.GradientTransformationExtraArgs,
    state: State,
    batch: Batch,
    size: Int[Array, ""] | None = None,
) -> tuple[State, Float[Array, ""]]:
    """Take one update of mini-batch SGD and return the new state and the batch's mean loss before it."""

    def value(params: Params) -> Array:
        return batch_loss(problem, params, batch, size)

    loss, grad = jax.value_and_grad(value)(state.params)
    updates, opt_state = optimizer.update(grad, state.opt_state, state.params, value=loss, grad=grad, value_fn=value)
    return State(optax.apply_updates(state.params, updates), opt_state), loss


class Simulator(NamedTuple):
    """The pure parts of a run, as `make_simulator` returns them.

    A run is `state = start(keys.init)` and then, for each epoch, `state, loss = advance(state, data, visits)` with
    `visits = epoch_visits(keys.order, epoch)`. Any slice of the visits along their positions can be advanced on its own.

    Attributes:
      start: `init_key -> State`.
      epoch_visits: `(order_key, epoch) -> Visits`, with leading axis m.
      advance: `(state, data, visits, progress=None) -> (State, losses)`, one step for each of the visits; `progress`
        has one value for each of them, and is needed only by an optimizer that is a function of it.
      visit_step: `(state, data, visit, progress) -> (State, loss)`, the step for one of the visits, without its leading axis.
    """

    start: Callable[[Array], State]
    epoch_visits: Callable[[Array, Int[Array, ""] | int], Visits]
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
    if precision not in PRECISIONS:
        raise no_such("precision", precision, PRECISIONS)

    def start(key: Array) -> State:
        return initial_state(optimizer, problem.init(key))

    def epoch_visits(key: Array, epoch: Int[Array, ""] | int) -> Visits:
        return visits(order, key, epoch, split)

    def advance(
        state: State, data: Batch, visits: Visits, progress: Float[Array, " m"] | None = None
    ) -> tuple[State, Float[Array, " m"]]:
        if progress is None:
            progress = jnp.zeros(visits.size.shape)
        with jax.default_matmul_precision(precision):
            return jax.lax.scan(lambda state, inputs: visit_step(state, data, *inputs), state, (visits, progress))

    def visit_step(state: State, data: Batch, visit: Visits, done: Array) -> tuple[State, Array]:
        batch = jax.tree.map(lambda leaf: leaf[visit.sample], data)
        return step(problem, optimizer_at(optimizer, done), state, batch, visit.size if split.is_ragged else None)

    return Simulator(start, epoch_visits, advance, visit_step)


class Known(NamedTuple):
    """The parts of an observable's context that are computed once for a run; None for those that the problem does not have.

    Attributes:
      optimum: the parameters with the smallest mean loss over the run's own data.
      least: [], the mean loss at the optimum.
      held_out: the samples to validate on.
    """

    optimum: Params | None = None
    least: Float[Array, ""] | None = None
    held_out: Batch | None = None


NOTHING_KNOWN = Known()
"""Of a problem without an optimum and without held-out samples."""


class Context(NamedTuple):
    """The inputs of an observable besides the parameters that it measures; None for those that a run does not have.

    Attributes:
      problem: the problem that is trained.
      data: the samples to train on, arrays with leading axis N.
      held_out: the samples to validate on, which no step sees.
      batches: the samples of each batch of the epoch in which the measurement is taken.
      update: the change of the parameters by the last step, shaped like the parameters; NaN before the first step.
      key: a random key, which depends on the seed of the order and on the epoch alone, so that runs that are compared
        share it.
      optimum: the parameters with the smallest mean loss, if the problem knows them.
      least: [], the mean loss at the optimum.
    """

    problem: Problem
    data: Batch
    held_out: Batch | None
    batches: Batches | None
    update: Params | None
    key: Array | None
    optimum: Params | None
    least: Float[Array, ""] | None

    __repr__ = short_repr


Observe = Callable[[Params, Context], Any]
"""`(params, context) -> any pytree of arrays`, measured after each epoch, or more often, besides a run's losses."""


class Sparse(NamedTuple):
    """Observables that are measured after some epochs only; hashable, so that it can be a static argument.

    Attributes:
      observe: the observables.
      every: measure after each so many epochs, and after the last.
    """

    observe: Observe
    every: int


def contexts(
    problem: Problem, data: Batch, order_key: Array, known: Known
) -> Callable[[Int[Array, ""] | int, Batches, Params, Params], Context]:
    """Return the function `(epoch, batches, params before a step, params after it) -> Context` of a run."""
    key = jax.random.fold_in(order_key, zlib.crc32(b"observe"))

    def at(epoch: Int[Array, ""] | int, batches: Batches, before: Params, after: Params) -> Context:
        update = jax.tree.map(jnp.subtract, after, before)
        own_key = jax.random.fold_in(key, epoch)
        return Context(problem, data, known.held_out, batches, update, own_key, known.optimum, known.least)

    return at


def draw(problem: Problem, keys: Keys) -> tuple[Params, Batch]:
    """Draw the initial parameters and the data, and return the two."""
    check_problem(problem)
    return problem.init(keys.init), problem.sample_data(keys.data)


def run(
    problem: Problem,
    params: Params,
    data: Batch,
    order_key: Array,
    *,
    optimizer: Optimizer,
    split: Split,
    order: Order,
    precision: str,
    epochs: int,
    steps: int | None = None,
    evaluate_every: int | float | None = None,
    observe: Observe | None = None,
    sparse: Sparse | None = None,
    known: Known = NOTHING_KNOWN,
) -> Run:
    """Train one run from given parameters and data. Nothing is checked; sweeps map over this function.

    Args:
      params: initial parameters.
      data: arrays with leading axis N.
      order_key: the key of the order's stream.
      steps: steps of the run, if its last epoch is incomplete; the losses past them are NaN, and the sizes 0.
      sparse: observables that are measured after some epochs only. With `observe` too, both return dictionaries.
      known: the inputs of observables that are computed once for a run.
      problem, optimizer, split, order, precision, epochs, evaluate_every, observe: as `simulate`.
    """
    parts = make_simulator(problem, optimizer, split, order, precision)
    count = split.batch_count
    position = jnp.arange(count) / count
    whole, rest = (epochs, 0) if steps is None else divmod(steps, count)
    length = epochs if steps is None else steps / count
    begun = initial_state(optimizer, params)
    context_at = contexts(problem, data, order_key, known)
    looks = observed_epochs(sparse.every, epochs) if sparse else None
    marks, done = None, None
    if observe and evaluate_every is not None:
        done = evaluation_steps(evaluate_every, count, epochs * count if steps is None else steps)
        marks = marked(done, epochs * count).reshape(epochs, count)

    def epoch(state: State, i: Array | int, marks: Any, first: int) -> tuple[State, tuple[Array, Array, Any, Any]]:
        visits = jax.tree.map(lambda leaf: leaf[:first], parts.epoch_visits(order_key, i))
        progress = (i + position[:first]) / length
        if not (observe or sparse):
            state, loss = parts.advance(state, data, visits, progress)
            return state, (loss, visits.size, None, None)
        batches = batches_of(visits)

        def observed_step(carry: tuple[State, Params], inputs: tuple[Visits, Array, Any]) -> tuple[tuple[State, Params], Any]:
            (state, _), (visit, share, mark) = carry, inputs
            after, loss = parts.visit_step(state, data, visit, share)
            context = context_at(i, batches, state.params, after.params)
            seen = observed_where(mark, observe, after.params, context) if observe and mark is not None else None
            return (after, state.params), (loss, seen)

        (state, before), (loss, seen) = jax.lax.scan(observed_step, (state, state.params), (visits, progress, marks))
        context = context_at(i, batches, before, state.params)
        if observe and marks is None:
            seen = observe(state.params, context)
        rarely = None
        if sparse:
            assert looks is not None
            rarely = observed_where(jnp.asarray(marked(looks + 1, epochs))[i], sparse.observe, state.params, context)
        return state, (loss, visits.size, seen, rarely)

    def whole_epoch(state: State, inputs: tuple[Array, Any]) -> tuple[State, tuple[Array, Array, Any, Any]]:
        return epoch(state, *inputs, count)

    with jax.default_matmul_precision(precision):
        state, recorded = jax.lax.scan(whole_epoch, begun, (jnp.arange(whole), None if marks is None else marks[:whole]))
        if rest:
            state, last = epoch(state, whole, None if marks is None else marks[whole, :rest], rest)
            recorded = jax.tree.map(
                lambda whole, part: jnp.concatenate([whole, part[None]]), recorded, _filled(last, count, marks is not None)
            )
        loss, size, seen, rarely = recorded
        if observe and done is not None:
            # Rows are steps, and the evaluations are taken from them. An evaluation before the first step is added if needed.
            rows = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:])[np.maximum(done - 1, 0)], seen)
            if done[0] == 0:
                unmoved = jax.tree.map(lambda leaf: jnp.full_like(leaf, jnp.nan), params)
                context = context_at(0, batches_of(parts.epoch_visits(order_key, 0)), unmoved, params)
                at_start = observe(params, context)
                rows = jax.tree.map(lambda leaf, own: jnp.where(_lead(done == 0, leaf), own, leaf), rows, at_start)
            seen = rows
    return Run(loss, size, state.params, state.opt_state, joined(seen, rarely, looks))


def joined(seen: Any, rarely: Any, looks: np.ndarray | None) -> Any:
    """Return the values of all observables of a run.

    Args:
      seen: those of `observe`, or None.
      rarely: those of `sparse`, a row for each epoch, or None.
      looks: [V], the epochs after which `sparse` was measured.
    """
    if looks is None:
        return seen
    rows = jax.tree.map(lambda leaf: leaf[looks], rarely)
    return rows if seen is None else {**seen, **rows}


def marked(done: np.ndarray, steps: int) -> np.ndarray:
    """Return a mask of the steps that are followed by an evaluation, [steps].

    Args:
      done: [V], the number of steps done before each evaluation.
      steps: of the run.
    """
    marks = np.zeros(steps, bool)
    marks[done[done > 0] - 1] = True
    return marks


def observed_where(mark: Array | np.bool, observe: Observe, params: Params, context: Context) -> Any:
    """Return the observables after a step or an epoch if `mark` is True, and zeros otherwise.

    A `mark` that is the same for all mapped runs stays a branch, so steps and epochs that are not measured cost nothing.
    """

    def measure() -> Any:
        return jax.tree.map(jnp.asarray, observe(params, context))

    shapes = jax.eval_shape(measure)
    nothing = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
    return jax.lax.cond(mark, measure, lambda: nothing)


def _filled(last: tuple[Array, Array, Any, Any], count: int, by_step: bool) -> tuple[Array, Array, Any, Any]:
    """Return an incomplete epoch, padded to the length of the others: losses with NaN, sizes with 0."""
    loss, size, seen, rarely = last

    def pad(leaf: Array, value: int | float) -> Array:
        return jnp.concatenate([leaf, jnp.full((count - len(leaf), *leaf.shape[1:]), value, leaf.dtype)])

    return pad(loss, jnp.nan), pad(size, 0), jax.tree.map(lambda leaf: pad(leaf, 0), seen) if by_step else seen, rarely


def _lead(mask: np.ndarray, like: Array) -> np.ndarray:
    """Return a mask of the leading axis with as many axes as an array."""
    return mask.reshape(-1, *[1] * (like.ndim - 1))


class Stepping(NamedTuple):
    """The parts of one run for a loop that may end it between two steps; the steps of a loop may be parts of a step.

    Attributes:
      length: the number of the loop's steps in an epoch.
      inputs: `epoch -> inputs` of the loop's steps in that epoch, with leading axis `length`.
      begin: `State -> carry` at the beginning of an epoch.
      step: `(carry, inputs of one step of the loop) -> (carry, loss)`.
      state: `carry -> State`.
      steps_done: `steps of the loop -> steps` that are complete after so many in an epoch.
      used: `steps of the loop -> [M]`, True for the batches that are done after so many in an epoch; None for the whole epoch.
      batches: `(losses [length], inputs, used [M]) -> (loss [M], size [M])` of an epoch; a batch that is not done has loss NaN
        and size 0.
      batch_count: m.
    """

    length: int
    inputs: Callable[[Int[Array, ""]], Any]
    begin: Callable[[State], Any]
    step: Callable[[Any, Any], tuple[Any, Float[Array, ""]]]
    state: Callable[[Any], State]
    steps_done: Callable[[Int[Array, ""]], Int[Array, ""]]
    used: Callable[[Int[Array, ""] | None], Bool[Array, " M"]]
    batches: Callable[[Float[Array, " K"], Any, Bool[Array, " M"]], tuple[Float[Array, " M"], Int[Array, " M"]]]
    batch_count: int | Int[Array, ""]


def stepping(
    problem: Problem,
    data: Batch,
    order_key: Array,
    *,
    optimizer: Optimizer,
    split: Split,
    order: Order,
    precision: str,
    epochs: int,
    steps: int | None = None,
) -> Stepping:
    """Return the parts of the run that `run` trains with the same arguments."""
    parts = make_simulator(problem, optimizer, split, order, precision)
    count = split.batch_count
    position = jnp.arange(count)
    length = epochs if steps is None else steps / count

    def inputs(epoch: Array) -> tuple[Visits, Array]:
        return parts.epoch_visits(order_key, epoch), (epoch + position / count) / length

    def used(done: Array | None) -> Array:
        return position < (count if done is None else done)

    def batches(losses: Array, inputs: tuple[Visits, Array], used: Array) -> tuple[Array, Array]:
        return jnp.where(used, losses, jnp.nan), jnp.where(used, inputs[0].size, 0)

    return Stepping(
        length=count,
        inputs=inputs,
        begin=lambda state: state,
        step=lambda state, inputs: parts.visit_step(state, data, *inputs),
        state=lambda state: state,
        steps_done=lambda done: done,
        used=used,
        batches=batches,
        batch_count=count,
    )


# Two programs, because most compile time goes to the random draws: a new optimizer or split compiles only the second.
_draw = jax.jit(draw, static_argnames="problem")
_init = jax.jit(lambda problem, key: problem.init(key), static_argnames="problem")


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
