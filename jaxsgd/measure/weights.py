"""The parameters themselves as observables: all of them in one row, or their deviations from the optimum."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxsgd.context import Context
from jaxsgd.problem import Params


def weights(params: Params, context: Context) -> Float[Array, " P"]:
    """Return all parameters in one row, [P], leaf after leaf, in units of a parameter.

    For a study: `observe=["jaxsgd.measure.weights:weights"]`. The result's dimension is `parameter`.
    """
    del context
    return jnp.concatenate([jnp.ravel(leaf) for leaf in jax.tree.leaves(params)])


def deviation(params: Params, context: Context) -> Float[Array, " P"]:
    """Return the parameters less those with the smallest mean loss of the run's own data, [P], in units of a parameter.

    As `weights`; for problems that know their optimum.
    """
    return weights(jax.tree.map(jnp.subtract, params, context.optimum), context)


for _function in (weights, deviation):
    _function.dims = ("parameter",)  # type: ignore[attr-defined]
    _function.units = "parameters"  # type: ignore[attr-defined]
    _function.better = "neither"  # type: ignore[attr-defined]
