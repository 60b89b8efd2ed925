"""Micro-steps against the two paths of one shape per batch count, and against the plain NumPy loop.

One computation is written three ways: `run_micro` (the batch count is data), `train.run` mapped over settings (a program
for each split, as sweeps use it), and `jaxsgd.simulate`. They sum in different sequences, so float32 runs agree to rounding:
at this rate and over these epochs rounding does not grow (test_simulator_against_reference.py shows where it would). Each path
is held to the loop within half the tolerance, so that any two agree within all of it.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxsgd
from jaxsgd.microstep import STEP_COST, Layout, cut, layout, run_micro
from jaxsgd.optimizer import scheduled
from jaxsgd.order import Order, Split, as_order, split
from jaxsgd.schedule import SCHEDULES
from jaxsgd.simulator import initial_state
from jaxsgd.train import run
from tests import probe, reference

ORDERS = {name: order for name, order in jaxsgd.ORDERS.items() if order.feedback is None}
"""Those that look at gradients have other sequences in every run; they are in `test_feedback.py`."""

NUM_SAMPLES, EPOCHS, RATE = 200, 3, 0.05
DIVISORS = (1, 2, 4, 5, 10, 20, 50)
OTHERS = (3, 7, 30, 66)
COUNTS = (*DIVISORS, *OTHERS)
MOMENTA = (0.0, 0.9)
TOLERANCE = 1e-5
"""Relative, of any batch loss between any two paths."""

KEYS = jaxsgd.streams(jax.random.key(3))
PROBLEM = probe.network(num_samples=NUM_SAMPLES, num_inputs=10, num_hidden=20)
WEIGHTS = {name: np.asarray(leaf) for name, leaf in PROBLEM.init(KEYS.init).items()}
HOW = {"precision": "float32", "epochs": EPOCHS}


def by_count(*counts, num_samples=NUM_SAMPLES):
    """Splits by batch count."""
    return [split(num_samples, batch_count=m) for m in counts]


def stacked(splits, shared):
    """The splits as data, with a leading axis to map over."""
    return jax.tree.map(lambda *leaves: np.stack(leaves), *(cut(member, shared) for member in splits))


def micro(problem, splits, optimizer, order="fixed", *, epochs=EPOCHS, micro_size=None, keys=KEYS):
    """`run_micro` mapped over splits: a Run whose arrays have the splits as their leading axis."""
    shared = layout(splits, micro_size)
    how = {"layout": shared, "order": as_order(order), "precision": "float32", "epochs": epochs}
    begun = initial_state(optimizer, problem.init(keys.init))
    data = jax.tree.map(jnp.asarray, problem.sample_data(keys.data))

    @jax.jit
    def all_of_them(cuts):
        return jax.vmap(lambda own_cut: run_micro(problem, begun, data, keys.order, own_cut, optimizer=optimizer, **how))(cuts)

    return jax.tree.map(np.asarray, all_of_them(stacked(splits, shared)))


def numbered_order(number):
    """One of `ORDERS` by its number, which may be traced, so that one program runs all of them: compiling takes the time."""

    def samples(key, epoch, num_samples):
        return jax.lax.switch(number, [lambda order=order: order.samples(key, epoch, num_samples) for order in ORDERS.values()])

    def batches(key, epoch, slots, batch_count):
        return jax.lax.switch(
            number, [lambda order=order: order.batches(key, epoch, slots, batch_count) for order in ORDERS.values()]
        )

    return Order(samples, batches)


@functools.cache
def sequences():
    """Return what the orders give: samples [order, E, N], and batches [order, E, count, M] for each batch count."""

    def samples_and_batches(number, epoch):
        order = numbered_order(number)
        batches = jax.vmap(lambda m: order.batches(KEYS.order, epoch, max(COUNTS), m))(jnp.asarray(COUNTS))
        return order.samples(KEYS.order, epoch, NUM_SAMPLES), batches

    both = jax.jit(jax.vmap(jax.vmap(samples_and_batches, (None, 0)), (0, None)))(jnp.arange(len(ORDERS)), jnp.arange(EPOCHS))
    return jax.tree.map(np.asarray, both)


@functools.cache
def of_the_loop(order, m, momentum):
    """Losses and sizes [E, m] of the NumPy loop; its batches are cut by NumPy's own `array_split`."""
    samples, batches = (leaf[list(ORDERS).index(order)] for leaf in sequences())
    epochs = []
    for i in range(EPOCHS):
        parts = np.array_split(samples[i], m)
        epochs.append([parts[batch] for batch in batches[i, COUNTS.index(m), :m]])
    rule = functools.partial(reference.momentum, RATE, momentum)
    losses, _, _ = reference.train(*PROBLEM.data, WEIGHTS["w1"], WEIGHTS["w2"], epochs, rule)
    return losses, np.asarray([[len(part) for part in parts] for parts in epochs])


def assert_all_are_of_the_loop(done, m):
    """Checks losses and sizes [order, momentum, E, m or more], of every order and momentum."""
    done = jax.tree.map(np.asarray, done)
    for i, order in enumerate(ORDERS):
        for k, momentum in enumerate(MOMENTA):
            losses, sizes = of_the_loop(order, m, momentum)
            np.testing.assert_allclose(done[0][i, k, :, :m], losses, rtol=TOLERANCE / 2, err_msg=f"{order}, m={m}, {momentum}")
            np.testing.assert_array_equal(done[1][i, k, :, :m], sizes)


@functools.cache
def one_program(counts):
    """By batch count: losses and sizes [order, momentum, E, M] of one program for all orders, momenta and batch counts."""
    splits = by_count(*counts)
    shared = layout(splits)
    params, data = PROBLEM.init(KEYS.init), jax.tree.map(jnp.asarray, PROBLEM.data)

    @jax.jit
    def all_runs(cuts):
        def trained(number, momentum, cut):
            how = {"optimizer": optax.sgd(RATE, momentum=momentum), "order": numbered_order(number), "layout": shared}
            begun = initial_state(how["optimizer"], params)
            done = run_micro(PROBLEM, begun, data, KEYS.order, cut, **how, **HOW)
            return done.loss, done.size

        over_momenta = jax.vmap(trained, (None, 0, None))
        over_orders = jax.vmap(over_momenta, (0, None, None))
        return jax.vmap(over_orders, (None, None, 0))(jnp.arange(len(ORDERS)), jnp.asarray(MOMENTA), cuts)

    loss, size = jax.tree.map(np.asarray, all_runs(stacked(splits, shared)))
    return {m: (loss[i], size[i]) for i, m in enumerate(counts)}


@pytest.mark.parametrize("counts", [DIVISORS, OTHERS], ids=str)
def test_one_program_has_the_losses_and_sizes_of_the_numpy_loop_in_every_order(counts):
    for m, done in one_program(counts).items():
        assert_all_are_of_the_loop(done, m)


def test_past_the_batch_count_the_loss_is_nan_and_the_size_0_and_nowhere_else():
    for m, (loss, size) in one_program(OTHERS).items():
        past = np.broadcast_to(np.arange(loss.shape[-1]) >= m, loss.shape)
        np.testing.assert_array_equal(np.isnan(loss), past)
        np.testing.assert_array_equal(size == 0, past)


# One batch, batches of one size, and of two. A program for each.
@pytest.mark.parametrize("m", [1, 4, 50, 3, 7, 66])
def test_a_program_for_one_batch_count_has_the_losses_and_sizes_of_the_numpy_loop_in_every_order(m):
    # The orders' sequences are given as tables: a program with the six orders in it would take seconds to compile.
    samples, batches = sequences()
    (single,) = by_count(m)
    params, data = PROBLEM.init(KEYS.init), jax.tree.map(jnp.asarray, PROBLEM.data)

    @jax.jit
    def all_runs(samples, batches):
        def trained(momentum, samples, batches):
            order = Order(lambda key, epoch, num_samples: samples[epoch], lambda key, epoch, slots, m: batches[epoch, :slots])
            optimizer = optax.sgd(RATE, momentum=momentum)
            begun = initial_state(optimizer, params)
            done = run(PROBLEM, begun, data, KEYS.order, optimizer=optimizer, split=single, order=order, **HOW)
            return done.loss, done.size

        over_momenta = jax.vmap(trained, (0, None, None))
        return jax.vmap(over_momenta, (None, 0, 0))(jnp.asarray(MOMENTA), samples, batches)

    assert_all_are_of_the_loop(all_runs(samples, batches[:, :, COUNTS.index(m)]), m)


# Every order, and every kind of count; all pairs would be a program each.
@pytest.mark.parametrize(("order", "m"), [(order, 30) for order in ORDERS] + [("reshuffle", m) for m in (1, 20, 66)])
def test_a_single_run_has_the_losses_and_sizes_of_the_numpy_loop(order, m):
    alone = jaxsgd.simulate(PROBLEM, KEYS, optimizer=optax.sgd(RATE, momentum=0.9), epochs=EPOCHS, batch_count=m, order=order)
    losses, sizes = of_the_loop(order, m, 0.9)
    np.testing.assert_allclose(alone.loss, losses, rtol=TOLERANCE / 2)
    np.testing.assert_array_equal(alone.size, sizes)


def test_adam_in_float64_has_the_losses_of_the_numpy_loop(x64):
    problem = probe.network(num_samples=120, num_inputs=4, num_hidden=6, dtype="float64")
    weights = {name: np.asarray(leaf) for name, leaf in problem.init(KEYS.init).items()}
    counts = (1, 4, 7, 50)
    done = micro(problem, by_count(*counts, num_samples=120), optax.adam(0.01))
    for i, m in enumerate(counts):
        epochs = [np.array_split(np.arange(120), m)] * EPOCHS
        exact, w1, w2 = reference.train(*problem.data, weights["w1"], weights["w2"], epochs, lambda: reference.adam(0.01))
        # Adam divides a gradient by its own size, so near-zero gradients pass their rounding on.
        np.testing.assert_allclose(done.loss[i, :, :m], exact, rtol=1e-8)
        np.testing.assert_allclose(done.params["w1"][i], w1, atol=1e-8)
        np.testing.assert_allclose(done.params["w2"][i], w2, atol=1e-8)


@pytest.mark.parametrize("drop_last", [False, True])
def test_batches_by_size_agree_with_a_single_run(drop_last):
    # 60 = 8 * 7 + 4: a smaller ninth batch, or none.
    problem = probe.network()
    splits = [split(60, batch_size=size, drop_last=drop_last) for size in (7, 20)]
    done = micro(problem, splits, optax.sgd(RATE))
    alone = jaxsgd.simulate(problem, KEYS, optimizer=optax.sgd(RATE), epochs=EPOCHS, batch_size=7, drop_last=drop_last)
    np.testing.assert_array_equal(done.size[0], alone.size)
    np.testing.assert_array_equal(alone.size[0], [7] * 8 + [4] * (not drop_last))
    np.testing.assert_allclose(done.loss[0], alone.loss, rtol=TOLERANCE)


def test_a_batch_is_one_update_of_the_optimizers_state_in_however_many_micro_steps():
    # 12 = K q, so m = 1 takes its one update in many micro-steps; 5 does not divide 12, so some are masked.
    problem = probe.line(num_samples=12)
    for counts, micro_size in [((1, 2, 3, 12), 1), ((1, 2, 3, 12), None), ((1, 5), 2)]:
        done = micro(problem, by_count(*counts, num_samples=12), optax.adam(0.01), micro_size=micro_size)
        (count,) = [value for _, value in optax.tree_utils.tree_get_all_with_path(done.opt_state, "count")]
        np.testing.assert_array_equal(count, EPOCHS * np.asarray(counts))


def test_momentum_decays_once_per_batch():
    # The velocity left in the state is that of the single run; decayed once per micro-step it would be nearly 0.
    problem = probe.line(num_samples=12)
    done = micro(problem, by_count(1, 2, 4, num_samples=12), optax.sgd(0.01, momentum=0.9), micro_size=1)
    for i, m in enumerate((1, 2, 4)):
        alone = jaxsgd.simulate(problem, KEYS, optimizer=optax.sgd(0.01, momentum=0.9), epochs=EPOCHS, batch_count=m)
        velocity, expected = (jax.tree.leaves(state)[0] for state in (done.opt_state, alone.opt_state))
        assert velocity[i].shape == expected.shape == (4,)
        np.testing.assert_allclose(velocity[i], expected, rtol=1e-5)
        np.testing.assert_allclose(done.params[i], alone.params, rtol=1e-5)


def _shows_its_weight(weight, x):
    return weight + 0 * x


WEIGHT = jaxsgd.Problem(lambda key: jnp.zeros(()), _shows_its_weight, jnp.zeros(60))
"""A batch's loss is the weight before it, and the gradient is 1: sgd's losses fall by the rate of each step."""


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_schedule_gives_the_same_rate_at_the_same_progress_in_every_path(schedule):
    expected_factor = {
        "constant": np.ones_like,
        "linear": lambda progress: 1 - progress,
        "cosine": lambda progress: (1 + np.cos(np.pi * progress)) / 2,
    }[schedule]
    optimizer = scheduled(optax.sgd, 2.0, {}, SCHEDULES[schedule])
    counts = (1, 4, 7, 60)
    done = micro(WEIGHT, by_count(*counts, num_samples=60), optimizer)
    for i, m in enumerate(counts):
        progress = (np.arange(EPOCHS)[:, None] + np.arange(m)[None, :] / m) / EPOCHS
        rates = 2 * expected_factor(progress).reshape(-1)
        before = -np.concatenate([[0], np.cumsum(rates)[:-1]]).reshape(EPOCHS, m)
        np.testing.assert_allclose(done.loss[i, :, :m], before, rtol=1e-5)
        if m in (1, 7):  # a program each
            alone = jaxsgd.simulate(WEIGHT, KEYS, optimizer=optimizer, epochs=EPOCHS, batch_count=m)
            np.testing.assert_allclose(alone.loss, before, rtol=1e-5)


def cost(splits, size):
    """The stated cost of an epoch, counted batch by batch: every run takes as many micro-steps as the one that needs most."""
    steps = []
    for member in splits:
        largest = max(int(np.ceil(samples / size)) for samples in member.sizes)
        steps.append(member.batch_count * largest)
    return max(steps) * (size + STEP_COST)


@pytest.mark.parametrize(
    "counts",
    [(1,), (1, 2, 4, 5, 10, 20, 50), (3,), (3, 7, 30), (1, 333), (1000,), (999, 1000), (7, 10, 64)],
    ids=str,
)
def test_the_layout_is_the_cheapest_there_is_and_holds_every_sample(counts):
    splits = by_count(*counts, num_samples=1000)
    chosen = layout(splits)
    largest = max(int(member.sizes.max()) for member in splits)
    assert cost(splits, chosen.micro_size) == min(cost(splits, size) for size in range(1, largest + 1))
    assert chosen.micro_steps * (chosen.micro_size + STEP_COST) == cost(splits, chosen.micro_size)
    assert chosen.micro_steps * chosen.micro_size >= 1000
    assert chosen.slots == max(counts)
    assert chosen.num_samples == 1000


def test_the_layout_is_masked_unless_every_batch_is_whole_micro_steps_and_every_run_has_as_many():
    # In 20 micro-steps of 50 samples each of these counts has batches of whole micro-steps; 50 micro-steps know no fourths.
    whole = layout(by_count(1, 2, 4, 5, 10, 20, num_samples=1000))
    assert whole == Layout(1000, slots=20, micro_steps=20, micro_size=50, masked=False)
    assert layout(by_count(1, 2, 4, 5, 10, 20, 50, num_samples=1000)).masked
    assert not layout(by_count(1, 2, 4, 5, 10, 20, 50, num_samples=1000), micro_size=10).masked
    # A count that does not divide N has batches of two sizes.
    assert layout(by_count(3)).masked
    assert layout(by_count(1, 2, 3)).masked
    # 2 and 3 both divide 6 samples, but in micro-steps of 3 samples 3 batches need 3, and 2 need 2: one is left over.
    assert layout(by_count(2, 3, num_samples=6), micro_size=3).masked
    assert not layout(by_count(2, 3, num_samples=6), micro_size=1).masked


def test_a_given_micro_size_is_kept():
    splits = by_count(2, 5, num_samples=20)
    for size in (3, 10, 12):
        assert layout(splits, size).micro_size == size


def test_losses_do_not_depend_on_the_micro_size_also_where_it_is_larger_than_every_batch():
    problem, splits = probe.network(), by_count(2, 7, num_samples=60)
    expected = micro(problem, splits, optax.sgd(RATE)).loss
    for size in (1, 4, 41):
        np.testing.assert_allclose(micro(problem, splits, optax.sgd(RATE), micro_size=size).loss, expected, rtol=TOLERANCE)


def _unit_steps(rate):
    """Steps of `rate` against the gradient's sign, by dividing it by its size: 0/0 is NaN for a gradient of 0."""

    def update(updates, state, params=None):
        return jax.tree.map(lambda grad: -rate * grad / jnp.abs(grad), updates), state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


def _product(weight, x):
    return weight * x


def test_an_update_that_would_be_nan_within_a_batch_does_not_reach_the_parameters():
    # Every batch begins with samples of gradient 0. After its first micro-step the update would be 0/0, and NaN still if a gate
    # of 0 multiplied it. The whole batch's gradient is positive, so each update is -1 and the weight ends at -E m.
    x = np.tile([0.0, 0.0, 1.0, 1.0], 6).astype(np.float32)
    problem = jaxsgd.Problem(lambda key: jnp.zeros(()), _product, x)
    done = micro(problem, by_count(1, 2, 6, num_samples=24), _unit_steps(1.0), micro_size=2)
    np.testing.assert_array_equal(done.params, -EPOCHS * np.asarray([1.0, 2, 6]))
    assert np.isfinite(done.loss[2]).all()


def test_a_short_batch_is_the_mean_of_its_own_samples_alone():
    # Batches of 3, 3 and 2 samples in micro-steps of 3: the last batch's third place is filled up. Sample n has loss n.
    done = micro(probe.numbered(8), by_count(3, num_samples=8), optax.sgd(1.0), micro_size=3, epochs=1)
    np.testing.assert_array_equal(done.loss[0, 0], [1, 4, 6.5])
    np.testing.assert_array_equal(done.size[0, 0], [3, 3, 2])
    # The same of the gradients, which are 1 for every sample: each update is -1.
    done = micro(WEIGHT, by_count(8, num_samples=60), optax.sgd(1.0), micro_size=3, epochs=1)
    np.testing.assert_array_equal(done.loss[0, 0], [0, -1, -2, -3, -4, -5, -6, -7])


@pytest.mark.parametrize("bad", [1e30, np.nan], ids=["rate of 1e30", "NaN rate"])
@pytest.mark.parametrize("masked", [False, True], ids=["unmasked", "masked"])
def test_a_run_that_diverges_leaves_the_bits_of_its_siblings_alone(bad, masked):
    problem = probe.line()
    single = Split(60, 7 if masked else 6)
    shared = layout([single], micro_size=5)
    assert shared.masked == masked
    cut_of_all = jax.tree.map(jnp.asarray, cut(single, shared))
    how = {"layout": shared, "order": as_order("fixed"), "precision": "float32", "epochs": 5}
    data = jax.tree.map(jnp.asarray, problem.data)

    @jax.jit
    def beside_each_other(rates):
        def trained(rate):
            optimizer = optax.sgd(rate, momentum=0.9)
            begun = initial_state(optimizer, jnp.ones(4))
            return run_micro(problem, begun, data, KEYS.order, cut_of_all, optimizer=optimizer, **how)

        return jax.vmap(trained)(rates)

    good, mixed = (jax.tree.map(np.asarray, beside_each_other(jnp.asarray([0.01, rate, 0.03]))) for rate in (0.02, bad))
    assert np.isfinite(good.loss).all()
    assert not np.isfinite(mixed.loss[1]).all()
    for leaf, other in zip(jax.tree.leaves(good), jax.tree.leaves(mixed), strict=True):
        assert leaf[[0, 2]].tobytes() == other[[0, 2]].tobytes()
