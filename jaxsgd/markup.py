"""HTML of a value in a notebook: a card with a title, lines, tables and a small plot, readable on light and on dark pages.

All text is escaped here: no name or value of a user can be read as HTML. The colour of letters comes from the page.
"""

import html
import itertools
import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from jaxsgd.number import is_log, short_number
from jaxsgd.summary import shortened

# Okabe and Ito 2008, "Color universal design", darkest first; their yellow is left out, for it is too light for lines on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")

MOST_ROWS = 20
"""The most rows of a table that are shown; for the others, only their number."""

MOST_POINTS = 150
"""The most points of a line in a small plot: a longer line is thinned evenly."""

_RULE = "border:none;border-top:1px solid rgba(128,128,128,.35)"
_CELL = f"{_RULE};padding:2px 16px 2px 0;text-align:left;vertical-align:top;background:none"
_SIZE = (560.0, 150.0)
_LEFT, _BELOW = 58.0, 20.0


def escaped(value: object) -> str:
    """Return a value's text for HTML, at most 200 letters long: it is shown as it is, whatever is in it."""
    return html.escape(shortened(str(value)), quote=True)


def card(title: str, *parts: str) -> str:
    """Return the HTML of a value.

    Args:
      title: text, which is escaped.
      parts: HTML from the functions of this module; empty ones are left out.
    """
    shown = "".join(part for part in parts if part)
    return f'<div style="max-width:60em;line-height:1.4"><div style="font-weight:bold">{escaped(title)}</div>{shown}</div>'


def line(text: str) -> str:
    """Return a line of text."""
    return f'<div style="margin:2px 0">{html.escape(text, quote=True)}</div>'


def small(text: str) -> str:
    """Return a line of text that stands back behind the others."""
    return f'<div style="margin:2px 0;opacity:.75;font-size:90%">{html.escape(text, quote=True)}</div>'


def listed(texts: Sequence[str]) -> str:
    """Return texts as a list with a dot before each; nothing for none."""
    items = "".join(f"<li>{html.escape(text, quote=True)}</li>" for text in texts)
    return f'<ul style="margin:2px 0 2px 1.2em;padding:0">{items}</ul>' if items else ""


def table(rows: Iterable[Sequence[object]], header: Sequence[str] = ()) -> str:
    """Return a table, its texts escaped; nothing for no rows.

    Args:
      rows: the cells of each row. Without a header the first cell of a row is its label.
      header: the names of the columns.
    """
    every = list(rows)
    if not every:
        return ""
    head = "".join(f'<th style="{_CELL};font-weight:bold">{escaped(name)}</th>' for name in header)
    label = "" if header else ";opacity:.75;white-space:nowrap"
    body = ""
    for row in every[:MOST_ROWS]:
        first, *others = row
        cells = "".join(f'<td style="{_CELL}">{escaped(cell)}</td>' for cell in others)
        body += f'<tr style="background:none"><td style="{_CELL}{label}">{escaped(first)}</td>{cells}</tr>'
    rest = small(f"and {len(every) - MOST_ROWS:,} more rows") if len(every) > MOST_ROWS else ""
    top = f'<tr style="background:none">{head}</tr>' if head else ""
    return f'<table style="border-collapse:collapse;margin:4px 0;color:inherit;font-size:inherit">{top}{body}</table>{rest}'


class Curve(NamedTuple):
    """A curve of a small plot.

    Attributes:
      x: [n].
      y: [n]; values that are not finite are left out.
      colour: of the curve; "" for the colour of the letters.
      is_main: True for a thick line; False for a thin one.
      is_line: True for a line; False for dots.
    """

    x: ArrayLike
    y: ArrayLike
    colour: str = ""
    is_main: bool = False
    is_line: bool = True


def plot(curves: Sequence[Curve], label: str, x_ends: tuple[str, str]) -> str:
    """Return a small plot as SVG; nothing if no value is finite. It is logarithmic where figures are (`jaxsgd.number.is_log`).

    Args:
      curves: later ones lie over earlier ones. Lines are thinned to 150 points, dots are all drawn.
      label: what is drawn, in words, for readers that do not see it.
      x_ends: the texts at the left and the right end of the x axis.
    """
    drawn = [(*_points(curve), curve) for curve in curves]
    drawn = [(x, y, curve) for x, y, curve in drawn if np.isfinite(y).any()]
    if not drawn:
        return ""
    values = np.concatenate([y[np.isfinite(y)] for _, y, _ in drawn])
    left, right = (float(pick([pick(x) for x, _, _ in drawn])) for pick in (np.min, np.max))
    low, high = float(values.min()), float(values.max())
    log = is_log(low, high)
    width, height = _SIZE[0] - _LEFT - 8, _SIZE[1] - _BELOW - 14
    bottom, top = (math.log(low), math.log(high)) if log else (low, high)

    def place(x: float, y: float) -> str:
        across = (x - left) / ((right - left) or 1)
        up = ((math.log(y) if log else y) - bottom) / ((top - bottom) or 1)
        return f"{_LEFT + 4 + across * width:.1f} {8 + (1 - up) * height:.1f}"

    shapes = "".join(_shape(x, y, curve, place) for x, y, curve in drawn)
    base = 8 + height
    texts = [(_LEFT, 14.0, "end", short_number(high, 4)), (_LEFT, base + 3, "end", short_number(low, 4))]
    texts += [(_LEFT + 4, base + 18, "start", x_ends[0]), (_SIZE[0] - 4, base + 18, "end", x_ends[1])]
    if log:
        texts.append(((_LEFT + _SIZE[0]) / 2, base + 18, "middle", "logarithmic scale"))
    letters = "".join(
        f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}" fill="currentColor">{escaped(text)}</text>'
        for x, y, anchor, text in texts
    )
    axis = f'<path d="M{_LEFT + 4} {base + 5}H{_SIZE[0] - 4}" stroke="currentColor" stroke-opacity=".4"/>'
    return (
        f'<svg role="img" aria-label="{escaped(label)}" viewBox="0 0 {_SIZE[0]:.0f} {_SIZE[1]:.0f}" '
        f'style="display:block;width:100%;max-width:{_SIZE[0]:.0f}px;margin:4px 0;font:11px sans-serif;color:inherit">'
        f"{axis}{shapes}{letters}</svg>"
    )


def _points(curve: Curve) -> tuple[np.ndarray, np.ndarray]:
    """Return the x and the y values of a curve that are drawn."""
    x, y = (np.asarray(values, np.float64).reshape(-1) for values in (curve.x, curve.y))
    if curve.is_line and len(y) > MOST_POINTS:
        at = np.linspace(0, len(y) - 1, MOST_POINTS).round().astype(int)
        x, y = x[at], y[at]
    return x, y


def _shape(x: np.ndarray, y: np.ndarray, curve: Curve, place) -> str:
    """Return a curve as SVG: a line that is broken where values are not finite, or dots."""
    colour = escaped(curve.colour or "currentColor")
    width = 2.2 if curve.is_main else 1
    is_finite = np.isfinite(y)
    if not curve.is_line:
        # A line of no length with round ends is a dot.
        path = "".join(f"M{place(a, b)}h0" for a, b in zip(x[is_finite], y[is_finite], strict=True))
        return f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="3.2" stroke-linecap="round"/>'
    pieces = itertools.groupby(zip(x, y, is_finite, strict=True), key=lambda point: point[2])
    path = "".join("M" + "L".join(place(a, b) for a, b, _ in points) for finite, points in pieces if finite)
    return f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="{width}" stroke-linejoin="round"/>'
