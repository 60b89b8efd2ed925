"""Run queue: the runs of a chunk that end at a target, with a lane that takes the next run as soon as its own has ended.

All lanes begin an epoch together. A lane whose run ends within an epoch waits for the others until the end of that epoch, and
no longer; an epoch ends early if the runs of all lanes have ended.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxsgd.measure.observable import direction
from jaxsgd.problem import Params
from jaxsgd.simulator import State, Stepping, judged_params

Cell = Any
"""The inputs of one run: any pytree of arrays."""


class Queued(NamedTuple):
    """The runs of a queue: R runs, E epochs, K steps of the loop in an epoch.

    Attributes:
      loss: [R, E, M], the loss of each batch; NaN for a batch that was not done.
      size: [R, E, M], samples of each batch; 0 for a batch that was not done.
      finite: [R], True if the parameters after the last step are finite.
      observed: by name, [R, E] after each epoch, or [R, E, K] after each step; NaN where it was not measured.
      stopped: [R], the number of steps after which the run reached its target; -1 for a run that did not.
    """

    loss: Float[Array, "R E M"]
    size: Int[Array, "R E M"]
    finite: Bool[Array, " R"]
    observed: dict[str, Array]
    stopped: Int[Array, " R"]


class Queue(NamedTuple):
    """The sizes of a queue of runs, and what they stop at.

    Attributes:
      metric: name of the metric that has the target: an observable.
      lanes: L, the number of runs side by side.
      length: K, steps of the loop in an epoch.
      epochs: E.
      steps: steps of the loop in a whole run; the last epoch may be incomplete.
    """

    metric: str
    lanes: int
    length: int
    epochs: int
    steps: int


class RunParts(NamedTuple):
    """The parts of a run as functions of its inputs.

    Attributes:
      start: `Cell -> State`, before the first step.
      stepping: `Cell -> Stepping`, its steps.
      observe: `(Cell, Params) -> by name, []`, its observables.
      target: `Cell -> []`, the target of the run.
    """

    start: Callable[[Cell], State]
    stepping: Callable[[Cell], Stepping]
    observe: Callable[[Cell, Params], dict[str, Array]]
    target: Callable[[Cell], Array]


class _Epoch(NamedTuple):
    """An epoch of L lanes, as far as each lane trained in it.

    Attributes:
      state: after it.
      losses: [L, K], of the steps of the loop; past `done` they mean nothing.
      inputs: [L, K, ...], of the steps.
      observed: by name, [L] after the epoch, or [L, K] after its steps; NaN where it was not measured.
      done: [L], number of the steps that were done.
    """

    state: State
    losses: Float[Array, "L K"]
    inputs: Any
    observed: dict[str, Array]
    done: Int[Array, " L"]


def run_queue(
    parts: RunParts,
    cells: Cell,
    queue: Queue,
    marks: Bool[np.ndarray, "E K"] | None,
    at_start: dict[str, Array] | None = None,
) -> Queued:
    """Train all runs, each until it reaches its target or its last step.

    A run has reached its target at the first record at which the metric is finite, and at or past the target.

    Args:
      parts: of a run.
      cells: inputs of the R runs, with leading axis R.
      queue: the sizes of the queue.
      marks: True for the steps of the loop after which the observables are measured; None for after each epoch.
      at_start: by name, [R], the observables before the first step, if they are measured then.
    """
    width = jax.tree.leaves(cells)[0].shape[0]
    of_lanes, epochs, lanes = _Lanes(parts, queue, marks), queue.epochs, queue.lanes
    begins_reached = jnp.zeros(width, bool)
    if at_start is not None:
        begins_reached = of_lanes.reached(at_start, jax.vmap(parts.target)(cells))

    def one_epoch(loop: tuple) -> tuple:
        cell, epoch, waiting, state, result = loop
        own = _at(cells, jnp.minimum(cell, width - 1))
        at_once = begins_reached[jnp.minimum(cell, width - 1)]
        going = (cell < width) & ~at_once
        done = of_lanes.train_epoch(own, epoch, state, going)
        loss, size, steps_done, batch_count = of_lanes.summed(own, done)
        has_stopped = of_lanes.has_stopped(own, done, going, at_once)
        finished = has_stopped | (epoch + 1 == epochs) | (cell == width)

        def put(target: Array, value: Array) -> Array:
            return target.at[cell, epoch].set(value, mode="drop")

        stopped_step = jnp.where(has_stopped, epoch * batch_count + steps_done, -1)
        result = Queued(
            loss=put(result.loss, loss),
            size=put(result.size, size),
            finite=result.finite.at[cell].set(has_stopped | of_lanes.all_finite(done.state), mode="drop"),
            observed={name: put(result.observed[name], value) for name, value in done.observed.items()},
            stopped=result.stopped.at[cell].set(stopped_step, mode="drop"),
        )
        next_cell = jnp.minimum(waiting + jnp.cumsum(finished) - 1, width).astype(jnp.int32)
        cell = jnp.where(finished, next_cell, cell)
        begun = of_lanes.side_by_side(parts.start)(_at(cells, jnp.minimum(cell, width - 1)))
        waiting = jnp.minimum(waiting + finished.sum(), width).astype(jnp.int32)
        return cell, jnp.where(finished, 0, epoch + 1), waiting, _where(finished, begun, done.state), result

    cell = jnp.arange(lanes, dtype=jnp.int32)
    first_cells = _at(cells, cell)
    state = of_lanes.side_by_side(parts.start)(first_cells)
    epoch = jnp.zeros(lanes, jnp.int32)
    shapes = jax.eval_shape(lambda: of_lanes.train_epoch(first_cells, epoch, state, cell < width))
    slots = jax.eval_shape(of_lanes.batch_losses, first_cells, shapes.losses, shapes.inputs)
    result = Queued(
        loss=jnp.full((width, epochs, slots.shape[1]), jnp.nan, slots.dtype),
        size=jnp.zeros((width, epochs, slots.shape[1]), jnp.int32),
        finite=jnp.ones(width, bool),
        observed={name: jnp.full((width, epochs, *s.shape[1:]), jnp.nan, s.dtype) for name, s in shapes.observed.items()},
        stopped=jnp.full(width, -1, jnp.int32),
    )
    loop = (cell, epoch, jnp.asarray(lanes, jnp.int32), state, result)
    return jax.lax.while_loop(lambda loop: (loop[0] < width).any(), one_epoch, loop)[-1]


class _Lanes(NamedTuple):
    """The runs that are trained side by side, each with its own inputs, epoch and state: [L, ...].

    Attributes:
      parts, queue, marks: as `run_queue` has them.
    """

    parts: RunParts
    queue: Queue
    marks: Bool[np.ndarray, "E K"] | None

    def side_by_side(self, function: Callable) -> Callable:
        """Return a function mapped over the lanes; a single lane is not mapped, so that its bits are those of a run alone."""

        def mapped(*lane_args: Any) -> Any:
            result = function(*(_at(arg, 0) for arg in lane_args))
            return jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], result)

        return jax.vmap(function) if self.queue.lanes > 1 else mapped

    def reached(self, observed: dict[str, Array], target: Array) -> Bool[Array, " L"]:
        """Return True for the lanes whose metric is at or past its target."""
        sign, value = direction(self.queue.metric), observed[self.queue.metric]
        return jnp.isfinite(value) & (sign * value <= sign * target)

    def target(self, own: Cell) -> Array:
        """Return the target of each lane."""
        return self.side_by_side(self.parts.target)(own)

    def observe(self, own: Cell, state: State) -> dict[str, Array]:
        """Return the observables of each lane, by name."""
        return self.side_by_side(lambda cell, state: self.parts.observe(cell, judged_params(state)))(own, state)

    def step(self, own: Cell, carry: Any, inputs: Any, j: Any) -> tuple[Any, Array]:
        """Return what the lanes carry after a step of an epoch, and its loss."""
        of_step = jax.tree.map(lambda leaf: leaf[:, j], inputs)
        return self.side_by_side(lambda cell, *args: self.parts.stepping(cell).step(*args))(own, carry, of_step)

    def state(self, own: Cell, carry: Any) -> State:
        """Return the state of each lane from what it carries."""
        return self.side_by_side(lambda cell, carry: self.parts.stepping(cell).state(carry))(own, carry)

    def train_epoch(self, own: Cell, epoch: Array, state: State, going: Array) -> _Epoch:
        """Train each lane for its epoch, or until it reaches its target; lanes that are not going do nothing."""
        (_, lanes, length, epochs, steps), parts, marks = self.queue, self.parts, self.marks
        inputs = self.side_by_side(lambda cell, i, state: parts.stepping(cell).inputs(i, state))(own, epoch, state)
        carry = self.side_by_side(lambda cell, state: parts.stepping(cell).begin(state))(own, state)
        own_steps, has_rest = jnp.minimum(length, steps - epoch * length), steps != epochs * length
        target = self.target(own)
        step_loss, shapes = jax.eval_shape(lambda: (self.step(own, carry, inputs, 0)[1], self.observe(own, state)))
        losses = jnp.full((lanes, length), jnp.nan, step_loss.dtype)
        seen = {} if marks is None else {name: jnp.full((lanes, length), jnp.nan, s.dtype) for name, s in shapes.items()}

        def goes_on(loop: tuple) -> Array:
            return (loop[0] < length) & loop[1].any()

        def one_step(loop: tuple) -> tuple:
            j, going, done, carry, losses, seen = loop
            stepped, loss = self.step(own, carry, inputs, j)
            # A lane that has reached its target goes on unseen to the end of the epoch: a choice here would be fused with the
            # step, and could change its last bit. Only a run whose last epoch is incomplete needs its state at that step.
            carry = _where(going, stepped, carry) if has_rest else stepped
            losses = losses.at[:, j].set(loss)
            done = jnp.where(going, j + 1, done)
            if marks is not None:
                marked = jnp.asarray(marks)[epoch, j] & going
                # A branch, which costs nothing where no lane is measured. All lanes are measured together. That is more than is
                # needed only if their epochs have different marks: if neither the interval nor the epoch divides the other.
                values = jax.lax.cond(
                    marked.any(),
                    lambda: self.observe(own, self.state(own, carry)),
                    lambda: jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes),
                )
                seen = {name: seen[name].at[:, j].set(jnp.where(marked, values[name], jnp.nan)) for name in seen}
                going = going & ~(marked & self.reached(values, target))
            return j + 1, going & (j + 1 < own_steps), done, carry, losses, seen

        first = (jnp.zeros((), jnp.int32), going, jnp.zeros(lanes, jnp.int32), carry, losses, seen)
        _, _, done, carry, losses, seen = jax.lax.while_loop(goes_on, one_step, first)
        state = self.state(own, carry)
        return _Epoch(state, losses, inputs, seen if marks is not None else self.observe(own, state), done)

    def has_stopped(self, own: Cell, epoch: _Epoch, going: Array, at_once: Array) -> Bool[Array, " L"]:
        """Return True for the lanes that reached their target in an epoch, or before their first step (`at_once`)."""
        target = self.target(own)
        if self.marks is None:
            return going & self.reached(epoch.observed, target)
        last = jnp.maximum(epoch.done - 1, 0)[:, None]
        metric = self.queue.metric
        observed = {metric: jnp.take_along_axis(epoch.observed[metric], last, axis=1)[:, 0]}
        return at_once | (going & self.reached(observed, target))

    def summed(self, own: Cell, epoch: _Epoch) -> tuple[Array, Array, Array, Array]:
        """Return of each lane the losses and the sizes of the batches of an epoch, its steps, and the batch count."""

        def of_lane(cell: Cell, losses: Array, inputs: Any, done: Array) -> tuple[Array, Array, Array, Array]:
            run = self.parts.stepping(cell)
            loss, size = run.losses(losses, inputs, done)
            return loss, size, run.steps_done(done), jnp.asarray(run.batch_count)

        return self.side_by_side(of_lane)(own, epoch.losses, epoch.inputs, epoch.done)

    def all_finite(self, state: State) -> Bool[Array, " L"]:
        """Return True for the lanes of which all parameters are finite."""
        return self.side_by_side(all_finite)(state.params)

    def batch_losses(self, own: Cell, losses: Array, inputs: Any) -> Array:
        """Return of each lane the losses of the batches of a whole epoch."""
        of_lane = self.side_by_side(lambda cell, losses, inputs: self.parts.stepping(cell).losses(losses, inputs, None)[0])
        return of_lane(own, losses, inputs)


def all_finite(params: Params) -> Bool[Array, ""]:
    """Return True if all parameters are finite."""
    return jnp.all(jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(params)]))


def _at(tree: Any, index: Any) -> Any:
    return jax.tree.map(lambda leaf: leaf[index], tree)


def _where(mask: Array, new: Any, old: Any) -> Any:
    """Return `new` for the lanes of a mask, [L], and `old` for the others."""

    def choose(new: Array, old: Array) -> Array:
        return jnp.where(mask.reshape(-1, *[1] * (new.ndim - 1)), new, old)

    return jax.tree.map(choose, new, old)
