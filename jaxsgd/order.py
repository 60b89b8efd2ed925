"""Orders: how the samples are assigned to batches in each epoch.

A data set of N samples becomes batches in three steps. An order chooses the first and the last, a split the one between:

    put the samples into a sequence  ->  cut it into batches  ->  visit the batches in some sequence

Most orders are functions of a key and the epoch alone. An order with a `Feedback` visits its batches in a sequence that follows
from the gradients of the training.

References:
  Recht and Re 2012, "Beneath the valley of the noncommutative arithmetic-geometric mean inequality" (with and without
    replacement).
  Safran and Shamir 2020, "How good is SGD with random shuffling?" (incremental gradient, shuffle-once, reshuffling).
  Rajput, Lee and Papailiopoulos 2022, "Permutation-based SGD: is random optimal?" (flip-flop).
  Xu et al. 2022, "Stochastic gradient descent without full data shuffle", arXiv 2206.05830 (CorgiPile: `block_buffer`).
  `jaxsgd.feedback` (gradient balancing: `grab` and `pair_balance`).
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from jaxsgd.error import InputError, check_count, shown
from jaxsgd.family import Family, Parameter, member
from jaxsgd.feedback import Feedback, Visited, mean_balance, pairwise_balance
from jaxsgd.problem import Params
from jaxsgd.summary import short_repr


@dataclasses.dataclass(frozen=True)
class Split:
    """A cut of a sequence of N samples into m batches; hashable, so that it can be a static argument.

    Attributes:
      num_samples: N.
      batch_count: m.
      batch_size: None to cut like `numpy.array_split` (sizes differ by at most one, larger batches first). Otherwise
        the size of every batch except the last, which has the samples that remain.
    """

    num_samples: int
    batch_count: int
    batch_size: int | None = None

    @property
    def sizes(self) -> np.ndarray:
        """Number of samples in each batch, [m]."""
        if self.batch_size is not None:
            left = self.num_samples - self.batch_size * np.arange(self.batch_count)
            return np.minimum(left, self.batch_size)
        small, larger = divmod(self.num_samples, self.batch_count)
        return small + (np.arange(self.batch_count) < larger)

    @property
    def starts(self) -> np.ndarray:
        """Index in the sequence of samples at which each batch begins, [m]."""
        return np.concatenate([[0], np.cumsum(self.sizes)[:-1]])

    @property
    def is_ragged(self) -> bool:
        """True if batch sizes differ."""
        return bool(np.ptp(self.sizes))


def split(num_samples: int, *, batch_count: int | None = None, batch_size: int | None = None, drop_last: bool = False) -> Split:
    """Return the split of N samples by batch count or by batch size.

    Args:
      num_samples: N.
      batch_count: m; batches of N/m samples, sizes differing by at most one.
      batch_size: B; full batches and a smaller last one.
      drop_last: leave out a smaller last batch. Its samples are the last ones of the epoch's sequence.

    Raises:
      InputError: unless exactly one of `batch_count` and `batch_size` is given, from 1 to N.
    """
    if (batch_count is None) == (batch_size is None):
        raise InputError(
            f"give either batch_count or batch_size, got batch_count={shown(batch_count)}, batch_size={shown(batch_size)}"
        )
    if batch_count is not None:
        if drop_last:
            raise InputError("drop_last=True needs batch_size: with batch_count, the batches hold every sample")
        return Split(num_samples, check_count("batch_count", batch_count, num_samples, "one sample a batch or more"))
    size = check_count("batch_size", batch_size, num_samples, "the number of samples")
    count = num_samples // size if drop_last else -(-num_samples // size)
    return Split(num_samples, count, size)


def _in_sequence(key, epoch, slots, batch_count):
    del key, epoch, batch_count
    return jnp.arange(slots)


class Order(NamedTuple):
    """An order: two pure functions of a key and the epoch, and the facts that others need to know of it.

    Attributes:
      samples: `(key, epoch, num_samples) -> [N]`, the epoch's sequence of sample indices.
      batches: `(key, epoch, slots, batch_count) -> [slots]`, the batch visited at each position. `slots` is a static
        length; `batch_count` is m, which may be traced and is at most `slots`. Positions from m on are never read.
      visits_once: True if every sample is visited exactly once in each epoch.
      name: its name in studies and messages.
      period: the number of epochs after which each position has the same batch again; None if that is not promised.
      title: its name in a figure or a table; empty to use `name`.
      size: the number of samples in the buffer that it draws from, or in a block that stays together; None for other orders.
      feedback: functions by which the sequence of batches follows from gradients, in place of `batches`; None for an order that
        does not look at gradients.
    """

    samples: Callable[[Array, Int[Array, ""] | int, int], Int[Array, "N"]]
    batches: Callable[[Array, Int[Array, ""] | int, int, Int[Array, ""] | int], Int[Array, "slots"]] = _in_sequence
    visits_once: bool = False
    name: str = "custom"
    period: int | None = None
    title: str = ""
    size: int | None = None
    feedback: Feedback | None = None

    @property
    def repeats(self) -> bool:
        """True if the same batches come again at the same positions, every `period` epochs."""
        return self.period is not None


def _as_given(key, epoch, num_samples):
    del key, epoch
    return jnp.arange(num_samples)


def _shuffled_once(key, epoch, num_samples):
    # The permutation that `reshuffle` has in its first epoch, so that the two are paired.
    del epoch
    return _reshuffled(key, 0, num_samples)


def _permutation(key: Array, count: int) -> Int[Array, " count"]:
    """Return `jax.random.permutation(key, count)`, in a third of its time on a CPU.

    JAX sorts the numbers from 0 to count - 1 by random numbers of 32 bits, and sorts the result again by others if equal random
    numbers are likely. On a CPU, XLA sorts pairs of arrays slowly. Here a random number and its position are one number of 64
    bits, and equal random numbers stay in their sequence, as in JAX's sort.
    """
    if jax.default_backend() != "cpu":
        return jax.random.permutation(key, count)
    result = jnp.arange(count)
    # JAX's rounds: after them even the strings of all random numbers of an element are distinct, as good as surely.
    for number in range(math.ceil(3 * math.log(max(1, count)) / math.log(2**32 - 1))):
        key, own = jax.random.split(key)
        drawn = jax.random.bits(own, (count,), np.uint32)
        with jax.enable_x64(True):
            wide = jax.lax.convert_element_type(drawn, np.uint64) << np.uint64(32)
            ordered = jax.lax.sort(wide | jax.lax.iota(np.uint64, count)) & np.uint64(2**32 - 1)
            position = jax.lax.convert_element_type(ordered, result.dtype)
        result = position if number == 0 else result[position]
    return result


def _reshuffled(key, epoch, num_samples):
    return _permutation(jax.random.fold_in(key, epoch), num_samples)


def _drawn(key, epoch, num_samples):
    return jax.random.randint(jax.random.fold_in(key, epoch), (num_samples,), 0, num_samples)


def _batches_reshuffled(key, epoch, slots, batch_count):
    # One draw a slot, each from a key of its own: the first m draws are the same however many slots there are.
    key = jax.random.fold_in(key, epoch)
    draws = jax.vmap(lambda slot: jax.random.uniform(jax.random.fold_in(key, slot)))(jnp.arange(slots))
    return jnp.argsort(jnp.where(jnp.arange(slots) < batch_count, draws, jnp.inf))


def _batches_reversed_in_odd_epochs(key, epoch, slots, batch_count):
    del key
    position = jnp.arange(slots)
    return jnp.where(epoch % 2 == 1, batch_count - 1 - position, position)


fixed = Order(_as_given, visits_once=True, name="fixed", period=1)
"""The same batches in the same order every epoch (incremental gradient)."""

shuffle_once = Order(_shuffled_once, visits_once=True, name="shuffle_once", period=1)
"""One permutation of the samples, then fixed."""

reshuffle = Order(_reshuffled, visits_once=True, name="reshuffle")
"""A new permutation of the samples every epoch (random reshuffling)."""

reshuffle_batches = Order(_as_given, _batches_reshuffled, visits_once=True, name="reshuffle_batches")
"""Batches keep their samples; the sequence of batches is permuted every epoch."""

flip_flop = Order(_shuffled_once, _batches_reversed_in_odd_epochs, visits_once=True, name="flip_flop", period=2)
"""One permutation of the samples; its batches are visited forwards in one epoch and backwards in the next."""

replacement = Order(_drawn, name="replacement")
"""Every sample of every batch is drawn anew from all samples, with replacement."""

grab = Order(_shuffled_once, visits_once=True, name="grab", feedback=mean_balance)
"""One permutation of the samples; its batches have a new sequence every epoch, in which the gradients of the epoch before
balance each other (Lu et al. 2022). The first epoch is that of `shuffle_once`."""

pair_balance = Order(_shuffled_once, visits_once=True, name="pair_balance", feedback=pairwise_balance)
"""As `grab`, but differences between the gradients of consecutive batches are balanced (Cooper et al. 2023)."""

ORDERS = {
    order.name: order
    for order in (fixed, shuffle_once, reshuffle, reshuffle_batches, flip_flop, replacement, grab, pair_balance)
}
"""The built-in orders by name."""


# Orders as data loaders make them. The number of samples or blocks is part of the order, so each has a program of its own: an
# order is a static part of a program, and these sort arrays whose lengths depend on the numbers. Each costs one sort of N
# numbers an epoch besides its draws, as a permutation does, and no loop over samples.

_SECOND_DRAW = 2
"""Number that is folded into an epoch's key for its second draw: `jax.random.permutation` folds in 0 and 1 itself."""


def _buffer(k: int) -> Order:
    """A shuffle buffer: it is filled with the first k samples; each output is drawn uniformly from the k that it holds, and the
    next sample takes its place; at the end it is emptied at random. With k = 1 it is `fixed`, with k = N it is `reshuffle`.

    So do `tf.data.Dataset.shuffle(k)`, Hugging Face's `IterableDataset.shuffle(buffer_size=k)`, and WebDataset's
    `shuffle(k, initial=k)`.
    """
    name = f"buffer({k})"

    def samples(key: Array, epoch: Array | int, num_samples: int) -> Array:
        check_count(f"k of order {name!r}", k, num_samples, "the number of samples")
        key = jax.random.fold_in(key, epoch)
        # Sample k + t takes the place from which output t was drawn. So output t is the sample before it in that place: in a
        # stable sort by place, its neighbour.
        drawn = jax.random.randint(jax.random.fold_in(key, _SECOND_DRAW), (num_samples - k,), 0, k)
        place = jnp.concatenate([jnp.arange(k), drawn])
        by_place = jnp.argsort(place, stable=True)
        sorted_place = place[by_place]
        is_last = jnp.concatenate([sorted_place[1:] != sorted_place[:-1], jnp.ones(1, bool)])
        emptied = jnp.zeros(k, jnp.int32).at[_permutation(key, k)].set(jnp.arange(k, dtype=jnp.int32))
        follower = jnp.concatenate([by_place[1:], by_place[:1]])
        output = jnp.where(is_last, num_samples - k + emptied[sorted_place], follower - k)
        return jnp.zeros(num_samples, by_place.dtype).at[output].set(by_place)

    return Order(samples, visits_once=True, size=k)


def _blocks(k: int) -> Order:
    """Blocks of k consecutive samples, the last one perhaps smaller, in a new permutation every epoch; the samples of a block
    stay together and in sequence. With k = 1 it is `reshuffle`, with k = N it is `fixed`.

    So do loaders that shuffle files and read each from its beginning.
    """
    name = f"blocks({k})"

    def samples(key: Array, epoch: Array | int, num_samples: int) -> Array:
        check_count(f"k of order {name!r}", k, num_samples, "the number of samples")
        visited = _permutation(jax.random.fold_in(key, epoch), -(-num_samples // k))
        return jnp.argsort(jnp.argsort(visited)[jnp.arange(num_samples) // k], stable=True)

    return Order(samples, visits_once=True, size=k)


def _block_buffer(k: int, n: int) -> Order:
    """Blocks of k consecutive samples in a new permutation every epoch; n blocks at a time are read, and their samples are
    shuffled together: CorgiPile (Xu et al. 2022). With n the number of blocks it is `reshuffle`.

    As in their loaders, an epoch goes on until every block has been read.
    """
    name = f"block_buffer({k}, {n})"

    def samples(key: Array, epoch: Array | int, num_samples: int) -> Array:
        check_count(f"k of order {name!r}", k, num_samples, "the number of samples")
        num_blocks = -(-num_samples // k)
        check_count(f"n of order {name!r}", n, num_blocks, f"the number of blocks of {k} samples")
        key = jax.random.fold_in(key, epoch)
        visited = _permutation(jax.random.fold_in(key, _SECOND_DRAW), num_blocks)
        filled = jnp.argsort(visited) // n  # of each block, the filling of the buffer that it is part of
        shuffled = _permutation(key, num_samples)
        return shuffled[jnp.argsort(filled[shuffled // k], stable=True)]

    return Order(samples, visits_once=True, size=k * n)


_BLOCK = Parameter("k", "samples in a block")

ORDER_FAMILIES = {
    "buffer": Family(_buffer, (Parameter("k", "samples in the buffer"),)),
    "blocks": Family(_blocks, (_BLOCK,)),
    "block_buffer": Family(_block_buffer, (_BLOCK, Parameter("n", "blocks that are shuffled together"))),
}
"""The built-in orders with numbers in brackets, such as `buffer(100)`, by the name before the brackets."""


def built_in(name: str) -> Order | None:
    """Return the built-in order that a result calls `name`; None for an order of the user's own."""
    try:
        return as_order(name)
    except InputError:
        return None


def order_title(name: str) -> str:
    """Return the text for an order in a figure or a table.

    Args:
      name: the order's name in a result. An order that is not built in is called by its name.
    """
    order = built_in(name)
    return order.title or name if order else name


def as_order(order: str | Order | Callable, own: str = "give your own function (key, epoch, num_samples) -> [N]") -> Order:
    """Return the order that a name, an `Order` or a user's function stands for.

    A function `(key, epoch, num_samples) -> [N]` gives the samples' sequence; `epoch` is traced.

    Args:
      order: a name in `ORDERS`, or of `ORDER_FAMILIES` with numbers in brackets; an `Order`; or a function.
      own: how to give an order of one's own, in words, for the message on an unknown name.

    Raises:
      InputError: for an unknown name (with the nearest valid one), wrong numbers in brackets, or a value that is no function.
    """
    if isinstance(order, Order):
        return order
    if isinstance(order, str):
        name, named = member("order", order, ORDERS, ORDER_FAMILIES, own)
        return named if order in ORDERS else named._replace(name=name)
    if callable(order):
        return Order(order, name=getattr(order, "__name__", "custom"))
    raise InputError(f"order must be a name, an Order or a function (key, epoch, num_samples) -> [N], got {shown(order)}")


def sample_sequence(order: Order, key: Array, epoch: Int[Array, ""] | int, num_samples: int) -> Int[Array, "N"]:
    """Return an epoch's sequence of sample indices, [N].

    Raises:
      InputError: if the order's function does not return N sample indices.
    """
    sequence = jnp.asarray(order.samples(key, epoch, num_samples))
    if sequence.shape != (num_samples,) or not jnp.issubdtype(sequence.dtype, jnp.integer):
        raise InputError(
            f"order {order.name!r} must give {num_samples} sample indices, got shape {sequence.shape} of {sequence.dtype}"
        )
    return sequence


def batch_sequence(
    order: Order, key: Array, epoch: Int[Array, ""] | int, slots: int, batch_count: Int[Array, ""] | int, state: Any = None
) -> Int[Array, " slots"]:
    """Return the batch that an epoch visits at each position, [slots]; positions from m on mean nothing.

    Args:
      order, key, epoch: of the run.
      slots: a static number, at least m.
      batch_count: m, which may be traced.
      state: of an order that looks at gradients, before the epoch; None for others.

    Raises:
      InputError: for an order that looks at gradients, without its state.
    """
    if order.feedback is None:
        return order.batches(key, epoch, slots, batch_count)
    if state is None:
        raise InputError(f"order {order.name!r} looks at gradients, so its batches follow only from a training")
    return order.feedback.batches(state, key, epoch, slots, batch_count)


def check_feedback(order: Order, params: Params, slots: int) -> None:
    """Check the functions by which an order looks at gradients, by shapes alone; other orders have none.

    Args:
      order: of the run.
      params: the parameters, or their shapes and types.
      slots: a batch count.

    Raises:
      InputError: if the functions do not give the numbers of the batches, or change the types or shapes of the state.
        Exceptions of the user's own functions are not caught.
    """
    if order.feedback is None:
        return
    number: Any = jax.ShapeDtypeStruct((), jnp.int32)
    key = jax.eval_shape(lambda: jax.random.key(0))
    feedback = order.feedback
    state = jax.eval_shape(lambda params: _begun(feedback, params, slots), params)

    def batches(state: Any, key: Array, epoch: Array, batch_count: Array) -> Array:
        return jnp.asarray(feedback.batches(state, key, epoch, slots, batch_count))

    sequence = jax.eval_shape(batches, state, key, number, number)
    if sequence.shape != (slots,) or not jnp.issubdtype(sequence.dtype, jnp.integer):
        raise InputError(
            f"order {order.name!r} must give the numbers of {slots} batches, got shape {sequence.shape} of {sequence.dtype}"
        )
    after = jax.eval_shape(feedback.update, state, Visited(number, number, number), params)
    if jax.tree.map(_kind, state) != jax.tree.map(_kind, after):
        raise InputError(
            f"order {order.name!r} must not change the types and shapes of its state, got {shown(state)} before a step and "
            f"{shown(after)} after it"
        )


def first_state(order: Order, params: Params, slots: int) -> Any:
    """Return the state of an order before the first step; None for an order that does not look at gradients.

    Args:
      order: of the run.
      params: the first parameters.
      slots: the largest batch count for which the state has room.

    Raises:
      InputError: as `check_feedback`.
    """
    if order.feedback is None:
        return None
    check_feedback(order, params, slots)
    return _begun(order.feedback, params, slots)


def _begun(feedback: Feedback, params: Params, slots: int) -> Any:
    # With a type of its own, a number of Python's keeps that type from step to step.
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.result_type(leaf)), feedback.init(params, slots))


def _kind(leaf: Any) -> tuple:
    return leaf.shape, leaf.dtype


class Visits(NamedTuple):
    """The batches of one epoch, by position.

    Attributes:
      sample: [m, B], the samples of each batch; a batch smaller than B repeats its last sample.
      size: [m], the number of samples in each batch: the first `size` of its B.
      noise: [m], the random key of each batch for a loss that takes one; None for other losses.
      visited: [m] each, the batches as the order's feedback sees them; None for an order without a feedback.
    """

    sample: Int[Array, "m B"]
    size: Int[Array, "m"]
    noise: Array | None = None
    visited: Visited | None = None

    __repr__ = short_repr


def visits(order: Order, key: Array, epoch: Int[Array, ""] | int, split: Split, state: Any = None) -> Visits:
    """Return the batch that is visited at each position of an epoch.

    Args:
      order, key, epoch, split: of the run.
      state: of an order that looks at gradients, before the epoch; None for others.

    Raises:
      InputError: if the order's function does not return N sample indices, or for an order that looks at gradients, without its
        state.
    """
    count = split.batch_count
    sequence = sample_sequence(order, key, epoch, split.num_samples)
    visited = batch_sequence(order, key, epoch, count, count, state)
    size = jnp.asarray(split.sizes, jnp.int32)[visited]
    start = jnp.asarray(split.starts, jnp.int32)[visited]
    offset = jnp.minimum(jnp.arange(split.sizes.max())[None, :], size[:, None] - 1)
    shown = None if order.feedback is None else Visited(visited, jnp.arange(count), jnp.full(count, count))
    return Visits(sequence[start[:, None] + offset], size, visited=shown)
