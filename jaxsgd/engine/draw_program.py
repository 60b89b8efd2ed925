"""The program that draws the data and the initial parameters of a chunk's cells."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxsgd.compiling.any_width import any_width, with_cells
from jaxsgd.compiling.compiler_options import compiler_options
from jaxsgd.compiling.per_owner import PerOwner
from jaxsgd.compiling.work import Work, work
from jaxsgd.context import Known
from jaxsgd.engine.spec import Spec
from jaxsgd.measure.observable import known
from jaxsgd.problem import Batch, Params
from jaxsgd.simulator import draw, streams
from jaxsgd.study.dependencies import Dependencies
from jaxsgd.study.subject import Subject, precision_of


class Drawn(NamedTuple):
    """The start of a run.

    Attributes:
      params: initial parameters.
      data: arrays with leading axis N; None for a problem with its own arrays.
      known: the inputs of the observables, computed once for all epochs; None if `data` is None.
      opt_state: the optimizer's state from which a run goes on; None if the optimizer begins anew.
    """

    params: Params
    data: Batch | None
    known: Known | None
    opt_state: Any = None


@dataclasses.dataclass(frozen=True, eq=False)
class DrawSpec(Spec):
    """The static parts of the program that draws data and initial parameters: it follows from these alone.

    A study has a single such program, because random draws take most of the compile time. On a CPU, cells are drawn one after
    another, which needs the least memory, and the program serves all widths; on an accelerator all at once, as its time goes to
    starting operations.

    Attributes:
      subject: the study's problem.
      dtype: of data and parameters.
      width: cells in one call; on a CPU one program serves all widths.
    """

    subject: Subject
    dtype: str
    width: int

    @property
    def key(self) -> tuple:
        """A key that is equal exactly if the program is the same."""
        width = None if jax.default_backend() == "cpu" else self.width
        return ("draw", Dependencies(self.subject), self.dtype, width)

    @property
    def own_bytes(self) -> int:
        """The memory of the problem's own arrays, which are kept with the program."""
        return self.subject.own_bytes

    def compile(self) -> Callable[[dict[str, Any]], Drawn]:
        """Compile the program and return it: `seeds [width] -> Drawn [width]`."""
        drawn = draw_function(self.subject)
        with precision_of(self.dtype):
            if jax.default_backend() == "cpu":
                return any_width(drawn, _seed_shapes(), drawn_shapes(self.subject, self.dtype))
            shapes = jax.tree.map(lambda leaf: with_cells(leaf, self.width), _seed_shapes())
            return jax.jit(jax.vmap(drawn)).lower(shapes).compile(compiler_options())


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


class _Traced(NamedTuple):
    """The drawing of a problem, traced.

    Attributes:
      shapes: shapes and types of the start of one cell.
      work: of drawing one cell.
    """

    shapes: Drawn
    work: Work


def drawn_shapes(subject: Subject, dtype: str) -> Drawn:
    """Return the shapes and types of the start of one cell."""
    return _traced(subject, dtype).shapes


def draw_work(subject: Subject, dtype: str) -> Work:
    """Return the work of drawing one cell."""
    return _traced(subject, dtype).work


def _traced(subject: Subject, dtype: str) -> _Traced:
    """Return a problem's drawing, which is traced once."""

    def trace() -> _Traced:
        with precision_of(dtype):
            traced = jax.jit(draw_function(subject)).trace(_seed_shapes())
        kinds = [jax.ShapeDtypeStruct(own.shape, own.dtype, weak_type=own.weak_type) for own in traced.jaxpr.out_avals]
        return _Traced(jax.tree.unflatten(jax.tree.structure(traced.out_info), kinds), work(traced.jaxpr))

    return _TRACED.get(subject, dtype, trace)


_TRACED: PerOwner[_Traced] = PerOwner()


def _seed_shapes() -> dict[str, Any]:
    """Return the shapes and types of the `seeds` of one cell."""
    return dict.fromkeys(("data", "init"), jax.ShapeDtypeStruct((), np.dtype(np.uint32)))
