"""The numbers and texts of a report: read off a result, and worked out by `jaxsgd.analysis`, as plain values."""

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from jaxsgd.analysis.best import best
from jaxsgd.analysis.compare import compare
from jaxsgd.analysis.confidence import CONFIDENCE, FEWEST_SIZES, fewest_seeds, resampled_seeds
from jaxsgd.analysis.rows import best_rows, rows
from jaxsgd.analysis.scaling import RULED, reachable_target, scaling
from jaxsgd.analysis.steps_by_size import FINE, WITHIN
from jaxsgd.error import InputError, counted
from jaxsgd.measure.observable import better_of
from jaxsgd.measure.stripes import stripes
from jaxsgd.number import value_text
from jaxsgd.plot.axis import budget, measure_label, metric_label, metric_words, setting, speaking_name
from jaxsgd.plot.scale import LOG_FROM, is_log
from jaxsgd.report.packing import pack_array, plain
from jaxsgd.results.axes import axis_dim, axis_values, cell_dims, coords_along, is_numeric, seed_dims, stored
from jaxsgd.results.dataset import views
from jaxsgd.results.metric import TIMES, final, metric_named, metrics, record_axis, record_steps, time_dim
from jaxsgd.study.dimensions import SIZE_AXES

MOST_ARRAY_LETTERS = 4_600_000
"""Letters for the numbers of the cells, so that a page has less than 6 MB in all."""

MOST_ROWS = 20_000
"""Rows of paired comparisons; metrics after the first are left out past them."""

RESAMPLES = 1000
"""Draws of the bootstrap by which the page gives an interval to the steps to another target, as `scaling` does."""


class Contents(NamedTuple):
    """The contents of a page.

    Attributes:
      description: texts, axes, metrics and tables, as plain values.
      arrays: by name, the arrays of the cells as `pack_array` gives them, with `dims`, and `records`: the positions of the
        records that are kept, None for all.
    """

    description: dict[str, Any]
    arrays: dict[str, dict[str, Any]]


def contents(ds: xr.Dataset, metric: str | None, target: float | None, question: str, folder: str) -> Contents:
    """Return the contents of the report of a result.

    Args:
      ds: a result.
      metric: shown first; None for the default metric.
      target: of the scaling view; None for one that every batch count reaches.
      question: that the study answers; empty if it is not known.
      folder: of the result, for the commands that the page shows.

    Raises:
      InputError: for anything that is no result, or a metric that it does not have.
    """
    dims = cell_dims(ds)
    first = str(metric_named(ds, metric))
    names = sorted((name for name in metrics(ds) if set(ds[name].dims) <= {*dims, *TIMES}), key=lambda name: name != first)
    notes: list[str] = []
    arrays = _arrays(ds, dims, names, notes)
    tables = {name: _best(ds, name) for name in names if better_of(metric_named(ds, name)) != "neither"}
    description = {
        "question": question or f"Results of {stored(ds, 'study').get('problem', 'a study')}",
        "ran": _ran(ds, dims),
        "facts": _facts(ds, folder),
        "folder": folder,
        "dims": {dim: ds.sizes[dim] for dim in dims},
        "axes": _axes(ds, dims),
        "cell_coordinates": [str(name) for name in ds.coords if len(ds[name].dims) == 1 and ds[name].dims[0] in dims],
        "texts": {
            str(name): {"dim": coord.dims[0], "values": [str(value) for value in coord.values]}
            for name, coord in ds.coords.items()
            if len(coord.dims) == 1 and coord.dims[0] in dims and not is_numeric(coord.values)
        },
        "columns": _columns(ds, dims),
        "metrics": [_metric(ds, name) for name in names],
        "along": str(ds["batch_count"].dims[0]) if ds["batch_count"].dims else "",
        "eval_interval": ds.attrs.get("eval_interval"),
        "best": tables,
        "compare": _comparisons(ds, names, notes),
        "scaling": _scaling(ds, names, target, arrays),
        "notes": notes,
        "constants": {
            "confidence": CONFIDENCE, "within": WITHIN, "log_from": LOG_FROM, "drawn": RESAMPLES,
            "fewest_seeds": fewest_seeds(CONFIDENCE), "fine": FINE, "fewest_sizes": FEWEST_SIZES,
        },
    }  # fmt: skip
    return Contents(plain(description), arrays)


def _ran(ds: xr.Dataset, dims: Sequence[str]) -> str:
    """Return in a sentence what was run."""
    several = [dim for dim in dims if ds.sizes[dim] > 1]
    product = " \N{MULTIPLICATION SIGN} ".join(_counted_values(ds, dim) for dim in several)
    runs = math.prod(ds.sizes[dim] for dim in dims)
    seeds = seed_dims(ds)
    fixed = setting(ds, [dim for dim in several if dim not in seeds])
    return f"{counted(runs, 'run')} of {budget(ds)}{f' ({product})' if product else ''}: {fixed}."


def _counted_values(ds: xr.Dataset, dim: str) -> str:
    return counted(ds.sizes[dim], speaking_name(ds, dim).replace("_", " "))


def _facts(ds: xr.Dataset, folder: str) -> list[list[str]]:
    """Return what a reader needs in order to trust the numbers: labels and texts."""
    study, manifest = stored(ds, "study"), stored(ds, "manifest")
    times, device = manifest.get("times", {}), manifest.get("device", {})
    diverged, missing = int(ds["diverged"].sum()), int(ds["missing"].sum())
    facts = [
        ("problem", str(study.get("problem", ""))),
        ("diverged", counted(diverged, "run")),
        ("not run yet", counted(missing, "run") if missing else ""),
        ("ran", " to ".join(str(times[name]) for name in ("began", "finished") if times.get(name))),
        ("versions", ", ".join(f"{name} {text}" for name, text in manifest.get("versions", {}).items())),
        ("device", ", ".join(f"{name} {text}" for name, text in device.items()) if isinstance(device, dict) else str(device)),
        ("commit", str(manifest.get("git_commit") or "")),
        ("identity of the study", str(manifest.get("identity", ""))),
        ("check these numbers", f"jaxsgd verify {folder} --sample 20"),
        ("the study", ", ".join(f"{name}={value}" for name, value in study.items() if value not in (None, [], {}, ""))),
    ]
    return [[label, text] for label, text in facts if text]


def _axes(ds: xr.Dataset, dims: Sequence[str]) -> list[dict[str, Any]]:
    """Return the axes with several values, by name; of the batch count and the batch size, the study's own axis only."""
    seeds, axes = seed_dims(ds), []
    for dim in (dim for dim in dims if ds.sizes[dim] > 1):
        along = coords_along(ds, dim) or [dim]
        own = [name for name in along if not (name in SIZE_AXES and dim in SIZE_AXES and name != dim)]
        for name in own:
            values = axis_values(ds, name)
            numeric = is_numeric(values)
            log = numeric and name not in seeds and dim not in seeds and is_log(float(values.min()), float(values.max()))
            axes.append(
                {
                    "name": name, "dim": dim, "words": name.replace("_", " "), "numeric": numeric, "log": log,
                    "seed": dim in seeds, "values": values.tolist(), "texts": [value_text(value) for value in values.tolist()],
                }
            )  # fmt: skip
    return axes


def _metric(ds: xr.Dataset, name: str) -> dict[str, Any]:
    better = better_of(metric_named(ds, name))
    return {
        "name": name,
        "words": metric_words(ds, name),
        "label": metric_label(ds, name),
        "final_label": measure_label(ds, name),
        "better": better,
        "time": time_dim(ds, name),
        "unit_of_x": record_axis(ds, name)[1] if time_dim(ds, name) else "",
        "of_stop": name in ("stopped_step", "stopped_epoch"),
    }


def _columns(ds: xr.Dataset, dims: Sequence[str]) -> list[dict[str, Any]]:
    """Return the columns of the CSV file for each dimension of records, in the order in which `export` has them."""
    kept = [str(name) for name, variable in ds.data_vars.items() if set(variable.dims) <= {*dims, *TIMES}]
    times = [time for time in TIMES if time in ds.dims]
    groups = []
    for time in times:
        others = [other for other in times if other != time]
        coords = [str(name) for name, coord in ds.coords.items() if coord.dims and not {*others, "batch"} & set(coord.dims)]
        variables = [name for name in kept if not set(others) & set(ds[name].dims)]
        groups.append({"time": time, "coordinates": coords, "variables": variables, "length": ds.sizes[time]})
    return groups


def _arrays(ds: xr.Dataset, dims: Sequence[str], names: Sequence[str], notes: list[str]) -> dict[str, dict[str, Any]]:
    """Return the arrays of the page; what does not fit is thinned, and a note says how."""
    packed = {
        str(name): _packed(coord, coord.dims)
        for name, coord in ds.coords.items()
        if coord.dims and coord.dtype.kind in "iufb" and "batch" not in coord.dims
    }
    for name in names:
        packed[f"final:{name}"] = _packed(final(ds, name).astype(np.float64), _dims_of(final(ds, name), dims))
        if time_dim(ds, name):
            for label, part in (("x", record_axis(ds, name)[0]), ("steps", record_steps(ds, name))):
                packed[f"{label}:{name}"] = _packed(xr.DataArray(part), xr.DataArray(part).dims)
    for name, array in ds.data_vars.items():
        if set(array.dims) <= set(dims):
            packed[str(name)] = _packed(array, _dims_of(array, dims))
    by_record = [name for name in names if time_dim(ds, name)]
    striped = _striped(ds, dims) if "loss" in ds else {}
    for place, name in enumerate(by_record):
        left = MOST_ARRAY_LETTERS - _letters(packed)
        share = left if place == 0 and not striped else left / (len(by_record) - place + bool(striped))
        packed[name] = _thinned(ds, name, dims, share, notes)
    if striped:
        _add_striped(striped, packed, notes)
    if "loss" in ds:
        notes.append("the losses of single batches are not in this page; jaxsgd export has them")
    return packed


def _thinned(ds: xr.Dataset, name: str, dims: Sequence[str], most: int | float, notes: list[str]) -> dict[str, Any]:
    """Return the records of a metric as an array of at most so many letters; if some are left out, a note says so."""
    time = str(time_dim(ds, name))
    length = wanted = ds.sizes[time]
    while True:
        records = np.unique(np.round(np.linspace(length - 1, 0, wanted)).astype(int))
        listed = None if wanted == length else records.tolist()
        packed = _packed(ds[name].isel({time: records}), [*_dims_of(ds[name], dims), time], listed)
        letters = len(packed["data"])
        if letters <= most or wanted == 1:
            break
        wanted = max(1, min(wanted // 2, int(wanted * most / letters)))
    if wanted < length:
        notes.append(f"{metric_words(ds, name)}: {wanted} of {length} records of a run are in this page, evenly spaced")
    return packed


def _packed(array: xr.DataArray, dims: Iterable[Hashable], records: list[int] | None = None) -> dict[str, Any]:
    """Return an array of the page, with its dimensions in an order, and the numbers of its records if some are left out."""
    names = [str(dim) for dim in dims]
    return {**pack_array(array.transpose(*names).values), "dims": names, "records": records}


def _dims_of(array: xr.DataArray, dims: Iterable[str]) -> list[str]:
    """Return the dimensions that an array has, in the order of `dims`."""
    return [dim for dim in dims if dim in array.dims]


def _letters(packed: Mapping[str, Mapping[str, Any]]) -> int:
    return sum(len(array["data"]) for array in packed.values())


def _striped(ds: xr.Dataset, dims: Sequence[str]) -> dict[str, xr.DataArray]:
    """Return the striped view of each cell, and the level of each stripe; empty if no window fits into a run."""
    try:
        seen = views(ds)
    except InputError:
        return {}
    width, along = int(ds.attrs["eval_interval"]), str(ds["batch_count"].dims[0])
    counts = np.atleast_1d(ds["batch_count"].values)
    loss = ds["loss"].transpose(along, *(dim for dim in dims if dim != along), "epoch", "batch").values
    parts = []
    for losses, count in zip(loss, counts, strict=True):
        fits = losses.shape[-2] * int(count) >= width
        parts.append(stripes(losses[..., : int(count)], width).level if fits else np.full((*losses.shape[:-2], 1), np.nan))
    most = max(part.shape[-1] for part in parts)
    level = np.full((len(parts), *parts[0].shape[:-1], most), np.nan)
    for place, part in enumerate(parts):
        level[place, ..., : part.shape[-1]] = part
    levels = xr.DataArray(level, dims=[along, *(dim for dim in dims if dim != along), "position"])
    return {
        "level": levels.transpose(*dims, "position"),
        "striped": seen["striped"].transpose(*dims, "window").astype(ds["loss"].dtype),
        "window_time": seen["window_time"],
        "window_stripe": seen["stripe"],
    }


def _add_striped(striped: Mapping[str, xr.DataArray], packed: dict[str, dict[str, Any]], notes: list[str]) -> None:
    """Add the striped view; of one that does not fit, the first windows of each run."""
    length = wanted = striped["striped"].sizes["window"]
    while True:
        for name, array in striped.items():
            part = array.isel(window=slice(0, wanted)) if "window" in array.dims else array
            packed[name] = _packed(part, part.dims)
        if _letters(packed) <= MOST_ARRAY_LETTERS or wanted <= 1:
            break
        wanted //= 2
    if wanted < length:
        notes.append(f"striped view: the first {wanted} of {length} windows are in this page")


def _best(ds: xr.Dataset, name: str) -> dict[str, Any]:
    """Return the best settings by a metric: the rows of `jaxsgd.best`."""
    chosen = best(ds, name, confidence=CONFIDENCE)
    searched = chosen["searched"].values.tolist()
    table = best_rows(chosen)
    places = [str(coord) for coord in chosen.coords if coord != "searched" and coord in table[0]] if table else []
    return {"places": places, "searched": searched, "rows": table}


def _comparisons(ds: xr.Dataset, names: Sequence[str], notes: list[str]) -> dict[str, dict[str, Any]]:
    """Return the paired comparisons along each axis but the seeds, by metric and axis."""
    tables: dict[str, dict[str, Any]] = {}
    count = 0
    axes = [axis for axis in _axes(ds, cell_dims(ds)) if not axis["seed"]]
    for name in names:
        if better_of(metric_named(ds, name)) == "neither":
            continue
        own = {axis["name"]: _comparison(ds, axis, name) for axis in axes if axis["dim"] in final(ds, name).dims}
        count += sum(len(table["rows"]) for table in own.values())
        if count > MOST_ROWS and tables:
            notes.append(f"paired comparisons by {metric_words(ds, name)} are left out: jaxsgd compare gives them")
        else:
            tables[name] = own
    return tables


def _comparison(ds: xr.Dataset, axis: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return the paired differences along an axis, without the rows of the reference itself."""
    # Of axes that vary together, `compare` takes any, and its rows name all.
    compared = compare(ds, axis["name"], name, confidence=CONFIDENCE)
    table = [row for row in rows(compared) if row[axis["name"]] != compared.attrs["reference"]]
    places = [other["name"] for other in _axes(ds, cell_dims(ds)) if not other["seed"] and other["dim"] != axis["dim"]]
    return {"reference": compared.attrs["reference"], "places": places, "rows": table}


def _scaling(ds: xr.Dataset, names: Sequence[str], target: float | None, arrays: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return what the view of the steps to a target needs, by metric; empty if the result has no scaling.

    Where the reader may change the target, the seeds that the bootstrap draws are put among the arrays.
    """
    tables: dict[str, Any] = {}
    for place, name in enumerate(names):
        if not time_dim(ds, name) or better_of(metric_named(ds, name)) == "neither":
            continue
        own = target if place == 0 and target is not None else reachable_target(ds, best(ds, name, resamples=1))
        if own is None:
            continue
        own = float(f"{own:.6g}")  # without the rounding of its factors
        try:
            scaled = scaling(ds, own, name, confidence=CONFIDENCE, resamples=RESAMPLES)
        except InputError:
            continue
        others, seeds = list(scaled["nearest"].dims), scaled.attrs["seeds"]
        if seeds > 1:
            drawn = {**pack_array(resampled_seeds(seeds, RESAMPLES, 0)), "dims": ["draw", "seed_of_draw"], "records": None}
            arrays.setdefault(f"drawn:{seeds}", drawn)
        tables[name] = {
            "target": own,
            "tune": scaled.attrs["tune"],
            "tune_dim": axis_dim(ds, scaled.attrs["tune"]),
            "tune_values": axis_values(ds, scaled.attrs["tune"]).tolist(),
            "along": scaled.attrs["along"],
            "others": others,
            "resolution": scaled.attrs["resolution"],
            "samples": stored(ds, "manifest")["num_samples"],
            "rows": rows(scaled.drop_vars([*RULED, "rule"])),
            # By another target the page counts the steps itself, for which it needs all records.
            "fixed": "the records are thinned" if arrays[name]["records"] is not None
            else "its runs stop at a target" if "stopped_step" in ds else "",
        }  # fmt: skip
    return tables
