"""Training in micro-steps: one program for all batch counts, because the batch count is data and not shape.

An epoch is K micro-steps of at most q samples each. A micro-step adds its samples' loss and gradient to a sum; the micro-step
that completes a batch divides by the batch's size and takes the update. The beginning and end of each batch are data, so runs
of different batch counts share one compiled program and can be mapped over side by side.

If K q = N and every batch count divides K, an epoch costs N samples for every batch count. For other counts q is
chosen to waste little, and samples that fill up a batch's last micro-step are masked.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int

from jaxsgd.compiling.mapped import mapped_like
from jaxsgd.context import NOTHING_KNOWN, Known, contexts
from jaxsgd.evaluation import parts_of_epoch
from jaxsgd.feedback import Feedback, Visited
from jaxsgd.order import Order, Split, Visits, batch_sequence, sample_sequence
from jaxsgd.problem import Batch, Params, Problem, take_samples
from jaxsgd.simulator import (
    Batches,
    Optimizer,
    Run,
    State,
    Stepping,
    noise_keys,
    optimizer_at,
    with_order_state,
)
from jaxsgd.train import LOSSES_ONLY, Recording, Span, missing_value, train

STEP_COST = 8
"""The cost of a micro-step besides its samples, in samples: one sum of P gradients and one pass of the loop."""


@dataclasses.dataclass(frozen=True)
class Layout:
    """The sizes that all runs of one program share; hashable, so that it can be a static argument.

    Attributes:
      num_samples: N.
      slots: M, the largest batch count.
      micro_steps: K, micro-steps per epoch.
      micro_size: q, samples per micro-step.
      masked: True if some micro-steps have fewer samples of their own than q.
    """

    num_samples: int
    slots: int
    micro_steps: int
    micro_size: int
    masked: bool


class Cut(NamedTuple):
    """A split as data for a `Layout`: arrays that can be mapped over.

    Attributes:
      batch_count: [], m.
      micro_per_batch: [], micro-steps in a batch.
      start: [M], the index in the epoch's sequence of samples at which each batch begins.
      size: [M], samples in each batch, 0 past the last.
    """

    batch_count: Int[Array, ""]
    micro_per_batch: Int[Array, ""]
    start: Int[Array, " M"]
    size: Int[Array, " M"]


def _micro_per_batch(split: Split, micro_size: int) -> int:
    return -(-int(split.sizes.max()) // micro_size)


def layout(splits: Sequence[Split], micro_size: int | None = None) -> Layout:
    """Return the layout in which runs of all `splits` cost least, counting `STEP_COST` for each micro-step.

    Args:
      splits: one or more, all of the same N.
      micro_size: q, if it is to have a given value.
    """

    def micro_steps(size: int) -> int:
        return max(split.batch_count * _micro_per_batch(split, size) for split in splits)

    largest = max(int(split.sizes.max()) for split in splits)
    sizes = range(1, largest + 1) if micro_size is None else [micro_size]
    q = min(sizes, key=lambda size: micro_steps(size) * (size + STEP_COST))
    steps = micro_steps(q)
    masked = any(s.is_ragged or s.sizes[0] % q or s.batch_count * _micro_per_batch(s, q) != steps for s in splits)
    slots = max(split.batch_count for split in splits)
    return Layout(splits[0].num_samples, slots, steps, q, masked)


def can_evaluate(splits: Sequence[Split], layout: Layout, every: int | float) -> bool:
    """Return True if runs of all `splits` can be evaluated after the same micro-steps.

    Evaluations must be q to an epoch of K micro-steps or more, and the batches of every split must take all K: then m divides
    K, and after floor(K r / q) micro-steps a run has done floor(m r / q) steps.

    Args:
      splits, layout: the program's.
      every: a value that `jaxsgd.evaluation.check_every` returned.
    """
    parts = parts_of_epoch(every)
    if parts is None or parts > layout.micro_steps:
        return False
    return all(split.batch_count * _micro_per_batch(split, layout.micro_size) == layout.micro_steps for split in splits)


def cut(split: Split, layout: Layout) -> Cut:
    """Return `split` as data for `layout`, in NumPy arrays."""
    pad = layout.slots - split.batch_count
    return Cut(
        batch_count=np.int32(split.batch_count),  # type: ignore[arg-type]
        micro_per_batch=np.int32(_micro_per_batch(split, layout.micro_size)),  # type: ignore[arg-type]
        start=np.pad(split.starts, (0, pad)).astype(np.int32),  # type: ignore[arg-type]
        size=np.pad(split.sizes, (0, pad)).astype(np.int32),  # type: ignore[arg-type]
    )


class MicroVisits(NamedTuple):
    """The micro-steps of one epoch.

    Attributes:
      sample: [K, q], the samples of each micro-step; entries that it does not need repeat a sample of its batch.
      own: [K, q], True for its own samples; None if all are its own.
      size: [K], samples in the micro-step's whole batch.
      ends: [K], True if the micro-step completes its batch.
      position: [K], the position of its batch in the epoch.
      noise: [K], its random key for a loss that takes one; None for other losses.
      visited: [K] each, its batch as the order's feedback sees it; None for an order without a feedback.
    """

    sample: Int[Array, "K q"]
    own: Bool[Array, "K q"] | None
    size: Int[Array, " K"]
    ends: Bool[Array, " K"]
    position: Int[Array, " K"]
    noise: Array | None = None
    visited: Visited | None = None


def micro_visits(
    order: Order,
    key: Array,
    epoch: Int[Array, ""] | int,
    cut: Cut,
    layout: Layout,
    has_noise: bool = False,
    state: Any = None,
) -> MicroVisits:
    """Return the samples of each micro-step of an epoch.

    Args:
      order, key, epoch, cut, layout: of the run.
      has_noise: True for a loss that takes a key. The first micro-step of a batch has the key of the batch, and each further
        one has a key that is derived from it.
      state: of an order that looks at gradients, before the epoch; None for others.

    Raises:
      InputError: for an order that looks at gradients, without its state.
    """
    sequence = sample_sequence(order, key, epoch, layout.num_samples)
    visited = batch_sequence(order, key, epoch, layout.slots, cut.batch_count, state)
    number = jnp.arange(layout.micro_steps)
    position, part = number // cut.micro_per_batch, number % cut.micro_per_batch
    active = position < cut.batch_count
    position = jnp.minimum(position, cut.batch_count - 1)
    batch = visited[position]
    size = cut.size[batch]
    offset = (part * layout.micro_size)[:, None] + jnp.arange(layout.micro_size)[None, :]
    inside = offset < size[:, None]
    sample = sequence[cut.start[batch][:, None] + jnp.minimum(offset, size[:, None] - 1)]
    own = (inside & active[:, None]) if layout.masked else None
    ends = active & (part == cut.micro_per_batch - 1)
    shown = None
    if order.feedback is not None:
        shown = Visited(batch, position, jnp.broadcast_to(cut.batch_count, position.shape))
    if not has_noise:
        return MicroVisits(sample, own, size, ends, position, visited=shown)
    whole = noise_keys(key, epoch, layout.slots)[position]
    noise = jnp.where(part == 0, whole, jax.vmap(jax.random.fold_in)(whole, part))
    return MicroVisits(sample, own, size, ends, position, noise, shown)


class Sums(NamedTuple):
    """The sums so far over the samples of the current batch.

    Attributes:
      loss: [], sum of its samples' losses.
      grad: sum of their gradients, shaped like the parameters.
    """

    loss: Float[Array, ""]
    grad: Params


def _micro_step(
    problem: Problem,
    optimizer: Optimizer,
    data: Batch,
    state: State,
    sums: Sums,
    visit: MicroVisits,
    progress: Float[Array, ""],
    feedback: Feedback | None = None,
) -> tuple[State, Sums, Float[Array, ""]]:
    """Add one micro-step's samples to the sums and, if they complete a batch, take the update and show it to the order.

    Returns:
      The new state, the new sums, and the batch's mean loss so far: its loss, if the micro-step completes it.
    """
    batch = take_samples(data, visit.sample)

    def summed(params: Params) -> Array:
        losses = problem.training_losses(params, batch, visit.noise)
        return jnp.sum(losses if visit.own is None else jnp.where(visit.own, losses, 0))

    loss, grad = jax.value_and_grad(summed)(state.params)
    sums = Sums(sums.loss + loss, jax.tree.map(jnp.add, sums.grad, grad))
    mean_loss = sums.loss / visit.size.astype(loss.dtype)

    def complete() -> tuple[State, Sums]:
        mean_grad = jax.tree.map(lambda leaf: leaf / visit.size.astype(leaf.dtype), sums.grad)
        transform = optimizer_at(optimizer, progress)
        updates, opt_state = transform.update(mean_grad, state.opt_state, state.params, value=mean_loss, grad=mean_grad)
        order_state = state.order_state
        if feedback is not None:
            assert visit.visited is not None, "visits of an order with a feedback have the batches"
            order_state = feedback.update(order_state, visit.visited, mean_grad)
        after = State(optax.apply_updates(state.params, updates), opt_state, order_state)
        return after, jax.tree.map(jnp.zeros_like, sums)

    # Mapped over runs this becomes a `where` on every array: nothing is multiplied by 0, no run touches another.
    state, sums = jax.lax.cond(visit.ends, complete, lambda: (state, sums))
    return state, sums, mean_loss


def micro_stepping(
    problem: Problem,
    data: Batch,
    order_key: Array,
    cut: Cut,
    *,
    optimizer: Optimizer,
    layout: Layout,
    order: Order,
    epochs: int | float,
) -> Stepping:
    """Return the parts of the run that `run_micro` trains with the same arguments; its loop goes through micro-steps."""
    slot = jnp.arange(layout.slots)
    last = jnp.minimum((slot + 1) * cut.micro_per_batch, layout.micro_steps) - 1

    def inputs(epoch: Array | int, state: State) -> tuple[MicroVisits, Array]:
        visits = micro_visits(order, order_key, epoch, cut, layout, problem.has_noise, state.order_state)
        return visits, (epoch + visits.position / cut.batch_count) / epochs

    def begin(state: State) -> tuple[State, Sums]:
        key = jax.random.key(0)
        loss_type = jax.eval_shape(problem.training_losses, state.params, data, key).dtype
        sums = Sums(jnp.zeros((), loss_type), jax.tree.map(jnp.zeros_like, state.params))
        return state, mapped_like(sums, state.params)

    def step(carry: tuple[State, Sums], inputs: tuple[MicroVisits, Array]) -> tuple[tuple[State, Sums], Array]:
        state, sums, loss = _micro_step(problem, optimizer, data, *carry, *inputs, feedback=order.feedback)
        return (state, sums), loss

    def by_batch(values: Array, done: Array | int | None = None) -> Array:
        used = slot < cut.batch_count
        used = used if done is None else used & (last < done)
        return jnp.where(used.reshape(-1, *[1] * (values.ndim - 1)), values[last], missing_value(values.dtype))

    def losses(losses: Array, inputs: tuple[MicroVisits, Array], done: Array | int | None) -> tuple[Array, Array]:
        return by_batch(losses, done), by_batch(inputs[0].size, done)

    def batches(inputs: tuple[MicroVisits, Array]) -> Batches:
        visits = inputs[0]
        return Batches(visits.sample, visits.own, visits.position, by_batch(visits.size))

    def visit(inputs: tuple[MicroVisits, Array], all_inputs: tuple[MicroVisits, Array]) -> Visits:
        own, every = inputs[0], all_inputs[0]
        mine = every.position[:, None] == own.position
        mine = jnp.broadcast_to(mine, every.sample.shape) if every.own is None else mine & every.own
        # The batch's own samples first, in their sequence, and then its last one again up to the length of the epoch.
        index = jnp.argsort(~mine.reshape(-1), stable=True)[jnp.minimum(jnp.arange(mine.size), own.size - 1)]
        return Visits(every.sample.reshape(-1)[index], own.size, own.noise)

    return Stepping(
        length=layout.micro_steps,
        start=lambda state: with_order_state(state, order, layout.slots),
        inputs=inputs,
        begin=begin,
        step=step,
        state=lambda carry: carry[0],
        ends=lambda inputs: inputs[0].ends,
        steps_done=lambda done: jnp.minimum(done // cut.micro_per_batch, cut.batch_count),
        losses=losses,
        batches=batches,
        visit=visit,
        by_batch=by_batch,
        batch_count=cut.batch_count,
    )


def run_micro(
    problem: Problem,
    begun: State,
    data: Batch,
    order_key: Array,
    cut: Cut,
    *,
    precision: str,
    epochs: int,
    recording: Recording = LOSSES_ONLY,
    known: Known = NOTHING_KNOWN,
    span: Span | None = None,
    **how: Any,
) -> Run:
    """Train one run whose batch count is data: the same numbers as `train.run`, to rounding.

    An optimizer that evaluates the batch's loss again in its update (a line search) is not possible here, because no
    micro-step sees its batch as a whole. Evaluations within an epoch are possible if `can_evaluate` returns True.

    Args:
      cut: of the samples into batches.
      problem, begun, data, order_key, precision, epochs, recording, known, span: as `train.run` takes them.
      how: `optimizer`, `layout` and `order`, as `micro_stepping` takes them.

    Returns:
      The run, with loss and size [E, M]; past the batch count the loss is NaN and the size 0.
    """
    with jax.default_matmul_precision(precision):
        parts = micro_stepping(problem, data, order_key, cut, epochs=epochs, **how)
        return train(parts, begun, contexts(problem, data, order_key, known), epochs=epochs, recording=recording, span=span)
