"""The training of a run: a scan over its epochs, with what is recorded besides its losses.

`run` trains from a given state and data; `train` does the same for any loop over steps, also over the micro-steps of batches.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from jaxsgd.context import NOTHING_KNOWN, Context, ContextAt, Known, Observe, contexts
from jaxsgd.evaluation import evaluation_steps, observed_epochs
from jaxsgd.problem import Batch, Params, Problem
from jaxsgd.simulator import Run, State, Stepping, judged_params, stepping


class Sparse(NamedTuple):
    """Observables that are measured after some epochs only; hashable, so that it can be a static argument.

    Attributes:
      observe: the observables that are measured after these epochs; None without any.
      every: measure after each so many epochs, and after the last.
      before_steps: the observables that are measured before each step of these epochs; None without any.
    """

    observe: Observe | None
    every: int
    before_steps: Observe | None = None


class Recording(NamedTuple):
    """Static choice of what a run records besides its losses; hashable.

    Attributes:
      observe: observables that are measured after each epoch, or as often as `evaluate_every` says.
      evaluate_every: a value that `jaxsgd.evaluation.check_every` returned; None for after each epoch.
      sparse: observables that are measured after some epochs only. With `observe` too, both return dictionaries.
      keep: the numbers of whole epochs after which the state is kept, ascending, 0 for the start.
    """

    observe: Observe | None = None
    evaluate_every: int | float | None = None
    sparse: Sparse | None = None
    keep: tuple[int, ...] = ()


LOSSES_ONLY = Recording()
"""Of a run that records nothing but its losses."""


class Span(NamedTuple):
    """A part of a run: the epochs from `first` to before `last`; data of the program, so that one program has all parts.

    Attributes:
      first: [], epochs done before the part; 0 for a part from the start.
      last: [], epochs done after it.
      state: with which the part begins; not used if it begins at the start.
    """

    first: Int[Array, ""]
    last: Int[Array, ""]
    state: State


def run(
    problem: Problem,
    begun: State,
    data: Batch,
    order_key: Array,
    *,
    precision: str,
    epochs: int,
    steps: int | None = None,
    recording: Recording = LOSSES_ONLY,
    known: Known = NOTHING_KNOWN,
    span: Span | None = None,
    **how: Any,
) -> Run:
    """Train one run from a given state and data. Nothing is checked; sweeps map over this function.

    Args:
      begun: the state before the first step.
      data: arrays with leading axis N.
      order_key: the key of the order's stream.
      steps: steps of the run, if its last epoch is incomplete; the losses past them are NaN, and the sizes 0.
      recording: what it records besides its losses.
      known: the inputs of observables that are computed once for a run.
      span: as `train` takes it.
      problem, precision, epochs: as `simulate`.
      how: `optimizer`, `split` and `order`, as `stepping` takes them.
    """
    with jax.default_matmul_precision(precision):
        parts = stepping(problem, data, order_key, epochs=epochs, steps=steps, **how)
        context_at = contexts(problem, data, order_key, known)
        return train(parts, begun, context_at, epochs=epochs, steps=steps, recording=recording, span=span)


def train_epoch(parts: Stepping, state: State, epoch: Int[Array, ""] | int) -> State:
    """Return the state after one epoch, of which nothing is recorded."""
    return parts.state(jax.lax.scan(parts.step, parts.begin(state), parts.inputs(epoch, state))[0])


class _Carry(NamedTuple):
    """The state between two epochs.

    Attributes:
      state: of the training.
      earlier: the parameters before the last step, NaN before the first; None if nothing is observed.
      kept: the states that are kept, with leading axis V; None if none are.
      before_steps: the measurements before steps, [V, m, ...], NaN where they are still to be taken; None without any.
    """

    state: State
    earlier: Params | None
    kept: State | None
    before_steps: Any


class _Recorded(NamedTuple):
    """The record of an epoch.

    Attributes:
      loss, size: [M].
      observed: the observables of `Recording.observe`, [L, ...] at evaluations within the epoch; None without any.
      sparse: the observables that are measured after some epochs only; None without any.
    """

    loss: Array
    size: Array
    observed: Any
    sparse: Any


class _Look(NamedTuple):
    """The evaluations within epochs, for each epoch, [E, ...].

    Attributes:
      mark: [E, K], True for a step of the loop that is followed by an evaluation.
      after: [E, L], the steps of the loop after which the up to L evaluations of an epoch are taken; 0 where it has fewer.
    """

    mark: np.ndarray
    after: np.ndarray


class _Looks(NamedTuple):
    """The V evaluations of a run that is evaluated within epochs.

    Attributes:
      by_epoch: the steps that are followed by one.
      row: [V], the row of each evaluation among the E L of all epochs.
      at_start: [V], True for an evaluation before the first step.
    """

    by_epoch: _Look
    row: np.ndarray
    at_start: np.ndarray


def _looks(every: int | float, length: int, epochs: int, steps: int) -> _Looks:
    """Return the evaluations within the epochs of a run.

    Args:
      every: as in `Recording`.
      length: K, steps of the loop in an epoch.
      epochs: E.
      steps: steps of the loop in the whole run.
    """
    done = evaluation_steps(every, length, steps)
    mark = marked(done, epochs * length).reshape(epochs, length)
    rank = np.cumsum(mark, axis=1) - 1
    most = int(mark.sum(axis=1).max())
    after = np.zeros((epochs, most), int)
    epoch, step = np.nonzero(mark)
    after[epoch, rank[epoch, step]] = step
    last = np.maximum(done - 1, 0)
    row = last // length * most + np.maximum(rank.reshape(-1)[last], 0)
    return _Looks(_Look(mark, after), row, done == 0)


class _Plan(NamedTuple):
    """The static choice of what is recorded of a run, and when.

    Attributes:
      recording: what is recorded.
      whole: the number of whole epochs.
      rest: the number of steps of the loop after them, 0 if the last epoch is whole.
      looks: the evaluations within epochs; None if observables are measured after epochs only.
      sparse_epochs: [V], the epochs after which the sparse observables are measured, 0-based; empty without any.
    """

    recording: Recording
    whole: int
    rest: int
    looks: _Looks | None
    sparse_epochs: np.ndarray

    @property
    def after_epochs(self) -> Observe | None:
        """The observables that are measured after the sparse epochs."""
        return self.recording.sparse and self.recording.sparse.observe

    @property
    def before_steps(self) -> Observe | None:
        """The observables that are measured before each step of the sparse epochs."""
        return self.recording.sparse and self.recording.sparse.before_steps

    @property
    def observes(self) -> bool:
        """True if anything is measured besides the losses."""
        return bool(self.recording.observe or self.recording.sparse)


def _plan(recording: Recording, length: int, epochs: int, steps: int | None) -> _Plan:
    """Return what is recorded of a run, and when.

    Args:
      recording: the choice.
      length: K, steps of the loop in an epoch.
      epochs: E.
      steps: steps of the loop in the whole run, if its last epoch is incomplete.
    """
    whole, rest = (epochs, 0) if steps is None else divmod(steps, length)
    looks = None
    if recording.observe and recording.evaluate_every is not None:
        looks = _looks(recording.evaluate_every, length, epochs, whole * length + rest)
    sparse = recording.sparse
    return _Plan(recording, whole, rest, looks, observed_epochs(sparse.every, epochs) if sparse else np.zeros(0, int))


class _Training(NamedTuple):
    """The parts of a run that do not change from epoch to epoch.

    Attributes:
      parts: its loop.
      plan: what is recorded, and when.
      context_at: as `contexts` returns it.
    """

    parts: Stepping
    plan: _Plan
    context_at: ContextAt


def train(
    parts: Stepping,
    begun: State,
    context_at: ContextAt,
    *,
    epochs: int,
    steps: int | None = None,
    recording: Recording = LOSSES_ONLY,
    span: Span | None = None,
) -> Run:
    """Train one run by a scan over its epochs, in each of which a scan goes over the steps of the loop.

    Args:
      parts: of the run.
      begun: the state before the first step.
      context_at: as `contexts` returns it.
      epochs: E.
      steps: steps of the loop in the whole run, if its last epoch is incomplete.
      recording: what the run records besides its losses.
      span: the part of the run to train, of a run of whole epochs that records nothing but its losses and observables after
        each epoch; other epochs have no values, and `kept` is the state after the part. None for the whole run.

    Returns:
      The run, with loss and size [E, M]. What `evaluate_every` asks for is measured after steps of the loop.
    """
    training = _Training(parts, _plan(recording, parts.length, epochs, steps), context_at)
    plan = training.plan
    begun = parts.start(begun)
    if span:
        from_start = begun
        begun = jax.lax.cond(span.first == 0, lambda: from_start, lambda: span.state)

    def whole_epoch(carry: _Carry, inputs: tuple[Array, Any]) -> tuple[_Carry, _Recorded]:
        if span is None:
            return _epoch(training, carry, inputs)
        shapes = jax.eval_shape(lambda: _epoch(training, carry, inputs)[1])
        nothing = _nothing(shapes)
        due = (span.first <= inputs[0]) & (inputs[0] < span.last)
        return jax.lax.cond(due, lambda: _epoch(training, carry, inputs), lambda: (carry, nothing))

    looks = plan.looks and plan.looks.by_epoch
    of_whole = jax.tree.map(lambda leaf: leaf[: plan.whole], looks)
    carry, recorded = jax.lax.scan(whole_epoch, _first_carry(training, begun), (jnp.arange(plan.whole), of_whole))
    if plan.rest:
        own = jax.tree.map(lambda leaf: leaf[plan.whole], looks)
        carry, last = _epoch(training, carry, (plan.whole, own), plan.rest)
        recorded = jax.tree.map(lambda whole, part: jnp.concatenate([whole, part[None]]), recorded, last)
    state, kept = carry.state, carry.state if span else carry.kept
    observed = _observed(training, begun, recorded)
    return Run(recorded.loss, recorded.size, state.params, state.opt_state, observed, kept, carry.before_steps)


def _first_carry(training: _Training, begun: State) -> _Carry:
    """Return the carry before the first epoch, with room for what is collected over the epochs."""
    parts, plan, context_at = training
    keep, before_steps, rows = plan.recording.keep, plan.before_steps, None
    kept = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (len(keep), *jnp.shape(leaf))), begun) if keep else None

    def first_values(params: Params, observe: Observe) -> Any:
        own = parts.inputs(0, begun)
        visit = parts.visit(jax.tree.map(lambda leaf: leaf[0], own), own)
        values = observe(params, context_at(0, parts.batches(own), params, params, visit))
        return jax.tree.map(lambda leaf: parts.by_batch(jnp.broadcast_to(leaf, (parts.length, *jnp.shape(leaf)))), values)

    if before_steps:
        shapes = jax.eval_shape(lambda params: first_values(params, before_steps), begun.params)
        rows = _nothing(shapes, len(plan.sparse_epochs))
    return _Carry(begun, _unmoved(begun) if plan.observes else None, kept, rows)


def _unmoved(begun: State) -> Params:
    """Return the parameters before the step before the first: there are none, so NaN."""
    return jax.tree.map(lambda leaf: jnp.full_like(leaf, jnp.nan), begun.params)


def _epoch(
    training: _Training, carry: _Carry, inputs: tuple[Array | int, Any], length: int | None = None
) -> tuple[_Carry, _Recorded]:
    """Train an epoch, or its first steps of the loop, and return the carry after it with its record.

    Args:
      training: the run.
      carry: before the epoch.
      inputs: the epoch's number, and its evaluations if it has any within it.
      length: the number of steps of the loop; None for the whole epoch.
    """
    parts, plan, _ = training
    i, look = inputs
    keep, whole_length = plan.recording.keep, parts.length
    length = whole_length if length is None else length
    all_inputs = parts.inputs(i, carry.state)
    own = all_inputs if length == whole_length else jax.tree.map(lambda leaf: leaf[:length], all_inputs)
    observed = sparse = None
    if plan.observes:
        marked_look = look and _Look(look.mark[:length], look.after)
        carry, losses, observed, sparse = _observed_steps(training, carry, i, marked_look, own, all_inputs)
    else:
        carried, losses = jax.lax.scan(parts.step, parts.begin(carry.state), own)
        carry = carry._replace(state=parts.state(carried))
    if keep:
        carry = carry._replace(kept=_put_at(carry.kept, np.asarray(keep), i + 1, carry.state))
    loss, size = parts.losses(_padded(losses, whole_length), all_inputs, None if length == whole_length else length)
    return carry, _Recorded(loss, size, observed, sparse)


def _observed_steps(
    training: _Training, carry: _Carry, epoch: Array | int, look: _Look | None, own: Any, all_inputs: Any
) -> tuple[_Carry, Array, Any, Any]:
    """Train the steps of an epoch and measure the observables that are due.

    Args:
      training: the run.
      carry: before the epoch.
      epoch: its number.
      look: its evaluations within it; None if observables are measured after epochs only.
      own: inputs of the steps of the loop to train.
      all_inputs: those of the whole epoch.

    Returns:
      The carry after the steps, the losses of the steps of the loop, the observables, and those of the sparse epochs.
    """
    parts, plan, context_at = training
    observe, before_steps = plan.recording.observe, plan.before_steps
    batches, observed, sparse, rows = parts.batches(own), None, None, carry.before_steps
    due = jnp.any(plan.sparse_epochs == epoch)

    def observed_step(carry: tuple[Any, Params], inputs: tuple[Any, Any]) -> tuple[tuple[Any, Params], Any]:
        (before, earlier), (own, mark) = carry, inputs
        old, values, values_before = parts.state(before).params, None, None
        if before_steps:
            due_here = due if parts.ends is None else due & parts.ends(own)

            def context_before() -> Context:
                return context_at(epoch, batches, earlier, old, parts.visit(own, all_inputs))

            values_before = observed_where(due_here, before_steps, old, context_before)
        after, loss = parts.step(before, own)
        new = parts.state(after).params
        if parts.ends is not None:
            ends = parts.ends(own)
            old = jax.tree.map(lambda old, earlier: jnp.where(ends, old, earlier), old, earlier)
        if observe and look:
            judged = judged_params(parts.state(after))
            values = observed_where(mark, observe, judged, lambda: context_at(epoch, batches, old, new))
        return (after, old), (loss, values, values_before)

    first = (parts.begin(carry.state), carry.earlier)
    (carried, earlier), (losses, values, values_before) = jax.lax.scan(observed_step, first, (own, look and look.mark))
    state = parts.state(carried)
    context = context_at(epoch, batches, earlier, state.params)
    if look:
        observed = jax.tree.map(lambda leaf: leaf[look.after], values)
    elif observe:
        observed = observe(judged_params(state), context)
    if plan.after_epochs:
        sparse = observed_where(due, plan.after_epochs, judged_params(state), lambda: context)
    if before_steps:
        whole = jax.tree.map(lambda leaf: parts.by_batch(_padded(leaf, parts.length)), values_before)
        rows = _put_at(rows, plan.sparse_epochs, epoch, whole)
    return _Carry(state, earlier, carry.kept, rows), losses, observed, sparse


def _observed(training: _Training, begun: State, recorded: _Recorded) -> Any:
    """Return a run's observables, [V, ...] at its measurements, from the records of all epochs."""
    parts, plan, context_at = training
    observed, looks = recorded.observed, plan.looks
    if looks:
        observed = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:])[looks.row], observed)
        if looks.at_start.any():
            context = context_at(0, parts.batches(parts.inputs(0, begun)), _unmoved(begun), begun.params)
            at_start = plan.recording.observe(judged_params(begun), context)  # type: ignore[misc]
            observed = jax.tree.map(lambda leaf, own: jnp.where(_lead(looks.at_start, leaf), own, leaf), observed, at_start)
    if plan.after_epochs:
        sparse = jax.tree.map(lambda leaf: leaf[plan.sparse_epochs], recorded.sparse)
        observed = sparse if observed is None else {**observed, **sparse}
    return observed


def _padded(values: Array, length: int) -> Array:
    """Return an array with a leading axis of a given length, NaN past its own, or 0 if it has whole numbers."""
    missing = length - values.shape[0]
    pad = [(0, missing), *[(0, 0)] * (values.ndim - 1)]
    return jnp.pad(values, pad, constant_values=missing_value(values.dtype)) if missing else values


def missing_value(dtype: Any) -> float | int:
    """Return the value for what a run does not have: NaN, or 0 among whole numbers."""
    return jnp.nan if jnp.issubdtype(dtype, jnp.floating) else 0


def _nothing(shapes: Any, *leading: int) -> Any:
    """Return arrays of some shapes and types that hold nothing yet, with leading axes."""
    return jax.tree.map(lambda leaf: jnp.full((*leading, *leaf.shape), missing_value(leaf.dtype), leaf.dtype), shapes)


def _put_at(rows: Any, epochs: np.ndarray, epoch: Array | int, value: Any) -> Any:
    """Return rows [V, ...], one for each of some epochs [V], ascending, with the value in the row of an epoch if it has one."""
    row = jnp.searchsorted(epochs, epoch)

    def put() -> Any:
        return jax.tree.map(lambda rows, own: rows.at[row].set(own), rows, value)

    # A branch under `vmap` too, because all mapped runs are in the same epoch.
    return jax.lax.cond(jnp.any(epochs == epoch), put, lambda: rows)


def marked(done: np.ndarray, steps: int) -> np.ndarray:
    """Return a mask of the steps that are followed by an evaluation, [steps].

    Args:
      done: [V], the number of steps done before each evaluation.
      steps: of the run.
    """
    marks = np.zeros(steps, bool)
    marks[done[done > 0] - 1] = True
    return marks


def observed_where(mark: Array | np.bool, observe: Observe, params: Params, context: Callable[[], Context]) -> Any:
    """Return the observables of a step or an epoch if `mark` is True, and zeros otherwise.

    A `mark` that is the same for all mapped runs stays a branch, so steps and epochs that are not measured cost nothing.
    """

    def measure() -> Any:
        return jax.tree.map(jnp.asarray, observe(params, context()))

    shapes = jax.eval_shape(measure)
    nothing = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
    return jax.lax.cond(mark, measure, lambda: nothing)


def _lead(mask: np.ndarray, like: Array) -> np.ndarray:
    """Return a mask of the leading axis with as many axes as an array."""
    return mask.reshape(-1, *[1] * (like.ndim - 1))
