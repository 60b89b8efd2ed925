"""What a figure shows, read off it."""

import itertools

import numpy as np


def texts(figure):
    """Every text that is drawn: on the figure, on its axes, in its key, and the tick labels inside the axes' limits."""
    figure.draw_without_rendering()
    found = [*figure.texts, *(text for key in figure.legends for text in key.get_texts())]
    for axes in figure.axes:
        found += [*axes.texts, axes.xaxis.label, axes.yaxis.label, axes.title, axes._left_title]
        for axis, limits in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
            low, high = sorted(limits)
            inside = [low <= tick <= high for tick in axis.get_ticklocs()]
            found += list(itertools.compress(axis.get_ticklabels(), inside))
    return [text for text in found if text.get_text().strip() and text.get_visible()]


def words(figure):
    """All of it as one string."""
    return "\n".join(text.get_text() for text in texts(figure))


def check_legible(figure, smallest=11):
    """No text lies on another or leaves the figure, and none is smaller than `smallest` points."""
    boxes = [(text.get_text(), text.get_window_extent()) for text in texts(figure)]
    for (one, a), (other, b) in itertools.combinations(boxes, 2):
        # Boxes are a little larger than the letters: a pixel on each side is no contact.
        assert not a.padded(-1).overlaps(b.padded(-1)), f"{one!r} on {other!r}"
    for text, box in boxes:
        assert box.x0 >= 0, text
        assert box.y0 >= 0, text
        assert box.x1 <= figure.bbox.x1, text
        assert box.y1 <= figure.bbox.y1, text
    assert min(text.get_fontsize() for text in texts(figure)) >= smallest


def panels(figure):
    """The axes, row by row, without the colour bar."""
    return [axes for axes in figure.axes if axes.get_label() != "colour bar"]


def data_lines(axes):
    """Lines of more than two points: no joints and no zero lines."""
    return [line for line in axes.lines if len(np.atleast_1d(line.get_ydata())) > 2]
