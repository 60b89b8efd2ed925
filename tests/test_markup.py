"""HTML for notebooks: nothing of a user's is read as HTML, and the small plot has the points of its curves."""

import math
import re
from xml.etree import ElementTree

import numpy as np
import pytest

from jaxsgd import markup
from jaxsgd.markup import Curve, card, line, listed, plot, small, table
from tests.card import SCRIPT, read_card


@pytest.mark.parametrize(
    "html",
    [
        card(SCRIPT),
        line(SCRIPT),
        small(SCRIPT),
        listed([SCRIPT]),
        table([(SCRIPT, 1)]),
        table([("a", SCRIPT)]),
        table([("a", 1)], header=("b", SCRIPT)),
        plot([Curve([0, 1], [1, 2])], "a", ("b", SCRIPT)),
    ],
)
def test_a_hostile_text_is_shown_as_text(html):
    assert SCRIPT in read_card(html).text


def test_a_hostile_text_in_an_attribute_stays_in_it():
    html = plot([Curve([0, 1], [1, 2], colour='"><script>')], '"><script>', ("a", "b"))
    assert "script" not in read_card(html).elements
    root = ElementTree.fromstring(html)
    assert root.get("aria-label") == '"><script>'


def test_a_long_table_says_how_many_rows_it_leaves_out():
    shown = read_card(table([(i, "a") for i in range(markup.MOST_ROWS + 3)]))
    assert shown.elements.count("tr") == markup.MOST_ROWS
    assert shown.text.endswith("and 3 more rows")
    assert table([]) == listed([]) == ""


def points(html):
    """The points of each curve of a plot, after the path of the axis: pieces of [x, y]."""
    paths = [path.get("d") for path in ElementTree.fromstring(html).iter("path")][1:]
    return [
        [[tuple(map(float, point.split())) for point in re.split("L|h0", piece) if point] for piece in path.split("M")[1:]]
        for path in paths
    ]


def test_a_plot_has_the_points_of_its_curves_on_one_scale():
    (first,), (second,) = points(plot([Curve([0, 1, 2], [0, 1, 2]), Curve([0, 2], [2, 0])], "a", ("b", "c")))
    # The middle point lies halfway on both axes, and both curves end at the same height or depth.
    assert first[1] == pytest.approx(tuple(np.mean([first[0], first[2]], axis=0)), abs=0.1)
    assert second == [(first[0][0], first[2][1]), (first[2][0], first[0][1])]
    assert first[2][1] < first[0][1]  # larger values lie higher: y counts downwards


def test_a_plot_is_logarithmic_from_a_factor_of_twenty_on():
    (curve,) = points(plot([Curve([0, 1, 2], [1, 10, 100])], "a", ("b", "c")))[0]
    assert curve[1][1] == pytest.approx((curve[0][1] + curve[2][1]) / 2, abs=0.1)
    assert "logarithmic" in plot([Curve([0, 1], [1, 20])], "a", ("b", "c"))
    assert "logarithmic" not in plot([Curve([0, 1], [1, 19])], "a", ("b", "c"))
    assert "logarithmic" not in plot([Curve([0, 1], [-1, 20])], "a", ("b", "c"))


def test_a_line_is_broken_where_a_value_is_missing_and_dots_leave_it_out():
    y = [1, 2, math.nan, 3, math.inf, 4]
    broken = points(plot([Curve(range(6), y)], "a", ("b", "c")))[0]
    assert [len(piece) for piece in broken] == [2, 1, 1]
    assert len(points(plot([Curve(range(6), y, is_line=False)], "a", ("b", "c")))[0]) == 4
    assert plot([Curve([0, 1], [math.nan, math.inf])], "a", ("b", "c")) == ""


def test_a_long_line_is_thinned_and_keeps_its_ends():
    (curve,) = points(plot([Curve(range(10_000), range(10_000))], "a", ("b", "c")))[0]
    (short,) = points(plot([Curve([0, 9999], [0, 9999])], "a", ("b", "c")))[0]
    assert len(curve) == markup.MOST_POINTS
    assert [curve[0], curve[-1]] == short


def test_a_plot_of_one_value_is_drawn():
    (curve,) = points(plot([Curve([3, 3], [1, 1])], "a", ("b", "c")))[0]
    assert np.isfinite(curve).all()
