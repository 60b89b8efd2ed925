"""What a user brings."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxsgd
from tests import probe

KEY = jax.random.key(0)


def test_held_data_are_given_as_they_are_and_drawn_data_by_the_key():
    held, drawn = probe.numbered(4), probe.drawn(4)
    assert held.sample_data(KEY) is held.data
    np.testing.assert_array_equal(drawn.sample_data(KEY), jax.random.uniform(KEY, (4,)))


def test_data_are_drawn_at_full_precision_whatever_the_devices_own():
    problem = jaxsgd.Problem(
        lambda key: jnp.zeros(()), lambda w, x: x[:, 0] * w, lambda key: jnp.ones((4, 3)) @ jnp.ones((3, 2))
    )
    assert "Precision.HIGHEST" in str(jax.make_jaxpr(problem.sample_data)(KEY))


def test_problems_are_equal_only_if_they_are_the_same_object():
    one, other = probe.numbered(4), probe.numbered(4)
    assert one == one and one != other  # noqa: PT018
    assert len({one, one, other}) == 2


def test_data_held_and_the_same_data_drawn_train_alike():
    held = probe.network()
    drawn = jaxsgd.Problem(held.init, held.loss, lambda key: jax.tree.map(jnp.asarray, held.data))
    runs = [
        jaxsgd.simulate(p, KEY, optimizer=optax.sgd(0.1), epochs=3, batch_count=7, order="reshuffle") for p in (held, drawn)
    ]
    np.testing.assert_allclose(runs[0].loss, runs[1].loss, rtol=1e-6)


def test_a_model_written_elsewhere_is_a_function_of_its_parameters():
    # Any library's model that is a function of parameters and inputs fits: here one with a nested dict of its own.
    def apply(variables, x):
        return jnp.tanh(x @ variables["params"]["kernel"] + variables["params"]["bias"][None, :])

    x = np.random.default_rng(0).standard_normal((20, 3)).astype(np.float32)
    problem = jaxsgd.Problem(
        init=lambda key: {"params": {"kernel": jnp.zeros((3, 2)), "bias": jnp.zeros(2)}},
        loss=lambda variables, batch: jnp.mean((apply(variables, batch) - 0.5) ** 2, axis=-1),
        data=x,
    )
    run = jaxsgd.simulate(problem, KEY, optimizer=optax.adam(0.05), epochs=100, batch_count=4)
    # Every target is 1/2, which the bias alone reaches at tanh(b) = 1/2.
    np.testing.assert_allclose(jnp.tanh(run.params["params"]["bias"]), 0.5, atol=1e-2)
    np.testing.assert_allclose(run.params["params"]["kernel"], 0, atol=2e-2)
