"""Steps to a target against batch size, and the best rate at each: the three regimes of batch-count scaling."""

from collections import Counter
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from jaxsgd.analysis.scaling import scaling as scaled
from jaxsgd.analysis.steps_by_size import WITHIN
from jaxsgd.error import InputError
from jaxsgd.number import three_digits, value_text
from jaxsgd.plot.axis import Axis, Selection, metric_words, open_axes, setting
from jaxsgd.plot.facets import line_axis, line_looks
from jaxsgd.plot.layout import entry, line_entries, medians_of, page, panels, size_axis, write_key
from jaxsgd.plot.scale import name_values, share_range
from jaxsgd.plot.style import COLOURS, DASHED, DOTTED, INK, PALE, slide, styled
from jaxsgd.results.axes import axis_dim, selected
from jaxsgd.study.batch_rules import MEMORIES, batch_rule_named

SHADES = {"perfect": "#E4EEF5", "diminishing": "#FFFFFF", "none": "#ECECEC", "bound": "#FFFFFF"}
"""Background by regime."""

STYLES = (DASHED, DOTTED, (0, (6, 2, 1, 2)))
"""The lines of the batch rules."""

RULE_WORDS = {"linear": "linear rule", "sqrt": "square-root rule"}
"""Batch rules in words; the others are called by their names."""


def _tuned(tune: str) -> str:
    return "the rate" if tune == "learning_rate" else tune.replace("_", " ")


BELOW_NAMES = 0.88
"""Share of the panel's height up to which upright lines go, so that the names of the regimes do not cover them."""

WORDS = {"perfect": "perfect\nscaling", "diminishing": "diminishing\nreturns", "none": "no further\ngain"}


@styled
def scaling(
    ds: xr.Dataset,
    target: float,
    metric: str | None = None,
    *,
    tune: str = "learning_rate",
    rules: Any = None,
    noise_scale: float | None = None,
    select: Selection | None = None,
) -> Figure:
    """Steps to a target against batch size, tuned anew at each, and beside it the best rates with batch rules.

    What is drawn is what `jaxsgd.scaling` finds: medians over the seeds with 95 % intervals, the curve fitted to them, and its
    critical batch size. The note says whether the steps are exact or interpolated. A hollow point is only a bound, for its runs
    had reached the target at their first record; a batch size that does not reach the target stands at the top.

    Args:
      ds: a finished result with an axis of batch counts and one of rates.
      target: the number that the metric must reach.
      metric: a metric with several records of a run; by default "validation_loss" or "train_loss" where there is one, and
        otherwise "loss_epoch".
      tune: the axis that is tuned: the best of its values is chosen at every batch size.
      rules: up to three batch rules for the tuned axis, names with commas, such as "linear,sqrt"; by default those that are
        usual for it.
      noise_scale: a measured gradient noise scale to draw beside the critical batch size, in samples.
      select: by axis, the value or values to show. One other axis may keep up to seven values: they become lines.

    Raises:
      InputError: for what `jaxsgd.scaling` refuses, a target that nothing reaches, or too many values of other axes.
    """
    ds = selected(ds, select)
    result = scaled(ds, target, metric, tune=tune, rules=rules)
    if result.sizes["rule"] > len(STYLES):
        raise InputError(f"the figure has room for {len(STYLES)} rules, got {', '.join(result['rule'].values)}")
    words = metric_words(ds, result.attrs["metric"])
    if not np.isfinite(result["steps"]).any():
        rising = result["nearest"].max() < target
        nearest = float(result["nearest"].max() if rising else result["nearest"].min())
        raise InputError(
            f"no setting reaches {words} {target:g} in half of its runs; the best value of any run is {nearest:.4g}"
        )
    others = [dim for dim in result["nearest"].dims if result.sizes[dim] > 1]
    lines_by = line_axis([axis for axis in open_axes(ds) if axis.dim in others], "the figure of scaling")
    dims = [axis_dim(ds, tune), result.attrs["along"], *([lines_by.dim] if lines_by else [])]
    curves = [result.isel({lines_by.dim: place}) for place in range(len(lines_by))] if lines_by else [result]
    curves = [curve.squeeze(list(curve["nearest"].dims)) for curve in curves]
    names, shades = line_looks(lines_by)

    figure = slide(_title(curves, names), f"{setting(ds, dims)}: {words} {target:g}, {_tuned(tune)} tuned at each batch size")
    left, right = panels(figure, 1, 2, apart=(0.15, 0.05), width_ratios=[0.58, 0.42])[0]
    write_key(figure, *_key(result, curves, lines_by, shades, noise_scale))
    _steps(left, curves, names, shades, noise_scale)
    _rates(right, result, curves, shades, tune)
    left.set_ylabel(f"steps to {words} {target:g}")
    right.set_ylabel(f"best {tune.replace('_', ' ')}")
    sizes = result["samples_per_step"].values
    for axes in (left, right):
        size_axis(axes, sizes, result["batch_size"].values)
    return figure


def _steps(axes: Axes, curves: list[xr.Dataset], names: list[str], shades: list[str], noise_scale: float | None) -> None:
    every = np.concatenate([curve["steps"].values for curve in curves])
    every = every[np.isfinite(every)]
    # The names of the regimes stand above the intervals.
    tops = np.concatenate([every, *(curve["steps_high"].values for curve in curves)])
    low, high = float(every.min()) / 1.6, float(tops[np.isfinite(tops)].max()) * 2.6
    share_range([axes], low, high, log=True, below=0.0, above=0.0)
    if len(curves) == 1:
        _regimes(axes, curves[0], high)
        _bend(axes, curves[0], noise_scale)
    for curve, name, shade, aside in zip(curves, names, shades, _asides(curves), strict=True):
        size, steps = curve["samples_per_step"].values * aside, curve["steps"].values
        known = np.isfinite(steps)
        if known.any():
            first = int(np.flatnonzero(known)[np.argmin(size[known])])
            span = np.array([size.min(), size.max()])
            axes.plot(span, steps[first] * size[first] / span, color=PALE, linestyle=DASHED, linewidth=1.4, zorder=1)
        fitted, bound = known & (curve["regime"].values != "bound"), curve["regime"].values == "bound"
        ends = [curve[name].values for name in ("steps_low", "steps_high")]
        _whiskers(axes, size, ends, fitted, shade, high)
        axes.plot(size[known], steps[known], color=shade, linewidth=1.2 if len(curves) > 1 else 0, zorder=3)
        axes.plot(size[fitted], steps[fitted], "o", color=shade, markersize=7, zorder=4, label=name)
        axes.plot(size[bound], steps[bound], "o", color=shade, markerfacecolor="white", markersize=7, zorder=4)
        axes.plot(size[~known], np.full(int((~known).sum()), high / 1.12), "x", color=shade, markersize=7, zorder=4)


BESIDE = 0.3
"""Share of the smallest step from one batch size to the next, on a log scale, over which several lines stand side by side."""


def _asides(curves: list[xr.Dataset]) -> np.ndarray:
    """Return the factor on the batch sizes of each line at which it is drawn, so that its intervals do not cover others'."""
    size = np.unique(curves[0]["samples_per_step"].values.astype(float))
    if len(curves) == 1 or len(size) == 1:
        return np.ones(len(curves))
    return np.exp(np.linspace(-0.5, 0.5, len(curves)) * BESIDE * np.diff(np.log(size)).min())


def _whiskers(axes: Axes, size: np.ndarray, ends: list[np.ndarray], known: np.ndarray, shade: str, top: float) -> None:
    for at, low, high in zip(size[known], ends[0][known], ends[1][known], strict=True):
        if not np.isnan(low):
            axes.plot([at, at], [low, min(high, top)], color=shade, linewidth=1.8, zorder=2)


def _regimes(axes: Axes, curve: xr.Dataset, high: float) -> None:
    """Draw the background of each regime, as far as the batch sizes reach, and write its name."""
    order = np.argsort(curve["samples_per_step"].values, kind="stable")
    size, kind = curve["samples_per_step"].values[order].astype(float), curve["regime"].values[order]
    edges = np.concatenate([[size[0] / 1.35], np.sqrt(size[1:] * size[:-1]), [size[-1] * 1.35]])
    for name in dict.fromkeys(kind.tolist()):
        places = np.flatnonzero(kind == name)
        if name not in WORDS:
            continue
        start, stop = edges[places.min()], edges[places.max() + 1]
        axes.axvspan(float(start), float(stop), color=SHADES[name], linewidth=0, zorder=0)
        if stop / start > 2.2:
            middle = float(np.sqrt(start * stop))
            axes.text(
                middle, high / 1.08, WORDS[name], ha="center", va="top", color=INK, linespacing=1.1,
                bbox={"facecolor": SHADES[name], "edgecolor": "none", "pad": 1.5}, zorder=6,
            )  # fmt: skip


def _bend(axes: Axes, curve: xr.Dataset, noise_scale: float | None) -> None:
    """Draw the fitted curve, the critical batch size with its interval, and the noise scale."""
    size = curve["samples_per_step"].values.astype(float)
    fewest, most = float(curve["fewest_steps"]), float(curve["fewest_samples"])
    if np.isfinite(fewest) and np.isfinite(most):
        at = np.geomspace(size.min(), size.max(), 200)
        axes.plot(at, fewest + most / at, color=INK, linewidth=1.4, zorder=2)
    critical, low, high = (float(curve[name]) for name in ("critical_batch_size", "critical_low", "critical_high"))
    if np.isfinite(critical):
        axes.axvline(critical, ymax=BELOW_NAMES, color=COLOURS[1], linewidth=2, zorder=2)
        start, stop = max(low, size.min() / 1.35), min(high, size.max() * 1.35)
        axes.axvspan(float(start), float(stop), ymax=BELOW_NAMES, color=COLOURS[1], alpha=0.15, linewidth=0, zorder=1)
    if noise_scale is not None:
        axes.axvline(noise_scale, ymax=BELOW_NAMES, color=COLOURS[2], linewidth=2, linestyle=DOTTED, zorder=2)


def _rates(axes: Axes, result: xr.Dataset, curves: list[xr.Dataset], shades: list[str], tune: str) -> None:
    axes.set_yscale("logit" if tune in MEMORIES else "log")
    for curve, shade, aside in zip(curves, shades, _asides(curves), strict=True):
        size, rate = curve["samples_per_step"].values * aside, curve[tune].values
        known = np.isfinite(rate)
        ends = [curve[name].values for name in ("rate_low", "rate_high")]
        _whiskers(axes, size, ends, known & (curve["regime"].values != "bound"), shade, np.inf)
        edge = curve["at_edge"].values & known
        axes.plot(size[known], rate[known], color=shade, linewidth=1.2, zorder=3)
        axes.plot(size[known & ~edge], rate[known & ~edge], "o", color=shade, markersize=7, zorder=4)
        axes.plot(size[edge], rate[edge], "D", color=shade, markerfacecolor="white", markersize=7, zorder=4)
    span = np.array([result["samples_per_step"].values.min(), result["samples_per_step"].values.max()], float)
    curve = curves[0]
    start = int(np.flatnonzero(curve["batch_count"].values == result.attrs["reference"])[0])
    rate, size = float(curve[tune].values[start]), float(curve["samples_per_step"].values[start])
    tried = np.concatenate([curve[tune].values for curve in curves])
    tried = tried[np.isfinite(tried)]
    if np.isfinite(rate):
        at = np.geomspace(span[0], span[1], 200)
        for name, style in zip(result["rule"].values.tolist(), STYLES, strict=False):
            ruled = batch_rule_named(name).value(np.full_like(at, rate), at / size)
            axes.plot(at, np.where(ruled > 0, ruled, np.nan), color=PALE, linestyle=style, linewidth=1.6, zorder=1)
    if tune in MEMORIES:
        forgets = -np.log(tried)
        axes.set_ylim(float(np.exp(-min(forgets.max() * 1.5, 30))), float(np.exp(-forgets.min() / 1.5)))
    else:
        axes.set_ylim(tried.min() / 1.5, tried.max() * 1.5)
    rates = np.unique(tried)
    texts = [value_text(float(value)) for value in rates]
    # The longest number takes its room before the panels have their places.
    axes.set_yticks(rates[:1], [max(texts, key=len)])
    axes.minorticks_off()
    page(axes).when_laid_out(lambda: name_values(axes.yaxis, rates, texts))


def _key(
    result: xr.Dataset, curves: list[xr.Dataset], lines_by: Axis | None, shades: list[str], noise_scale: float | None
) -> tuple[list[tuple], str]:
    several = len(curves) > 1
    entries = line_entries(lines_by, shades, marker="o", markersize=7, linewidth=1.2)
    for place, (name, style) in enumerate(zip(result["rule"].values.tolist(), STYLES, strict=False)):
        text = RULE_WORDS.get(name, f"rule {name}")
        text = f"left: twice the batch, half the steps; right: {text}" if place == 0 else text
        entries.append(entry(text, color=PALE, linestyle=style, linewidth=1.6 if place else 1.4))
    curve = curves[0]
    if not several and np.isfinite(float(curve["critical_batch_size"])):
        ends = [float(curve[name]) for name in ("critical_low", "critical_high")]
        interval = "" if np.isnan(ends[0]) else f" (95 % interval {_size(ends[0])} to {_size(ends[1])})"
        line = (Line2D([], [], color=COLOURS[1], linewidth=2), Patch(color=COLOURS[1], alpha=0.15, linewidth=0))
        entries.append((line, f"critical batch size {float(curve['critical_batch_size']):.0f}{interval}"))
        entries.append(entry("fitted curve", color=INK, linewidth=1.4))
    if noise_scale is not None and not several:
        entries.append(entry(f"gradient noise scale {noise_scale:.0f}", color=COLOURS[2], linewidth=2, linestyle=DOTTED))
    mark = {"linestyle": "none", "color": INK, "markersize": 7}
    if any((curve["regime"] == "bound").any() for curve in curves):
        entries.append(entry("only a bound: reached at the first record", marker="o", markerfacecolor="white", **mark))
    if any(bool(curve["at_edge"].any()) for curve in curves):
        entries.append(entry("at the edge of the range", marker="D", markerfacecolor="white", **mark))
    if any(not np.isfinite(curve["steps"]).all() for curve in curves):
        entries.append(entry("not reached by half of the seeds", marker="x", **mark))
    seeds = result.attrs["seeds"]
    reasons = Counter(np.concatenate([curve["no_interval"].values for curve in curves]).tolist())
    without = [reason for reason in reasons if reason]
    note = medians_of(seeds)
    note += " with 95 % intervals." if len(without) < len(reasons) else "."
    note += f" {'No' if len(without) == len(reasons) else 'Some have no'} interval: {without[0]}." if without else ""
    note += f" Steps: {result.attrs['resolution']}."
    if several:
        note += " Lines stand side by side at each batch size."
    else:
        share = f"{100 * (WITHIN - 1):.0f} %"
        note += f" Perfect scaling: within {share} of the fewest samples; no further gain: of the fewest steps."
    return entries, note


def _size(value: float) -> str:
    return "\N{INFINITY}" if np.isinf(value) else f"{value:.0f}"


def _title(curves: list[xr.Dataset], names: list[str]) -> str:
    """Return the title: where the regimes lie, or which line needs the fewest steps."""
    if len(curves) == 1:
        curve = curves[0]
        kind, size = curve["regime"].values, curve["batch_size"].values
        perfect, none = size[kind == "perfect"], size[kind == "none"]
        if len(perfect) and len(none):
            return f"Twice the batch halves the steps up to B = {perfect.max()}, and hardly saves any from B = {none.min()} on"
        if len(perfect):
            return f"Twice the batch halves the steps up to B = {perfect.max()}; further gains shrink"
        if len(none):
            return f"From B = {none.min()} on, larger batches hardly save any steps"
        return "Larger batches need fewer steps, but less than in proportion"
    # What is only a bound says nothing of how few steps there could be.
    steps = [np.where(curve["regime"].values != "bound", curve["steps"].values, np.nan) for curve in curves]
    fewest = [float(np.nanmin(own)) if np.isfinite(own).any() else np.inf for own in steps]
    if not np.isfinite(fewest).any():
        return "The steps are only bounds at every batch size: the target is reached at the first record"
    best = int(np.argmin(fewest))
    size = curves[best]["batch_size"].values[np.nanargmin(steps[best])]
    return f"Fewest steps: {three_digits(fewest[best])} with {names[best]} at B = {size}"
