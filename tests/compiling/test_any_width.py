"""The program that serves any number of cells, against the function itself."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsgd.compiling.any_width import MOST_CELLS, any_width


def squares(given):
    return {"square": given["seed"] ** 2, "row": given["seed"] + jnp.arange(3.0)}


def keys(given):
    key = jax.random.key(given["seed"].astype(jnp.uint32))
    return jax.random.split(key, 2), jax.random.uniform(key)


def large(given):
    return jnp.full(2**17, given["seed"])


SEED = {"seed": jax.ShapeDtypeStruct((), np.dtype(np.float32))}


def seeds(width):
    return {"seed": np.arange(width, dtype=np.float32)}


def of_any_width(function):
    return any_width(function, SEED, jax.eval_shape(function, SEED))


def test_one_program_serves_widths_below_at_and_above_a_block():
    compiled = of_any_width(squares)
    for width in (1, 2, MOST_CELLS, MOST_CELLS + 1, 2 * MOST_CELLS + 5):
        numbers = compiled(seeds(width))
        np.testing.assert_array_equal(numbers["square"], np.arange(width, dtype=np.float32) ** 2)
        np.testing.assert_array_equal(
            numbers["row"], np.arange(width, dtype=np.float32)[:, None] + np.arange(3, dtype=np.float32)
        )


def test_cells_of_large_arrays_are_run_in_small_blocks():
    # Half a MiB each: two fit into a call.
    np.testing.assert_array_equal(of_any_width(large)(seeds(5))[:, -1], np.arange(5))


def test_random_keys_are_among_the_arrays():
    split, uniform = of_any_width(keys)(seeds(MOST_CELLS + 2))
    expected = [keys({"seed": jnp.float32(seed)}) for seed in range(MOST_CELLS + 2)]
    np.testing.assert_array_equal(jax.random.key_data(split), np.stack([jax.random.key_data(key) for key, _ in expected]))
    np.testing.assert_array_equal(uniform, np.stack([number for _, number in expected]))


def test_a_cell_that_is_not_wanted_is_not_run():
    ran = []

    def noted(given):
        jax.debug.callback(lambda seed: ran.append(float(seed)), given["seed"])
        return given["seed"]

    compiled = of_any_width(noted)
    compiled(seeds(3))
    jax.effects_barrier()
    assert ran == [0, 1, 2]


@pytest.mark.parametrize("width", [1, 3])
def test_a_cell_has_the_same_bits_at_every_width(width):
    # With a product and a sum that XLA may or may not join.
    def random_walk(given):
        steps = jax.random.normal(jax.random.key(given["seed"].astype(jnp.uint32)), (50,))
        return jnp.cumsum(steps * 0.1 + given["seed"])

    compiled = of_any_width(random_walk)
    assert compiled(seeds(width)).tobytes() == compiled(seeds(MOST_CELLS + 1))[:width].tobytes()
