"""Influence: which step made which batch's loss fall.

In an epoch of m steps every batch's loss is looked at before and after every step, and not only its own. The m x m changes
add up to what the epoch did to each loss, so the share of each batch's own step in its fall can be read off exactly.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int
from numpy.typing import ArrayLike

from jaxsgd.error import InputError, check_count
from jaxsgd.measure.checkpoint import Cuts, Epoch, Prepared, Training, at_epochs, prepare
from jaxsgd.measure.own_step import OwnSteps, cosines
from jaxsgd.microstep import MicroVisits
from jaxsgd.order import Order
from jaxsgd.problem import Batch, Params, Problem
from jaxsgd.simulator import Keys, Optimizer, State, batch_loss, optimizer_at, sample_losses, step
from jaxsgd.summary import short_repr

MEMORY_LIMIT = 4 * 2**30
"""Bytes that the matrices and gradients of one run may take, unless more is allowed."""


class Influence(NamedTuple):
    """What each step of C measured epochs did to the loss of each batch; loss units throughout.

    Batches are numbered by the position at which the epoch visits them. Where runs of several batch counts share an array,
    the places past a run's own count are NaN.

    Attributes:
      epoch: [C], the epochs, 0-based.
      loss: [C, m], every batch's loss at the parameters before the epoch's first step: the same for all batches.
      effect: [C, m, m], `effect[j, t] = L_j(after step t) - L_j(before step t)`. A row adds up to its batch's whole change.
      gram: [C, m, m], `<g_j, g_t>`, inner products of the batches' gradients before the epoch's first step; per unit of
        squared parameters. `-lr * gram` is `effect` to first order in the rate of plain SGD.
      frozen_loss: [C, m], every batch's loss after an epoch whose steps all use the gradients at its first parameters.
      frozen_distance: [C], Euclidean distance of that epoch's last parameters from the exact ones; parameter units.
      distance: [C], how far the exact epoch moves the parameters.
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
        """The own steps' part of the summed fall, trace / sum of `effect`; above 1 when the others' steps undo part of it."""
        return own_share(self.effect)

    @property
    def first_order_own_share(self) -> Float[np.ndarray, "*runs C"]:
        """The same of `gram`: for m batches of one size it is (1 + V / |G|^2) / m exactly, with G the mean of the
        gradients g_t and V the mean of |g_t - G|^2.
        """
        return own_share(self.gram)

    @property
    def cosine(self) -> Float[np.ndarray, "*runs C m m"]:
        """Cosines between the batches' gradients; NaN for a gradient of 0."""
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
        """[C, m], each batch's loss just before its own step, as a trainer sees it: `loss` and what the steps before did."""
        return np.asarray(self.loss, np.float64) + self.earlier_change


def own_share(effect: ArrayLike) -> Float[np.ndarray, "*runs"]:
    """The diagonal's part of a matrix's sum, trace / sum, of [..., m, m]; NaN entries, of places without a batch, are left out.

    NaN when nothing changed at all. With m = 1 it is 1.
    """
    effect = np.asarray(effect, np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(
            np.nansum(np.diagonal(effect, axis1=-2, axis2=-1), axis=-1) / np.nansum(effect, axis=(-2, -1), dtype=np.float64)
        )


def visit_to_visit(effect: ArrayLike, following: ArrayLike) -> Float[np.ndarray, "*runs m m"]:
    """The article's accounting: the changes of each batch's loss from one visit to the next, its own step first.

    Row j holds the step that batch j itself took, then the m - 1 steps of the others until it comes up again: the last
    of this epoch and the first of the next. It adds up to the change between the two values that a trainer prints.

    Args:
      effect: [..., m, m], of an epoch.
      following: [..., m, m], of the next one. Both visit the same batches in the same order, as `fixed` and `shuffle_once` do.
    """
    both = np.concatenate([np.asarray(effect, np.float64), np.asarray(following, np.float64)], axis=-1)
    m = both.shape[-2]
    return both[..., np.arange(m)[:, None], np.arange(m)[:, None] + np.arange(m)[None, :]]


class GapSources(NamedTuple):
    """Where the gap between stripes comes from in one epoch; loss units.

    Attributes:
      gap: [...], largest minus smallest stripe level of the epoch's printed losses, free of its trend.
      composition: [...], what those two levels differ by when every batch is evaluated at the same parameters.
      steps: [...], the rest: what the steps before a batch's turn did to it, beyond the trend. The two add up to the gap.
    """

    gap: Float[np.ndarray, "*runs"]
    composition: Float[np.ndarray, "*runs"]
    steps: Float[np.ndarray, "*runs"]

    __repr__ = short_repr


def gap_sources(seen: Influence | OwnSteps, eval_interval: int) -> GapSources:
    """How much of the gap between stripes is in the batches themselves, and how much the steps make.

    Args:
      seen: of one batch count m.
      eval_interval: w, batches per printed value; it divides m.

    Returns:
      Arrays [..., C]. With w = m there is one stripe and nothing to tell apart: 0.

    Raises:
      InputError: when w does not divide m.
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
    """Which step made which batch's loss fall, in chosen epochs of the run that `simulate` makes of the same arguments.

    Works under `vmap`, over keys and over rates as `simulate` does, and over batch counts by itself: several of them share
    one program, and the result has them as a leading axis. A measured epoch costs m passes over the data. Losses that mix
    the samples of a batch (batch normalization) would be measured wrongly, and cannot be told from the outside.

    Accuracy: a change is the mean of its samples' changes, so that only their rounding remains, about 1e-7 of a
    sample's loss in float32. Where steps change the loss by less, measure in float64.

    Args:
      problem, key, optimizer, batch_size, drop_last, order, precision: as `simulate`.
      at: the epochs to measure, 0-based.
      epochs: E of the whole training, of which an optimizer's schedule is a function; by default up to the last measured.
      batch_count: m, or several.
      one_gradient: keep one batch's gradient in memory at a time, not m of them; slower by two more passes a step.
      memory_limit: bytes that one run may take; see the error.

    Raises:
      InputError: for what `simulate` refuses, epochs that are not there, and matrices that need more than `memory_limit`,
        with the estimate and what would fit.
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
    run = _runs if given.runs else _run
    return run(
        given.params, given.data, given.order_key, given.cuts, given.at, training=given.training, one_gradient=one_gradient
    )


def influence_at(
    params: Params,
    data: Batch,
    order_key: Array,
    cuts: Cuts,
    at: Int[Array, " C"],
    *,
    training: Training,
    one_gradient: bool,
) -> Influence:
    """`influence` of one run with everything settled and checked: what is mapped over."""

    def measure(epoch: Epoch) -> Influence:
        return epoch_influence(training, data, epoch, one_gradient)

    return at_epochs(training, params, data, order_key, cuts, at, measure)


def _influence_of_several(params, data, order_key, cuts, at, **how) -> Influence:
    # One after another, so that a small batch count takes no more steps than it has.
    return jax.lax.map(lambda cuts: influence_at(params, data, order_key, cuts, at, **how), cuts)


_run = jax.jit(influence_at, static_argnames=("training", "one_gradient"))
_runs = jax.jit(_influence_of_several, static_argnames=("training", "one_gradient"))


def epoch_influence(training: Training, data: Batch, epoch: Epoch, one_gradient: bool) -> Influence:
    """The influence in one epoch, [m, ...]; see `Influence`."""
    problem, visits, state = training.problem, epoch.visits, epoch.state
    share = batch_shares(visits, training.layout.num_samples)

    def losses(params: Params) -> Array:
        return sample_losses(problem, params, data)

    def gradient(sample: Array, size: Array) -> Params:
        batch = jax.tree.map(lambda leaf: leaf[sample], data)
        return jax.grad(lambda params: batch_loss(problem, params, batch, size))(state.params)

    def exact(carry: tuple[State, Array], place: tuple) -> tuple[tuple[State, Array], Array]:
        sample, size, ends, done = place

        def taken() -> tuple[State, Array]:
            batch = jax.tree.map(lambda leaf: leaf[sample], data)
            after, _ = step(problem, optimizer_at(training.optimizer, done), carry[0], batch, size)
            return after, losses(after.params)

        state, after = jax.lax.cond(ends, taken, lambda: carry)
        # The difference before the mean: the mean of two nearly equal losses would round it away.
        return (state, after), share @ (after - carry[1])

    def frozen(carry: tuple[Params, Any], place: tuple) -> tuple[tuple[Params, Any], None]:
        sample, size, ends, done = place

        def taken() -> tuple[Params, Any]:
            grad = gradient(sample, size)
            updates, opt_state = optimizer_at(training.optimizer, done).update(grad, carry[1], state.params)
            return jax.tree.map(jnp.add, carry[0], updates), opt_state

        return jax.lax.cond(ends, taken, lambda: carry), None

    places = (visits.sample, visits.size, visits.ends, epoch.progress)
    before = losses(state.params)
    (last, _), changes = jax.lax.scan(exact, (state, before), places)
    (frozen_params, _), _ = jax.lax.scan(frozen, (state.params, state.opt_state), places)
    gram = _gram_one_by_one if one_gradient else _gram_at_once
    both = visits.ends[:, None] & visits.ends[None, :]
    return Influence(
        epoch=epoch.number,
        loss=jnp.where(visits.ends, share @ before, jnp.nan),
        effect=jnp.where(both, changes.T, jnp.nan),
        gram=jnp.where(both, gram(gradient, lambda params: share @ losses(params), state.params, visits), jnp.nan),
        frozen_loss=jnp.where(visits.ends, share @ losses(frozen_params), jnp.nan),
        frozen_distance=tree_distance(frozen_params, last.params),
        distance=tree_distance(state.params, last.params),
    )


Gradient = Callable[[Array, Array], Params]
"""`(sample [B], size) -> gradient` of a batch's mean loss."""


def _gram_at_once(gradient: Gradient, batch_losses: Callable, params: Params, visits: MicroVisits) -> Float[Array, "M M"]:
    """Inner products of all batches' gradients, M of them in memory."""
    del batch_losses
    empty = jax.tree.map(jnp.zeros_like, params)

    def one(place: tuple[Array, Array, Array]) -> Array:
        sample, size, ends = place
        return ravel_pytree(jax.lax.cond(ends, lambda: gradient(sample, size), lambda: empty))[0]

    gradients = jax.lax.map(one, (visits.sample, visits.size, visits.ends))
    return gradients @ gradients.T


def _gram_one_by_one(gradient: Gradient, batch_losses: Callable, params: Params, visits: MicroVisits) -> Float[Array, "M M"]:
    """The same with one gradient in memory: the derivatives of all batches' losses in its direction, by forward mode."""

    def one(place: tuple[Array, Array, Array]) -> Array:
        sample, size, ends = place

        def products() -> Array:
            return jax.jvp(batch_losses, (params,), (gradient(sample, size),))[1]

        return jax.lax.cond(ends, products, lambda: jnp.zeros_like(batch_losses(params)))

    return jax.lax.map(one, (visits.sample, visits.size, visits.ends))


def batch_shares(visits: MicroVisits, num_samples: int) -> Float[Array, "M N"]:
    """How much each sample counts in each batch's mean, [M, N]: 1 / B for its own samples, as often as it holds them."""
    own = jnp.ones(visits.sample.shape, bool) if visits.own is None else visits.own
    row = jnp.arange(visits.sample.shape[0])[:, None]
    count = jnp.zeros((visits.sample.shape[0], num_samples)).at[row, visits.sample].add(own)
    return count / visits.size[:, None]


def tree_distance(one: Params, other: Params) -> Float[Array, ""]:
    """Euclidean distance between two sets of parameters."""
    return optax.tree.norm(jax.tree.map(jnp.subtract, one, other))


def _check_memory(given: Prepared, one_gradient: bool, limit: int) -> None:
    """Check that the matrices and gradients of a run fit.

    Raises:
      InputError: with an estimate, and what would fit.
    """
    whole, leaves = given.training.whole, jax.tree.leaves(given.params)
    item = max(jnp.result_type(leaf).itemsize for leaf in leaves)
    size = sum(leaf.size for leaf in leaves)

    def needed(m: int, epochs: int, one_gradient: bool) -> int:
        # Effects and inner products, kept and in hand; each sample's share in each batch; gradients.
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
        f"memory_limit={_gib(limit)}: {', '.join(choices) or 'a smaller problem'} or a higher limit would do"
    )


def _gib(count: int) -> str:
    return f"{count / 2**30:,.3g} GiB"
