"""Optimizers by name, schedules and batch rules against a plain Python loop over optax, in both paths of a sweep."""

import functools

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


def study(**fields):
    # A quarter of 28 samples is held out: 21 in 2, 3 and 7 batches, the first of them ragged.
    return jaxsgd.Study(
        problem="tests.engine.test_optimizer_loop:small_network", held_out=0.25, seeds=SEEDS, batch_counts=COUNTS,
        orders=["reshuffle"], epochs=EPOCHS, **fields,
    )  # fmt: skip


@functools.cache
def functions():
    """The problem with its held-out samples, the gradient of a batch's mean loss, and the loss to validate by, compiled."""
    problem = study(learning_rates=[1]).subject().problem

    def mean_loss(params, batch):
        return problem.loss(params, batch).mean()

    return problem, jax.jit(jax.value_and_grad(mean_loss)), jax.jit(mean_loss)


def by_optax(seed, count, make, evaluation=lambda params, state: params, average=None):
    """The losses [E, m] and validation losses [E] of a plain loop of Python over optax.

    Args:
      seed: of the order.
      count: m.
      make: `(progress at a step's count) -> optax transformation`; its functions of the count have the schedule.
      evaluation: `(parameters, state) -> parameters` that are evaluated.
      average: the decay of `optax.ema`, which averages the parameters after each step.
    """
    problem, value_and_grad, validated = functions()
    samples, order = problem.data[0].shape[0], as_order("reshuffle")
    key = streams(jax.random.key(seed)).order
    optimizer = make(count)
    params = problem.init(key)
    state, losses, validation = optimizer.init(params), [], []
    averaging = optax.ema(average) if average else None
    averages = averaging and averaging.init(params)

    @jax.jit
    def update(grads, state, params):
        updates, state = optimizer.update(grads, state, params)
        return optax.apply_updates(params, updates), state

    for epoch in range(EPOCHS):
        sequence = np.asarray(order.samples(key, epoch, samples))
        for own in np.array_split(sequence, count):
            loss, grads = value_and_grad(params, jax.tree.map(lambda leaf, own=own: jnp.asarray(leaf)[own], problem.data))
            losses.append(loss)
            params, state = update(grads, state, params)
            judged = evaluation(params, state)
            if averaging:
                judged, averages = averaging.update(judged, averages)
        validation.append(validated(judged, problem.held_out))
    return np.reshape(losses, (EPOCHS, count)), np.asarray(validation)


def check(ds, make, **how):
    """Check each cell of a result against the loop; `make` takes the cell's labels and values and the batch count."""
    for seed in SEEDS:
        for count in COUNTS:
            cell = ds.sel(seed=seed, batch_count=count)
            losses, validation = by_optax(seed, count, functools.partial(make, cell), **how)
            np.testing.assert_allclose(cell.loss.values[:, :count], losses, rtol=1e-5)
            np.testing.assert_allclose(cell.validation_loss.values, validation, rtol=1e-5)


PATHS = pytest.mark.parametrize("path", ["one_program", "grouped"])


@PATHS
def test_schedules_and_the_rules_of_adam(path):
    rules = {"learning_rate": "sqrt", "b1": "complement", "b2": "half_life", "eps": "inverse_sqrt"}
    adam = {"b1": [0.8], "b2": [0.9], "eps": [1e-4]}
    ds = jaxsgd.sweep(
        study(
            optimizer="adam", learning_rates=[0.05], hyper=adam, schedules=["constant", "step(0.5, 0.2)"],
            batch_rules={"none": {}, "all": rules}, reference_batch_count=REFERENCE,
        ),
        vectorize=path,
    ).squeeze(["optimizer", "order", "learning_rate", *adam])  # fmt: skip

    def make(cell, count):
        kappa = REFERENCE / count if cell.batch_rule.item() == "all" else 1.0
        steps = count * EPOCHS
        drop = 0.2 if cell.schedule.item() != "constant" else 1.0

        def rate(step):
            return 0.05 * np.sqrt(kappa) * jnp.where(step / steps < 0.5, 1.0, drop)

        return optax.adam(rate, b1=1 - kappa * 0.2, b2=0.9**kappa, eps=1e-4 / np.sqrt(kappa))

    for schedule in ds.schedule.values:
        for rule in ds.batch_rule.values:
            check(ds.sel(schedule=schedule, batch_rule=rule), make)
    # Paired seeds stay paired: the first loss, before any step, is the same for all schedules and rules.
    first = ds.loss.isel(epoch=0, batch=0)
    assert (first == first.isel(schedule=0, batch_rule=0)).all()


@PATHS
def test_weight_decay_with_its_timescale_and_an_average_with_its_half_life(path):
    rules = {"learning_rate": "sqrt", "weight_decay": "timescale", "momentum": "half_life", "ema": "half_life"}
    ds = jaxsgd.sweep(
        study(
            optimizer="sgdw", learning_rates=[0.02], hyper={"ema": [0.8]}, optimizer_args={"weight_decay": 0.05},
            batch_rules=rules, reference_batch_count=REFERENCE,
        ),
        vectorize=path,
    ).squeeze()  # fmt: skip
    for count in COUNTS:
        kappa = REFERENCE / count

        def make(cell, count, kappa=kappa):
            rate, decay = 0.02 * np.sqrt(kappa), 0.05 * np.sqrt(kappa)  # rate times decay is multiplied by kappa
            # Decoupled: the parameters shrink by rate * decay, besides the momentum of the gradients.
            return optax.chain(optax.trace(0.9**kappa), optax.add_decayed_weights(decay), optax.scale(-rate))

        for seed in SEEDS:
            cell = ds.sel(seed=seed, batch_count=count)
            losses, validation = by_optax(seed, count, functools.partial(make, cell), average=0.8**kappa)
            np.testing.assert_allclose(cell.loss.values[:, :count], losses, rtol=1e-5)
            np.testing.assert_allclose(cell.validation_loss.values, validation, rtol=1e-5)


@PATHS
def test_sharpness_aware_minimization_is_evaluated_where_it_has_not_moved(path):
    # 3 epochs of 3 and of 7 steps end within a pair of steps: the first of the pair has moved the parameters.
    ds = jaxsgd.sweep(
        study(optimizer="sam", learning_rates=[0.05], hyper={"rho": [0.1], "momentum": [0.5]}), vectorize=path
    ).squeeze()

    def make(cell, count):
        outwards = optax.chain(optax.contrib.normalize(), optax.sgd(0.1))
        return optax.contrib.sam(optax.sgd(0.05, momentum=0.5), outwards)

    check(ds, make, evaluation=lambda params, state: state.cache if state.steps_since_sync == 1 else params)


@PATHS
@pytest.mark.parametrize("name", ["schedule_free_sgd", "schedule_free_adamw"])
def test_schedule_free_is_evaluated_at_its_average(name, path):
    ds = jaxsgd.sweep(
        study(optimizer=name, learning_rates=[0.02], hyper={"b1": [0.8], "weight_decay": [0.01]}), vectorize=path
    ).squeeze()

    def make(cell, count):
        return getattr(optax.contrib, name)(0.02, b1=0.8, weight_decay=0.01)

    check(ds, make, evaluation=lambda params, state: optax.contrib.schedule_free_eval_params(state, params))


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
