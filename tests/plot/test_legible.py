"""Every kind of figure can be read: at 1, 2, 6 and 20 panels, with long names, with one line and with many."""

import importlib
import json
from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr

from jaxsgd.plot.kind import KINDS
from tests.plot.drawn import check_legible

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
    if kind == "differences" and optimizers == 1:
        optimizers = 2  # one value has no difference
    if kind in ("scaling", "stripe_law") and len(counts) == 1:
        counts = [2, 10]  # along the batch size
    ds = result(optimizers, counts)
    if kind != "slices":
        ds = ds.isel(momentum=[0])
    if kind == "loader":
        names = ["buffer(20)", "reshuffle", "fixed", "buffer(100)", "block_buffer(20, 5)"][: ds.sizes["optimizer"]]
        ds = ds.rename(optimizer="order").assign_coords(order=names).isel(learning_rate=[0], batch_count=[-1])
    check_legible(function(kind)(ds, **OPTIONS[kind]), smallest=9)
