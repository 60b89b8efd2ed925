"""A small convolutional network that reads handwritten digits."""

import itertools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from jaxsgd.error import check_count
from jaxsgd.problem import Problem
from jaxsgd.problems.classifier import classifier
from jaxsgd.problems.dense import Layers, relu_layers, relu_network
from jaxsgd.problems.handwriting import CLASSES, digit_images

PIXELS, WINDOW = 8, 3
"""Width of an image and of a kernel."""


class ConvnetParams(NamedTuple):
    """The parameters of `convnet`.

    Attributes:
      kernels: two arrays [3, 3, maps before, maps].
      biases: two arrays [maps].
      output: the one layer from the last maps to the classes.
    """

    kernels: list[Array]
    biases: list[Array]
    output: Layers


def convnet(num_samples: int = 1797, num_maps: int = 8, dtype: DTypeLike = jnp.float32, arrange: str = "given") -> Problem:
    """A convolutional network with cross-entropy on scikit-learn's digits, the data of `digits`.

    Two convolutions with kernels of 3 x 3 and a ReLU each: the first keeps the 8 x 8 pixels, the second has twice as many maps
    and a stride of 2. Then one layer to the ten classes. There is no normalization, so that a sample's loss depends on no
    other sample. Weights start at N(0, 2/inputs) (He et al. 2015), biases at 0.

    Args:
      num_samples: N, the first N images.
      num_maps: maps of the first convolution.
      dtype: of data and parameters; float64 needs JAX's x64 mode.
      arrange: "given" for the file's sequence, or "label" to sort the images by class (see `Problem.arranged`).

    Raises:
      InputError: if scikit-learn is not installed (extra `digits`), for more samples than images, or for a size below 1.
    """
    data = digit_images("convnet", num_samples, dtype)
    num_maps = check_count("num_maps", num_maps)
    maps, strides = (1, num_maps, 2 * num_maps), (1, 2)

    def init(key: Array) -> ConvnetParams:
        *kernel_keys, output_key = jax.random.split(key, len(maps))
        kernels = [
            jax.random.normal(k, (WINDOW, WINDOW, before, after), dtype) * jnp.sqrt(2 / (WINDOW**2 * before)).astype(dtype)
            for k, (before, after) in zip(kernel_keys, itertools.pairwise(maps), strict=True)
        ]
        biases = [jnp.zeros(after, dtype) for after in maps[1:]]
        return ConvnetParams(kernels, biases, relu_layers(output_key, ((PIXELS // 2) ** 2 * maps[-1], CLASSES), dtype))

    def logits(params: ConvnetParams, x: Float[Array, "B D"]) -> Float[Array, "B O"]:
        x = x.reshape(-1, PIXELS, PIXELS, 1)
        for kernel, biases, stride in zip(params.kernels, params.biases, strides, strict=True):
            axes = ("NHWC", "HWIO", "NHWC")
            x = jax.lax.conv_general_dilated(x, kernel, (stride, stride), "SAME", dimension_numbers=axes)
            x = jax.nn.relu(x + biases[None, None, None, :])
        return relu_network(params.output, x.reshape(x.shape[0], -1))

    return classifier(init, logits, data, "convnet").arranged(arrange)
