"""The barrier on a straight line, against losses whose lines are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsgd import InputError, Problem
from jaxsgd.measure import linear_barrier

DATA = jnp.zeros((3, 1))


def problem_of(loss):
    own = {"init": lambda key: {"w": jnp.zeros(2)}, "data": DATA}
    return Problem(**own, loss=lambda params, batch: jnp.full(len(batch), loss(params["w"])))


def test_between_the_two_minima_of_a_double_well_is_the_hill_in_the_middle():
    # (w0^2 - 1)^2 is 0 at both ends and 1 at 0; w1 moves along and costs nothing.
    well = problem_of(lambda w: (w[0] ** 2 - 1) ** 2)
    line = linear_barrier(well, {"w": jnp.array([-1.0, 5.0])}, {"w": jnp.array([1.0, 3.0])}, DATA, points=5)
    np.testing.assert_allclose(line.share, [0, 0.25, 0.5, 0.75, 1])
    np.testing.assert_allclose(line.loss, [0, 0.5625, 1, 0.5625, 0], atol=1e-6)
    np.testing.assert_allclose(line.barrier, 1, rtol=1e-6)


def test_a_convex_loss_has_half_the_difference_of_its_ends():
    # w0^2 from 3 to 1: 9 and 1, whose mean is 5.
    bowl = problem_of(lambda w: w[0] ** 2)
    ends = {"w": jnp.array([3.0, 0.0])}, {"w": jnp.array([1.0, 0.0])}
    np.testing.assert_allclose(linear_barrier(bowl, *ends, DATA).barrier, 4, rtol=1e-6)
    np.testing.assert_allclose(linear_barrier(bowl, *ends[::-1], DATA).barrier, 4, rtol=1e-6)


def test_it_maps_over_pairs_and_takes_large_data_in_blocks():
    x = jnp.asarray(np.random.default_rng(0).normal(size=(1500, 2)), jnp.float32)
    problem = Problem(init=lambda key: jnp.zeros(2), loss=lambda w, x: jnp.cos(x @ w), data=x)
    a, b = jnp.asarray([[0.0, 1.0], [2.0, 0.5]]), jnp.asarray([[1.0, -1.0], [0.0, 0.0]])
    lines = jax.vmap(lambda a, b: linear_barrier(problem, a, b, x, points=7))(a, b)
    for i in range(2):
        share = np.linspace(0, 1, 7)[:, None]
        on_line = (1 - share) * np.asarray(a[i]) + share * np.asarray(b[i])
        expected = np.cos(on_line @ np.asarray(x).T).mean(axis=1)
        np.testing.assert_allclose(lines.loss[i], expected, atol=1e-5)
        np.testing.assert_allclose(lines.barrier[i], expected.max() - (expected[0] + expected[-1]) / 2, atol=1e-5)


def test_what_has_no_line_is_one_line():
    well, end = problem_of(lambda w: w[0]), {"w": jnp.zeros(2)}
    with pytest.raises(InputError, match="points must be at least 3: the two ends of the line and a point between them, got 2"):
        linear_barrier(well, end, end, DATA, points=2)
    with pytest.raises(InputError, match="two ends must have parameters of the same shapes"):
        linear_barrier(well, end, {"w": jnp.zeros(3)}, DATA)
