"""Static arguments that are compared by their parts."""

import functools
import types

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxsgd.compiling.static import Static
from jaxsgd.order import as_order

MAKERS = {
    "sgd": lambda rate: optax.sgd(rate),
    "momentum": lambda rate: optax.sgd(rate, momentum=0.9, nesterov=True),
    "adam": lambda rate: optax.adam(rate, b1=0.8),
    "chain": lambda rate: optax.chain(optax.clip(1.0), optax.add_decayed_weights(1e-4), optax.adamw(rate)),
    "schedule": lambda rate: optax.sgd(optax.cosine_decay_schedule(rate, 100)),
    "lookahead's parts": lambda rate: optax.contrib.schedule_free_sgd(rate),
    "partial": lambda rate: functools.partial(optax.sgd, rate),
    "numpy": lambda rate: optax.sgd(np.float32(rate)),
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_what_is_made_in_the_same_way_is_equal_and_what_differs_in_a_number_is_not(make):
    first, second, other = Static(make(0.1)), Static(make(0.1)), Static(make(0.2))
    assert first.value is not second.value
    assert first == second
    assert hash(first) == hash(second)
    assert first != other


def test_an_order_with_a_number_is_that_of_its_name():
    assert Static(as_order("buffer(10)")) == Static(as_order("buffer(10)"))
    assert Static(as_order("buffer(10)")) != Static(as_order("buffer(11)"))
    assert Static(as_order("fixed")) != Static(as_order("reshuffle"))


def test_numbers_of_another_type_or_sign_differ():
    values = [1, 1.0, True, np.float32(1), "1", 0.0, -0.0, None, (1,), [1], {"a": 1}, {"a": 2}]
    assert len({Static(value) for value in values}) == len(values)
    assert Static(float("nan")) == Static(float("nan"))


def test_the_users_own_functions_and_arrays_are_equal_to_themselves_alone():
    rate = 0.1

    def constant():
        return lambda step: rate

    own, array = constant(), jnp.ones(2)
    assert Static(own) == Static(own)
    assert Static(own) != Static(constant())
    assert Static(optax.sgd(own)) == Static(optax.sgd(own))
    assert Static(optax.sgd(own)) != Static(optax.sgd(constant()))
    assert Static((array,)) == Static((array,))
    assert Static((array,)) != Static((jnp.ones(2),))


def installed(factor):
    """Returns a function that closes over itself and over a number, as one of an installed package."""

    def power(value, times):
        return factor if times == 0 else power(value, times - 1) * value

    recursive = types.FunctionType(power.__code__, power.__globals__, "power", closure=power.__closure__)
    recursive.__module__ = power.__module__ = "optax"
    recursive.__qualname__ = power.__qualname__
    return recursive


def test_a_function_may_close_over_itself():
    assert Static(installed(2)) == Static(installed(2))
    assert Static(installed(2)) != Static(installed(3))
