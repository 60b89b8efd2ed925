"""The steps after which a run is evaluated: steps by hand, and observables within epochs against runs that end there."""

import jax
import numpy as np
import optax
import pytest

import jaxsgd
from jaxsgd import InputError
from jaxsgd.evaluation import check_every, evaluation_steps
from jaxsgd.microstep import can_evaluate, layout
from jaxsgd.order import split
from jaxsgd.simulator import make_simulator
from tests import probe


@pytest.mark.parametrize(
    ("every", "batch_count", "steps", "expected"),
    [
        # floor(m r / q) steps of each epoch, and 10 before the second.
        (1 / 4, 10, 20, [2, 5, 7, 10, 12, 15, 17, 20]),
        # Fewer steps an epoch than evaluations: before the first step there are 0.
        (1 / 4, 2, 4, [0, 1, 1, 2, 2, 3, 3, 4]),
        # Cut short after 13 steps: the next evaluation would be after 15, and the last step is always followed by one.
        (1 / 4, 10, 13, [2, 5, 7, 10, 12, 13]),
        (5, 4, 12, [5, 10, 12]),
        (1, 4, 3, [1, 2, 3]),
        (7, 4, 3, [3]),
    ],
)
def test_the_steps_done_at_each_evaluation(every, batch_count, steps, expected):
    assert evaluation_steps(every, batch_count, steps).tolist() == expected


@pytest.mark.parametrize(
    ("value", "expected"), [(0.25, 0.25), (0.3333, 1 / 3), (np.float64(0.5), 0.5), (3, 3), (np.int64(3), 3)]
)
def test_a_share_is_made_exact_and_a_number_of_steps_stays_whole(value, expected):
    assert (check_every(value), type(check_every(value))) == (expected, type(expected))


@pytest.mark.parametrize("value", [0.3, 0.7, 1.0, 2.0, 0.0, -1, 0, True, "1", None, np.nan])
def test_anything_else_is_refused(value):
    with pytest.raises(InputError, match=r"evaluate_every must be 1/q of an epoch with a whole q"):
        check_every(value)


def test_batch_counts_share_the_steps_of_evaluations_where_each_takes_all_micro_steps():
    counts = [split(40, batch_count=m) for m in (2, 4, 8)]
    shared = layout(counts)
    assert shared.micro_steps == 8
    assert can_evaluate(counts, shared, 1 / 4)
    assert not can_evaluate(counts, shared, 1 / 9)  # more often than micro-steps
    assert not can_evaluate(counts, shared, 2)
    odd = [split(40, batch_count=m) for m in (4, 7)]
    assert not can_evaluate(odd, layout(odd), 1 / 2)


HOW = {"optimizer": optax.sgd(0.1), "batch_count": 4, "order": "reshuffle"}


def weights(params, context):
    del context
    return params


def test_what_is_observed_within_epochs_are_the_parameters_after_that_step():
    problem, key = probe.line(num_samples=20), jax.random.key(1)
    done = jaxsgd.simulate(problem, key, epochs=3, observe=weights, evaluate_every=3, **HOW)
    every_step = jaxsgd.simulate(problem, key, epochs=3, observe=weights, evaluate_every=1, **HOW)
    share = jaxsgd.simulate(problem, key, epochs=3, observe=weights, evaluate_every=0.125, **HOW)
    by_epoch = jaxsgd.simulate(problem, key, epochs=3, observe=weights, **HOW)
    assert every_step.observed.shape == (12, 4)
    # An own loop over the same batches.
    parts = make_simulator(problem, HOW["optimizer"], split(20, batch_count=4), "reshuffle")
    state, by_hand = parts.start(jaxsgd.streams(key).init), []
    advance, epoch_visits = jax.jit(parts.advance), jax.jit(parts.epoch_visits)
    for epoch in range(3):
        visits = jax.tree.map(np.asarray, epoch_visits(jaxsgd.streams(key).order, epoch))
        for j in range(4):
            state, _ = advance(state, problem.data, jax.tree.map(lambda leaf, j=j: leaf[j : j + 1], visits))
            by_hand.append(np.asarray(state.params))
    np.testing.assert_allclose(every_step.observed, by_hand, rtol=1e-5)
    np.testing.assert_allclose(done.observed, np.asarray(by_hand)[[2, 5, 8, 11]], rtol=1e-5)
    np.testing.assert_allclose(by_epoch.observed, np.asarray(by_hand)[[3, 7, 11]], rtol=1e-5)
    # Eight evaluations an epoch of four steps: after 0, 1, 1, 2, 2, 3, 3, 4 of them.
    steps = [4 * epoch + part for epoch in range(3) for part in (0, 1, 1, 2, 2, 3, 3, 4)]
    with_start = np.concatenate([np.ones((1, 4)), by_hand])
    np.testing.assert_allclose(share.observed, with_start[steps], rtol=1e-5)


def test_evaluations_need_something_to_observe():
    with pytest.raises(InputError, match="evaluate_every needs observe"):
        jaxsgd.simulate(probe.line(), jax.random.key(0), epochs=1, evaluate_every=1, **HOW)
