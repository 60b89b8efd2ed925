"""The heat map writes each cell's median, hatches where runs diverged and outlines the lowest."""

import numpy as np
import pytest

import jaxsgd
from jaxsgd.plot.heatmap import heatmap
from jaxsgd.plot.style import figure_file
from tests.plot.drawn import check_legible, panels, words


def numbers(axes):
    """The numbers in the cells, from the lowest row upwards."""
    return {(text.get_position()[1] - 0.5, text.get_position()[0] - 0.5): text.get_text() for text in axes.texts}


def tick_labels(axis):
    return [text.get_text() for text in axis.get_ticklabels()]


@pytest.fixture(scope="module")
def figure(diverging):
    return heatmap(diverging)


def test_there_is_a_panel_for_each_order_with_rates_across_and_batch_counts_up(figure):
    assert len(panels(figure)) == 2
    for axes in panels(figure):
        assert tick_labels(axes.xaxis) == ["0.001", "0.01", "0.1", "3"]
    # The second panel stands beside the first, and shares its numbers.
    assert [tick_labels(axes.yaxis) for axes in panels(figure)] == [["2", "10", "20"], []]
    for label in ("learning rate", "batch count m (batches per epoch)", "last epoch\N{RIGHT SINGLE QUOTATION MARK}s loss"):
        assert label in words(figure)


def test_each_cell_has_its_median_over_the_seeds(figure, diverging):
    written = numbers(panels(figure)[0])
    final = diverging.loss_epoch.sel(order="fixed").isel(epoch=-1).median("seed").squeeze()
    for x, rate in enumerate(diverging.learning_rate.values[:3]):
        for y, m in enumerate(diverging.batch_count.values):
            value = float(final.sel(learning_rate=rate, batch_count=m))
            assert float(written[y, x]) == pytest.approx(value, rel=0.01)


def test_cells_where_all_runs_diverged_say_so(figure, diverging):
    written = numbers(panels(figure)[0])
    assert int(diverging.diverged.sel(order="fixed", learning_rate=3.0, batch_count=20).sum()) == 4
    assert written[2, 3] == "diverged\n4 of 4"
    hatched = [patch for patch in panels(figure)[0].patches if patch.get_hatch()]
    diverged = diverging.diverged.sel(order="fixed").any("seed")
    assert len(hatched) == int(diverged.sum())
    assert "runs diverged; each counts as infinitely bad" in words(figure)
    assert "any number is the median of the others" in words(heatmap(diverging, metric="stripe_gap"))


def test_cells_where_some_runs_diverged_count_them_as_infinitely_bad(diverging):
    some = diverging.diverged.copy()
    some.loc[{"order": "fixed", "learning_rate": 0.1, "batch_count": 10, "seed": 0}] = True
    axes = panels(heatmap(diverging.assign(diverged=some), select={"order": "fixed"}))[0]
    number, count = numbers(axes)[1, 2].split("\n")
    assert count == "1 of 4 diverged"
    losses = diverging.loss_epoch.sel(order="fixed", learning_rate=0.1, batch_count=10).isel(epoch=-1).values.ravel()
    assert float(number) == pytest.approx(np.median([np.inf, *losses[1:]]), rel=0.01)


def test_the_lowest_cell_of_each_panel_is_outlined(figure, diverging):
    final = diverging.loss_epoch.isel(epoch=-1).median("seed").where(~diverging.diverged.any("seed")).squeeze()
    for axes, order in zip(panels(figure), ("fixed", "reshuffle"), strict=True):
        (outline,) = [patch for patch in axes.patches if not patch.get_fill()]
        own = final.sel(order=order).transpose("batch_count", "learning_rate").values
        y, x = np.unravel_index(np.nanargmin(own), own.shape)
        assert (int(outline.get_y()), int(outline.get_x())) == (y, x)


def test_the_title_names_the_lowest_cell_of_all(figure, diverging):
    final = diverging.loss_epoch.isel(epoch=-1).median("seed").where(~diverging.diverged.any("seed")).squeeze()
    order, rate, m = (
        final.where(final == final.min(), drop=True)[name].item() for name in ("order", "learning_rate", "batch_count")
    )
    title = figure.texts[0].get_text()
    assert title.startswith(f"Lowest loss after 8 epochs: {float(final.min()):#.3g} at ")
    assert title.endswith(f"learning rate {rate:g}, m = {m}, {order}")


def test_what_blew_up_shares_the_last_colour(figure, diverging):
    mesh = panels(figure)[0].collections[0]
    assert float(diverging.loss_epoch.sel(learning_rate=3.0, batch_count=2).max()) > 1e6
    assert mesh.norm.vmax < 100


def test_all_panels_have_the_same_colours(figure):
    scales = {(mesh.norm.vmin, mesh.norm.vmax) for axes in panels(figure) for mesh in axes.collections}
    assert len(scales) == 1


def test_no_text_lies_on_another(figure, striped, apart):
    check_legible(figure, smallest=9)
    check_legible(heatmap(striped), smallest=9)
    check_legible(heatmap(striped, x="batch_count", y="order", metric="stripe_gap"), smallest=9)
    check_legible(heatmap(apart), smallest=9)


def test_numbers_are_sorted_and_names_read_downwards(striped):
    backwards = striped.isel(batch_count=[3, 0, 5, 1, 4, 2])
    axes = panels(heatmap(backwards, x="batch_count", y="order"))[0]
    assert tick_labels(axes.xaxis) == ["1", "2", "5", "10", "20", "50"]
    assert tick_labels(axes.yaxis)[0] == "fixed"
    assert axes.yaxis_inverted()
    final = striped.loss_epoch.isel(epoch=-1).median("seed").squeeze()
    assert float(numbers(axes)[0, 5]) == pytest.approx(float(final.sel(order="fixed", batch_count=50)), abs=1e-3)


def test_stripe_indices_are_mapped_where_they_mean_something(striped):
    figure = heatmap(striped, metric="stripe_index")
    axes = panels(figure)[0]
    written = numbers(axes)
    assert tick_labels(axes.xaxis) == ["1", "2", "5", "10", "20", "50"]
    # m = 10, 20, 50; m = 1 and 5 are one curve in windows of 5, and m = 2 has two windows for each stripe.
    for x in (3, 4, 5):
        assert [written[y, x] for y in (0, 1)] == ["1.00", "1.00"]
        assert all(abs(float(written[y, x].replace("\N{MINUS SIGN}", "-"))) < 0.3 for y in (2, 3))
    assert {written[y, x] for y in range(4) for x in (0, 1, 2)} == {"none"}
    assert figure.texts[0].get_text().startswith("The printed loss has stripes with the order fixed or shuffle_once, none with")


def test_gaps_are_mapped_with_their_unit(striped):
    figure = heatmap(striped, metric="stripe_gap")
    assert "stripe gap (mean squared error per output)" in words(figure)
    assert "Highest stripe gap: " in figure.texts[0].get_text()


def test_the_edge_of_the_range_is_told(diverging):
    figure = heatmap(diverging, select={"order": "fixed", "learning_rate": [0.001, 0.01, 0.1], "batch_count": 20})
    low = diverging.loss_epoch.isel(epoch=-1).sel(order="fixed", batch_count=20).median("seed").squeeze()
    at_edge = int(low[:3].values.argmin()) in (0, 2)
    assert ("Lowest at the edge of the range: learning rate" in words(figure)) == at_edge


def test_cells_that_the_seeds_cannot_tell_from_the_lowest_are_counted(striped):
    # With one batch an epoch the four orders differ by rounding alone.
    few = {"x": "batch_count", "y": "order", "select": {"batch_count": [1, 2]}}
    assert "not clearly above the lowest, by the seeds" in words(heatmap(striped.isel(seed=[0, 1, 2, 0, 1, 2]), **few))
    text = words(heatmap(striped, **few))
    assert "3 seeds do not show which setting is better: that takes 6 or more." in text
    assert "clearly" not in text


@pytest.mark.parametrize(
    ("value", "sign", "heading"),
    [("validation_loss", 1, "Lowest validation loss"), ("validation_accuracy", -1, "Highest validation accuracy")],
)
def test_what_was_held_out_is_mapped_with_its_best_outlined(diverging, value, sign, heading):
    measured = sign * diverging.loss_epoch + (0.0 if sign > 0 else 1.0)
    figure = heatmap(diverging.assign({value: measured}), metric=value)
    usual = heatmap(diverging)
    for axes, other in zip(panels(figure), panels(usual), strict=True):
        (outline,), (two,) = ([patch.get_xy() for patch in panel.patches if not patch.get_fill()] for panel in (axes, other))
        assert outline == pytest.approx(two)
    best = float(usual.texts[0].get_text().split(": ")[1].split(" at ")[0])
    title = figure.texts[0].get_text()
    assert title.startswith(f"{heading} after 8 epochs: ")
    assert float(title.split(": ")[1].split(" at ")[0]) == pytest.approx(best if sign > 0 else 1 - best, abs=2e-3)
    assert value.replace("_", " ") in words(figure)


def test_missing_cells_say_so(unfinished):
    figure = heatmap(unfinished)
    assert unfinished.attrs["missing_cells"] > 0
    assert "not run" in words(figure)
    check_legible(figure, smallest=9)


def test_large_maps_have_no_numbers_but_tick_labels_that_can_be_read(diverging):
    many = diverging.isel(learning_rate=np.arange(40) % 3)
    many = many.assign_coords(learning_rate=np.logspace(-4, -1, 40))
    figure = heatmap(many, select={"order": "fixed"})
    assert not panels(figure)[0].texts
    check_legible(figure)


def test_sizes_of_batches_and_zipped_rates_are_axes(apart):
    axes = panels(heatmap(apart))[0]
    assert tick_labels(axes.xaxis) == ["0.01", "0.1"]
    assert tick_labels(axes.yaxis) == ["20", "60"]
    assert tick_labels(panels(heatmap(apart, x="momentum"))[0].xaxis) == ["0.5", "0.9"]


def test_one_cell_is_a_map(apart):
    figure = heatmap(apart, select={"momentum": 0.5, "batch_size": 20})
    assert len(numbers(panels(figure)[0])) == 1
    check_legible(figure)


@pytest.mark.parametrize("kind", ["png", "svg"])
def test_the_same_data_make_the_same_file(apart, kind):
    first, other = (figure_file(heatmap(apart), kind) for _ in range(2))
    assert first == other


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"x": "rate"}, ["unknown axis 'rate'"]),
        (
            {"metric": "los"},
            ["unknown metric 'los'", "valid: distance, excess_loss, loss_epoch, stripe_gap, stripe_index, stripe_slope"],
        ),
        (
            {"metric": "validation_loss"},
            ["the result has no validation_loss", "it has distance, excess_loss, loss_epoch, stripe_gap"],
        ),
        ({"x": "order", "y": "order"}, ["order is named twice"]),
        ({"x": "batch_count", "y": "batch_size"}, ["vary together"]),
    ],
)
def test_bad_inputs_are_named(diverging, options, words):
    with pytest.raises(jaxsgd.InputError) as caught:
        heatmap(diverging, **options)
    for word in words:
        assert word in str(caught.value)
