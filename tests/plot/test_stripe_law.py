"""The figure of the stripe law: the law against draws, and what it draws of a result."""

import json
import math
import re

import numpy as np
import pytest
import xarray as xr

from jaxsgd import InputError
from jaxsgd.plot.stripe_law import law, stripe_law
from tests.plot.drawn import check_legible, words

COUNTS, SAMPLES, SIGMA, EPOCHS = [1, 2, 5, 10, 20, 50], 1000, 0.8, 16


@pytest.mark.parametrize(("batch_count", "width"), [(10, 1), (10, 5), (50, 1), (20, 10)])
def test_the_law_is_the_mean_gap_between_windows_of_normal_losses(batch_count, width):
    rng = np.random.default_rng(batch_count)
    batches = rng.normal(size=(20_000, batch_count)) / math.sqrt(SAMPLES / batch_count)
    levels = batches.reshape(-1, batch_count // width, width).mean(axis=-1)
    gap = (levels.max(axis=-1) - levels.min(axis=-1)).mean()
    assert law(batch_count, SAMPLES, width) == pytest.approx(gap, rel=0.02)


def test_without_stripes_the_law_has_no_gap():
    assert law(10, SAMPLES, 10) == law(1, SAMPLES, 1) == 0


def result(orders=("fixed", "reshuffle"), factor=1.0, seeds=5, width=1):
    """Gaps on the law with SIGMA, but for `factor`; of any other order than fixed smaller by the root of the epochs."""
    rng = np.random.default_rng(0)
    expected = SIGMA * factor * np.array([law(m, SAMPLES, width) for m in COUNTS])
    share = np.array([1.0 if order == "fixed" else EPOCHS**-0.5 for order in orders])
    gap = np.exp(0.02 * rng.normal(size=(seeds, len(orders), len(COUNTS)))) * share[:, None] * expected
    dims = ("seed", "order", "batch_count")
    flags = np.zeros(gap.shape, bool)
    return xr.Dataset(
        {
            "stripe_gap": (dims, gap),
            "stripe_index": (dims, np.broadcast_to(share[:, None], gap.shape)),
            "loss_epoch": ((*dims, "epoch"), np.ones((*gap.shape, EPOCHS))),
            "diverged": (dims, flags),
            "missing": (dims, flags.copy()),
        },
        {"seed": np.arange(seeds), "order": list(orders), "batch_count": COUNTS, "epoch": np.arange(EPOCHS)}
        | {"batch_size": ("batch_count", SAMPLES // np.array(COUNTS))},
        {
            "study": json.dumps({"problem": "least_squares"}),
            "manifest": json.dumps({"num_samples": SAMPLES}),
            "eval_interval": width,
        },
    )


def test_sigma_is_measured_off_the_fixed_order():
    figure = stripe_law(result())
    check_legible(figure)
    match = re.search(r"\N{GREEK SMALL LETTER SIGMA} = ([\d.]+) \(fitted\)", words(figure))
    assert match
    assert float(match[1]) == pytest.approx(SIGMA, rel=0.01)
    assert "Sampling explains the gap between stripes of the fixed order" in words(figure)


def test_a_sigma_that_is_fitted_to_two_gaps_says_nothing_of_the_law():
    two = result().sel(batch_count=[10, 20])
    text = words(stripe_law(two))
    assert text.startswith("The gap between stripes of the fixed order, by the batch size\n")
    assert "is fitted to fewer than 3 gaps, which cannot show if the law holds" in text
    # A measured sigma can be compared with a single gap.
    assert "Sampling explains the gap" in words(stripe_law(two, sigma=SIGMA))


def test_lines_are_medians_and_the_law_lies_over_them():
    ds = result()
    left, right = stripe_law(ds, sigma=SIGMA).axes
    striped = ds.isel(batch_count=slice(None, 0, -1))  # one batch has no stripes; by ascending batch size
    size = striped.batch_size.values
    data = [line for line in left.lines if line.get_marker() == "o"]
    for line, order in zip(data, ds.order.values, strict=True):
        np.testing.assert_allclose(line.get_xdata(), size)
        np.testing.assert_allclose(line.get_ydata(), striped.stripe_gap.sel(order=order).median("seed"))
    laws = sorted((line.get_ydata() for line in left.lines if line.get_marker() != "o"), key=np.sum)
    expected = SIGMA * np.array([law(int(m), SAMPLES, 1) for m in striped.batch_count])
    np.testing.assert_allclose(laws, [expected / EPOCHS**0.5, expected])
    index = [line for line in right.lines if line.get_marker() == "o"]
    np.testing.assert_allclose(index[0].get_ydata(), 1)


def test_gaps_beside_the_law_are_said_to_be_so():
    text = words(stripe_law(result(factor=2.0), sigma=SIGMA))
    assert "measured" in text
    assert "2 times what sampling gives" in text


def test_a_print_interval_that_hides_all_stripes_is_refused():
    with pytest.raises(InputError, match=r"averaging every 100 batches, no batch count here has stripes"):
        stripe_law(result().assign_attrs(eval_interval=100))


def test_one_seed_is_said_to_be_one():
    assert "One seed." in words(stripe_law(result(seeds=1)))
