"""Splits, and which samples each step sees."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

import jaxsgd
from jaxsgd.article.experiment import Experiment
from jaxsgd.article.report import run_outcome
from jaxsgd.family import Family, Parameter
from jaxsgd.order import ORDER_FAMILIES, Order, Split, as_order, built_in, order_title, sample_sequence, split, visits
from jaxsgd.plot.axis import find_axis
from jaxsgd.simulator import draw_start, streams

KEY = jax.random.key(0)
EPOCHS = 6


def rotated(key, epoch, num_samples):
    """A user's order: every epoch begins one sample later."""
    return (jnp.arange(num_samples) + epoch) % num_samples


LOADERS = ("buffer(5)", "blocks(4)", "block_buffer(3, 2)")
"""Orders with numbers in brackets, one of each family."""

BUILT_IN = (*(name for name, order in jaxsgd.ORDERS.items() if order.feedback is None), *LOADERS)
"""The orders that do not look at gradients; those that do are in `test_feedback.py`."""
EVERY_ORDER = {name: as_order(name) for name in BUILT_IN} | {"rotated": Order(rotated, visits_once=True, name="rotated")}
RANDOM = ["shuffle_once", "reshuffle", "reshuffle_batches", "flip_flop", "replacement", *LOADERS]
SPLITS = {
    "one batch": split(23, batch_count=1),
    "dividing": split(24, batch_count=4),
    "array_split": split(23, batch_count=5),
    "single samples": split(23, batch_count=23),
    "smaller last": split(23, batch_size=4),
    "drop last": split(23, batch_size=4, drop_last=True),
}
RAGGED = SPLITS["array_split"]


def splits_of(order):
    """The splits, by name, in which an order is looked at.

    The orders of loaders take time to compile, and know nothing of a split: their batches are visited in sequence.
    """
    return {name: SPLITS[name] for name in ("array_split", "drop last")} if order.name in LOADERS else SPLITS


def visits_of_splits(order, cuts, key):
    """The visits of `EPOCHS` epochs in each of some splits, [E, m, B] and [E, m]."""
    epochs = jnp.arange(EPOCHS)
    return [jax.vmap(lambda epoch, cut=cut: visits(order, key, epoch, cut))(epochs) for cut in cuts]


ALONE = 3
"""An epoch that is asked for on its own."""


@functools.cache
def compiled_visits(order, cuts):
    """`key -> (visits of each split, visits of the epoch ALONE in the last split, its number not traced)`, as one program."""
    return jax.jit(lambda key: (visits_of_splits(order, cuts, key), visits(order, key, ALONE, cuts[-1])))


@functools.cache
def visited(order, cut, seed=0):
    """The visits of all epochs in a split, and of the epoch `ALONE`, computed together for all splits of the order."""
    splits = splits_of(order)
    cuts = (*(own for own in splits.values() if own != RAGGED), RAGGED) if cut in splits.values() else (cut,)
    every, alone = jax.tree.map(np.asarray, compiled_visits(order, cuts)(jax.random.key(seed)))
    return every[cuts.index(cut)], alone


def batches(sample, size):
    """For each batch of an epoch, the tuple of its samples."""
    return [tuple(row[:count]) for row, count in zip(sample, size, strict=True)]


@functools.cache
def seen(order, cut, seed=0, epochs=EPOCHS):
    """For each epoch, for each of its batches, the tuple of its samples."""
    visit, _ = visited(as_order(order), cut, seed)
    assert visit.sample.shape == (EPOCHS, cut.batch_count, cut.sizes.max())
    return [batches(*epoch) for epoch in zip(visit.sample[:epochs], visit.size[:epochs], strict=True)]


def chance_of(counts):
    """Chance that equally likely outcomes are counted at least as unevenly as this: Pearson's chi-square test."""
    return float(scipy.stats.chisquare(counts).pvalue)


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


@pytest.mark.parametrize(
    ("order", "cut"),
    [
        pytest.param(order, cut, id=f"{name}-{split_name}")
        for name, order in EVERY_ORDER.items()
        for split_name, cut in splits_of(order).items()
    ],
)
def test_each_epoch_cuts_the_samples_into_batches_of_the_splits_sizes(order, cut):
    for epoch in seen(order, cut):
        assert sorted(len(batch) for batch in epoch) == sorted(cut.sizes)
        samples = [sample for batch in epoch for sample in batch]
        assert set(samples) <= set(range(cut.num_samples))
        if order.visits_once:
            assert len(set(samples)) == len(samples) == cut.sizes.sum()


@pytest.mark.parametrize("order", EVERY_ORDER.values(), ids=EVERY_ORDER)
def test_places_past_a_batchs_own_size_repeat_its_last_sample(order):
    visit, _ = visited(order, RAGGED)
    for samples, size in zip(visit.sample[0], visit.size[0], strict=True):
        assert set(samples[size:]) <= {samples[size - 1]}


@pytest.mark.parametrize("order", EVERY_ORDER.values(), ids=EVERY_ORDER)
def test_an_order_is_a_function_of_the_key_and_the_epoch(order):
    # An epoch asked for on its own, its number not traced, is the one met on the way.
    _, alone = visited(order, RAGGED)
    assert batches(alone.sample, alone.size) == seen(order, RAGGED)[ALONE]
    assert (seen(order, RAGGED, seed=1) != seen(order, RAGGED)) == (order.name in RANDOM)


@pytest.mark.parametrize("order", EVERY_ORDER.values(), ids=EVERY_ORDER)
def test_the_batches_visited_are_the_same_however_many_slots_there_are_and_traced_or_not(order):
    def in_slots(slots, batch_count):
        return jax.vmap(lambda epoch: order.batches(KEY, epoch, slots, batch_count))(jnp.arange(EPOCHS))

    counts = (5, 8)

    @jax.jit
    def in_both_ways(traced_counts):
        static = [(in_slots(count, count), in_slots(13, count)) for count in counts]
        return static, [(in_slots(8, count), in_slots(13, count)) for count in traced_counts]

    for batch_count, (expected, wide), traced in zip(counts, *jax.tree.map(np.asarray, in_both_ways(counts)), strict=True):
        np.testing.assert_array_equal(np.sort(expected), [range(batch_count)] * EPOCHS)
        for own in (wide, *traced):
            np.testing.assert_array_equal(own[:, :batch_count], expected)


def test_every_built_in_order_but_replacement_promises_visits_once():
    names = [*jaxsgd.ORDERS, *LOADERS]
    assert {name for name in names if not as_order(name).visits_once} == {"replacement"}
    assert all(as_order(name).name == name for name in names)
    assert {name.partition("(")[0] for name in LOADERS} == set(ORDER_FAMILIES)


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


PERMUTED = (1, 2, 5, 1625, 1626)
"""Lengths of permutations. 3 log(N) / log(2^32 - 1) is 1 at N = 2^(32/3) = 1,625.5: from there on JAX sorts twice."""


@functools.cache
def permutations(wide):
    """By the length, the permutations of three keys by our order and by JAX in epoch 1, with 64-bit numbers or without."""

    def both(keys, count):
        ours = jax.vmap(lambda key: EVERY_ORDER["reshuffle"].samples(key, 1, count))(keys)
        return ours, jax.lax.map(lambda key: jax.random.permutation(jax.random.fold_in(key, 1), count), keys)

    with jax.enable_x64(wide):
        pairs = jax.jit(lambda keys: {count: both(keys, count) for count in PERMUTED})(jax.random.split(KEY, 3))
        return jax.tree.map(np.asarray, pairs)


@pytest.mark.parametrize("count", PERMUTED)
def test_a_permutation_is_that_of_jax(count):
    for wide in (False, True):
        ours, theirs = permutations(wide)[count]
        assert ours.dtype == (np.int64 if wide else np.int32)
        np.testing.assert_array_equal(ours, theirs)


def test_equal_random_numbers_stay_in_their_sequence(monkeypatch):
    # All random numbers are equal: JAX's sort is stable, so the permutation is the identity.
    monkeypatch.setattr(jax.random, "bits", lambda key, shape, dtype: jnp.full(shape, 7, dtype))
    np.testing.assert_array_equal(EVERY_ORDER["reshuffle"].samples(KEY, 0, 9), np.arange(9))


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
    first = jax.jit(jax.vmap(lambda epoch: jaxsgd.ORDERS["reshuffle_batches"].batches(KEY, epoch, 4, 4)[0]))(jnp.arange(4000))
    assert chance_of(np.bincount(first, minlength=4)) > 1e-3


@pytest.mark.parametrize("cut", SPLITS.values(), ids=SPLITS)
def test_flip_flop_visits_its_batches_backwards_in_odd_epochs(cut):
    epochs = seen("flip_flop", cut)
    assert epochs[0] == seen("shuffle_once", cut)[0]
    assert epochs[0::2] == [epochs[0]] * 3
    assert epochs[1::2] == [epochs[0][::-1]] * 3


def test_reshuffle_puts_every_sample_first_about_as_often():
    first = jax.jit(jax.vmap(lambda epoch: sample_sequence(as_order("reshuffle"), KEY, epoch, 10)[0]))(jnp.arange(4000))
    assert chance_of(np.bincount(first, minlength=10)) > 1e-3


def test_replacement_draws_all_samples_about_as_often_and_some_twice_an_epoch():
    drawn = jax.jit(jax.vmap(lambda epoch: sample_sequence(as_order("replacement"), KEY, epoch, 50)))(jnp.arange(400))
    assert chance_of(np.bincount(np.ravel(drawn), minlength=50)) > 1e-3
    # In 50 draws of 50 a sample is missed with probability (1 - 1/50)^50 = 0.364: 31.8 distinct ones an epoch, +- 0.12.
    distinct = np.mean([len(set(row)) for row in np.asarray(drawn).tolist()])
    assert distinct == pytest.approx(50 * (1 - 0.98**50), abs=0.6)


# Orders as data loaders make them


def buffer_loader(rng, num_samples, k):
    """A shuffle buffer, as a stream goes through it."""
    buffer = []
    for sample in range(num_samples):
        if len(buffer) < k:
            buffer.append(sample)
        else:
            place = rng.integers(k)
            yield buffer[place]
            buffer[place] = sample
    while buffer:
        yield buffer.pop(rng.integers(len(buffer)))


def block_buffer_loader(rng, num_samples, k, n, shuffled=True):
    """Blocks in a random sequence, read n at a time; the samples of a reading are shuffled together."""
    blocks = [list(range(start, min(start + k, num_samples))) for start in range(0, num_samples, k)]
    rng.shuffle(blocks)
    for start in range(0, len(blocks), n):
        reading = [sample for block in blocks[start : start + n] for sample in block]
        if shuffled:
            rng.shuffle(reading)
        yield from reading


SIMULATED = {
    "buffer(1)": functools.partial(buffer_loader, k=1),
    "buffer(5)": functools.partial(buffer_loader, k=5),
    "buffer(20)": functools.partial(buffer_loader, k=20),
    "buffer(24)": functools.partial(buffer_loader, k=24),
    "blocks(4)": functools.partial(block_buffer_loader, k=4, n=1, shuffled=False),
    "blocks(7)": functools.partial(block_buffer_loader, k=7, n=1, shuffled=False),
    "block_buffer(3, 2)": functools.partial(block_buffer_loader, k=3, n=2),
    "block_buffer(5, 3)": functools.partial(block_buffer_loader, k=5, n=3),
    "block_buffer(24, 1)": functools.partial(block_buffer_loader, k=24, n=1),
}
MANY = 1500
"""Epochs of each of two samples of sequences."""


SAME = {
    "buffer(1)": "fixed",
    "buffer(24)": "reshuffle",
    "blocks(24)": "fixed",
    "blocks(1)": "reshuffle",
    "block_buffer(4, 6)": "reshuffle",
    "block_buffer(1, 24)": "reshuffle",
}
"""Orders with numbers at an end of their range, and the orders without numbers that they are."""
NEXT = {"buffer(6)": "buffer(5)", "blocks(5)": "blocks(4)"}
"""Orders with the number next to that of another."""


@functools.cache
def all_sequences():
    """The sequences of 24 samples in `MANY` epochs by every order that is looked at here, [epochs, 24], of one program."""
    names = {*SIMULATED, *SAME, *SAME.values(), *NEXT}

    @jax.jit
    @jax.vmap
    def sequences(epoch):
        return {name: sample_sequence(as_order(name), KEY, epoch, 24) for name in names}

    return jax.tree.map(np.asarray, sequences(jnp.arange(MANY)))


def sequences(order, epochs=MANY):
    return all_sequences()[order][:epochs]


@functools.cache
def simulated(order, num_samples=24, epochs=MANY):
    rng = np.random.default_rng(1)
    return np.array([list(SIMULATED[order](rng, num_samples)) for _ in range(epochs)])


def chance_of_both(first, second):
    """Chance that two samples of whole numbers from one distribution differ as much: a chi-square test of homogeneity."""
    values, place = np.unique(np.concatenate([first, second]), return_inverse=True)
    counts = np.stack([np.bincount(own, minlength=len(values)) for own in np.split(place, [len(first)])])
    rare = counts.sum(axis=0) < 20
    counts = np.concatenate([counts[:, ~rare], counts[:, rare].sum(axis=1, keepdims=True)], axis=1)
    counts = counts[:, counts.sum(axis=0) > 0]
    return 1.0 if counts.shape[1] == 1 else float(scipy.stats.chi2_contingency(counts).pvalue)


def least_chance(ours, theirs):
    """The least of the chances of the displacements of each sample, and of the steps between outputs."""
    displaced = [np.argsort(sequences, axis=1) - np.arange(sequences.shape[1]) for sequences in (ours, theirs)]
    steps = [np.diff(sequences, axis=1) for sequences in (ours, theirs)]
    # Each column has one number of each epoch, so its numbers are independent draws.
    return min(chance_of_both(*pair) for both in (displaced, steps) for pair in zip(*(own.T for own in both), strict=True))


@pytest.mark.parametrize("order", SIMULATED)
def test_the_displacements_are_those_of_the_loader(order):
    # 47 tests of one order: at 1e-5 each, fewer than 1 in 2,000 seeds would fail. The seeds are fixed, so none does by chance.
    assert least_chance(sequences(order), simulated(order)) > 1e-5


@pytest.mark.parametrize(("order", "other"), NEXT.items())
def test_the_displacements_tell_one_number_in_brackets_from_the_next(order, other):
    assert least_chance(sequences(order), simulated(other)) < 1e-12


def test_a_shuffle_buffer_gives_a_sample_out_no_sooner_than_it_is_read_and_draws_uniformly():
    output = sequences("buffer(5)")
    # Output t comes from the first t + 5 samples.
    assert (output <= np.arange(24) + 4).all()
    assert chance_of(np.bincount(output[:, 0], minlength=5)) > 1e-3
    # A sample waits w more outputs with the chance (4/5)^w / 5.
    waited = np.argmax(output == 6, axis=1) - 2
    assert np.mean(waited == 0) == pytest.approx(0.2, abs=0.04)
    assert np.mean(waited == 3) == pytest.approx(0.2 * 0.8**3, abs=0.04)


@pytest.mark.parametrize(("order", "same"), SAME.items())
def test_the_ends_of_the_range_are_orders_that_have_names(order, same):
    np.testing.assert_array_equal(sequences(order, epochs=EPOCHS), sequences(same, epochs=EPOCHS))


def test_blocks_stay_together_and_in_sequence():
    for epoch in sequences("blocks(7)", epochs=EPOCHS):
        # Blocks of 7, 7, 7 and 3 samples.
        pieces = np.split(epoch, np.flatnonzero(np.diff(epoch) != 1) + 1)
        assert {int(sample) // 7 for piece in pieces for sample in piece} == {0, 1, 2, 3}
        starts = [int(piece[0]) for piece in pieces]
        assert set(starts) <= {0, 7, 14, 21}


@pytest.mark.parametrize(
    ("order", "message"),
    [
        ("bufer(5)", "unknown order 'bufer(5)': did you mean 'buffer(k)'? valid: block_buffer(k, n), blocks(k), buffer(k), "),
        ("buffer(0)", "k of order 'buffer(0)' must be a whole number of at least 1 (samples in the buffer), got 0"),
        ("buffer(25)", "k of order 'buffer(25)' must be a whole number from 1 to 24 (the number of samples), got 25"),
        ("blocks(25)", "k of order 'blocks(25)' must be a whole number from 1 to 24 (the number of samples), got 25"),
        (
            "block_buffer(5, 6)",
            "n of order 'block_buffer(5, 6)' must be a whole number from 1 to 5 (the number of blocks of 5 ",
        ),
    ],
)
def test_numbers_out_of_range_are_one_line_in_a_study_and_in_a_run(order, message):
    problem = jaxsgd.problems.least_squares(24, 2)
    with pytest.raises(jaxsgd.InputError) as alone:
        jaxsgd.simulate(problem, KEY, optimizer=optax.sgd(0.1), batch_count=2, epochs=1, order=order)
    with pytest.raises(jaxsgd.InputError) as swept:
        jaxsgd.Study(problem=problem, seeds=[0], batch_counts=[2], orders=[order], learning_rates=[0.1], epochs=1)
    for caught, start in ((alone, message), (swept, f"orders: {message}")):
        assert str(caught.value).startswith(start)
        assert "\n" not in str(caught.value)


def test_a_study_writes_the_numbers_of_an_order_in_one_way():
    fields = {"problem": "least_squares", "seeds": [0], "batch_counts": [2], "learning_rates": [0.1], "epochs": 1}
    assert jaxsgd.Study(**fields, orders=["buffer( 1e1 )", "block_buffer(3,2)"]).orders == ("buffer(10)", "block_buffer(3, 2)")
    with pytest.raises(jaxsgd.InputError, match=r"^orders: has 'buffer\(10\)' more than once$"):
        jaxsgd.Study(**fields, orders=["buffer(10)", "buffer(1e1)"])


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


@pytest.mark.parametrize("name", BUILT_IN)
def test_an_order_states_after_how_many_epochs_its_positions_have_the_same_batches_again(name):
    epochs = [[sorted(batch) for batch in epoch] for epoch in seen(name, SPLITS["array_split"])]
    periods = [p for p in range(1, EPOCHS // 2 + 1) if epochs[p:] == epochs[:-p]]
    order = as_order(name)
    assert order.period == (periods[0] if periods else None)
    assert order.repeats == bool(periods)


def test_an_order_is_added_by_one_entry(monkeypatch):
    """The entry is all that a study, a figure, the article's report and the limit cycle know of the order."""
    evens = Order(lambda key, epoch, n: jnp.argsort(jnp.arange(n) % 2), None, True, "evens", period=1, title="even ones first")
    monkeypatch.setitem(jaxsgd.ORDERS, "evens", evens._replace(batches=jaxsgd.ORDERS["fixed"].batches))
    sizes = {"problem": "least_squares", "problem_args": {"num_samples": 6, "num_inputs": 1}, "batch_counts": [2]}
    study = jaxsgd.Study(**sizes, seeds=[0], orders=["fixed", "evens"], learning_rates=[0.1], epochs=1)
    result = jaxsgd.sweep(study)
    problem = jaxsgd.problems.least_squares(6, 1)
    # Samples 0 to 5 by twos: 0, 2, 4 are the first batch and 1, 3, 5 the second.
    _, (_, t) = draw_start(problem, streams(KEY))
    first = np.mean(np.asarray(t)[[0, 2, 4]] ** 2) / 2
    loss = np.asarray(jaxsgd.simulate(problem, KEY, optimizer=optax.sgd(0.1), batch_count=2, epochs=1, order="evens").loss)
    assert loss[0, 0] == pytest.approx(first, rel=1e-6)
    assert result.loss_epoch.sel(order="evens").item() == pytest.approx(float(loss.mean()), rel=1e-6)
    assert find_axis(result, "order").phrase(1) == "even ones first"
    settings = Experiment("own", 6, batch_count=2, eval_interval=1, epochs=2, order="evens")
    assert str(settings).endswith("order even ones first")
    assert np.isfinite(run_outcome(settings, np.ones((2, 2)), np.arange(6.0), 1).expected_gap)
    with pytest.raises(jaxsgd.InputError, match="such as fixed, shuffle_once, flip_flop, evens, got 'reshuffle'"):
        jaxsgd.limit_cycle(problem, KEY, optimizer=optax.sgd(0.1), batch_count=2, order="reshuffle")


def test_a_family_of_orders_is_added_by_one_entry(monkeypatch):
    """The entry is all that a study, a run and a figure know of the family."""

    def later(shift):
        return Order(lambda key, epoch, n: (jnp.arange(n) + shift) % n, visits_once=True, period=1, title=f"{shift} later")

    monkeypatch.setitem(ORDER_FAMILIES, "later", Family(later, (Parameter("shift", "samples"),)))
    assert seen("later(2)", split(5, batch_count=2), epochs=1) == [[(2, 3, 4), (0, 1)]]
    assert as_order("later(2)").name == "later(2)"
    assert order_title("later(2)") == "2 later"
    assert built_in("later(2)").repeats
    assert built_in("later") is None
    sizes = {"problem": "least_squares", "problem_args": {"num_samples": 6, "num_inputs": 1}, "batch_counts": [2]}
    assert jaxsgd.Study(**sizes, seeds=[0], orders=["later( 2)"], learning_rates=[0.1], epochs=1).orders == ("later(2)",)


def test_a_users_order_may_be_called_like_a_family():
    def buffer(key, epoch, num_samples):
        return jnp.arange(num_samples)

    assert order_title(as_order(buffer).name) == "buffer"
