"""Orders: how the samples are assigned to batches in each epoch.

A data set of N samples becomes batches in three steps. An order chooses the first and the last, a split the one between:

    put the samples into a sequence  ->  cut it into batches  ->  visit the batches in some sequence

References:
  Recht and Re 2012, "Beneath the valley of the noncommutative arithmetic-geometric mean inequality" (with and without
    replacement).
  Safran and Shamir 2020, "How good is SGD with random shuffling?" (incremental gradient, shuffle-once, reshuffling).
  Rajput, Lee and Papailiopoulos 2022, "Permutation-based SGD: is random optimal?" (flip-flop).
"""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from jaxsgd.error import InputError, check_count, no_such, shown
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
    """

    samples: Callable[[Array, Int[Array, ""] | int, int], Int[Array, "N"]]
    batches: Callable[[Array, Int[Array, ""] | int, int, Int[Array, ""] | int], Int[Array, "slots"]] = _in_sequence
    visits_once: bool = False
    name: str = "custom"
    period: int | None = None
    title: str = ""

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


def _reshuffled(key, epoch, num_samples):
    return jax.random.permutation(jax.random.fold_in(key, epoch), num_samples)


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

ORDERS = {order.name: order for order in (fixed, shuffle_once, reshuffle, reshuffle_batches, flip_flop, replacement)}
"""The built-in orders by name."""


def order_title(name: str) -> str:
    """Return the text for an order in a figure or a table.

    Args:
      name: the order's name in a result. An order that is not built in is called by its name.
    """
    return ORDERS[name].title or name if name in ORDERS else name


def as_order(order: str | Order | Callable) -> Order:
    """Return the order that a name, an `Order` or a user's function stands for.

    A function `(key, epoch, num_samples) -> [N]` gives the samples' sequence; `epoch` is traced.

    Raises:
      InputError: for an unknown name (with the nearest valid one), or a value that is not a function.
    """
    if isinstance(order, Order):
        return order
    if isinstance(order, str):
        if order not in ORDERS:
            raise no_such("order", order, ORDERS, "give your own function (key, epoch, num_samples) -> [N]")
        return ORDERS[order]
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


class Visits(NamedTuple):
    """The batches of one epoch, by position.

    Attributes:
      sample: [m, B], the samples of each batch; a batch smaller than B repeats its last sample.
      size: [m], the number of samples in each batch: the first `size` of its B.
      noise: [m], the random key of each batch for a loss that takes one; None for other losses.
    """

    sample: Int[Array, "m B"]
    size: Int[Array, "m"]
    noise: Array | None = None

    __repr__ = short_repr


def visits(order: Order, key: Array, epoch: Int[Array, ""] | int, split: Split) -> Visits:
    """Return the batch that is visited at each position of an epoch.

    Raises:
      InputError: if the order's function does not return N sample indices.
    """
    sequence = sample_sequence(order, key, epoch, split.num_samples)
    visited = order.batches(key, epoch, split.batch_count, split.batch_count)
    size = jnp.asarray(split.sizes, jnp.int32)[visited]
    start = jnp.asarray(split.starts, jnp.int32)[visited]
    offset = jnp.minimum(jnp.arange(split.sizes.max())[None, :], size[:, None] - 1)
    return Visits(sequence[start[:, None] + offset], size)
