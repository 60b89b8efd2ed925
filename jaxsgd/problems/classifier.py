"""Classifiers with cross-entropy: a problem from a model's logits."""

from collections.abc import Callable

import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float

from jaxsgd.problem import Batch, Params, Problem


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
