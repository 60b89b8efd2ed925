"""The texts, panels and lines of a figure, read off it."""

import itertools

import numpy as np
from matplotlib.text import Text


def texts(figure):
    """Every text that is drawn: on the figure, on its axes, in its key, and the tick labels inside the axes' limits."""
    figure.draw_without_rendering()
    drawn = [*figure.texts, *(text for key in figure.legends for text in key.get_texts())]
    drawn += [text for body in figure.subfigs for text in body.texts]
    for axes in figure.axes:
        drawn += [*axes.texts, axes.xaxis.label, axes.yaxis.label, axes.title, axes._left_title, axes._right_title]
        for axis, limits in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
            low, high = sorted(limits)
            inside = [low <= tick <= high for tick in axis.get_ticklocs()]
            drawn += list(itertools.compress(axis.get_ticklabels(), inside))
    return [text for text in drawn if text.get_text().strip() and text.get_visible()]


def words(figure):
    """All of it as one string."""
    return "\n".join(text.get_text() for text in texts(figure))


def check_legible(figure, smallest=11, edge=0):
    """No text lies on another or within `edge` pixels of the figure's edge, and none is smaller than `smallest` points."""
    boxes = [(text.get_text(), Text.get_window_extent(text)) for text in texts(figure)]
    for (first, a), (other, b) in itertools.combinations(boxes, 2):
        # Boxes are a little larger than the letters: a pixel on each side is no contact.
        assert not a.padded(-1).overlaps(b.padded(-1)), f"{first!r} on {other!r}"
    for text, box in boxes:
        assert box.x0 >= edge, text
        assert box.y0 >= edge, text
        assert box.x1 <= figure.bbox.x1 - edge, text
        assert box.y1 <= figure.bbox.y1 - edge, text
    assert min(text.get_fontsize() for text in texts(figure)) >= smallest


def panels(figure):
    """The axes, row by row, without the colour bar."""
    return [axes for axes in figure.axes if axes.get_label() != "colour bar"]


def data_lines(axes):
    """Lines of more than two points: no joints and no zero lines."""
    return [line for line in axes.lines if len(np.atleast_1d(line.get_ydata())) > 2]
