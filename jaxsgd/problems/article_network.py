"""The article's network and data: a two-layer sigmoid network that learns the square of its inputs."""

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from jaxsgd.error import check_counts
from jaxsgd.problem import Problem

SQUARED_ERROR = "mean squared error per output"
"""The unit of the loss of `squared_error`."""


def init_network(key: Array, num_inputs: int, num_hidden: int, num_outputs: int, dtype: DTypeLike) -> dict[str, Array]:
    """Return standard normal weights without biases: `w1` [D, H] and `w2` [O, H].

    The second matrix is stored transposed, so that every product and every gradient runs along H, the long axis. Its
    entries are independent draws, so the network is the same as the article's.
    """
    first, second = jax.random.split(key)
    return {
        "w1": jax.random.normal(first, (num_inputs, num_hidden), dtype),
        "w2": jax.random.normal(second, (num_outputs, num_hidden), dtype),
    }


def network(params: dict[str, Array], x: Float[Array, "B D"]) -> Float[Array, "B O"]:
    """Return y = sigmoid(sigmoid(x w1) w2'), [B, O]: the article's MatMul, Sigmoid, MatMul, Sigmoid."""
    hidden = jax.nn.sigmoid(x @ params["w1"])
    return jax.nn.sigmoid(hidden @ params["w2"].T)


def squared_error(params: dict[str, Array], batch: tuple[Array, Array]) -> Float[Array, " B"]:
    """Return each sample's squared error, averaged over the outputs, [B]: (1/O) sum_o (y_o - t_o)^2."""
    x, target = batch
    return jnp.mean((network(params, x) - target) ** 2, axis=-1)


def square_regression(
    num_samples: int = 1000,
    num_inputs: int = 10,
    num_hidden: int = 1000,
    dtype: DTypeLike = jnp.float32,
    arrange: str = "given",
) -> Problem:
    """The network and data of "Understanding stochastic gradient descent, and analysis of a phenomenon" (2024-05-09).

    Inputs x ~ N(0, 1) [N, D]; targets t = x^2 element by element. Outputs lie in (0, 1), so the network cannot reach most
    targets, and the loss stays near 2. The loss is the mean over batch and outputs, with its true gradient
    2 (y - t) / (B O): of the usual conventions, only this one falls as fast as the article's loss.

    Args:
      num_samples: N.
      num_inputs: D, also the number of outputs O.
      num_hidden: H.
      dtype: of data and parameters; float64 needs JAX's x64 mode.
      arrange: "given", or "label" to sort the samples by target (see `Problem.arranged`).

    Raises:
      InputError: for a size below 1.
    """
    num_samples, num_inputs, num_hidden = check_counts(num_samples=num_samples, num_inputs=num_inputs, num_hidden=num_hidden)

    def data(key: Array) -> tuple[Array, Array]:
        x = jax.random.normal(key, (num_samples, num_inputs), dtype)
        return x, x**2

    def init(key: Array) -> dict[str, Array]:
        return init_network(key, num_inputs, num_hidden, num_inputs, dtype)

    return Problem(init, squared_error, data, name="square_regression", loss_unit=SQUARED_ERROR).arranged(arrange)
