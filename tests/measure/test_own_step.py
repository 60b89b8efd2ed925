"""Own steps against the whole matrices of `influence`, of which they are the diagonal and the sums."""

import jax
import numpy as np
import optax

import jaxsgd
from jaxsgd.measure.own_step import epoch_own_steps, own_steps
from jaxsgd.simulator import make_simulator
from tests import probe

KEYS = jaxsgd.streams(jax.random.key(0))
SGD = optax.sgd(0.05)


def test_an_epochs_steps_are_the_diagonal_and_the_sums_of_its_influence(x64):
    # 60 samples in 7 batches, of 9 and of 8.
    problem = probe.network(dtype="float64")
    seen = jaxsgd.influence(problem, KEYS, optimizer=SGD, at=[0, 1], batch_count=7, order="shuffle_once")
    parts = make_simulator(problem, SGD, jaxsgd.split(60, batch_count=7), "shuffle_once")
    state, data = parts.start(KEYS.init), problem.sample_data(KEYS.data)
    for epoch in range(2):
        state, losses, steps = epoch_own_steps(problem, SGD, state, data, parts.epoch_visits(KEYS.order, epoch))
        for name in ("loss", "earlier_change", "own_change", "change"):
            expected = np.asarray(getattr(seen, name))[epoch]
            np.testing.assert_allclose(getattr(steps, name), expected, rtol=1e-9, atol=1e-14, err_msg=name)
        assert steps.gram is not None
        np.testing.assert_allclose(steps.gram, seen.gram[epoch], rtol=1e-9)
        np.testing.assert_allclose(steps.cosine, seen.cosine[epoch], rtol=1e-9)
        np.testing.assert_allclose(steps.printed_loss, losses, rtol=1e-12)
        np.testing.assert_allclose(losses, seen.printed_loss[epoch], rtol=1e-12)


def test_several_batch_counts_share_a_program_and_leave_their_own_places_nan(x64):
    problem = probe.network(dtype="float64")
    how = {"optimizer": SGD, "at": [0, 2], "batch_count": [3, 7]}
    seen, steps = jaxsgd.influence(problem, KEYS, **how), own_steps(problem, KEYS, **how)
    assert steps.gram is None
    assert np.isnan(steps.own_change[0, :, 3:]).all()
    for name in ("loss", "own_change", "change"):
        np.testing.assert_allclose(getattr(steps, name), getattr(seen, name), rtol=1e-9, atol=1e-14, err_msg=name)
    np.testing.assert_allclose(steps.earlier_change[1], seen.earlier_change[1], rtol=1e-9, atol=1e-14)
