"""The measures of the article's runs are those of the simulator's runs with the same seeds."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxsgd
from jaxsgd.article.claim_steps import joined, measure_calls, start_losses, steps_of
from jaxsgd.article.experiment import Experiment
from jaxsgd.article.studies import SEEDS
from tests import probe

PROBLEM = probe.network(num_samples=23)
SETTINGS = Experiment("test", 23, batch_count=4, eval_interval=2, epochs=3, learning_rate=0.5)


def test_the_measured_steps_of_runs_are_their_influence():
    steps = steps_of(PROBLEM, SETTINGS, [3, 4], (0, 2))
    for row, seed in enumerate([3, 4]):
        seen = jaxsgd.influence(
            PROBLEM, jax.random.key(seed), optimizer=optax.sgd(0.5), at=[0, 2], epochs=SETTINGS.epochs, batch_count=4
        )
        for name in ("loss", "earlier_change", "own_change", "change", "gram"):
            # float32 rounds a sample's loss of about 2 by 1e-7, and the mean of six by less.
            expected = np.asarray(getattr(seen, name))
            np.testing.assert_allclose(getattr(steps, name)[row], expected, rtol=1e-4, atol=2e-7, err_msg=name)


def test_the_losses_at_the_start_are_the_problems_and_make_the_first_batchs_loss():
    losses = start_losses(PROBLEM, [0, 1])
    keys = jaxsgd.streams(jax.random.key(1))
    params, data = jax.tree.map(jnp.asarray, (PROBLEM.init(keys.init), PROBLEM.sample_data(keys.data)))
    np.testing.assert_allclose(losses[1], PROBLEM.loss(params, data), rtol=1e-5)
    run = jaxsgd.simulate(PROBLEM, jax.random.key(1), optimizer=optax.sgd(0.5), epochs=1, batch_count=4)
    # 23 samples in 4 batches: the first has 6.
    assert losses[1, :6].mean() == pytest.approx(float(run.loss[0, 0]), rel=1e-5)


def test_the_calls_measure_the_shown_run_and_the_first_seeds():
    calls = measure_calls([(PROBLEM, SETTINGS)], seed=7, quick=True)
    (shown,), (sample_loss,), (parts,) = jax.tree.map(lambda call: call(), calls, is_leaf=callable)
    steps = joined(parts)
    # A quarter of the seeds, in the first two epochs; of the shown run the first epoch and the last.
    assert steps.change.shape == (SEEDS // 4, 2, 4)
    assert shown.change.shape == (1, 2, 4)
    np.testing.assert_allclose(steps.change[3], steps_of(PROBLEM, SETTINGS, [3], (0, 1)).change[0], rtol=1e-6)
    np.testing.assert_allclose(shown.change, steps_of(PROBLEM, SETTINGS, [7], (0, 2)).change, rtol=1e-6)
    assert sample_loss.shape == (1 + SEEDS, 23)
    np.testing.assert_array_equal(sample_loss[[0, 3]], start_losses(PROBLEM, [7, 2]))
