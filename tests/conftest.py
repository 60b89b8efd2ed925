"""Strict JAX for every test, and the fixtures that they share."""

import jax
import jaxtyping
import pytest
from hypothesis import settings

jax.config.update("jax_numpy_rank_promotion", "raise")

settings.register_profile("same_examples_every_time", derandomize=True, deadline=None, database=None)
settings.load_profile("same_examples_every_time")


@pytest.fixture
def x64():
    """float64 for one test."""
    with jax.enable_x64(True):
        yield


@pytest.fixture
def unchecked():
    """The package as its users have it: without the check of annotations, which would refuse a wrong type before it does."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
