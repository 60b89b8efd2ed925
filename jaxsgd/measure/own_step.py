"""The effects of a batch's own step and of the other steps on its loss: influence without the full matrix."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float
from numpy.typing import ArrayLike

from jaxsgd.measure.checkpoint import Epoch, at_epochs, prepare
from jaxsgd.order import Order, Visits
from jaxsgd.problem import Batch, Problem
from jaxsgd.simulator import Keys, Optimizer, State, batch_loss, batch_mean, optimizer_at, step


class OwnSteps(NamedTuple):
    """The effect of C measured epochs on the loss of each batch, in loss units.

    Batches are numbered by the position at which the epoch visits them. Every change is the mean of its samples' changes, so
    only their rounding remains.

    Attributes:
      loss: [C, m], every batch's loss at the parameters before the epoch's first step.
      earlier_change: [C, m], the change of each batch's loss by the epoch's steps before its own.
      own_change: [C, m], by its own step.
      change: [C, m], by all steps of the epoch.
      gram: [C, m, m], inner products of the batches' gradients before the epoch's first step; None if not measured.
    """

    loss: Float[Array, "*runs m"]
    earlier_change: Float[Array, "*runs m"]
    own_change: Float[Array, "*runs m"]
    change: Float[Array, "*runs m"]
    gram: Float[Array, "*runs m m"] | None = None

    @property
    def cosine(self) -> Float[np.ndarray, "*runs m m"]:
        """Cosines between the batches' gradients; NaN for a gradient of 0."""
        assert self.gram is not None
        return cosines(self.gram)

    @property
    def printed_loss(self) -> Float[np.ndarray, "*runs m"]:
        """[C, m], each batch's loss just before its own step, as a trainer sees it."""
        return np.asarray(self.loss, np.float64) + np.asarray(self.earlier_change, np.float64)


def unmeasured(like: Float[Array, "*C m"]) -> OwnSteps:
    """Return unmeasured steps of C epochs: NaN of the type of `like`, with m batches."""
    missing = jnp.full_like(like, jnp.nan)
    return OwnSteps(missing, missing, missing, missing, jnp.full((*like.shape, like.shape[-1]), jnp.nan, like.dtype))


def epoch_own_steps(
    problem: Problem,
    optimizer: Optimizer,
    state: State,
    data: Batch,
    visits: Visits,
    *,
    progress: Float[Array, " m"] | None = None,
    ends: Bool[Array, " m"] | None = None,
    gram: bool = True,
) -> tuple[State, Float[Array, " m"], OwnSteps]:
    """Train for an epoch, and measure its steps. It costs the epoch's training and four more passes over the data.

    Args:
      problem: the problem to train.
      optimizer: any optax transformation, or a function of progress that returns one.
      state: before the epoch's first step.
      data: arrays with leading axis N.
      visits: the epoch's batches, [m].
      progress: the share of the training that is done before each step, for an optimizer that is a function of it.
      ends: [m], True for positions that have a batch; None if all have a batch. The other positions are NaN.
      gram: True to measure the inner products of the batches' gradients too.

    Returns:
      The state after the epoch, the loss of each batch before its step [m], and the epoch's `OwnSteps` without the axis C.
    """
    first, data = state.params, jax.tree.map(jnp.asarray, data)
    done_shares = jnp.zeros(visits.size.shape) if progress is None else progress

    def taken(visit: Visits) -> Batch:
        return jax.tree.map(lambda leaf: leaf[visit.sample], data)

    def measured_step(state: State, at: tuple[Visits, Array, Array | None]) -> tuple[State, tuple]:
        visit, done, has_batch = at
        batch = taken(visit)
        after, loss = step(problem, optimizer_at(optimizer, done), state, batch, visit.size)
        start, before = problem.loss(first, batch), problem.loss(state.params, batch)
        changes = start, before - start, problem.loss(after.params, batch) - before
        gradient = ()
        if gram:
            gradient = ravel_pytree(jax.grad(lambda params: batch_loss(problem, params, batch, visit.size))(first))[0]
        if has_batch is not None:
            after = jax.tree.map(lambda new, old: jnp.where(has_batch, new, old), after, state)
        return after, (loss, start, [batch_mean(values, visit.size) for values in changes], gradient)

    last, (losses, start, changes, gradients) = jax.lax.scan(measured_step, state, (visits, done_shares, ends))

    def whole_change(at: tuple[Visits, Array]) -> Array:
        visit, start = at
        return batch_mean(problem.loss(last.params, taken(visit)) - start, visit.size)

    measured = [*changes, jax.lax.map(whole_change, (visits, start))]
    if ends is not None:
        measured = [jnp.where(ends, values, jnp.nan) for values in measured]
    return last, losses, OwnSteps(*measured, gram=gradients @ gradients.T if gram else None)


def own_steps(
    problem: Problem,
    key: Array | Keys,
    *,
    optimizer: Optimizer,
    at: Sequence[int] | int,
    batch_count: Sequence[int],
    order: str | Order = "fixed",
    precision: str = "float32",
) -> OwnSteps:
    """Return the effect of chosen epochs on the loss of each batch, without inner products of gradients.

    It gives the diagonal and the sums of `influence`, with two more passes over the data in a measured epoch instead of m.

    Args:
      problem, key, optimizer, at, order, precision: as `influence`.
      batch_count: S batch counts, which share one program.

    Returns:
      Arrays [S, C, M] with M the largest batch count; NaN past a run's own count.

    Raises:
      InputError: as `simulate`, and for epochs outside the training.
    """
    given = prepare(
        problem,
        key,
        optimizer=optimizer,
        at=at,
        epochs=None,
        batch_count=batch_count,
        batch_size=None,
        drop_last=False,
        order=order,
        precision=precision,
    )
    training, data = given.training, jax.tree.map(jnp.asarray, given.data)

    def measure(epoch: Epoch) -> OwnSteps:
        visits = Visits(epoch.visits.sample, epoch.visits.size)
        how = {"progress": epoch.progress, "ends": epoch.visits.ends, "gram": False}
        return epoch_own_steps(training.problem, training.optimizer, epoch.state, data, visits, **how)[2]

    def of_count(cuts: Any) -> OwnSteps:
        return at_epochs(training, given.params, data, given.order_key, cuts, jnp.asarray(given.at), measure)

    return jax.lax.map(of_count, given.cuts)


def cosines(gram: ArrayLike) -> Float[np.ndarray, "*runs m m"]:
    """Return the cosines from inner products [..., m, m]; NaN for a vector of 0."""
    gram = np.asarray(gram, np.float64)
    length = np.sqrt(np.diagonal(gram, axis1=-2, axis2=-1))
    with np.errstate(invalid="ignore", divide="ignore"):
        return gram / (length[..., :, None] * length[..., None, :])
