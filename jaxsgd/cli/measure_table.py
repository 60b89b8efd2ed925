"""The tables of `jaxsgd measure`, and notes on them in words."""

import math
from collections import Counter
from collections.abc import Container, Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from rich.table import Table

from jaxsgd.analysis.best import KEPT
from jaxsgd.analysis.confidence import fewest_seeds
from jaxsgd.analysis.noise import run_noise
from jaxsgd.analysis.rows import best_rows, rows
from jaxsgd.analysis.scaling import FITTED, RULED, reachable_target
from jaxsgd.cli.output import missing_cells, plain_table
from jaxsgd.error import counted
from jaxsgd.measure.observable import direction
from jaxsgd.number import between, plain_decimals, plain_number
from jaxsgd.results.axes import seed_dims
from jaxsgd.study.batch_rules import MEMORIES
from jaxsgd.study.dimensions import SIZE_AXES

TableRow = Mapping[str, Any]
"""A row of a table: values by the name of their column."""

CHECKPOINTS = 6
"""Number of epochs, from the first to that of the target, at which noise is measured."""

SHORT = {"batch_count": "m", "batch_size": "B", "learning_rate": "rate"}
"""Headings of narrow columns."""


def _edges(row: TableRow, searched: Sequence[str]) -> list[str]:
    """Return the searched axes whose best value is at an edge."""
    return [name for name in searched if row[f"{name}_at_edge"]]


def _count(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:,.0f}" if math.isfinite(value) else "inf"


def _varying(table: Sequence[TableRow], names: Sequence[str]) -> list[str]:
    """Return the columns that differ between rows; the last column if none does."""
    return [name for name in names if len({row[name] for row in table}) > 1] or list(names[-1:])


def _places(best: xr.Dataset, table: Sequence[TableRow]) -> list[str]:
    """Return the columns that identify a row."""
    return _own_axes([str(name) for name in best.coords if name in KEPT and name in table[0]], best["median_value"].dims)


def _own_axes(names: Iterable[str], dims: Container[Hashable]) -> list[str]:
    """Return the names of columns; of the batch count and the batch size, only the axis of the study."""
    beside = {"batch_count": "batch_size", "batch_size": "batch_count"}
    return [name for name in names if beside.get(name) not in dims]


def best_table(table: Sequence[TableRow], best: xr.Dataset) -> Table:
    """Return the table of the best setting at each optimizer, order, schedule and batch count."""
    places = _places(best, table)
    places = _varying(table, places) if places else []
    searched = [name for name in best["searched"].values.tolist() if name in table[0]]
    metric = best.attrs["metric"].replace("_", " ")
    texts = [SHORT.get(name, name.replace("_", " ")) for name in (*places, *searched)]
    printed = plain_table(texts, (f"median {metric}", "95 % interval", "diverged", "stripe index", "gap"), "Best settings")
    for row in table:
        edges = _edges(row, searched)
        chosen = [f"{plain_number(row[name])}{'*' if name in edges else ''}" for name in searched]
        lost = f"{row['diverged']}/{row['seeds']}" if row["diverged"] else ""
        printed.add_row(
            *(plain_number(row[name], 6) for name in places), *chosen, plain_number(row["median_value"], 4),
            between(row["low"], row["high"], 4), lost,
            "-" if math.isnan(row["stripe_index"]) else plain_decimals(row["stripe_index"], 2),
            plain_number(row["stripe_gap"], 2),
        )  # fmt: skip
    return printed


OVER_SEEDS = ("median_value", "low", "high", "no_interval", "mean_value", "mean_low", "mean_high", "seeds", "diverged")
"""The columns of a row of `over_seeds` besides those of its setting."""


def over_seeds_table(table: Sequence[TableRow], settings: xr.Dataset) -> Table:
    """Return the table of every setting, with its median and its mean over the seeds."""
    names = _own_axes((name for name in table[0] if name not in OVER_SEEDS), settings.dims)
    places, metric = _varying(table, names), settings.attrs["metric"].replace("_", " ")
    texts = [SHORT.get(name, name.replace("_", " ")) for name in places]
    printed = plain_table(texts, ("median", "95 % interval", "mean", "95 % interval", "diverged"), f"All settings: {metric}")
    for row in table:
        lost = f"{row['diverged']}/{row['seeds']}" if row["diverged"] else ""
        printed.add_row(
            *(plain_number(row[name], 6) for name in places), plain_number(row["median_value"], 4),
            between(row["low"], row["high"], 4), plain_number(row["mean_value"], 4),
            between(row["mean_low"], row["mean_high"], 4), lost,
        )  # fmt: skip
    return printed


def best_notes(ds: xr.Dataset, best: xr.Dataset) -> list[str]:
    """Return notes that a reader of the best settings needs, one sentence each."""
    table = best_rows(best)
    notes = _winner(best, table)
    edges = [names for row in table if (names := _edges(row, best["searched"].values.tolist()))]
    if edges:
        axes = ", ".join(dict.fromkeys(name.replace("_", " ") for names in edges for name in names))
        notes.append(f"* at the edge of its range in {len(edges)} of {len(table)} rows ({axes}): a better one may lie beyond")
    notes += interval_notes([row["no_interval"] for row in table])
    share = float(ds["diverged"].sum()) / max(1, int((~ds["missing"]).sum()))
    if share:
        notes.append(
            f"{int(ds['diverged'].sum()):,} of {counted(ds['diverged'].size, 'run')} diverged: each counts as infinitely bad"
        )
    if ds.attrs["missing_cells"]:
        notes.append(missing_cells(ds.attrs["missing_cells"]))
    hint = _reachable(ds, best)
    if hint:
        notes.append(hint)
    return notes


def _winner(best: xr.Dataset, table: Sequence[TableRow]) -> list[str]:
    """Return a note on the best row of all, if there are several."""
    metric = best.attrs["metric"]
    known = [row for row in table if math.isfinite(row["median_value"])]
    if len(table) < 2 or not known:
        return []
    first = min(known, key=lambda row: direction(metric) * row["median_value"])
    places = [name for name in _places(best, table) if len({row[name] for row in table}) > 1]
    named = [f"{SHORT.get(name, name)} = {first[name]}" if name in SIZE_AXES else str(first[name]) for name in places]
    searched = [f"{name.replace('_', ' ')} {plain_number(first[name])}" for name in best["searched"].values.tolist()]
    ends = between(first["low"], first["high"], 4)
    result = f"median {metric.replace('_', ' ')} {plain_number(first['median_value'], 4)}{f' ({ends})' if ends else ''}"
    near = sum(row is not first and row["low"] <= first["high"] and first["low"] <= row["high"] for row in known)
    tied = f"; the intervals of {counted(near, 'other row')} overlap with this one: jaxsgd compare pairs the seeds"
    return [f"best of all: {', '.join([*named, *searched])}: {result}{tied if near else ''}"]


def interval_notes(reasons: Sequence[str]) -> list[str]:
    """Return a note for each reason why rows of a table have no interval; none if all have one."""
    counts = Counter(reason for reason in reasons if reason)
    return [
        f"no interval{'' if count == len(reasons) else f' in {count} of {len(reasons)} rows'}: {reason}"
        for reason, count in counts.items()
    ]


def _reachable(ds: xr.Dataset, best: xr.Dataset) -> str:
    """Return a note with a target that every batch count reaches; "" if the result has no steps to a target."""
    target = reachable_target(ds, best)
    return "" if target is None else f"for steps to a target: --target {target:.3g} is reached by all of these"


def variance_table(table: Sequence[TableRow], metric: str) -> Table:
    """Return the table of standard deviations by the seeds that are drawn anew."""
    places = _varying(table, [name for name in table[0] if name not in ("source", "deviation", "share", "left_out")])
    texts = [SHORT.get(name, name.replace("_", " ")) for name in places]
    printed = plain_table(
        (*texts, "drawn anew"), (f"deviation of {metric.replace('_', ' ')}", "share of variance"), "Variance by source"
    )
    for row in table:
        of_all = f"{100 * row['share']:.1f} %" if math.isfinite(row["share"]) else "-"
        printed.add_row(
            *(str(row[name]) for name in places), row["source"].replace("_", " "), plain_number(row["deviation"]), of_all
        )
    return printed


def variance_notes(ds: xr.Dataset, confidence: float) -> list[str]:
    """Return a note on the kinds of seeds that have too few values for a variance; none if all have enough.

    Args:
      ds: the result.
      confidence: the confidence level of its intervals, which says how many seeds are enough.
    """
    sizes = {dim: ds.sizes[dim] for dim in seed_dims(ds)}
    few = [counted(size, dim.replace("_", " ")) for dim, size in sizes.items() if 1 < size < fewest_seeds(confidence)]
    return [
        f"only {' and '.join(few)}: the variances are rough, {fewest_seeds(confidence)} of each or more show them better"
    ] * bool(few)


def scaling_rows(scaled: xr.Dataset) -> dict[str, list[dict[str, Any]]]:
    """Return the tables of a scaling: by batch count, by rule, and the fits."""
    return {
        "scaling": rows(scaled.drop_vars([*RULED, *FITTED, "rule"])),
        "batch_rules": rows(scaled[list(RULED)]),
        "fits": rows(scaled[list(FITTED)]),
    }


def _others(scaled: xr.Dataset) -> list[xr.Dataset]:
    """Return a scaling for each setting of the axes besides the batch count."""
    dims = list(scaled["nearest"].dims)
    shape = [scaled.sizes[dim] for dim in dims]
    return [scaled.isel(dict(zip(dims, place, strict=True))) for place in np.ndindex(*shape)]


def _place(scaled: xr.Dataset, setting: xr.Dataset) -> str:
    """Return the setting in words; "" if it is the only one."""
    several = [dim for dim in scaled["nearest"].dims if scaled.sizes[dim] > 1]
    return ", ".join(f"{'' if dim in ('optimizer', 'order') else f'{dim} '}{setting[dim].item()}" for dim in several)


def scaling_table(scaled: xr.Dataset) -> Table:
    """Return the table of the steps to the target by batch count, with the cost of the rules."""
    along, tune = (str(scaled.attrs[name]) for name in ("along", "tune"))
    words = [scaled.attrs[name].replace("_", " ") for name in ("metric", "tune")]
    title = f"Steps to {words[0]} {scaled.attrs['target']:g}, each batch count at its best {words[1]}"
    several = len(_others(scaled)) > 1
    numbers = ("m", "B", "steps", "95 % interval", "epochs", SHORT.get(tune, tune), *scaled["rule"].values.tolist())
    printed = plain_table([*(["setting"] if several else [])], numbers, title)
    printed.add_column("scaling", no_wrap=True)
    for setting in _others(scaled):
        for position in range(setting.sizes[along]):
            at = setting.isel({along: position})
            bound = "<=" if at["regime"].item() == "bound" else ""
            ratios = [_ratio(float(at["rule_ratio"].sel(rule=rule))) for rule in at["rule"].values]
            rate = f"{plain_number(float(at[tune]))}{'*' if bool(at['at_edge']) else ''}"
            printed.add_row(
                *([_place(scaled, setting)] if several else []), str(int(at["batch_count"])), str(int(at["batch_size"])),
                bound + _count(float(at["steps"])), _steps_between(at), plain_number(float(at["epochs"])), rate, *ratios,
                str(at["regime"].item()) or "not reached",
            )  # fmt: skip
        printed.add_section()
    return printed


def _steps_between(at: xr.Dataset) -> str:
    low, high = float(at["steps_low"]), float(at["steps_high"])
    if math.isnan(low) or math.isinf(low):
        return ""
    return f"{_count(low)} to {_count(high)}" if _count(low) != _count(high) else between(low, high, 4)


def _ratio(value: float) -> str:
    return "-" if math.isnan(value) else "never" if math.isinf(value) else f"{value:.2f}x"


def scaling_notes(scaled: xr.Dataset) -> list[str]:
    """Return notes on a scaling: regimes, critical batch size, growth of the best rate, and targets that were not reached."""
    metric, target, tune = (scaled.attrs[name] for name in ("metric", "target", "tune"))
    words, tuned = metric.replace("_", " "), tune.replace("_", " ")
    notes = [f"{scaled.attrs['runs_reached']:,} of {counted(scaled.attrs['runs'], 'run')} reach {words} {target:g}"]
    notes.append(f"steps: {scaled.attrs['resolution']}")
    for setting in _others(scaled):
        name = _place(scaled, setting)
        lead = f"{name}: " if name else ""
        steps = setting["steps"].values
        if not np.isfinite(steps).any():
            notes.append(f"{lead}no batch count reaches it; the nearest {words} is {float(setting['nearest']):.4g}")
            continue
        notes.append(lead + _regimes(setting))
        notes.append(lead + _critical(setting))
        is_memory = tune in MEMORIES
        grows = f"the share that the best {tuned} forgets in a step" if is_memory else f"the best {tuned}"
        power = f"{grows} grows as (batch size)^{float(setting['rate_power']):.2f}"
        ends = between(float(setting["power_low"]), float(setting["power_high"]), 2)
        if setting["no_power"].item():
            notes.append(f"{lead}no power of the batch size for the best {tuned}: {setting['no_power'].item()}")
        else:
            known = f"95 % interval {ends}" if ends else f"no interval: {setting['no_power_interval'].item()}"
            by_rules = "half_life" if is_memory else "the linear rule and 0.5 for the square-root rule"
            notes.append(f"{lead}{power} ({known}); the power is 1 for {by_rules}")
        if (setting["regime"] == "bound").any():
            notes.append(
                f"{lead}<=: reached at the first record, so the steps are only an upper bound, which the fits leave out; "
                "choose a harder target"
            )
        if bool(setting["at_edge"].any()):
            notes.append(f"{lead}*: the best {tuned} is at the edge of its range, a better one may lie beyond")
    notes += interval_notes(scaled["no_interval"].values.ravel().tolist())
    start = scaled.attrs["reference"]
    if scaled.attrs["along"] == "batch_size":
        start = scaled["batch_size"].values[scaled["batch_count"].values == start][0]
    start_text = f"{SHORT[scaled.attrs['along']]} = {start}"
    notes.append(
        f"{', '.join(scaled['rule'].values)}: steps by the rule from {start_text} on, divided by those of the best "
        f"{'rate' if tune == 'learning_rate' else tuned}; -: not among the {'rates' if tune == 'learning_rate' else 'values'}"
    )
    return notes


def _regimes(setting: xr.Dataset) -> str:
    kind, size = setting["regime"].values, setting["batch_size"].values
    perfect, none = size[kind == "perfect"], size[kind == "none"]
    parts = [f"perfect scaling up to B = {perfect.max()}" if len(perfect) else "no range of perfect scaling"]
    parts.append(f"no further gain from B = {none.min()} on" if len(none) else "steps fall up to the largest batch")
    if not (kind != "bound").any():
        return "the steps are only upper bounds at every batch count, so they show no scaling"
    return ", ".join(parts)


def _critical(setting: xr.Dataset) -> str:
    critical, low, high = (float(setting[name]) for name in ("critical_batch_size", "critical_low", "critical_high"))
    fitted = np.isfinite(setting["steps"].values) & (setting["regime"].values != "bound")
    sizes = setting["batch_size"].values[fitted]
    ends = "no interval" if math.isnan(low) else f"95 % interval {_count(low)} to {_count(high)}"
    if fitted.sum() < 3:
        return "critical batch size: fewer than three batch counts have steps to the target, too few to fit"
    if math.isnan(critical):
        side = "above" if high == math.inf else "below"
        return f"critical batch size: not between {sizes.min()} and {sizes.max()}, the curve has no bend there ({side}; {ends})"
    return f"critical batch size {critical:.0f} samples ({ends})"


def noise_rows(ds: xr.Dataset, best: xr.Dataset, scaled: xr.Dataset | None) -> list[dict[str, Any]]:
    """Return the noise along the best settings' runs, at the smallest, the middle and the largest batch size of each setting.

    Args:
      ds: the result.
      best: its best settings.
      scaled: a scaling; if given, its best rates are used instead, and its runs are measured only up to the target.
    """
    source = best if scaled is None else scaled
    known = source["median_value" if scaled is None else "steps"]
    along = next((name for name in SIZE_AXES if name in known.dims), None)
    searched = best["searched"].values.tolist() if scaled is None else [scaled.attrs["tune"]]
    others = [str(dim) for dim in known.dims if dim != along]
    table = []
    for place in np.ndindex(*(source.sizes[dim] for dim in others)):
        chosen = dict(zip(others, place, strict=True))
        setting = source.isel(chosen)
        finite = np.flatnonzero(np.isfinite(np.atleast_1d(setting[known.name].values)))
        for position in finite[np.unique([0, len(finite) // 2, len(finite) - 1])] if len(finite) else []:
            at = setting.isel({along: position}) if along else setting
            # A scaling has its batch sizes in an order of their own.
            run = ds.isel(chosen).sel({along: at[along].item()} if along else {})
            for dim in dict.fromkeys(str(ds[name].dims[0]) for name in searched):
                own = [name for name in searched if ds[name].dims == (dim,)]
                same = [np.isclose(ds[name].values, at[name].item(), rtol=1e-9) for name in own]
                run = run.isel({dim: int(np.flatnonzero(np.all(same, axis=0))[0])})
            epochs = np.isfinite(run["epoch_step"]).sum() if "epoch_step" in run.coords else run.sizes["epoch"]
            last = int(epochs) - 1
            last = last if scaled is None else min(last, max(1, math.ceil(float(at["epochs"]))))
            noise = run_noise(run, np.unique(np.linspace(0, last, CHECKPOINTS).astype(int)).tolist())
            scale = noise["noise_scale"].values
            mean = float(np.nanmean(scale)) if np.isfinite(scale).any() else math.nan
            row = {str(name): run[name].item() for name in run.coords if not run[name].dims}
            row |= {"batch_count": int(run["batch_count"]), "batch_size": int(run["batch_size"]), "last_epoch": last}
            row |= {"noise_scale": mean, "at_first": float(scale[0]), "at_last": float(scale[-1])}
            row |= {"measured_epochs": len(scale), "hidden_epochs": int(np.isnan(scale).sum())}
            table.append(row | {"loss_deviation": float(noise["loss_deviation"].mean()), "seeds": noise.attrs["seeds"]})
    return table


def noise_notes(table: Sequence[TableRow]) -> list[str]:
    """Return a note on the epochs without a noise scale, or on a table without rows; none if it was measured in all."""
    if not table:
        return ["no noise: it is measured on runs that end finite or, with --target, reach the target, and none does"]
    hidden = [row for row in table if row["hidden_epochs"]]
    if not hidden:
        return []
    most = max(row["hidden_epochs"] for row in hidden)
    return [
        f"no noise scale in up to {most} of the {hidden[0]['measured_epochs']} measured epochs in {len(hidden)} of "
        f"{counted(len(table), 'row')}: the noise hides the mean gradient there; the mean is over the other epochs, and "
        "more seeds make it surer"
    ]


def noise_table(table: Sequence[TableRow], to_target: bool) -> Table | str:
    """Return the table of the noise along the runs of some settings; "" for none."""
    if not table:
        return ""
    measured = ("batch_size", "last_epoch", "noise_scale", "at_first", "at_last", "loss_deviation", "seeds")
    measured += ("measured_epochs", "hidden_epochs")
    names = [name for name in table[0] if name not in measured]
    names = [name for name in names if name == "batch_count" or len({row[name] for row in table}) > 1]
    texts = [SHORT.get(name, name.replace("_", " ")) for name in names]
    seeds = max(row["seeds"] for row in table)
    until = "to the target" if to_target else "of the runs"
    title = f"Noise: gradient noise scale in samples, mean over the epochs {until}, {seeds} seeds"
    printed = plain_table(texts, ("noise scale", "at first", "at last", "epochs", "deviation of a sample's loss"), title)
    for row in table:
        scales = [_count(row[name]) for name in ("noise_scale", "at_first", "at_last")]
        printed.add_row(
            *(plain_number(row[name], 6) for name in names),
            *scales,
            f"0 to {row['last_epoch']}",
            plain_number(row["loss_deviation"], 4),
        )
    return printed
