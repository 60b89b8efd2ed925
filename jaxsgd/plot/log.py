"""A training log and what its epochs have in common: the loss as printed, and beside it the evidence for a cause."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import Formatter, FuncFormatter, MaxNLocator, NullFormatter

from jaxsgd.plot.style import COLOURS, INK, PALE, SMALL, dress, fit, panel, slide, styled

BLUE, ORANGE = COLOURS[0], COLOURS[1]

MOST_POINTS = 6000
"""Points that are drawn one by one; of more, evenly spread ones are."""


class LogView(NamedTuple):
    """The content of a figure of a log; n prints, C averaged values, k detrended prints, G places of the epoch.

    Attributes:
      time, loss: [n], epochs since the start and printed loss.
      averaged_time, averaged: [C], the loss averaged over whole epochs.
      phase, left, group: [k], place in the epoch from 0 to 1, detrended loss in units of its scatter, number of the place.
      is_early: [k], whether it is of the first half of the log.
    """

    time: Float[np.ndarray, " n"]
    loss: Float[np.ndarray, " n"]
    averaged_time: Float[np.ndarray, " C"]
    averaged: Float[np.ndarray, " C"]
    phase: Float[np.ndarray, " k"]
    left: Float[np.ndarray, " k"]
    group: Int[np.ndarray, " k"]
    is_early: np.ndarray


@styled
def fold_figure(view: LogView, title: str, subtitle: str, note: str, mark: str = "levels") -> Figure:
    """The log as printed, and beside it every print by its place in the epoch.

    Args:
      view: what is drawn.
      title: the finding, in words.
      subtitle: what was read.
      note: one line below the right panel's heading, the number that counts.
      mark: "levels" for the levels of the first and the second half, "line" for the straight line through all, "last" for the
        last place apart.
    """
    figure, _, right = _beside_log(view, "Every printed loss by its position in the epoch", title, subtitle, note)
    shown = _thinned(len(view.left))
    right.plot(view.phase[shown], view.left[shown], ".", color=PALE, markersize=4, alpha=0.55, zorder=1, rasterized=True)
    handles = [Line2D([], [], color=PALE, marker=".", linestyle="", markersize=8, label="a printed loss")]
    if mark == "line":
        slope, height = np.polyfit(view.phase, view.left, 1)
        ends = np.array([view.phase.min(), view.phase.max()])
        right.plot(ends, height + slope * ends, color=ORANGE, linewidth=3, zorder=4)
        place, level = _levels(view, np.ones(len(view.left), bool))
        right.plot(place, level, "o", color=BLUE, markersize=5, zorder=3)
        handles += [
            Line2D([], [], color=BLUE, marker="o", linestyle="", markersize=6, label="mean at a position"),
            Line2D([], [], color=ORANGE, linewidth=3, label=f"{'rise' if slope > 0 else 'fall'} within the epoch"),
        ]
    elif mark == "last":
        place, level = _levels(view, np.ones(len(view.left), bool))
        right.plot(place[:-1], level[:-1], "o-", color=BLUE, markersize=5, linewidth=1.2, zorder=3)
        last = view.group == view.group.max()
        right.plot(view.phase[last], view.left[last], ".", color=ORANGE, markersize=6, zorder=3)
        right.plot(place[-1:], level[-1:], "D", color=ORANGE, markersize=9, zorder=4)
        handles += [
            Line2D([], [], color=BLUE, marker="o", markersize=6, label="mean at a position"),
            Line2D([], [], color=ORANGE, marker="D", linestyle="", markersize=8, label="the last position"),
        ]
    else:
        for early, colour, marker, name in ((True, BLUE, "o", "first half"), (False, ORANGE, "s", "second half")):
            place, level = _levels(view, view.is_early == early)
            right.plot(place, level, f"{marker}-", color=colour, markersize=5.5 - early, linewidth=1.4, zorder=3 + early)
            handles.append(Line2D([], [], color=colour, marker=marker, markersize=6, label=f"mean, {name}"))
    right.axhline(0, color=PALE, linewidth=0.8, zorder=0)
    right.set_xlim(-0.03, 1.03)
    right.set_xlabel("position in the epoch (share of its batches)")
    right.set_ylabel("detrended loss (standard deviations)")
    _height(right, view.left)
    _key(right, handles)
    return figure


@styled
def settling_figure(
    view: LogView, number: Float[np.ndarray, " c"], change: Float[np.ndarray, " c"], title: str, subtitle: str, note: str
) -> Figure:
    """The log as printed, and beside it how far the loss moves from print to print, by the print's number in the epoch.

    Args:
      view: what is drawn at the left.
      number: [c], batches (or prints) of the epoch up to the later print of each pair.
      change: [c], size of the change; loss units.
      title, subtitle, note: as in `fold_figure`.
    """
    figure, _, right = _beside_log(view, "Change between printed losses within an epoch", title, subtitle, note)
    known = change > 0
    number, change = number[known], change[known]
    values = np.unique(number)
    middle = np.array([np.median(change[number == value]) for value in values])
    shown = _thinned(len(number))
    right.loglog(number[shown], change[shown], ".", color=PALE, markersize=4, alpha=0.55, zorder=1, rasterized=True)
    right.loglog(values, middle, "o-", color=BLUE, markersize=5, linewidth=1.4, zorder=3)
    height = float(np.exp(np.mean(np.log(middle) + np.log(values))))
    right.loglog(values, height / values, color=ORANGE, linewidth=2.4, linestyle=(0, (4, 2)), zorder=2)
    right.set_ylim(max(np.quantile(change, 0.02), change.max() * 1e-5), change.max() * 1.6)
    for axis in (right.xaxis, right.yaxis):
        axis.set_major_formatter(short_numbers())
        axis.set_minor_formatter(NullFormatter())
    right.set_xlabel("batches of the epoch so far")
    right.set_ylabel("size of the change (loss)")
    _key(
        right,
        [
            Line2D([], [], color=PALE, marker=".", linestyle="", markersize=8, label="a change"),
            Line2D([], [], color=BLUE, marker="o", markersize=6, label="median"),
            Line2D([], [], color=ORANGE, linewidth=2.4, linestyle=(0, (4, 2)), label="1 / batches"),
        ],
    )
    return figure


Scores = tuple[Float[np.ndarray, " _"], Float[np.ndarray, " _"]]
"""(epochs since the start, normal scores), of the same length."""


@styled
def step_figure(view: LogView, steps: Scores, beside: Scores, title: str, subtitle: str, note: str) -> Figure:
    """The log as printed, and beside it how clearly its level steps where epochs begin.

    Args:
      view: what is drawn at the left.
      steps: scores of a step where an epoch begins.
      beside: the same in the middle of epochs.
      title, subtitle, note: as in `fold_figure`.
    """
    figure, left, right = _beside_log(view, "How clearly the level of the loss steps", title, subtitle, note)
    when, score = steps[0], np.abs(steps[1])
    largest = when[int(np.argmax(score))]
    for axes in (left, right):
        axes.axvline(largest, color=ORANGE, linewidth=1.2, linestyle=(0, (4, 2)), zorder=1)
    right.plot(beside[0], np.abs(beside[1]), "o", color=PALE, markersize=4, zorder=2)
    right.vlines(when, 0, score, color=BLUE, linewidth=1.6, zorder=3)
    right.plot(when, score, "o", color=BLUE, markersize=5, zorder=4)
    right.set_xlim(0, view.time[-1])
    right.set_ylim(0, 1.25 * max(float(score.max()), 4.0))
    right.set_ylabel("normal score of a step")
    _key(
        right,
        [
            Line2D([], [], color=BLUE, marker="o", markersize=6, label="where an epoch begins"),
            Line2D([], [], color=PALE, marker="o", linestyle="", markersize=6, label="in the middle of an epoch"),
        ],
    )
    return figure


@styled
def recurrence_figure(
    view: LogView, place: Int[np.ndarray, " k"], left: Float[np.ndarray, " k"], title: str, subtitle: str, note: str
) -> Figure:
    """The log as printed, and beside it the level of every epoch by its number within the epochs after which it comes back.

    Args:
      view: what is drawn at the left.
      place: [k], number of the epoch, from 1.
      left: [k], level of the epoch less its trend, in its scatter.
      title, subtitle, note: as in `fold_figure`.
    """
    figure, _, right = _beside_log(view, "Every epoch by its position in the cycle", title, subtitle, note)
    numbers = np.unique(place)
    right.plot(place, left, ".", color=PALE, markersize=7, zorder=1)
    right.plot(numbers, [left[place == number].mean() for number in numbers], "o-", color=BLUE, markersize=6, zorder=3)
    right.axhline(0, color=PALE, linewidth=0.8, zorder=0)
    _height(right, left)
    right.set_xlabel("epoch of the cycle")
    right.xaxis.set_major_locator(MaxNLocator(10, integer=True))
    right.set_ylabel("detrended loss (standard deviations)")
    _key(
        right,
        [
            Line2D([], [], color=PALE, marker=".", linestyle="", markersize=9, label="an epoch"),
            Line2D([], [], color=BLUE, marker="o", markersize=6, label="mean"),
        ],
    )
    return figure


@styled
def rate_figure(
    view: LogView, rate: Float[np.ndarray, " n"], jumps: Float[np.ndarray, " j"], title: str, subtitle: str, note: str
) -> Figure:
    """The log as printed, and beside it the learning rate that it says.

    Args:
      view: what is drawn at the left.
      rate: [n], at each print.
      jumps: [j], epochs since the start at which it jumps.
      title, subtitle, note: as in `fold_figure`.
    """
    figure, left, right = _beside_log(view, "Learning rate", title, subtitle, note)
    for axes in (left, right):
        for jump in jumps[:60]:
            axes.axvline(jump, color=ORANGE, linewidth=1.2, linestyle=(0, (4, 2)), zorder=1)
    right.step(view.time, rate, color=BLUE, linewidth=1.8, where="pre", zorder=3)
    right.set_yscale("log")
    right.yaxis.set_major_formatter(short_numbers())
    right.yaxis.set_minor_formatter(NullFormatter())
    right.set_xlim(0, view.time[-1])
    right.set_ylabel("learning rate")
    _key(
        right,
        [
            Line2D([], [], color=BLUE, linewidth=1.8, label="rate"),
            Line2D([], [], color=ORANGE, linewidth=1.2, linestyle=(0, (4, 2)), label="jump where an epoch begins"),
        ],
    )
    low, high = right.get_ylim()
    right.set_ylim(low, high * (high / low) ** 0.12)
    return figure


def short_numbers() -> Formatter:
    """Tick labels as short as they can be."""
    return FuncFormatter(lambda value, _: f"{value:.3g}".replace("e-0", "e-"))


def _beside_log(view: LogView, heading: str, title: str, subtitle: str, note: str) -> tuple[Figure, Axes, Axes]:
    """A figure with the log as printed in its left panel, and a right one with heading and note that is still empty."""
    figure = slide(title, subtitle)
    left = panel(figure, 0.085, 0.40, "As printed, and averaged over whole epochs")
    right = panel(figure, 0.575, 0.395, heading)
    _draw_log(left, view)
    _note(right, note)
    return figure, left, right


def _draw_log(axes: Axes, view: LogView) -> None:
    shown = _thinned(len(view.time))
    dots: dict[str, Any] = {"marker": ".", "markersize": 4} if len(view.time) <= 400 else {}
    axes.plot(view.time[shown], view.loss[shown], color=BLUE, linewidth=0.9, alpha=0.75, zorder=2, **dots)
    axes.plot(view.averaged_time, view.averaged, color="#000000", linewidth=2.6, zorder=3)
    axes.set_ylabel("loss")
    axes.set_xlim(0, view.time[-1])
    axes.xaxis.set_major_locator(MaxNLocator(7, integer=True))
    low, high = np.quantile(view.loss, (0.002, 0.998)) if len(view.loss) > 500 else (view.loss.min(), view.loss.max())
    room = 0.08 * (high - low) or 0.01 * abs(high) or 0.01
    axes.set_ylim(low - room, high + 2.2 * room)
    _key(
        axes,
        [
            Line2D([], [], color=BLUE, linewidth=1.5, label="as printed"),
            Line2D([], [], color="#000000", linewidth=2.6, label="averaged"),
        ],
    )


def _levels(view: LogView, own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    count = np.bincount(view.group[own])
    used = count > 0
    place = np.bincount(view.group[own], view.phase[own])[used] / count[used]
    return place, np.bincount(view.group[own], view.left[own])[used] / count[used]


def _thinned(count: int) -> np.ndarray:
    return np.unique(np.linspace(0, count - 1, min(count, MOST_POINTS)).astype(int))


def _height(axes: Axes, values: np.ndarray) -> None:
    low, high = np.quantile(values, (0.005, 0.995))
    room = 0.1 * (high - low) or 0.5
    axes.set_ylim(low - room, high + 3.2 * room)


def _note(axes: Axes, text: str) -> None:
    figure = axes.get_figure(root=True)
    assert figure is not None
    box = axes.get_position()
    written = figure.text(box.x0, box.y1 + 0.008, text, fontsize=SMALL, va="bottom")
    fit(written, SMALL, room=box.width)
    heading = axes.get_title(loc="left")
    axes.set_title(heading, loc="left", pad=26)


def _key(axes: Axes, handles: Sequence[Line2D]) -> None:
    axes.legend(
        handles=list(handles), loc="upper right", ncols=len(handles), framealpha=0.9, edgecolor="none", fontsize=11,
        labelcolor=INK, borderaxespad=0.1, columnspacing=0.9, handlelength=1.2, handletextpad=0.3,
    )  # fmt: skip


class OrderCase(NamedTuple):
    """The content of a panel of a case; n prints.

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


@styled
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
    _draw_case(own, log, BLUE)
    own.set_xlabel("epoch")
    own.set_ylabel("loss")
    for place, case in enumerate(cases):
        row, column = divmod(place, IN_A_ROW)
        bottom = low + row_height * (rows - 1 - row)
        axes = figure.add_axes((0.40 + 0.205 * column, bottom, 0.165, row_height - HEADING / height))
        _draw_case(axes, case, ORANGE if place == 0 else PALE)
        if place + IN_A_ROW >= len(cases):
            axes.set_xlabel("epoch", fontsize=SMALL)
    return figure


def _draw_case(axes: Axes, case: OrderCase, colour: str) -> None:
    shown = case.time >= case.time[-1] - MOST_EPOCHS
    axes.plot(case.time[shown], case.loss[shown], color=colour, linewidth=1.3)
    dress(axes, length=3)
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.set_title(f"{case.name}\n{case.note}", fontsize=SMALL, loc="left", pad=6, linespacing=1.3)
