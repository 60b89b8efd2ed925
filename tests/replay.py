"""Sweeps whose chunks are read from a finished result in place of being computed, so that what stores them can be made to fail
many times a second; and the calls to the system at which it is made to.

Everything but the computing is the real thing: plan, lock, files, flushing, renaming, manifest.
"""

import os
from contextlib import contextmanager

import numpy as np

import jaxsgd
from jaxsgd.engine import dispatch
from jaxsgd.engine import sweep as sweep_module
from jaxsgd.engine.plan import plan
from jaxsgd.machine import git_commit
from jaxsgd.results.load import stored_chunks
from jaxsgd.results.store import Folder

CALLS = ("write", "fsync", "replace")
"""The functions of `os` by which the store changes a disk."""

STUDY = jaxsgd.Study(
    problem="least_squares", problem_args={"num_samples": 20, "num_inputs": 3}, seeds=range(6), batch_counts=[2],
    learning_rates=[0.1], epochs=2,
)  # fmt: skip
HELD = {"vectorize": "one_program", "chunk_width": 2, "lanes": 1}
CHUNKS = 3


def replaying(whole):
    """Has every sweep of the study take its chunks from a folder, and be planned once."""
    planned = plan(STUDY, **HELD)
    chunks = [chunk.arrays for chunk in stored_chunks(Folder(whole), STUDY, planned.cells, planned.form)]
    assert len(chunks) == CHUNKS
    # All cells by seed: a study of other seeds of these makes other chunks of them.
    whole_arrays = {name: np.concatenate([arrays[name] for arrays in chunks]) for name in chunks[0]}

    class Replay:
        narrowed, compile_seconds, chunk_seconds, num_workers, finishing = (), 0.0, {}, 1, 0

        def __init__(self, planned):
            self.planned = planned

        def run_all(self, numbers, done, changed):
            for number in numbers:
                own = self.planned.chunks[number].cells
                rows = np.asarray(self.planned.study.seeds)[own]
                done(number, {name: array[rows] for name, array in whole_arrays.items()} | {"cell": own})

    commit = git_commit()

    def replaced_plan(study, **how):
        return planned if study == STUDY else plan(study, **how)

    changes = [(sweep_module, "Execution", Replay), (sweep_module, "plan", replaced_plan), (dispatch, "plan", replaced_plan)]
    return [*changes, (sweep_module, "git_commit", lambda: commit)]


def files(folder):
    """The bytes of every chunk file."""
    return {path.name: path.read_bytes() for path in (folder / "chunks").iterdir()}


@contextmanager
def spoiled(change):
    """While the block runs, `change(count, name, real, args)` stands in for each call of `CALLS`, counted from 1."""
    real = {name: getattr(os, name) for name in CALLS}
    count = 0

    def standing_in(name):
        def call(*args, **how):
            nonlocal count
            count += 1
            return change(count, name, lambda *given: real[name](*given, **how), args)

        return call

    for name in CALLS:
        setattr(os, name, standing_in(name))
    try:
        yield lambda: count
    finally:
        for name in CALLS:
            setattr(os, name, real[name])
