"""The gap between stripes at each batch size, against the gap that sampling alone gives."""

import math
from typing import NamedTuple

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxsgd.analysis.confidence import FEWEST_SIZES, enough_sizes
from jaxsgd.analysis.scaling import batch_axis
from jaxsgd.error import InputError, counted
from jaxsgd.measure.stripes import expected_range, stripe_count
from jaxsgd.number import three_digits
from jaxsgd.order import built_in
from jaxsgd.plot.axis import Axis, Selection, find_axis, open_axes, printed, setting, table
from jaxsgd.plot.facets import line_axis, line_looks
from jaxsgd.plot.layout import MIDDLE_HALF, entry, line_entries, medians_of, panels, size_axis, write_key
from jaxsgd.plot.scale import use_log
from jaxsgd.plot.style import DASHED, DOTTED, INK, PALE, slide, styled
from jaxsgd.results.axes import selected, stored
from jaxsgd.results.metric import readable_index

EXPLAINED = 0.3
"""Share by which a gap may be off for sampling to explain it: the range of a few draws scatters by as much."""


def law(batch_count: int, num_samples: int, eval_interval: int) -> float:
    """The gap to expect between stripes from sampling alone, in standard deviations of a single sample's loss.

    Each of the S = m / gcd(m, w) stripes averages w batches of N / m samples: levels scatter by sigma / sqrt(w N / m), and the
    largest less the smallest of S such is d(S) times that (Tippett 1925), with d as `jaxsgd.measure.expected_range`. Exact for
    normal losses where windows do not overlap (w divides m), but for a term of 1/N.

    Args:
      batch_count: m.
      num_samples: N.
      eval_interval: w.
    """
    in_window = num_samples * min(eval_interval, batch_count) / batch_count
    return expected_range(stripe_count(batch_count, eval_interval)) / math.sqrt(in_window)


class Gaps(NamedTuple):
    """The content of the figure: V lines, K batch sizes with stripes, ascending, R seeds.

    Attributes:
      names: [V], what the lines are; empty for a single one.
      shades: [V], their colours.
      size: [K], samples in a full batch.
      gap, stripe_index: [V, K, R], stripe gap and index; NaN for runs that diverged or are missing.
      expected: [K], the law's gap for a sigma of 1.
    """

    names: list[str]
    shades: list[str]
    size: np.ndarray
    gap: np.ndarray
    stripe_index: np.ndarray
    expected: np.ndarray


@styled
def stripe_law(ds: xr.Dataset, sigma: float | None = None, select: Selection | None = None) -> Figure:
    """Stripe gap against batch size with the law of sampling drawn over it, and beside it the stripe index.

    The law is `law` times sigma, the standard deviation of a single sample's loss: a batch's mean loss scatters by sigma /
    sqrt(B), whatever the order. In a fixed order every epoch repeats that scatter, and it is the gap. If batches are drawn
    anew, the levels average it over the E epochs, and the gap is sqrt(E) times smaller.

    Args:
      ds: a result with an axis of batch counts.
      sigma: measured, in units of the loss, as `jaxsgd measure --noise` and `jaxsgd.run_noise` give it; by default it is fitted
        to the gaps of the fixed order (or of the first line), and the figure says so.
      select: by axis, the value or values to show. One other axis may keep up to seven values: they become lines.

    Raises:
      InputError: for a result without several batch counts, or without stripes at its print interval.
    """
    ds = selected(ds, select)
    along, lines_by = find_axis(ds, batch_axis(ds)), line_axis(open_axes(ds, (batch_axis(ds),)), "the figure of the stripe law")
    dims = (*((lines_by.dim,) if lines_by else ()), along.dim)
    gaps = _gaps(ds, dims, lines_by)
    base = gaps.names.index("fixed") if "fixed" in gaps.names else 0
    ratio = np.nanmedian(gaps.gap[base], axis=-1) / gaps.expected
    fitted = sigma is None
    if sigma is None:
        sigma = float(np.exp(np.nanmean(np.log(np.where(ratio > 0, ratio, np.nan)))))

    width, epochs = int(ds.attrs["eval_interval"]), ds.sizes["epoch"]
    figure = slide(
        _title(ratio / sigma, gaps.names[base], fitted), f"{setting(ds, dims)}, {counted(epochs, 'epoch')}, {printed(width)}"
    )
    anew = any(order is not None and not order.repeats for order in map(built_in, gaps.names))
    runs = gaps.gap.shape[-1]
    note = f"{medians_of(runs)}{'; bars: the middle half of them' if runs > 1 else ''}."
    if fitted and not enough_sizes(ratio):
        sigma_name = "\N{GREEK SMALL LETTER SIGMA}"
        note += f" {sigma_name} is fitted to fewer than {FEWEST_SIZES} gaps, which cannot show if the law holds."
    left, right = panels(figure, 1, 2, apart=(0.15, 0.05))[0]
    write_key(figure, _key(lines_by, gaps.shades, sigma, fitted, epochs if anew else 0), note)
    use_log(left.yaxis)
    left.plot(gaps.size, sigma * gaps.expected, color=INK, linewidth=1.6, linestyle=DASHED, zorder=5)
    if anew:
        left.plot(gaps.size, sigma * gaps.expected / math.sqrt(epochs), color=INK, linewidth=1.4, linestyle=DOTTED, zorder=5)
    for axes, values in ((left, gaps.gap), (right, gaps.stripe_index)):
        for line, shade in zip(values, gaps.shades, strict=True):
            _draw_line(axes, gaps.size, line, shade)
        size_axis(axes, gaps.size, gaps.size)
    left.set_ylabel("stripe gap (loss)")
    right.set_ylim(-0.15, 1.05)
    right.axhline(0, color=PALE, linewidth=1)
    right.set_ylabel("stripe index (share of variance)")
    return figure


def _gaps(ds: xr.Dataset, dims: tuple[str, ...], lines_by: Axis | None) -> Gaps:
    width, samples = int(ds.attrs["eval_interval"]), int(stored(ds, "manifest")["num_samples"])
    count, size = ds["batch_count"].values, ds["batch_size"].values
    kept = np.argsort(size, kind="stable")
    kept = kept[[stripe_count(int(m), width) > 1 for m in count[kept]]]
    if not len(kept):
        raise InputError(f"averaging every {width} batches, no batch count here has stripes: eval_interval must be shorter")
    gone = table(ds, "diverged", dims) | table(ds, "missing", dims)

    indexed = ds.assign(stripe_index=readable_index(ds))

    def lines(name: str) -> np.ndarray:
        values = np.where(gone, np.nan, table(indexed, name, dims).astype(np.float64))
        return values.reshape(-1, *values.shape[-2:])[:, kept]

    names, shades = line_looks(lines_by)
    expected = np.array([law(int(m), samples, width) for m in count[kept]])
    return Gaps(names, shades, size[kept], lines("stripe_gap"), lines("stripe_index"), expected)


def _key(lines_by: Axis | None, shades: list[str], sigma: float, fitted: bool, epochs: int) -> list[tuple]:
    """Return the entries of the key; `epochs` is 0 if no line's batches are drawn anew."""
    entries = line_entries(lines_by, shades, marker="o", markersize=7, linewidth=1.4)
    how = f"\N{GREEK SMALL LETTER SIGMA} = {three_digits(sigma)} ({'fitted' if fitted else 'measured'})"
    root = "\N{GREEK SMALL LETTER SIGMA}/\N{SQUARE ROOT}B"
    law_line = {"color": INK, "linewidth": 1.6, "linestyle": DASHED}
    entries.append(entry(f"sampling alone: {root} times the expected range, {how}", **law_line))
    if epochs:
        anew = {"color": INK, "linewidth": 1.4, "linestyle": DOTTED}
        entries.append(entry(f"that over \N{SQUARE ROOT}{epochs}: drawn anew every epoch", **anew))
    return entries


def _draw_line(axes: Axes, size: np.ndarray, values: np.ndarray, shade: str) -> None:
    """Draw the medians of [K, R] with bars over the middle half of the seeds."""
    known = np.isfinite(values).any(axis=-1)
    if not known.any():
        return
    low, middle, high = np.nanpercentile(values[known], (MIDDLE_HALF[0], 50, MIDDLE_HALF[1]), axis=-1)
    axes.plot(size[known], middle, "o-", color=shade, markersize=6, linewidth=1.4, zorder=4)
    axes.vlines(size[known], low, high, color=shade, linewidth=2, zorder=3)


def _title(ratio: np.ndarray, name: str, fitted: bool) -> str:
    """Return the title: how well sampling explains the gaps of one line; only their name if sigma is fitted to too few."""
    known = ratio[np.isfinite(ratio)]
    if not len(known):
        return "No gap between stripes could be measured"
    order = f" of the {name} order" if built_in(name) else ""
    if fitted and not enough_sizes(known):
        return f"The gap between stripes{order}, by the batch size"
    worst = float(np.max(np.abs(known - 1)))
    if worst <= EXPLAINED:
        return f"Sampling explains the gap between stripes{order}: within {100 * worst:.0f} % at every batch size"
    return f"The gap between stripes{order} is {known.min():.2g} to {known.max():.2g} times what sampling gives"
