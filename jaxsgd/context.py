"""The context of an observable: what it may use besides the parameters that it measures."""

import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxsgd.error import InputError
from jaxsgd.order import Visits
from jaxsgd.problem import Batch, Params, Problem, take_samples
from jaxsgd.simulator import Batches, training_loss
from jaxsgd.summary import short_repr


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


class Ahead(NamedTuple):
    """The step that comes next, in a measurement before it.

    Attributes:
      batch: the samples of its batch, arrays with leading axis B.
      batch_size: [], the number of samples in the batch: the first of `batch`; the others repeat one of them.
      gradient: the gradient of the batch's mean loss, shaped like the parameters.
    """

    batch: Batch
    batch_size: Int[Array, ""]
    gradient: Params


class Context(NamedTuple):
    """The inputs of an observable besides the parameters that it measures; None for those that a run does not have.

    `batch`, `batch_size` and `gradient` are those of the step that comes next. Reading them in a measurement that is not before
    a step raises `InputError`: some functions take None for no parameters, whose norm is 0.

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
      step: in a measurement before a step, that step.
    """

    problem: Problem
    data: Batch
    held_out: Batch | None
    batches: Batches | None
    update: Params | None
    key: Array | None
    optimum: Params | None
    least: Float[Array, ""] | None
    step: Ahead | None = None

    __repr__ = short_repr

    @property
    def is_before_step(self) -> bool:
        """True in a measurement before a step."""
        return self.step is not None

    @property
    def batch(self) -> Batch:
        """In a measurement before a step, the samples of the step's batch, arrays with leading axis B."""
        return self._ahead("batch").batch

    @property
    def batch_size(self) -> Int[Array, ""]:
        """In a measurement before a step, [], the number of samples in the batch: the first of `batch`; others repeat one."""
        return self._ahead("batch_size").batch_size

    @property
    def gradient(self) -> Params:
        """In a measurement before a step, the gradient of the batch's mean loss, shaped like the parameters."""
        return self._ahead("gradient").gradient

    def _ahead(self, name: str) -> Ahead:
        if self.step is None:
            raise InputError(
                f"context.{name} is only known before a step: give the observable in observe_batches=[...] with "
                "observe_every=1, and not in observe"
            )
        return self.step


Observe = Callable[[Params, Context], Any]
"""`(params, context) -> any pytree of arrays`, measured after each epoch, or more often, besides a run's losses."""


ContextAt = Callable[..., Context]
"""`(epoch, batches, params before a step, params after it, visit=None) -> Context`; with the visit of the step that comes next,
a context of a measurement before that step."""


def contexts(problem: Problem, data: Batch, order_key: Array, known: Known) -> ContextAt:
    """Return the function that makes the contexts of a run."""
    key = jax.random.fold_in(order_key, zlib.crc32(b"observe"))

    def at(
        epoch: Int[Array, ""] | int, batches: Batches, before: Params, after: Params, visit: Visits | None = None
    ) -> Context:
        update = jax.tree.map(jnp.subtract, after, before)
        own_key = jax.random.fold_in(key, epoch)
        context = Context(problem, data, known.held_out, batches, update, own_key, known.optimum, known.least)
        if visit is None:
            return context
        batch = take_samples(data, visit.sample)
        gradient = jax.grad(lambda params: training_loss(problem, params, batch, visit.size, visit.noise))(after)
        return context._replace(step=Ahead(batch, visit.size, gradient))

    return at
