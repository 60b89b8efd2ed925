"""The striped and the averaged view of a printed loss."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxsgd.error import counted
from jaxsgd.measure.stripes import Stripes
from jaxsgd.number import in_powers
from jaxsgd.plot.layout import head, label_ends, panels
from jaxsgd.plot.scale import leave_room, use_progress
from jaxsgd.plot.style import INK, LOSS_LABEL, PALE, colours, slide, styled

MOST_LABELS = 7


@styled
def striped_figure(striped: Stripes, title: str, subtitle: str, zoom_epochs: int = 10) -> Figure:
    """Return a figure of the first printed values, and beside it the whole run by stripe, with each stripe's level and slope.

    Args:
      striped: the measured stripes of one run.
      title: the finding, in words.
      subtitle: what was run.
      zoom_epochs: number of epochs whose printed values are drawn one by one.
    """
    figure = slide(title, subtitle)
    shown = min(zoom_epochs, int(np.ceil(striped.time[-1] - 1e-9)))
    first = f"The first {'epoch' if shown == 1 else f'{shown} epochs'}, print by print"
    left, right = _panels(figure, first, "The whole run, one colour per stripe")

    early = striped.time <= shown + 1e-9
    left.plot(striped.time[early], striped.windows[early], color=PALE, linewidth=1, zorder=1)
    for number, colour in enumerate(colours(striped.stripe_count)):
        own = striped.stripe == number
        left.plot(striped.time[own & early], striped.windows[own & early], "o", color=colour, markersize=5.5, zorder=2)
    _draw_stripes(right, striped, linewidth=2.4)
    _limit(left, striped)
    use_progress(left, 1.03 * shown)
    use_progress(right, striped.time[-1])
    _label_stripes(right, striped)
    _show_gap(right, striped)
    return figure


@styled
def band_figure(striped: Stripes, title: str, subtitle: str) -> Figure:
    """Return a figure of the printed loss as one line, as a trainer's plot shows it, and beside it the same values by stripe.

    Args:
      striped: the measured stripes of one run.
      title: the finding, in words.
      subtitle: what was run.
    """
    figure = slide(title, subtitle)
    left, right = _panels(figure, "As printed: one line through all values", "The same values, one colour per stripe")
    left.plot(striped.time, striped.windows, color=PALE, linewidth=1.1, **_single(len(striped.windows)))
    _draw_stripes(right, striped, linewidth=2.0)
    _limit(left, striped)
    for axes in (left, right):
        use_progress(axes, striped.time[-1])
    _label_stripes(right, striped)
    return figure


@styled
def averaged_figure(averaged: Stripes, striped: Stripes, title: str, subtitle: str) -> Figure:
    """Return a figure of the averaged curve over the faded stripes of the same run, on the stripes' own axes.

    Args:
      averaged: the run read with a print interval of whole epochs.
      striped: the same run read with a shorter one.
      title: the finding, in words.
      subtitle: what was run.
    """
    figure = slide(title, subtitle)
    (axes,) = _panels(figure, "")
    _draw_stripes(axes, striped, linewidth=1.6, alpha=0.35)
    axes.plot(averaged.time, averaged.windows, color="#000000", linewidth=3.2, **_single(len(averaged.windows)))
    _limit(axes, striped)
    use_progress(axes, striped.time[-1])
    ends = [float(averaged.windows[-1])]
    texts = [f"averaged over the epoch:\n{counted(averaged.stripe_count, 'curve')}\n{_pace(averaged, 0)}"]
    shades = ["#000000"]
    if striped.stripe_count > 1:
        # The stripes' label stands beside the one that is farthest from the averaged curve.
        last = striped.windows[-striped.stripe_count :]
        ends.append(float(last[np.argmax(np.abs(last - ends[0]))]))
        texts.append(f"faded: the same run,\nprinted more often:\n{counted(striped.stripe_count, 'stripe')}")
        shades.append("#666666")
    label_ends(axes, ends, texts, shades, joined=False)
    return figure


def _panels(figure: Figure, *headings: str) -> list[Axes]:
    """Return panels of loss over epochs, side by side with one y axis, by their headings."""
    shown = panels(figure, 1, len(headings), sharey=True, apart=(0.1, 0.05))[0].tolist()
    for axes, heading in zip(shown, headings, strict=True):
        head(axes, heading)
        axes.set_xlabel("epoch")
    shown[0].set_ylabel(LOSS_LABEL)
    return shown


def _single(count: int) -> dict[str, Any]:
    """Return the look of a line of `count` points: a single one has no line to show, and may lie on the axes' edge."""
    return {"marker": "o", "clip_on": False} if count == 1 else {}


def _pace(measured: Stripes, number: int) -> str:
    slope, level = measured.slope[number], measured.level[number]
    # What float32 cannot tell over the whole run is rounding, no slope.
    if abs(slope * measured.time[-1]) < np.finfo(np.float32).eps * abs(level):
        slope = 0.0
    return f"slope {in_powers(float(slope))} per epoch" if np.isfinite(slope) else ""


def _number(value: float) -> str:
    return f"{value:.4f}" if 0.001 <= abs(value) < 1000 else in_powers(float(value))


def _draw_stripes(axes: Axes, striped: Stripes, **line) -> None:
    for number, colour in enumerate(colours(striped.stripe_count)):
        own = striped.stripe == number
        axes.plot(striped.time[own], striped.windows[own], color=colour, **line, **_single(int(own.sum())))


def _limit(axes: Axes, striped: Stripes) -> None:
    leave_room(axes, striped.windows.min(), striped.windows.max())


def _label_stripes(axes: Axes, striped: Stripes) -> None:
    count = striped.stripe_count
    names = {number: f"stripe {number + 1}: " for number in range(count)}
    if count > MOST_LABELS:
        # The highest and the lowest stripe say how far apart the others lie.
        highest, lowest = int(np.argmax(striped.level)), int(np.argmin(striped.level))
        names = {
            highest: f"stripe {highest + 1}, highest of {count}:\n",
            lowest: f"stripe {lowest + 1}, lowest of {count}:\n",
        }
    texts = [
        f"{name}level {_number(striped.level[number])}\n{_pace(striped, number)}".strip() for number, name in names.items()
    ]
    ends = [float(striped.windows[striped.stripe == number][-1]) for number in names]
    shades = [colours(count)[number] for number in names]
    label_ends(axes, ends, texts, shades, joined=False)


def _show_gap(axes: Axes, striped: Stripes) -> None:
    """Draw an arrow between two stripes, in the middle of the run."""
    if striped.stripe_count != 2 or len(striped.windows) < 4:
        return
    middle = len(striped.windows) // 2
    when = striped.time[middle]
    ends = striped.windows[middle : middle + 2]
    axes.annotate("", (when, ends[0]), (when, ends[1]), arrowprops={"arrowstyle": "<->", "color": INK, "linewidth": 1.2})
    axes.annotate(f"gap {_number(float(striped.gap))}", (when, ends.mean()), (8, 0), textcoords="offset points", va="center")
