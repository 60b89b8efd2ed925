"""Own steps against the whole matrices of `influence`, of which they are the diagonal and the sums."""

import jax
import numpy as np
import optax

import jaxsgd
from jaxsgd.measure.own_step import own_steps
from tests import probe

KEYS = jaxsgd.streams(jax.random.key(0))
SGD = optax.sgd(0.05)


def test_the_steps_of_epochs_are_the_diagonal_and_the_sums_of_their_influence(x64):
    # 60 samples in 7 batches, of 9 and of 8.
    problem = probe.network(dtype="float64")
    how = {"optimizer": SGD, "at": [0, 1], "batch_count": 7, "order": "shuffle_once"}
    seen, steps = jaxsgd.influence(problem, KEYS, **how), own_steps(problem, KEYS, gram=True, **how)
    for name in ("loss", "earlier_change", "own_change", "change"):
        np.testing.assert_allclose(getattr(steps, name), getattr(seen, name), rtol=1e-9, atol=1e-14, err_msg=name)
    np.testing.assert_allclose(steps.gram, seen.gram, rtol=1e-9)
    np.testing.assert_allclose(steps.cosine, seen.cosine, rtol=1e-9)
    run = jaxsgd.simulate(problem, KEYS, optimizer=SGD, epochs=2, batch_count=7, order="shuffle_once")
    np.testing.assert_allclose(steps.printed_loss, run.loss, rtol=1e-12)


def test_several_batch_counts_share_a_program_and_leave_their_own_places_nan(x64):
    problem = probe.network(dtype="float64")
    how = {"optimizer": SGD, "at": [0, 2], "batch_count": [3, 7]}
    seen, steps = jaxsgd.influence(problem, KEYS, **how), own_steps(problem, KEYS, **how)
    assert steps.gram is None
    assert np.isnan(steps.own_change[0, :, 3:]).all()
    for name in ("loss", "own_change", "change"):
        np.testing.assert_allclose(getattr(steps, name), getattr(seen, name), rtol=1e-9, atol=1e-14, err_msg=name)
    np.testing.assert_allclose(steps.earlier_change[1], seen.earlier_change[1], rtol=1e-9, atol=1e-14)
