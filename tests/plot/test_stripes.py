"""The figures show each stripe once, in its own colour, with words that can be read."""

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_hex

import jaxsgd
from jaxsgd.plot.stripes import averaged_figure, band_figure, striped_figure
from jaxsgd.plot.style import colours, figure_file
from tests.plot.drawn import check_legible, texts

SUBTITLE = "Experiment: 2000 samples in 20 batches, printed every 5 batches; learning rate 0.001, order fixed"


def run(batch_count, epochs, seed=0):
    """A loss [E, m] of batches that differ by chance and fall slowly."""
    levels = np.random.default_rng(seed).normal(2.3, 0.2, batch_count)
    return levels + 0.1 * np.exp(-np.arange(epochs)[:, None] / epochs)


KINDS = ("striped", "band", "averaged")


def drawn(kind, loss, eval_interval, title="What looks like a broad band is four stripes"):
    striped = jaxsgd.stripes(loss, eval_interval)
    if kind == "averaged":
        return averaged_figure(jaxsgd.stripes(loss, loss.shape[1]), striped, title, SUBTITLE)
    return {"striped": striped_figure, "band": band_figure}[kind](striped, title, SUBTITLE)


@pytest.fixture(scope="module")
def usual():
    """The three figures of one run of 20 batches in four stripes, by kind."""
    return {kind: drawn(kind, run(20, 30), 5) for kind in KINDS}


@pytest.mark.parametrize("count", [2, 4, 7, 10])
def test_each_stripe_has_a_colour_of_its_own(count):
    loss = run(5 * count, 30)
    right = drawn("striped", loss, 5).axes[1]
    lines = [line for line in right.lines if line.get_alpha() is None]
    assert len(lines) == count
    assert len({to_hex(line.get_color()) for line in lines}) == count
    striped = jaxsgd.stripes(loss, 5)
    for number, line in enumerate(lines):
        np.testing.assert_array_equal(line.get_ydata(), striped.windows[striped.stripe == number])


def test_the_zoom_shows_the_first_printouts_one_by_one():
    left = drawn("striped", run(10, 30), 5).axes[0]
    in_order, *by_stripe = left.lines
    # Two printouts an epoch for ten epochs.
    assert len(in_order.get_ydata()) == 20
    assert [len(line.get_ydata()) for line in by_stripe] == [10, 10]
    assert {line.get_marker() for line in by_stripe} == {"o"}


def test_levels_and_slopes_are_written(usual):
    striped = jaxsgd.stripes(run(20, 30), 5)
    written = "\n".join(text.get_text() for text in usual["band"].axes[1].texts)
    for number, level in enumerate(striped.level, start=1):
        assert f"stripe {number}: level {level:.4f}" in written
    assert written.count("slope") == 4


def test_the_band_is_one_line_through_all_printouts(usual):
    (line,) = usual["band"].axes[0].lines
    np.testing.assert_array_equal(line.get_ydata(), jaxsgd.stripes(run(20, 30), 5).windows)


def test_the_average_lies_over_faded_stripes_on_the_bands_axes(usual):
    (axes,), band = usual["averaged"].axes, usual["band"]
    *faded, average = axes.lines
    assert len(faded) == 4
    assert all(line.get_alpha() < 0.5 for line in faded)
    assert average.get_alpha() is None
    assert axes.get_ylim() == band.axes[0].get_ylim()
    assert axes.get_xlim() == band.axes[0].get_xlim()


@pytest.mark.parametrize("kind", KINDS)
def test_axes_are_labelled_with_their_units(kind, usual):
    figure = usual[kind]
    assert figure.axes[0].get_ylabel() == "loss (mean squared error per output)"
    assert {axes.get_xlabel() for axes in figure.axes} == {"epoch"}


@pytest.mark.parametrize(
    ("batch_count", "eval_interval", "seed"),
    [(10, 5, 0), (10, 5, 1), (20, 5, 0), (20, 5, 1), (35, 5, 0), (35, 5, 1), (50, 5, 0), (10, 10, 0)],
)
def test_no_text_lies_on_another_or_leaves_the_figure(batch_count, eval_interval, seed):
    for kind in KINDS:
        figure = drawn(kind, run(batch_count, 100, seed), eval_interval)
        check_legible(figure, edge=6)  # half a percent of the width


def test_no_text_is_smaller_than_11_points(usual):
    for kind in KINDS:
        assert min(text.get_fontsize() for text in texts(usual[kind])) >= 11


def test_long_titles_are_made_to_fit():
    figure = drawn("band", run(20, 30), 5, title="A title that goes on and on " * 10)
    assert all(box.x1 <= figure.bbox.x1 for box in (text.get_window_extent() for text in figure.texts))
    assert figure.texts[0].get_text().endswith("...")


@pytest.mark.parametrize("shape", [(1, 1), (1, 4), (2, 3)])
def test_runs_of_a_few_printouts_are_drawn(shape):
    for kind in KINDS:
        assert figure_file(drawn(kind, run(shape[1], shape[0]), 1), "png").startswith(b"\x89PNG")


def test_files_are_png_of_slide_size_and_svg(usual):
    png, svg = (figure_file(usual["band"], kind) for kind in ("png", "svg"))
    # The header of a PNG holds its width and height in bytes 16 to 24: 12 x 6.75 inches at 160 dots per inch.
    assert np.frombuffer(png[16:24], ">u4").tolist() == [1920, 1080]
    assert b"<svg" in svg


@pytest.mark.parametrize("kind", ["png", "svg"])
def test_the_same_data_make_the_same_file(kind, usual):
    assert figure_file(drawn("band", run(20, 30), 5), kind) == figure_file(usual["band"], kind)


def test_matplotlibs_settings_are_left_alone():
    before = dict(matplotlib.rcParams)
    for kind in KINDS:
        figure_file(drawn(kind, run(20, 30), 5), "svg")
    assert dict(matplotlib.rcParams) == before


def test_many_stripes_have_colours_from_dark_to_light():
    shades = [sum(int(colour[i : i + 2], 16) for i in (1, 3, 5)) for colour in colours(12)]
    assert len(set(colours(12))) == 12
    assert shades == sorted(shades)
