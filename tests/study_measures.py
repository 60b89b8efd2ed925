"""Observables that studies in the tests point at."""

import jax.numpy as jnp


def middle(params, context):
    """The mean of the parameters: a number, of which more is better."""
    del context
    return jnp.mean(params)


vars(middle).update(units="parameters", meaning="mean parameter", better="higher")


def spread(params, context):
    """A dictionary: an array of two numbers with a named dimension, and a number."""
    residual = jnp.mean(context.problem.loss(params, context.data))
    return {"ends": jnp.stack([jnp.min(params), jnp.max(params)]), "loss": residual}


def shapes(params, context):
    """An array whose dimensions have names."""
    del context
    return jnp.stack([params, params**2])


vars(shapes).update(dims=("power", "weight"))


def careless(params, context):
    """An error of the user's own."""
    return params["weights"] + context


def words(params, context):
    """Neither a number nor an array."""
    del params, context
    return "far away"


def of_a_library(params, context):
    """An error that a library raises, which is called from here."""
    del context
    return jnp.dot(params, jnp.ones(99))


NUMBER = 3
"""Something that is no function."""
