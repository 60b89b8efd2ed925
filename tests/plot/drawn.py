"""The texts, panels and lines of a figure, read off it."""

import itertools

import numpy as np
from matplotlib.text import Text


def texts(figure):
    """Every text that is drawn: on the figure, on its axes, in its key, and the tick labels inside the axes' limits.

    They are at their places once the figure has been drawn.
    """
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
    figure.draw_without_rendering()
    shown = texts(figure)
    names = [text.get_text() for text in shown]
    low, high = np.moveaxis([[box.min, box.max] for box in map(Text.get_window_extent, shown)], 1, 0)
    # Boxes are a little larger than the letters: a pixel on each side is no contact.
    inner = np.sort([low + 1, high - 1], axis=0)
    meet = np.all(inner[0][:, None] <= inner[1][None, :], axis=-1)
    first, other = np.nonzero(np.triu(meet & meet.T, 1))
    pairs = [f"{names[i]!r} on {names[j]!r}" for i, j in zip(first, other, strict=True)]
    assert not pairs, pairs
    outside = np.any(low < edge, axis=1) | np.any(high > figure.bbox.max - edge, axis=1)
    assert not outside.any(), [names[i] for i in np.flatnonzero(outside)]
    assert min(text.get_fontsize() for text in shown) >= smallest


def panels(figure):
    """The axes, row by row, without the colour bar."""
    return [axes for axes in figure.axes if axes.get_label() != "colour bar"]


def data_lines(axes):
    """Lines of more than two points: no joints and no zero lines."""
    return [line for line in axes.lines if len(np.atleast_1d(line.get_ydata())) > 2]
