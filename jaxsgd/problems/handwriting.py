"""Handwritten digits: a small real data set and a small classifier."""

import functools

import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array

from jaxsgd.error import InputError, check_count
from jaxsgd.problem import Problem
from jaxsgd.problems.classifier import classifier
from jaxsgd.problems.dense import Layers, relu_layers, relu_network

CLASSES = 10


@functools.cache
def _images(name: str) -> tuple[np.ndarray, np.ndarray]:
    try:
        from sklearn.datasets import load_digits  # noqa: PLC0415, an extra
    except ImportError:
        raise InputError(f"problem {name!r} needs scikit-learn: pip install 'jaxsgd[digits]'") from None
    pixels, labels = load_digits(return_X_y=True)
    return np.asarray(pixels) / 16, np.asarray(labels)


def digit_images(name: str, num_samples: int, dtype: DTypeLike) -> tuple[np.ndarray, np.ndarray]:
    """Return the first N of scikit-learn's digits: pixels from 0 to 1, [N, 64], and classes, [N].

    Args:
      name: of the problem that needs them, for the message.
      num_samples: N.
      dtype: of the pixels.

    Raises:
      InputError: if scikit-learn is not installed, or for more samples than images.
    """
    images, labels = _images(name)
    num_samples = check_count("num_samples", num_samples, len(images), "the number of images")
    # NumPy's arrays, because jnp.asarray would start a backend even if the problem is only named.
    return images[:num_samples].astype(dtype), labels[:num_samples].astype(np.int32)


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
    data = digit_images("digits", num_samples, dtype)
    sizes = (data[0].shape[1], check_count("num_hidden", num_hidden), CLASSES)

    def init(key: Array) -> Layers:
        return relu_layers(key, sizes, dtype)

    return classifier(init, relu_network, data, "digits").arranged(arrange)
