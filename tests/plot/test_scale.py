"""Numbers along an axis are round, keep their distance and are never alone."""

import itertools

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from jaxsgd.plot.scale import name_values, share_range, use_log


def drawn(axis):
    """The tick labels inside the limits, and their boxes in pixels."""
    axis.get_figure().draw_without_rendering()
    low, high = sorted(axis.get_view_interval())
    labels = [text for tick, text in zip(axis.get_ticklocs(), axis.get_ticklabels(), strict=True) if low <= tick <= high]
    return [text.get_text() for text in labels], [Text.get_window_extent(text) for text in labels]


def panel(width=4.0, height=4.0):
    return Figure(figsize=(10, 10)).add_axes((0.2, 0.2, width / 10, height / 10))


@pytest.mark.parametrize("across", [False, True])
@pytest.mark.parametrize("length", [0.7, 1.5, 4.0])
@pytest.mark.parametrize("decades", [0.02, 0.1, 0.3, 1, 1.4, 3, 8])
def test_a_logarithmic_axis_has_more_than_one_label_whatever_its_range_and_none_on_another(decades, length, across):
    axes = panel(width=length, height=length)
    axis = axes.xaxis if across else axes.yaxis
    use_log(axis)
    (axes.set_xlim if across else axes.set_ylim)(0.13, 0.13 * 10**decades)
    labels, boxes = drawn(axis)
    assert len(labels) >= 2
    if length > 1 or not across:  # two numbers of six letters need an inch
        assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))


@pytest.mark.parametrize("height", [0.6, 1.5, 4.0])
@pytest.mark.parametrize(("low", "span"), [(0.0, 1.0), (-3.0, 0.02), (2.3, 0.7), (1e5, 2e4), (-1e-4, 1.1e-4)])
def test_numbers_of_an_axis_lie_apart(low, span, height):
    axes = panel(height=height)
    share_range([axes], low, low + span)
    labels, boxes = drawn(axes.yaxis)
    assert labels
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))


@pytest.mark.parametrize("count", [2, 12, 60])
def test_of_many_names_as_many_are_written_as_there_is_room_for(count):
    axes = panel()
    axes.set_xlim(0, count)
    texts = [f"name {number}" for number in range(count)]
    name_values(axes.xaxis, np.arange(count) + 0.5, texts, log=False)
    labels, boxes = drawn(axes.xaxis)
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))
    # Four inches hold four of these names, and two names are no crowd.
    assert set(labels) <= set(texts)
    assert len(labels) >= min(count, 4)
