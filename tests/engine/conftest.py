"""What the engine's tests share."""

import jax
import pytest
from jax.experimental.compilation_cache import compilation_cache


@pytest.fixture(scope="session")
def programs(tmp_path_factory):
    """A folder for compiled programs, new for each session and process."""
    return tmp_path_factory.mktemp("programs")


@pytest.fixture(scope="module")
def compiled_once(programs):
    """The same program is compiled once in a session, for nearly all the time of a small sweep is compiling."""
    settings = {
        "jax_compilation_cache_dir": str(programs),
        "jax_persistent_cache_min_compile_time_secs": 0,
        "jax_persistent_cache_min_entry_size_bytes": -1,
    }
    before = {name: getattr(jax.config, name) for name in settings}
    for changed in (settings, before):
        for name, value in changed.items():
            jax.config.update(name, value)
        compilation_cache.reset_cache()
        if changed is settings:
            yield
