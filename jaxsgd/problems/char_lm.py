"""A small transformer that predicts the next character of a text."""

import functools
import math
import pydoc_data.topics
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int

from jaxsgd.error import InputError, check_count, check_counts
from jaxsgd.problem import Problem

ALPHABET = "\n" + "".join(map(chr, range(32, 127)))
"""The characters: the end of a line, and the 95 of ASCII that can be printed. All others are read as a question mark."""

WIDEN = 4
"""Width of the layer between the two of a block's network, in widths of the block."""


class Norm(NamedTuple):
    """The scale and the shift of a layer normalization, [W] each."""

    scale: Array
    shift: Array


class Block(NamedTuple):
    """The parameters of one layer: attention, then a network of two layers at each place, each added to its input.

    Attributes:
      before_attention: normalization of the attention's input.
      queries, keys, values: [W, heads, W / heads].
      attended: back to the width of the block, [heads, W / heads, W].
      before_network: normalization of the network's input.
      wide, wide_bias: its first layer, [W, 4 W] and [4 W].
      narrow, narrow_bias: its second layer, [4 W, W] and [W].
    """

    before_attention: Norm
    queries: Array
    keys: Array
    values: Array
    attended: Array
    before_network: Norm
    wide: Array
    wide_bias: Array
    narrow: Array
    narrow_bias: Array


class Transformer(NamedTuple):
    """The parameters of `char_lm`.

    Attributes:
      characters: a vector for each character, [96, W].
      places: a vector for each place of the context, [C, W].
      blocks: the layers.
      last: the normalization after them.
      output: to the logits of the next character, [W, 96].
    """

    characters: Array
    places: Array
    blocks: list[Block]
    last: Norm
    output: Array


@functools.cache
def documentation() -> np.ndarray:
    """Return Python's own help on its language as numbers of characters in `ALPHABET`, [characters].

    It is the text of `pydoc_data.topics`, the topics in the sequence of their names with an empty line between them.
    """
    topics = pydoc_data.topics.topics
    text = "\n\n".join(topics[name] for name in sorted(topics))
    number = {character: place for place, character in enumerate(ALPHABET)}
    return np.array([number.get(character, number["?"]) for character in text], np.int32)


def char_lm(
    num_samples: int = 4096,
    context: int = 32,
    width: int = 32,
    depth: int = 1,
    num_heads: int = 4,
    dtype: DTypeLike = jnp.float32,
) -> Problem:
    """A transformer that predicts each next character of Python's own documentation, with cross-entropy.

    A sample is a window of C + 1 characters. The first C are read, and at each of these places the next character is predicted
    from those up to it. The loss of a sample is the mean over its C places, in nats per character; its accuracy is the share of
    the characters that are predicted right. The model is a GPT-2 (Radford et al. 2019) without dropout: vectors of characters
    and places, layers of causal attention and of a network with a GELU, each with a layer normalization before it, and no
    parameters that the input and the output share. A sample's loss depends on no other sample. Weights start at N(0, 1/inputs),
    the vectors of characters and places at N(0, 1), biases at 0. The default has 19,808 parameters.

    The text is the help on the language that comes with Python, `pydoc_data.topics`, 465,000 characters in Python 3.11. It is
    read from the standard library that is running, so **another version of Python has another text**, and losses differ a
    little. A stored result keeps the SHA-256 of its samples, and goes on only with the same text. The windows follow one
    another in the text, so `fixed` shows the effect of a file's order. The text repeats itself: of the default windows 18 %
    stand in another place of it too (Python 3.11), so a held-out loss is lower than that on a text that is really new.

    Args:
      num_samples: N, the first N windows.
      context: C, the characters that are read.
      width: W, of the vector at each place.
      depth: the number of layers.
      num_heads: of the attention; W must be a multiple of it.
      dtype: of the parameters; float64 needs JAX's x64 mode.

    Raises:
      InputError: for a size below 1, more windows than the text has, or a width that is no multiple of the heads.
    """
    text = documentation()
    context = check_count("context", context, len(text) - 1, "the length of the text")
    num_samples = check_count("num_samples", num_samples, (len(text) - 1) // context, "the windows of the text")
    width, depth, num_heads = check_counts(width=width, depth=depth, num_heads=num_heads)
    if width % num_heads:
        raise InputError(f"width must be a multiple of num_heads, {num_heads}, got {width}")
    data = np.lib.stride_tricks.sliding_window_view(text, context + 1)[: num_samples * context : context].copy()

    def init(key: Array) -> Transformer:
        return _init_transformer(key, context, width, depth, num_heads, dtype)

    def loss(params: Transformer, windows: Int[Array, "B _"]) -> Float[Array, " B"]:
        logits = transformer(params, windows[:, :-1])
        return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(logits, windows[:, 1:]), axis=1)

    def accuracy(params: Transformer, windows: Int[Array, "B _"]) -> Float[Array, " B"]:
        return jnp.mean(jnp.argmax(transformer(params, windows[:, :-1]), axis=-1) == windows[:, 1:], axis=1, dtype=dtype)

    origin = f"pydoc_data.topics, {len(text):,} characters"
    return Problem(
        init, loss, data, accuracy=accuracy, name="char_lm", origin=origin, loss_unit="cross-entropy, nats per character"
    )


def _init_transformer(key: Array, context: int, width: int, depth: int, num_heads: int, dtype: DTypeLike) -> Transformer:
    characters, head, wide = len(ALPHABET), width // num_heads, WIDEN * width
    # One draw for all weights: a draw of each shape would take longer to compile than the model.
    drawn = jax.random.normal(key, ((2 * characters + context + depth * (4 * width + 2 * wide)) * width,), dtype)
    taken = 0

    def weights(*shape: int, inputs: int) -> Array:
        nonlocal taken
        part = drawn[taken : taken + math.prod(shape)].reshape(shape)
        taken += part.size
        return part / jnp.sqrt(inputs).astype(dtype)

    def norm() -> Norm:
        return Norm(jnp.ones(width, dtype), jnp.zeros(width, dtype))

    def block() -> Block:
        return Block(
            before_attention=norm(),
            queries=weights(width, num_heads, head, inputs=width),
            keys=weights(width, num_heads, head, inputs=width),
            values=weights(width, num_heads, head, inputs=width),
            attended=weights(num_heads, head, width, inputs=width),
            before_network=norm(),
            wide=weights(width, wide, inputs=width),
            wide_bias=jnp.zeros(wide, dtype),
            narrow=weights(wide, width, inputs=wide),
            narrow_bias=jnp.zeros(width, dtype),
        )

    return Transformer(
        characters=weights(characters, width, inputs=1),
        places=weights(context, width, inputs=1),
        blocks=[block() for _ in range(depth)],
        last=norm(),
        output=weights(width, characters, inputs=width),
    )


def transformer(params: Transformer, characters: Int[Array, "B C"]) -> Float[Array, "B C O"]:
    """Return the logits of the next character at each place, [B, C, 96]."""
    # A product with one-hot vectors: the gradient of a look-up would add in any sequence on a GPU.
    x = jax.nn.one_hot(characters, len(ALPHABET), dtype=params.characters.dtype) @ params.characters + params.places[None]
    for block in params.blocks:
        x = x + _attention(block, _normalized(block.before_attention, x))
        hidden = _normalized(block.before_network, x) @ block.wide + block.wide_bias[None, None]
        x = x + jax.nn.gelu(hidden) @ block.narrow + block.narrow_bias[None, None]
    return _normalized(params.last, x) @ params.output


def _normalized(norm: Norm, x: Float[Array, "B C W"]) -> Float[Array, "B C W"]:
    centred = x - jnp.mean(x, axis=-1, keepdims=True)
    variance = jnp.mean(centred**2, axis=-1, keepdims=True)
    return centred * jax.lax.rsqrt(variance + 1e-5) * norm.scale[None, None] + norm.shift[None, None]


def _attention(block: Block, x: Float[Array, "B C W"]) -> Float[Array, "B C W"]:
    """Return the causal attention of all heads."""
    queries, keys, values = (jnp.einsum("bcw,whd->bhcd", x, part) for part in (block.queries, block.keys, block.values))
    scores = jnp.einsum("bhcd,bhed->bhce", queries, keys) / np.sqrt(queries.shape[-1]).astype(x.dtype)
    earlier = jnp.tril(jnp.ones(scores.shape[-2:], bool))
    weights = jax.nn.softmax(jnp.where(earlier[None, None], scores, -jnp.inf), axis=-1)
    return jnp.einsum("bhce,bhed,hdw->bcw", weights, values, block.attended)
