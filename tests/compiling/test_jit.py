"""XLA's options arrive in whole programs, and parts of programs do without."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsgd.compiling import jit as jit_module
from jaxsgd.compiling.jit import jit, jit_per_problem


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
    monkeypatch.setattr(jit_module, "compiler_options", lambda: {"xla_no_such_option": True})
    with pytest.raises(jax.errors.JaxRuntimeError, match="xla_no_such_option"):
        jit(lambda x: x + 1)(1.0)


class Power:
    """A problem as `jit_per_problem` sees it; `traced` has an entry for each trace."""

    def __init__(self, exponent):
        self.exponent, self.traced = exponent, []


def scaled_power(power, x, scale, steps=1):
    power.traced.append(x)
    return jax.lax.fori_loop(0, steps, lambda _, value: scale * value**power.exponent, x)


def test_a_problem_is_a_static_part_of_its_programs_by_position_and_by_name():
    call = jit_per_problem(scaled_power, static_argnames=("scale", "steps"))
    square, cube = Power(2), Power(3)
    x = jnp.array([1.0, 2.0])
    np.testing.assert_array_equal(call(square, x, 2), [2, 8])
    np.testing.assert_array_equal(call(x=x + 1, power=square, scale=2), [8, 18])
    np.testing.assert_array_equal(call(cube, x, 2), [2, 16])
    # 2 (2 x^2)^2
    np.testing.assert_array_equal(call(square, x, scale=2, steps=2), [8, 128])
    # For each problem and each number of steps; a call by names is another call to JAX.
    assert (len(square.traced), len(cube.traced)) == (3, 1)


def test_a_gradient_in_a_number_that_a_static_argument_closes_over():
    call = jit_per_problem(lambda power, x, function: function(x) ** power.exponent, static_argnames="function")
    square, x = Power(2), jnp.array(3.0)
    # The derivative of (s x)^2 in s is 2 s x^2.
    slope = jax.grad(lambda scale: call(square, x, function=lambda value: scale * value))
    assert float(slope(5.0)) == 90
    with pytest.raises(ValueError, match="of the user"):
        call(square, x, function=fails)


def fails(value):
    raise ValueError("of the user")
