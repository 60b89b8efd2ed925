"""Equations of a jaxpr replaced by others, also those in its loops and branches."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
from jax.extend.core import ClosedJaxpr, Jaxpr, jaxpr_as_fun

from jaxsgd.compiling.work import inner_jaxprs


class Rule(NamedTuple):
    """A replacement for some equations.

    Attributes:
      suits: `equation -> bool`, True for those that are replaced.
      compute: `(equation, *its inputs) -> its results`, a list if the equation's primitive has several; it is traced.
    """

    suits: Callable[[Any], bool]
    compute: Callable[..., Any]


def has_equation(jaxpr: Any, suits: Callable[[Any], bool]) -> bool:
    """Return True if a jaxpr has an equation that suits, also one in a loop or a branch."""
    opened = jaxpr.jaxpr if isinstance(jaxpr, ClosedJaxpr) else jaxpr
    return any(suits(eqn) or any(has_equation(part, suits) for part in inner_jaxprs(eqn)) for eqn in opened.eqns)


def rewritten(value: Any, rule: Rule) -> Any:
    """Return a jaxpr, or several, with a rule's equations replaced; anything else as it is."""
    if isinstance(value, Jaxpr):  # from JAX 0.12 on, a closed one too
        if not has_equation(value, rule.suits):
            return value
        return value.replace(eqns=[_replaced(eqn, rule) for eqn in value.eqns])
    if isinstance(value, ClosedJaxpr):
        return value.replace(jaxpr=rewritten(value.jaxpr, rule))
    if isinstance(value, tuple | list) and any(isinstance(part, Jaxpr | ClosedJaxpr) for part in value):
        parts = [rewritten(part, rule) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    return value


def function_of(jaxpr: ClosedJaxpr, results: Any) -> Callable:
    """Return the function that a jaxpr was traced from; `results` is the structure of its results."""
    flat = jaxpr_as_fun(jaxpr)
    return lambda *args: jax.tree.unflatten(results, flat(*jax.tree.leaves(args)))


def _replaced(eqn: Any, rule: Rule) -> Any:
    if not rule.suits(eqn):
        return eqn.replace(params={name: rewritten(value, rule) for name, value in eqn.params.items()})
    shapes = [jax.ShapeDtypeStruct(atom.aval.shape, atom.aval.dtype) for atom in eqn.invars]
    call = jax.make_jaxpr(jax.jit(lambda *inputs: rule.compute(eqn, *inputs)))(*shapes).eqns[0]
    return call.replace(invars=eqn.invars, outvars=eqn.outvars)
