"""Arrays that are mapped over before a loop begins: their values, and the passes of JAX that they save."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_batching import custom_vmap

from jaxsgd.compiling.mapped import mapped_like


def test_the_values_stay_and_are_mapped_over_where_the_others_are():
    tree = {"a": jnp.arange(3), "b": jnp.zeros(())}
    alone = mapped_like(tree, 1.0)
    jax.tree.map(np.testing.assert_array_equal, alone, tree)
    # Of the two maps, the inner one has no part in what the arrays are to be like.
    mapped = jax.vmap(lambda x: jax.vmap(lambda y: (mapped_like(tree, x), y))(jnp.ones(2))[0])(jnp.ones(4))
    jax.tree.map(lambda leaf, own: np.testing.assert_array_equal(leaf, np.broadcast_to(own, leaf.shape)), mapped, tree)
    assert jax.tree.map(np.shape, mapped) == {"a": (4, 2, 3), "b": (4, 2)}


def passes(start):
    """The number of times that JAX maps the body of a loop over runs, whose sum begins with `start(x)`."""
    mapped = []

    @custom_vmap
    def noted(x):
        return x

    @noted.def_vmap
    def note(axis_size, in_batched, x):
        mapped.append(in_batched)
        return x, in_batched[0]

    def run(x):
        return jax.lax.fori_loop(0, 3, lambda _, total: total + noted(x), start(x))

    np.testing.assert_array_equal(jax.vmap(run)(jnp.arange(4.0)), 3 * np.arange(4))
    return len(mapped)


def test_a_loop_is_mapped_in_one_pass():
    once = passes(lambda x: mapped_like(jnp.zeros(()), x))
    # The first pass learns that the sum differs between runs.
    assert passes(lambda x: jnp.zeros(())) > once


def test_a_derivative_may_be_taken_of_what_is_added_to_them():
    def total(x):
        return mapped_like(jnp.zeros(()), x) + x**2

    np.testing.assert_array_equal(jax.vmap(jax.grad(total))(jnp.arange(3.0)), 2 * np.arange(3))
    assert jax.grad(total)(3.0) == 6
