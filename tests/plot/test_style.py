"""The style that all figures have in common."""

import io
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.image import imread
from matplotlib.text import Text

from jaxsgd.plot.layout import panels
from jaxsgd.plot.style import SCREEN_DPI, figure_file, slide, spread_apart, styled

PLACES = st.lists(st.floats(-1, 1, allow_subnormal=False), max_size=8)


def test_a_figure_gives_a_notebook_its_picture():
    figure = slide("A title", "what was run")
    picture = imread(io.BytesIO(figure._repr_png_()), format="png")
    # 12 by 6.75 inches, white but for the two lines of text at the top.
    assert picture.shape == (6.75 * SCREEN_DPI, 12 * SCREEN_DPI, 4)
    drawn = picture[..., 0] < 0.5
    assert drawn[: picture.shape[0] // 5].sum() > 500
    assert not drawn[picture.shape[0] // 5 :].any()


@pytest.mark.parametrize("kind", ["png", "svg"])
def test_a_figure_that_is_laid_out_is_drawn_once_for_a_file(kind):
    drawn = []

    class Counted(Text):
        def draw(self, renderer):
            drawn.append(self)
            super().draw(renderer)

    @styled
    def two_panels():
        figure = slide("a", "b")
        panels(figure, 1, 2, apart=(0.1, 0.1))
        return figure

    figure = two_panels()
    figure.add_artist(Counted(0.5, 0.5, "counted"))
    assert figure_file(figure, kind)
    assert len(drawn) == 1


def test_the_picture_is_drawn_without_pyplot():
    draw = "import sys; from jaxsgd.plot.style import slide; slide('a', 'b')._repr_png_()"
    code = f"{draw}; print('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "False\n"


@given(PLACES)
def test_places_keep_their_distance_and_order(wanted):
    placed = spread_apart(wanted, 0.2)
    order = np.argsort(wanted, kind="stable")
    assert (np.diff(placed[order]) >= 0.2 - 1e-9).all()


@given(PLACES)
def test_places_have_the_mean_of_the_wanted_ones(wanted):
    # A shift of all of them would bring every pool nearer, were the mean another.
    if wanted:
        assert spread_apart(wanted, 0.2).mean() == pytest.approx(np.mean(wanted), abs=1e-9)


def test_places_far_enough_apart_stay():
    np.testing.assert_allclose(spread_apart([0.5, 0.0, 1.0], 0.2), [0.5, 0.0, 1.0])


@given(PLACES)
def test_places_stay_between_their_bounds(wanted):
    # At most 8 places at 0.2: there is room in 1.4.
    placed = spread_apart(wanted, 0.2, lowest=-0.5, highest=0.9)
    assert (placed >= -0.5 - 1e-9).all()
    assert (placed <= 0.9 + 1e-9).all()
    assert (np.diff(np.sort(placed)) >= 0.2 - 1e-9).all()


def test_too_little_room_is_taken_above():
    np.testing.assert_allclose(spread_apart([0.0, 0.0, 0.0], 0.5, lowest=0.0, highest=0.6), [0.0, 0.5, 1.0])


def test_two_at_one_place_move_half_the_distance_each():
    np.testing.assert_allclose(spread_apart([0.5, 0.5], 0.2), [0.4, 0.6])
