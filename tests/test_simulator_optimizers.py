"""Any optax transformation, on parameters of any shape."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxsgd
from jaxsgd.simulator import batch_loss
from tests import probe

KEY = jax.random.key(0)
EPOCHS, BATCH_COUNT = 3, 7
NETWORK = probe.network()

OPTIMIZERS = {
    "sgd": optax.sgd(0.1),
    "momentum": optax.sgd(0.1, momentum=0.9),
    "nesterov": optax.sgd(0.1, momentum=0.9, nesterov=True),
    "adam": optax.adam(0.01),
    "adamw": optax.adamw(0.01),
    "rmsprop": optax.rmsprop(0.01),
    "lion": optax.lion(0.001),
    "adagrad": optax.adagrad(0.1),
    "clipped": optax.chain(optax.clip_by_global_norm(0.01), optax.sgd(0.1)),
    "schedule": optax.sgd(optax.exponential_decay(0.1, transition_steps=1, decay_rate=0.9)),
    # Polyak's step is value / (scaling |grad|^2): short steps, so that rounding does not grow.
    "polyak_sgd, which asks for the value": optax.polyak_sgd(max_learning_rate=1e6, scaling=1000.0),
    "reduce_on_plateau, which asks for the value": optax.chain(optax.sgd(0.1), optax.contrib.reduce_on_plateau(patience=2)),
    "a line search, which asks for the function": optax.chain(optax.sgd(1.0), optax.scale_by_backtracking_linesearch(10)),
}


def counter():
    """A transformation of the user's own, which counts its updates and changes nothing."""

    def update(updates, state, params=None):
        return updates, state + 1

    return optax.GradientTransformation(lambda params: jnp.zeros((), jnp.int32), update)


def plain_loop(problem, optimizer):
    """The loop of optax's own documentation over the same batches, one Python step at a time."""

    @jax.jit
    def step(params, state, batch):
        def value_fn(params):
            return batch_loss(problem, params, batch)

        loss, grad = jax.value_and_grad(value_fn)(params)
        updates, state = update(grad, state, params, value=loss, grad=grad, value_fn=value_fn)
        return optax.apply_updates(params, updates), state, loss

    update = optax.with_extra_args_support(optimizer).update
    params = problem.init(KEY)
    state, losses = optimizer.init(params), []
    for _ in range(EPOCHS):
        for samples in np.array_split(np.arange(60), BATCH_COUNT):
            params, state, loss = step(
                params, state, jax.tree.map(lambda leaf, at=samples: jnp.asarray(leaf[at]), problem.data)
            )
            losses.append(loss)
    return np.reshape(losses, (EPOCHS, BATCH_COUNT)), params


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_losses_are_those_of_a_plain_loop_and_every_batch_is_one_update(name):
    run = jaxsgd.simulate(
        NETWORK, KEY, optimizer=optax.chain(OPTIMIZERS[name], counter()), epochs=EPOCHS, batch_count=BATCH_COUNT
    )
    assert np.isfinite(run.loss).all()
    assert run.opt_state[-1] == EPOCHS * BATCH_COUNT
    counts = [count for _, count in optax.tree_utils.tree_get_all_with_path(run.opt_state[0], "count")]
    if name in ("adam", "adamw", "lion", "schedule"):
        assert counts
        assert set(map(int, counts)) == {EPOCHS * BATCH_COUNT}
    losses, params = plain_loop(NETWORK, OPTIMIZERS[name])
    np.testing.assert_allclose(run.loss, losses, rtol=1e-5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), run.params, params)
    assert run.loss[-1].mean() < run.loss[0].mean()


def test_accumulated_gradients_update_every_second_batch():
    optimizer = optax.MultiSteps(optax.sgd(0.1), every_k_schedule=2).gradient_transformation()
    run = jaxsgd.simulate(NETWORK, KEY, optimizer=optimizer, epochs=1, batch_count=4)
    assert run.opt_state.gradient_step == 2
    # Until the second batch is seen nothing moves, so its loss is that at the initial weights.
    still = jaxsgd.simulate(NETWORK, KEY, optimizer=optax.sgd(0.0), epochs=1, batch_count=4)
    np.testing.assert_allclose(run.loss[0, :2], still.loss[0, :2], rtol=1e-6)
    assert not np.isclose(run.loss[0, 2], still.loss[0, 2], rtol=1e-6)


@pytest.mark.parametrize(("epochs", "batch_count"), [(1, 4), (2, 3), (3, 7)])
def test_an_optimizer_made_from_progress_gets_the_done_share_of_the_training(epochs, batch_count):
    # One parameter that takes steps of -progress, whatever its gradient: it ends at minus the sum of (i + j / m) / E.
    def optimizer(progress):
        return optax.GradientTransformation(
            lambda params: optax.EmptyState(), lambda updates, state, params=None: (-progress, state)
        )

    run = jaxsgd.simulate(probe.numbered(21), KEY, optimizer=optimizer, epochs=epochs, batch_count=batch_count)
    done = [(i + j / batch_count) / epochs for i in range(epochs) for j in range(batch_count)]
    assert float(run.params) == pytest.approx(-sum(done), rel=1e-6)


@jax.tree_util.register_dataclass
@dataclasses.dataclass
class Line:
    slope: jax.Array
    offset: jax.Array


class Pair(NamedTuple):
    slope: jax.Array
    offset: jax.Array


PARAMETERS = {
    "dict": (lambda a, b: {"slope": a, "offset": b}, lambda p: (p["slope"], p["offset"])),
    "list": (lambda a, b: [a, b], lambda p: p),
    "tuple": (lambda a, b: (a, b), lambda p: p),
    "named tuple": (Pair, lambda p: p),
    "dataclass": (Line, lambda p: (p.slope, p.offset)),
    "nested": (
        lambda a, b: {"layers": [(a, {"offset": b}), None, ()]},
        lambda p: (p["layers"][0][0], p["layers"][0][1]["offset"]),
    ),
}


@pytest.mark.parametrize("kind", PARAMETERS)
def test_parameters_may_be_any_pytree(kind):
    make, parts = PARAMETERS[kind]
    x = np.linspace(-1, 1, 20, dtype=np.float32)

    def loss(params, batch):
        slope, offset = parts(params)
        x, t = batch["x"], batch["t"]
        return (slope * x + offset - t) ** 2

    problem = jaxsgd.Problem(lambda key: make(jnp.zeros(()), jnp.zeros(())), loss, {"x": x, "t": 3 * x + 1})
    run = jaxsgd.simulate(problem, KEY, optimizer=optax.adam(0.1), epochs=100, batch_count=4)
    assert jax.tree.structure(run.params) == jax.tree.structure(problem.init(KEY))
    # The samples lie on the line t = 3 x + 1, so every batch agrees on it.
    np.testing.assert_allclose(jnp.stack(jax.tree.leaves(parts(run.params))), [3, 1], atol=1e-2)
