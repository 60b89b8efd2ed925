"""A small tanh network that learns drawn targets by heart."""

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from jaxsgd.error import check_counts
from jaxsgd.problem import Problem
from jaxsgd.problems.dense import Layers, dense, dense_layers


def tanh_network(
    num_samples: int = 64,
    num_inputs: int = 8,
    num_hidden: int = 32,
    depth: int = 2,
    dtype: DTypeLike = jnp.float32,
    arrange: str = "given",
) -> Problem:
    """A fully connected tanh network with one output, and targets that do not depend on the inputs.

    Inputs x ~ N(0, 1) [N, D] and targets t ~ N(0, 1) [N] are drawn, so each sample has to be learned by heart. The loss of a
    sample is (y - t)^2. Weights start at N(0, 1/inputs), biases at 0. The network is smooth, and with more parameters than
    samples it can reach the loss 0: then the sharpness rises for long, as Cohen et al. 2021 (arXiv 2103.00065) saw it.

    Args:
      num_samples: N.
      num_inputs: D.
      num_hidden: H, the width of each hidden layer.
      depth: the number of hidden layers.
      dtype: of data and parameters; float64 needs JAX's x64 mode.
      arrange: "given", or "label" to sort the samples by target (see `Problem.arranged`).

    Raises:
      InputError: for a size below 1, or another arrangement.
    """
    num_samples, num_inputs, num_hidden, depth = check_counts(
        num_samples=num_samples, num_inputs=num_inputs, num_hidden=num_hidden, depth=depth
    )
    sizes = (num_inputs, *[num_hidden] * depth, 1)

    def data(key: Array) -> tuple[Array, Array]:
        drawn = jax.random.normal(key, (num_samples, num_inputs + 1), dtype)
        return drawn[:, :-1], drawn[:, -1]

    def init(key: Array) -> Layers:
        return dense_layers(key, sizes, 1, dtype)

    def loss(params: Layers, batch: tuple[Array, Array]) -> Float[Array, " B"]:
        x, target = batch
        return (dense(params, x, jnp.tanh)[:, 0] - target) ** 2

    return Problem(init, loss, data, name="tanh_network", loss_unit="squared error").arranged(arrange)
