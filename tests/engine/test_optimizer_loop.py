"""Optimizers by name, schedules and batch rules against a plain Python loop over optax, in both paths of a sweep."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxsgd
from jaxsgd.order import as_order
from jaxsgd.simulator import streams
from tests import probe

COUNTS, REFERENCE, EPOCHS = [2, 3, 7], 3, 3
SEEDS = [0, 1]


def small_network():
    return probe.network(num_samples=28, num_hidden=4)


def study(path="one_program", **fields):
    # A quarter of 28 samples is held out: 21 in 2, 3 and 7 batches, the first of them ragged. Where each count has a program
    # of its own, a second one says no more.
    return jaxsgd.Study(
        problem="tests.engine.test_optimizer_loop:small_network", held_out=0.25, seeds=SEEDS,
        batch_counts=[7] if path == "grouped" else COUNTS, orders=["reshuffle"], epochs=EPOCHS, **fields,
    )  # fmt: skip


@functools.cache
def functions():
    """The problem with its held-out samples, the gradient of a batch's mean loss, and the loss to validate by, compiled."""
    problem = study(learning_rates=[1]).subject().problem

    def mean_loss(params, batch):
        return problem.loss(params, batch).mean()

    def loss_of_samples(params, samples):
        return mean_loss(params, jax.tree.map(lambda leaf: jnp.asarray(leaf)[samples], problem.data))

    return problem, jax.jit(jax.value_and_grad(loss_of_samples)), jax.jit(mean_loss)


@functools.cache
def sequences(seed):
    """The samples in the sequence of each epoch, [E, N]."""
    samples = functions()[0].data[0].shape[0]
    key = streams(jax.random.key(seed)).order
    draw = jax.jit(jax.vmap(lambda epoch: as_order("reshuffle").samples(key, epoch, samples)))
    return np.asarray(draw(jnp.arange(EPOCHS)))


class Steps(NamedTuple):
    """An optimizer in a plain loop, compiled.

    Attributes:
      init: `(values, params) -> state`.
      update: `(values, grads, state, params) -> (params, state, evaluated parameters)`.
    """

    init: Callable
    update: Callable


def compiled_steps(make, evaluation=lambda params, state: params):
    """The first state, and the step with what follows it, of an optimizer.

    Args:
      make: `values -> optax transformation`; its functions of the count have the schedule. With the value `average`, the
        decay of `optax.ema`, that averages the parameters after each step.
      evaluation: `(parameters, state) -> parameters` that are evaluated.
    """

    @jax.jit
    def init(values, params):
        return make(values).init(params), optax.ema(values["average"]).init(params) if "average" in values else None

    @jax.jit
    def update(values, grads, state, params):
        own, averages = state
        updates, own = make(values).update(grads, own, params)
        params = optax.apply_updates(params, updates)
        judged = evaluation(params, own)
        if "average" in values:
            judged, averages = optax.ema(values["average"]).update(judged, averages)
        return params, (own, averages), judged

    return Steps(init, update)


def by_optax(seed, count, steps, values):
    """The losses [E, m] and validation losses [E] of a plain loop of Python over optax.

    Args:
      seed: of the order.
      count: m.
      steps: of its optimizer.
      values: the numbers that it is made with.
    """
    problem, value_and_grad, validated = functions()
    params = problem.init(jax.random.key(0))
    state, losses, validation = steps.init(values, params), [], []
    for sequence in sequences(seed):
        for own in np.array_split(sequence, count):
            loss, grads = value_and_grad(params, own)
            losses.append(loss)
            params, state, judged = steps.update(values, grads, state, params)
        validation.append(validated(judged, problem.held_out))
    return np.reshape(losses, (EPOCHS, count)), np.asarray(validation)


def check(ds, steps, values=lambda count: {}):
    """Check each cell of a result against the loop; `values` gives the numbers of the optimizer at a batch count."""
    for count in ds.batch_count.values.tolist():
        for seed in SEEDS:
            cell = ds.sel(seed=seed, batch_count=count).squeeze()
            losses, validation = by_optax(seed, count, steps, values(count))
            np.testing.assert_allclose(cell.loss.values[:, :count], losses, rtol=1e-5)
            np.testing.assert_allclose(cell.validation_loss.values, validation, rtol=1e-5)


PATHS = pytest.mark.parametrize("path", ["one_program", "grouped"])


@functools.cache
def steps_of_adam():
    def adam(values):
        def rate(step):
            return values["rate"] * jnp.where(step / values["steps"] < 0.5, 1.0, values["drop"])

        return optax.adam(rate, b1=values["b1"], b2=values["b2"], eps=values["eps"])

    return compiled_steps(adam)


@PATHS
def test_schedules_and_the_rules_of_adam(path):
    rules = {"learning_rate": "sqrt", "b1": "complement", "b2": "half_life", "eps": "inverse_sqrt"}
    adam = {"b1": [0.8], "b2": [0.9], "eps": [1e-4]}
    ds = jaxsgd.sweep(
        study(
            path, optimizer="adam", learning_rates=[0.05], hyper=adam, schedules=["constant", "step(0.5, 0.2)"],
            batch_rules={"none": {}, "all": rules}, reference_batch_count=REFERENCE,
        ),
        vectorize=path,
    ).squeeze(["optimizer", "order", "learning_rate", *adam])  # fmt: skip

    def values(schedule, rule, count):
        kappa = REFERENCE / count if rule == "all" else 1.0
        of_adam = {"b1": 1 - kappa * 0.2, "b2": 0.9**kappa, "eps": 1e-4 / np.sqrt(kappa)}
        drop = 0.2 if schedule != "constant" else 1.0
        return {"rate": 0.05 * np.sqrt(kappa), "steps": count * EPOCHS, "drop": drop, **of_adam}

    for schedule in ds.schedule.values:
        for rule in ds.batch_rule.values:
            check(ds.sel(schedule=schedule, batch_rule=rule), steps_of_adam(), functools.partial(values, schedule, rule))
    # Paired seeds stay paired: the first loss, before any step, is the same for all schedules and rules.
    first = ds.loss.isel(epoch=0, batch=0)
    assert (first == first.isel(schedule=0, batch_rule=0)).all()


@functools.cache
def steps_of_sgdw():
    def sgdw(values):
        # Decoupled: the parameters shrink by rate * decay, besides the momentum of the gradients.
        parts = optax.trace(values["momentum"]), optax.add_decayed_weights(values["decay"]), optax.scale(-values["rate"])
        return optax.chain(*parts)

    return compiled_steps(sgdw)


@PATHS
def test_weight_decay_with_its_timescale_and_an_average_with_its_half_life(path):
    rules = {"learning_rate": "sqrt", "weight_decay": "timescale", "momentum": "half_life", "ema": "half_life"}
    ds = jaxsgd.sweep(
        study(
            path, optimizer="sgdw", learning_rates=[0.02], hyper={"ema": [0.8]}, optimizer_args={"weight_decay": 0.05},
            batch_rules=rules, reference_batch_count=REFERENCE,
        ),
        vectorize=path,
    )  # fmt: skip

    def values(count):
        kappa = REFERENCE / count
        rate, decay = 0.02 * np.sqrt(kappa), 0.05 * np.sqrt(kappa)  # rate times decay is multiplied by kappa
        return {"rate": rate, "decay": decay, "momentum": 0.9**kappa, "average": 0.8**kappa}

    check(ds, steps_of_sgdw(), values)


@functools.cache
def steps_of_sam():
    outwards = optax.chain(optax.contrib.normalize(), optax.sgd(0.1))

    def evaluation(params, state):
        return jax.tree.map(lambda *both: jnp.where(state.steps_since_sync == 1, *both), state.cache, params)

    return compiled_steps(lambda values: optax.contrib.sam(optax.sgd(0.05, momentum=0.5), outwards), evaluation)


@PATHS
def test_sharpness_aware_minimization_is_evaluated_where_it_has_not_moved(path):
    # 3 epochs of 3 and of 7 steps end within a pair of steps: the first of the pair has moved the parameters.
    ds = jaxsgd.sweep(
        study(path, optimizer="sam", learning_rates=[0.05], hyper={"rho": [0.1], "momentum": [0.5]}), vectorize=path
    )

    check(ds, steps_of_sam())


@functools.cache
def steps_without_schedule(name):
    def evaluation(params, state):
        return optax.contrib.schedule_free_eval_params(state, params)

    return compiled_steps(lambda values: getattr(optax.contrib, name)(0.02, b1=0.8, weight_decay=0.01), evaluation)


@PATHS
@pytest.mark.parametrize("name", ["schedule_free_sgd", "schedule_free_adamw"])
def test_schedule_free_is_evaluated_at_its_average(name, path):
    ds = jaxsgd.sweep(
        study(path, optimizer=name, learning_rates=[0.02], hyper={"b1": [0.8], "weight_decay": [0.01]}), vectorize=path
    )

    check(ds, steps_without_schedule(name))


def test_a_run_stops_by_the_parameters_that_are_evaluated():
    averaged = study(optimizer="adam", learning_rates=[0.05], optimizer_args={"ema": 0.9})
    ds = jaxsgd.sweep(averaged).squeeze()
    target = float(ds.validation_loss.isel(epoch=1).max())  # all runs reach it after two epochs
    stopped = jaxsgd.sweep(averaged.replaced(stop={"validation_loss": target})).squeeze()
    shown = np.isfinite(stopped.validation_loss.values)
    np.testing.assert_allclose(stopped.validation_loss.values[shown], ds.validation_loss.values[shown], rtol=1e-6)
    assert (stopped.stopped_step > 0).all()


def test_a_state_of_ones_own_says_which_parameters_are_evaluated():
    problem = probe.line()
    halved = optax.GradientTransformation(lambda params: Halved(), lambda grads, state, params=None: (grads, state))
    run = jaxsgd.simulate(
        problem, jax.random.key(0), optimizer=optax.chain(optax.sgd(0.01), halved), epochs=2, batch_count=3,
        observe=lambda params, context: params,
    )  # fmt: skip
    np.testing.assert_allclose(run.observed[-1], run.params / 2)


class Halved(optax.EmptyState):
    def evaluation_params(self, params):
        return params / 2
