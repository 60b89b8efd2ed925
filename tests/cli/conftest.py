"""The command line as its users run it: in this process, or as a process of its own where that is what is shown."""

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import jax
import jaxtyping
import numpy as np
import pytest
from filelock import FileLock

from jaxsgd.engine.program_folder import environment_of_programs
from tests.python_process import text_of

COMMAND = (sys.executable, "-c", "from jaxsgd.cli import main; main()")


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory, worker_id):
    """A folder that all workers of one pytest run see."""
    base = tmp_path_factory.getbasetemp()
    return base if worker_id == "master" else base.parent


@pytest.fixture(scope="session")
def user_environment(shared_folder, programs):
    """The process's environment with the tests' compiled programs, and without other settings of JAX or of a terminal."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name == "JAX_PERSISTENT_CACHE_ENABLE_XLA_CACHES" or not name.startswith(("JAX_", "COLUMNS"))
    }
    return kept | environment_of_programs() | {"XDG_CACHE_HOME": str(shared_folder / "cache"), "JAX_PLATFORMS": "cpu"}


@pytest.fixture
def environment(user_environment):
    """The same for a process that optimizes its programs as this one does, so that both share them."""
    return user_environment | {"JAX_DISABLE_MOST_OPTIMIZATIONS": os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"]}


@contextlib.contextmanager
def as_a_user(folder):
    """In a folder, with the settings of JAX and Python that users have; the folder's modules are forgotten at the end."""
    modules, path = set(sys.modules), list(sys.path)
    jaxtyping.config.update("jaxtyping_disable", True)
    # In the threads that a sweep starts too.
    jax.config.update("jax_numpy_rank_promotion", "allow")
    try:
        with contextlib.chdir(folder), warnings.catch_warnings():
            warnings.simplefilter("default")
            yield
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)
        jax.config.update("jax_numpy_rank_promotion", "raise")
        sys.path[:] = path
        for name in set(sys.modules) - modules:
            if str(getattr(sys.modules[name], "__file__", None)).startswith(str(folder)):
                del sys.modules[name]


@pytest.fixture(scope="session")
def jaxsgd_command(programs):
    """Runs `jaxsgd` with the given words in this process; returns its status and its text as those of a process."""
    from jaxsgd.cli.errors import run_app

    def run(*words, cwd):
        out, err = io.StringIO(), io.StringIO()
        with as_a_user(cwd), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = run_app([str(word) for word in words])
        return subprocess.CompletedProcess(words, status, out.getvalue(), err.getvalue())

    return run


@pytest.fixture(scope="session")
def jaxsgd_process(user_environment):
    """Runs `jaxsgd` with the given words as a process of its own; returns the finished process with its text."""

    def run(*words, cwd, **changes):
        optimization = {"JAX_DISABLE_MOST_OPTIMIZATIONS": os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"]}
        command = [*COMMAND, *map(str, words)]
        variables = user_environment | optimization | changes
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with subprocess.Popen(command, cwd=cwd, env=variables, text=True, **pipes) as process:
            out, err = text_of(process)
        return subprocess.CompletedProcess(command, process.returncode, out, err)

    return run


def once(folder: Path, make):
    """Return the folder, filled by `make` in the first worker that asks; the others wait for it, and see when it has died."""
    with FileLock(folder.with_suffix(".lock")):
        if not folder.exists():
            folder.mkdir()
            make(folder)
    return folder


OPTIMIZED = {
    "JAX_DISABLE_MOST_OPTIMIZATIONS": "0",
    "XLA_FLAGS": "--xla_backend_optimization_level=1 --xla_cpu_parallel_codegen_split_count=1",
}
"""Environment of the article, which trains too many runs to be cheap with little optimization. LLVM's first level, which the
programs of a sweep have for users too, compiles its measures in 10 CPU seconds and not in 16, and they run as fast.
"""


COMMANDS = """
import gc, json, os, sys
from pathlib import Path
from jaxsgd.cli import NEW_OBJECTS
from jaxsgd.cli.errors import run_app

gc.set_threshold(NEW_OBJECTS)  # as the command does
for name, words in json.loads(sys.argv[1]).items():
    for stream in (sys.stdout, sys.stderr):
        file = os.open(f"{name}.{stream.name.strip('<>')}", os.O_WRONLY | os.O_CREAT)
        os.dup2(file, stream.fileno())
        os.close(file)
    status = run_app(words)
    sys.stdout.flush()
    Path(f"{name}.status").write_text(str(status))
"""
"""A process that runs several commands one after the other: all that it writes for each is in files of that command's name."""


@pytest.fixture(scope="session")
def article_run(shared_folder, user_environment):
    """A folder in which `jaxsgd article --quick` was killed in `again`, ran from beginning to end, and was finished in `again`
    with --json; then its studies were run on their own. The text of each is in files; what the killed one left is in `killed`.

    The three that are not killed run in one process, which needs each program once.
    """
    variables = user_environment | OPTIMIZED

    def make(folder):
        words = [*COMMAND, "article", "--quick", "--out", "again"]
        with subprocess.Popen(words, cwd=folder, env=variables, stdout=subprocess.PIPE, text=True) as process:
            while process.stdout.readline() != "wrote again/striped.png\n":
                assert process.poll() is None
            process.kill()
        shutil.copytree(folder / "again", folder / "killed")
        (folder / "quick.py").write_text("from jaxsgd.article import article_studies\nSTUDIES = article_studies(quick=True)\n")
        article = ["article", "--quick"]
        commands = {
            "text": article,
            "json": [*article, "--json", "--out", "again", "--html", "article.html"],
            "studies": ["run", "quick.py", "--out", "results/article_quick"],
        }
        words = [sys.executable, "-c", COMMANDS, json.dumps(commands)]
        with subprocess.Popen(words, cwd=folder, env=variables) as process:
            text_of(process)
        assert process.returncode == 0

    return once(shared_folder / "article_run", make)


@pytest.fixture
def samples(tmp_path):
    """A file of 60 samples of two inputs, `t` their squares' sum, in no order."""
    x = np.random.default_rng(0).normal(size=(60, 2))
    np.savez(tmp_path / "samples.npz", x=x, t=(x**2).sum(axis=1))
    return tmp_path / "samples.npz"
