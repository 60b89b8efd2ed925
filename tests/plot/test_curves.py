"""The curves show each value's median over the seeds, and the title names the lowest where the seeds agree."""

import numpy as np
import pytest
import xarray as xr
from matplotlib.colors import to_hex

import jaxsgd
from jaxsgd.plot.curves import curves
from jaxsgd.plot.style import figure_file
from tests.plot.drawn import check_legible, data_lines, panels, words


@pytest.fixture(scope="module")
def of_fixed(striped):
    """The figure of all batch counts in the fixed order."""
    return curves(striped, axis="batch_count", select={"order": "fixed"})


@pytest.fixture(scope="module")
def all_striped(striped):
    return curves(striped)


@pytest.fixture(scope="module")
def all_diverging(diverging):
    return curves(diverging)


def heights(axes):
    return [np.asarray(line.get_ydata()) for line in data_lines(axes)]


def test_each_line_is_the_median_over_the_seeds(striped, of_fixed):
    (axes,) = panels(of_fixed)
    drawn = heights(axes)
    assert len(drawn) == 6
    for line, m in zip(drawn, striped.batch_count.values, strict=True):
        runs = striped.loss_epoch.sel(order="fixed", batch_count=m).squeeze().values.astype(float)
        np.testing.assert_allclose(line, np.median(runs, axis=0))


def test_every_line_has_its_own_colour_and_label(striped, of_fixed):
    (axes,) = panels(of_fixed)
    assert len({to_hex(line.get_color()) for line in data_lines(axes)}) == 6
    labels = {text.get_text(): to_hex(text.get_color()) for text in axes.texts if text.get_text()}
    for line, m in zip(data_lines(axes), striped.batch_count.values, strict=True):
        assert labels[str(m)] == to_hex(line.get_color())
    assert "batch count" in labels
    check_legible(of_fixed)


def test_by_default_the_longest_axis_has_the_lines_and_the_others_panels(all_striped, all_diverging):
    assert len(panels(all_striped)) == 4
    # 2 orders x 3 batch counts; the 4 rates are lines.
    assert len(panels(all_diverging)) == 6
    assert "m = 10 (B = 20)" in words(all_diverging)
    assert "reshuffle" in words(all_diverging)
    check_legible(all_diverging)


def test_a_value_keeps_its_colour_whatever_is_selected(striped, of_fixed):
    def shades(figure):
        (axes,) = panels(figure)
        return [to_hex(line.get_color()) for line in data_lines(axes)]

    some = curves(striped, axis="batch_count", select={"order": "fixed", "batch_count": [5, 50]})
    assert shades(some) == [shades(of_fixed)[2], shades(of_fixed)[5]]


def test_an_order_has_one_colour_in_every_result(striped, diverging):
    def shade(ds, **select):
        axes = panels(curves(ds, axis="order", select={"batch_count": 10} | select))[0]
        return [to_hex(line.get_color()) for line in data_lines(axes)]

    assert shade(striped, order="reshuffle") == shade(diverging, order="reshuffle", learning_rate=0.01)


def test_the_axis_is_logarithmic_where_losses_differ_twentyfold(diverging, all_striped):
    # Least squares falls from about 6 to 0.5 at most: twelvefold; scaled by itself, that is 144-fold.
    far = curves(diverging.assign(loss_epoch=diverging.loss_epoch**2), select={"order": "fixed"})
    assert {axes.get_yscale() for axes in panels(far)} == {"log"}
    assert {axes.get_yscale() for axes in panels(all_striped)} == {"linear"}
    check_legible(far)


def test_panels_share_their_axes(all_diverging):
    assert len({(axes.get_xlim(), axes.get_ylim()) for axes in panels(all_diverging)}) == 1


def test_diverged_runs_are_left_out_and_named(diverging):
    figure = curves(diverging, select={"order": "fixed"})
    axes = panels(figure)[2]
    assert int(diverging.diverged.sel(order="fixed", learning_rate=3.0, batch_count=20).sum()) == 4
    assert "diverged: 3 (4/4)" in [text.get_text() for text in axes.texts]
    assert len(data_lines(axes)) == 3
    check_legible(figure)


def test_a_line_that_grows_does_not_flatten_the_others(diverging):
    figure = curves(diverging, select={"order": "fixed", "batch_count": 2})
    (axes,) = panels(figure)
    last = np.asarray([line[-1] for line in heights(axes)])
    assert last.max() > 1e6
    assert axes.get_ylim()[1] < 100


def test_a_line_of_a_metric_that_only_describes_a_run_is_drawn_whole_where_it_grows(diverging):
    ds = diverging.isel(epoch=slice(2)).copy()
    ds["parameter_norm"] = (ds.loss_epoch * 0 + xr.DataArray([1.0, 3.0], dims="epoch")).assign_attrs(better="neither")
    (axes, *_) = panels(curves(ds, metric="parameter_norm", select={"order": "fixed"}))
    assert axes.get_ylim()[1] > 3


def test_where_the_loss_of_a_line_grows_its_metric_does_not_flatten_the_others(diverging):
    # At the rate 3 and with two batches the loss grows a millionfold, and the runs stay finite.
    ds = diverging.sel(batch_count=[2])
    ds["parameter_norm"] = (ds.loss_epoch * 0 + xr.where(ds.learning_rate == 3.0, 3e6, 1.0)).assign_attrs(better="neither")
    figure = curves(ds, axis="learning_rate", metric="parameter_norm", select={"order": "fixed"})
    (axes,) = panels(figure)
    assert len(data_lines(axes)) == 4
    assert axes.get_ylim()[1] < 100
    assert "Lines beyond the top reach 3e6." in " ".join(words(figure).split())
    assert "beyond the top" not in words(
        curves(ds, metric="parameter_norm", select={"order": "fixed", "learning_rate": [0.01, 0.1]})
    )


def test_of_a_metric_that_only_describes_a_run_no_line_is_said_to_end_best(striped):
    norm = striped.loss_epoch * 0 + striped.batch_count
    ds = striped.assign(parameter_norm=norm.transpose(*striped.loss_epoch.dims).assign_attrs(better="neither"))
    text = words(curves(ds, metric="parameter_norm", axis="batch_count", select={"order": "fixed"}))
    assert ": 1.00 with m = 1, 50.0 with m = 50" in text
    assert "lowest" not in text


def test_missing_runs_are_named(unfinished):
    text = words(curves(unfinished, axis="order"))
    assert "not run" in text


def test_a_result_without_any_run_says_so(unfinished):
    gone = {"loss_epoch": unfinished.loss_epoch * np.nan}
    figure = curves(unfinished.assign(**gone, missing=unfinished.missing | True))
    assert figure.texts[0].get_text() == "No run in this figure is finished and finite"


def test_the_title_names_the_value_that_ends_lowest(striped):
    # More updates an epoch at one learning rate: the loss falls further, in every seed. Its three seeds stand for six.
    six = striped.isel(seed=[0, 1, 2, 0, 1, 2])
    assert curves(six, select={"order": "fixed"}).texts[0].get_text().startswith("m = 50 ends lowest: loss ")
    assert curves(six).texts[0].get_text() == "m = 50 ends lowest in every panel after 12 epochs"


def test_few_seeds_show_a_lowest_value_but_no_best_line(striped, of_fixed):
    number = float(striped.loss_epoch.isel(epoch=-1).sel(order="fixed", batch_count=50).median())
    assert of_fixed.texts[0].get_text() == f"Lowest loss after 12 epochs: {number:.3g} at m = 50"
    assert "3 seeds do not show which setting is better: that takes 6 or more." in " ".join(words(of_fixed).split())
    by_order = curves(striped, axis="order", select={"batch_count": 50}).texts[0].get_text()
    assert by_order.startswith("Lowest loss after 12 epochs: ")
    assert by_order.endswith(" order")


def test_the_title_claims_nothing_that_the_seeds_do_not_agree_on(striped):
    # One batch an epoch: the orders differ by rounding alone.
    figure = curves(striped.isel(seed=[0, 1, 2, 0, 1, 2]), axis="order", select={"batch_count": 1})
    assert figure.texts[0].get_text() == "No order ends clearly below the others after 12 epochs"


def test_bands_take_out_what_the_seeds_begin_with(striped, of_fixed):
    (axes,) = panels(of_fixed)
    raw = striped.loss_epoch.sel(order="fixed").isel(epoch=0).squeeze()
    # With 3 seeds there is nothing to estimate from: the band is the seeds' own, 5 to 95 %.
    assert "The bands leave out" not in words(of_fixed)
    tall = np.ptp(axes.collections[0].get_paths()[0].vertices[:, 1])
    assert tall == pytest.approx(float(np.diff(np.percentile(raw.sel(batch_count=1), (5, 95)))[0]), rel=0.1)


def test_bands_of_more_seeds_are_narrower_than_the_seeds(diverging):
    figure = curves(diverging, select={"order": "fixed", "learning_rate": [0.001, 0.01], "batch_count": 2})
    assert "The bands leave out the differences between seeds that are there in the first epoch already." in words(figure)
    (axes,) = panels(figure)
    raw = diverging.loss_epoch.sel(order="fixed", batch_count=2, learning_rate=0.001).squeeze().values
    last = axes.collections[0].get_paths()[0].vertices
    last = last[last[:, 0] == raw.shape[1]][:, 1]
    assert np.ptp(last) < 0.5 * np.ptp(raw[:, -1])
    assert last.min() <= heights(axes)[0][-1] <= last.max()


def test_one_seed_has_no_band(striped):
    figure = curves(striped, select={"seed": 1, "order": "fixed"})
    assert not panels(figure)[0].collections
    assert "seed 1" in figure.texts[1].get_text()


def test_axes_that_vary_together_are_one(apart):
    figure = curves(apart, axis="learning_rate")
    # A panel for each batch size; the two kinds of seeds are the spread.
    assert len(panels(figure)) == 2
    assert "6 combinations of seeds" in figure.texts[1].get_text()
    assert [len(heights(axes)) for axes in panels(figure)] == [2, 2]
    drawn = heights(panels(figure)[0])[1]
    runs = apart.loss_epoch.isel(learning_rate_momentum=1, batch_size=0).squeeze().values.reshape(6, 4)
    np.testing.assert_allclose(drawn, np.median(runs, axis=0), rtol=1e-6)
    by_momentum = curves(apart, axis="momentum")
    np.testing.assert_array_equal(heights(panels(by_momentum)[0]), heights(panels(figure)[0]))


def test_seeds_can_be_lines(apart):
    figure = curves(apart, axis="init_seed", select={"batch_size": 20, "momentum": 0.9})
    assert [len(heights(axes)) for axes in panels(figure)] == [3]
    check_legible(figure)


def test_a_metric_is_drawn_and_named(diverging):
    figure = curves(diverging, axis="order", metric="distance", select={"learning_rate": 0.01, "batch_count": 10})
    expected = diverging.distance.sel(order="fixed", learning_rate=0.01, batch_count=10).median("seed").squeeze()
    np.testing.assert_allclose(heights(panels(figure)[0])[0], expected)
    assert "distance from the optimum" in words(figure)
    accuracy = 1 - diverging.loss_epoch / 100
    held_out = diverging.assign(validation_loss=2 * diverging.loss_epoch, validation_accuracy=accuracy)
    held_out = held_out.isel(seed=[0, 1, 2, 3, 0, 1])  # as many as it takes to call a line best
    text = words(curves(held_out, axis="batch_count", select={"learning_rate": 0.01, "order": "fixed"}))
    assert "ends lowest: validation loss" in text
    assert "Lines: validation loss after each epoch" in text
    text = words(
        curves(held_out, axis="batch_count", metric="validation_accuracy", select={"learning_rate": 0.01, "order": "fixed"})
    )
    assert "ends highest: validation accuracy" in text


def test_the_title_compares_lines_at_their_best_rates():
    """Adam is clearly lower at five of six rates, but not at the best ones, where SGD is."""
    rng = np.random.default_rng(0)
    ends = np.array([[9.0, 8, 7, 6, 5, 1], [3.0, 3, 3, 3, 3, 2]])  # [optimizer, rate]
    last = ends + 0.01 * rng.normal(size=(6, *ends.shape))
    loss = np.stack([np.full(last.shape, 9.5), last], axis=-1)
    dims = ("seed", "optimizer", "learning_rate")
    ds = xr.Dataset(
        {
            "loss_epoch": ((*dims, "epoch"), loss),
            "diverged": (dims, np.zeros(last.shape, bool)),
            "missing": (dims, np.zeros(last.shape, bool)),
        },
        {"seed": np.arange(6), "optimizer": ["sgd", "adam"], "learning_rate": [2.0**k for k in range(6)], "epoch": [0, 1]},
    )
    title = curves(ds, axis="optimizer").texts[0].get_text()
    assert title.startswith("sgd ends lowest: loss ")
    assert title.endswith("after 2 epochs, at learning rate 32, each at its best learning rate")
    # Two batch counts in which the seeds do not agree: each optimizer at its own best rate in each.
    even = xr.concat([ds.assign(loss_epoch=ds.loss_epoch * 0 + seeds) for seeds in _undecided(6)], "batch_count")
    even = even.assign_coords(batch_count=[2, 4]).transpose(..., "epoch")
    title = curves(even, axis="optimizer").texts[0].get_text()
    assert title.startswith("No optimizer ends clearly below the others in any of 2 settings (each at its best learning rate)")


def _undecided(count):
    """Losses by seed and optimizer, for two batch counts, in which the better optimizer changes from seed to seed."""
    sign = np.where(np.arange(count) % 2, 1.0, -1.0)
    losses = xr.DataArray(2 + 0.1 * np.outer(sign, [1.0, -1.0]), dims=("seed", "optimizer"))
    return losses, losses + 1


@pytest.mark.parametrize("kind", ["png", "svg"])
def test_the_same_data_make_the_same_file(apart, kind):
    first, other = (figure_file(curves(apart), kind) for _ in range(2))
    assert first == other


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"axis": "momentm"},
            ["unknown axis 'momentm'", "valid: batch_count, batch_size, learning_rate, optimizer, order, seed"],
        ),
        ({"axis": "seed"}, ["at most two other axes, and there are 3", "order (fixed, reshuffle)", "batch_count (2, 10, 20)"]),
        ({"select": {"learning_rate": 0.02}}, ["no learning_rate 0.02: the nearest are 0.01, 0.1 (there are 4)"]),
    ],
)
def test_bad_inputs_are_named(diverging, options, words):
    with pytest.raises(jaxsgd.InputError) as caught:
        curves(diverging, **options)
    for word in words:
        assert word in str(caught.value)
