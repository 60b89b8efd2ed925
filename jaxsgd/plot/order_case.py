"""A log beside simulated ones, one for each order."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from jaxsgd.plot.style import COLOURS, INK, MEDIUM, PALE, SMALL, SMALLEST, slide

BLUE, ORANGE = COLOURS[0], COLOURS[1]


class OrderCase(NamedTuple):
    """What is drawn of a case; n prints.

    Attributes:
      name: its heading.
      note: below the heading.
      time: [n], epochs.
      loss: [n].
    """

    name: str
    note: str
    time: Float[np.ndarray, " n"]
    loss: Float[np.ndarray, " n"]


IN_A_ROW = 3
"""Cases side by side."""

HEADED, FOOT, ROW_HEIGHT, HEADING = 2.0, 0.85, 2.4, 0.9
"""Inches: for all that is no row of cases, of them below the rows; for a row, and of that for its heading and numbers."""

MOST_EPOCHS = 12
"""Epochs that are drawn, the last of a log: more would hide what happens within one."""


def cases_figure(log: OrderCase, cases: Sequence[OrderCase], title: str, subtitle: str) -> Figure:
    """The log at the left, and the cases beside it, the nearest first and in the log's colour.

    Args:
      log: the user's.
      cases: any number, nearest first; rows of three.
      title: the finding, in words.
      subtitle: what was run.
    """
    rows = max(2, math.ceil(len(cases) / IN_A_ROW))
    # Panels keep their height: more rows make a higher page.
    figure = slide(title, subtitle, HEADED + rows * ROW_HEIGHT)
    height = figure.get_figheight()
    low = FOOT / height
    row_height = (height - HEADED) / rows / height
    own = figure.add_axes((0.065, low, 0.27, rows * row_height - HEADING / height))
    _draw(own, log, BLUE)
    own.set_xlabel("epoch", fontsize=MEDIUM, color=INK)
    own.set_ylabel("loss", fontsize=MEDIUM, color=INK)
    for place, case in enumerate(cases):
        row, column = divmod(place, IN_A_ROW)
        bottom = low + row_height * (rows - 1 - row)
        axes = figure.add_axes((0.40 + 0.205 * column, bottom, 0.165, row_height - HEADING / height))
        _draw(axes, case, ORANGE if place == 0 else PALE)
        if place + IN_A_ROW >= len(cases):
            axes.set_xlabel("epoch", fontsize=SMALL, color=INK)
    return figure


def _draw(axes: Axes, case: OrderCase, colour: str) -> None:
    shown = case.time >= case.time[-1] - MOST_EPOCHS
    axes.plot(case.time[shown], case.loss[shown], color=colour, linewidth=1.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(PALE)
    axes.tick_params(labelsize=SMALLEST, color=PALE, labelcolor=INK, length=3)
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.set_title(f"{case.name}\n{case.note}", fontsize=SMALL, color=INK, loc="left", pad=6, linespacing=1.3)
