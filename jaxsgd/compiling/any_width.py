"""A function of one cell, compiled once for any number of cells, which run one after another."""

import math
import mmap
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxsgd.compiling.compiler_options import compiler_options

BLOCK_BYTES = 2**20
"""The most memory of the outputs of one call of the program, if they are of several cells."""

MOST_CELLS = 64
"""The most cells of one call: so many hide the time that a call takes besides its work."""


def any_width(function: Callable[[Any], Any], inputs: Any, outputs: Any) -> Callable[[Any], Any]:
    """Return a compiled function for any number of cells: it takes and returns arrays with their axis in front.

    The compiled program runs a block of cells of fixed size, or as many of them as are needed, and is called several times. The
    number of times is an input of its loop, so that a cell has the same bits at every width: XLA compiles a loop of a single
    iteration as if there were none.

    Args:
      function: of one cell.
      inputs: shapes and types of its argument.
      outputs: shapes and types of its value.
    """
    size = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(outputs))
    block = max(2, min(MOST_CELLS, BLOCK_BYTES // max(size, 1)))

    def of_block(given: Any, count: Array) -> Any:
        def next_cell(i: Array, done: Any) -> Any:
            own = jax.tree.map(lambda leaf: jax.lax.dynamic_index_in_dim(leaf, i, keepdims=False), given)
            return jax.tree.map(lambda leaf, value: jax.lax.dynamic_update_index_in_dim(leaf, value, i, 0), done, function(own))

        return jax.lax.fori_loop(0, count, next_cell, jax.tree.map(lambda leaf: jnp.empty(leaf.shape, leaf.dtype), whole))

    of_block.__name__ = function.__name__  # JAX's logs call the program by it
    given, whole = (jax.tree.map(lambda leaf: with_cells(leaf, block), shapes) for shapes in (inputs, outputs))
    count = jax.ShapeDtypeStruct((), np.dtype(np.int32))
    program = jax.jit(of_block).lower(given, count).compile(compiler_options())

    def part_of(given: Any, cells: slice) -> Any:
        # The program does not run the cells that are repeated to fill the block.
        return jax.tree.map(lambda leaf: np.resize(leaf[cells], (block, *leaf.shape[1:])), given)

    def all_cells(given: Any) -> Any:
        width = len(jax.tree.leaves(given)[0])
        arrays: list[np.ndarray] = []
        part: Any = None
        for first in range(0, width, block):
            number = min(block, width - first)
            part = program(part_of(given, slice(first, first + number)), np.int32(number))
            leaves = [np.asarray(jax.random.key_data(leaf) if _has_keys(leaf) else leaf) for leaf in jax.tree.leaves(part)]
            arrays = arrays or [_empty((width, *leaf.shape[1:]), leaf.dtype) for leaf in leaves]
            for array, leaf in zip(arrays, leaves, strict=True):
                array[first : first + number] = leaf[:number]
        return jax.tree.map(
            lambda leaf, array: jax.random.wrap_key_data(array, impl=jax.random.key_impl(leaf)) if _has_keys(leaf) else array,
            part,
            jax.tree.unflatten(jax.tree.structure(part), arrays),
        )

    return all_cells


def with_cells(shape: jax.ShapeDtypeStruct, width: int) -> jax.ShapeDtypeStruct:
    """Return the shape and type of an array of so many cells, from those of one."""
    return jax.ShapeDtypeStruct((width, *shape.shape), shape.dtype, weak_type=shape.weak_type)


def _empty(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Return an array in pages of its own: JAX reads it where it lies, and its memory is the system's again after use."""
    size = math.prod(shape)
    return np.frombuffer(mmap.mmap(-1, max(1, size * dtype.itemsize)), dtype, size).reshape(shape)


def _has_keys(leaf: Array) -> bool:
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
