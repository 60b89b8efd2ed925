"""Every kind of figure, and the article's, can be read: at 1 to 20 panels, with long names, with one line and with many."""

import importlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from matplotlib import colormaps
from matplotlib.colors import to_rgb

from jaxsgd.measure.stripes import stripes
from jaxsgd.plot.influence import influence_figure
from jaxsgd.plot.kind import KINDS
from jaxsgd.plot.share import ShareGroup, ShareMap, share_figure, share_map_figure
from jaxsgd.plot.stripes import averaged_figure, band_figure, striped_figure
from jaxsgd.plot.style import ink_on
from tests.plot.drawn import check_legible, texts

LONG = "a_rather_long_name_of_an_optimizer_that_someone_gave"
SHORT = ["sgd", "adam", "lion", "momentum"]
SEEDS, EPOCHS, SAMPLES = 3, 6, 200

SIZES = {1: (1, [10]), 2: (2, [10]), 6: (2, [2, 10, 20]), 20: (5, [2, 10, 20, 50])}
"""By the number of panels of two axes, the optimizers and the batch counts."""

SELECT_RATE = {"select": {"learning_rate": 0.01}}
OPTIONS: dict[str, dict] = {
    "grid": {"rows": "batch_count", "columns": "optimizer", **SELECT_RATE},
    "curves": {"axis": "learning_rate"},
    "heatmap": {},
    "differences": {"axis": "optimizer", **SELECT_RATE},
    "slices": {"axis": "learning_rate", "x": "momentum"},
    "scaling": {"target": 1.2},
    "stripe_law": SELECT_RATE,
    "loader": {},
    "seeds": {"axis": "optimizer", "wanted": 0.01},
    "profile": {"axis": "optimizer", **SELECT_RATE},
    "own": {"study": str(Path(__file__).parent / "own_study.py")},
}
"""How each kind is drawn."""


def result(optimizers, counts):
    """Losses that fall from 2 to 1 and scatter, at four rates of which the largest diverges for some seeds."""
    rng = np.random.default_rng(0)
    names = [*SHORT[: optimizers - 1], LONG]
    rates, momenta = [0.001, 0.01, 0.1, 1.0], [0.0, 0.5, 0.9]
    dims = ("seed", "optimizer", "learning_rate", "momentum", "batch_count")
    shape = (SEEDS, len(names), len(rates), len(momenta), len(counts))
    progress = np.linspace(0, 1, EPOCHS)
    fall = np.log10(1000 * np.asarray(rates))[:, None, None, None] * progress / 3
    epoch = 2 - fall + 0.02 * rng.normal(size=(*shape, 1)) + 0.01 * rng.normal(size=(*shape, EPOCHS))
    batch = np.full((*shape, EPOCHS, max(counts)), np.nan)
    for place, m in enumerate(counts):
        batch[..., place, :, :m] = epoch[..., place, :, None] + 0.1 * np.sin(np.arange(m))
    diverged = np.zeros(shape, bool)
    diverged[0, :, -1] = True
    return xr.Dataset(
        {
            "loss": ((*dims, "epoch", "batch"), batch),
            "loss_epoch": ((*dims, "epoch"), epoch, {"units": "loss"}),
            "stripe_gap": (dims, np.abs(0.2 + 0.01 * rng.normal(size=shape))),
            "stripe_index": (dims, np.full(shape, 0.9)),
            "diverged": (dims, diverged),
            "diverged_epoch": (dims, np.where(diverged, 1.0, np.nan)),
            "missing": (dims, np.zeros(shape, bool)),
        },
        {"seed": np.arange(SEEDS), "optimizer": names, "learning_rate": rates, "momentum": momenta, "batch_count": counts}
        | {"epoch": np.arange(EPOCHS), "batch_size": ("batch_count", SAMPLES // np.array(counts))},
        {
            "study": json.dumps({"problem": "my_package.my_module:a_problem_with_a_long_name"}),
            "manifest": json.dumps({"num_samples": SAMPLES, "loss_unit": "mean squared error per output"}),
            "eval_interval": 1,
        },
    )


def function(kind) -> Callable:
    module, _, name = KINDS[kind].function.partition(":")
    return getattr(importlib.import_module(module), name)


@pytest.mark.parametrize("panels", SIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_no_text_lies_on_another_or_leaves_the_figure(kind, panels):
    optimizers, counts = SIZES[panels]
    if kind in ("differences", "seeds") and optimizers == 1:
        optimizers = 2  # one value has no difference
    if kind in ("scaling", "stripe_law") and len(counts) == 1:
        counts = [2, 10]  # along the batch size
    ds = result(optimizers, counts)
    if kind != "slices":
        ds = ds.isel(momentum=[0])
    if kind == "seeds":
        ds = ds.isel(learning_rate=[0], batch_count=[-1])
    if kind == "loader":
        names = ["buffer(20)", "reshuffle", "fixed", "buffer(100)", "block_buffer(20, 5)"][: ds.sizes["optimizer"]]
        ds = ds.rename(optimizer="order").assign_coords(order=names).isel(learning_rate=[0], batch_count=[-1])
    check_legible(function(kind)(ds, **OPTIONS[kind]), smallest=9)


def test_the_row_headings_of_a_grid_do_not_lie_on_the_label_of_its_axis():
    figure = function("grid")(result(2, [2, 10, 20]).isel(momentum=[0]), **OPTIONS["grid"])
    figure.draw_without_rendering()
    heading = next(text for text in texts(figure) if text.get_text().startswith("m = 10"))
    label = next(text for text in texts(figure) if text.get_text().startswith("change in loss"))
    assert label.get_window_extent().x1 < heading.get_window_extent().x0


TITLE = "A finding that takes about as many letters as the longest title of the article does"
SUBTITLE = "Experiments 2 and 3: 2,000 samples in 20 batches, printed every 5 batches; learning rate 0.001, order shuffle_once"


def printed_loss(epochs, m):
    """Return losses [epochs, m] that fall by 0.001 an epoch from levels between 2 and 3."""
    return np.linspace(2, 3, m)[None, :] - 0.001 * np.arange(epochs)[:, None]


def share_map(batch_counts, epochs):
    share = np.random.default_rng(0).uniform(0, 1.5, (batch_counts, epochs))
    loss = np.linspace(3, 2, epochs)
    return ShareMap("The network, with 100 hidden units", range(2, 2 + batch_counts), range(epochs), share, loss)


@pytest.mark.parametrize(("epochs", "m"), [(2, 2), (20, 10), (100, 20)])
def test_the_views_of_the_article_are_legible(epochs, m):
    loss = printed_loss(epochs, m)
    striped, averaged = stripes(loss, max(1, m // 4)), stripes(loss, m)
    check_legible(striped_figure(striped, TITLE, SUBTITLE))
    check_legible(band_figure(striped, TITLE, SUBTITLE))
    check_legible(averaged_figure(averaged, striped, TITLE, SUBTITLE))


@pytest.mark.parametrize("epochs", [2, 20, 100])
def test_ticks_along_the_epochs_are_whole_numbers(epochs):
    figure = striped_figure(stripes(printed_loss(epochs, 10), 5), TITLE, SUBTITLE)
    for axes in figure.axes:
        ticks = axes.get_xticks()
        assert len(ticks) >= 2
        np.testing.assert_array_equal(ticks, np.round(ticks))


def test_the_figures_of_the_claim_are_legible():
    groups = [ShareGroup(f"Experiments 2 and 3:\n{m} batches", np.linspace(1, 2, 16) / m, 1 / m) for m in (10, 20)]
    check_legible(share_figure(groups, TITLE, SUBTITLE))
    # The article's maps have six batch counts and seven epochs.
    check_legible(share_map_figure([share_map(6, 7), share_map(6, 7)], TITLE, SUBTITLE))
    check_legible(influence_figure(-np.eye(10) - 0.5, np.eye(10), TITLE, SUBTITLE))


def luminance(colour):
    """Return the relative luminance of a colour, as the Web Content Accessibility Guidelines 2.2 define it."""
    channel = np.asarray(to_rgb(colour))
    linear = np.where(channel <= 0.04045, channel / 12.92, ((channel + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


@pytest.mark.parametrize("name", ["viridis", "cividis", "PuOr", "RdBu"])
def test_numbers_stand_out_from_the_colours_of_their_cells(name):
    for colour in colormaps[name](np.linspace(0, 1, 101)):
        low, high = sorted([luminance(colour[:3]), luminance(ink_on(colour))])
        # The guidelines want a contrast of at least 3 for large letters and graphics.
        assert (high + 0.05) / (low + 0.05) >= 3.9
