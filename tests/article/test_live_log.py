"""Runs window by window are the simulator's, and a log shows their windows as they come."""

import functools
import itertools

import jax
import numpy as np
import optax
import pytest

import jaxsgd
from jaxsgd.article.experiment import Experiment
from jaxsgd.article.live_log import follow, stored_windows, train_by_window

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
    windows = [losses for losses, _ in train_by_window(PROBLEM, 5, settings)]
    assert [len(losses) for losses in windows] == lengths
    # The same steps, compiled in pieces of another length: equal up to float32 rounding over at most 12 steps.
    np.testing.assert_allclose(np.concatenate(windows), np.ravel(simulated(5, settings).loss), rtol=1e-5)


def test_an_order_that_looks_at_gradients_is_trained_before_its_first_window():
    settings = experiment(batch_count=4, eval_interval=3, order="grab")
    windows = list(train_by_window(PROBLEM, 5, settings))
    np.testing.assert_array_equal(np.concatenate([losses for losses, _ in windows]), np.ravel(simulated(5, settings).loss))
    assert all(seconds > 0 for _, seconds in windows)


def test_training_begins_when_its_first_window_is_asked_for():
    ticks = itertools.count(100.0, 10.0)
    windows = train_by_window(PROBLEM, 0, experiment(), clock=lambda: next(ticks))
    assert next(ticks) == 100.0
    # The clock is read once at the beginning (110), then after each window.
    assert [seconds for _, seconds in windows] == [10.0 * k for k in range(1, 7)]


def test_data_given_as_arrays_are_trained_on():
    x = np.linspace(-1, 1, 46, dtype=np.float32).reshape(23, 2)
    problem = jaxsgd.Problem(lambda key: np.zeros(2, np.float32), lambda w, batch: (batch @ w - 1) ** 2, x)
    windows = [losses for losses, _ in train_by_window(problem, 0, experiment())]
    np.testing.assert_allclose(np.concatenate(windows), np.ravel(simulated(0, experiment(), problem).loss), rtol=1e-5)


def made_up(*windows):
    return [(np.asarray(losses, np.float32), 0.5 * k) for k, losses in enumerate(windows, start=1)]


def test_a_stored_run_is_read_in_the_windows_and_the_time_of_its_training():
    # 2 epochs of 5 batches in 4 s, 0.4 s each: windows of 4 batches cross the epochs, and the last has the 2 left over.
    windows = list(stored_windows(np.arange(10.0).reshape(2, 5), 4, 4.0))
    assert [losses.tolist() for losses, _ in windows] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert [seconds for _, seconds in windows] == pytest.approx([1.6, 3.2, 4.0])


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
