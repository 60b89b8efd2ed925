"""`simulate` under jit, vmap and grad, in slices, and compiled once."""

import functools
import gc
import weakref

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.flatten_util import ravel_pytree

import jaxsgd
from jaxsgd.order import split
from jaxsgd.simulator import batch_loss, make_simulator
from tests import probe

KEY = jax.random.key(0)
SGD = optax.sgd(0.05)
OF_RATES = {rate: optax.sgd(rate) for rate in (0.0, 0.5)}
"""Optimizers whose rate is a constant, by the rate: a program for each of these objects."""

NETWORK = probe.network()

# The same arithmetic in another program: XLA may fuse and order it differently, a few units in the last place of float32.
SAME = {"rtol": 1e-5}


def run(key=KEY, problem=NETWORK, optimizer=SGD, **changed):
    settings = {"epochs": 3, "batch_count": 7, "order": "reshuffle"} | changed
    return jaxsgd.simulate(problem, key, optimizer=optimizer, **settings)


def test_the_same_call_gives_the_same_bits():
    jax.tree.map(np.testing.assert_array_equal, run(), run())


def test_jit_gives_what_the_plain_call_gives():
    np.testing.assert_allclose(jax.jit(run)(KEY).loss, run().loss, **SAME)


def test_vmap_over_keys_gives_what_each_key_gives():
    keys = jax.random.split(KEY, 4)
    losses = jax.vmap(lambda key: run(key).loss)(keys)
    assert losses.shape == (4, 3, 7)
    for loss, key in zip(losses, keys, strict=True):
        np.testing.assert_allclose(loss, run(key).loss, **SAME)


def test_vmap_over_rates_gives_what_each_rate_gives():
    losses = jax.vmap(lambda rate: run(optimizer=optax.sgd(rate)).loss)(jnp.asarray(list(OF_RATES)))
    for loss, optimizer in zip(losses, OF_RATES.values(), strict=True):
        np.testing.assert_allclose(loss, run(optimizer=optimizer).loss, **SAME)


def test_jit_of_vmap_over_keys_and_rates():
    keys = jax.random.split(KEY, 2)
    of_rates = jax.vmap(lambda key, rate: run(key, optimizer=optax.sgd(rate)).loss, in_axes=(None, 0))
    losses = jax.jit(jax.vmap(of_rates, in_axes=(0, None)))(keys, jnp.asarray(list(OF_RATES)))
    for j, optimizer in enumerate(OF_RATES.values()):
        for i, key in enumerate(keys):
            np.testing.assert_allclose(losses[i, j], run(key, optimizer=optimizer).loss, **SAME)


# Batches of one size, and of two; without a state of the optimizer, and with one.
@pytest.mark.parametrize(("make", "batch_count"), [(optax.sgd, 7), (optax.adam, 6)])
def test_gradient_in_the_learning_rate_agrees_with_central_differences(x64, batch_count, make):
    problem = probe.network(dtype="float64")

    def mean_loss(rate):
        return run(problem=problem, optimizer=make(rate), batch_count=batch_count, order="fixed").loss.mean()

    @jax.jit
    def slope_and_difference(rate, h):
        above, below = jax.vmap(mean_loss)(jnp.stack([rate + h, rate - h]))
        return jax.grad(mean_loss)(rate), above - below

    # Truncation h^2 f''' / 6 and rounding 1e-16 / h are both below 1e-9 of a loss near 2.
    h = 1e-5
    slope, difference = map(float, slope_and_difference(0.1, h))
    assert slope == pytest.approx(difference / (2 * h), rel=1e-6)
    assert abs(slope) > 1e-3


def test_gradient_in_the_learning_rate_without_jit_is_that_within_it():
    def mean_loss(rate):
        return run(optimizer=optax.sgd(rate)).loss.mean()

    np.testing.assert_allclose(jax.grad(mean_loss)(0.1), jax.jit(jax.grad(mean_loss))(0.1), rtol=1e-4)


@pytest.mark.parametrize("size", [None, 5, 3])
def test_gradient_of_the_mean_loss_agrees_with_central_differences(x64, size):
    problem = probe.network(5, num_hidden=4, dtype="float64")
    (x, t), (params, unravel) = jax.tree.map(jnp.asarray, problem.data), ravel_pytree(problem.init(KEY))
    own = np.minimum(np.arange(5), (size or 5) - 1)  # a batch that is smaller repeats its last sample
    h = 1e-5

    @jax.jit
    def gradient_and_differences(params, size):
        def mean_loss(params):
            return batch_loss(problem, unravel(params), (x[own], t[own]), size)

        up, down = (jax.vmap(mean_loss)(params[None, :] + step * jnp.eye(len(params))) for step in (h, -h))
        return jax.grad(mean_loss)(params), (up - down) / (2 * h)

    np.testing.assert_allclose(*gradient_and_differences(params, size), rtol=0, atol=1e-9)


ADAM = optax.adam(0.05)


@functools.cache
def compiled_advance(batch_count, feedback):
    """A step of the parts, compiled; for all orders without a feedback it is one program."""
    return jax.jit(make_simulator(NETWORK, ADAM, split(60, batch_count=batch_count), feedback or "fixed").advance)


# 60 samples make 8 batches of two sizes and 10 of one; slices of one length are one program.
@pytest.mark.parametrize(("order", "batch_count", "width"), [*((order, 8, 4) for order in jaxsgd.ORDERS), ("fixed", 10, 3)])
def test_parts_advanced_in_slices_make_the_whole_run(order, batch_count, width):
    whole = run(order=order, batch_count=batch_count, optimizer=ADAM)
    parts = make_simulator(NETWORK, ADAM, split(60, batch_count=batch_count), order)
    advance = compiled_advance(batch_count, order if jaxsgd.ORDERS[order].feedback else None)
    epoch_visits = jax.jit(parts.epoch_visits)
    keys = jaxsgd.streams(KEY)
    state, losses = parts.start(keys.init), []
    for epoch in range(3):
        visits = jax.tree.map(np.asarray, epoch_visits(keys.order, epoch, state))
        for first in range(0, batch_count, width):
            some = jax.tree.map(lambda leaf, first=first: leaf[first : first + width], visits)
            state, loss = advance(state, NETWORK.data, some)
            losses.append(loss)
    np.testing.assert_allclose(np.concatenate(losses).reshape(3, batch_count), whole.loss, **SAME)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), state.params, whole.params)


def test_a_run_goes_on_from_where_a_shorter_one_of_the_same_key_stopped():
    np.testing.assert_allclose(run(epochs=2).loss, np.asarray(run(epochs=3).loss)[:2], **SAME)


def counted(problem):
    """The same problem, and a list that grows by one whenever JAX traces its loss."""
    calls = []

    def loss(params, batch):
        calls.append(1)
        return problem.loss(params, batch)

    return jaxsgd.Problem(problem.init, loss, problem.data), calls


def test_a_second_run_of_the_same_sizes_traces_nothing():
    problem, calls = counted(NETWORK)
    run(problem=problem)
    first = len(calls)
    assert first > 0
    run(jax.random.key(1), problem=problem)
    assert len(calls) == first
    run(problem=problem, batch_count=6)
    assert len(calls) > first


def test_an_optimizer_that_is_made_anew_with_the_same_numbers_traces_nothing():
    problem, calls = counted(NETWORK)

    def trained(rate):
        seen = jaxsgd.influence(problem, KEY, batch_count=5, optimizer=optax.adam(rate, b1=0.8), at=[0])
        return run(problem=problem, optimizer=optax.adam(rate, b1=0.8)), seen

    first, traced = trained(0.01), len(calls)
    again = trained(0.01)
    assert len(calls) == traced
    np.testing.assert_array_equal(first[0].loss, again[0].loss)
    np.testing.assert_array_equal(first[1].effect, again[1].effect)
    faster = trained(0.02)
    assert len(calls) > traced
    assert not np.array_equal(first[0].loss, faster[0].loss)


def test_a_sweep_over_rates_traces_as_often_as_one_run():
    def traces(rates):
        problem, calls = counted(NETWORK)
        jax.vmap(lambda rate: run(problem=problem, optimizer=optax.sgd(rate)).loss)(jnp.asarray(rates))
        return len(calls)

    assert traces([0.1, 0.2, 0.3, 0.4]) == traces([0.1])


def plain(problem):
    return run(problem=problem, observe="train_loss")


def mapped(problem):
    return jax.vmap(lambda rate: run(problem=problem, optimizer=optax.sgd(rate)).loss)(jnp.array([0.1, 0.2]))


def differentiated(problem):
    return jax.grad(lambda rate: run(problem=problem, optimizer=optax.sgd(rate)).loss.mean())(0.1)


def compiled(problem):
    return jax.jit(lambda key: run(key, problem=problem).loss)(KEY)


def by_measures(problem):
    params, how = problem.init(KEY), {"batch_count": 3, "optimizer": SGD, "at": [0]}
    jaxsgd.measure.gradient_norm(problem, params, problem.data)
    jaxsgd.measure.sharpness(problem, params, problem.data, KEY, iterations=2)
    return (
        jaxsgd.noise(problem, KEY, **how),
        jaxsgd.influence(problem, KEY, **how),
        jaxsgd.measure.own_steps(problem, KEY, **how),
    )


def shifted_by(weights):
    return lambda params, x: x @ params + weights[0] @ params


# jaxtyping's checks remember the arrays of the last call.
@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("use", [plain, mapped, differentiated, compiled, by_measures])
def test_a_problem_that_nobody_uses_any_more_is_freed_with_its_data_and_what_its_loss_closes_over(use):
    data, weights = (jnp.asarray(np.random.default_rng(0).standard_normal((20, 3)), jnp.float32) for _ in range(2))
    network = jaxsgd.Problem(lambda key: jnp.ones(3), shifted_by(weights), data)
    used = use(network)
    kept = [weakref.ref(thing) for thing in (network, data, weights)]
    del network, data, weights
    gc.collect()
    assert [thing() for thing in kept] == [None] * 3
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(used))
