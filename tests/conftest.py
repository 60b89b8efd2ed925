"""Strict JAX for every test, one cache of compiled programs for all of them, and the fixtures that they share."""

import gc
import os
from importlib import metadata
from pathlib import Path

from packaging.version import Version

# The tests are of the CPU, also on a machine with a GPU.
os.environ.setdefault("JAX_PLATFORMS", "cpu")

# LLVM's first level, as programs are compiled for users (`jaxsgd.compiling.compiler_options`), and no XLA emitters of fused
# loops: a program compiles in less than half the time. Networks run two to three times slower, which small sizes hardly notice.
# By default XLA cuts a program into parts and compiles them side by side; as one part a small one takes a third less CPU time.
# Three passes make long loops faster, and the loops of tests are short: without them programs compile in a tenth less time.
# Each flag is there once, though the workers of pytest have them already from the process that starts them: the names under
# which compiled programs are kept depend on the flags.
os.environ["XLA_FLAGS"] = " ".join(
    dict.fromkeys(
        [
            *os.environ.get("XLA_FLAGS", "").split(),
            "--xla_backend_optimization_level=1",
            # JAX 0.11 no longer knows this flag, and an unknown one ends the process.
            *(["--xla_cpu_use_fusion_emitters=false"] if Version(metadata.version("jaxlib")) < Version("0.11") else []),
            "--xla_cpu_parallel_codegen_split_count=1",
            "--xla_disable_hlo_passes=while-loop-invariant-code-motion,small-while-loop-hoisting,cpu-parallel-task-assigner",
        ]
    )
)

# Without this the names depend on the path of the folder too, and a copy of the folder is of no use elsewhere. It is for the
# processes that tests start; in this one JAX may be imported already, so it is told below.
os.environ["JAX_PERSISTENT_CACHE_ENABLE_XLA_CACHES"] = "none"

# JAX writes ten frames of Python's stack beside each operation of a program, in a tenth of the time to lower it. No test reads
# them.
os.environ["JAX_TRACEBACK_IN_LOCATIONS_LIMIT"] = "0"

# NumPy's products are small here, and pytest's workers share the cores. With a thread for each core, OpenBLAS waits in loops,
# which were nine tenths of the oracle's time. NumPy has been loaded by pytest's plugins before this file; SciPy and the
# processes that tests start read the variable.
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import jax
import jaxtyping
import pytest
import threadpoolctl
from hypothesis import settings

from jaxsgd.engine import loss_cost
from jaxsgd.engine.program_cache import PROGRAMS
from jaxsgd.engine.program_folder import environment_of_programs, keep_programs, processor_kind
from jaxsgd.engine.speed import PARTS, USUAL, keep

threadpoolctl.threadpool_limits(1, user_api="blas")
jax.config.update("jax_persistent_cache_enable_xla_caches", os.environ["JAX_PERSISTENT_CACHE_ENABLE_XLA_CACHES"])
jax.config.update("jax_traceback_in_locations_limit", 0)
jax.config.update("jax_numpy_rank_promotion", "raise")

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / ".pytest_cache" / "programs" / processor_kind()
"""What the tests compile is kept here: for all workers of pytest, for the processes that tests start, and for the next time."""
MOST_BYTES = 2 * 2**30
"""Programs of older versions of the code go when the folder is larger than this."""

FULLY_OPTIMIZED = (
    "validation",
    "test_article_command.py",
    "test_notebooks.py",
    "test_readme.py",
    "test_reference_result.py",
    "test_the_articles_network_and_sizes",
)
"""The tests, by folder, file or name, that run programs as XLA optimizes them for users: those that store numbers or that
compute for long. All others compare within a tolerance, or like with like, and are compiled with little optimization, which
takes less time.
"""

FIRST = (
    "test_docs.py",
    "test_notebooks.py",
    "test_article_command.py",
    "test_simulator_against_reference.py",
    "test_microstep.py",
    "test_distributed_run.py",
    "test_dask.py",
    "test_compilation.py",
    "test_interruptions.py",
    "test_memory.py",
    "test_influence.py",
)
"""The files that take longest. Each is one worker's, so that a long one begun last would leave the other worker idle."""

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


def pytest_sessionstart(session):
    """Keep the folder of programs within its size; the workers of pytest leave that to the process that starts them."""
    if hasattr(session.config, "workerinput"):
        return
    files = sorted(FOLDER.glob("*"), key=lambda path: path.stat().st_mtime) if FOLDER.is_dir() else []
    size = sum(path.stat().st_size for path in files)
    for path in files:
        if size <= MOST_BYTES:
            break
        size -= path.stat().st_size
        path.unlink()


def pytest_collection_modifyitems(items):
    """Put the longest files first; the others stay in their order."""
    # Packages and tests stay to the end. Tracing makes many objects that live long, and Python searched them again and again.
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    items.sort(key=lambda item: FIRST.index(item.path.name) if item.path.name in FIRST else len(FIRST))


@pytest.fixture(scope="session", autouse=True)
def programs():
    """The folder of compiled programs. What the tests' processes and threads compile goes there too."""
    assert keep_programs(FOLDER) == FOLDER
    # In the place of a measured speed, so that all machines plan alike.
    for part, measurement in PARTS.items():
        keep(FOLDER, part, {name: getattr(USUAL, name) for name in measurement.names})
    os.environ.update(environment_of_programs())
    return FOLDER


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """Have a test, all its fixtures and the processes that they start compile as `FULLY_OPTIMIZED` says."""
    own = (*item.path.relative_to(ROOT / "tests").parts, getattr(item, "originalname", ""))
    little = not any(part in FULLY_OPTIMIZED for part in own)
    if jax.config.values["jax_disable_most_optimizations"] != little:
        # JAX's own memory of compiled functions does not know this setting.
        jax.clear_caches()
        jax.config.update("jax_disable_most_optimizations", little)
    os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = str(int(little))


@pytest.fixture
def nothing_compiled():
    """A process that has compiled nothing yet, for tests that count what is."""
    jax.clear_caches()
    PROGRAMS.clear()
    loss_cost.COSTS.clear()
