"""Classifiers with cross-entropy: a problem from a model's logits, and a ReLU network."""

import itertools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import optax
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float

from jaxsgd.problem import Batch, Params, Problem

Layers = list[tuple[Array, Array]]
"""Weights [inputs, outputs] and biases [outputs] of each layer."""


def classifier(
    init: Callable[[Array], Params],
    logits: Callable[[Params, Array], Array],
    data: Callable[[Array], Batch] | Batch,
    name: str,
) -> Problem:
    """Return the problem of a classifier whose samples are `(inputs, class)`: cross-entropy in nats, with its accuracy.

    Args:
      init: as of `Problem`.
      logits: `(params, inputs) -> [B, classes]`.
      data: as of `Problem`.
      name: of the problem.
    """

    def loss(params: Params, batch: tuple[Array, Array]) -> Float[Array, " B"]:
        x, label = batch
        return optax.softmax_cross_entropy_with_integer_labels(logits(params, x), label)

    def accuracy(params: Params, batch: tuple[Array, Array]) -> Bool[Array, " B"]:
        x, label = batch
        return jnp.argmax(logits(params, x), axis=1) == label

    return Problem(init, loss, data, accuracy=accuracy, name=name, loss_unit="cross-entropy, nats")


def relu_layers(key: Array, sizes: Sequence[int], dtype: DTypeLike) -> Layers:
    """Return the layers of a network with the widths `sizes`: weights from N(0, 2/inputs) (He et al. 2015), biases 0."""
    keys = jax.random.split(key, len(sizes) - 1)
    return [
        (jax.random.normal(k, (fan_in, fan_out), dtype) * jnp.sqrt(2 / fan_in).astype(dtype), jnp.zeros(fan_out, dtype))
        for k, (fan_in, fan_out) in zip(keys, itertools.pairwise(sizes), strict=True)
    ]


def relu_network(layers: Layers, x: Float[Array, "B D"]) -> Float[Array, "B O"]:
    """Return the outputs of the layers with a ReLU between them, [B, O]."""
    for weights, biases in layers[:-1]:
        x = jax.nn.relu(x @ weights + biases[None, :])
    weights, biases = layers[-1]
    return x @ weights + biases[None, :]
