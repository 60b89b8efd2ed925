"""Linear regression by least squares: a problem with many exact results."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from jaxsgd.error import InputError, check_counts, shown
from jaxsgd.problem import Problem


def least_squares(
    num_samples: int = 1000,
    num_inputs: int = 10,
    noise: float = 1.0,
    condition: float = 1.0,
    dtype: DTypeLike = jnp.float32,
    arrange: str = "given",
) -> Problem:
    """Linear regression, with the loss (x.w - t)^2 / 2 per sample.

    The setting of Ying et al. 2018 ("Stochastic learning under random reshuffling with constant step-sizes") and Safran and
    Shamir 2020 ("How good is SGD with random shuffling?").

    Inputs x ~ N(0, diag(h)) [N, D], with variances h spaced evenly in the logarithm from 1 down to 1/condition; targets
    t = x.w* + noise * N(0, 1) with w* ~ N(0, I). Weights start at 0. The optimum is the least-squares solution on
    the N samples drawn, not w*.

    Args:
      num_samples: N.
      num_inputs: D.
      noise: standard deviation of the targets' noise. With 0 all samples agree on the optimum and no order leaves a floor.
      condition: condition number of the inputs' covariance, at least 1.
      dtype: of data and parameters; float64 needs JAX's x64 mode.
      arrange: "given", or "label" to sort the samples by target (see `Problem.arranged`).

    Raises:
      InputError: for a size below 1, a noise below 0, or a condition number below 1.
    """
    num_samples, num_inputs = check_counts(num_samples=num_samples, num_inputs=num_inputs)
    if not 0 <= noise < float("inf"):
        raise InputError(f"noise must be a finite number of at least 0, got {shown(noise)}")
    if not 1 <= condition < float("inf"):
        raise InputError(f"condition must be a finite number of at least 1, got {shown(condition)}")

    def scale() -> Float[Array, " D"]:
        return jnp.asarray(condition, dtype) ** jnp.linspace(0, -0.5, num_inputs, dtype=dtype)

    return least_squares_problem("least_squares", num_samples, num_inputs, scale, noise, dtype).arranged(arrange)


def least_squares_problem(
    name: str,
    num_samples: int,
    num_inputs: int,
    scale: Callable[[], Array],
    noise: float,
    dtype: DTypeLike,
    weight_scale: Callable[[], Array] | None = None,
) -> Problem:
    """Return linear regression on normal inputs with given standard deviations.

    Args:
      name: of the problem.
      num_samples, num_inputs, noise, dtype: as of `least_squares`.
      scale: returns the standard deviations of the inputs, [D].
      weight_scale: returns the standard deviations of the true weights w*, [D]; without it they are 1.
    """

    def data(key: Array) -> tuple[Array, Array]:
        input_key, weight_key, noise_key = jax.random.split(key, 3)
        x = scale()[None, :] * jax.random.normal(input_key, (num_samples, num_inputs), dtype)
        true_weights = jax.random.normal(weight_key, (num_inputs,), dtype)
        if weight_scale is not None:
            true_weights = weight_scale() * true_weights
        return x, x @ true_weights + noise * jax.random.normal(noise_key, (num_samples,), dtype)

    def init(key: Array) -> Float[Array, " D"]:
        del key
        return jnp.zeros(num_inputs, dtype)

    def loss(weights: Float[Array, " D"], batch: tuple[Array, Array]) -> Float[Array, " B"]:
        x, target = batch
        return (x @ weights - target) ** 2 / 2

    def optimum(data: tuple[Array, Array]) -> Float[Array, " D"]:
        x, target = data
        return jnp.linalg.lstsq(x, target)[0]

    return Problem(init, loss, data, optimum, name=name, loss_unit="half the squared error")
