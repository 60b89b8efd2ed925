"""The figures of influence: matrices, own shares over seeds, and the map."""

import numpy as np
import pytest

from jaxsgd.plot.influence import influence_figure
from jaxsgd.plot.share import ShareGroup, ShareMap, share_figure, share_map_figure
from tests.plot.drawn import check_legible, panels, texts, words

RNG = np.random.default_rng(0)
INF, NAN = np.inf, np.nan


def matrices(m):
    effect = -1e-5 * RNG.uniform(0.1, 9, (m, m))
    effect[0, 1] = 3e-5
    return effect, np.clip(RNG.normal(0.4, 0.3, (m, m)), -1, 1)


@pytest.mark.parametrize("m", [1, 2, 10, 37])
def test_both_matrices_are_drawn_whole_and_legibly(m):
    effect, cosine = matrices(m) if m > 1 else (-np.ones((1, 1)), np.ones((1, 1)))
    figure = influence_figure(effect, cosine, "title", "subtitle")
    check_legible(figure)
    left, right = (axes.images[0].get_array() for axes in panels(figure)[:2])
    power = 0 if m == 1 else -5
    np.testing.assert_allclose(left, -effect / 10.0**power)
    np.testing.assert_allclose(right, cosine)
    assert ("10$^{-5}$ loss" in words(figure)) == (m > 1)


def test_a_rise_and_a_fall_of_one_size_are_as_far_from_white():
    effect, cosine = matrices(4)
    for axes in panels(influence_figure(effect, cosine, "title", "subtitle"))[:2]:
        norm = axes.images[0].norm
        assert norm.vmin == -norm.vmax


def test_matrices_of_a_run_that_diverged_are_still_drawn():
    figure = influence_figure(np.full((3, 3), NAN), np.full((3, 3), NAN), "title", "subtitle")
    check_legible(figure)


def test_every_finite_share_is_a_dot_at_its_value():
    values = np.array([0.2, NAN, 0.3, 0.25])
    groups = [ShareGroup("ten", values, 0.1), ShareGroup("none", np.array([NAN]), 0.05)]
    figure = share_figure(groups, "title", "subtitle")
    check_legible(figure)
    (axes,) = figure.axes
    (dots,) = [line for line in axes.lines if line.get_marker() == "o"]
    assert sorted(dots.get_xdata()) == [0.2, 0.25, 0.3]
    assert "mean 25.0 %" in words(figure)
    assert "no run stayed finite" in words(figure)
    assert "1/10" in words(figure)


def test_shares_above_all_are_within_the_axes():
    figure = share_figure([ShareGroup("late", np.array([0.4, 3.0]), 0.1)], "title", "subtitle")
    assert figure.axes[0].get_xlim()[1] > 3


def test_the_map_says_each_share_in_its_cell():
    share = np.array([[0.2, 0.5, INF], [0.084, 2.0, NAN]])
    share_map = ShareMap("network", (10, 20), (0, 10, 300), share, np.array([2.0, 1.0, 0.5]))
    figure = share_map_figure([share_map, share_map], "title", "subtitle")
    check_legible(figure)
    assert [text.get_text() for text in panels(figure)[0].texts] == ["20", "50", "> 100", "8", "> 100", "?"]
    ticks = [text.get_text() for text in texts(figure)]
    assert {"10", "20", "0\n2.00", "300\n0.50"} <= set(ticks)
