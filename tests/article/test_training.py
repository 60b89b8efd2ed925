"""Runs window by window, in one piece and over seeds are the simulator's."""

import functools
import itertools

import jax
import numpy as np
import optax
import pytest

import jaxsgd
from jaxsgd.article import training
from jaxsgd.article.experiment import Experiment
from jaxsgd.article.live_log import follow
from jaxsgd.article.training import Training, joined, run_seeds, run_whole, seed_calls, train_by_window
from jaxsgd.simulator import sample_losses

PROBLEM = jaxsgd.problems.square_regression(num_samples=23, num_inputs=3, num_hidden=8)


def experiment(**changes):
    settings = {"name": "test", "num_samples": 23, "batch_count": 4, "eval_interval": 2, "epochs": 3, "learning_rate": 0.5}
    return Experiment(**(settings | changes))


@functools.cache
def sgd(rate):
    """One object for each rate, so that one program serves all seeds."""
    return optax.sgd(rate)


def simulated(seed, settings, problem=PROBLEM):
    return jaxsgd.simulate(
        problem,
        jax.random.key(seed),
        optimizer=sgd(settings.learning_rate),
        epochs=settings.epochs,
        batch_count=settings.batch_count,
        order=settings.order,
    )


@pytest.mark.parametrize(
    ("batch_count", "eval_interval", "order", "lengths"),
    [
        (4, 2, "fixed", [2] * 6),
        (4, 4, "reshuffle", [4] * 3),
        # 12 batches in windows that cross epochs; then in windows longer than an epoch, with 2 batches left over.
        (4, 3, "reshuffle", [3] * 4),
        (4, 5, "fixed", [5, 5, 2]),
        (1, 1, "fixed", [1] * 3),
    ],
)
def test_windows_are_the_simulators_losses(batch_count, eval_interval, order, lengths):
    settings = experiment(batch_count=batch_count, eval_interval=eval_interval, order=order)
    windows = [losses for losses, _ in train_by_window(PROBLEM, 5, settings).windows]
    assert [len(losses) for losses in windows] == lengths
    # The same steps, compiled in pieces of another length: equal up to float32 rounding over at most 12 steps.
    np.testing.assert_allclose(np.concatenate(windows), np.ravel(simulated(5, settings).loss), rtol=1e-5)


def test_training_begins_when_its_first_window_is_asked_for():
    ticks = itertools.count(100.0, 10.0)
    training = train_by_window(PROBLEM, 0, experiment(), clock=lambda: next(ticks))
    assert next(ticks) == 100.0
    # The clock is read once at the beginning (110), then after each window.
    assert [seconds for _, seconds in training.windows] == [10.0 * k for k in range(1, 7)]


def test_data_given_as_arrays_are_trained_on():
    x = np.linspace(-1, 1, 46, dtype=np.float32).reshape(23, 2)
    problem = jaxsgd.Problem(lambda key: np.zeros(2, np.float32), lambda w, batch: (batch @ w - 1) ** 2, x)
    windows = [losses for losses, _ in train_by_window(problem, 0, experiment()).windows]
    np.testing.assert_allclose(np.concatenate(windows), np.ravel(simulated(0, experiment(), problem).loss), rtol=1e-5)


def test_sample_losses_are_the_problems():
    keys = jaxsgd.streams(jax.random.key(0))
    params, data = PROBLEM.init(keys.init), PROBLEM.sample_data(keys.data)
    np.testing.assert_allclose(sample_losses(PROBLEM, params, data), PROBLEM.loss(params, data), rtol=1e-5)


def test_initial_sample_losses_make_the_first_batchs_loss():
    settings = experiment()
    training = train_by_window(PROBLEM, 1, settings)
    first = next(training.windows)[0][0]
    # 23 samples in 4 batches: the first has 6.
    assert training.sample_loss[:6].mean() == pytest.approx(first, rel=1e-5)


def test_a_whole_run_and_its_seeds_are_the_simulators_and_share_a_program():
    settings = experiment()
    before = training._record._cache_size()
    whole = run_whole(PROBLEM, 3, settings)
    runs = run_seeds(PROBLEM, range(3, 6), settings, 2, (0, 1))
    unmeasured = run_seeds(PROBLEM, range(3, 4), settings, 3)
    assert training._record._cache_size() == before + 1
    np.testing.assert_allclose(whole.loss[0], simulated(3, settings).loss, rtol=1e-5)
    assert runs.loss.shape == (3, 2, 4)
    for row, seed in enumerate(range(3, 6)):
        np.testing.assert_allclose(runs.loss[row], simulated(seed, settings).loss[:2], rtol=1e-5)
    np.testing.assert_array_equal(runs.sample_loss[0], whole.sample_loss[0])
    np.testing.assert_allclose(unmeasured.loss, whole.loss, rtol=1e-5)
    assert np.isnan(unmeasured.steps.change).all()


def test_the_measured_steps_of_a_run_are_its_influence():
    settings = experiment()
    seen = jaxsgd.influence(
        PROBLEM, jax.random.key(3), optimizer=sgd(settings.learning_rate), at=[0, 1, 2], epochs=3, batch_count=4
    )
    whole = run_whole(PROBLEM, 3, settings)
    for name in ("loss", "earlier_change", "own_change", "change", "gram"):
        # float32 rounds a sample's loss of about 2 by 1e-7, and the mean of six by less.
        expected = np.asarray(getattr(seen, name))[[0, 2]]
        np.testing.assert_allclose(getattr(whole.steps, name)[0], expected, rtol=1e-4, atol=2e-7, err_msg=name)


def test_seeds_are_cut_into_calls_of_which_the_first_are_measured():
    parts = [call() for call in seed_calls(PROBLEM, experiment(), epochs=1, measured_seeds=16)]
    runs = joined(parts)
    assert runs.loss.shape == (64, 1, 4)
    measured = np.isfinite(runs.steps.own_change[:, 0]).all(axis=-1)
    assert measured.tolist() == [True] * 16 + [False] * 48


def made_up(*windows):
    return Training(np.zeros(4), iter([(np.asarray(losses, np.float32), 0.5 * k) for k, losses in enumerate(windows, start=1)]))


def test_the_log_shows_each_whole_window_as_it_comes():
    shown = []
    logged = follow(made_up([1, 3], [5, 7], [9]), experiment(batch_count=5, epochs=1), shown.append)
    assert shown == logged.lines
    assert shown == [
        "| epoch 1 |  iter 2 / 5 | time 0[s] | loss 2.0000 | lr 0.5000",
        "| epoch 1 |  iter 4 / 5 | time 1[s] | loss 6.0000 | lr 0.5000",
    ]
    np.testing.assert_array_equal(logged.loss, [[1, 3, 5, 7, 9]])
    assert logged.seconds == 1.5


def test_the_log_stops_at_the_first_loss_that_is_not_finite():
    shown = []
    logged = follow(made_up([1, 1], [1, np.inf], [1, 1]), experiment(batch_count=2, epochs=3), shown.append)
    assert len(shown) == 1
    assert jaxsgd.measure.diverged_epoch(logged.loss) == 1
    np.testing.assert_array_equal(logged.loss[2], [np.nan, np.nan])
