"""A deep linear network with a linear teacher: linear in its inputs, and not in its weights."""

import itertools
import math

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from jaxsgd.error import check_counts
from jaxsgd.problem import Problem


def deep_linear(
    num_samples: int = 64,
    num_inputs: int = 4,
    num_hidden: int = 256,
    depth: int = 1,
    dtype: DTypeLike = jnp.float32,
    arrange: str = "given",
) -> Problem:
    """A network of linear layers with one output, and the targets of a linear function, which it can fit exactly.

    Inputs x ~ N(0, 1) [N, D], targets t = x.w* / sqrt(D) with w* ~ N(0, 1). The output is the product of all layers, divided by
    the square root of each layer's number of inputs, and all weights start at N(0, 1): the parametrization in which Lewkowycz
    et al. 2020 (arXiv 2003.02218) solve the network with one hidden layer at large learning rates. Its curvature at the start
    hardly depends on the width. The loss of a sample is (y - t)^2.

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
        input_key, teacher_key = jax.random.split(key)
        x = jax.random.normal(input_key, (num_samples, num_inputs), dtype)
        return x, x @ jax.random.normal(teacher_key, (num_inputs,), dtype) / math.sqrt(num_inputs)

    def init(key: Array) -> list[Array]:
        keys = jax.random.split(key, len(sizes) - 1)
        return [jax.random.normal(k, shape, dtype) for k, shape in zip(keys, itertools.pairwise(sizes), strict=True)]

    def loss(params: list[Array], batch: tuple[Array, Array]) -> Float[Array, " B"]:
        output, target = batch
        for weights in params:
            output = output @ weights / math.sqrt(weights.shape[0])
        return (output[:, 0] - target) ** 2

    return Problem(init, loss, data, name="deep_linear", loss_unit="squared error").arranged(arrange)
