"""The work of a traced program: floating-point operations, random numbers and equations, read off its jaxpr."""

import math
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from jax.extend.core import ClosedJaxpr, Jaxpr

LOOP_STEPS = 10
"""The steps that are taken for a loop that ends by what it computes, such as the iterations for the sharpness."""

_MOVES = frozenset(
    (
        "bitcast_convert_type", "broadcast_in_dim", "concatenate", "convert_element_type", "copy", "copy_p", "dynamic_slice",
        "dynamic_update_slice", "expand_dims", "gather", "iota", "pad", "reshape", "rev", "slice", "split", "squeeze",
        "stop_gradient", "transpose",
    )
)  # fmt: skip
"""Equations that compute nothing: they move or repeat numbers."""


class Work(NamedTuple):
    """The work of a traced program.

    Attributes:
      flops: floating-point operations of a run, as XLA counts them: two for each product in a matrix product or a convolution,
        and one for each number that another equation computes. Those in loops count as often as they are done.
      equations: the equations of the jaxpr with those of its loops and branches, each once.
      random_numbers: random numbers that are drawn in a run; those in loops count as often as they are drawn.
    """

    flops: int = 0
    equations: int = 0
    random_numbers: int = 0

    @staticmethod
    def total(works: Iterable["Work"]) -> "Work":
        """Return the work of several programs together."""
        listed = list(works)
        return Work(*map(sum, zip(*listed, strict=True))) if listed else Work()


def inner_jaxprs(eqn: Any) -> list[Any]:
    """Return the jaxprs of an equation: the bodies of a loop, the branches of a choice."""
    values = (value if isinstance(value, tuple | list) else (value,) for value in eqn.params.values())
    return [part for parts in values for part in parts if isinstance(part, Jaxpr | ClosedJaxpr)]


def work(jaxpr: Any) -> Work:
    """Return the work of a jaxpr without the equations that its results do not need, which XLA leaves out too.

    Of the branches of a choice, the most floating-point operations and the most random numbers are taken.
    """
    opened = jaxpr.jaxpr if isinstance(jaxpr, ClosedJaxpr) else jaxpr
    return Work.total(map(_work_of, _needed(opened)))


def _needed(jaxpr: Jaxpr) -> Iterator[Any]:
    """Yield the equations of a jaxpr that its results need, or that do something besides, the last first."""
    needed = {id(variable) for variable in jaxpr.outvars}
    for eqn in reversed(jaxpr.eqns):
        if eqn.effects or any(id(variable) in needed for variable in eqn.outvars):
            needed.update(map(id, eqn.invars))
            yield eqn


def _work_of(eqn: Any) -> Work:
    """Return the work of an equation."""
    inner, name = [work(part) for part in inner_jaxprs(eqn)], eqn.primitive.name
    if not inner:
        return Work(_flops(eqn, name), 1, sum(map(_size, eqn.outvars)) if name == "random_bits" else 0)
    times = eqn.params["length"] if name == "scan" else LOOP_STEPS if name == "while" else 1
    flops, _, random_numbers = map(max if name == "cond" else sum, zip(*inner, strict=True))
    return Work(times * flops, 1 + sum(part.equations for part in inner), times * random_numbers)


def _flops(eqn: Any, name: str) -> int:
    """Return the floating-point operations of an equation without jaxprs of its own."""
    if name in _MOVES:
        return 0
    result = sum(map(_size, eqn.outvars))
    if name == "dot_general":
        (summed, _), _ = eqn.params["dimension_numbers"]
        return 2 * result * math.prod(eqn.invars[0].aval.shape[axis] for axis in summed)
    if name == "conv_general_dilated":
        kernel, outputs = eqn.invars[1].aval.shape, eqn.params["dimension_numbers"].rhs_spec[0]
        # The numbers between those of a dilated input are zeros.
        return 2 * result * math.prod(kernel) // (kernel[outputs] * math.prod(eqn.params["lhs_dilation"]))
    return max(map(_size, (*eqn.invars, *eqn.outvars)), default=0)


def _size(variable: Any) -> int:
    return math.prod(getattr(variable.aval, "shape", ()))
