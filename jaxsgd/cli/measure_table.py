"""The tables of `jaxsgd measure`, and what they say in words."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from rich.table import Table

from jaxsgd.analysis.best import KEPT
from jaxsgd.analysis.noise import run_noise
from jaxsgd.analysis.scaling import FITTED, RULED, batch_axis
from jaxsgd.cli.output import missing_cells, plain_table
from jaxsgd.error import InputError, counted
from jaxsgd.measure.observable import direction
from jaxsgd.results.metric import time_dim

Row = Mapping[str, Any]

CHECKPOINTS = 6
"""Epochs from the first to that of the target at which noise is measured."""

SIZES = ("batch_count", "batch_size")

SHORT = {"batch_count": "m", "batch_size": "B", "learning_rate": "rate"}
"""Headings of columns that have little room."""


def rows(ds: xr.Dataset) -> list[dict[str, Any]]:
    """One flat row for each place of a Dataset; a single one for a Dataset without dimensions."""
    if not ds.dims:
        return [{str(name): ds[name].item() for name in ds.variables}]
    table = ds.to_dataframe().reset_index()
    # A dimension without values of its own, of zipped axes, is only numbered.
    return table.drop(columns=[dim for dim in ds.dims if dim not in ds.coords]).to_dict("records")  # type: ignore[return-value]


def best_rows(best: xr.Dataset) -> list[dict[str, Any]]:
    """The rows of the best settings, with a column of booleans for each searched axis: `learning_rate_at_edge`."""
    edges = {
        f"{name}_at_edge": best["at_edge"].isel(searched=place, drop=True)
        for place, name in enumerate(best["searched"].values.tolist())
    }
    return rows(best.drop_dims("searched").assign(edges))


def _edges(row: Row, searched: Sequence[str]) -> list[str]:
    """The searched axes whose best value is at an edge."""
    return [name for name in searched if row[f"{name}_at_edge"]]


def number(value: float, digits: int = 3) -> str:
    """A number in few letters; "-" for none."""
    if isinstance(value, str):
        return value
    return "-" if math.isnan(value) else f"{value:.{digits}g}" if not math.isinf(value) else "inf"


def between(low: float, high: float, digits: int = 3) -> str:
    """An interval, open where an end is 0 or infinite; empty without one."""
    if math.isnan(low) or math.isnan(high):
        return ""
    # As many digits as tell the ends apart, where a few more do.
    ends = [(number(low, own), number(high, own)) for own in range(digits, digits + 4)]
    return " to ".join(next((pair for pair in ends if pair[0] != pair[1]), ends[0]))


def _count(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:,.0f}" if math.isfinite(value) else "inf"


def _varying(table: Sequence[Row], names: Sequence[str]) -> list[str]:
    """The columns that are not the same in all rows; the last if all are."""
    return [name for name in names if len({row[name] for row in table}) > 1] or list(names[-1:])


def _places(best: xr.Dataset, table: Sequence[Row]) -> list[str]:
    """The columns that say where a row stands: of the batch count and the batch size, the study's axis."""
    beside = {"batch_count": "batch_size", "batch_size": "batch_count"}
    names = [str(name) for name in best.coords if name in KEPT and name in table[0]]
    return [name for name in names if beside.get(name) not in best["median_value"].dims]


def best_table(table: Sequence[Row], best: xr.Dataset) -> Table:
    """The best setting at each optimizer, order and batch count."""
    places = _places(best, table)
    places = _varying(table, places) if places else []
    searched = [name for name in best["searched"].values.tolist() if name in table[0]]
    value = best.attrs["value"].replace("_", " ")
    texts = [SHORT.get(name, name.replace("_", " ")) for name in (*places, *searched)]
    made = plain_table(texts, (f"median {value}", "95 % interval", "diverged", "stripe index", "gap"), "Best settings")
    for row in table:
        edges = _edges(row, searched)
        chosen = [f"{number(row[name])}{'*' if name in edges else ''}" for name in searched]
        gone = f"{row['diverged']}/{row['seeds']}" if row["diverged"] else ""
        made.add_row(
            *(number(row[name], 6) for name in places), *chosen, number(row["median_value"], 4),
            between(row["low"], row["high"], 4), gone,
            "-" if math.isnan(row["stripe_index"]) else f"{row['stripe_index']:.2f}", number(row["stripe_gap"], 2),
        )  # fmt: skip
    return made


def best_notes(ds: xr.Dataset, best: xr.Dataset) -> list[str]:
    """What a reader of the best settings must know besides."""
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


def _winner(best: xr.Dataset, table: Sequence[Row]) -> list[str]:
    """The best row of all, where there are several."""
    value = best.attrs["value"]
    known = [row for row in table if math.isfinite(row["median_value"])]
    if len(table) < 2 or not known:
        return []
    first = min(known, key=lambda row: direction(value) * row["median_value"])
    places = [name for name in _places(best, table) if len({row[name] for row in table}) > 1]
    named = [f"{SHORT.get(name, name)} = {first[name]}" if name in SIZES else str(first[name]) for name in places]
    searched = [f"{name.replace('_', ' ')} {number(first[name])}" for name in best["searched"].values.tolist()]
    ends = between(first["low"], first["high"], 4)
    measured = f"median {value.replace('_', ' ')} {number(first['median_value'], 4)}{f' ({ends})' if ends else ''}"
    return [f"best of all: {', '.join([*named, *searched])}: {measured}"]


def interval_notes(reasons: Sequence[str]) -> list[str]:
    """Why rows of a table have no interval, a line for each reason; none where all have one."""
    counts = Counter(reason for reason in reasons if reason)
    return [
        f"no interval{'' if count == len(reasons) else f' in {count} of {len(reasons)} rows'}: {reason}"
        for reason, count in counts.items()
    ]


def _reachable(ds: xr.Dataset, best: xr.Dataset) -> str:
    """A target that every batch count reaches, where it makes sense to ask for steps to one."""
    try:
        along = batch_axis(ds)
    except InputError:
        return ""
    value = best.attrs["value"]
    if not time_dim(ds, value) or ds.attrs["missing_cells"] or not best.sizes["searched"]:
        return ""
    if along not in best["median_value"].dims or not np.isfinite(best["median_value"]).all():
        return ""
    # The worst of them, to two digits, and a step of the second one to the worse side.
    sign = direction(value)
    worst = float((sign * best["median_value"]).max())
    digit = 10.0 ** (math.floor(math.log10(abs(worst))) - 1) if worst else 0.1
    target = sign * (math.floor(worst / digit) + 1) * digit
    return f"for steps to a target: --target {target:.3g} is reached by all of these"


def scatter_table(table: Sequence[Row], value: str) -> Table:
    """Standard deviations by what is drawn anew."""
    places = _varying(table, [name for name in table[0] if name not in ("source", "deviation", "share", "left_out")])
    texts = [SHORT.get(name, name.replace("_", " ")) for name in places]
    made = plain_table(
        (*texts, "drawn anew"), (f"deviation of {value.replace('_', ' ')}", "share"), "Where the scatter comes from"
    )
    for row in table:
        of_all = f"{100 * row['share']:.1f} %" if math.isfinite(row["share"]) else "-"
        made.add_row(*(str(row[name]) for name in places), row["source"].replace("_", " "), number(row["deviation"]), of_all)
    return made


def scaling_rows(found: xr.Dataset) -> dict[str, list[dict[str, Any]]]:
    """The tables of a scaling: by batch count, by rule, and what was fitted."""
    return {
        "scaling": rows(found.drop_vars([*RULED, *FITTED, "rule"])),
        "rate_rules": rows(found[list(RULED)]),
        "fits": rows(found[list(FITTED)]),
    }


def _others(found: xr.Dataset) -> list[xr.Dataset]:
    """A scaling at each place of the axes besides the batch count."""
    dims = list(found["nearest"].dims)
    shape = [found.sizes[dim] for dim in dims]
    return [found.isel(dict(zip(dims, place, strict=True))) for place in np.ndindex(*shape)]


def _place(found: xr.Dataset, one: xr.Dataset) -> str:
    """Which of several places this is, in words; empty for the only one."""
    several = [dim for dim in found["nearest"].dims if found.sizes[dim] > 1]
    return ", ".join(str(one[dim].item()) if dim in ("optimizer", "order") else f"{dim} {one[dim].item()}" for dim in several)


def scaling_table(found: xr.Dataset) -> Table:
    """Steps to the target by batch count, with what the rules would have cost."""
    along, by = (str(found.attrs[name]) for name in ("along", "by"))
    words = [found.attrs[name].replace("_", " ") for name in ("value", "by")]
    title = f"Steps to {words[0]} {found.attrs['target']:g}, each batch count at its best {words[1]}"
    several = len(_others(found)) > 1
    numbers = ("m", "B", "steps", "95 % interval", "epochs", SHORT.get(by, by), "linear", "sqrt")
    made = plain_table([*(["setting"] if several else [])], numbers, title)
    made.add_column("scaling", no_wrap=True)
    for one in _others(found):
        for place in range(one.sizes[along]):
            at = one.isel({along: place})
            bound = "<=" if at["regime"].item() == "bound" else ""
            ratios = [_ratio(float(at["rule_ratio"].sel(rule=rule))) for rule in ("linear", "sqrt")]
            rate = f"{number(float(at[by]))}{'*' if bool(at['at_edge']) else ''}"
            made.add_row(
                *([_place(found, one)] if several else []), str(int(at["batch_count"])), str(int(at["batch_size"])),
                bound + _count(float(at["steps"])), _steps_between(at), number(float(at["epochs"])), rate, *ratios,
                str(at["regime"].item()) or "not reached",
            )  # fmt: skip
        made.add_section()
    return made


def _steps_between(at: xr.Dataset) -> str:
    low, high = float(at["steps_low"]), float(at["steps_high"])
    if math.isnan(low) or math.isinf(low):
        return ""
    return f"{_count(low)} to {_count(high)}" if _count(low) != _count(high) else between(low, high, 4)


def _ratio(value: float) -> str:
    return "-" if math.isnan(value) else "never" if math.isinf(value) else f"{value:.2f}x"


def scaling_notes(found: xr.Dataset) -> list[str]:
    """What the steps say: regimes, critical batch size, how the best rate grows, and what was not reached."""
    value, target, by = (found.attrs[name] for name in ("value", "target", "by"))
    words = value.replace("_", " ")
    notes = [f"{found.attrs['runs_reached']:,} of {counted(found.attrs['runs'], 'run')} reach {words} {target:g}"]
    notes.append(f"steps: {found.attrs['resolution']}")
    for one in _others(found):
        name = _place(found, one)
        lead = f"{name}: " if name else ""
        steps = one["steps"].values
        if not np.isfinite(steps).any():
            notes.append(f"{lead}no batch count reaches it; the nearest {words} is {float(one['nearest']):.4g}")
            continue
        notes.append(lead + _regimes(one))
        notes.append(lead + _critical(one))
        power = f"the best {by.replace('_', ' ')} grows as (batch size)^{float(one['rate_power']):.2f}"
        ends = between(float(one["power_low"]), float(one["power_high"]), 2)
        if one["no_power"].item():
            notes.append(f"{lead}no power by which the best {by.replace('_', ' ')} grows: {one['no_power'].item()}")
        else:
            known = f"95 % interval {ends}" if ends else f"no interval: {one['no_power_interval'].item()}"
            notes.append(f"{lead}{power} ({known}); the linear rule has 1, the square root 0.5")
        if (one["regime"] == "bound").any():
            notes.append(
                f"{lead}<=: reached at the first record already, so the steps are only a bound, which no fit takes in; "
                "take a harder target"
            )
        if bool(one["at_edge"].any()):
            notes.append(f"{lead}*: the best {by.replace('_', ' ')} is at the edge of its range, a better one may lie beyond")
    notes += interval_notes(found["no_interval"].values.ravel().tolist())
    start = found.attrs["reference"]
    if found.attrs["along"] == "batch_size":
        start = found["batch_size"].values[found["batch_count"].values == start][0]
    from_there = f"{SHORT[found.attrs['along']]} = {start}"
    notes.append(f"linear, sqrt: steps by the rule from {from_there} on, over those of the best rate; -: not among the rates")
    return notes


def _regimes(one: xr.Dataset) -> str:
    kind, size = one["regime"].values, one["batch_size"].values
    perfect, none = size[kind == "perfect"], size[kind == "none"]
    said = [f"perfect scaling up to B = {perfect.max()}" if len(perfect) else "no range of perfect scaling"]
    said.append(f"no further gain from B = {none.min()} on" if len(none) else "steps fall up to the largest batch")
    if not (kind != "bound").any():
        return "the steps are bounds at every batch count, so they say nothing of scaling"
    return ", ".join(said)


def _critical(one: xr.Dataset) -> str:
    critical, low, high = (float(one[name]) for name in ("critical_batch_size", "critical_low", "critical_high"))
    fitted = np.isfinite(one["steps"].values) & (one["regime"].values != "bound")
    sizes = one["batch_size"].values[fitted]
    ends = "no interval" if math.isnan(low) else f"95 % interval {_count(low)} to {_count(high)}"
    if fitted.sum() < 3:
        return "critical batch size: fewer than three batch counts have steps to the target, too few to fit"
    if math.isnan(critical):
        side = "above" if high == math.inf else "below"
        return f"critical batch size: not between {sizes.min()} and {sizes.max()}, the curve has no bend there ({side}; {ends})"
    return f"critical batch size {critical:.0f} samples ({ends})"


def noise_rows(ds: xr.Dataset, best: xr.Dataset, found: xr.Dataset | None) -> list[dict[str, Any]]:
    """Noise along the best settings' runs, at the smallest, the middle and the largest batch size of each other setting.

    Args:
      ds: the result.
      best: its best settings.
      found: a scaling, whose best rates are taken in their place, and whose runs are measured up to the target alone.
    """
    source = best if found is None else found
    known = source["median_value" if found is None else "steps"]
    along = next((name for name in ("batch_count", "batch_size") if name in known.dims), None)
    searched = best["searched"].values.tolist() if found is None else [found.attrs["by"]]
    others = [str(dim) for dim in known.dims if dim != along]
    table = []
    for place in np.ndindex(*(source.sizes[dim] for dim in others)):
        chosen = dict(zip(others, place, strict=True))
        one = source.isel(chosen)
        finite = np.flatnonzero(np.isfinite(np.atleast_1d(one[known.name].values)))
        for each in finite[np.unique([0, len(finite) // 2, len(finite) - 1])] if len(finite) else []:
            at = one.isel({along: each}) if along else one
            # A scaling has its batch sizes in an order of their own.
            run = ds.isel(chosen).sel({along: at[along].item()} if along else {})
            for dim in dict.fromkeys(str(ds[name].dims[0]) for name in searched):
                own = [name for name in searched if ds[name].dims == (dim,)]
                same = [np.isclose(ds[name].values, at[name].item(), rtol=1e-9) for name in own]
                run = run.isel({dim: int(np.flatnonzero(np.all(same, axis=0))[0])})
            last = ds.sizes["epoch"] - 1
            last = last if found is None else min(last, max(1, math.ceil(float(at["epochs"]))))
            noise = run_noise(run, np.unique(np.linspace(0, last, CHECKPOINTS).astype(int)).tolist())
            scale = noise["noise_scale"].values
            mean = float(np.nanmean(scale)) if np.isfinite(scale).any() else math.nan
            row = {str(name): run[name].item() for name in run.coords if not run[name].dims}
            row |= {"batch_count": int(run["batch_count"]), "batch_size": int(run["batch_size"]), "last_epoch": last}
            row |= {"noise_scale": mean, "at_first": float(scale[0]), "at_last": float(scale[-1])}
            table.append(row | {"loss_deviation": float(noise["loss_deviation"].mean()), "seeds": noise.attrs["seeds"]})
    return table


def noise_table(table: Sequence[Row], to_target: bool) -> Table:
    """The noise along some settings' runs."""
    measured = ("batch_size", "last_epoch", "noise_scale", "at_first", "at_last", "loss_deviation", "seeds")
    names = [name for name in table[0] if name not in measured]
    names = [name for name in names if name == "batch_count" or len({row[name] for row in table}) > 1]
    texts = [SHORT.get(name, name.replace("_", " ")) for name in names]
    seeds = max(row["seeds"] for row in table)
    until = "to the target" if to_target else "of the runs"
    title = f"Noise: gradient noise scale in samples, mean over the epochs {until}, {seeds} seeds"
    made = plain_table(texts, ("noise scale", "at first", "at last", "epochs", "deviation of a sample's loss"), title)
    for row in table:
        scales = [_count(row[name]) for name in ("noise_scale", "at_first", "at_last")]
        made.add_row(
            *(number(row[name], 6) for name in names), *scales, f"0 to {row['last_epoch']}", number(row["loss_deviation"], 4)
        )
    return made
