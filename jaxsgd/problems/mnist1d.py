"""MNIST-1D: digits as noisy signals of 40 points, for networks that train in a second."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import scipy
from jax.typing import DTypeLike
from jaxtyping import Array

from jaxsgd.error import InputError, check_counts, shown
from jaxsgd.problem import Problem
from jaxsgd.problems.classifier import classifier
from jaxsgd.problems.dense import Layers, relu_layers, relu_network

GLYPHS = (
    (0.0, 0.6, 0.9, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.9, 0.6, 0.0),  # 0: a long arc on the right
    (0.0, -1.0, -0.8, -0.6, -0.4, -0.2, 0.0, 0.2, 0.4, 0.6, 0.0, 0.0),  # 1: a stroke that leans
    (0.0, 0.6, 0.9, 0.9, 0.6, 0.1, -0.3, -0.6, -0.9, -0.9, -0.6, 0.0),  # 2: right above, left below
    (0.0, 0.6, 0.9, 0.9, 0.5, 0.0, 0.0, 0.5, 0.9, 0.9, 0.6, 0.0),  # 3: two arcs on the right
    (0.0, -0.3, -0.6, -0.9, -1.2, -1.2, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0),  # 4: a corner on the left
    (0.0, -0.9, -0.9, -0.9, -0.9, 0.0, 0.6, 0.9, 0.9, 0.6, -0.2, 0.0),  # 5: flat on the left, then an arc on the right
    (0.0, -0.5, -0.7, -0.8, -1.0, -1.0, -1.0, -1.0, -0.9, -0.8, -0.5, 0.0),  # 6: a long arc on the left
    (0.0, 1.0, 1.0, 0.8, 0.6, 0.4, 0.2, 0.0, -0.2, -0.4, 0.0, 0.0),  # 7: a bar, then a stroke that leans
    (0.0, -0.6, -0.9, -0.9, -0.5, 0.0, 0.0, -0.5, -0.9, -0.9, -0.6, 0.0),  # 8: two arcs on the left
    (0.0, -0.6, -0.9, -0.9, -0.6, 0.0, 0.0, 0.0, 0.0, -0.2, -0.4, 0.0),  # 9: an arc on the left, then a straight stroke
)
"""The ten digits as the path of a pen from top to bottom, 12 points each; positive is right."""

HEIGHT = 1 / 6
"""Standard deviation of a glyph."""

LEAST_PADDING, MOST_PADDING = 36, 60
"""Points of padding after a glyph."""

LENGTH = 12 + MOST_PADDING
"""Points of a signal before it is sampled."""

MOST_SHIFT = 48
"""A signal is shifted by less than that."""

SCALE_SPREAD = 0.4
"""Width of the interval of heights around 1."""

SHEAR_SPREAD = 0.75
"""Width of the interval of slopes around 0, over the whole signal."""

SMOOTH_NOISE, SMOOTH_WIDTH, NOISE = 0.25, 2.0, 0.02
"""Standard deviations of the noise that is smoothed, of the smoothing (in points), and of the noise of each point."""


def _resampling(before: int, after: int) -> np.ndarray:
    """Return the matrix that interpolates a signal linearly, [before, after]."""
    places = np.linspace(0, before - 1, after)
    return np.stack([np.interp(places, np.arange(before), row) for row in np.eye(before)])


@functools.cache
def _glyphs() -> np.ndarray:
    """Return the ten glyphs at their height, [10, 12]; all start at 0."""
    glyphs = np.asarray(GLYPHS)
    return HEIGHT * glyphs / glyphs.std(axis=1, keepdims=True)


def signals(key: Array, label: Array, num_points: int, dtype: DTypeLike) -> Array:
    """Return a signal of each class in `label`, [N, num_points]."""
    pad_key, scale_key, shift_key, smooth_key, noise_key, shear_key = jax.random.split(key, 6)
    count = len(label)
    padding = jax.random.randint(pad_key, (count, 1), LEAST_PADDING, MOST_PADDING + 1)
    # The padded glyph, stretched to LENGTH points: the place in the glyph of each of them.
    place = jnp.arange(LENGTH, dtype=dtype)[None, :] * (11 + padding).astype(dtype) / (LENGTH - 1)
    glyphs = jnp.pad(jnp.asarray(_glyphs(), dtype), ((0, 0), (0, 1)))
    clean = jax.vmap(lambda at, glyph: jnp.interp(at, jnp.arange(13, dtype=dtype), glyph))(place, glyphs[label])
    inside = place < 12
    clean = clean * (1 + SCALE_SPREAD * (jax.random.uniform(scale_key, (count, 1), dtype) - 0.5))
    shift = jax.random.randint(shift_key, (count, 1), 0, MOST_SHIFT)
    source = (jnp.arange(LENGTH)[None, :] - shift) % LENGTH
    clean, inside = (jnp.take_along_axis(values, source, axis=1) for values in (clean, inside))
    smoothing = jnp.asarray(scipy.ndimage.gaussian_filter1d(np.eye(LENGTH), SMOOTH_WIDTH, axis=1), dtype)
    smooth = SMOOTH_NOISE * jax.random.normal(smooth_key, (count, LENGTH), dtype) @ smoothing
    noisy = jnp.where(inside, clean, smooth) + NOISE * jax.random.normal(noise_key, (count, LENGTH), dtype)
    slope = SHEAR_SPREAD * (jax.random.uniform(shear_key, (count, 1), dtype) - 0.5)
    sheared = noisy - slope * jnp.linspace(-0.5, 0.5, LENGTH, dtype=dtype)[None, :]
    return sheared @ jnp.asarray(_resampling(LENGTH, num_points), dtype)


def mnist1d(
    num_samples: int = 5000,
    num_points: int = 40,
    num_hidden: int = 100,
    depth: int = 2,
    dtype: DTypeLike = jnp.float32,
    arrange: str = "given",
) -> Problem:
    """A ReLU network with cross-entropy on digits as one-dimensional signals, after Greydanus and Kobak 2024.

    "Scaling down deep learning with MNIST-1D" (arXiv 2011.14439) makes each sample from one of ten glyphs of 12 points: it is
    padded with 36 to 60 zeros and stretched to 72 points, scaled by up to 20 %, shifted by up to 47 points, surrounded by
    smooth noise, and sheared; then 40 points are taken of it. A network has to find the glyph wherever it is, so that linear
    classifiers do much worse here than networks, which is not so on MNIST. The glyphs are drawn for this package, and their
    numbers are not those of the paper: accuracies are alike, and not the same.

    The samples are drawn with the key of the data; all classes have equally many, to within one. The paper's 4,000 training
    and 1,000 test samples are `held_out=0.2`. Weights start at N(0, 2/inputs) (He et al. 2015), biases at 0.

    Args:
      num_samples: N.
      num_points: D, the points of a signal.
      num_hidden: H, the width of each hidden layer.
      depth: the number of hidden layers; 0 is a linear classifier.
      dtype: of data and parameters; float64 needs JAX's x64 mode.
      arrange: "given", or "label" to sort the samples by class (see `Problem.arranged`).

    Raises:
      InputError: for a size below 1, a depth below 0, or another arrangement.
    """
    num_samples, num_points, num_hidden = check_counts(num_samples=num_samples, num_points=num_points, num_hidden=num_hidden)
    if not (isinstance(depth, int) and depth >= 0):
        raise InputError(f"depth must be a whole number of at least 0, got {shown(depth)}")
    sizes = (num_points, *[num_hidden] * depth, len(GLYPHS))

    def data(key: Array) -> tuple[Array, Array]:
        label_key, signal_key = jax.random.split(key)
        label = jax.random.permutation(label_key, jnp.arange(num_samples, dtype=jnp.int32) % len(GLYPHS))
        return signals(signal_key, label, num_points, dtype), label

    def init(key: Array) -> Layers:
        return relu_layers(key, sizes, dtype)

    return classifier(init, relu_network, data, "mnist1d").arranged(arrange)
