"""Scales with round numbers that can be read, and numbers in few letters."""

from collections.abc import Iterable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis as Axis1D
from matplotlib.ticker import FuncFormatter, Locator, MaxNLocator, NullLocator

from jaxsgd.number import LOG_FROM as LOG_FROM
from jaxsgd.number import is_log as is_log
from jaxsgd.number import short_number


def padded(low: float, high: float, log: bool = False, below: float = 0.05, above: float = 0.05) -> tuple[float, float]:
    """Return the ends of an axis.

    Args:
      low, high: the values to show.
      log: True for a logarithmic axis.
      below, above: room under and over the values, as shares of the axis length between them.
    """
    bottom, top = (float(np.log10(value)) if log else float(value) for value in (low, high))
    span = (top - bottom) or max(abs(top), 1.0) * 1e-3
    ends = bottom - below * span, top + above * span
    return (10.0 ** ends[0], 10.0 ** ends[1]) if log else ends


def share_range(panels: Iterable[Axes], low: float, high: float, log: bool = False, **room: float) -> None:
    """Give panels the same y axis: scale, ends, ticks and numbers. The arguments are those of `padded`."""
    for axes in panels:
        if log:
            use_log(axes.yaxis)
        else:
            plain_numbers(axes.yaxis)
        axes.set_ylim(*padded(low, high, log, **room))


def use_log(axis: Axis1D) -> None:
    """Make an axis, `axes.xaxis` or `axes.yaxis`, logarithmic, with round numbers as ticks."""
    axis.axes.set(**{f"{axis.axis_name}scale": "log"})  # type: ignore[attr-defined]
    axis.set_major_locator(LogTicks())
    axis.set_minor_locator(NullLocator())
    plain_numbers(axis)


def use_progress(axes: Axes, end: int | float) -> None:
    """Give a panel an x axis of epochs or steps, from 0 to `end`, with round whole numbers as ticks."""
    axes.set_xlim(0, end)
    axes.xaxis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10], integer=True))


def leave_room(axes: Axes, low: float, high: float) -> None:
    """Set the ends of a y axis, with room below and above the values."""
    room = 0.08 * (high - low) or 0.01 * abs(high) or 0.01
    axes.set_ylim(low - room, high + room)


def plain_numbers(axis: Axis1D) -> None:
    """Write the numbers of an axis as short as they can be, with a true minus sign."""
    axis.set_major_formatter(FuncFormatter(lambda value, _: short_number(value)))


class LogTicks(Locator):
    """Round numbers along a logarithmic axis, as many as there is room for, and never fewer than two."""

    def __call__(self) -> Sequence[float]:
        """Return the ticks of the axis at hand."""
        assert self.axis is not None
        return self.tick_values(*self.axis.get_view_interval())

    def tick_values(self, vmin: float, vmax: float) -> Sequence[float]:
        """Return the ticks between two ends."""
        assert self.axis is not None
        low, high = sorted((vmin, vmax))
        most = max(2, self.axis.get_tick_space())  # type: ignore[attr-defined]
        finest: list[tuple[int, ...]] = [(1, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,)]
        decades = 10.0 ** np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
        if self.axis.axis_name == "x":  # type: ignore[attr-defined]
            # Numbers side by side take more room than numbers above each other.
            most = max(2, int(0.75 * most))
            finest = [(1,)] if ((decades >= low) & (decades <= high)).sum() > 1 else [(1, 2, 5), (1, 3)]
        sets = [np.outer(decades, digits).ravel() for digits in finest]
        sets = [ticks[(ticks >= low) & (ticks <= high)] for ticks in sets]
        sets = [ticks for ticks in sets if len(ticks) > 1]
        if not sets:
            # Less than a step between round numbers: evenly spaced ones tell as much.
            even = np.asarray(MaxNLocator(min(5, most), steps=[1, 2, 2.5, 5, 10]).tick_values(low, high))
            return even[(even >= low) & (even <= high)].tolist()
        ticks = next((ticks for ticks in sets if len(ticks) <= most), sets[-1])
        return ticks[:: int(np.ceil(len(ticks) / most))].tolist()


def name_values(axis: Axis1D, values: np.ndarray, texts: Sequence[str], log: bool = True) -> None:
    """Write the values of an axis as its ticks, as many as there is room for.

    Args:
      axis: `axes.xaxis` or `axes.yaxis`, laid out and with its ends.
      values: [K].
      texts: K names.
      log: True for a logarithmic axis.
    """
    figure = axis.get_figure(root=True)
    assert figure is not None
    onto = np.log if log else np.asarray
    low, high = sorted(onto(axis.get_view_interval()))
    across = axis.axis_name == "x"  # type: ignore[attr-defined]
    box = axis.axes.get_window_extent()
    points = (box.width if across else box.height) * 72 / figure.dpi / (high - low)
    kept: list[int] = []
    reach = -np.inf
    for place in np.argsort(values, kind="stable").tolist():
        # Half of the text and a gap: letters of 11 points are 7 wide, their figures 11 high.
        half = 3.5 * len(texts[place]) + 4 if across else 8
        middle = points * float(onto(values[place]) - low)
        if middle - half >= reach:
            kept.append(place)
            reach = middle + half
    axis.set_ticks(values[kept], [texts[place] for place in kept])
    axis.set_minor_locator(NullLocator())
