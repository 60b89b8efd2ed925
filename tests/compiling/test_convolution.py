"""Convolutions of a training program: the channels last in each, as XLA runs them fast, with the same numbers."""

import dataclasses
import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.flatten_util import ravel_pytree

import jaxsgd
from jaxsgd.compiling.convolution import has_convolution
from jaxsgd.compiling.lowered import lowered
from jaxsgd.engine.execution import Execution
from jaxsgd.engine.plan import plan
from jaxsgd.engine.speed import COMPILE_SECONDS, USUAL
from jaxsgd.engine.train_program import lowered_train

LAST = "[b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f]"
"""The axes of a convolution with the channels last, as StableHLO writes them."""


def axes_of(program):
    """The axes of each convolution of a lowered program."""
    return re.findall(r"dim_numbers = (\[.*?\]x\[.*?\]->\[.*?\])", program.as_text())


def convnet(num_samples=12, num_maps=3):
    """A problem with a convolution of 4 x 4 pixels to 3 x 3, with the channels first."""
    x, y = np.random.default_rng(0).normal(size=(num_samples, 1, 4, 4)), np.arange(num_samples) % 2

    def init(key):
        return {"kernel": 0.3 * jax.random.normal(key, (num_maps, 1, 2, 2)), "out": jnp.full(num_maps, 0.1)}

    def loss(params, batch):
        x, y = batch
        maps = jax.lax.conv(x, params["kernel"], (1, 1), "VALID")
        return (jnp.tanh(maps).mean(axis=(2, 3)) @ params["out"] - y) ** 2

    return jaxsgd.Problem(init, loss, (x.astype("float32"), y.astype("float32")))


FIELDS = {"seeds": range(3), "batch_counts": [3], "learning_rates": [0.5], "epochs": 2, "orders": ["fixed"]}


def test_a_training_program_has_the_channels_last_and_gives_the_losses_of_a_single_run():
    problem = convnet()
    study = jaxsgd.Study(problem=problem, **FIELDS)
    planned = plan(study)
    # The loss, and the gradient of the kernel, which has the channels elsewhere if it is left as JAX writes it.
    axes = axes_of(lowered_train(Execution(planned).spec(0, planned.lanes, by_span=False)))
    assert len(axes) >= 2
    assert set(axes) == {LAST}
    ds = jaxsgd.sweep(study)
    run = jaxsgd.simulate(problem, jax.random.key(2), batch_count=3, epochs=2, optimizer=optax.sgd(0.5), order="fixed")
    np.testing.assert_allclose(ds.loss.sel(seed=2).values.squeeze(), run.loss, rtol=1e-5)


def test_a_single_run_has_the_channels_last_and_the_losses_of_a_plain_loop():
    problem, optimizer = convnet(), optax.sgd(0.5)
    keys, (x, y) = jaxsgd.streams(jax.random.key(2)), map(jnp.asarray, convnet().data)

    def simulated(data):
        own = dataclasses.replace(problem, data=data)
        return jaxsgd.simulate(own, keys, batch_count=3, epochs=2, optimizer=optimizer, observe="train_loss")

    run = simulated((x, y))
    params, losses = jax.jit(problem.init)(keys.init), []
    batch_loss = jax.jit(jax.value_and_grad(lambda params, own: problem.loss(params, (x[own], y[own])).mean()))
    for batch in [*np.split(np.arange(12), 3)] * 2:
        loss, gradient = batch_loss(params, batch)
        losses.append(loss)
        params = jax.tree.map(lambda leaf, slope: np.asarray(leaf) - np.float32(0.5) * np.asarray(slope), params, gradient)
    np.testing.assert_allclose(run.loss.reshape(-1), losses, rtol=1e-5)
    ended, _ = batch_loss(params, np.arange(12))
    np.testing.assert_allclose(run.observed[-1], ended, rtol=1e-5)
    program = jax.jit(lambda x: simulated((x, y)).loss).lower(x)
    assert set(axes_of(program)) == {LAST}
    # It is differentiated and mapped as any other run.
    shifted = jax.jit(jax.value_and_grad(lambda shift: simulated((x + shift, y)).observed[-1]))
    (higher, _), (lower, _), (_, slope) = map(shifted, (0.01, -0.01, 0.0))
    np.testing.assert_allclose(slope, (higher - lower) / 0.02, rtol=1e-2)


def test_influence_and_noise_have_the_channels_last_and_the_numbers_of_single_steps():
    problem, keys = convnet(), jaxsgd.streams(jax.random.key(2))
    x, y = map(jnp.asarray, problem.data)
    how = {"optimizer": optax.sgd(0.5), "batch_count": 3, "at": [1]}

    def measured(x):
        own = dataclasses.replace(problem, data=(x, y))
        return jaxsgd.influence(own, keys, **how), jaxsgd.noise(own, keys, **how)

    program = jax.jit(measured).lower(x)
    assert set(axes_of(program)) == {LAST}
    influence, noise = program.compile()(x)
    run = jaxsgd.simulate(problem, keys, optimizer=optax.sgd(0.5), batch_count=3, epochs=2, keep=[1])
    np.testing.assert_allclose(influence.printed_loss[0], run.loss[1], rtol=1e-5)
    params = jax.tree.map(lambda leaf: np.asarray(leaf)[0], run.kept.params)

    @jax.jit
    @jax.vmap
    def gradients(*sample):
        one_sample = jax.tree.map(lambda leaf: leaf[None], sample)
        return ravel_pytree(jax.grad(lambda params: problem.loss(params, one_sample)[0])(params))[0]

    np.testing.assert_allclose(noise.trace[0], np.var(gradients(x, y), axis=0, ddof=1).sum(), rtol=1e-4)


def test_cells_with_convolutions_do_not_run_side_by_side_and_their_time_is_estimated():
    # Kernels of several cells side by side are a grouped convolution, which takes longer than one after another.
    convolving, dense = plan(jaxsgd.Study(problem=convnet(), **FIELDS)), plan(jaxsgd.Study(problem="least_squares", **FIELDS))
    assert (convolving.lanes, dense.lanes > 1) == (1, True)
    # The kernel is applied and its gradient taken: 2 * 2 * 2 operations each for 9 pixels, 64 maps and 1,000 samples. Tanh and
    # the rest take less than the half of that; so does the overhead of 6 steps.
    large = plan(jaxsgd.Study(problem=convnet(1000, 64), **FIELDS))
    seconds = 2 * (2 * 8 * 9 * 64 * 1000) / USUAL.convolution_flops
    assert (large.cell_seconds > seconds).all()
    assert (large.cell_seconds < 1.5 * seconds).all()
    assert convolving.compile_seconds > dense.compile_seconds > COMPILE_SECONDS


@pytest.mark.parametrize("numbers", [("NCHW", "OIHW", "NCHW"), ("NHWC", "HWIO", "NCHW"), ("CNHW", "IOHW", "CNHW")])
def test_axes_in_any_order_strides_dilations_and_groups_give_the_same_numbers(numbers):
    sizes = {"N": 2, "H": 5, "W": 6, "C": 4}
    rng = np.random.default_rng(0)
    x = rng.standard_normal([sizes[axis] for axis in numbers[0]], np.float32)
    # Two groups: the kernel sees 2 of the 4 channels.
    kernel = rng.standard_normal([{"O": 6, "I": 2, "H": 2, "W": 3}[axis] for axis in numbers[1]], np.float32)
    how = {"window_strides": (1, 2), "padding": ((0, 1), (2, 0)), "rhs_dilation": (2, 1), "feature_group_count": 2}

    def convolved(x, kernel):
        return jax.lax.conv_general_dilated(x, kernel, dimension_numbers=numbers, **how)

    def looped(x, kernel):
        """The same in a branch within a loop, and summed."""

        def body(total, scale):
            return total + jax.lax.cond(scale > 1, lambda: convolved(scale * x, kernel), lambda: convolved(x, kernel)), scale

        start = jnp.zeros_like(convolved(x, kernel))
        return jax.lax.scan(body, start, jnp.asarray([1.0, 2.0]))[0]

    program = lowered(looped, x, kernel)
    assert set(axes_of(program)) == {LAST}
    assert set(axes_of(jax.jit(looped).lower(x, kernel))) != {LAST}
    # Convolutions are linear: once the value, and once its double.
    np.testing.assert_allclose(program.compile()(x, kernel), 3 * convolved(x, kernel), rtol=1e-4, atol=1e-5)


def test_a_function_without_a_convolution_is_the_same_program():
    def function(x):
        return jax.lax.fori_loop(0, 3, lambda _, x: jnp.sin(x) * 2, x)

    x = jnp.ones(3)
    assert lowered(function, x).as_text() == jax.jit(function).lower(x).as_text()
    jaxpr = jax.make_jaxpr(function)(x)
    assert not has_convolution(jaxpr)
