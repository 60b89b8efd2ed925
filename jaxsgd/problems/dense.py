"""Fully connected networks: their layers drawn, and their outputs."""

import itertools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

Layers = list[tuple[Array, Array]]
"""Weights [inputs, outputs] and biases [outputs] of each layer."""


def dense_layers(key: Array, sizes: Sequence[int], gain: int, dtype: DTypeLike) -> Layers:
    """Return the layers of a network with the widths `sizes`: weights from N(0, gain/inputs), biases 0.

    The variance of a layer's outputs is that of its inputs with the gain 2 before ReLUs (He et al. 2015), and 1 without them.
    """
    keys = jax.random.split(key, len(sizes) - 1)
    return [
        (jax.random.normal(k, (fan_in, fan_out), dtype) * jnp.sqrt(gain / fan_in).astype(dtype), jnp.zeros(fan_out, dtype))
        for k, (fan_in, fan_out) in zip(keys, itertools.pairwise(sizes), strict=True)
    ]


def dense(layers: Layers, x: Float[Array, "B D"], activation: Callable[[Array], Array]) -> Float[Array, "B O"]:
    """Return the outputs of the layers with an activation between them, [B, O]."""
    for weights, biases in layers[:-1]:
        x = activation(x @ weights + biases[None, :])
    weights, biases = layers[-1]
    return x @ weights + biases[None, :]


def relu_layers(key: Array, sizes: Sequence[int], dtype: DTypeLike) -> Layers:
    """Return the layers of a ReLU network with the widths `sizes`."""
    return dense_layers(key, sizes, 2, dtype)


def relu_network(layers: Layers, x: Float[Array, "B D"]) -> Float[Array, "B O"]:
    """Return the outputs of a ReLU network, [B, O]."""
    return dense(layers, x, jax.nn.relu)
