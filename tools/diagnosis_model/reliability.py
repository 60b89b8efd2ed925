"""Whether what is said to be likely comes about."""

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from jaxsgd.plot.style import COLOURS, PALE, SMALL, panel, slide, styled


@styled
def reliability_figure(
    said: Float[np.ndarray, " K"], came: Float[np.ndarray, " K"], count: Float[np.ndarray, " K"], title: str, subtitle: str
) -> Figure:
    """The share of cases in which something came about, over the probability that was said (Murphy and Winkler 1977).

    Args:
      said: [K], mean probability said in each bin; NaN for an empty one.
      came: [K], share in which it came about.
      count: [K], cases.
      title: the finding, in words.
      subtitle: what was counted.
    """
    figure = slide(title, subtitle)
    axes = panel(figure, 0.085, 0.52)
    axes.plot([0, 1], [0, 1], color=PALE, linewidth=1.4, linestyle=(0, (4, 3)), zorder=1)
    known = np.isfinite(said) & np.isfinite(came)
    error = np.sqrt(np.maximum(came * (1 - came), 0) / np.maximum(count, 1))
    drawn = axes.errorbar(said[known], came[known], 2 * error[known], color=COLOURS[0], fmt="o-", capsize=3)
    drawn.lines[0].set(markersize=7, linewidth=1.6)
    axes.set_xlim(-0.03, 1.03)
    axes.set_ylim(-0.03, 1.05)
    axes.set_xlabel("probability that was said")
    axes.set_ylabel("share of the logs in which the cause acts")
    axes.text(0.56, 0.47, "as said", fontsize=SMALL, color="#666666", rotation=38, ha="left", va="bottom")
    bars = panel(figure, 0.72, 0.25)
    bars.barh((np.arange(len(count)) + 0.5) / len(count), np.maximum(count, 0.5), height=0.08, color=COLOURS[0], alpha=0.8)
    bars.set_xscale("log")
    bars.set_ylim(-0.03, 1.05)
    bars.set_xlabel("answers")
    bars.set_ylabel("probability that was said")
    return figure
