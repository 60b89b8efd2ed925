"""The noisy quadratic model: gradient noise of a known size on a bowl of known curvature."""

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from jaxsgd.error import check_counts
from jaxsgd.problem import Problem


def noisy_quadratic(num_samples: int = 1000, num_inputs: int = 100, dtype: DTypeLike = jnp.float32) -> Problem:
    """The noisy quadratic model of Zhang et al. 2019, "Which algorithmic choices matter at which batch sizes?".

    Curvatures h_i = 1/i for i = 1 ... D (the paper has D = 10^4); a batch's gradient is h w plus noise of covariance
    diag(h) / B; weights start at N(0, 1). The loss of a sample with the data z ~ N(0, I) is

        loss = sum_i h_i w_i^2 / 2 - sqrt(h_i) z_i w_i,

    and its mean over z is the risk sum_i h_i w_i^2 / 2, without an added constant. While every sample is new (one epoch),
    E[w_i^2] follows s <- (1 - lr h)^2 s + lr^2 h / B exactly. Over several epochs of the same N samples, the optimum is
    w_i = mean(z_i) / sqrt(h_i).

    Args:
      num_samples: N.
      num_inputs: D, the dimensions of the bowl.
      dtype: of data and parameters; float64 needs JAX's x64 mode.

    Raises:
      InputError: for a size below 1.
    """
    num_samples, num_inputs = check_counts(num_samples=num_samples, num_inputs=num_inputs)

    def curvature() -> Float[Array, " D"]:
        return 1 / jnp.arange(1, num_inputs + 1, dtype=dtype)

    def data(key: Array) -> Float[Array, "N D"]:
        return jax.random.normal(key, (num_samples, num_inputs), dtype)

    def init(key: Array) -> Float[Array, " D"]:
        return jax.random.normal(key, (num_inputs,), dtype)

    def loss(weights: Float[Array, " D"], z: Float[Array, "B D"]) -> Float[Array, " B"]:
        h = curvature()
        return jnp.sum(h * weights**2) / 2 - z @ (jnp.sqrt(h) * weights)

    def optimum(z: Float[Array, "N D"]) -> Float[Array, " D"]:
        return jnp.mean(z, axis=0) / jnp.sqrt(curvature())

    return Problem(init, loss, data, optimum, name="noisy_quadratic", loss_unit="quadratic form")
