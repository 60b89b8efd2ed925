"""BLAS and LAPACK use one thread while chunks run, and as many as before afterwards."""

import dataclasses

import jax
import numpy as np
import threadpoolctl

import jaxsgd
from jaxsgd.engine.estimate import probe
from jaxsgd.engine.manifest import facts
from jaxsgd.engine.plan import plan
from jaxsgd.engine.task import chunk_text, described, run_task
from jaxsgd.engine.verify import verify

SEEN = []
"""The numbers of threads at each call of LAPACK's place."""


def blas_threads():
    """Return the numbers of threads of the loaded libraries of BLAS."""
    return {library["num_threads"] for library in threadpoolctl.threadpool_info() if library["user_api"] == "blas"}


def noting_problem():
    """Return least squares that notes the number of threads where it would solve for the optimum."""

    def note():
        SEEN.append(blas_threads())
        return np.zeros(3, np.float32)

    def optimum(data):
        del data
        return jax.pure_callback(note, jax.ShapeDtypeStruct((3,), np.float32), vmap_method="sequential")

    return dataclasses.replace(jaxsgd.problems.least_squares(num_samples=12, num_inputs=3), optimum=optimum)


def test_chunks_run_with_one_thread_and_the_caller_has_as_many_as_before(tmp_path):
    study = jaxsgd.Study(
        problem=f"{__name__}:noting_problem", seeds=[0], batch_counts=[3], orders="fixed", learning_rates=[0.1], epochs=2
    )
    planned = plan(study)
    ways = {
        "sweep": lambda: jaxsgd.sweep(study, tmp_path / "result"),
        "verify": lambda: verify(tmp_path / "result"),
        "probe": lambda: probe(planned),
        "task": lambda: run_task(described(planned, facts(planned)), chunk_text(planned.chunks[0])),
    }
    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        for name, run in ways.items():
            SEEN.clear()
            run()
            assert SEEN, name
            assert set().union(*SEEN) == {1}, name
            assert blas_threads() == {2}, name
