"""The figure of loaders: what it draws of a result, and its finding."""

import json

import numpy as np
import pytest
import xarray as xr

from jaxsgd import InputError
from jaxsgd.plot.loader import loader
from tests.plot.drawn import check_legible, panels, words

LOSSES = {
    "fixed": 1.0,
    "buffer(200)": 0.1,
    "buffer(20)": 0.8,
    "buffer(100)": 0.102,
    "blocks(20)": 0.1,
    "blocks(100)": 0.5,
    "block_buffer(10, 2)": 0.3,
    "reshuffle": 0.1,
}
SAMPLES, SEEDS = 200, 8


def result(losses=LOSSES, rates=(0.1,)):
    """Losses of `losses` that scatter by 0.01 from seed to seed."""
    rng = np.random.default_rng(0)
    level = np.array(list(losses.values()))
    loss = np.broadcast_to(level, (SEEDS, len(rates), len(level))) + 0.01 * rng.normal(size=(SEEDS, len(rates), len(level)))
    dims = ("seed", "learning_rate", "order")
    flags = np.zeros(loss.shape, bool)
    return xr.Dataset(
        {
            "stripe_index": (dims, np.clip(loss, 0, 1)),
            "loss_epoch": ((*dims, "epoch"), np.repeat(loss[..., None], 3, axis=-1)),
            "diverged": (dims, flags),
            "missing": (dims, flags.copy()),
        },
        {"seed": np.arange(SEEDS), "learning_rate": list(rates), "order": list(losses), "epoch": np.arange(3)},
        {"study": json.dumps({"problem": "digits"}), "manifest": json.dumps({"num_samples": SAMPLES})},
    )


def test_each_family_is_a_line_by_the_share_of_the_data_that_its_buffer_or_block_holds():
    ds = result()
    figure = loader(ds)
    check_legible(figure)
    for axes, values in zip(panels(figure), (ds.loss_epoch.isel(epoch=-1), ds.stripe_index), strict=True):
        drawn = {tuple(np.round(line.get_xdata(), 3)): line.get_ydata() for line in axes.lines if line.get_marker() == "o"}
        assert set(drawn) == {(0.1, 0.5, 1.0), (0.1, 0.5), (0.1,)}
        expected = values.squeeze().sel(order=["buffer(20)", "buffer(100)", "buffer(200)"]).median("seed")
        np.testing.assert_allclose(drawn[0.1, 0.5, 1.0], expected)
        across = [line.get_ydata()[0] for line in axes.lines if line.get_linestyle() == "--"]
        np.testing.assert_allclose(across, values.squeeze().sel(order=["fixed", "reshuffle"]).median("seed"))
    assert {"fixed", "reshuffle", "buffer", "blocks", "block_buffer"} <= set(words(figure).splitlines())


def test_the_title_says_from_which_size_on_a_family_ties_with_reshuffle():
    assert "Loss ties with reshuffle: buffer from 50 % of the data\n" in words(loader(result()))
    assert "No buffer here ties with reshuffle in loss\n" in words(loader(result(dict(LOSSES, **{"buffer(200)": 0.3}))))
    alone = {name: loss for name, loss in LOSSES.items() if name != "reshuffle"}
    assert "Loss by the size of the buffer\n" in words(loader(result(alone)))


@pytest.mark.parametrize(("seeds", "clause"), [([0], "One seed does not"), ([0, 1], "2 seeds do not")])
def test_few_seeds_show_no_tie(seeds, clause):
    # The interval of two seeds is so wide that nearly everything would tie.
    text = words(loader(result().isel(seed=seeds)))
    assert text.startswith("Loss by the size of the buffer\n")
    assert f"{clause} show which setting is better: that takes 6 or more." in " ".join(text.split())


def test_equal_seeds_show_no_tie():
    ds = result()
    same = ds.assign(loss_epoch=ds.loss_epoch * 0 + ds.loss_epoch.isel(seed=0))
    assert "No interval: all seeds give the same value" in " ".join(words(loader(same)).split())


def test_a_family_that_is_better_than_reshuffle_is_as_good():
    title = words(loader(result(dict(LOSSES, **{"block_buffer(10, 2)": 0.01}))))
    assert "Loss ties with reshuffle: buffer from 50 % of the data and block_buffer from 10 % of the data\n" in title


@pytest.mark.parametrize(
    ("ds", "options", "message"),
    [
        (result({"fixed": 1.0, "reshuffle": 0.1}), {}, "needs orders with a buffer or blocks, such as buffer"),
        (
            result(rates=(0.1, 0.2)),
            {},
            "has 2 .0.1, 0.2.: select one, as select=.'learning_rate': 0.1., or in a shell --select learning_rate=0.1$",
        ),
        (result(), {"metric": "stripe_index"}, "name another metric"),
        (result(), {"metric": "los"}, "valid: loss_epoch"),
    ],
)
def test_what_it_cannot_draw_is_one_line(ds, options, message):
    with pytest.raises(InputError, match=message):
        loader(ds, **options)
