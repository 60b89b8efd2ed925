"""What is looked at after each epoch of every run, besides its losses: one number for each entry of `OBSERVABLES`."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxsgd.problem import Batch, Params, Problem
from jaxsgd.simulator import Observe


class Observable(NamedTuple):
    """A number that a run has after each epoch, of problems that tell what it takes.

    Attributes:
      units, meaning: for the result's `attrs`.
      source: `problem -> (data -> known)`: what must be known of a run's data to measure it, worked out once before the
        training; None for a problem that cannot tell.
      measure: `(params, data, known) -> []`, after an epoch.
      tolerance: largest difference between machines, as a share of the run's largest value.
    """

    units: str
    meaning: str
    source: Callable[[Problem], Callable[[Batch], Any] | None]
    measure: Callable[[Params, Batch, Any], Float[Array, ""]]
    tolerance: float


def _distance(params: Params, data: Batch, optimum: Params) -> Float[Array, ""]:
    del data
    squares = jax.tree.map(lambda here, there: jnp.sum((here - there) ** 2), params, optimum)
    return jnp.sqrt(jnp.sum(jnp.stack(jax.tree.leaves(squares))))


OBSERVABLES = {
    "distance": Observable(
        "parameters",
        "Euclidean distance of the parameters from the optimum of the run's own data, after each epoch",
        lambda problem: problem.optimum,
        _distance,
        # Near the optimum it is a small difference of large numbers: their rounding is a larger share of it.
        1e-2,
    ),
}
"""By the name of its variable in a result, whatever can be observed."""


def observations(problem: Problem) -> tuple[str, ...]:
    """The names of what is observed of a problem's runs."""
    return tuple(name for name, observable in OBSERVABLES.items() if observable.source(problem) is not None)


def known(problem: Problem, data: Batch) -> dict[str, Any]:
    """What the observations of a run need of its data, by name."""
    sources = {name: OBSERVABLES[name].source(problem) for name in observations(problem)}
    # At full precision whatever the training's, as the data are drawn.
    with jax.default_matmul_precision("float32"):
        return {name: source(data) for name, source in sources.items() if source}


def observer(known: dict[str, Any]) -> Observe | None:
    """The observations as the simulator takes them: `(params, data) -> by name, []`; None if there are none.

    Args:
      known: by name, what `known` gives for the run's data.
    """
    if not known:
        return None
    return lambda params, data: {name: OBSERVABLES[name].measure(params, data, of) for name, of in known.items()}


def differs(name: str, stored: np.ndarray, again: np.ndarray) -> bool:
    """Whether an observation, [E], made on another machine is further from the stored one than rounding explains."""
    scale = np.max(np.abs(stored), initial=0, where=np.isfinite(stored))
    return not np.allclose(again, stored, rtol=0, atol=OBSERVABLES[name].tolerance * scale, equal_nan=True)
