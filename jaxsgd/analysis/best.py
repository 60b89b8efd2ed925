"""The best setting of a result for each value of the axes that stay; one axis tuned away; tuned settings compared."""

from collections.abc import Mapping

import numpy as np
import xarray as xr

from jaxsgd.analysis.choice import best_place, is_edge, seed_median
from jaxsgd.analysis.compare import compare
from jaxsgd.analysis.confidence import check_confidence, median_interval
from jaxsgd.error import InputError, check_count
from jaxsgd.measure.observable import direction
from jaxsgd.results.axes import (
    axis_dim,
    axis_names,
    axis_values,
    cell_dims,
    check_finished,
    coords_along,
    is_numeric,
    seed_dims,
    select_example,
)
from jaxsgd.results.metric import STRIPES, cost, final, metric_named
from jaxsgd.study.dimensions import KEPT


def best(
    ds: xr.Dataset, metric: str | None = None, *, confidence: float = 0.95, resamples: int = 1000, seed: int = 0
) -> xr.Dataset:
    """Return the best setting for each optimizer, order, schedule and batch count: of the rate, the momentum, ..., or the draw.

    The best setting has the lowest median over the seeds after the last epoch (of an accuracy the highest); a run that diverged
    counts as infinitely bad. The same seeds select and evaluate, so this is optimistic; `tune` evaluates on held-out seeds.

    Args:
      ds: a result; cells that have not been run are left out.
      metric: by which settings are judged; by default "validation_loss" if the result has it, else "train_loss", else
        "loss_epoch".
      confidence: level of the interval, between 0 and 1.
      resamples, seed: of the bootstrap over the seeds that gives the interval.

    Returns:
      A Dataset along those of the axes "optimizer", "order", "schedule", "batch_rule", "batch_count", "batch_size" that have a
      dimension of their own:

      - `median_value` of the metric with `low` and `high` of its interval; NaN if nothing was run, infinite if too many of the
        seeds diverged; the interval is NaN if the seeds do not support one, and `no_interval` gives the reason;
      - each searched axis, at the best setting; NaN, or empty, if nothing was run;
      - `at_edge`: booleans, also along a first dimension `searched`, which names the searched axes: true if the axis's best
        value is the least or the greatest of three numbers or more, so that a better one may lie beyond; a 0 is no edge,
        because nothing lies beyond it;
      - `diverged` and `seeds`: numbers of runs at the best setting (if too many runs of every setting diverged, at the setting
        with the fewest); `diverged_share`: of all runs that were tried;
      - `stripe_gap`, `stripe_index`, `stripe_slope`: medians over the seeds at that setting; the index is NaN if there are too
        few windows for it (`jaxsgd.measure.stripes.is_telling`).

    Raises:
      InputError: for a metric that the result does not have, or a confidence level outside (0, 1).
    """
    metric = metric_named(ds, metric)
    check_confidence(confidence)
    sign = direction(metric)
    dims, seeds = cell_dims(ds), seed_dims(ds)
    kept = [dim for dim in dims if dim not in seeds and set(coords_along(ds, dim)) & set(KEPT) and dim != "draw"]
    searched = [dim for dim in dims if dim not in (*kept, *seeds)]

    def flat(array: xr.DataArray) -> np.ndarray:
        """Return [P, T, R]: places of the kept axes, settings tried, seeds."""
        lengths = [int(np.prod([ds.sizes[dim] for dim in group], dtype=int)) for group in (kept, searched, seeds)]
        return array.transpose(*kept, *searched, *seeds).values.astype(np.float64).reshape(lengths)

    diverged = flat(ds["diverged"]) > 0
    costs = flat(cost(ds, metric))
    known = ~np.isnan(costs)
    medians = seed_median(costs)
    chosen = best_place(medians)
    good = chosen >= 0
    # If no setting is good, the counts are those of the setting with the fewest diverged runs.
    shown_at = np.where(good, chosen, np.where(known.any(axis=-1), diverged.sum(axis=-1), np.inf).argmin(axis=-1))

    def at_best(array: np.ndarray) -> np.ndarray:
        return np.take_along_axis(array, shown_at.reshape(-1, 1, *[1] * (array.ndim - 2)), axis=1)[:, 0]

    own = at_best(costs)
    low, high, reason = median_interval(own, sign, confidence, resamples, seed)

    shape = [ds.sizes[dim] for dim in kept]
    positions = np.unravel_index(shown_at, [ds.sizes[dim] for dim in searched]) if searched else ()
    units = str(ds[metric].attrs.get("units", "1"))
    columns: dict[str, tuple] = {
        "median_value": (sign * at_best(medians), units, f"median {metric} over the seeds at the best setting"),
        "low": (low, units, f"lower end of its {100 * confidence:g} % interval"),
        "high": (high, units, f"upper end of its {100 * confidence:g} % interval"),
        "no_interval": (reason, "1", "reason if there is no interval, else empty"),
    }
    edges, names = [], []
    for dim, position in zip(searched, positions, strict=True):
        for name in coords_along(ds, dim):
            axis = ds[name].values
            values = axis[position] if good.all() else _only(axis[position], good)
            columns[name] = (values, str(ds[name].attrs.get("units", "1")), f"{name} of the best setting")
            names.append(name)
            edges.append(np.reshape(good & is_edge(axis, position), shape))
    columns |= {
        "diverged": (at_best(diverged).sum(axis=-1), "runs", "diverged runs at the best setting"),
        "seeds": (at_best(known).sum(axis=-1), "runs", "runs at the best setting"),
        "diverged_share": (_share(diverged, known), "1", "share of all runs that diverged"),
    }
    for name in STRIPES:
        finite = np.where(at_best(diverged), np.nan, at_best(flat(final(ds, name))))
        columns[name] = (seed_median(finite), *_described(ds, name))
    variables = {
        name: (kept, np.reshape(array, shape), {"units": unit, "long_name": text})
        for name, (array, unit, text) in columns.items()
    }
    meaning = {"units": "1", "long_name": "true if the best value is the least or the greatest that was tried"}
    variables["at_edge"] = (["searched", *kept], np.reshape(edges, [len(names), *shape]).astype(bool), meaning)
    coords = {name: c for name, c in ds.coords.items() if c.dims and set(c.dims) <= set(kept) and name not in columns}
    coords["searched"] = xr.DataArray(np.asarray(names, dtype=str), dims="searched")
    attrs = {"title": f"best settings by {metric}", "metric": metric, "confidence": float(confidence), "units": units}
    attrs |= {"seeds": own.shape[-1], "tried": medians.shape[-1], "axes": [name for name in axis_names(ds) if name in KEPT]}
    return xr.Dataset(variables, coords, attrs)


def _only(values: np.ndarray, good: np.ndarray) -> np.ndarray:
    """Return the values, with NaN or an empty text where there is no best setting."""
    return np.where(good, values, np.nan if is_numeric(values) else "")


def _share(diverged: np.ndarray, known: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore", divide="ignore"):
        return (diverged & known).sum(axis=(-2, -1)) / known.sum(axis=(-2, -1))


def _described(ds: xr.Dataset, name: str) -> tuple[str, str]:
    return str(ds[name].attrs.get("units", "1")), f"median {name.replace('_', ' ')} over the seeds at the best setting"


def tune(ds: xr.Dataset, tuning_seeds: int, metric: str | None = None, *, tune: str = "learning_rate") -> xr.Dataset:
    """Return each setting at its own best value of one axis, as the runs of the seeds that did not choose that value.

    All settings are tuned on the same values and seeds, so with the same budget. The best value has the lowest median over the
    tuning seeds after the last epoch (of an accuracy the highest); a run that diverged counts as infinitely bad. `best` chooses
    by the same rule. Evaluating on other seeds avoids an optimistic result (Bouthillier et al. 2021).

    Args:
      ds: a result with a dimension of seeds.
      tuning_seeds: how many seeds, from the first, choose; at least one is left to evaluate. With 0 all seeds choose and all
        are returned: for other measures along the best runs, since the metric itself is then optimistic.
      metric: by which settings are judged; by default "validation_loss" if the result has it, else "train_loss", else
        "loss_epoch".
      tune: the axis that is tuned away.

    Returns:
      The Dataset without that dimension and those seeds. The tuned axis is a coordinate along the other axes, and so is
      `at_edge`, a boolean: true if the best value is the least or the greatest of three numbers or more and not 0, so that a
      better one may lie beyond. If every value diverges, the first stands for all. The attribute `tuned` names the axis.

    Raises:
      InputError: for an axis or a metric that the result does not have, no dimension of seeds or too few seeds, or an
        unfinished result.
    """
    return tuned_by(ds, tuning_seeds, metric_named(ds, metric), tune)


def tuned_by(ds: xr.Dataset, tuning_seeds: int, metric: str, axis: str) -> xr.Dataset:
    """Return what `tune` returns, for callers that have an argument of its name."""
    dim = axis_dim(ds, axis)
    seeds = seed_dims(ds, (dim,))
    if tuning_seeds == 0 and not isinstance(tuning_seeds, bool):
        check_finished(ds, "tuned")
        return _at_best(ds, ds, metric, axis)
    if len(seeds) != 1:
        raise InputError(
            f"to tune and evaluate on different seeds a result needs one dimension of seeds, got {seeds or 'none'}"
        )
    count = ds.sizes[seeds[0]]
    if count < 2:
        raise InputError("to tune and evaluate on different seeds there must be at least 2 seeds, got 1")
    choosing = check_count("tuning_seeds", tuning_seeds, count - 1, "at least one seed is left to evaluate")
    check_finished(ds, "tuned")
    choose, evaluate = (ds.isel({seeds[0]: part}) for part in (slice(choosing), slice(choosing, None)))
    return _at_best(choose, evaluate, metric, axis)


def _at_best(choose: xr.Dataset, evaluate: xr.Dataset, metric: str, axis: str) -> xr.Dataset:
    """Return the runs of one result at the values of an axis that the runs of another, with the same axes, choose."""
    dim, costs = axis_dim(choose, axis), cost(choose, metric)
    seeds = seed_dims(choose, (dim,))
    others = [str(name) for name in costs.dims if name not in (dim, *seeds)]
    table = costs.transpose(*others, dim, *seeds).values
    medians = seed_median(table.reshape(*table.shape[: len(others) + 1], -1))
    chosen = best_place(medians)
    best_runs = evaluate.isel({dim: xr.DataArray(np.maximum(chosen, 0), dims=others)})
    attrs = {"units": "1", "long_name": f"true if the best {axis} is the least or the greatest that was tried"}
    at_edge = others, is_edge(axis_values(choose, axis), chosen), attrs
    return best_runs.assign_coords(at_edge=at_edge).assign_attrs(tuned=axis)


def benchmark(
    results: dict[str, xr.Dataset],
    axis: str = "optimizer",
    *,
    tuning_seeds: int,
    metric: str | None = None,
    tune: str = "learning_rate",
    reference: object = None,
) -> xr.Dataset:
    """Compare settings on several problems: each is tuned there with the same budget and evaluated on other, shared seeds.

    Args:
      results: by the problem's name; all with the same values of `axis`, and no other axes besides `tune` and the seeds.
      axis: the axis that is compared.
      tuning_seeds, metric, tune: as in `jaxsgd.tune`.
      reference: as in `compare`.

    Returns:
      The Dataset of `compare`, along a first dimension `problem`, with the best values of the tuned axis and `at_edge`, and
      `overall_rank` along `axis`: the mean of the ranks over the problems.

    Raises:
      InputError: as `jaxsgd.tune` and `compare`; for no result; for results that do not have the same values of `axis`.
    """
    if not results:
        raise InputError("benchmark needs at least one result")
    compared = []
    for name, ds in results.items():
        metric = metric_named(ds, metric)
        tuned = tuned_by(ds, tuning_seeds, metric, tune)
        dim = axis_dim(tuned, axis)
        extra = [other for other in cell_dims(tuned) if other not in (dim, *seed_dims(tuned)) and tuned.sizes[other] > 1]
        if extra:
            example = select_example({other: axis_values(tuned, other) for other in extra})
            raise InputError(
                f"{name}: a benchmark has one axis, {axis}: select one value of {', '.join(extra)}, as {example}, or compare "
                f"all in Python: jaxsgd.compare(jaxsgd.tune(ds, {tuning_seeds}), {axis!r})"
            )
        tuned = tuned.squeeze([other for other in cell_dims(tuned) if tuned.sizes[other] == 1 and other != dim], drop=True)
        own = compare(tuned, axis, metric, reference=reference)
        compared.append(own.assign({part: tuned[part] for part in (tune, "at_edge")}).reset_coords(drop=False))
    check_same_values(dict(zip(results, compared, strict=True)), axis)
    names = xr.DataArray(list(results), dims="problem", name="problem")
    joined: xr.Dataset = xr.concat(compared, names, combine_attrs="drop_conflicts")  # type: ignore[assignment]
    rank = joined["mean_rank"].mean("problem", skipna=False)
    rank.attrs = {"units": "1", "long_name": "mean over the problems of the mean rank over the seeds, 1 for the best"}
    return joined.assign(overall_rank=rank).assign_attrs(tune=tune)


def check_same_values(results: Mapping[str, xr.Dataset], axis: str) -> None:
    """Check that all results have the same values of an axis.

    Raises:
      InputError: with the name of the first that differs, and both lists.
    """
    first = None
    for name, ds in results.items():
        values = axis_values(ds, axis).tolist()
        first = values if first is None else first
        if values != first:
            raise InputError(f"{name}: has {axis} {values}, and the others {first}")
