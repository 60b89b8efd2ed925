"""What is observed after each epoch: the parameters as they are then, on both paths, and nothing changed by looking."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxsgd
from jaxsgd.microstep import cut, layout, run_micro
from tests import probe

PROBLEM = probe.line()
KEYS = jaxsgd.streams(jax.random.key(0))
DATA = jax.tree.map(jnp.asarray, PROBLEM.sample_data(KEYS.data))
OPTIMIZER = optax.sgd(0.1, momentum=0.9)


def weights_and_loss(params, data):
    return {"weights": params, "loss": jnp.mean(PROBLEM.loss(params, data))}


def run(epochs, observe=None):
    how = {"optimizer": OPTIMIZER, "batch_count": 7, "order": "reshuffle"}
    return jaxsgd.simulate(PROBLEM, KEYS, epochs=epochs, observe=observe, **how)


def test_it_sees_the_parameters_that_a_run_of_so_many_epochs_ends_with():
    observed = run(3, weights_and_loss).observed
    for epochs in (1, 2, 3):
        ended = run(epochs).params
        np.testing.assert_array_equal(observed["weights"][epochs - 1], ended)
        # The samples' mean in another summation order.
        loss = jnp.mean(PROBLEM.loss(ended, DATA))
        np.testing.assert_allclose(observed["loss"][epochs - 1], loss, rtol=1e-6)


def test_looking_changes_no_loss():
    seen, unseen = run(3, weights_and_loss), run(3)
    assert unseen.observed is None
    np.testing.assert_array_equal(seen.loss, unseen.loss)


def test_where_the_batch_count_is_data_it_sees_the_same():
    split = jaxsgd.split(60, batch_count=7)
    shared = layout([split, jaxsgd.split(60, batch_count=10)])
    params = PROBLEM.init(KEYS.init)
    how = {"optimizer": OPTIMIZER, "order": jaxsgd.ORDERS["reshuffle"], "precision": "float32", "epochs": 3}
    given = (params, DATA, KEYS.order, jax.tree.map(jnp.asarray, cut(split, shared)))
    done = run_micro(PROBLEM, *given, layout=shared, observe=weights_and_loss, **how)
    # Gradients of parts of a batch are summed in another order.
    jax.tree.map(lambda *pair: np.testing.assert_allclose(*pair, rtol=1e-5), done.observed, run(3, weights_and_loss).observed)


@pytest.mark.usefixtures("unchecked")
def test_something_that_is_no_function():
    with pytest.raises(jaxsgd.InputError, match=r"^observe must be a function \(params, data\) -> arrays, got 'loss'$"):
        run(1, "loss")
