"""Runs that each end at a target: the steps at which they are measured, and what is kept of them."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxsgd.engine.run_queue import Cell, Queue, Queued, RunParts, run_queue
from jaxsgd.evaluation import evaluation_steps
from jaxsgd.simulator import epoch_mean, judged_params
from jaxsgd.train import marked


def train_to_target(
    parts: RunParts,
    cells: Cell,
    queue: Queue,
    *,
    evaluate_every: int | float | None,
    in_micro_steps: bool,
    looks_at_gradients: bool,
) -> tuple[Queued, Float[Array, "R E"]]:
    """Train all runs of a chunk, each until it reaches its target.

    Args:
      parts: of a run.
      cells: inputs of the R runs, with leading axis R.
      queue: the sizes of the queue.
      evaluate_every: interval of the measurements; None for after each epoch.
      in_micro_steps: True if the steps of the loop are micro-steps.
      looks_at_gradients: True for an order that does.

    Returns:
      The runs, with their observables at V measurements, [R, V], or [R, E] if they are measured after each epoch; and the mean
      over the samples of each epoch that were trained on.
    """
    _, lanes, length, epochs, steps = queue
    side_by_side = lanes if lanes > 1 else None
    done, marks, at_start = None, None, None
    if evaluate_every is not None:
        # Micro-steps of an epoch are evaluated alike in every epoch.
        done = evaluation_steps(evaluate_every, length, length if in_micro_steps else steps)
        marks = marked(done, length if in_micro_steps else epochs * length)
        marks = np.broadcast_to(marks.reshape(-1, length), (epochs, length))
        if done[0] == 0:
            at_start = jax.lax.map(
                lambda cell: parts.observe(cell, judged_params(parts.start(cell))), cells, batch_size=side_by_side
            )
    queued = run_queue(parts, cells, queue, marks, at_start)

    def epoch_means(inputs: tuple[Cell, Array, Array]) -> Array:
        # Whole epochs with the sizes as a run without a target has them, so that the sums have the same bits.
        cell, loss, size = inputs
        if looks_at_gradients:
            # The sizes of an epoch that was cut short follow from a state that is gone.
            return epoch_mean(loss, size)
        run, begun = parts.stepping(cell), parts.start(cell)
        losses = jnp.zeros(length, loss.dtype)

        def sizes_of(i: Array) -> Array:
            return run.losses(losses, run.inputs(i, begun), jnp.minimum(length, steps - i * length))[1]

        sizes = jax.lax.map(sizes_of, jnp.arange(epochs))
        return jnp.where((size == sizes).all(axis=-1), epoch_mean(loss, sizes), epoch_mean(loss, size))

    loss_epoch = jax.lax.map(epoch_means, (cells, queued.loss, queued.size), batch_size=side_by_side)
    if done is not None:
        queued = queued._replace(observed=_measured(queued.observed, done, at_start, in_micro_steps))
    return queued, loss_epoch


def _measured(
    observed: dict[str, Array], done: np.ndarray, at_start: dict[str, Array] | None, in_micro_steps: bool
) -> dict[str, Array]:
    """Return the observables at their measurements, [R, V], from those after each step of the loop, [R, E, K].

    Args:
      observed: by name.
      done: [V], the steps of the loop before each measurement: of an epoch if they are micro-steps, else of the run.
      at_start: [R] each, the observables before the first step, if they are measured then.
      in_micro_steps: True if the steps of the loop are micro-steps.
    """
    if in_micro_steps:
        return {name: values[:, :, done - 1].reshape(len(values), -1) for name, values in observed.items()}
    observed = {name: values.reshape(len(values), -1)[:, np.maximum(done - 1, 0)] for name, values in observed.items()}
    if at_start is None:
        return observed
    return {name: jnp.where(done == 0, at_start[name][:, None], values) for name, values in observed.items()}
