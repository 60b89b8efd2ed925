"""Digits as one-dimensional signals."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxsgd
from jaxsgd.problems.mnist1d import GLYPHS, HEIGHT, LENGTH, signals

KEY = jax.random.key(0)


def test_without_noise_and_stretching_a_signal_is_its_glyph_shifted(monkeypatch):
    module = sys.modules["jaxsgd.problems.mnist1d"]  # the package's attribute of this name is the function
    monkeypatch.setattr(module, "LEAST_PADDING", module.MOST_PADDING)
    for name in ("SCALE_SPREAD", "SMOOTH_NOISE", "NOISE", "SHEAR_SPREAD"):
        monkeypatch.setattr(module, name, 0.0)
    drawn = np.asarray(jax.jit(lambda key: signals(key, jnp.arange(10), LENGTH, "float32"))(KEY))
    shifts = set()
    for glyph, signal in zip(np.asarray(GLYPHS), drawn, strict=True):
        clean = np.pad(HEIGHT * glyph / glyph.std(), (0, LENGTH - len(glyph)))
        distances = [np.abs(np.roll(clean, shift) - signal).max() for shift in range(module.MOST_SHIFT)]
        assert min(distances) < 1e-5
        shifts.add(int(np.argmin(distances)))
    assert len(shifts) > 5


def test_every_class_has_equally_many_samples_and_no_two_signals_are_alike():
    x, label = map(np.asarray, jax.jit(jaxsgd.problems.mnist1d(num_samples=204, num_points=30).sample_data)(KEY))
    assert x.shape == (204, 30)
    np.testing.assert_array_equal(np.bincount(label), [21] * 4 + [20] * 6)
    assert len(np.unique(x, axis=0)) == 204
    assert not np.array_equal(label, np.sort(label))


def test_a_network_learns_what_a_linear_classifier_cannot():
    problem = jaxsgd.hold_out(jaxsgd.problems.mnist1d(), 0.2)
    run = jaxsgd.simulate(problem, KEY, optimizer=optax.adam(3e-3), epochs=30, batch_count=40, order="reshuffle")
    assert run.epoch_loss[-1] < 0.7 < run.epoch_loss[0]

    @jax.jit
    def samples_and_accuracy(key, params):
        samples, others = problem.sample_data(key), problem.sample_held_out(key)
        return samples, others, jnp.mean(problem.accuracy(params, others))

    of_both = samples_and_accuracy(jaxsgd.streams(KEY).data, run.params)
    (x, label), (other_x, other), learned = jax.tree.map(np.asarray, of_both)
    # Least squares on the ten classes, with a constant.
    constant, other_constant = (np.column_stack([part, np.ones(len(part))]) for part in (x, other_x))
    weights = np.linalg.lstsq(constant, np.eye(10)[label])[0]
    linear = np.mean(np.argmax(other_constant @ weights, axis=1) == other)
    assert linear < 0.4
    assert learned > 0.5


def test_without_hidden_layers_it_is_linear_and_a_negative_depth_is_refused():
    ((weights, biases),) = jax.jit(jaxsgd.problems.mnist1d(num_samples=10, depth=0).init)(KEY)
    assert (weights.shape, biases.shape) == ((40, 10), (10,))
    with pytest.raises(jaxsgd.InputError, match=r"^depth must be a whole number of at least 0, got -1$"):
        jaxsgd.problems.mnist1d(depth=-1)
