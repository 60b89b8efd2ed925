"""The samples of a batch, and its loss."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxsgd
from jaxsgd.simulator import batch_loss
from tests import probe

KEY = jax.random.key(0)
SGD = optax.sgd(0.1)
NETWORK = probe.network()
NUMBERED = {count: probe.numbered(count) for count in (10, 12)}


@pytest.mark.parametrize(("num_samples", "batch_count"), [(10, 1), (10, 3), (10, 4), (10, 7), (10, 10), (12, 4)])
def test_batch_count_splits_like_array_split(num_samples, batch_count):
    run = jaxsgd.simulate(NUMBERED[num_samples], KEY, optimizer=SGD, epochs=2, batch_count=batch_count)
    batches = np.array_split(np.arange(num_samples), batch_count)
    np.testing.assert_array_equal(run.size, [[len(batch) for batch in batches]] * 2)
    np.testing.assert_allclose(run.loss, [[batch.mean() for batch in batches]] * 2, rtol=1e-6)


@pytest.mark.parametrize(
    ("batch_size", "drop_last", "batches"),
    [
        (5, False, [range(0, 5), range(5, 10)]),
        (4, False, [range(0, 4), range(4, 8), range(8, 10)]),
        (4, True, [range(0, 4), range(4, 8)]),
        (3, False, [range(0, 3), range(3, 6), range(6, 9), range(9, 10)]),
        (6, True, [range(0, 6)]),
        (10, False, [range(0, 10)]),
        (1, True, [range(n, n + 1) for n in range(10)]),
    ],
)
def test_batch_size_gives_full_batches_and_a_smaller_last_unless_dropped(batch_size, drop_last, batches):
    run = jaxsgd.simulate(NUMBERED[10], KEY, optimizer=SGD, epochs=1, batch_size=batch_size, drop_last=drop_last, order="fixed")
    np.testing.assert_array_equal(run.size, [[len(batch) for batch in batches]])
    np.testing.assert_allclose(run.loss, [[np.mean(batch) for batch in batches]], rtol=1e-6)


@pytest.mark.parametrize("order", jaxsgd.ORDERS)
def test_sizes_add_up_to_the_samples_in_every_order(order):
    # Compiled with the sizes alone as its result: of most orders nothing is trained.
    how = {"optimizer": SGD, "epochs": 5, "order": order}
    sizes = jax.jit(
        lambda key: [jaxsgd.simulate(NUMBERED[10], key, **how, **size).size for size in ({"batch_count": 4}, {"batch_size": 4})]
    )
    for own in sizes(KEY):
        np.testing.assert_array_equal(np.sum(own, axis=1), [10] * 5)


def test_epoch_loss_weighs_batches_by_size():
    # Every order that visits each sample once has the mean of 0 ... 9, 4.5. Batches of 4, 4, 2 have means 1.5, 5.5, 8.5,
    # and their plain mean would be 15.5 / 3.
    run = jaxsgd.simulate(NUMBERED[10], KEY, optimizer=SGD, epochs=3, batch_size=4)
    np.testing.assert_allclose(run.epoch_loss, [4.5] * 3, rtol=1e-6)
    np.testing.assert_allclose(run.loss.mean(axis=1), [15.5 / 3] * 3, rtol=1e-6)


def test_epoch_loss_of_mapped_runs_has_their_axis():
    keys, problem = jax.random.split(KEY, 3), probe.drawn(10)

    def run(key):
        return jaxsgd.simulate(problem, key, optimizer=SGD, epochs=2, batch_size=4)

    together = np.asarray(jax.jit(jax.vmap(run))(keys).epoch_loss)
    for i, key in enumerate(keys):
        np.testing.assert_allclose(together[i], run(key).epoch_loss, rtol=1e-6)


def test_a_ragged_batch_has_the_loss_and_gradient_of_its_own_samples_alone(x64):
    problem = probe.network(5, num_hidden=4, dtype="float64")
    (x, t), params = jax.tree.map(jnp.asarray, problem.data), problem.init(KEY)
    padded = jnp.asarray([0, 1, 2, 2, 2])

    @jax.jit
    def of_both(params, size):
        own = jax.value_and_grad(lambda params: jnp.mean(problem.loss(params, (x[:3], t[:3]))))(params)
        return *jax.value_and_grad(batch_loss, 1)(problem, params, (x[padded], t[padded]), size), *own

    loss, grad, own, own_grad = of_both(params, 3)
    assert float(loss) == pytest.approx(float(own), rel=1e-15)
    # Entries of the gradient are sums of three terms of size 1/10.
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-16), grad, own_grad)


SAMPLES = np.float32([6, np.nan, np.inf, -np.inf])


def spoilt_data(key):
    """The samples 0 to 9, the sixth of which is the one of `SAMPLES` that the number of the key names."""
    return NUMBERED[10].data.at[6].set(jnp.asarray(SAMPLES)[jax.random.key_data(key)[1]])


# Drawn with a key, for of arrays that a problem holds such a sample is refused; and so one program has all of them.
SPOILT = jaxsgd.Problem(NUMBERED[10].init, NUMBERED[10].loss, spoilt_data)


@pytest.mark.parametrize("bad", range(1, 4), ids=map(str, SAMPLES[1:]))
@pytest.mark.parametrize("size", [{"batch_count": 5}, {"batch_count": 3}, {"batch_size": 4}])
def test_a_sample_that_is_not_finite_spoils_its_own_batch_and_no_other(bad, size):
    # The probe's gradient is 0, so the weight stays finite and only the losses themselves could carry it over.
    keys = [jaxsgd.streams(KEY)._replace(data=jax.random.key(number)) for number in (0, bad)]
    clean, run = (jaxsgd.simulate(SPOILT, key, optimizer=SGD, epochs=1, **size) for key in keys)
    loss, spoilt_loss, ends = np.asarray(clean.loss)[0], np.asarray(run.loss)[0], np.cumsum(np.asarray(clean.size)[0])
    own = int(np.searchsorted(ends, 6, side="right"))
    assert np.isfinite(loss).all()
    np.testing.assert_array_equal(~np.isfinite(spoilt_loss), np.arange(len(ends)) == own)
    np.testing.assert_array_equal(np.delete(spoilt_loss, own), np.delete(loss, own))


def spoilt_network_data(key):
    """The network's samples, of which sample 26 has the targets that the number of the key names; those of 0 are its own."""
    x, t = map(jnp.asarray, NETWORK.data)
    number = jax.random.key_data(key)[1]
    return x, t.at[26].set(jnp.where(number == 0, t[26], jnp.asarray(SAMPLES)[number]))


SPOILT_NETWORK = jaxsgd.Problem(NETWORK.init, NETWORK.loss, spoilt_network_data)


@pytest.mark.parametrize("bad", [1, 2], ids=map(str, SAMPLES[1:3]))
@pytest.mark.parametrize("batch_count", [6, 7])
def test_once_such_a_batch_is_learned_from_the_weights_are_lost_and_not_before(bad, batch_count):
    # Of 6 batches of 10 samples, and of 7 batches of 9 and 8, the third has sample 26.
    assert 26 in np.array_split(np.arange(60), batch_count)[2]
    keys = [jaxsgd.streams(KEY)._replace(data=jax.random.key(number)) for number in (0, bad)]
    clean, run = (jaxsgd.simulate(SPOILT_NETWORK, key, optimizer=SGD, epochs=1, batch_count=batch_count) for key in keys)
    loss, spoilt_loss = np.asarray(clean.loss)[0], np.asarray(run.loss)[0]
    np.testing.assert_array_equal(spoilt_loss[:2], loss[:2])
    assert not np.isfinite(spoilt_loss[2:]).any()


def test_a_run_that_diverges_leaves_the_runs_mapped_beside_it_bit_for_bit_alone():
    problem = probe.line()

    @jax.jit
    @jax.vmap
    def final(rate):
        return jaxsgd.simulate(problem, KEY, optimizer=optax.sgd(rate), epochs=20, batch_count=7)

    beside, alone = (jax.tree.map(np.asarray, final(jnp.asarray([0.01, rate, 0.02]))) for rate in (1e6, 0.01))
    assert not np.isfinite(beside.loss[1, -1]).any()
    for i in (0, 2):
        np.testing.assert_array_equal(beside.loss[i], alone.loss[i])
        np.testing.assert_array_equal(beside.params[i], alone.params[i])
