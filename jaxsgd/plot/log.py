"""The evidence for a cause of a training log's pattern, beside the log as printed."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from jaxsgd.number import short_number
from jaxsgd.plot.layout import entry, head, panels, write_key
from jaxsgd.plot.scale import leave_room, plain_numbers, use_log
from jaxsgd.plot.style import COLOURS, DASHED, PALE, slide, styled

BLUE, ORANGE = COLOURS[0], COLOURS[1]

MOST_POINTS = 6000
"""Points that are drawn one by one; of more, evenly spread ones are."""

MOST_BARS = 150
"""Averages whose bars are seen to lie apart; more are drawn a little longer than they are, so as to be seen at all."""

PRINT: dict[str, Any] = {"color": PALE, "marker": ".", "linestyle": "none", "markersize": 5, "alpha": 0.55}
MEAN: dict[str, Any] = {"color": BLUE, "marker": "o", "markersize": 5, "linewidth": 1.4}
JUMP: dict[str, Any] = {"color": ORANGE, "linewidth": 1.2, "linestyle": DASHED}


class LogView(NamedTuple):
    """The content of a figure of a log; n prints, C averaged values, k detrended prints, G places of the epoch.

    Attributes:
      time, loss: [n], epochs since the start and printed loss.
      averaged_time, averaged: [C], the loss averaged over whole epochs, and where the averages end.
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
    """Every print by its position in the epoch, beside the log as printed.

    Args:
      view: what is drawn.
      title: the finding, in words.
      subtitle: what was read.
      note: one line below the heading, the number that counts.
      mark: "levels" for the levels of the first and the second half, "line" for the straight line through all, "last" for the
        last place apart.
    """
    figure, axes, _ = _beside_log(view, "Every printed loss by its position in the epoch", title, subtitle, note)
    shown = _thinned(len(view.left))
    axes.plot(view.phase[shown], view.left[shown], **PRINT, zorder=1, rasterized=True)
    entries = [entry("a printed loss", **{**PRINT, "markersize": 9})]
    every = np.ones(len(view.left), bool)
    if mark == "line":
        slope, height = np.polyfit(view.phase, view.left, 1)
        ends = np.array([view.phase.min(), view.phase.max()])
        dots, line = {**MEAN, "linestyle": "none"}, {"color": ORANGE, "linewidth": 3}
        axes.plot(ends, height + slope * ends, **line, zorder=4)
        axes.plot(*_levels(view, every), **dots, zorder=3)
        entries += [entry("mean at a position", **dots)]
        entries += [entry(f"{'rise' if slope > 0 else 'fall'} within the epoch", **line)]
    elif mark == "last":
        place, level = _levels(view, every)
        last = view.group == view.group.max()
        diamond = {"color": ORANGE, "marker": "D", "linestyle": "none", "markersize": 9}
        axes.plot(place[:-1], level[:-1], **MEAN, zorder=3)
        axes.plot(view.phase[last], view.left[last], ".", color=ORANGE, markersize=6, zorder=3)
        axes.plot(place[-1:], level[-1:], **diamond, zorder=4)
        entries += [entry("mean at a position", **MEAN), entry("mean at the last position", **diamond)]
    else:
        for early, look, half in ((True, MEAN, "first"), (False, {**MEAN, "color": ORANGE, "marker": "s"}, "second")):
            axes.plot(*_levels(view, view.is_early == early), **look, zorder=3 + early)
            entries.append(entry(f"mean of the {half} half", **look))
    axes.axhline(0, color=PALE, linewidth=0.8, zorder=0)
    axes.set_xlim(-0.03, 1.03)
    axes.set_xlabel("position in the epoch (share of its batches)")
    _detrended(axes, view.left)
    _write_key(figure, entries)
    return figure


@styled
def settling_figure(
    view: LogView, number: Float[np.ndarray, " c"], change: Float[np.ndarray, " c"], title: str, subtitle: str, note: str
) -> Figure:
    """The change of the loss from print to print, by the print's number in the epoch, beside the log as printed.

    Args:
      view: the log.
      number: [c], batches (or prints) of the epoch up to the later print of each pair.
      change: [c], size of the change; loss units.
      title, subtitle, note: as in `fold_figure`.
    """
    figure, axes, _ = _beside_log(view, "Change between printed losses within an epoch", title, subtitle, note)
    number, change = number[change > 0], change[change > 0]
    values = np.unique(number)
    middle = np.array([np.median(change[number == value]) for value in values])
    shown = _thinned(len(number))
    use_log(axes.xaxis)
    use_log(axes.yaxis)
    law = {"color": ORANGE, "linewidth": 2.4, "linestyle": DASHED}
    axes.plot(number[shown], change[shown], **PRINT, zorder=1, rasterized=True)
    axes.plot(values, middle, **MEAN, zorder=3)
    axes.plot(values, np.exp(np.mean(np.log(middle) + np.log(values))) / values, **law, zorder=2)
    axes.set_ylim(max(np.quantile(change, 0.02), change.max() * 1e-5), change.max() * 1.2)
    axes.set_xlabel("batches of the epoch so far")
    axes.set_ylabel("size of the change (loss)")
    change_entry = entry("a change", **{**PRINT, "markersize": 9})
    _write_key(figure, [change_entry, entry("median", **MEAN), entry("in proportion to 1 / batches", **law)])
    return figure


Scores = tuple[Float[np.ndarray, " _"], Float[np.ndarray, " _"]]
"""(epochs since the start, normal scores), of the same length."""


@styled
def step_figure(view: LogView, steps: Scores, beside: Scores, title: str, subtitle: str, note: str) -> Figure:
    """The steps of the loss's level where epochs begin and in their middle, beside the log as printed.

    Args:
      view: the log.
      steps: scores of a step where an epoch begins.
      beside: the same in the middle of epochs.
      title, subtitle, note: as in `fold_figure`.
    """
    figure, axes, printed = _beside_log(view, "How clearly the level of the loss steps", title, subtitle, note)
    when, score = steps[0], np.abs(steps[1])
    for panel in (axes, printed):
        panel.axvline(when[int(np.argmax(score))], **JUMP, zorder=1)
    middle = {**PRINT, "marker": "o", "markersize": 4, "alpha": 1}
    axes.plot(beside[0], np.abs(beside[1]), **middle, zorder=2)
    axes.vlines(when, 0, score, color=BLUE, linewidth=1.6, zorder=3)
    axes.plot(when, score, **{**MEAN, "linestyle": "none"}, zorder=4)
    axes.set_xlim(0, view.time[-1])
    axes.set_ylim(0, 1.05 * max(float(score.max()), 4.0))
    axes.set_xlabel("epoch")
    axes.set_ylabel("normal score of a step")
    entries = [entry("where an epoch begins", **MEAN), entry("in the middle of an epoch", **middle)]
    _write_key(figure, [*entries, entry("the clearest step", **JUMP)])
    return figure


@styled
def recurrence_figure(
    view: LogView, place: Int[np.ndarray, " k"], left: Float[np.ndarray, " k"], title: str, subtitle: str, note: str
) -> Figure:
    """The level of every epoch by its number within the epochs after which it comes back, beside the log as printed.

    Args:
      view: the log.
      place: [k], number of the epoch, from 1.
      left: [k], level of the epoch less its trend, in its scatter.
      title, subtitle, note: as in `fold_figure`.
    """
    figure, axes, _ = _beside_log(view, "Every epoch by its position in the cycle", title, subtitle, note)
    numbers = np.unique(place)
    dot = {**PRINT, "markersize": 8}
    axes.plot(place, left, **dot, zorder=1)
    axes.plot(numbers, [left[place == number].mean() for number in numbers], **MEAN, zorder=3)
    axes.axhline(0, color=PALE, linewidth=0.8, zorder=0)
    axes.set_xlabel("epoch of the cycle")
    axes.xaxis.set_major_locator(MaxNLocator(10, integer=True))
    _detrended(axes, left)
    _write_key(figure, [entry("an epoch", **dot), entry("mean of these epochs", **MEAN)])
    return figure


@styled
def rate_figure(
    view: LogView, rate: Float[np.ndarray, " n"], jumps: Float[np.ndarray, " j"], title: str, subtitle: str, note: str
) -> Figure:
    """The learning rate that a log says, beside the log as printed.

    Args:
      view: the log.
      rate: [n], at each print.
      jumps: [j], epochs since the start at which it jumps.
      title, subtitle, note: as in `fold_figure`.
    """
    figure, axes, printed = _beside_log(view, "Learning rate", title, subtitle, note)
    for panel in (axes, printed):
        for jump in jumps[:60]:
            panel.axvline(jump, **JUMP, zorder=1)
    use_log(axes.yaxis)
    axes.step(view.time, rate, color=BLUE, linewidth=1.8, where="pre", zorder=3)
    axes.set_xlim(0, view.time[-1])
    axes.set_xlabel("epoch")
    axes.set_ylabel("learning rate")
    _write_key(figure, [entry("learning rate", color=BLUE, linewidth=1.8), entry("jump where an epoch begins", **JUMP)])
    return figure


def _beside_log(view: LogView, heading: str, title: str, subtitle: str, note: str) -> tuple[Figure, Axes, Axes]:
    """Return a figure with an empty panel for the evidence, which comes first, and the log as printed in another."""
    figure = slide(title, subtitle)
    axes, printed = panels(figure, 1, 2, apart=(0.15, 0.06))[0]
    head(axes, heading, note)
    beyond = _draw_log(printed, view)
    head(printed, "The log as printed, and its mean over whole epochs", beyond or " ")
    return figure, axes, printed


AS_PRINTED: dict[str, Any] = {"color": BLUE, "linewidth": 0.9, "alpha": 0.75}
AVERAGED: dict[str, Any] = {"color": "#000000", "linewidth": 2.8}


STEEP = 10.0
"""How many times the range of all later losses the first epoch must fall for the later ones to be drawn alone."""


FEWEST_LATER = 8
"""Losses after the first epoch from which they may be drawn alone."""


def _after_a_steep_fall(time: Float[np.ndarray, " n"], loss: Float[np.ndarray, " n"]) -> np.ndarray:
    """Return True for the losses that are to be seen, [n]: all, or where the first epoch would hide them, the later ones."""
    later = time > 1
    if later.sum() < FEWEST_LATER or loss.max() - loss[later].max() < STEEP * np.ptp(loss[later]):
        return np.ones(len(loss), bool)
    return later


def _draw_log(axes: Axes, view: LogView) -> str:
    """Draw a log, and return how far it goes that leaves the panel at the top; "" if it does not."""
    shown = _thinned(len(view.time))
    dots: dict[str, Any] = {"marker": ".", "markersize": 4} if len(view.time) <= 400 else {}
    axes.plot(view.time[shown], view.loss[shown], **AS_PRINTED, zorder=2, **dots)
    ends = view.averaged_time
    if len(ends):
        # An average is of the prints since the end of the one before it.
        first = max(0.0, 2 * ends[0] - ends[1]) if len(ends) > 1 else 0.0
        starts = np.concatenate([[first], ends[:-1]])
        cap = "projecting" if len(ends) > MOST_BARS else "butt"
        axes.hlines(view.averaged, starts, ends, **AVERAGED, zorder=3, capstyle=cap)
    axes.set_xlabel("epoch")
    axes.set_ylabel("loss")
    axes.set_xlim(0, view.time[-1])
    axes.xaxis.set_major_locator(MaxNLocator(7, integer=True))
    seen = _after_a_steep_fall(view.time, view.loss)
    loss = view.loss[seen]
    low, high = np.quantile(loss, (0.002, 0.998)) if len(loss) > 500 else (loss.min(), loss.max())
    leave_room(axes, low, high)
    return "" if seen.all() else f"beyond the top: the first epoch, up to {short_number(float(view.loss.max()), 3)}"


def _write_key(figure: Figure, entries: list[tuple]) -> None:
    """Write the key of the evidence, and of the log after it."""
    write_key(figure, [*entries, entry("as printed", **AS_PRINTED), entry("mean over whole epochs", **AVERAGED)])


def _levels(view: LogView, own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    count = np.bincount(view.group[own])
    used = count > 0
    place = np.bincount(view.group[own], view.phase[own])[used] / count[used]
    return place, np.bincount(view.group[own], view.left[own])[used] / count[used]


def _thinned(count: int) -> np.ndarray:
    return np.unique(np.linspace(0, count - 1, min(count, MOST_POINTS)).astype(int))


def _detrended(axes: Axes, values: np.ndarray) -> None:
    low, high = np.quantile(values, (0.005, 0.995))
    room = 0.1 * (high - low) or 0.5
    axes.set_ylim(low - room, high + room)
    axes.set_ylabel("detrended loss (standard deviations)")


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

MOST_EPOCHS = 12
"""Epochs that are drawn, the last of a log: more would hide what happens within one."""


@styled
def cases_figure(log: OrderCase, cases: Sequence[OrderCase], title: str, subtitle: str) -> Figure:
    """The log at the left, and the cases beside it, the nearest first and in a colour of its own.

    Args:
      log: the user's.
      cases: any number, nearest first; rows of three.
      title: the finding, in words.
      subtitle: what was run.
    """
    rows = max(2, math.ceil(len(cases) / IN_A_ROW))
    # Panels keep their height: more rows make a higher page.
    figure = slide(title, subtitle, 2.0 + rows * 2.4)
    places: list[Any] = [["log", *(f"case {row * IN_A_ROW + column}" for column in range(IN_A_ROW))] for row in range(rows)]
    panels(figure, apart=(0.1, 0.08))[0, 0].remove()
    axes = figure.subfigs[0].subplot_mosaic(places, width_ratios=[1.7, 1, 1, 1])
    _draw_case(axes.pop("log"), log, BLUE)
    for place, panel in enumerate(axes.values()):
        if place < len(cases):
            _draw_case(panel, cases[place], ORANGE if place == 0 else PALE)
        else:
            panel.remove()
    return figure


def _draw_case(axes: Axes, case: OrderCase, colour: str) -> None:
    shown = (case.time >= case.time[-1] - MOST_EPOCHS) & _after_a_steep_fall(case.time, case.loss)
    axes.plot(case.time[shown], case.loss[shown], color=colour, linewidth=1.3)
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(4))
    plain_numbers(axes.yaxis)
    axes.set_xlabel("epoch")
    axes.set_ylabel("loss" if colour == BLUE else "")
    head(axes, case.name, case.note)
