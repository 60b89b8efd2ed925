"""Variances by source on values whose variances are known."""

import numpy as np
import pytest

from jaxsgd import InputError
from jaxsgd.analysis.variance import scatter

RNG = np.random.default_rng(0)


def test_a_source_alone_is_the_mean_of_the_sample_variances_along_its_axis():
    values = RNG.normal(size=(3, 4, 5, 6))
    found = scatter(values, 3)
    expected = [values.var(axis=axis, ddof=1).mean(axis=tuple(range(1, 3))) for axis in (1, 2, 3)]
    np.testing.assert_allclose(found.alone, np.stack(expected, axis=-1))


def test_all_together_is_half_the_mean_square_of_runs_that_differ_in_every_seed():
    values = RNG.normal(size=(3, 4))
    pairs = [
        (values[i, j] - values[k, n]) ** 2 / 2 for i in range(3) for j in range(4) for k in range(3) for n in range(4)
        if i != k and j != n
    ]  # fmt: skip
    np.testing.assert_allclose(scatter(values, 2).together, np.mean(pairs))


def test_variances_of_independent_sources_are_found_and_add_up():
    """Values are a sum of independent effects with variances 4, 1 and 1/4; over 2,000 repeats the means are within 5 %."""
    repeats = 2000
    effects = [
        scale * RNG.normal(size=(repeats, *shape)) for scale, shape in ((2, (6, 1, 1)), (1, (1, 6, 1)), (0.5, (1, 1, 6)))
    ]
    found = scatter(sum(effects), 3)
    np.testing.assert_allclose(found.alone.mean(axis=0), [4, 1, 0.25], rtol=0.05)
    np.testing.assert_allclose(found.together.mean(axis=0), 5.25, rtol=0.05)


def test_what_two_seeds_do_together_is_in_all_alone():
    # The product of two signs: with either held, the other changes the sign at random, and so do both.
    signs = np.array([-1.0, 1.0])
    found = scatter(signs[:, None] * signs[None, :], 2)
    # Two runs that differ in one seed differ by 2: half the square is 2. Those that differ in both are equal.
    np.testing.assert_allclose(found.alone, [2, 2])
    assert found.together == 0


def test_one_seed_and_lost_runs():
    found = scatter([[1.0, 3.0, np.nan, np.inf]], 2)
    assert np.isnan(found.alone[0])
    assert found.alone[1] == 2
    assert np.isnan(found.together)
    assert found.left_out == 2


def test_too_few_axes():
    with pytest.raises(InputError, match=r"^values must have the 2 axes of the seeds last, got shape \(3,\)$"):
        scatter(np.ones(3), 2)
