"""A loss that takes a random key: each batch has a key of its own, the same on both paths, for every order and rate."""

import functools
import zlib

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxsgd
from jaxsgd.error import InputError
from jaxsgd.measure import limit_cycle, noise, own_steps
from jaxsgd.microstep import cut, layout, run_micro
from jaxsgd.simulator import initial_state
from tests import probe

PLAIN = probe.line()
KEYS = jaxsgd.streams(jax.random.key(3))
OPTIMIZER = optax.sgd(0.05, momentum=0.5)
EPOCHS = 3
DATA = jax.tree.map(jnp.asarray, PLAIN.data)


def dropped(params, batch, key):
    x, t = batch
    kept = jax.random.bernoulli(key, 0.7, x.shape)
    return PLAIN.loss(params, (jnp.where(kept, x / 0.7, 0), t))


RANDOM = jaxsgd.Problem(init=PLAIN.init, loss=dropped, data=PLAIN.data, evaluation_loss=PLAIN.loss)


@functools.partial(jax.jit, static_argnames="part")
def trained(params, state, batch, key, part):
    """Parameters, state and loss of an update; `part` samples at a time, with keys of their own, if it is given."""
    size = len(batch[0])
    starts = range(0, size, part or size)
    keys = [key if k == 0 else jax.random.fold_in(key, k) for k in range(len(starts))]

    def mean_loss(params):
        parts = [jax.tree.map(lambda leaf, start=start: leaf[start : start + (part or size)], batch) for start in starts]
        return sum(dropped(params, own, k).sum() for own, k in zip(parts, keys, strict=True)) / size

    loss, gradient = jax.value_and_grad(mean_loss)(params)
    updates, state = OPTIMIZER.update(gradient, state, params)
    return optax.apply_updates(params, updates), state, loss


def loop(batch_count, samples=lambda epoch: np.arange(60), part=None):
    """Losses [E, m] and last parameters of a Python loop; `part` samples at a time, with keys of their own, if it is given."""
    noise_key = jax.random.fold_in(KEYS.order, zlib.crc32(b"noise"))
    x, t = RANDOM.data
    params = RANDOM.init(KEYS.init)
    state, losses = OPTIMIZER.init(params), np.empty((EPOCHS, batch_count))
    for i in range(EPOCHS):
        for j, batch in enumerate(np.array_split(samples(i), batch_count)):
            key = jax.random.fold_in(jax.random.fold_in(noise_key, i), j)
            params, state, losses[i, j] = trained(params, state, (x[batch], t[batch]), key, part)
    return losses, params


@pytest.mark.parametrize("batch_count", [1, 4])
def test_simulate_gives_each_batch_its_key(batch_count):
    run = jaxsgd.simulate(RANDOM, KEYS, optimizer=OPTIMIZER, epochs=EPOCHS, batch_count=batch_count)
    losses, params = loop(batch_count)
    np.testing.assert_allclose(run.loss, losses, rtol=1e-5)
    np.testing.assert_allclose(run.params, params, rtol=1e-5)


def test_where_the_batch_count_is_data_further_parts_of_a_batch_have_keys_of_their_own():
    splits = [jaxsgd.split(60, batch_count=m) for m in (2, 6)]
    shared = layout(splits, 10)
    how = {"optimizer": OPTIMIZER, "layout": shared, "order": jaxsgd.ORDERS["fixed"], "precision": "float32"}

    @jax.jit
    def trained_in_parts(own_cut):
        begun = initial_state(OPTIMIZER, RANDOM.init(KEYS.init))
        return run_micro(RANDOM, begun, DATA, KEYS.order, own_cut, epochs=EPOCHS, **how)

    for split, part in zip(splits, (10, None), strict=True):
        run = trained_in_parts(cut(split, shared))
        losses, params = loop(split.batch_count, part=part)
        np.testing.assert_allclose(run.loss[:, : split.batch_count], losses, rtol=1e-5)
        np.testing.assert_allclose(run.params, params, rtol=1e-5)


def test_a_sweep_has_the_runs_of_simulate_and_measures_without_noise():
    study = jaxsgd.Study(
        problem=RANDOM, batch_counts=[4], learning_rates=[0.01, 0.05], seeds=[3], epochs=EPOCHS, observe=["gradient_norm"],
        held_out=0.25,
    )  # fmt: skip
    ds = jaxsgd.sweep(study)
    problem = jaxsgd.hold_out(RANDOM, 0.25)
    how = {"optimizer": optax.sgd(0.05), "epochs": EPOCHS, "batch_count": 4, "observe": ["gradient_norm", "validation_loss"]}
    run = jaxsgd.simulate(problem, KEYS, **how)
    own = ds.sel(batch_count=4, learning_rate=0.05).isel(seed=0)
    np.testing.assert_allclose(own["loss_epoch"].squeeze(), run.epoch_loss, rtol=1e-5)
    for name in ("gradient_norm", "validation_loss"):
        np.testing.assert_allclose(own[name].squeeze(), run.observed[name], rtol=1e-5)
    by_hand = jax.jit(lambda params: jnp.mean(PLAIN.loss(params, jax.tree.map(jnp.asarray, problem.held_out))))(run.params)
    np.testing.assert_allclose(own["validation_loss"].squeeze()[-1], by_hand, rtol=1e-5)


def test_measurements_on_the_way_follow_the_same_run():
    how = {"optimizer": OPTIMIZER, "epochs": EPOCHS, "batch_count": 4}
    kept = jaxsgd.simulate(RANDOM, KEYS, keep=[1, 2], **how).kept
    steps = own_steps(RANDOM, KEYS, at=[1], **how)
    x, t = (jnp.asarray(leaf) for leaf in RANDOM.data)
    for j, batch in enumerate(np.array_split(np.arange(60), 4)):
        change = np.mean(PLAIN.loss(kept.params[1], (x[batch], t[batch])) - PLAIN.loss(kept.params[0], (x[batch], t[batch])))
        np.testing.assert_allclose(steps.change[0, j], change, rtol=1e-4)
    assert noise(RANDOM, KEYS, at=[0], **how).trace.shape == (1,)


def test_without_an_evaluation_loss_a_measurement_has_one_fixed_key():
    problem = jaxsgd.Problem(init=PLAIN.init, loss=dropped, data=PLAIN.data)
    params = PLAIN.init(KEYS.init)
    np.testing.assert_array_equal(problem.losses(params, DATA), dropped(params, DATA, jax.random.key(0)))
    plain = jaxsgd.Problem(init=PLAIN.init, loss=PLAIN.loss, data=PLAIN.data)
    assert problem.has_noise
    assert not plain.has_noise


def test_streams_are_apart_and_noise_follows_the_order():
    other = jaxsgd.streams(jax.random.key(3), data=jax.random.key(4), init=jax.random.key(5))
    assert (jax.random.key_data(other.noise) == jax.random.key_data(KEYS.noise)).all()
    keys = [jax.random.key_data(key).tobytes() for key in (*KEYS, KEYS.noise)]
    assert len(set(keys)) == 4


@pytest.mark.parametrize("field", ["loss", "evaluation_loss"])
def test_a_random_loss_that_returns_a_mean_is_refused(field):
    losses = {"loss": dropped, "evaluation_loss": PLAIN.loss}
    own = losses[field]
    losses[field] = (lambda p, b, k: own(p, b, k).mean()) if field == "loss" else (lambda p, b: own(p, b).mean())
    problem = jaxsgd.Problem(init=PLAIN.init, data=PLAIN.data, **losses)
    with pytest.raises(InputError, match=f"the {field} of 'problem' must be one number per sample"):
        jaxsgd.simulate(problem, KEYS, optimizer=OPTIMIZER, epochs=1, batch_count=4)


def test_a_random_loss_has_no_limit_cycle():
    with pytest.raises(InputError, match="the loss of 'problem' takes a random key, so its training does not repeat"):
        limit_cycle(RANDOM, KEYS, optimizer=OPTIMIZER, batch_count=4, order="fixed")
