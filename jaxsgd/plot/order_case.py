"""A log beside simulated ones, one for each order."""

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


MOST_EPOCHS = 12
"""Epochs that are drawn, the last of a log: more would hide what happens within one."""


def cases_figure(log: OrderCase, cases: Sequence[OrderCase], title: str, subtitle: str) -> Figure:
    """The log at the left, and the cases beside it, the nearest first and in the log's colour.

    Args:
      log: the user's.
      cases: six, nearest first.
      title: the finding, in words.
      subtitle: what was run.
    """
    figure = slide(title, subtitle)
    own = figure.add_axes((0.065, 0.115, 0.27, 0.63))
    _draw(own, log, BLUE)
    own.set_xlabel("epoch", fontsize=MEDIUM, color=INK)
    own.set_ylabel("loss", fontsize=MEDIUM, color=INK)
    for place, case in enumerate(cases):
        row, column = divmod(place, 3)
        axes = figure.add_axes((0.40 + 0.205 * column, 0.115 + 0.365 * (1 - row), 0.165, 0.225))
        _draw(axes, case, ORANGE if place == 0 else PALE)
        if row:
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
