"""XLA's options arrive in whole programs, and parts of programs do without."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsgd import compiler_options
from jaxsgd.compiler_options import jit


def test_a_program_of_its_own_has_the_options_and_a_part_of_another_program_has_none():
    traced = []

    def third_power(x, scale):
        traced.append(x)
        return scale * x**3

    cube = jit(third_power, static_argnames="scale")
    # The values of 2 x^3 at 1, 2, 3, and of its derivative 6 x^2.
    x = jnp.array([1.0, 2.0, 3.0])
    np.testing.assert_array_equal(cube(x, scale=2), [2, 16, 54])
    cube(x + 1, scale=2)
    assert len(traced) == 1
    # JAX refuses options in a part of a program.
    np.testing.assert_array_equal(jax.jit(lambda x: cube(x, scale=2))(x), [2, 16, 54])
    np.testing.assert_array_equal(jax.vmap(lambda x: cube(x, scale=2))(x), [2, 16, 54])
    np.testing.assert_array_equal(jax.vmap(jax.grad(lambda x: cube(x, scale=2)))(x), [6, 24, 54])
    # Within `jit` the arguments themselves may be constants.
    np.testing.assert_array_equal(jax.jit(lambda y: y + cube(np.float32(2), scale=2))(x), [17, 18, 19])


def test_the_options_arrive_at_the_compiler(monkeypatch):
    monkeypatch.setattr(compiler_options, "compiler_options", lambda: {"xla_no_such_option": True})
    with pytest.raises(jax.errors.JaxRuntimeError, match="xla_no_such_option"):
        jit(lambda x: x + 1)(1.0)
