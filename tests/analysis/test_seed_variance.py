"""Variances by source on values whose variances are known."""

import numpy as np
import pytest
import xarray as xr

import jaxsgd
from jaxsgd import InputError
from jaxsgd.analysis.seed_variance import seed_variances

RNG = np.random.default_rng(0)


def test_a_source_alone_is_the_mean_of_the_sample_variances_along_its_axis():
    values = RNG.normal(size=(3, 4, 5, 6))
    variances = seed_variances(values, 3)
    expected = [values.var(axis=axis, ddof=1).mean(axis=tuple(range(1, 3))) for axis in (1, 2, 3)]
    np.testing.assert_allclose(variances.alone, np.stack(expected, axis=-1))


def test_all_together_is_half_the_mean_square_of_runs_that_differ_in_every_seed():
    values = RNG.normal(size=(3, 4))
    pairs = [
        (values[i, j] - values[k, n]) ** 2 / 2 for i in range(3) for j in range(4) for k in range(3) for n in range(4)
        if i != k and j != n
    ]  # fmt: skip
    np.testing.assert_allclose(seed_variances(values, 2).together, np.mean(pairs))


def test_variances_of_independent_sources_are_found_and_add_up():
    """Values are a sum of independent effects with variances 4, 1 and 1/4; over 2,000 repeats the means are within 5 %."""
    repeats = 2000
    effects = [
        scale * RNG.normal(size=(repeats, *shape)) for scale, shape in ((2, (6, 1, 1)), (1, (1, 6, 1)), (0.5, (1, 1, 6)))
    ]
    variances = seed_variances(sum(effects), 3)
    np.testing.assert_allclose(variances.alone.mean(axis=0), [4, 1, 0.25], rtol=0.05)
    np.testing.assert_allclose(variances.together.mean(axis=0), 5.25, rtol=0.05)


def test_what_two_seeds_do_together_is_in_all_alone():
    # The product of two signs: with either held, the other changes the sign at random, and so do both.
    signs = np.array([-1.0, 1.0])
    variances = seed_variances(signs[:, None] * signs[None, :], 2)
    # Two runs that differ in one seed differ by 2: half the square is 2. Those that differ in both are equal.
    np.testing.assert_allclose(variances.alone, [2, 2])
    assert variances.together == 0


def test_one_seed_and_lost_runs():
    variances = seed_variances([[1.0, 3.0, np.nan, np.inf]], 2)
    assert np.isnan(variances.alone[0])
    assert variances.alone[1] == 2
    assert np.isnan(variances.together)
    assert variances.left_out == 2


def test_too_few_axes():
    with pytest.raises(InputError, match=r"^values must have the 2 axes of the seeds last, got shape \(3,\)$"):
        seed_variances(np.ones(3), 2)


def test_scatter_by_kind_of_seed():
    """Data seeds move the loss by +-3, order seeds by +-1, without interplay: variances 18 and 2 of pairs, 20 together."""
    loss = np.array([-3.0, 3.0])[:, None, None] + np.array([-1.0, 1.0])[None, :, None] + 9
    ds = xr.Dataset(
        {
            "loss_epoch": (["data_seed", "order_seed", "epoch"], loss, {"units": "loss"}),
            "diverged": (["data_seed", "order_seed"], np.zeros((2, 2), bool)),
        },
        {"data_seed": [0, 1], "order_seed": [0, 1], "epoch": [0]},
    )
    variances = jaxsgd.seed_variance(ds)
    assert variances.source.values.tolist() == ["data_seed", "order_seed", "all"]
    np.testing.assert_allclose(variances.deviation**2, [18, 2, 20])
    np.testing.assert_allclose(variances.share, [0.9, 0.1, 1])
    assert variances.left_out == 0
    with pytest.raises(InputError, match=r"need two of data_seeds, init_seeds and order_seeds, got \['data_seed'\]"):
        jaxsgd.seed_variance(ds.isel(order_seed=0, drop=True))
