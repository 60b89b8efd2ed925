"""Linear regression on features with a power-law spectrum: a model of the scaling of loss with data."""

from collections.abc import Callable

import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from jaxsgd.error import InputError, check_counts, shown
from jaxsgd.problem import Problem
from jaxsgd.problems.linear_model import least_squares_problem


def power_law_regression(
    num_samples: int = 1000,
    num_inputs: int = 100,
    power: float = 1.5,
    weight_power: float = 0.0,
    noise: float = 0.1,
    dtype: DTypeLike = jnp.float32,
    arrange: str = "given",
) -> Problem:
    """Linear regression whose inputs have the variances i^-power, with the loss (x.w - t)^2 / 2 per sample.

    The setting of Lin et al. 2024, "Scaling laws in linear regression: compute, parameters, and data" (arXiv 2406.08466):
    inputs x ~ N(0, diag(1, 2^-a, ... D^-a)) [N, D] with the power a, and targets t = x.w* + noise * N(0, 1) with w* ~ N(0, I).
    A direction is learned after some i^a / rate steps, so that the loss falls with a power of the number of steps, and not
    exponentially. There the inputs are also projected at random, which is left out here. Weights start at 0. The optimum is
    the least-squares solution on the N samples drawn, not w*.

    With a power c of the weights, w*_i ~ N(0, i^-c), and direction i has the part i^-b of the loss at the start, b = a + c: the
    prior of Lin et al. 2025, "Improved scaling laws in linear regression via data reuse" (arXiv 2506.08415).

    Args:
      num_samples: N.
      num_inputs: D.
      power: a, at least 0. Real data have powers above 1.
      weight_power: c, at least 0: the larger, the simpler is what the inputs have to predict.
      noise: standard deviation of the targets' noise. With 0 all samples agree on the optimum and no order leaves a floor.
      dtype: of data and parameters; float64 needs JAX's x64 mode.
      arrange: "given", or "label" to sort the samples by target (see `Problem.arranged`).

    Raises:
      InputError: for a size below 1, a power, a weight power or a noise below 0.
    """
    num_samples, num_inputs = check_counts(num_samples=num_samples, num_inputs=num_inputs)
    for name, value in (("power", power), ("weight_power", weight_power), ("noise", noise)):
        if not 0 <= value < float("inf"):
            raise InputError(f"{name} must be a finite number of at least 0, got {shown(value)}")

    def deviations(power: float) -> Callable[[], Float[Array, " D"]]:
        return lambda: jnp.arange(1, num_inputs + 1, dtype=dtype) ** (-power / 2)

    sizes = (num_samples, num_inputs)
    return least_squares_problem(
        "power_law_regression", *sizes, deviations(power), noise, dtype, deviations(weight_power)
    ).arranged(arrange)
