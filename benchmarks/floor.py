"""A floor under the time of a step: its five products, each at the layout and library that are fastest here, and its sigmoids.

A step of the article's network multiplies x w1, h w2, dz w2', h' dz and x' dh, 10 million operations at B = 100, and takes the
sigmoid of 101,000 numbers. The floor is the time of these alone, each in a compiled loop of its own, in a process of one thread
on every core. No program needs to reach it: the layouts that are best one by one do not fit together, and loading a batch,
the element-wise rest and the update come on top.
"""

import itertools
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from functools import cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.core_pool import one_thread_each
from benchmarks.round import interleaved
from benchmarks.workload import Workload
from jaxsgd.compiling.compiler_options import compiler_options
from jaxsgd.engine.plan import cores

_TYPE, _DOT = "xla_cpu_experimental_{}_fusion_type", "LIBRARY_FUSION_TYPE_DOT"


class Library(NamedTuple):
    """A library of products that XLA offers on a CPU.

    Attributes:
      options: the options of a program that ask for it.
      mark: a word of the compiled program that shows that XLA has it; empty if it always has.
    """

    options: dict[str, str | bool]
    mark: str = ""


CHOSEN = "XLA's choice"
"""The name of the library that XLA takes by itself."""

LIBRARIES = {
    CHOSEN: Library({}),
    "Eigen": Library({_TYPE.format("ynn"): ""}),
    "YNNPACK": Library({_TYPE.format("ynn"): _DOT}, "__ynn_fusion"),
    "XNNPACK": Library({_TYPE.format("ynn"): "", _TYPE.format("xnn"): _DOT, "xla_cpu_use_xnnpack": True}, "__xnn_fusion"),
    "oneDNN": Library({_TYPE.format("ynn"): "", _TYPE.format("onednn"): _DOT, "xla_cpu_use_onednn": True}, "__onednn_fusion"),
}
"""The libraries by name."""

LAYOUTS = tuple(itertools.product((False, True), repeat=3))
"""The layouts of a product: True for each of the left operand, the right one and the result that is stored transposed."""

TIMES = 300
"""How often each part is computed in a call."""


class Part(NamedTuple):
    """A part of the step.

    Attributes:
      name: what it computes.
      sizes: (rows, inner, columns) of a product; the count of numbers of the sigmoids.
      transposed: True for each of the left operand, the right one and the result of a product that is stored transposed.
      library: that multiplies, in `LIBRARIES`.
    """

    name: str
    sizes: tuple[int, ...]
    transposed: tuple[bool, ...] = ()
    library: str = CHOSEN


def _product(part: Part) -> Callable[[], jax.Array]:
    rows, inner, columns = part.sizes
    left, right, out = part.transposed
    a = jnp.ones((inner, rows) if left else (rows, inner)) / inner
    b = jnp.ones((columns, inner) if right else (inner, columns))

    def body(_: jax.Array, operand: jax.Array) -> jax.Array:
        # Each turn's operand depends on the turn before by next to nothing.
        small = operand.ravel()[0] * 1e-30
        first, other = (a + small, b) if a.size <= b.size else (a, b + small)
        if out:
            return jax.lax.dot_general(other, first, (((1 if right else 0,), (0 if left else 1,)), ((), ())))
        return jax.lax.dot_general(first, other, (((0 if left else 1,), (1 if right else 0,)), ((), ())))

    begin = jnp.zeros((columns, rows) if out else (rows, columns))
    return lambda: jax.lax.fori_loop(0, TIMES, body, begin)


def _sigmoids(part: Part) -> Callable[[], jax.Array]:
    (count,) = part.sizes
    begin = jnp.linspace(-3, 3, count)
    return lambda: jax.lax.fori_loop(0, TIMES, lambda _, z: jax.nn.sigmoid(z) * 3 - 1, begin)


@cache
def loop(part: Part) -> Callable[[], jax.Array]:
    """Return a compiled function that computes a part `TIMES` times and returns the last result.

    It is compiled with the options of a sweep's programs.
    """
    function = _product(part) if part.transposed else _sigmoids(part)
    return jax.jit(function).lower().compile(compiler_options() | LIBRARIES[part.library].options)


def _has_library(part: Part) -> bool:
    """Return True if XLA has the library of a part, and the part runs with it."""
    try:
        compiled = loop(part)
    except jax.errors.JaxRuntimeError:  # another version of XLA, which does not know an option
        return False
    jax.block_until_ready(compiled())
    return LIBRARIES[part.library].mark in compiled.as_text()  # type: ignore[attr-defined]


def usable_libraries(part: Part) -> list[str]:
    """Return the libraries that can compute a product here.

    They are tried in another process, because one that was built for other processors ends its process; the next ones are then
    tried in a new process.
    """
    usable, untried = [], list(LIBRARIES)
    while untried:
        with one_thread_each(1) as pool, suppress(BrokenProcessPool):
            while untried:
                name = untried.pop(0)
                if pool.submit(_has_library, part._replace(library=name)).result():
                    usable.append(name)
    return usable


def _go_through(own: list[Part]) -> None:
    for part in own:
        jax.block_until_ready(loop(part)())


def parts(workload: Workload, libraries: Sequence[str] = (CHOSEN,)) -> list[Part]:
    """Return all parts in all layouts, with each of some libraries."""
    b, d, h, o = workload.num_samples // workload.batch_count, 10, workload.num_hidden, 10
    products = {"x w1": (b, d, h), "h w2": (b, h, o), "dz w2'": (b, o, h), "h' dz": (o, b, h), "x' dh": (d, b, h)}
    return [
        Part(name, sizes, layout, library) for name, sizes in products.items() for layout in LAYOUTS for library in libraries
    ] + [Part("sigmoids", (b * (h + o),))]


def on_all_cores(pool: Executor, parts: Iterable[Part]) -> Callable[[], None]:
    """A call that goes through the loops of some parts on every core at once.

    Args:
      pool: a process for each core.
      parts: which.
    """
    own = list(parts)

    def call() -> None:
        for future in [pool.submit(_go_through, own) for _ in range(cores())]:
            future.result()

    return call


def fastest(pool: Executor, candidates: list[Part], repeats: int) -> dict[str, Part]:
    """The fastest layout of each part, by the median of a few interleaved calls on all cores, after one to compile."""
    seconds = interleaved({str(place): on_all_cores(pool, [part]) for place, part in enumerate(candidates)}, 1 + repeats)
    typical = [float(np.median(seconds[str(place)][1:])) for place in range(len(candidates))]
    best: dict[str, int] = {}
    for place, part in enumerate(candidates):
        if part.name not in best or typical[place] < typical[best[part.name]]:
            best[part.name] = place
    return {name: candidates[place] for name, place in best.items()}


def floor_call(pool: Executor, best: dict[str, Part]) -> Callable[[], None]:
    """A call that does the arithmetic of `steps_of_call` steps, each part at its fastest layout, on all cores."""
    return on_all_cores(pool, best.values())


def steps_of_call() -> int:
    """Return the number of steps whose arithmetic a `floor_call` does."""
    return TIMES * cores()
