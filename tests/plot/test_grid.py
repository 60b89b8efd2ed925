"""The grid shows every panel's stripes under its average, and says in its title where there are stripes."""

import numpy as np
import pytest
from matplotlib.colors import to_hex

import jaxsgd
from jaxsgd.plot.grid import grid
from jaxsgd.plot.style import colours, figure_file
from tests.plot.drawn import check_legible, data_lines, panels, words

BOLD = "#000000"


def bold(axes):
    (line,) = [line for line in axes.lines if line.get_linewidth() == 2.0]
    return line


def panel_of(figure, row, column, columns=4):
    return panels(figure)[4 * row + column] if columns == 4 else panels(figure)[columns * row + column]


@pytest.fixture(scope="module")
def figure(striped):
    return grid(striped)


def test_there_is_a_panel_for_each_batch_count_and_order(figure):
    assert len(panels(figure)) == 6 * 4
    text = words(figure)
    for heading in ("m = 1\n", "m = 50\n", "B = 200\n", "B = 4\n", "fixed", "shuffle_once", "reshuffle", "reshuffle_batches"):
        assert heading in text + "\n"


def test_the_title_tells_orders_with_stripes_from_those_without(figure):
    title = figure.texts[0].get_text()
    assert title == (
        "The printed loss has stripes with the order fixed or shuffle_once, none with reshuffle or reshuffle_batches"
    )


def test_the_line_below_the_title_says_what_was_run(figure):
    assert figure.texts[1].get_text() == (
        "square_regression, 200 samples, sgd, learning rate 0.001, 3 seeds, 12 epochs; printed every 5 batches"
    )


def test_no_text_lies_on_another_in_six_rows_of_four(figure):
    check_legible(figure)


@pytest.mark.parametrize(("row", "count"), [(3, 2), (4, 4), (5, 10)])
def test_each_stripe_is_a_line_of_its_own_colour(figure, striped, row, count):
    # m = 10, 20, 50 in windows of 5: m / gcd(m, 5) stripes.
    axes = panel_of(figure, row, 0)
    stripes = [line for line in data_lines(axes) if line is not bold(axes)]
    assert len(stripes) == count
    assert [to_hex(line.get_color()) for line in stripes] == [colour.lower() for colour in colours(count)]
    m = [10, 20, 50][row - 3]
    run = striped.sel(order="fixed", batch_count=m).isel(seed=0, optimizer=0, learning_rate=0)
    measured = jaxsgd.stripes(run.loss.values[:, :m], 5)
    for number, line in enumerate(stripes):
        own = measured.stripe == number
        np.testing.assert_allclose(line.get_ydata(), measured.windows[own] - float(run.loss_epoch[0]), rtol=0, atol=1e-12)
        np.testing.assert_array_equal(line.get_xdata(), measured.time[own])


def test_the_bold_line_is_the_shown_runs_epoch_means_since_its_first(figure, striped):
    line = bold(panel_of(figure, 3, 2))
    run = striped.sel(order="reshuffle", batch_count=10).isel(seed=0, optimizer=0, learning_rate=0).loss_epoch.values
    np.testing.assert_allclose(line.get_ydata(), run.astype(float) - float(run[0]))
    np.testing.assert_array_equal(line.get_xdata(), np.arange(1, 13))
    assert to_hex(line.get_color()) == BOLD


def test_above_a_panel_stand_its_stripes_if_any_and_the_median_index_over_the_seeds(figure, striped):
    for column, order in enumerate(striped.order.values):
        index = float(striped.stripe_index.sel(order=order, batch_count=20).median())
        note = panel_of(figure, 4, column).texts[0].get_text()
        index = round(index, 2) + 0.0
        # Below an index of 0.2 the title counts a setting as one without stripes.
        count = 4 if index > 0.2 else "no"
        assert note == f"{count} stripes, index {index:.2f}".replace("-", "\N{MINUS SIGN}")
    assert panel_of(figure, 0, 0).texts[0].get_text() == "one curve"


def test_panels_of_a_row_share_their_loss_and_all_share_their_epochs(figure):
    axes = panels(figure)
    for row in range(6):
        assert len({panel.get_ylim() for panel in axes[4 * row : 4 * row + 4]}) == 1
    assert {panel.get_xlim() for panel in axes} == {(0.0, 12.0)}


def test_lines_stay_inside_their_panels(figure):
    for axes in panels(figure):
        low, high = axes.get_ylim()
        for line in data_lines(axes):
            assert low <= line.get_ydata().min()
            assert line.get_ydata().max() <= high


def test_axes_are_labelled_with_their_units(figure):
    text = words(figure)
    assert "change in loss (mean squared error per output)" in text
    assert "\nepoch\n" in text


def test_the_key_names_windows_means_and_seeds_once(figure):
    (key,) = figure.legends
    assert [text.get_text() for text in key.get_texts()] == [
        "printed loss, mean of 5 batches (seed 0), one colour per stripe",
        "the same run, averaged over each epoch",
        "5\N{EN DASH}95 % of the seeds, averaged over each epoch",
    ]


@pytest.mark.parametrize(
    ("select", "count"),
    [
        ({"order": ["fixed", "reshuffle"]}, 12),
        ({"order": "fixed", "batch_count": 20}, 1),
        ({"order": "fixed"}, 6),
        ({"batch_count": [10, 20]}, 8),
    ],
)
def test_selected_values_alone_are_shown(striped, select, count):
    drawn = grid(striped, select=select)
    assert len(panels(drawn)) == count
    check_legible(drawn)


def test_one_panel_says_its_index_in_the_title(striped):
    title = grid(striped, select={"order": "fixed", "batch_count": 20}).texts[0].get_text()
    assert title == "The printed loss splits into stripes (stripe index 1.00)"


def test_any_two_axes_will_do(striped):
    drawn = grid(striped, rows="order", columns="batch_size", select={"batch_size": [20, 10]})
    assert len(panels(drawn)) == 8
    check_legible(drawn)
    by_seed = grid(striped, rows="seed", columns="order", select={"batch_size": 10, "order": ["fixed", "reshuffle"]})
    assert len(panels(by_seed)) == 6
    assert "5\N{EN DASH}95 %" not in words(by_seed)
    check_legible(by_seed)


def test_another_interval_makes_other_windows(striped):
    drawn = grid(striped, eval_interval=1, select={"batch_count": [5, 50]})
    # Every batch's loss by itself: as many stripes as batches.
    assert panel_of(drawn, 0, 0).texts[0].get_text() == "5 stripes, index 1.00"
    check_legible(drawn)


def test_too_many_stripes_for_lines_are_a_cloud(striped):
    drawn = grid(striped, eval_interval=1, select={"batch_count": 50, "order": "fixed"})
    (axes,) = panels(drawn)
    (cloud,) = [line for line in axes.lines if line.get_marker() == "o"]
    assert len(cloud.get_ydata()) == 12 * 50
    assert cloud.get_rasterized()
    check_legible(drawn)


def test_where_windows_are_whole_epochs_there_is_one_curve(striped):
    drawn = grid(striped, eval_interval=50, select={"batch_count": [5, 10, 50]})
    assert drawn.texts[0].get_text() == "Printed every 50 batches, the loss is one curve"


def test_an_index_of_too_few_windows_is_not_told(figure):
    # 12 epochs of 2 batches are 4 windows of 5: two for each of two stripes.
    assert panel_of(figure, 1, 0).texts[0].get_text() == "2 stripes"


def test_a_window_longer_than_some_runs_leaves_their_averages(striped):
    drawn = grid(striped, eval_interval=40, select={"batch_count": [1, 50]})
    # m = 1 and 12 epochs make 12 batches.
    assert panel_of(drawn, 0, 0).texts[0].get_text() == "no window of 40 batches"
    assert len(bold(panel_of(drawn, 0, 0)).get_ydata()) == 12


def test_diverged_runs_are_left_out_and_counted(diverging):
    drawn = grid(diverging, rows="learning_rate", columns="batch_count", select={"order": "fixed"})
    axes = panel_of(drawn, 3, 2, columns=3)
    assert int(diverging.diverged.sel(order="fixed", learning_rate=3.0, batch_count=20).sum()) == 4
    assert axes.texts[0].get_text() == "4 of 4 diverged"
    assert not data_lines(axes)
    assert "diverged" not in panel_of(drawn, 0, 0, columns=3).texts[0].get_text()
    assert "(seed 0)" in words(drawn)
    check_legible(drawn)


def test_where_no_seed_is_finite_in_all_panels_each_shows_its_own_first(striped):
    some = striped.diverged.copy()
    for seed, order in enumerate(("fixed", "shuffle_once", "reshuffle")):
        some.loc[{"seed": seed, "order": order}] = True
    drawn = grid(striped.assign(diverged=some), select={"batch_count": [10, 20]})
    assert "(the first finite seed)" in words(drawn)
    run = striped.loss_epoch.sel(order="fixed", batch_count=10, seed=1).squeeze().values.astype(float)
    np.testing.assert_allclose(bold(panel_of(drawn, 0, 0)).get_ydata(), run - run[0])


def test_missing_cells_are_counted(unfinished):
    assert unfinished.attrs["missing_cells"] > 0
    of_count = unfinished.missing.sum([dim for dim in unfinished.missing.dims if dim != "batch_count"])
    shown = unfinished.batch_count[of_count > 0].values[:2]
    drawn = grid(unfinished, select={"batch_count": shown.tolist()})
    left_out = [axes.texts[0].get_text().rpartition(", ")[2] for axes in panels(drawn)]
    assert sum(int(text.split()[0]) for text in left_out if "not run" in text) == int(of_count.sel(batch_count=shown).sum())
    check_legible(drawn)


def test_a_result_without_any_run_says_so(unfinished):
    gone = {name: unfinished[name] * np.nan for name in ("loss", "loss_epoch", "stripe_index")}
    nothing = unfinished.assign(**gone, missing=unfinished.missing | True)
    drawn = grid(nothing, select={"batch_count": [10, 20]})
    assert drawn.texts[0].get_text() == "No run in this grid is finished and finite"


@pytest.mark.parametrize("kind", ["png", "svg"])
def test_the_same_data_make_the_same_file(striped, kind):
    select = {"batch_count": [10, 20], "order": ["fixed", "reshuffle"]}
    first, other = (figure_file(grid(striped, select=select), kind) for _ in range(2))
    assert first == other
    assert first.startswith(b"\x89PNG") if kind == "png" else b"<svg" in first


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"rows": "ordr"}, ["unknown axis 'ordr'", "did you mean 'order'?", "batch_count"]),
        ({"rows": "epoch"}, ["unknown axis 'epoch'"]),
        ({"rows": "order"}, ["order is named twice"]),
        ({"rows": "batch_size", "columns": "batch_count"}, ["batch_size and batch_count vary together"]),
        ({"eval_interval": 0}, ["eval_interval must be a whole number of at least 1, got 0"]),
        ({"eval_interval": 601}, ["eval_interval must be at most 600", "got 601"]),
        ({"columns": "optimizer"}, ["order has 4 (fixed, shuffle_once, reshuffle, reshuffle_batches)", "order=fixed"]),
        ({"select": {"order": "fixd"}}, ["unknown order 'fixd'", "did you mean 'fixed'?"]),
        ({"select": {"batch_count": 11}}, ["no batch_count 11", "nearest are 10, 20"]),
        ({"select": {"batch_count": "many"}}, ["batch_count is a number, got 'many'"]),
        ({"select": {"learning_rate": 0.01}}, ["no learning_rate 0.01: there is 0.001"]),
        ({"select": {"rate": 0.01}}, ["unknown axis 'rate'", "learning_rate"]),
    ],
)
def test_bad_inputs_are_named(striped, options, words):
    with pytest.raises(jaxsgd.InputError) as caught:
        grid(striped, **options)
    for word in words:
        assert word in str(caught.value)


def test_batch_losses_are_needed(apart):
    with pytest.raises(jaxsgd.InputError, match="record='batch'"):
        grid(apart)
