"""The figure of differences against SciPy's paired test on the same numbers, and what its title says of them."""

import json

import numpy as np
import pytest
import xarray as xr
from matplotlib.colors import to_hex
from scipy import stats

from jaxsgd import ORDERS, InputError
from jaxsgd.plot.curves import curves
from jaxsgd.plot.differences import differences
from jaxsgd.plot.style import PALE
from tests.plot.drawn import check_legible, data_lines, words

SEEDS, EPOCHS, COUNTS = 5, 6, [10, 20]
DIMS = ("seed", "order", "batch_count")
ENDS = {"fixed": 1.0, "shuffle_once": 1.0, "reshuffle": 0.4, "reshuffle_batches": 0.4, "flip_flop": 0.1, "replacement": 5.0}
ENDS |= {"grab": 0.05, "pair_balance": 0.03}


def result(ends=ENDS, **changed):
    """A result of 5 seeds in which every order falls from about 30 to its own distance, but for a scatter of 5 %."""
    rng = np.random.default_rng(0)
    fall = np.linspace(1, 0, EPOCHS)
    scatter = 0.05 * rng.normal(size=(SEEDS, len(ends), 2))
    # Around the same middle for every order, so that equal ends are ties by no chance.
    end = np.asarray(list(ends.values()))[None, :, None] * np.exp(scatter - scatter.mean(axis=0))
    distance = 30**fall * end[..., None] ** (1 - fall)
    shape = end.shape
    variables = {
        "loss_epoch": ((*DIMS, "epoch"), 1 + distance**2),
        "distance": ((*DIMS, "epoch"), distance),
        "stripe_index": (DIMS, np.zeros(shape)),
        "diverged": (DIMS, np.zeros(shape, bool)),
        "diverged_epoch": (DIMS, np.full(shape, np.nan)),
        "missing": (DIMS, np.zeros(shape, bool)),
    }
    coords = {"seed": np.arange(SEEDS), "order": list(ends), "batch_count": COUNTS, "epoch": np.arange(EPOCHS)}
    return xr.Dataset({**variables, **changed}, coords, {"study": json.dumps({"problem": "least_squares"})})


def pairs_of(figure):
    """The panels row by row: (curves, differences)."""
    return list(zip(figure.axes[::2], figure.axes[1::2], strict=True))


def intervals(axes):
    """The ends of each interval that is drawn, from the top, and its colour."""
    lines = [line for line in axes.lines if line.get_marker() == "|"]
    return [(tuple(line.get_xdata()), to_hex(line.get_color())) for line in sorted(lines, key=lambda line: line.get_ydata()[0])]


def colour_of(ds, order):
    return to_hex(data_lines(curves(ds, axis="order", select={"order": order, "batch_count": 10}).axes[0])[0].get_color())


def test_eight_orders_are_legible_and_each_has_its_line_its_interval_and_its_colour():
    ds = result()
    figure = differences(ds, metric="distance")
    check_legible(figure)
    for m, (left, right) in zip(COUNTS, pairs_of(figure), strict=True):
        runs = ds.distance.sel(batch_count=m)
        assert left.get_yscale() == "log"
        for line, order in zip(data_lines(left), ENDS, strict=True):
            np.testing.assert_allclose(line.get_ydata(), runs.sel(order=order).median("seed"))
        last = runs.isel(epoch=-1)
        # From the largest median end to the smallest, the reference left out.
        ranked = last.order.values[np.argsort(-last.median("seed").values)]
        drawn = intervals(right)
        assert len(drawn) == 7
        for order, (ends, shade) in zip([name for name in ranked if name != "fixed"], drawn, strict=True):
            t_test = stats.ttest_rel(last.sel(order=order), last.sel(order="fixed"))
            np.testing.assert_allclose(ends, t_test.confidence_interval(0.95))
            tie = bool(t_test.pvalue > 0.05)
            assert tie == (order == "shuffle_once")
            assert shade == (to_hex(PALE) if tie else colour_of(ds, order)), order


def test_the_title_names_the_clear_extremes_and_the_ties():
    figure = differences(result(), metric="distance")
    title = "pair_balance ends nearest the optimum, replacement farthest; shuffle_once ties with fixed"
    assert figure.texts[0].get_text() == title
    assert "distance from the optimum" in words(figure)
    assert "difference from fixed after 6 epochs" in words(figure)


@pytest.mark.parametrize(
    ("ends", "value", "title"),
    [
        ({"fixed": 1.0, "reshuffle": 0.4}, "loss_epoch", "reshuffle ends lowest"),
        ({"fixed": 1.0, "reshuffle": 1.0}, "distance", "reshuffle and fixed tie"),
        (dict.fromkeys(["fixed", "reshuffle", "flip_flop"], 1.0), "distance", "No order ends clearly nearer the optimum"),
        # Two that tie with each other are neither of them the nearest.
        (
            {"fixed": 1.0, "reshuffle": 0.4, "reshuffle_batches": 0.4},
            "distance",
            "fixed ends farthest",
        ),
    ],
)
def test_the_title_follows_the_numbers(ends, value, title):
    assert differences(result(ends), metric=value).texts[0].get_text().startswith(title)


@pytest.mark.parametrize(
    ("ends", "title"),
    [
        ((3.0, 1.0), "No order ends clearly lower than fixed at any batch count"),
        ((1.0, 0.4), "No order ends clearly higher than fixed at any batch count"),
        ((3.0, 0.4), "Which order ends lowest depends on the batch count"),
    ],
)
def test_of_rows_that_differ_the_title_says_no_more_than_they_show(ends, title):
    # The end of reshuffle with 10 and with 20 batches; with 1.0 it ties with fixed.
    rows = [result({"fixed": 1.0, "reshuffle": end}).isel(batch_count=[place]) for place, end in enumerate(ends)]
    ds = xr.concat(rows, "batch_count")
    assert differences(ds, metric="loss_epoch").texts[0].get_text() == title


def test_of_an_accuracy_the_title_begins_with_the_highest():
    ds = result({"fixed": 1.0, "reshuffle": 0.4, "flip_flop": 3.0})
    figure = differences(ds.assign(validation_accuracy=1 - ds.distance / 100), metric="validation_accuracy")
    assert figure.texts[0].get_text() == "reshuffle ends highest, flip_flop lowest"
    assert "\N{LEFTWARDS ARROW} lower" in words(figure)


def test_another_reference_is_compared_with():
    figure = differences(result(), reference="replacement", select={"batch_count": 10})
    ((_, right),) = pairs_of(figure)
    assert all(high < 0 for (_, high), _ in intervals(right))
    assert "difference from replacement" in words(figure)


def test_runs_left_out_are_counted():
    ds = result()
    ds.missing.loc[{"seed": 0, "order": "reshuffle", "batch_count": 10}] = True
    ds.distance.loc[{"seed": 0, "order": "reshuffle", "batch_count": 10}] = np.nan
    ds.diverged.loc[{"order": "replacement", "batch_count": 10}] = True
    ds.diverged_epoch.loc[{"order": "replacement", "batch_count": 10}] = 2
    figure = differences(ds, metric="distance", select={"batch_count": 10})
    check_legible(figure)
    texts = [text.get_text() for text in figure.axes[1].texts]
    assert sum("(4 of 5)" in text for text in texts) == 1
    assert texts.count("diverged") == 1
    assert len(data_lines(figure.axes[0])) == len(ENDS) - 1
    # With a run missing, nothing is said to be nearest; `replacement`, whose runs all diverged, is not in the way of that.
    assert (
        figure.texts[0]
        .get_text()
        .startswith("reshuffle, reshuffle_batches, flip_flop, grab and pair_balance end nearer the optimum than fixed")
    )
    ds.missing[:] = False
    assert (
        differences(ds, metric="distance", select={"batch_count": 10})
        .texts[0]
        .get_text()
        .startswith("pair_balance ends nearest the optimum; shuf")
    )


@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [
        ({}, {"axis": "ordr"}, "unknown axis 'ordr': did you mean 'order'?"),
        ({}, {"metric": "stripe_index"}, "unknown metric 'stripe_index': valid: distance, loss_epoch"),
        ({}, {"reference": "fixd"}, "unknown order 'fixd': did you mean 'fixed'?"),
        ({}, {"axis": "order", "select": {"order": "fixed"}}, "a comparison needs two values of order or more, got fixed"),
        ({}, {"select": {"order": "fixed"}}, "nothing here has several values of order, optimizer, schedule, batch_rule: name"),
        ({"seed": [0]}, {}, "a comparison needs at least two seeds: "),
        ({"batch_count": [0, 1] * 3}, {}, "has room for 4 values of one other axis, but batch_count has 6"),
    ],
)
def test_a_mistake_is_named_with_what_would_be_right(change, arguments, message):
    with pytest.raises(InputError) as caught:
        differences(result().isel(change), **arguments)
    assert message in str(caught.value)


def test_every_built_in_order_is_among_those_drawn():
    assert set(ENDS) == set(ORDERS)
