"""Influence: the effect of each step on the loss of each batch.

In an epoch of m steps, the loss of every batch is measured before and after every step. The m x m changes add up to the change
of each loss over the epoch, so the share of a batch's own step in its fall is exact.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int
from numpy.typing import ArrayLike

from jaxsgd.error import InputError, check_count
from jaxsgd.measure.checkpoint import Epoch, Prepared, TrainingSpec, measured, prepare
from jaxsgd.measure.norms import distance
from jaxsgd.measure.own_step import OwnSteps, cosines
from jaxsgd.microstep import MicroVisits
from jaxsgd.order import Order
from jaxsgd.problem import Batch, Params, Problem, take_samples
from jaxsgd.simulator import Keys, Optimizer, State, batch_loss, optimizer_at, sample_losses, step, training_loss
from jaxsgd.summary import short_repr

MEMORY_LIMIT = 4 * 2**30
"""The default limit on the memory for the matrices and gradients of a run, in bytes."""


class Influence(NamedTuple):
    """The effect of each step of C measured epochs on the loss of each batch, in loss units.

    Batches are numbered by the position at which the epoch visits them. If runs of several batch counts share an array,
    the positions past a run's own count are NaN.

    Attributes:
      epoch: [C], the epochs, 0-based.
      loss: [C, m], every batch's loss at the same parameters, those before the epoch's first step.
      effect: [C, m, m], `effect[j, t] = L_j(after step t) - L_j(before step t)`. A row adds up to its batch's whole change.
      gram: [C, m, m], `<g_j, g_t>`, inner products of the batches' gradients before the epoch's first step; per unit of
        squared parameters. `-lr * gram` is `effect` to first order in the rate of plain SGD.
      frozen_loss: [C, m], every batch's loss after an epoch whose steps all use the gradients at its first parameters.
      frozen_distance: [C], Euclidean distance of that epoch's last parameters from the exact ones; parameter units.
      distance: [C], Euclidean distance by which the exact epoch moves the parameters; parameter units.
    """

    epoch: Int[Array, "*runs C"]
    loss: Float[Array, "*runs C m"]
    effect: Float[Array, "*runs C m m"]
    gram: Float[Array, "*runs C m m"]
    frozen_loss: Float[Array, "*runs C m"]
    frozen_distance: Float[Array, "*runs C"]
    distance: Float[Array, "*runs C"]

    __repr__ = short_repr

    @property
    def own_share(self) -> Float[np.ndarray, "*runs C"]:
        """[C], the own steps' share of the summed fall, trace / sum of `effect`; above 1 if the other steps undo a part."""
        return own_share(self.effect)

    @property
    def first_order_own_share(self) -> Float[np.ndarray, "*runs C"]:
        """[C], the own share by the gradients alone, trace / sum of `gram`.

        For m batches of equal size it is exactly (1 + V / |G|^2) / m, with G the mean of the gradients g_t and V the mean of
        |g_t - G|^2.
        """
        return own_share(self.gram)

    @property
    def cosine(self) -> Float[np.ndarray, "*runs C m m"]:
        """[C, m, m], cosines between the batches' gradients; NaN for a gradient of 0."""
        return cosines(self.gram)

    @property
    def own_change(self) -> Float[np.ndarray, "*runs C m"]:
        """[C, m], the change of each batch's loss by its own step."""
        return np.diagonal(np.asarray(self.effect, np.float64), axis1=-2, axis2=-1)

    @property
    def earlier_change(self) -> Float[np.ndarray, "*runs C m"]:
        """[C, m], the change of each batch's loss by the epoch's steps before its own."""
        effect = np.asarray(self.effect, np.float64)
        return (np.tril(np.ones(effect.shape[-2:]), -1) * np.nan_to_num(effect)).sum(axis=-1)

    @property
    def change(self) -> Float[np.ndarray, "*runs C m"]:
        """[C, m], the change of each batch's loss over the epoch."""
        return np.where(np.isnan(self.own_change), np.nan, np.nansum(np.asarray(self.effect, np.float64), axis=-1))

    @property
    def printed_loss(self) -> Float[np.ndarray, "*runs C m"]:
        """[C, m], each batch's loss just before its own step, as a trainer sees it: `loss` plus `earlier_change`."""
        return np.asarray(self.loss, np.float64) + self.earlier_change


def own_share(effect: ArrayLike) -> Float[np.ndarray, "*runs"]:
    """Return the diagonal's share of a matrix's sum, trace / sum, [...]; NaN if nothing changed.

    Args:
      effect: [..., m, m]; NaN entries, for positions without a batch, are left out. With m = 1 the share is 1.
    """
    effect = np.asarray(effect, np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(
            np.nansum(np.diagonal(effect, axis1=-2, axis2=-1), axis=-1) / np.nansum(effect, axis=(-2, -1), dtype=np.float64)
        )


def visit_to_visit(effect: ArrayLike, following: ArrayLike) -> Float[np.ndarray, "*runs m m"]:
    """Return the changes of each batch's loss from one visit to the next, its own step first, [..., m, m]: the article's count.

    Row j has the own step of batch j, then the m - 1 steps of the others until its next visit: the rest of this epoch and the
    beginning of the next epoch. A row adds up to the change between the two values that a trainer prints.

    Args:
      effect: [..., m, m], of an epoch.
      following: [..., m, m], of the next epoch. Both visit the same batches in the same order, as `fixed` and `shuffle_once`.
    """
    both = np.concatenate([np.asarray(effect, np.float64), np.asarray(following, np.float64)], axis=-1)
    m = both.shape[-2]
    return both[..., np.arange(m)[:, None], np.arange(m)[:, None] + np.arange(m)[None, :]]


class GapSources(NamedTuple):
    """The two sources of the gap between stripes in an epoch, in loss units.

    Attributes:
      gap: [...], largest minus smallest stripe level of the epoch's printed losses, without its trend.
      composition: [...], the difference between these two levels if every batch is evaluated at the same parameters.
      steps: [...], the rest: the effect of the epoch's earlier steps, beyond the trend. The two add up to the gap.
    """

    gap: Float[np.ndarray, "*runs"]
    composition: Float[np.ndarray, "*runs"]
    steps: Float[np.ndarray, "*runs"]

    __repr__ = short_repr


def gap_sources(seen: Influence | OwnSteps, eval_interval: int) -> GapSources:
    """Return the parts of the gap between stripes that come from the batches themselves and from the steps.

    Args:
      seen: of a single batch count m.
      eval_interval: w, batches per printed value, a divisor of m.

    Returns:
      Arrays [..., C]. They are 0 for w = m, which gives a single stripe.

    Raises:
      InputError: if w does not divide m.
    """
    loss = np.asarray(seen.loss, np.float64)
    m = loss.shape[-1]
    width = check_count("eval_interval", eval_interval, m, "the batches of an epoch")
    if m % width:
        raise InputError(f"eval_interval must divide the {m} batches of an epoch, got {width}")
    trend = np.asarray(seen.change, np.float64).mean(axis=-1)[..., None] / m
    printed = seen.printed_loss - trend * np.arange(m)
    levels = printed.reshape(*printed.shape[:-1], m // width, width).mean(axis=-1)
    same = loss.reshape(*loss.shape[:-1], m // width, width).mean(axis=-1)
    high, low = levels.argmax(axis=-1)[..., None], levels.argmin(axis=-1)[..., None]

    def between(values: np.ndarray) -> np.ndarray:
        return (np.take_along_axis(values, high, -1) - np.take_along_axis(values, low, -1))[..., 0]

    gap, composition = between(levels), between(same)
    return GapSources(gap, composition, gap - composition)


def influence(
    problem: Problem,
    key: Array | Keys,
    *,
    optimizer: Optimizer,
    at: Sequence[int] | int,
    epochs: int | None = None,
    batch_count: int | Sequence[int] | None = None,
    batch_size: int | None = None,
    drop_last: bool = False,
    order: str | Order | Callable = "fixed",
    precision: str = "float32",
    one_gradient: bool = False,
    memory_limit: int = MEMORY_LIMIT,
) -> Influence:
    """Return the effect of each step on each batch's loss, in chosen epochs of the run of `simulate` with the same arguments.

    Works under `vmap`, over keys and rates like `simulate`. Several batch counts share a program and become a leading axis of
    the result. A measured epoch costs m passes over the data. Losses that couple the samples of a batch (batch normalization)
    would be measured wrongly, and cannot be detected.

    Accuracy: a change is the mean of its samples' changes, so only their rounding remains, about 1e-7 of a sample's loss in
    float32. If the steps change the loss by less, measure in float64.

    Args:
      problem, key, optimizer, batch_size, drop_last, order, precision: as `simulate`.
      at: the epochs to measure, 0-based.
      epochs: E of the whole training, for an optimizer with a schedule; by default the training ends with the last measured
        epoch.
      batch_count: m, or a sequence of batch counts.
      one_gradient: keep only the gradient of one batch in memory, not of all m; each step then needs two more passes.
      memory_limit: the most bytes that a run may use.

    Raises:
      InputError: as `simulate`, for epochs outside the training, and for matrices that need more than `memory_limit`, with the
        estimate and the sizes that would fit.
    """
    given = prepare(
        problem,
        key,
        optimizer=optimizer,
        at=at,
        epochs=epochs,
        batch_count=batch_count,
        batch_size=batch_size,
        drop_last=drop_last,
        order=order,
        precision=precision,
    )
    _check_memory(given, one_gradient, check_count("memory_limit", memory_limit))
    return measured(given, epoch_influence, one_gradient)


def epoch_influence(problem: Problem, training: TrainingSpec, data: Batch, epoch: Epoch, one_gradient: bool) -> Influence:
    """Return the influence in one epoch, [m, ...]; see `Influence`."""
    visits, state = epoch.visits, epoch.state
    share = _batch_shares(visits, training.layout.num_samples)

    def losses(params: Params) -> Array:
        return sample_losses(problem, params, data)

    def gradient(sample: Array, size: Array) -> Params:
        batch = take_samples(data, sample)
        return jax.grad(lambda params: batch_loss(problem, params, batch, size))(state.params)

    def frozen_gradient(visit: MicroVisits) -> Params:
        batch = take_samples(data, visit.sample)
        return jax.grad(lambda params: training_loss(problem, params, batch, visit.size, visit.noise))(state.params)

    def exact(carry: tuple[State, Array], inputs: tuple) -> tuple[tuple[State, Array], Array]:
        visit, done = inputs

        def taken() -> tuple[State, Array]:
            batch = take_samples(data, visit.sample)
            after, _ = step(problem, optimizer_at(training.optimizer, done), carry[0], batch, visit.size, visit.noise)
            return after, losses(after.params)

        state, after = jax.lax.cond(visit.ends, taken, lambda: carry)
        # The difference before the mean: the mean of two nearly equal losses would round it away.
        return (state, after), share @ (after - carry[1])

    def frozen(carry: tuple[Params, Any], inputs: tuple) -> tuple[tuple[Params, Any], None]:
        visit, done = inputs

        def taken() -> tuple[Params, Any]:
            grad = frozen_gradient(visit)
            updates, opt_state = optimizer_at(training.optimizer, done).update(grad, carry[1], state.params)
            return jax.tree.map(jnp.add, carry[0], updates), opt_state

        return jax.lax.cond(visit.ends, taken, lambda: carry), None

    inputs = (visits, epoch.progress)
    before = losses(state.params)
    (last, _), changes = jax.lax.scan(exact, (state, before), inputs)
    (frozen_params, _), _ = jax.lax.scan(frozen, (state.params, state.opt_state), inputs)
    gram = _gram_one_by_one if one_gradient else _gram_at_once
    both = visits.ends[:, None] & visits.ends[None, :]
    return Influence(
        epoch=epoch.number,
        loss=jnp.where(visits.ends, share @ before, jnp.nan),
        effect=jnp.where(both, changes.T, jnp.nan),
        gram=jnp.where(both, gram(gradient, lambda params: share @ losses(params), state.params, visits), jnp.nan),
        frozen_loss=jnp.where(visits.ends, share @ losses(frozen_params), jnp.nan),
        frozen_distance=distance(frozen_params, last.params),
        distance=distance(state.params, last.params),
    )


Gradient = Callable[[Array, Array], Params]
"""`(sample [B], size) -> gradient` of a batch's mean loss."""


def _gram_at_once(gradient: Gradient, batch_losses: Callable, params: Params, visits: MicroVisits) -> Float[Array, "M M"]:
    """Return the inner products of all batches' gradients, with all M gradients in memory."""
    del batch_losses
    empty = jax.tree.map(jnp.zeros_like, params)

    def flat_gradient(visit: tuple[Array, Array, Array]) -> Array:
        sample, size, ends = visit
        return ravel_pytree(jax.lax.cond(ends, lambda: gradient(sample, size), lambda: empty))[0]

    gradients = jax.lax.map(flat_gradient, (visits.sample, visits.size, visits.ends))
    return gradients @ gradients.T


def _gram_one_by_one(gradient: Gradient, batch_losses: Callable, params: Params, visits: MicroVisits) -> Float[Array, "M M"]:
    """Return the same with one gradient in memory: the derivatives of all batches' losses in its direction, by forward mode."""

    def row(visit: tuple[Array, Array, Array]) -> Array:
        sample, size, ends = visit

        def products() -> Array:
            return jax.jvp(batch_losses, (params,), (gradient(sample, size),))[1]

        return jax.lax.cond(ends, products, lambda: jnp.zeros_like(batch_losses(params)))

    return jax.lax.map(row, (visits.sample, visits.size, visits.ends))


def _batch_shares(visits: MicroVisits, num_samples: int) -> Float[Array, "M N"]:
    """Return the weight of each sample in each batch's mean, [M, N]: 1 / B for each time that the batch has the sample."""
    own = jnp.ones(visits.sample.shape, bool) if visits.own is None else visits.own
    row = jnp.arange(visits.sample.shape[0])[:, None]
    count = jnp.zeros((visits.sample.shape[0], num_samples)).at[row, visits.sample].add(own)
    return count / visits.size[:, None]


def _check_memory(given: Prepared, one_gradient: bool, limit: int) -> None:
    """Check that the matrices and gradients of a run fit into memory.

    Raises:
      InputError: with an estimate, and the sizes that would fit.
    """
    whole, leaves = given.training.whole, jax.tree.leaves(given.params)
    item = max(jnp.result_type(leaf).itemsize for leaf in leaves)
    size = sum(leaf.size for leaf in leaves)

    def needed(m: int, epochs: int, one_gradient: bool) -> int:
        # Effects and inner products, stored and in use; each sample's share in each batch; gradients.
        matrices = 2 * m * m * (epochs * (given.runs or 1) + 2) + m * whole.num_samples
        return item * (matrices + (2 if one_gradient else 2 * m) * size)

    m, epochs = whole.slots, len(given.at)
    if needed(m, epochs, one_gradient) <= limit:
        return
    fitting = next((fewer for fewer in range(m - 1, 0, -1) if needed(fewer, epochs, one_gradient) <= limit), 0)
    choices = [f"at most {fitting} batches"] if fitting else []
    if needed(m, 1, one_gradient) <= limit:
        choices.insert(0, "fewer epochs")
    if not one_gradient and needed(m, epochs, True) <= limit:
        choices.insert(0, "one_gradient=True")
    raise InputError(
        f"influence with {m} batches and {epochs} epochs needs about {_gib(needed(m, epochs, one_gradient))}, more than "
        f"memory_limit={_gib(limit)}: use {', '.join(choices) or 'a smaller problem'} or a higher limit"
    )


def _gib(count: int) -> str:
    return f"{count / 2**30:,.3g} GiB"
