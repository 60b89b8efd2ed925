"""Programs: the groups of cells that share a compiled program, with its inputs and outputs."""

import dataclasses
import json
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxsgd.machine import compiler_options
from jaxsgd.measure.observable import Measures, known
from jaxsgd.microstep import Cut, Layout, cut, layout, run_micro
from jaxsgd.optimizer import OptimizerFactory, Schedule, optimizer_named, schedule_named, scheduled
from jaxsgd.order import Order, Split
from jaxsgd.problem import Batch, Params
from jaxsgd.simulator import NOTHING_KNOWN, Known, Run, Sparse, draw, run, streams
from jaxsgd.study.cells import Cells, hyper_axes
from jaxsgd.study.dependencies import Dependencies
from jaxsgd.study.observed import study_measures
from jaxsgd.study.study import Study, order_named
from jaxsgd.study.subject import OwnArrays, Subject, precision_of


class Program(NamedTuple):
    """A program to compile, and the cells that it runs.

    Attributes:
      optimizer: the optimizer's name.
      order: the order's name.
      split: the split that all its cells have; None if the split is data (one program for all batch counts).
      layout: micro-steps, if the split is data.
      cells: numbers of its cells, ascending.
    """

    optimizer: str
    order: str
    split: Split | None
    layout: Layout | None
    cells: np.ndarray

    @property
    def slots(self) -> int:
        """The number of batch losses that an epoch has room for, M."""
        return self.split.batch_count if self.split else self.layout.slots  # type: ignore[union-attr]


def programs(cells: Cells, one_program: bool, micro_size: int | None = None) -> list[Program]:
    """Return the programs for all cells.

    Args:
      cells: the cells of a study.
      one_program: True if batch counts are data and share a program; False if each split has its own program.
      micro_size: q, the size of the micro-steps; None for the cheapest.
    """
    shared = layout(cells.splits, micro_size) if one_program else None
    key = [cells.values["optimizer"], cells.values["order"]]
    keys = list(zip(*key, *([] if one_program else [cells.split]), strict=True))
    groups = []
    for distinct in dict.fromkeys(keys):
        members = np.asarray([i for i, other in enumerate(keys) if other == distinct])
        own = None if one_program else cells.splits[distinct[2]]
        groups.append(Program(str(distinct[0]), str(distinct[1]), own, shared, members))
    return groups


def seeds(cells: Cells, members: np.ndarray) -> dict[str, np.ndarray]:
    """Return the seeds of some cells' data and initial parameters, by stream, [len(members)] each."""
    return {stream: cells.seeds(stream)[members].astype(np.uint32) for stream in ("data", "init")}


def inputs(study: Study, cells: Cells, program: Program, members: np.ndarray) -> dict[str, Any]:
    """Return the training program's inputs for some of its cells, without the drawn arrays; arrays [len(members), ...]."""
    given: dict[str, Any] = {
        "order_seed": cells.seeds("order")[members].astype(np.uint32),
        "learning_rate": cells.rate[members].astype(study.dtype),
        "hyper": {axis: cells.values[axis][members].astype(study.dtype) for axis in hyper_axes(cells)},
    }
    if program.layout:
        cuts = [cut(split, program.layout) for split in cells.splits]
        given["cut"] = jax.tree.map(lambda *leaves: np.stack(leaves)[cells.split[members]], *cuts)
    return given


@dataclasses.dataclass(frozen=True, eq=False)
class DrawSpec:
    """The static parts of the program that draws data and initial parameters: it follows from these alone.

    Attributes:
      subject: the study's problem.
      dtype: of data and parameters.
      width: cells in one call.
    """

    subject: Subject
    dtype: str
    width: int

    @property
    def key(self) -> tuple:
        """A key that is equal exactly if the program is the same."""
        return ("draw", Dependencies(self.subject), self.dtype, self.width)

    def compile(self):
        """Compile the program and return it."""
        return _compile_draw(self)


@dataclasses.dataclass(frozen=True, eq=False)
class TrainSpec:
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

    @property
    def key(self) -> tuple:
        """A key that is equal exactly if the program is the same, with the code of the user's functions."""
        observed = (*_items(self.measures), *_items(self.sparse and self.sparse.observe))
        functions = (
            self.optimizer,
            self.schedule,
            self.order.samples,
            self.order.batches,
            *(measure for _, measure in observed),
        )
        # The names also tell which of the functions are measured after some epochs only.
        every = self.sparse and self.sparse.every
        names = (tuple(name for name, _ in _items(self.measures)), tuple(name for name, _ in observed), every)
        sizes = (self.dtype, self.width, self.lanes, self.split, self.layout, self.epochs, self.steps, self.evaluate_every)
        return ("train", Dependencies(self.subject, *functions), names, *sizes, self.optimizer_args, self.hyper, self.precision)

    def compile(self):
        """Compile the program and return it."""
        return _compile_train(self)


def _items(measures: Any) -> tuple[tuple[str, Callable], ...]:
    return measures.items if isinstance(measures, Measures) else ()


def train_spec(study: Study, subject: Subject, cells: Cells, program: Program, width: int, lanes: int) -> TrainSpec:
    """Return the static parts of a study's training program."""
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
        hyper=tuple(hyper_axes(cells)),
        schedule=schedule_named(study.schedule),
        order=order_named(program.order),
        split=program.split,
        layout=program.layout,
        precision=study.precision,
        epochs=epochs,
        steps=steps,
        evaluate_every=study.evaluate_every,
        measures=measures,
        sparse=sparse,
    )


def _input_shapes(spec: TrainSpec) -> dict[str, Any]:
    """Return the shapes and types of `inputs`, [width, ...]."""
    number = jax.ShapeDtypeStruct((spec.width,), np.dtype(spec.dtype))
    shapes: dict[str, Any] = {
        "order_seed": jax.ShapeDtypeStruct((spec.width,), np.dtype(np.uint32)),
        "learning_rate": number,
        "hyper": dict.fromkeys(spec.hyper, number),
    }
    if spec.layout:
        whole, slots = (jax.ShapeDtypeStruct((spec.width, *inner), np.dtype(np.int32)) for inner in ((), (spec.layout.slots,)))
        shapes["cut"] = Cut(batch_count=whole, micro_per_batch=whole, start=slots, size=slots)  # type: ignore[arg-type]
    return shapes


class Outputs(NamedTuple):
    """A program's outputs for each cell.

    Attributes:
      loss: [E, M], the loss of each batch; NaN past the batch count.
      loss_epoch: [E], mean over each epoch's samples.
      finite: [], True if the final parameters are finite.
      observed: by name, an observable after each epoch, [E, ...], or at each of its V measurements, [V, ...].
    """

    loss: Array
    loss_epoch: Array
    finite: Array
    observed: dict[str, Array]


class Drawn(NamedTuple):
    """The start of a run.

    Attributes:
      params: initial parameters.
      data: arrays with leading axis N; None for a problem with its own arrays.
      known: the inputs of the observables, computed once for all epochs; None if `data` is None.
    """

    params: Params
    data: Batch | None
    known: Known | None


def draw_function(subject: Subject) -> Callable[[dict[str, Any]], Drawn]:
    """Return the function `one cell's seeds -> Drawn`."""
    problem = subject.problem

    def drawn(seeds: dict[str, Any]) -> Drawn:
        key, init = jax.random.key(seeds["data"]), jax.random.key(seeds["init"])
        keys = streams(key, init=init)
        if subject.data is not None:
            return Drawn(problem.init(keys.init), None, None)
        params, data = draw(problem, keys)
        return Drawn(params, data, known(problem, data, problem.sample_held_out(keys.data)))

    return drawn


def _train_function(spec: TrainSpec) -> Callable[[dict[str, Any], Drawn], Outputs]:
    """Return the function that trains one run: `(one cell's inputs, its Drawn) -> Outputs`."""
    problem = spec.subject.problem
    optimizer_args = json.loads(spec.optimizer_args)

    def trained(given: dict[str, Any], drawn: Drawn) -> Outputs:
        hyper = {**optimizer_args, **given["hyper"]}
        optimizer = scheduled(spec.optimizer, given["learning_rate"], hyper, spec.schedule)
        start = (problem, drawn.params, drawn.data, streams(jax.random.key(given["order_seed"])).order)
        how: dict[str, Any] = {"optimizer": optimizer, "order": spec.order, "precision": spec.precision, "epochs": spec.epochs}
        how |= {"evaluate_every": spec.evaluate_every, "observe": spec.measures, "sparse": spec.sparse}
        how["known"] = drawn.known or NOTHING_KNOWN
        if spec.layout:
            done = run_micro(*start, given["cut"], layout=spec.layout, **how)
        else:
            assert spec.split, "a program has a split or a layout"
            done = run(*start, split=spec.split, steps=spec.steps, **how)
        return Outputs(done.loss, done.epoch_loss, _all_finite(done), done.observed or {})

    return trained


def _all_finite(done: Run) -> Array:
    leaves = [jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(done.params)]
    return jnp.all(jnp.stack(leaves))


def _seed_shapes(width: int) -> dict[str, Any]:
    """Return the shapes and types of `seeds`, [width] each."""
    return dict.fromkeys(("data", "init"), jax.ShapeDtypeStruct((width,), np.dtype(np.uint32)))


def _compile_draw(spec: DrawSpec):
    """Return the compiled program that draws initial parameters and data: `seeds [width] -> Drawn [width]`.

    A study has a single such program, because random draws take most of the compile time.
    """
    drawn = draw_function(spec.subject)
    with precision_of(spec.dtype):
        return jax.jit(lambda given: jax.lax.map(drawn, given)).lower(_seed_shapes(spec.width)).compile(compiler_options())


def _compile_train(spec: TrainSpec):
    """Return the compiled training program: `(inputs [width], Drawn [width], the problem's own arrays) -> Outputs [width]`."""
    subject, trained = spec.subject, _train_function(spec)

    def chunk(given: dict[str, Any], drawn: Drawn, own: OwnArrays) -> Outputs:
        # All cells share the problem's own data, so its part of the observables is computed once.
        own_known = None if own.data is None else known(subject.problem, own.data, own.held_out)

        def run_cell(cell: tuple[dict[str, Any], Drawn]) -> Outputs:
            given, begun = cell
            return trained(given, begun if begun.data is not None else begun._replace(data=own.data, known=own_known))

        return jax.lax.map(run_cell, (given, drawn), batch_size=spec.lanes if spec.lanes > 1 else None)

    with precision_of(spec.dtype):
        drawn = jax.eval_shape(jax.vmap(draw_function(subject)), _seed_shapes(spec.width))
        return jax.jit(chunk).lower(_input_shapes(spec), drawn, subject.own).compile(compiler_options())
