"""The epoch in which a run stops being finite."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxsgd
from jaxsgd.measure.divergence import diverged_epoch
from tests import probe


def test_a_finite_run_never_diverged():
    assert np.isnan(diverged_epoch(np.ones((5, 3))))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(("epoch", "batch"), [(0, 0), (2, 1), (4, 2)])
def test_the_first_epoch_with_a_loss_that_is_not_finite(bad, epoch, batch):
    loss = np.ones((5, 3))
    loss[epoch, batch] = bad
    assert diverged_epoch(loss) == epoch
    loss[epoch:] = bad
    assert diverged_epoch(loss) == epoch


def test_leading_axes_are_runs_of_their_own():
    loss = np.ones((2, 2, 5, 3))
    loss[0, 1, 3, 2] = np.nan
    loss[1, 0, 0, 0] = np.inf
    np.testing.assert_array_equal(diverged_epoch(loss), [[np.nan, 3], [0, np.nan]])


def test_the_largest_float32_is_finite():
    assert np.isnan(diverged_epoch(np.full((1, 1), np.finfo(np.float32).max, np.float32)))


def test_runs_of_too_high_a_rate_diverge_when_float32_overflows():
    # On t = x w with x = 1 and w* = 0, w <- (1 - lr) w, and the loss w^2 / 2 is multiplied by (1 - lr)^2 every epoch. At
    # lr = 11 that is 100, from 1/2: epoch i has 100^i / 2, more than float32's 3.4e38 from i = 20 on. The square w^2 itself,
    # 100^i, is so from i = 20 too.
    problem = jaxsgd.Problem(
        lambda key: jnp.ones(1), jaxsgd.problems.least_squares().loss, (np.ones((4, 1), "float32"), np.zeros(4, "float32"))
    )
    rates = jnp.asarray([0.5, 11.0])
    losses = jax.vmap(
        lambda rate: jaxsgd.simulate(problem, jax.random.key(0), optimizer=optax.sgd(rate), epochs=30, batch_count=1).loss
    )(rates)
    np.testing.assert_array_equal(diverged_epoch(losses), [np.nan, 20])


def test_a_jax_array_is_taken_as_it_comes_from_a_run():
    run = jaxsgd.simulate(probe.line(), jax.random.key(0), optimizer=optax.sgd(0.01), epochs=2, batch_count=3)
    assert np.isnan(diverged_epoch(run.loss))
