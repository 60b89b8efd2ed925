"""The three random streams of a run: what each key decides, and what it leaves alone."""

import jax
import numpy as np
import optax
import pytest

import jaxsgd
from tests import probe

KEY = jax.random.key(0)
PROBLEM = probe.drawn(10)
OPTIMIZERS = {rate: optax.sgd(rate) for rate in (0.0, 0.5)}


def run(key=KEY, order="reshuffle", batch_count=10, rate=0.5):
    return jaxsgd.simulate(PROBLEM, key, optimizer=OPTIMIZERS[rate], epochs=3, batch_count=batch_count, order=order)


drawn = jax.jit(lambda keys: (PROBLEM.init(keys.init), PROBLEM.sample_data(keys.data)))
"""`streams -> (initial weight, samples)`."""


def seen(keys):
    """Return what a run of single-sample batches shows of each stream: the samples, the initial weight, the order of visits."""
    it, data = run(keys), np.asarray(drawn(keys)[1])
    matches = np.asarray(it.loss)[:, :, None] == data
    np.testing.assert_array_equal(matches.sum(axis=-1), 1)
    return {"data": data, "init": np.asarray(it.params), "order": matches.argmax(axis=-1)}


@pytest.mark.parametrize("seeded", ["data", "init", "order"])
def test_a_stream_seeded_on_its_own_changes_itself_alone(seeded):
    before, after = seen(jaxsgd.streams(KEY)), seen(jaxsgd.streams(KEY, **{seeded: jax.random.key(7)}))
    for stream in ("data", "init", "order"):
        assert np.array_equal(before[stream], after[stream]) == (stream != seeded)


@pytest.mark.parametrize("order", jaxsgd.ORDERS)
def test_data_and_initial_weight_are_the_same_in_every_order(order):
    weight, data = drawn(jaxsgd.streams(KEY))
    it = run(order=order)
    assert np.isin(it.loss, data).all()
    assert it.params == weight


# A program each: every count, and every rate.
@pytest.mark.parametrize(("batch_count", "rate"), [(1, 0.5), (4, 0.5), (4, 0.0), (10, 0.5)])
def test_data_and_initial_weight_are_the_same_at_every_batch_count_and_rate(batch_count, rate):
    weight, data = drawn(jaxsgd.streams(KEY))
    it = run(batch_count=batch_count, rate=rate)
    # The order visits each sample once an epoch, so an epoch's loss is the mean of all samples.
    np.testing.assert_allclose(it.epoch_loss, [np.mean(data)] * 3, rtol=1e-6)
    assert it.params == weight


def test_streams_of_one_key_differ_from_each_other_and_from_the_key():
    keys = [KEY, *jaxsgd.streams(KEY)]
    assert len({tuple(jax.random.key_data(key).tolist()) for key in keys}) == 4


def test_streams_by_one_key_or_by_the_same_key_for_each_are_the_same():
    shared, separate = jaxsgd.streams(KEY), jaxsgd.streams(jax.random.key(9), data=KEY, init=KEY, order=KEY)
    for a, b in zip(shared, separate, strict=True):
        np.testing.assert_array_equal(jax.random.key_data(a), jax.random.key_data(b))


def test_a_key_and_its_streams_give_the_same_run():
    np.testing.assert_array_equal(run(KEY).loss, run(jaxsgd.streams(KEY)).loss)


def test_a_key_of_the_older_kind_gives_the_same_run():
    np.testing.assert_array_equal(run(jax.random.PRNGKey(0)).loss, run(jax.random.key(0)).loss)
