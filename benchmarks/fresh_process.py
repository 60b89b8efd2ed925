"""Measurements that need a new process: the time of a start, and time and memory over the number of runs."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxsgd.engine.execution import Execution
from jaxsgd.engine.plan import plan
from jaxsgd.results.load import keyed
from jaxsgd.results.store import Folder
from jaxsgd.study.study import Study

try:
    import resource
except ImportError:  # Windows has none
    resource = None

COMMAND = (sys.executable, "-c", "from jaxsgd.cli import main; main()")


def start_seconds(words: Sequence[str], starts: int) -> list[float]:
    """Seconds that a command takes from start to end, `starts` times one after another with a new cache of programs.

    Raises:
      subprocess.CalledProcessError: when the command fails.
    """
    taken = []
    with tempfile.TemporaryDirectory() as folder:
        inside = {**os.environ, "JAX_COMPILATION_CACHE_DIR": str(Path(folder) / "cache")}
        for turn in range(starts):
            began = time.perf_counter()
            out = ["--out", str(Path(folder) / str(turn))]
            subprocess.run([*COMMAND, *words, *out], check=True, capture_output=True, env=inside)
            taken.append(time.perf_counter() - began)
    return taken


class Many(NamedTuple):
    """Time, memory and size of a sweep of many short runs.

    Attributes:
      runs: how many.
      seconds: running and storing, compiling apart.
      store_seconds: of these, storing.
      peak_bytes: the process's largest memory.
      result_bytes: on disk.
    """

    runs: int
    seconds: float
    store_seconds: float
    peak_bytes: int
    result_bytes: int


RATES = 20
COUNTS = (1, 2, 5, 10, 20)


def short_runs(runs: int) -> Study:
    """Many short runs of least squares, with 20 rates and 5 batch counts; a multiple of 100."""
    return Study(
        problem="least_squares",
        problem_args={"num_samples": 100, "num_inputs": 10},
        seeds=range(runs // (RATES * len(COUNTS))),
        batch_counts=COUNTS,
        learning_rates=np.geomspace(1e-3, 1e-1, RATES).tolist(),
        orders=["reshuffle"],
        epochs=10,
        record="epoch",
    )


def run_many(runs: int, folder: Path) -> Many:
    """Runs and stores them in this process, as a sweep does."""
    study = short_runs(runs)
    planned = plan(study, vectorize="grouped")
    execution, place = Execution(planned), Folder(folder)
    # Compiled before the clock starts: one chunk of every program.
    first = {chunk.program: number for number, chunk in reversed(list(enumerate(planned.chunks)))}
    execution.run_all(first.values(), lambda number, arrays: None)
    storing, keys = 0.0, planned.cells.keys()

    def store(number: int, arrays: Any) -> None:
        nonlocal storing
        began = time.perf_counter()
        place.write_chunk(number, keyed(arrays, keys), study.fixed_identity)
        storing += time.perf_counter() - began

    began = time.perf_counter()
    with place.locked():
        execution.run_all(range(len(planned.chunks)), store)
    seconds = time.perf_counter() - began
    written = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return Many(runs, seconds, storing, _peak_bytes(), written)


def _peak_bytes() -> int:
    """The largest memory that this process has had; 0 where the system does not tell."""
    if resource is None:
        return 0
    # Linux counts in KiB, macOS in bytes.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def many_runs(counts: Sequence[int], repeats: int) -> list[Many]:
    """`run_many` for several numbers of runs, each in a process of its own, in interleaved rounds."""
    measured = []
    script = (
        "import json, sys, pathlib; from benchmarks.fresh_process import run_many; "
        "print(json.dumps(run_many(int(sys.argv[1]), pathlib.Path(sys.argv[2]))))"
    )
    for turn in range(repeats):
        for runs in list(counts)[:: 1 if turn % 2 == 0 else -1]:
            with tempfile.TemporaryDirectory() as folder:
                words = [sys.executable, "-c", script, str(runs), str(Path(folder) / "result")]
                done = subprocess.run(words, check=True, capture_output=True, text=True)
            measured.append(Many(*json.loads(done.stdout)))
    return measured
