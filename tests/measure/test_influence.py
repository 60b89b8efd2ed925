"""Influence against a plain NumPy double loop, and what must add up."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxsgd
from jaxsgd.measure.checkpoint import measured_runs, prepare
from jaxsgd.measure.influence import epoch_influence
from jaxsgd.order import visits
from tests import probe, reference

KEYS = jaxsgd.streams(jax.random.key(0))
RATE, EPOCHS = 0.05, 3
SGD = optax.sgd(RATE)
"""One object, because a program is compiled for each optimizer."""

ORDERS = ("fixed", "reshuffle", "reshuffle_batches", "replacement")
"""The batches stay; other samples meet; batches change their places; samples are drawn twice. A program each."""


def network():
    """Called inside the tests, for its float64 weights need JAX's x64 mode."""
    return probe.network(dtype="float64")


def measured(problem, **changed):
    how = {"optimizer": SGD, "at": range(EPOCHS), "batch_count": 7} | changed
    return jaxsgd.influence(problem, KEYS, **how)


@functools.cache
def visited():
    """By order, the samples and the size of each batch, by position, in each epoch."""
    split = jaxsgd.split(60, batch_count=7)

    def of_an_epoch(epoch):
        return {name: visits(jaxsgd.ORDERS[name], KEYS.order, epoch, split) for name in ORDERS}

    return jax.tree.map(np.asarray, jax.jit(jax.vmap(of_an_epoch))(jnp.arange(EPOCHS)))


def epochs_of(order):
    """For each epoch, the samples of each batch, by position."""
    seen = visited()[order]
    return [[samples[:count] for samples, count in zip(*epoch, strict=True)] for epoch in zip(*seen[:2], strict=True)]


def of_the_loop(order):
    """Losses, effects and Gram matrices of all epochs, from NumPy: every batch is evaluated after every step."""
    problem = network()
    x, t = problem.data
    weights = problem.init(KEYS.init)
    w1, w2 = np.asarray(weights["w1"]), np.asarray(weights["w2"])
    parts = []
    for batches in epochs_of(order):
        seen = [[reference.loss_and_gradient(w1, w2, x[b], t[b])[0] for b in batches]]
        gradients = [np.concatenate([g.ravel() for g in reference.loss_and_gradient(w1, w2, x[b], t[b])[1:]]) for b in batches]
        for b in batches:
            _, g1, g2 = reference.loss_and_gradient(w1, w2, x[b], t[b])
            w1, w2 = w1 - RATE * g1, w2 - RATE * g2
            seen.append([reference.loss_and_gradient(w1, w2, x[b], t[b])[0] for b in batches])
        parts.append((np.asarray(seen[0]), np.diff(seen, axis=0).T, np.inner(gradients, gradients)))
    return [np.stack(part) for part in zip(*parts, strict=True)]


@pytest.mark.parametrize("order", ORDERS)
def test_effects_and_inner_products_are_those_of_a_numpy_double_loop(order, x64):
    seen = measured(network(), order=order)
    loss, effect, gram = of_the_loop(order)
    np.testing.assert_allclose(seen.loss, loss, rtol=1e-10)
    np.testing.assert_allclose(seen.effect, effect, rtol=1e-9, atol=1e-14)
    np.testing.assert_allclose(seen.gram, gram, rtol=1e-9)
    np.testing.assert_array_equal(seen.epoch, [0, 1, 2])
    if order == "fixed":
        # Epochs that are skipped are trained and not measured.
        apart = measured(network(), at=[0, 2])
        np.testing.assert_array_equal(apart.epoch, [0, 2])
        np.testing.assert_allclose(apart.effect, effect[[0, 2]], rtol=1e-9, atol=1e-14)


def test_rows_add_up_to_each_batchs_change_and_visits_to_what_a_trainer_prints(x64):
    problem = network()
    seen = jax.tree.map(np.asarray, measured(problem))
    run = jaxsgd.simulate(problem, KEYS, optimizer=SGD, epochs=4, batch_count=7)
    losses = np.asarray(run.loss)
    # The next epoch begins where this one ends.
    np.testing.assert_allclose(seen.effect.sum(axis=-1)[:-1], seen.loss[1:] - seen.loss[:-1], rtol=0, atol=1e-15)
    np.testing.assert_allclose(seen.printed_loss, losses[:3], rtol=1e-14)
    between = np.asarray(jaxsgd.measure.visit_to_visit(seen.effect[:-1], seen.effect[1:]))
    np.testing.assert_allclose(between.sum(axis=-1), losses[1:3] - losses[:2], rtol=0, atol=1e-15)
    # Each begins with its own step.
    np.testing.assert_array_equal(between[:, :, 0], np.diagonal(seen.effect[:-1], axis1=1, axis2=2))
    np.testing.assert_array_equal(between[0, 5], [*seen.effect[0, 5, 5:], *seen.effect[1, 5, :5]])


@pytest.mark.parametrize("m", [6, 60])
def test_own_share_is_that_of_the_gradients_scatter(m, x64):
    """First order: sum of the diagonal over sum of all <g_j, g_t> is (|G|^2 + V) m / (m^2 |G|^2), for batches of one size."""
    problem = network()
    seen = measured(problem, batch_count=m, at=[0], optimizer=optax.sgd(1e-4))
    x, t = problem.data
    weights = problem.init(KEYS.init)
    w1, w2 = np.asarray(weights["w1"]), np.asarray(weights["w2"])
    gradients = np.stack(
        [
            np.concatenate([g.ravel() for g in reference.loss_and_gradient(w1, w2, x[b], t[b])[1:]])
            for b in np.split(np.arange(60), m)
        ]
    )
    mean = gradients.mean(axis=0)
    scatter = ((gradients - mean) ** 2).sum(axis=1).mean()
    identity = (1 + scatter / (mean @ mean)) / m
    np.testing.assert_allclose(seen.first_order_own_share, [identity], rtol=1e-10)
    np.testing.assert_allclose(seen.own_share, [identity], rtol=0.01)
    lengths = np.linalg.norm(gradients, axis=1)
    np.testing.assert_allclose(seen.cosine[0], gradients @ gradients.T / np.outer(lengths, lengths), rtol=1e-9)


def test_one_gradient_at_a_time_gives_the_same_inner_products(x64):
    both = [measured(network(), one_gradient=one_gradient).gram for one_gradient in (False, True)]
    np.testing.assert_allclose(*both, rtol=1e-12)


def test_one_gradient_at_a_time_keeps_no_more_of_them():
    m, hidden = 100, 1000
    problem = jaxsgd.problems.square_regression(num_samples=200, num_hidden=hidden)
    how = {"optimizer": optax.sgd(RATE), "at": [0], "epochs": None, "batch_count": m, "batch_size": None}
    given = prepare(problem, KEYS, **how, drop_last=False, order="fixed", precision="float32")

    def bytes_between(one_gradient):
        static = {"training": given.training, "several": False, "measure": epoch_influence, "option": one_gradient}
        program = jax.jit(functools.partial(measured_runs, problem, **static)).lower(*given[2:5], given.cuts, given.at)
        return program.compile().memory_analysis().temp_size_in_bytes

    # 20,000 float32 parameters.
    gradient = 4 * 20 * hidden
    at_once, one_by_one = bytes_between(False), bytes_between(True)
    assert at_once > m * gradient
    # Two at a time, the parameters after a step, and the intermediate values of 200 samples.
    assert one_by_one < 0.4 * m * gradient


def test_the_error_of_frozen_gradients_is_of_second_order_in_the_rate(x64):
    rates = np.asarray([2.0**-k for k in range(6, 10)])
    problem = network()
    seen = jax.jit(jax.vmap(lambda rate: measured(problem, at=[0], optimizer=optax.sgd(rate))))(rates)
    seen = jax.tree.map(np.asarray, seen)
    loss_error = np.abs(seen.frozen_loss - seen.loss - seen.effect.sum(axis=-1)).mean(axis=-1)
    for error in (seen.frozen_distance, loss_error):
        slope = np.polyfit(np.log(rates), np.log(error[:, 0]), 1)[0]
        assert abs(slope - 2) < 0.1
    # The parameters themselves move to first order.
    assert abs(np.polyfit(np.log(rates), np.log(seen.distance[:, 0]), 1)[0] - 1) < 0.1


def test_several_batch_counts_share_one_program_and_stand_apart(x64):
    counts = [1, 4, 7]
    together = measured(network(), batch_count=counts)
    assert together.effect.shape == (3, EPOCHS, 7, 7)
    for place, m in enumerate(counts):
        alone = measured(network(), batch_count=m)
        for name in ("loss", "effect", "gram", "frozen_loss"):
            shared = np.asarray(getattr(together, name)[place])
            own = shared[(slice(None), *[slice(m)] * (shared.ndim - 1))]
            np.testing.assert_allclose(own, getattr(alone, name), rtol=1e-9, atol=1e-15)
            assert np.isnan(shared).sum() == shared.size - own.size
        np.testing.assert_allclose(together.own_share[place], alone.own_share, rtol=1e-9)
        np.testing.assert_allclose(together.printed_loss[place][:, :m], alone.printed_loss, rtol=1e-12)


@pytest.mark.slow
def test_seeds_and_rates_are_mapped_over(x64):
    problem = jaxsgd.problems.least_squares(num_samples=12, num_inputs=3, dtype=jnp.float64)

    def of_setting(seed, rate):
        return jaxsgd.influence(problem, jax.random.key(seed), optimizer=optax.sgd(rate), at=1, batch_count=4)

    seeds, rates = jnp.arange(3), jnp.asarray([0.1, 0.2])
    many = jax.vmap(jax.vmap(of_setting, (None, 0)), (0, None))(seeds, rates)
    assert many.effect.shape == (3, 2, 1, 4, 4)
    np.testing.assert_allclose(many.effect[2, 1], of_setting(2, 0.2).effect, rtol=1e-9, atol=1e-15)


def test_a_schedule_and_momentum_are_those_of_the_run(x64):
    def optimizer(progress):
        return optax.sgd(RATE * (1 - progress), momentum=0.9)

    problem = network()
    seen = measured(problem, optimizer=optimizer, at=[1, 3], epochs=5)
    run = jaxsgd.simulate(problem, KEYS, optimizer=optimizer, epochs=5, batch_count=7)
    np.testing.assert_allclose(seen.printed_loss, np.asarray(run.loss)[[1, 3]], rtol=1e-12)


def test_a_single_batch_makes_all_of_its_fall():
    seen = measured(probe.line(), batch_count=1, at=0)
    np.testing.assert_array_equal(seen.own_share, [1])
    np.testing.assert_array_equal(seen.first_order_own_share, [1])
    assert seen.effect[0, 0, 0] < 0


def test_where_nothing_changes_there_is_no_share():
    seen = measured(probe.numbered(12), batch_count=3)
    assert np.isnan(seen.own_share).all()
    assert np.isnan(seen.cosine).all()


def by_hand(loss, effect):
    """One epoch with given losses at its first parameters and given effects."""
    none = np.zeros((1,))
    loss, effect = np.asarray([loss], np.float64), np.asarray([effect], np.float64)
    return jaxsgd.measure.Influence(none, loss, effect, effect, loss, none, none)


def test_a_gap_is_split_into_composition_and_steps():
    # Batches 3 apart at the same weights. Before its turn batch 1 has fallen by 1 through step 0; all fall by 2 an epoch on
    # average, so the trend takes 1 of it: the printed gap is 3, and the steps have nothing to do with it.
    fair = jaxsgd.measure.gap_sources(by_hand([1.0, 4.0], [[-1.0, -1.0], [-1.0, -1.0]]), 1)
    assert [float(value[0]) for value in fair] == [3, 3, 0]
    # Nothing but step 0's fall of batch 1 by 2 beyond the trend of 1 in half an epoch: 4 - 3 + 1 = 2 is printed above 0.
    steps = jaxsgd.measure.gap_sources(by_hand([0.0, 4.0], [[0.0, 0.0], [-3.0, -1.0]]), 1)
    assert [float(value[0]) for value in steps] == [2, 4, -2]
    # In windows of two: batches (0, 2) against (6, 8), steps aside.
    wide = jaxsgd.measure.gap_sources(by_hand([0.0, 2.0, 6.0, 8.0], np.zeros((4, 4))), 2)
    assert [float(value[0]) for value in wide] == [6, 6, 0]
    alone = jaxsgd.measure.gap_sources(by_hand([0.0, 2.0], np.zeros((2, 2))), 2)
    assert [float(value[0]) for value in alone] == [0, 0, 0]


def test_composition_and_steps_add_up_to_the_gap_that_is_printed(x64):
    """In a fixed order the stripes' own measure, over three epochs, has the same gap to second order in the trend."""
    problem = network()
    sources = jaxsgd.measure.gap_sources(measured(problem, batch_count=6, at=[0, 1, 2], optimizer=optax.sgd(1e-3)), 3)
    run = jaxsgd.simulate(problem, KEYS, optimizer=optax.sgd(1e-3), epochs=3, batch_count=6)
    np.testing.assert_allclose(sources.gap.mean(), jaxsgd.stripes(run.loss, 3).gap, rtol=1e-3)
    np.testing.assert_allclose(sources.composition + sources.steps, sources.gap, rtol=1e-12)


def test_an_interval_that_cuts_epochs_has_no_gap_of_one_epoch():
    with pytest.raises(jaxsgd.InputError, match=r"^eval_interval must divide the 2 batches of an epoch, got 3$|from 1 to 2"):
        jaxsgd.measure.gap_sources(by_hand([0.0, 2.0], np.zeros((2, 2))), 3)
    with pytest.raises(jaxsgd.InputError, match=r"^eval_interval must divide the 4 batches of an epoch, got 3$"):
        jaxsgd.measure.gap_sources(by_hand(np.zeros(4), np.zeros((4, 4))), 3)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"at": []}, r"at must name at least one epoch, such as at=\[0\]"),
        ({"at": [0, -1]}, r"at must list epochs from 0 \(0-based whole numbers\), got -1"),
        ({"at": [0.5]}, r"at must list epochs from 0 \(0-based whole numbers\), got 0.5"),
        ({"at": [3], "epochs": 3}, r"at must list epochs from 0 to 2 \(0-based whole numbers\), got 3"),
        ({"batch_count": []}, r"batch_count must name at least one batch count, such as \[1, 10\]"),
        ({"batch_count": [7, 61]}, r"batch_count must be a whole number from 1 to 60 \(one sample a batch or more\), got 61"),
        ({"batch_size": 7}, r"give either batch_count or batch_size, got batch_count=7, batch_size=7"),
        ({"order": "fixd"}, r"unknown order 'fixd': did you mean 'fixed'\? .*"),
        ({"precision": "half"}, r"unknown precision 'half': .*"),
        ({"optimizer": 0.1}, r"optimizer must be an optax transformation such as optax.sgd\(1e-3\), got 0.1"),
        ({"memory_limit": 0}, r"memory_limit must be a whole number of at least 1, got 0"),
        (
            # 2 * 60 * 60 numbers in each of 4 places, 60 * 60 shares, 2 * 60 gradients of 4 parameters, 4 bytes each
            {"batch_count": 60, "at": [0, 2], "memory_limit": 50_000},
            r"influence with 60 batches and 2 epochs needs about 0.000122 GiB, more than memory_limit=4.66e-05 GiB: "
            r"use at most 35 batches or a higher limit",
        ),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_bad_input(changed, message):
    with pytest.raises(jaxsgd.InputError, match=f"^{message}$"):
        measured(probe.line(), **changed)
