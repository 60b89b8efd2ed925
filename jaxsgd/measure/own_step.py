"""The effects of a batch's own step and of the other steps on its loss: influence without the full matrix."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float
from numpy.typing import ArrayLike

from jaxsgd.measure.checkpoint import Epoch, TrainingSpec, measured, prepare
from jaxsgd.microstep import MicroVisits
from jaxsgd.order import Order
from jaxsgd.problem import Batch, Problem, take_samples
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


def own_steps(
    problem: Problem,
    key: Array | Keys,
    *,
    optimizer: Optimizer,
    at: Sequence[int] | int,
    epochs: int | None = None,
    batch_count: int | Sequence[int],
    order: str | Order = "fixed",
    precision: str = "float32",
    gram: bool = False,
) -> OwnSteps:
    """Return the effect of chosen epochs on the loss of each batch, without the effect of each single step.

    It gives the diagonal and the sums of `influence`, with two more passes over the data in a measured epoch instead of m.

    Args:
      problem, key, optimizer, at, epochs, order, precision: as `influence`.
      batch_count: m, or S batch counts, which share one program.
      gram: True to measure the inner products of the batches' gradients too, with two more passes.

    Returns:
      Arrays [C, m] for a single batch count. For several [S, C, M] with M the largest batch count; NaN past a run's own count.

    Raises:
      InputError: as `simulate`, and for epochs outside the training.
    """
    given = prepare(
        problem,
        key,
        optimizer=optimizer,
        at=at,
        epochs=epochs,
        batch_count=batch_count,
        order=order,
        precision=precision,
    )
    return measured(given, _epoch_own_steps, gram)


def _epoch_own_steps(problem: Problem, training: TrainingSpec, data: Batch, epoch: Epoch, gram: bool) -> OwnSteps:
    """Return the own steps of one epoch, [m, ...]; see `OwnSteps`."""
    visits, first = epoch.visits, epoch.state.params

    def measured_step(state: State, at: tuple[MicroVisits, Array]) -> tuple[State, tuple]:
        visit, done = at
        batch, size = take_samples(data, visit.sample), visit.size
        after, _ = step(problem, optimizer_at(training.optimizer, done), state, batch, size, visit.noise)
        start, before = problem.losses(first, batch), problem.losses(state.params, batch)
        changes = start, before - start, problem.losses(after.params, batch) - before
        gradient = ()
        if gram:
            gradient = ravel_pytree(jax.grad(lambda params: batch_loss(problem, params, batch, size))(first))[0]
        after = jax.tree.map(lambda new, old: jnp.where(visit.ends, new, old), after, state)
        return after, (start, [batch_mean(values, size) for values in changes], gradient)

    last, (start, changes, gradients) = jax.lax.scan(measured_step, epoch.state, (visits, epoch.progress))

    def whole_change(at: tuple[Array, Array, Array]) -> Array:
        sample, size, start = at
        return batch_mean(problem.losses(last.params, take_samples(data, sample)) - start, size)

    changes.append(jax.lax.map(whole_change, (visits.sample, visits.size, start)))
    by_batch = [jnp.where(visits.ends, values, jnp.nan) for values in changes]
    both = visits.ends[:, None] & visits.ends[None, :]
    return OwnSteps(*by_batch, gram=jnp.where(both, gradients @ gradients.T, jnp.nan) if gram else None)


def cosines(gram: ArrayLike) -> Float[np.ndarray, "*runs m m"]:
    """Return the cosines from inner products [..., m, m]; NaN for a vector of 0."""
    gram = np.asarray(gram, np.float64)
    length = np.sqrt(np.diagonal(gram, axis1=-2, axis2=-1))
    with np.errstate(invalid="ignore", divide="ignore"):
        return gram / (length[..., :, None] * length[..., None, :])
