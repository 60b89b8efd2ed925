"""Strict JAX for every test, and the fixtures that they share."""

import jax
import jaxtyping
import pytest
from hypothesis import settings
from jax.experimental.compilation_cache import compilation_cache

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


@pytest.fixture(scope="session")
def programs(tmp_path_factory):
    """A folder for compiled programs, new for each session and process."""
    return tmp_path_factory.mktemp("programs")


@pytest.fixture(scope="module")
def compiled_once(programs):
    """The same program is compiled once in a session, for nearly all the time of a small sweep is compiling."""
    wanted = {
        "jax_compilation_cache_dir": str(programs),
        "jax_persistent_cache_min_compile_time_secs": 0,
        "jax_persistent_cache_min_entry_size_bytes": -1,
    }
    before = {name: getattr(jax.config, name) for name in wanted}
    for changed in (wanted, before):
        for name, value in changed.items():
            jax.config.update(name, value)
        compilation_cache.reset_cache()
        if changed is wanted:
            yield
