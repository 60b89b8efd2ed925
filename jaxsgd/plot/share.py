"""The share of a batch's fall that its own step makes: over seeds, and over batch counts and training progress."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from jaxsgd.plot.layout import colour_bar, head, panels, write_in_cells
from jaxsgd.plot.style import COLOURS, INK, MEDIUM, PALE, slide, styled

MAJORITY = 0.5
"""The own share from which a batch's fall is mainly its own step's."""


class ShareGroup(NamedTuple):
    """Own shares of runs of one setting.

    Attributes:
      label: the setting.
      values: [R], own shares; those that are not finite are not drawn.
      equal: the share that one step of m has if all steps do the same, 1/m.
    """

    label: str
    values: Float[np.ndarray, " R"]
    equal: float


@styled
def share_figure(groups: Sequence[ShareGroup], title: str, subtitle: str) -> Figure:
    """Return a figure of each run's own share as a dot, one row a setting, against the half from which the claim holds.

    Args:
      groups: the settings, top to bottom.
      title: the finding, in words.
      subtitle: what was run.
    """
    figure = slide(title, subtitle)
    axes = panels(figure)[0, 0]
    shown = [group.values[np.isfinite(group.values)] for group in groups]
    most = max([1.0, *(float(values.max()) * 1.05 for values in shown if len(values))])
    axes.axvspan(MAJORITY, most, color=COLOURS[2], alpha=0.12, linewidth=0)
    axes.axvline(MAJORITY, color=COLOURS[2], linewidth=2)
    top = len(groups) - 0.42
    axes.text(
        MAJORITY + 0.01, top, "here the claim holds:\nits own step does most", color=COLOURS[2], fontsize=MEDIUM, va="top"
    )
    for row, (group, values) in enumerate(zip(reversed(groups), reversed(shown), strict=True)):
        axes.plot([group.equal] * 2, [row - 0.3, row + 0.3], color=PALE, linewidth=1.6)
        axes.text(group.equal, row - 0.33, f"equal steps: 1/{round(1 / group.equal)}", ha="center", va="top")
        if not len(values):
            axes.text(0.01, row, "no run stayed finite", va="center")
            continue
        # Evenly over the row's height by rank, so that no two dots hide each other.
        height = row + 0.26 * np.linspace(-1, 1, len(values))[np.argsort(np.argsort(_scrambled(len(values))))]
        axes.plot(values, height, "o", color=COLOURS[0], markersize=5, alpha=0.55, markeredgewidth=0)
        mean = float(values.mean())
        axes.plot([mean] * 2, [row - 0.3, row + 0.3], color=INK, linewidth=2.4)
        axes.text(mean, row + 0.33, f"mean {100 * mean:.1f} %", ha="center", va="bottom")
    axes.set_yticks(range(len(groups)), [group.label for group in reversed(groups)], fontsize=MEDIUM)
    axes.set_ylim(-0.6, len(groups) - 0.4)
    axes.set_xlim(0, most)
    axes.set_xlabel("own share: part of a batch's fall that its own step makes")
    axes.xaxis.set_major_formatter(lambda value, place: f"{100 * value:.0f} %")
    axes.spines["left"].set_visible(False)
    axes.tick_params(length=0)
    return figure


def _scrambled(count: int) -> np.ndarray:
    """Return numbers that fill the unit interval evenly: the fractional parts of multiples of the golden ratio."""
    return (np.arange(1, count + 1) * 0.6180339887498949) % 1


class ShareMap(NamedTuple):
    """One panel of the map.

    Attributes:
      heading: what is trained.
      batch_counts: [M], the rows.
      epochs: [C], the columns.
      share: [M, C], own share; infinite where the own steps' fall is undone by the others', NaN where nothing is known.
      loss: [C], mean loss at these epochs.
    """

    heading: str
    batch_counts: Sequence[int]
    epochs: Sequence[int]
    share: Float[np.ndarray, "M C"]
    loss: Float[np.ndarray, "C"]


@styled
def share_map_figure(maps: Sequence[ShareMap], title: str, subtitle: str) -> Figure:
    """Return a figure of the own share over batch count and training progress, one panel a problem.

    Args:
      maps: the panels, left to right.
      title: the finding, in words.
      subtitle: what was run.
    """
    figure = slide(title, subtitle)
    shown = panels(figure, 1, len(maps))[0].tolist()
    images = [_draw_map(axes, panel) for axes, panel in zip(shown, maps, strict=True)]
    shown[0].set_ylabel("batches per epoch")
    look = {"location": "bottom", "shrink": 0.55, "aspect": 32, "pad": 0.03, "ticks": [0, 0.5, 1]}
    bar = colour_bar(images[0], shown, "own share (%): part of a batch's fall that its own step makes", **look)
    bar.ax.set_xticklabels(["0", "50", "100 or more"])
    bar.ax.tick_params(length=0)
    for place, text in ((0.25, "the other steps do most"), (0.75, "its own step does most")):
        bar.ax.text(place, 1.15, text, transform=bar.ax.transAxes, ha="center", va="bottom")
    return figure


def _draw_map(axes: Axes, panel: ShareMap) -> AxesImage:
    share = np.asarray(panel.share, np.float64)
    coloured = np.clip(share, 0, 1)
    image = axes.imshow(coloured, cmap="PuOr", norm=TwoSlopeNorm(MAJORITY, 0, 1), aspect="auto", interpolation="nearest")
    head(axes, panel.heading)
    write_in_cells(image, {place: share_text(value) for place, value in np.ndenumerate(share)})
    axes.set_xticks(range(len(panel.epochs)), [f"{e}\n{loss:.2f}" for e, loss in zip(panel.epochs, panel.loss, strict=True)])
    axes.set_yticks(range(len(panel.batch_counts)), [str(count) for count in panel.batch_counts])
    axes.set_xlabel("epoch, and below it the mean loss there")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return image


def share_text(value: float) -> str:
    """Return a share in percent, as a cell of the map shows it."""
    if np.isnan(value):
        return "?"
    return "> 100" if value > 1 else f"{100 * value:.0f}"
