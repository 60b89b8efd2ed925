"""The program that trains a chunk of cells."""

import dataclasses
import json
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
import optax
from jaxtyping import Array

from jaxsgd.compiling.any_width import with_cells
from jaxsgd.compiling.compiler_options import compiler_options
from jaxsgd.compiling.lowered import lowered
from jaxsgd.compiling.mapped import mapped_like
from jaxsgd.context import NOTHING_KNOWN, Context, Known
from jaxsgd.engine.draw_program import Drawn, drawn_shapes
from jaxsgd.engine.program import Program
from jaxsgd.engine.run_measures import RunKind, RunMeasures
from jaxsgd.engine.run_queue import Queue, RunParts, all_finite
from jaxsgd.engine.spec import Spec
from jaxsgd.engine.target_run import train_to_target
from jaxsgd.measure.observable import Measures, known
from jaxsgd.microstep import Cut, Layout, micro_stepping, run_micro
from jaxsgd.optimizer import OptimizerFactory, carried_on, optimizer_named, schedule_named, scheduled
from jaxsgd.order import Order, Split
from jaxsgd.problem import Batch, Params, Problem
from jaxsgd.schedule import Schedule, TrainingShare
from jaxsgd.simulator import Optimizer, State, Stepping, initial_state, stepping, streams, with_order_state
from jaxsgd.study.cells import Cells, traced_hyperparameters
from jaxsgd.study.dependencies import Dependencies
from jaxsgd.study.fields import stop_of
from jaxsgd.study.observed import batch_variable, study_measures
from jaxsgd.study.study import Study, order_named
from jaxsgd.study.subject import OwnArrays, Subject, precision_of
from jaxsgd.train import Recording, Span, Sparse, run


@dataclasses.dataclass(frozen=True, eq=False)
class TrainSpec(Spec):
    """The static parts of a training program: it follows from these alone.

    Attributes:
      subject: the study's problem.
      dtype: of data and parameters.
      width: cells in one call.
      lanes: the number of cells that run side by side; the groups of lanes run one after another.
      optimizer: the function that makes the optimizer.
      optimizer_args: its fixed arguments, as JSON.
      hyper: its traced arguments besides the rate, in order.
      schedule: factor on the rate, a function of progress.
      order: of the samples.
      split: the split that all cells have; None if the split is data.
      layout: micro-steps, if the split is data.
      precision: of matrix products.
      epochs: E.
      steps: of a run, if its last epoch is incomplete; else None.
      evaluate_every: interval of the measurements of observables; None for after each epoch.
      measures: the observables that are measured then.
      sparse: the observables that are measured after some epochs only.
      stop: the metric with a target at which a run ends; None if every run takes all its steps.
      keep: "final" if the parameters after the last step are kept, or numbers of epochs done after which they are; else None.
      keep_state: True if the optimizer's state is kept with them.
      start_state: True if a run goes on from a given state of the optimizer.
      by_span: True if a call trains a part of each run, which is an input.
    """

    subject: Subject
    dtype: str
    width: int
    lanes: int
    optimizer: OptimizerFactory
    optimizer_args: str
    hyper: tuple[str, ...]
    schedule: Schedule
    order: Order
    split: Split | None
    layout: Layout | None
    precision: str
    epochs: int
    steps: int | None
    evaluate_every: int | float | None
    measures: Measures | None
    sparse: Sparse | None
    stop: str | None
    keep: str | tuple[int, ...] | None
    keep_state: bool
    start_state: bool
    by_span: bool = False

    @property
    def key(self) -> tuple:
        """A key that is equal exactly if the program is the same, with the code of the user's functions."""
        of_steps = _items(self.sparse and self.sparse.before_steps)
        observed = (*_items(self.measures), *_items(self.sparse and self.sparse.observe), *of_steps)
        functions = (
            self.optimizer,
            self.schedule,
            self.order.samples,
            self.order.batches,
            *(self.order.feedback or ()),
            *(measure for _, measure in observed),
        )
        # The names also tell which of the functions are measured in some epochs only, and which of them before steps.
        every = self.sparse and (self.sparse.every, len(of_steps))
        names = (tuple(name for name, _ in _items(self.measures)), tuple(name for name, _ in observed), every)
        sizes = (self.dtype, self.width, self.lanes, self.split, self.layout, self.epochs, self.steps, self.evaluate_every)
        code = Dependencies(self.subject, *functions)
        ends = (self.stop, self.keep, self.keep_state, self.start_state, self.by_span)
        return ("train", code, names, *sizes, self.optimizer_args, self.hyper, self.precision, *ends)

    @property
    def own_bytes(self) -> int:
        """The memory of the problem's own arrays, which are kept with the program."""
        return self.subject.own_bytes

    def compile(self):
        """Compile the program and return it."""
        return lowered_train(self).compile(compiler_options())


def _items(measures: Any) -> tuple[tuple[str, Callable], ...]:
    return measures.items if isinstance(measures, Measures) else ()


def train_spec(
    study: Study, subject: Subject, cells: Cells, program: Program, width: int, lanes: int, *, by_span: bool = False
) -> TrainSpec:
    """Return the static parts of a study's training program; `by_span` as `TrainSpec` has it."""
    epochs, steps = cells.epochs, None
    if program.split:
        epochs, steps = cells.epochs_of(program.split), cells.steps_of(program.split)
        steps = None if steps == epochs * program.split.batch_count else steps
    measures, sparse = study_measures(study, subject)
    return TrainSpec(
        subject=subject,
        dtype=study.dtype,
        width=width,
        lanes=lanes,
        optimizer=optimizer_named(program.optimizer),
        optimizer_args=json.dumps(study.optimizer_args, sort_keys=True),
        hyper=tuple(traced_hyperparameters(study, cells)),
        schedule=schedule_named(program.schedule),
        order=order_named(program.order),
        split=program.split,
        layout=program.layout,
        precision=study.precision,
        epochs=epochs,
        steps=steps,
        evaluate_every=study.evaluate_every,
        measures=measures,
        sparse=sparse,
        stop=stop_of(study)[0] if study.stop else None,
        keep=study.keep,
        keep_state=bool(study.keep_state),
        start_state=bool(study.start_state),
        by_span=by_span,
    )


class Outputs(NamedTuple):
    """A program's outputs for each cell.

    Attributes:
      loss: [E, M], the loss of each batch; NaN past the batch count.
      loss_epoch: [E], mean over each epoch's samples.
      finite: [], True if the final parameters are finite.
      observed: by name, an observable after each epoch, [E, ...], at each of its V measurements, [V, ...], or before each step
        of V epochs, [V, m, ...].
      stopped: [], the number of steps after which it reached its target, -1 if it did not; None without a target.
      kept: the parameters and the optimizer's state that are kept, with a leading axis K for a list of K epochs; None for those
        that are not. Of a program that trains parts of runs, the whole state after the part.
      measures: of the chunk's runs, by their kind, for all cells; None if they are still to be measured.
    """

    loss: Array
    loss_epoch: Array
    finite: Array
    observed: dict[str, Array]
    stopped: Array | None = None
    kept: State | None = None
    measures: dict[RunKind, RunMeasures] | None = None


def lowered_train(spec: TrainSpec) -> jax.stages.Lowered:
    """Return the training program, to be compiled.

    It is `(inputs [width], Drawn [width], the problem's own arrays) -> Outputs [width]`.
    """
    subject, trained = spec.subject, _train_function(spec)

    def chunk(given: dict[str, Any], drawn: Drawn, own: OwnArrays, span: Span | None = None) -> Outputs:
        # All cells share the problem's own data, so its part of the observables is computed once.
        own_known = None if own.data is None else known(subject.problem, own.data, own.held_out)
        if spec.stop:
            return _run_to_target(spec, (given, drawn), own, own_known)

        def run_cell(cell: tuple[dict[str, Any], Drawn, State | None]) -> Outputs:
            given, begun, state = cell
            part = span._replace(state=state) if span else None
            return trained(given, _with_data(begun, own, own_known), part)

        return jax.lax.map(run_cell, (given, drawn, span and span.state), batch_size=spec.lanes if spec.lanes > 1 else None)

    with precision_of(spec.dtype):
        given, drawn = _start_shapes(spec)
        spans = ()
        if spec.by_span:
            whole: Any = jax.ShapeDtypeStruct((), np.dtype(np.int32))
            spans = (Span(whole, whole, state_shapes(spec)),)
        return lowered(chunk, given, drawn, subject.own, *spans)


def _start_shapes(spec: TrainSpec) -> tuple[dict[str, Any], Drawn]:
    """Return the shapes and types of the inputs and the starts of a call, [width, ...]."""
    given = _input_shapes(spec)
    drawn = jax.tree.map(lambda leaf: with_cells(leaf, spec.width), drawn_shapes(spec.subject, spec.dtype))
    if spec.start_state:
        begun = jax.vmap(lambda given, params: initial_state(_optimizer(spec, given), params).opt_state)
        drawn = drawn._replace(opt_state=jax.eval_shape(begun, given, drawn.params))
    return given, drawn


def _input_shapes(spec: TrainSpec) -> dict[str, Any]:
    """Return the shapes and types of `inputs`, [width, ...]."""
    number = jax.ShapeDtypeStruct((spec.width,), np.dtype(spec.dtype))
    shapes: dict[str, Any] = {
        "order_seed": jax.ShapeDtypeStruct((spec.width,), np.dtype(np.uint32)),
        "learning_rate": number,
        "hyper": dict.fromkeys(spec.hyper, number),
    }
    if spec.stop:
        shapes["target"] = number
    if spec.layout:
        whole, slots = (jax.ShapeDtypeStruct((spec.width, *inner), np.dtype(np.int32)) for inner in ((), (spec.layout.slots,)))
        shapes["cut"] = Cut(batch_count=whole, micro_per_batch=whole, start=slots, size=slots)  # type: ignore[arg-type]
    return shapes


def state_shapes(spec: TrainSpec) -> State:
    """Return the shapes and types of the states between two parts of runs, [width, ...]."""
    slots = spec.layout.slots if spec.layout else spec.split.batch_count  # type: ignore[union-attr]

    def begun(given: dict[str, Any], drawn: Drawn) -> State:
        return with_order_state(_begun(spec, _optimizer(spec, given), drawn), spec.order, slots)

    with precision_of(spec.dtype):
        return jax.eval_shape(jax.vmap(begun), *_start_shapes(spec))


def _train_function(spec: TrainSpec) -> Callable[[dict[str, Any], Drawn, Span | None], Outputs]:
    """Return the function that trains one run: `(one cell's inputs, its Drawn, the part to train) -> Outputs`."""

    def trained(given: dict[str, Any], drawn: Drawn, span: Span | None) -> Outputs:
        (problem, data, order_key), how = _training(spec, given, drawn)
        how |= {"precision": spec.precision, "known": drawn.known or NOTHING_KNOWN, "span": span}
        keep = spec.keep if isinstance(spec.keep, tuple) else ()
        how |= {"recording": Recording(spec.measures, spec.evaluate_every, spec.sparse, keep)}
        begun, of_run = _begun(spec, how["optimizer"], drawn), (data, order_key)
        if spec.layout:
            # Cells end their batches at different micro-steps, so that even a count of steps differs between them.
            begun = mapped_like(begun, drawn.params)
            done = run_micro(problem, begun, *of_run, given["cut"], layout=spec.layout, **how)
        else:
            assert spec.split, "a program has a split or a layout"
            done = run(problem, begun, *of_run, split=spec.split, steps=spec.steps, **how)
        kept = State(done.params, done.opt_state) if spec.keep == "final" else done.kept if spec.keep else None
        if span:
            kept = done.kept
        elif kept:
            # Of an order that looks at gradients the state is not kept: a run that goes on begins it anew.
            kept = State(kept.params, kept.opt_state if spec.keep_state else None)
        of_steps = {batch_variable(name): values for name, values in (done.observed_batches or {}).items()}
        observed = {**(done.observed or {}), **of_steps}
        return Outputs(done.loss, done.epoch_loss, all_finite(done.params), observed, kept=kept)

    return trained


def _run_to_target(spec: TrainSpec, cells: tuple[dict[str, Any], Drawn], own: OwnArrays, own_known: Known | None) -> Outputs:
    """Train all runs of a chunk, each until it reaches its target.

    Args:
      spec: static parts.
      cells: inputs and starts, [width].
      own: the problem's own arrays.
      own_known: the inputs of the observables that belong to them.
    """
    slots = spec.layout.slots if spec.layout else spec.split.batch_count  # type: ignore[union-attr]
    length = spec.layout.micro_steps if spec.layout else slots
    assert spec.stop, "a target has a metric"

    def whole(cell: tuple[dict[str, Any], Drawn]) -> tuple[dict[str, Any], Drawn]:
        given, begun = cell
        return given, _with_data(begun, own, own_known)

    def start(cell: tuple[dict[str, Any], Drawn]) -> State:
        _, how = _training(spec, *whole(cell))
        return with_order_state(_begun(spec, how["optimizer"], cell[1]), spec.order, slots)

    def steps_of(cell: tuple[dict[str, Any], Drawn]) -> Stepping:
        given, drawn = whole(cell)
        training, how = _training(spec, given, drawn)
        if spec.layout:
            return micro_stepping(*training, given["cut"], layout=spec.layout, **how)
        assert spec.split, "a program has a split or a layout"
        return stepping(*training, split=spec.split, steps=spec.steps, **how)

    def observe(cell: tuple[dict[str, Any], Drawn], params: Params) -> dict[str, Array]:
        _, drawn = whole(cell)
        # The observables that every result has need no more of a context.
        known = drawn.known or NOTHING_KNOWN
        context = Context(spec.subject.problem, drawn.data, known.held_out, None, None, None, known.optimum, known.least)
        return spec.measures(params, context) if spec.measures else {}

    with jax.default_matmul_precision(spec.precision):
        done, loss_epoch = train_to_target(
            RunParts(start, steps_of, observe, lambda cell: cell[0]["target"]),
            cells,
            Queue(spec.stop, spec.lanes, length, spec.epochs, spec.steps or spec.epochs * length),
            evaluate_every=spec.evaluate_every if spec.measures else None,
            in_micro_steps=spec.layout is not None,
            looks_at_gradients=spec.order.feedback is not None,
        )
    return Outputs(done.loss, loss_epoch, done.finite, done.observed, done.stopped)


def _training(spec: TrainSpec, given: dict[str, Any], drawn: Drawn) -> tuple[tuple[Problem, Batch, Array], dict[str, Any]]:
    """Return the arguments of one run for `stepping` and for `run`: `(problem, data, order key)`, and those by name.

    Args:
      spec: static parts.
      given, drawn: the cell's inputs, and its start with the data.
    """
    optimizer = _optimizer(spec, given)
    assert drawn.data is not None, "a run has data"
    own = (spec.subject.problem, drawn.data, streams(jax.random.key(given["order_seed"])).order)
    return own, {"optimizer": optimizer, "order": spec.order, "epochs": spec.epochs}


def _optimizer(spec: TrainSpec, given: dict[str, Any]) -> Callable[[TrainingShare], optax.GradientTransformation]:
    """Return the optimizer of one run, from its inputs."""
    hyper = {**json.loads(spec.optimizer_args), **given["hyper"]}
    return scheduled(spec.optimizer, given["learning_rate"], hyper, spec.schedule)


def _begun(spec: TrainSpec, optimizer: Optimizer, drawn: Drawn) -> State:
    """Return the state before the first step of a run, whose optimizer begins anew or goes on from a given state."""
    begun = initial_state(optimizer, drawn.params)
    return begun._replace(opt_state=carried_on(begun.opt_state, drawn.opt_state)) if spec.start_state else begun


def _with_data(begun: Drawn, own: OwnArrays, own_known: Known | None) -> Drawn:
    """Return the start of a run with its data: the problem's own if it has any."""
    return begun if begun.data is not None else begun._replace(data=own.data, known=own_known)
