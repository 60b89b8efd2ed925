"""The barriers between forks of one run, by the epoch at which they were forked."""

import numpy as np
import xarray as xr
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxsgd.error import InputError
from jaxsgd.plot.layout import head, panels
from jaxsgd.plot.style import COLOURS, INK, PALE, SMALL, slide, styled


@styled
def branches_figure(ds: xr.Dataset, title: str | None = None) -> Figure:
    """The barrier against the epoch of the fork, beside the loss along the straight lines between the forks' ends.

    Args:
      ds: what `jaxsgd.analysis.branches` returns.
      title: the finding, in words; by default the fall of the median barrier.

    Raises:
      InputError: for a Dataset that has no barriers.
    """
    if not {"barrier", "loss", "barrier_median"} <= set(ds):
        names = ", ".join(map(str, ds.data_vars))
        raise InputError(f"ds must be what jaxsgd.analysis.branches returns, got a Dataset with {names}")
    epochs = ds.start_epoch.values
    flat = ds.barrier.transpose("start_epoch", ...).values.reshape(len(epochs), -1)
    lines = ds.loss.transpose("start_epoch", ..., "share").values.reshape(len(epochs), flat.shape[1], -1)
    median = ds.barrier_median.values
    kind = ds.loss.attrs["long_name"]
    seed = ds.attrs["axis"].replace("_", " ")
    pairs = int(np.isfinite(flat).any(axis=0).sum())
    subtitle = f"{pairs} pairs of forks that differ in the {seed} alone, at each epoch of the fork; lines: medians"
    figure = slide(title or _finding(epochs, median), subtitle)
    left, right = panels(figure, 1, 2, apart=(0.12, 0.04))[0]
    _draw_barriers(left, epochs, flat, median)
    left.set_ylabel(f"barrier ({kind})")
    head(left, "Largest loss on the line, less the mean of its ends")
    _draw_lines(right, epochs, lines, ds.share.values)
    right.set_ylabel(f"{kind}, less the mean of the two ends")
    head(right, "Loss on the straight line between two ends")
    return figure


def _finding(epochs: np.ndarray, median: np.ndarray) -> str:
    words = [
        f"{median[at]:.2g} for forks {'at the start' if epochs[at] == 0 else f'after {epochs[at]} epochs'}" for at in (0, -1)
    ]
    if len(epochs) == 1:
        return f"Barrier between two ends: {words[0]}"
    return f"Barrier between two ends: {words[0]}, {words[1]}"


def _draw_barriers(axes: Axes, epochs: np.ndarray, barrier: np.ndarray, median: np.ndarray) -> None:
    """Draw every pair as a dot at its epoch, side by side in equal steps, and the medians as a line."""
    places = np.arange(len(epochs))
    apart = np.linspace(-0.25, 0.25, barrier.shape[1]) if barrier.shape[1] > 1 else np.zeros(1)
    axes.axhline(0, color=PALE, linewidth=0.8)
    axes.plot((places[:, None] + apart[None, :]).ravel(), barrier.ravel(), "o", color=PALE, markersize=2.5, alpha=0.6)
    axes.plot(places, median, "o-", color=COLOURS[0], linewidth=2, markersize=7)
    axes.set_xticks(places, [str(epoch) for epoch in epochs])
    axes.set_xlabel("epochs before the fork")


def _draw_lines(axes: Axes, epochs: np.ndarray, lines: np.ndarray, share: np.ndarray) -> None:
    """Draw the median along the lines for each epoch, of the loss less the mean of the two ends."""
    axes.axhline(0, color=PALE, linewidth=0.8)
    order = colormaps["viridis"](np.linspace(0, 0.85, len(epochs)))
    for epoch, loss, shade in zip(epochs, lines, order, strict=True):
        above = loss - (loss[:, :1] + loss[:, -1:]) / 2
        axes.plot(share, np.nanmedian(above, axis=0), color=shade, linewidth=2, label=str(epoch))
    axes.set_xlabel("way from one end to the other")
    axes.set_xlim(0, 1)
    key = axes.legend(title="epochs\nbefore\nthe fork", loc="upper left", borderaxespad=0.8, labelcolor=INK, alignment="left")
    key.get_title().set_fontsize(SMALL)
