"""Routines of LAPACK for several matrices: one by one in a lowered program, with the same numbers, and to an end."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsgd.compiling.lapack import ONE_BY_ONE
from jaxsgd.compiling.lowered import lowered
from jaxsgd.compiling.rewritten import has_equation, rewritten
from tests.python_process import finished, started

MATRICES = np.random.default_rng(0).normal(size=(2, 3, 5, 5)).astype(np.float32)

ROUTINES = {
    "eigh": lambda x: jnp.linalg.eigh(x @ x.T),
    "eigvals": lambda x: jnp.sort(jnp.abs(jnp.linalg.eigvals(x))),
    "svd": lambda x: jnp.linalg.svd(x)[1],
    "qr": jnp.linalg.qr,
    "inv": jnp.linalg.inv,
    "slogdet": jnp.linalg.slogdet,
    "cholesky": lambda x: jnp.linalg.cholesky(x @ x.T + jnp.eye(5)),
}


@pytest.mark.parametrize("name", ROUTINES)
def test_each_routine_takes_its_matrices_one_by_one_with_the_same_numbers(name):
    def several(matrices):
        # In a loop, as in a training program.
        return jax.lax.map(jax.vmap(ROUTINES[name]), matrices)

    jaxpr = jax.make_jaxpr(several)(MATRICES)
    assert has_equation(jaxpr, ONE_BY_ONE.suits)
    assert not has_equation(rewritten(jaxpr, ONE_BY_ONE), ONE_BY_ONE.suits)
    expected = jax.tree.map(np.asarray, jax.jit(several)(MATRICES))
    jax.tree.map(
        lambda own, value: np.testing.assert_allclose(own, value, rtol=1e-4, atol=1e-5),
        lowered(several, MATRICES).compile()(MATRICES),
        expected,
    )


def test_a_routine_for_one_matrix_stays_as_it_is():
    def single(matrix):
        return jnp.linalg.eigvalsh(matrix @ matrix.T)

    assert lowered(single, MATRICES[0, 0]).as_text() == jax.jit(single).lower(MATRICES[0, 0]).as_text()


SWEEP = """
import jax.numpy as jnp
import jaxsgd

def largest(params, context):
    return jnp.linalg.eigvalsh(params["w1"].T @ params["w1"])[-1]

study = jaxsgd.Study(
    problem="square_regression", problem_args={"num_samples": 200, "num_hidden": 40}, seeds=range(32),
    batch_counts=[4, 5, 8], learning_rates=[1e-3, 3e-3], epochs=20, observe=["__main__:largest"],
)
ds = jaxsgd.sweep(study, chunk_width=8)
print(bool((ds.largest > 0).all()))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the command's processes are those of Linux")
def test_programs_side_by_side_that_measure_eigenvalues_come_to_an_end():
    status, output, wrong = finished(started("-c", SWEEP))
    assert (status, output) == (0, "True\n"), wrong
