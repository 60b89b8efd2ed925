"""Feedback: how an order of batches follows from the gradients of the training itself.

An order with a feedback keeps a state. After each step it sees the gradient of the step's batch, and before each epoch it gives
the sequence in which that epoch visits the batches. The batches keep their samples; with one sample in a batch, samples are put
in order.

Both orders here balance gradients. They give every batch a sign such that the signed sum stays small. The next epoch visits the
batches with a plus first, in their sequence, and those with a minus last, in reverse (Algorithm 3 of Lu et al. 2022).

References:
  Lu, Guo and De Sa 2022, "GraB: Finding provably better data permutations than random reshuffling", arXiv 2205.10733.
  Cooper et al. 2023, "CD-GraB: Coordinating distributed example orders for provably accelerated training", arXiv 2302.00845.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int

from jaxsgd.problem import Params


class Visited(NamedTuple):
    """A batch that has been visited, as the feedback of an order sees it.

    Attributes:
      batch: [], number of the batch; a batch has the same number in every epoch.
      position: [], its position in the epoch, from 0.
      batch_count: [], m.
    """

    batch: Int[Array, "*m"]
    position: Int[Array, "*m"]
    batch_count: Int[Array, "*m"]


class Feedback(NamedTuple):
    """The functions of an order that looks at gradients; pure, and hashable together.

    Attributes:
      init: `(params, slots) -> state`, any pytree of arrays, before the first step. `slots` is a static number, at least m.
      batches: `(state, key, epoch, slots, batch_count) -> [slots]`, the batch visited at each position of the epoch.
        `batch_count` is m, which may be traced. Positions from m on are never read.
      update: `(state, visited, gradient) -> state`, after the step of a batch, with the gradient of the batch's mean loss at
        the parameters before the step. The types and shapes of the state stay as they are.
    """

    init: Callable[[Params, int], Any]
    batches: Callable[[Any, Array, Int[Array, ""] | int, int, Int[Array, ""] | int], Int[Array, " slots"]]
    update: Callable[[Any, Visited, Params], Any]


class MeanBalance(NamedTuple):
    """The state of `mean_balance`: 3 vectors as large as the parameters, and a whole number for each batch.

    Attributes:
      rank: [M], the batches are visited in ascending rank.
      balance: the signed sum of the epoch's centred gradients so far.
      total: the sum of the epoch's gradients so far.
      mean: the mean gradient of the epoch before, 0 in the first.
    """

    rank: Int[Array, " M"]
    balance: Params
    total: Params
    mean: Params


class PairBalance(NamedTuple):
    """The state of `pairwise_balance`: 2 vectors as large as the parameters, and a whole number for each batch.

    Attributes:
      rank: [M], the batches are visited in ascending rank.
      balance: the signed sum of the differences within the epoch's pairs so far.
      last: the gradient of the batch before.
      last_batch: [], the number of the batch before.
    """

    rank: Int[Array, " M"]
    balance: Params
    last: Params
    last_batch: Int[Array, ""]


def _by_rank(state: MeanBalance | PairBalance, key: Array, epoch: Array | int, slots: int, batch_count: Array | int) -> Array:
    del key, epoch
    # Slots without a batch come last. Ranks are at most 2 M: from the front 0, 1, ..., from the back 2 M, 2 M - 1, ...
    return jnp.argsort(jnp.where(jnp.arange(slots) < batch_count, state.rank, 2 * slots + 1))


def _keeps_small(balance: Params, vector: Params) -> Bool[Array, ""]:
    """Return True if |balance + vector| <= |balance - vector|, which is so if their inner product is 0 or less.

    The papers compare the norms. The inner product has no rounding of two large numbers that are nearly equal.
    """
    products = jax.tree.map(lambda own, other: jnp.sum(own * other), balance, vector)
    return jnp.sum(jnp.stack(jax.tree.leaves(products))) <= 0


def _where(condition: Array, these: Params, others: Params) -> Params:
    return jax.tree.map(lambda this, other: jnp.where(condition, this, other), these, others)


def _signed_sum(balance: Params, is_plus: Array, vector: Params) -> Params:
    return jax.tree.map(lambda own, other: jnp.where(is_plus, own + other, own - other), balance, vector)


def _begin_mean_balance(params: Params, slots: int) -> MeanBalance:
    zeros = jax.tree.map(jnp.zeros_like, params)
    return MeanBalance(jnp.arange(slots, dtype=jnp.int32), zeros, zeros, zeros)


def _update_mean_balance(state: MeanBalance, visited: Visited, gradient: Params) -> MeanBalance:
    zeros = jax.tree.map(jnp.zeros_like, gradient)
    begins = visited.position == 0
    past_mean = jax.tree.map(lambda total: total / visited.batch_count.astype(total.dtype), state.total)
    mean = _where(begins, past_mean, state.mean)
    balance, total = _where(begins, (zeros, zeros), (state.balance, state.total))
    centred = jax.tree.map(jnp.subtract, gradient, mean)
    is_plus = _keeps_small(balance, centred)
    position = visited.position.astype(state.rank.dtype)
    rank = state.rank.at[visited.batch].set(jnp.where(is_plus, position, 2 * state.rank.size - position))
    return MeanBalance(rank, _signed_sum(balance, is_plus, centred), jax.tree.map(jnp.add, total, gradient), mean)


def _begin_pair_balance(params: Params, slots: int) -> PairBalance:
    zeros = jax.tree.map(jnp.zeros_like, params)
    return PairBalance(jnp.arange(slots, dtype=jnp.int32), zeros, zeros, jnp.zeros((), jnp.int32))


def _update_pair_balance(state: PairBalance, visited: Visited, gradient: Params) -> PairBalance:
    zeros = jax.tree.map(jnp.zeros_like, gradient)
    completes = visited.position % 2 == 1
    balance = _where(visited.position == 0, zeros, state.balance)
    difference = jax.tree.map(jnp.subtract, state.last, gradient)
    is_plus = _keeps_small(balance, difference)
    slots = state.rank.size
    pair = (visited.position // 2).astype(state.rank.dtype)
    front, back = pair, 2 * slots - pair
    # The first batch of a pair waits in the middle, where the last one stays if their number is odd.
    first, own = jnp.where(is_plus, front, back), jnp.where(is_plus, back, front)
    rank = state.rank.at[state.last_batch].set(jnp.where(completes, first, state.rank[state.last_batch]))
    rank = rank.at[visited.batch].set(jnp.where(completes, own, slots))
    balance = _where(completes, _signed_sum(balance, is_plus, difference), balance)
    return PairBalance(rank, balance, gradient, visited.batch.astype(jnp.int32))


mean_balance = Feedback(_begin_mean_balance, _by_rank, _update_mean_balance)
"""Balance the gradients less the mean gradient of the epoch before: Algorithm 4 of Lu et al. 2022, with the signs of their
Algorithm 5, which are deterministic and which their code uses. The first epoch has no mean to subtract."""

pairwise_balance = Feedback(_begin_pair_balance, _by_rank, _update_pair_balance)
"""Balance the differences between the gradients of two consecutive batches, of which one goes to the front and the other to the
back (Cooper et al. 2023). It needs no mean of an earlier epoch. If m is odd, the last batch goes to the middle."""
