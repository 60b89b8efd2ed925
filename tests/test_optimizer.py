"""Optimizers by name, their hyperparameters as data, and schedules of progress."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxsgd
from jaxsgd.optimizer import (
    OPTIMIZERS,
    attribute_at,
    hyperparameters,
    optimizer_named,
    schedule_named,
    scheduled,
)
from jaxsgd.schedule import SCHEDULES, linear
from tests import probe

KEY = jax.random.key(0)
RATE = 0.01

HYPER = {
    "sgd": {"momentum": 0.8},
    "momentum": {"momentum": 0.8},
    "nesterov": {"momentum": 0.8},
    "adam": {"b1": 0.8, "b2": 0.99, "eps": 1e-6},
    "adamw": {"b1": 0.8, "b2": 0.99, "eps": 1e-6, "weight_decay": 0.01},
    "rmsprop": {"decay": 0.8, "eps": 1e-6},
    "lion": {"b1": 0.8, "b2": 0.9, "weight_decay": 0.01},
    "adagrad": {"initial_accumulator_value": 0.2, "eps": 1e-6},
    "nadam": {"b1": 0.8, "b2": 0.99, "eps": 1e-6},
    "radam": {"b1": 0.8, "b2": 0.99, "eps": 1e-6, "threshold": 4.0},
    "sgdw": {"momentum": 0.8, "weight_decay": 0.01},
    "sam": {"rho": 0.1, "momentum": 0.8},
    "schedule_free_sgd": {"b1": 0.8, "weight_decay": 0.01},
    "schedule_free_adamw": {"b1": 0.8, "b2": 0.99, "eps": 1e-6, "weight_decay": 0.01},
}
"""Numeric hyperparameters of every optimizer by name, away from their defaults."""


@functools.cache
def runs(traced, dtype, names=tuple(HYPER)):
    """The runs of optimizers of 30 steps by name, their rate and hyperparameters traced or Python's own numbers."""
    problem = probe.network(dtype=dtype)
    how = {"epochs": 3, "batch_count": 10, "order": "fixed"}

    def all_of_them(given):
        done = {}
        for name, (rate, hyper) in given.items():
            done[name] = jaxsgd.simulate(problem, KEY, optimizer=scheduled(OPTIMIZERS[name], rate, hyper), **how)
        return done

    given = {name: (RATE, HYPER[name]) for name in names}
    if traced:
        return jax.jit(all_of_them)(jax.tree.map(lambda value: jnp.asarray(value, dtype), given))
    return jax.jit(lambda: all_of_them(given))()


def test_every_optimizer_has_hyperparameters_under_test():
    assert set(HYPER) == set(OPTIMIZERS)
    for name, hyper in HYPER.items():
        assert set(hyper) <= set(hyperparameters(name))


def test_traced_hyperparameters_give_the_trajectory_of_constants_in_float64(x64):
    constants, traced = runs(False, "float64"), runs(True, "float64")
    for name in OPTIMIZERS:
        for leaf in ("w1", "w2"):
            own, expected = traced[name].params[leaf], constants[name].params[leaf]
            np.testing.assert_allclose(own, expected, rtol=0, atol=1e-12, err_msg=name)


def test_traced_hyperparameters_give_the_trajectory_of_constants_in_float32_to_the_rounding_of_1_minus_b2():
    # One optimizer of each kind of rounding: that all give the trajectory of constants is shown in float64.
    # What differs is where 1 - b2 is rounded. Of constants it is taken in float64 and rounded once. Of a traced b2 it is taken
    # in float32, after b2 = 0.99 was rounded by up to 2**-25: relatively 2**-25 / 0.01 = 3e-6 of the second moment, of whose
    # root a step is made: 1.5e-6 of a step. A step is at most about RATE and there are 30: all off to one side, 30 * 0.01 *
    # 1.5e-6 = 4.5e-7, besides units in the last place of parameters of size 1 (1.2e-7). Measured: 1e-7 to 4e-7.
    tolerance = dict.fromkeys(["adam", "rmsprop"], 1e-6)
    # RAdam takes 2 t b2^t / (1 - b2^t) from 2 / (1 - b2) - 1 = 199, nearly as large, and then 4 and 2 off: of 3e-6 * 199 =
    # 6e-4 its first rectified steps, a tenth of RATE, are off by parts in 10^4 each. Measured: 8e-7.
    tolerance["radam"] = 3e-6
    # Nothing is taken from 1: one rounding, wherever it is done.
    tolerance["momentum"] = 1.2e-7
    # Schedule-free computes x from y and z in each step, by a division by b1 = 0.8 after a difference: three roundings in the
    # last place of parameters of size 3, each 1.2e-7 / 0.8, in each of 30 steps, some of them in opposite directions.
    tolerance["schedule_free_adamw"] = 5e-6
    constants, traced = (runs(is_traced, "float32", tuple(tolerance)) for is_traced in (False, True))
    for name, atol in tolerance.items():
        for leaf in ("w1", "w2"):
            own, expected = traced[name].params[leaf], constants[name].params[leaf]
            np.testing.assert_allclose(own, expected, rtol=0, atol=atol, err_msg=name)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_lowers_the_loss(name, x64):
    loss = np.asarray(runs(False, "float64")[name].loss)
    assert loss[-1].mean() < loss[0].mean()


def test_the_names_for_sgd_with_momentum_are_optaxs_own():
    problem = probe.line()
    for name, own in {
        "sgd": optax.sgd(RATE),
        "momentum": optax.sgd(RATE, momentum=0.9),
        "nesterov": optax.sgd(RATE, momentum=0.9, nesterov=True),
    }.items():
        named = jaxsgd.simulate(problem, KEY, optimizer=OPTIMIZERS[name](RATE), epochs=2, batch_count=5)
        np.testing.assert_array_equal(named.loss, jaxsgd.simulate(problem, KEY, optimizer=own, epochs=2, batch_count=5).loss)


def test_a_sweep_over_rates_and_momenta_is_one_trace():
    problem, traces = probe.line(), []

    def make(rate, momentum):
        traces.append(1)
        return optax.sgd(rate, momentum=momentum)

    @jax.jit
    @jax.vmap
    def last_loss(rate, momentum):
        optimizer = scheduled(make, rate, {"momentum": momentum})
        return jaxsgd.simulate(problem, KEY, optimizer=optimizer, epochs=2, batch_count=5).loss[-1, -1]

    last_loss(jnp.asarray([0.01, 0.02]), jnp.asarray([0.0, 0.9]))
    once = len(traces)
    losses = last_loss(jnp.asarray([0.03, 0.04]), jnp.asarray([0.5, 0.6]))
    assert len(traces) == once
    alone = jaxsgd.simulate(problem, KEY, optimizer=optax.sgd(0.04, momentum=0.6), epochs=2, batch_count=5)
    np.testing.assert_allclose(losses[1], alone.loss[-1, -1], rtol=1e-5)


def test_the_rate_is_the_schedules_factor_times_the_learning_rate():
    # Plain sgd of gradient 1 moves by minus the rate: 0.4 * (1 - 0.25).
    optimizer = scheduled(optax.sgd, 0.4, {}, linear)(jnp.asarray(0.25))
    update, _ = optimizer.update(jnp.ones(()), optimizer.init(jnp.zeros(())))
    assert float(update) == pytest.approx(-0.3)


def test_hyperparameters_are_read_from_the_makers_signature():
    assert hyperparameters("sgd") == ["momentum", "nesterov", "accumulator_dtype", "ema"]
    assert set(hyperparameters("momentum")) == set(hyperparameters("sgd"))
    assert {"b1", "b2", "eps"} <= set(hyperparameters("adam"))
    assert "learning_rate" not in hyperparameters("adam")
    assert hyperparameters("optax:sgd") == hyperparameters("sgd")


def test_a_pointer_is_what_it_points_at():
    assert optimizer_named("optax:adabelief") is optax.adabelief
    assert schedule_named("jaxsgd.schedule:linear") is linear
    assert attribute_at("jaxsgd.schedule:SCHEDULES", "table") is SCHEDULES


def refusal(function, name):
    with pytest.raises(jaxsgd.InputError) as caught:
        function(name)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("function", "name", "beginning"),
    [
        (optimizer_named, "addam", "unknown optimizer 'addam': did you mean 'adam'? valid: adagrad, adam, adamw, "),
        (optimizer_named, "", "unknown optimizer '': valid: adagrad, "),
        (
            schedule_named,
            "cosin",
            "unknown schedule 'cosin': did you mean 'cosine'? valid: constant, cosine, inverse_sqrt(warmup), linear, ",
        ),
        (optimizer_named, "optax:sdg", "unknown optimizer in optax 'sdg': did you mean 'sgd'?"),
        (optimizer_named, "no_such_module:sgd", "optimizer 'no_such_module:sgd': cannot import 'no_such_module': "),
        (optimizer_named, ":sgd", "optimizer ':sgd': '' is not a module name; write a pointer as "),
        (optimizer_named, ".optax:sgd", "optimizer '.optax:sgd': '.optax' is not a module name; write a pointer as "),
        (optimizer_named, "optax:muon", "optimizer 'optax:muon': it is in optax.contrib, write 'optax.contrib:muon'"),
        (optimizer_named, "optax:", "unknown optimizer in optax '': valid: "),
        (optimizer_named, "numpy:pi", "optimizer 'numpy:pi' must be a function, got 3.14159"),
        (schedule_named, "numpy:pi", "schedule 'numpy:pi' must be a function, got 3.14159"),
    ],
)
def test_names_and_pointers_to_nothing_are_refused_in_one_line(function, name, beginning):
    assert refusal(function, name).startswith(beginning)


def test_a_wrong_name_in_a_module_lists_what_the_module_has_of_its_own(tmp_path, monkeypatch):
    (tmp_path / "moons_to_point_at.py").write_text(
        "import jax\nimport numpy as np\nX = np.zeros(3)\nrng = np.random.default_rng(0)\n\ndef width(params, context): ...\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(jaxsgd.InputError, match=r"did you mean 'width'\? valid: width$"):
        attribute_at("moons_to_point_at:with", "observable")
