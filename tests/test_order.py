"""Splits, and which samples each step sees."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given
from hypothesis import strategies as st

import jaxsgd
from jaxsgd.article.experiment import Experiment
from jaxsgd.article.report import run_outcome
from jaxsgd.order import Order, Split, as_order, sample_sequence, split, visits
from jaxsgd.plot.axis import find_axis
from jaxsgd.simulator import streams

KEY = jax.random.key(0)
EPOCHS = 6


def rotated(key, epoch, num_samples):
    """A user's order: every epoch begins one sample later."""
    return (jnp.arange(num_samples) + epoch) % num_samples


EVERY_ORDER = {**jaxsgd.ORDERS, "rotated": Order(rotated, visits_once=True, name="rotated")}
RANDOM = ["shuffle_once", "reshuffle", "reshuffle_batches", "flip_flop", "replacement"]
SPLITS = {
    "one batch": split(23, batch_count=1),
    "dividing": split(24, batch_count=4),
    "array_split": split(23, batch_count=5),
    "single samples": split(23, batch_count=23),
    "smaller last": split(23, batch_size=4),
    "drop last": split(23, batch_size=4, drop_last=True),
}


@functools.cache
def seen(order, cut, seed=0, epochs=EPOCHS):
    """For each epoch, for each of its batches, the tuple of its samples."""
    visit = jax.jit(jax.vmap(lambda epoch: visits(as_order(order), jax.random.key(seed), epoch, cut)))(jnp.arange(epochs))
    sample, size = np.asarray(visit.sample), np.asarray(visit.size)
    assert sample.shape == (epochs, cut.batch_count, cut.sizes.max())
    return [[tuple(row[:count]) for row, count in zip(*epoch, strict=True)] for epoch in zip(sample, size, strict=True)]


def chance_of(counts):
    """Chance that equally likely outcomes are counted at least as unevenly as this: Pearson's chi-square test."""
    expected = counts.sum() / counts.size
    return float(jax.scipy.stats.chi2.sf(((counts - expected) ** 2 / expected).sum(), counts.size - 1))


def members(epoch):
    """The batches of an epoch as sets, whatever their sequence."""
    return sorted(tuple(sorted(batch)) for batch in epoch)


# Splits


@given(num_samples=st.integers(1, 60), data=st.data())
def test_a_split_by_count_is_numpys_array_split(num_samples, data):
    cut = split(num_samples, batch_count=data.draw(st.integers(1, num_samples)))
    batches = np.array_split(np.arange(num_samples), cut.batch_count)
    np.testing.assert_array_equal(cut.sizes, [len(batch) for batch in batches])
    np.testing.assert_array_equal(cut.starts, [batch[0] for batch in batches])
    assert cut.is_ragged == (num_samples % cut.batch_count != 0)


@given(num_samples=st.integers(1, 60), drop_last=st.booleans(), data=st.data())
def test_a_split_by_size_has_full_batches_and_a_smaller_last_unless_dropped(num_samples, drop_last, data):
    size = data.draw(st.integers(1, num_samples))
    cut = split(num_samples, batch_size=size, drop_last=drop_last)
    full, left = divmod(num_samples, size)
    np.testing.assert_array_equal(cut.sizes, [size] * full + [left] * (left > 0 and not drop_last))
    np.testing.assert_array_equal(cut.starts, np.arange(cut.batch_count) * size)


def test_equal_splits_are_one_static_argument():
    assert hash(split(23, batch_size=4)) == hash(Split(23, 6, 4))
    assert split(23, batch_size=4) == Split(23, 6, 4) != split(23, batch_count=6)


@pytest.mark.parametrize("value", [0, 24])
@pytest.mark.parametrize("name", ["batch_count", "batch_size"])
def test_a_split_outside_1_to_N_is_refused(name, value):
    with pytest.raises(jaxsgd.InputError, match=rf"^{name} must be a whole number from 1 to 23 \(.*\), got {value}$"):
        split(23, **{name: value})


# The contract of every order


@pytest.mark.parametrize("cut", SPLITS.values(), ids=SPLITS)
@pytest.mark.parametrize("order", EVERY_ORDER.values(), ids=EVERY_ORDER)
def test_each_epoch_cuts_the_samples_into_batches_of_the_splits_sizes(order, cut):
    for epoch in seen(order, cut):
        assert sorted(len(batch) for batch in epoch) == sorted(cut.sizes)
        samples = [sample for batch in epoch for sample in batch]
        assert set(samples) <= set(range(cut.num_samples))
        if order.visits_once:
            assert len(set(samples)) == len(samples) == cut.sizes.sum()


@pytest.mark.parametrize("order", EVERY_ORDER.values(), ids=EVERY_ORDER)
def test_places_past_a_batchs_own_size_repeat_its_last_sample(order):
    visit = visits(order, KEY, 0, SPLITS["array_split"])
    for samples, size in zip(np.asarray(visit.sample), np.asarray(visit.size), strict=True):
        assert set(samples[size:]) <= {samples[size - 1]}


@pytest.mark.parametrize("order", EVERY_ORDER.values(), ids=EVERY_ORDER)
def test_an_order_is_a_function_of_the_key_and_the_epoch(order):
    cut = SPLITS["array_split"]
    # An epoch asked for on its own, its number not traced, is the one met on the way.
    alone = visits(order, KEY, 3, cut)
    samples = [tuple(row[:size]) for row, size in zip(np.asarray(alone.sample), np.asarray(alone.size), strict=True)]
    assert samples == seen(order, cut)[3]
    assert (seen(order, cut, seed=1) != seen(order, cut)) == (order.name in RANDOM)


@pytest.mark.parametrize("order", EVERY_ORDER.values(), ids=EVERY_ORDER)
def test_the_batches_visited_are_the_same_however_many_slots_there_are_and_traced_or_not(order):
    def visited(slots, batch_count):
        return jax.vmap(lambda epoch: order.batches(KEY, epoch, slots, batch_count))(jnp.arange(EPOCHS))

    traced = {slots: jax.jit(functools.partial(visited, slots)) for slots in (8, 13)}
    for batch_count in (5, 8):
        expected = np.asarray(jax.jit(visited, static_argnums=(0, 1))(batch_count, batch_count))
        np.testing.assert_array_equal(np.sort(expected), [range(batch_count)] * EPOCHS)
        for wide in (traced[8](batch_count), traced[13](batch_count), jax.jit(visited, static_argnums=(0, 1))(13, batch_count)):
            np.testing.assert_array_equal(wide[:, :batch_count], expected)


def test_every_built_in_order_but_replacement_promises_visits_once():
    assert {name for name, order in jaxsgd.ORDERS.items() if not order.visits_once} == {"replacement"}
    assert all(order.name == name for name, order in jaxsgd.ORDERS.items())


# What each order means


@pytest.mark.parametrize("cut", SPLITS.values(), ids=SPLITS)
def test_fixed_is_the_data_as_they_are_in_every_epoch(cut):
    ends = np.cumsum(cut.sizes)
    first = [tuple(range(end - size, end)) for end, size in zip(ends, cut.sizes, strict=True)]
    assert seen("fixed", cut) == [first] * EPOCHS


@pytest.mark.parametrize("cut", SPLITS.values(), ids=SPLITS)
def test_shuffle_once_is_one_permutation_in_every_epoch(cut):
    epochs = seen("shuffle_once", cut)
    assert epochs == [epochs[0]] * EPOCHS
    assert epochs[0] != seen("fixed", cut)[0]


def test_shuffle_once_is_paired_with_the_first_epoch_of_reshuffle():
    cut = SPLITS["array_split"]
    assert seen("shuffle_once", cut)[0] == seen("reshuffle", cut)[0]


def test_reshuffle_differs_in_every_epoch_and_changes_who_is_batched_with_whom():
    epochs = seen("reshuffle", SPLITS["array_split"])
    assert len({tuple(members(epoch)) for epoch in epochs}) == EPOCHS


def test_reshuffle_batches_keeps_members_and_sizes_and_permutes_the_visits():
    cut = SPLITS["array_split"]
    epochs = seen("reshuffle_batches", cut)
    fixed = seen("fixed", cut)[0]
    assert all(sorted(epoch) == sorted(fixed) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1


def test_reshuffle_batches_visits_every_batch_first_about_as_often():
    visited = jax.vmap(lambda epoch: jaxsgd.ORDERS["reshuffle_batches"].batches(KEY, epoch, 4, 4))(jnp.arange(4000))
    assert chance_of(np.bincount(visited[:, 0], minlength=4)) > 1e-3


@pytest.mark.parametrize("cut", SPLITS.values(), ids=SPLITS)
def test_flip_flop_visits_its_batches_backwards_in_odd_epochs(cut):
    epochs = seen("flip_flop", cut)
    assert epochs[0] == seen("shuffle_once", cut)[0]
    assert epochs[0::2] == [epochs[0]] * 3
    assert epochs[1::2] == [epochs[0][::-1]] * 3


def test_reshuffle_puts_every_sample_first_about_as_often():
    first = jax.vmap(lambda epoch: sample_sequence(as_order("reshuffle"), KEY, epoch, 10)[0])(jnp.arange(4000))
    assert chance_of(np.bincount(first, minlength=10)) > 1e-3


def test_replacement_draws_all_samples_about_as_often_and_some_twice_an_epoch():
    drawn = jax.vmap(lambda epoch: sample_sequence(as_order("replacement"), KEY, epoch, 50))(jnp.arange(400))
    assert chance_of(np.bincount(drawn.ravel(), minlength=50)) > 1e-3
    # In 50 draws of 50 a sample is missed with probability (1 - 1/50)^50 = 0.364: 31.8 distinct ones an epoch, +- 0.12.
    distinct = np.mean([len(set(row)) for row in np.asarray(drawn).tolist()])
    assert distinct == pytest.approx(50 * (1 - 0.98**50), abs=0.6)


# A user's own


def test_a_users_function_gives_the_samples_and_is_visited_in_sequence():
    cut = split(5, batch_count=2)
    assert seen(rotated, cut, epochs=3) == [[(0, 1, 2), (3, 4)], [(1, 2, 3), (4, 0)], [(2, 3, 4), (0, 1)]]
    assert as_order(rotated).name == "rotated"
    assert not as_order(rotated).visits_once


def test_a_users_function_may_answer_in_numpy():
    def backwards(key, epoch, num_samples):
        return np.arange(num_samples)[::-1]

    assert seen(backwards, split(4, batch_count=2), epochs=2) == [[(3, 2), (1, 0)]] * 2


def test_a_users_function_gets_the_runs_order_key():
    def mine(key, epoch, num_samples):
        return jax.random.permutation(key, num_samples)

    np.testing.assert_array_equal(sample_sequence(as_order(mine), KEY, 0, 9), jax.random.permutation(KEY, 9))


def test_orders_of_the_users_making_may_permute_their_batches():
    def last_first(key, epoch, slots, batch_count):
        return (jnp.arange(slots) - 1) % batch_count

    order = Order(jaxsgd.ORDERS["fixed"].samples, last_first)
    assert seen(order, split(5, batch_count=3), epochs=1) == [[(4,), (0, 1), (2, 3)]]
    assert as_order(order) is order


# The facts that an order states of itself


@pytest.mark.parametrize("name", jaxsgd.ORDERS)
def test_an_order_states_after_how_many_epochs_its_positions_have_the_same_batches_again(name):
    epochs = [[sorted(batch) for batch in epoch] for epoch in seen(name, SPLITS["array_split"])]
    periods = [p for p in range(1, EPOCHS // 2 + 1) if epochs[p:] == epochs[:-p]]
    order = jaxsgd.ORDERS[name]
    assert order.period == (periods[0] if periods else None)
    assert order.repeats == bool(periods)


def test_an_order_is_added_by_one_entry(monkeypatch):
    """The entry is all that a study, a figure, the article's report and the limit cycle know of the order."""
    evens = Order(lambda key, epoch, n: jnp.argsort(jnp.arange(n) % 2), None, True, "evens", period=1, title="even ones first")
    monkeypatch.setitem(jaxsgd.ORDERS, "evens", evens._replace(batches=jaxsgd.ORDERS["fixed"].batches))
    sizes = {"problem": "least_squares", "problem_args": {"num_samples": 6, "num_inputs": 1}, "batch_counts": [2]}
    study = jaxsgd.Study(**sizes, seeds=[0], orders=["fixed", "evens"], learning_rates=[0.1], epochs=1)
    result = jaxsgd.sweep(study)
    # Samples 0 to 5 by twos: 0, 2, 4 are the first batch and 1, 3, 5 the second.
    _, t = jaxsgd.problems.least_squares(6, 1).sample_data(streams(jax.random.key(0)).data)
    first = np.mean(np.asarray(t)[[0, 2, 4]] ** 2) / 2
    loss = jaxsgd.simulate(
        jaxsgd.problems.least_squares(6, 1), jax.random.key(0), optimizer=optax.sgd(0.1), batch_count=2, epochs=1, order="evens"
    ).loss
    assert loss[0, 0] == pytest.approx(first, rel=1e-6)
    assert result.loss_epoch.sel(order="evens").item() == pytest.approx(float(loss.mean()), rel=1e-6)
    assert find_axis(result, "order").phrase(1) == "even ones first"
    settings = Experiment("own", 6, batch_count=2, eval_interval=1, epochs=2, order="evens")
    assert str(settings).endswith("order even ones first")
    assert np.isfinite(run_outcome(settings, np.ones((2, 2)), np.arange(6.0), 1).expected_gap)
    with pytest.raises(jaxsgd.InputError, match="such as fixed, shuffle_once, flip_flop, evens, got 'reshuffle'"):
        jaxsgd.limit_cycle(jaxsgd.problems.least_squares(6, 1), KEY, optimizer=optax.sgd(0.1), batch_count=2, order="reshuffle")
