"""Collapse: the factor between the curves of an axis."""

import re

import numpy as np
import pytest
import xarray as xr

import jaxsgd
from jaxsgd.analysis import collapse


def result(values, **changed):
    """A finished result of `values` [seed, batch_rule, batch_size, epoch]."""
    values = np.asarray(values, float)
    names = ["seed", "batch_rule", "batch_size"]
    coords = {"seed": np.arange(len(values)), "batch_rule": ["a", "b"], "batch_size": [4, 8, 16]}
    coords["epoch"] = np.arange(values.shape[-1])
    flags = {name: (names, np.zeros(values.shape[:-1], bool)) for name in ("missing", "diverged")} | changed
    return xr.Dataset({"loss_epoch": ([*names, "epoch"], values, {"units": "loss"}), **flags}, coords)


def curves(seeds=7):
    """Curves of rule a are at 1, 2 and 4 times one curve, and those of rule b at 1, 1 and 2; seeds scatter symmetrically."""
    course = 2.0 ** -np.arange(5)
    scale = np.asarray([[1, 2, 4], [1, 1, 2]])[..., None]
    return np.asarray([scale * course * 1.1**k for k in np.arange(seeds) - seeds // 2])


def test_the_ratio_is_the_largest_over_the_smallest_median():
    collapsed = collapse(result(curves()), "batch_size")
    np.testing.assert_allclose(collapsed["ratio"], [4, 2])
    # Seeds scatter alike in all curves, so that no resample changes the factor between them.
    np.testing.assert_allclose([collapsed["low"], collapsed["high"]], [[4, 2], [4, 2]])
    assert collapsed["ratio"].dims == ("batch_rule",)


def test_the_mean_over_records_is_geometric():
    values = curves()
    values[:, 0, 2, 0] /= 4  # in the first record the curves of rule a are within a factor of 2
    assert float(collapse(result(values), "batch_size")["ratio"][0]) == pytest.approx(4 ** (4 / 5) * 2 ** (1 / 5))


def test_few_seeds_have_no_interval_and_diverged_ones_an_infinite_ratio():
    collapsed = collapse(result(curves(3)), "batch_size")
    np.testing.assert_allclose(collapsed["ratio"], [4, 2])
    assert np.isnan(collapsed["low"]).all()
    values, diverged = curves(), np.zeros((7, 2, 3), bool)
    values[:4, 1, 0, 2:], diverged[:4, 1, 0] = np.nan, True
    collapsed = collapse(result(values, diverged=(["seed", "batch_rule", "batch_size"], diverged)), "batch_size")
    np.testing.assert_allclose(collapsed["ratio"], [4, np.inf])


@pytest.mark.parametrize(
    ("ds", "axis", "words"),
    [
        (result(curves()), "batch_siz", "unknown axis 'batch_siz': did you mean 'batch_size'?"),
        (result(curves()).isel(batch_size=[0]), "batch_size", "batch_size must have two values or more"),
        (result(-curves()), "batch_size", "loss_epoch must be positive for a ratio"),
        (result(np.where(np.arange(5) > 3, np.nan, curves())), "batch_size", "loss_epoch at the same records for all values"),
        (
            result(curves(), missing=(["seed", "batch_rule", "batch_size"], np.ones((7, 2, 3), bool))),
            "batch_size",
            "only a finished result can be compared, and 42 of its cells are missing",
        ),
    ],
    ids=["axis", "one value", "negative", "other records", "missing"],
)
def test_what_has_no_ratio_is_refused(ds, axis, words):
    with pytest.raises(jaxsgd.InputError, match=re.escape(words)):
        collapse(ds, axis)
