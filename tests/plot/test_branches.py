"""The figure of the barriers between forks."""

import numpy as np
import pytest
import xarray as xr

from jaxsgd import InputError
from jaxsgd.plot import branches_figure
from tests.plot.drawn import check_legible, data_lines, panels, words


def lines(epochs, pairs=6, inits=4):
    """Barriers that fall with the epoch of the fork, with a hill in the middle of each line."""
    rng = np.random.default_rng(0)
    share = np.linspace(0, 1, 11)
    height = np.exp(-np.arange(len(epochs)))[:, None, None] * rng.uniform(0.5, 1.5, (len(epochs), inits, pairs))
    loss = 0.1 + height[..., None] * np.sin(np.pi * share) ** 2
    dims, attrs = ("start_epoch", "init_seed", "pair"), {"units": "loss", "long_name": "validation loss"}
    barrier = xr.DataArray(loss.max(axis=-1) - 0.1, dims=dims, attrs=attrs)
    return xr.Dataset(
        {"barrier": barrier, "loss": ((*dims, "share"), loss, attrs), "barrier_median": barrier.median(dims[1:])},
        {"start_epoch": list(epochs), "share": share},
        {"axis": "order_seed"},
    )


@pytest.mark.parametrize("epochs", [[0], [0, 1, 2, 4, 8, 16], list(range(0, 24, 2))])
def test_every_pair_is_a_dot_and_every_epoch_a_line(epochs):
    ds = lines(epochs)
    figure = branches_figure(ds)
    check_legible(figure)
    left, right = panels(figure)
    dots = next(line for line in left.lines if len(line.get_ydata()) == 24 * len(epochs))
    np.testing.assert_allclose(np.sort(dots.get_ydata()), np.sort(ds.barrier.values.ravel()))
    drawn = data_lines(right)
    assert len(drawn) == len(epochs)
    # Both ends of each line have the loss 0.1.
    np.testing.assert_allclose(
        drawn[0].get_ydata(), ds.loss.isel(start_epoch=0).median(("init_seed", "pair")) - 0.1, atol=1e-12
    )
    assert "24 pairs of forks that differ in the order seed alone" in words(figure)
    assert "validation loss" in words(figure)


def test_pairs_that_diverged_are_left_out():
    ds = lines([0, 4])
    ds.barrier[:, 0], ds.loss[:, 0] = np.nan, np.nan
    figure = branches_figure(ds, "title")
    check_legible(figure)
    assert "18 pairs of forks" in words(figure)


def test_another_dataset_is_one_line():
    with pytest.raises(InputError, match=r"ds must be what jaxsgd\.analysis\.branches returns, got a Dataset with loss_epoch"):
        branches_figure(xr.Dataset({"loss_epoch": 1.0}))
