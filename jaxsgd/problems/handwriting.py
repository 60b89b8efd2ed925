"""Handwritten digits: a small real data set and a small classifier."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float

from jaxsgd.error import InputError, check_count
from jaxsgd.problem import Problem


@functools.cache
def _images() -> tuple[np.ndarray, np.ndarray]:
    try:
        from sklearn.datasets import load_digits  # noqa: PLC0415, an extra
    except ImportError:
        raise InputError("problem 'digits' needs scikit-learn: pip install 'jaxsgd[digits]'") from None
    pixels, labels = load_digits(return_X_y=True)
    return np.asarray(pixels) / 16, np.asarray(labels)


def digits(num_samples: int = 1797, num_hidden: int = 32, dtype: DTypeLike = jnp.float32, arrange: str = "given") -> Problem:
    """A two-layer network with cross-entropy on scikit-learn's digits.

    The data are 1,797 images of 8 x 8 pixels in ten classes, the test set of "Optical recognition of handwritten digits"
    (Alpaydin and Kaynak 1998, UCI). Pixels are scaled to [0, 1]. Weights start at N(0, 2/inputs) (He et al. 2015), biases at
    0; the hidden layer is a ReLU. The images are in the file's order, so `fixed` shows the effect of a file's order.

    Args:
      num_samples: N, the first N images.
      num_hidden: H.
      dtype: of data and parameters; float64 needs JAX's x64 mode.
      arrange: "given" for the file's sequence, or "label" to sort the images by class (see `Problem.arranged`).

    Raises:
      InputError: if scikit-learn is not installed (extra `digits`), or for more samples than images.
    """
    images, labels = _images()
    num_samples = check_count("num_samples", num_samples, len(images), "the number of images")
    num_hidden = check_count("num_hidden", num_hidden)
    # NumPy's arrays, because jnp.asarray would start a backend even if the problem is only named.
    data = images[:num_samples].astype(dtype), labels[:num_samples].astype(np.int32)
    sizes = (images.shape[1], num_hidden, 10)

    def init(key: Array) -> list[tuple[Array, Array]]:
        keys = jax.random.split(key, len(sizes) - 1)
        return [
            (jax.random.normal(k, (fan_in, fan_out), dtype) * jnp.sqrt(2 / fan_in).astype(dtype), jnp.zeros(fan_out, dtype))
            for k, fan_in, fan_out in zip(keys, sizes[:-1], sizes[1:], strict=True)
        ]

    def logits(params: list[tuple[Array, Array]], x: Float[Array, "B D"]) -> Float[Array, "B O"]:
        (w1, b1), (w2, b2) = params
        return jax.nn.relu(x @ w1 + b1[None, :]) @ w2 + b2[None, :]

    def loss(params: list[tuple[Array, Array]], batch: tuple[Array, Array]) -> Float[Array, " B"]:
        x, label = batch
        return optax.softmax_cross_entropy_with_integer_labels(logits(params, x), label)

    def accuracy(params: list[tuple[Array, Array]], batch: tuple[Array, Array]) -> Bool[Array, " B"]:
        x, label = batch
        return jnp.argmax(logits(params, x), axis=1) == label

    problem = Problem(init, loss, data, accuracy=accuracy, name="digits", loss_unit="cross-entropy, nats")
    return problem.arranged(arrange)
