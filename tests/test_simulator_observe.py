"""Observations after each epoch: the parameters as they are then, on both paths, and nothing changed by looking."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxsgd
from jaxsgd.error import InputError
from jaxsgd.microstep import cut, layout, run_micro
from jaxsgd.simulator import initial_state
from jaxsgd.train import Recording
from tests import probe

PROBLEM = probe.line()
KEYS = jaxsgd.streams(jax.random.key(0))
DATA = jax.tree.map(jnp.asarray, PROBLEM.sample_data(KEYS.data))
OPTIMIZER = optax.sgd(0.1, momentum=0.9)


def weights_and_loss(params, context):
    return {"weights": params, "loss": jnp.mean(PROBLEM.loss(params, context.data))}


def run(epochs, observe=None, keep=()):
    how = {"optimizer": OPTIMIZER, "batch_count": 7, "order": "reshuffle"}
    return jaxsgd.simulate(PROBLEM, KEYS, epochs=epochs, observe=observe, keep=keep, **how)


def test_it_sees_the_parameters_that_a_run_of_so_many_epochs_ends_with():
    observed = run(3, weights_and_loss).observed
    for epochs in (1, 2, 3):
        ended = run(epochs).params
        np.testing.assert_array_equal(observed["weights"][epochs - 1], ended)
        # The samples' mean in another summation order.
        x, target = PROBLEM.data
        loss = np.mean((x @ np.asarray(ended) - target) ** 2) / 2
        np.testing.assert_allclose(observed["loss"][epochs - 1], loss, rtol=1e-6)


def test_kept_states_are_those_in_which_runs_of_so_many_epochs_end():
    kept = run(5, keep=[0, 2, 5]).kept
    np.testing.assert_array_equal(kept.params[0], PROBLEM.init(KEYS.init))
    np.testing.assert_array_equal(kept.opt_state[0].trace[0], 0 * kept.params[0])
    for row, epochs in ((1, 2), (2, 5)):
        ended = run(epochs)
        own = jax.tree.map(lambda leaf, row=row: leaf[row], kept)
        jax.tree.map(np.testing.assert_array_equal, (own.params, own.opt_state), (ended.params, ended.opt_state))


@pytest.mark.parametrize("keep", [[6], [-1], [2, 2], [3, 2], [True]])
def test_epochs_that_a_run_does_not_have_are_not_kept(keep):
    with pytest.raises(InputError, match="keep must list numbers of epochs from 0 to 5 in ascending order") as error:
        run(5, keep=keep)
    assert "\n" not in str(error.value)


def test_looking_changes_no_loss():
    seen, unseen = run(3, weights_and_loss), run(3)
    assert unseen.observed is None
    np.testing.assert_array_equal(seen.loss, unseen.loss)


def test_where_the_batch_count_is_data_it_sees_the_same():
    split = jaxsgd.split(60, batch_count=7)
    shared = layout([split, jaxsgd.split(60, batch_count=10)])
    begun = initial_state(OPTIMIZER, PROBLEM.init(KEYS.init))
    how = {"optimizer": OPTIMIZER, "order": jaxsgd.ORDERS["reshuffle"], "precision": "float32", "epochs": 3}
    how |= {"layout": shared, "recording": Recording(weights_and_loss, keep=(0, 2))}
    done = jax.jit(lambda own_cut: run_micro(PROBLEM, begun, DATA, KEYS.order, own_cut, **how))(cut(split, shared))
    # Gradients of parts of a batch are summed in another order.
    jax.tree.map(lambda *pair: np.testing.assert_allclose(*pair, rtol=1e-5), done.observed, run(3, weights_and_loss).observed)
    kept = run(3, keep=[0, 2]).kept
    jax.tree.map(lambda *pair: np.testing.assert_allclose(*pair, rtol=1e-4), done.kept, kept)


def test_what_a_measure_is_given():
    def measure(params, context):
        assert context.problem is PROBLEM
        assert (context.held_out, context.optimum, context.least) == (None, None, None)
        return {"update": context.update, "key": jax.random.uniform(context.key), "sizes": context.batches.size}

    seen, ended = run(3, [weights_and_loss, measure]).observed, [PROBLEM.init(KEYS.init)]
    assert set(seen) == {"weights_and_loss_weights", "weights_and_loss_loss", "measure_update", "measure_key", "measure_sizes"}
    # 60 samples in 7 batches.
    np.testing.assert_array_equal(np.sort(seen["measure_sizes"], axis=1), np.tile([8, 8, 8, 9, 9, 9, 9], (3, 1)))
    assert len(np.unique(seen["measure_key"])) == 3
    # The last step of each epoch by the definition of momentum: v <- 0.9 v + g, w <- w - 0.1 v. With the weights after each
    # step, the last change is their difference.
    every_step = jaxsgd.simulate(
        PROBLEM, KEYS, epochs=3, observe=lambda params, context: params, evaluate_every=1, optimizer=OPTIMIZER, batch_count=7,
        order="reshuffle",
    ).observed  # fmt: skip
    changes = np.diff(np.concatenate([np.asarray(ended), every_step]), axis=0)
    np.testing.assert_allclose(seen["measure_update"], changes[[6, 13, 20]], atol=1e-6)


def test_it_may_be_measured_after_some_epochs_only_and_after_the_last():
    def random(params, context):
        return jax.random.uniform(context.key)

    observe = ["parameter_norm", random, weights_and_loss]
    every = run(5, observe).observed
    some = jaxsgd.simulate(
        PROBLEM, KEYS, epochs=5, observe=observe, observe_every=2, optimizer=OPTIMIZER, batch_count=7, order="reshuffle",
    ).observed  # fmt: skip
    jax.tree.map(
        lambda own, all_epochs: np.testing.assert_allclose(own, all_epochs[np.array([1, 3, 4])], rtol=1e-6), some, every
    )


def test_epochs_that_are_not_measured_cost_nothing():
    counted = []

    def measure(params, context):
        jax.debug.callback(lambda: counted.append(1))
        return params

    def trained(seed):
        how = {"optimizer": OPTIMIZER, "batch_count": 7, "order": "reshuffle", "epochs": 7, "observe_every": 3}
        return jaxsgd.simulate(PROBLEM, jaxsgd.streams(jax.random.key(seed)), observe=measure, **how).observed

    # Mapped over 2 runs the condition stays a branch: it is taken after the epochs 3, 6 and 7 only, for both runs at once. The
    # call depends on no run, so it is one call for both; without the branch there would be seven.
    assert jax.vmap(trained)(jnp.arange(2)).shape == (2, 3, 4)
    jax.effects_barrier()
    assert len(counted) == 3


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"observe": "sharpnes"}, "unknown observable 'sharpnes': did you mean 'sharpness'?"),
        ({"observe": "loss_epoch"}, "unknown observable 'loss_epoch'"),
        ({"observe": 3}, r"observe must be a name, a function \(params, context\) -> arrays, or several, got 3"),
        ({"observe": ["distance"]}, "problem 'problem' has no distance: it has no optimum$"),
        (
            {"observe": "validation_loss"},
            "problem 'problem' has no validation_loss: no samples are held out, as by jaxsgd.hold_out",
        ),
        ({"observe": [lambda params, context: params]}, "an observable among several needs a name"),
        ({"observe": ["sharpness", "sharpness"]}, "observe has it twice"),
        ({"observe": [jnp.sum, jnp.sum]}, "observe has it twice"),
        ({"observe": ["sharpness"], "observe_every": 0}, "observe_every must be a whole number of at least 1, got 0"),
        ({"observe": "sharpness", "observe_every": 1, "evaluate_every": 1}, "give either evaluate_every or observe_every"),
        ({"observe_every": 2}, "observe_every needs observe"),
    ],
)
def test_bad_input(changed, message):
    with pytest.raises(jaxsgd.InputError, match=f"^.*{message}"):
        jaxsgd.simulate(PROBLEM, KEYS, epochs=1, optimizer=OPTIMIZER, batch_count=7, **changed)


def test_a_value_that_is_no_array():
    def unclear(params, context):
        return "far"

    with pytest.raises(jaxsgd.InputError, match="observable 'unclear' must return a number, an array or a dictionary of these"):
        run(1, [unclear])
    message = "observable 'unclear' must return a number, an array or a pytree of these, got 'far'"
    with pytest.raises(jaxsgd.InputError, match=message):
        run(1, unclear)


def test_an_observable_without_a_value_is_refused():
    def forgotten(params, context):
        del params, context

    for observe in (forgotten, [forgotten]):
        with pytest.raises(jaxsgd.InputError, match=r"observable 'forgotten' must return a number, .*, got None"):
            run(1, observe)
