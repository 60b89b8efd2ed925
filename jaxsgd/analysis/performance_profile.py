"""Performance profiles: the share of problems on which a setting is within a factor of the best setting.

Reference: Dolan and More 2002, "Benchmarking optimization software with performance profiles", Mathematical Programming 91.
"""

from collections.abc import Mapping

import numpy as np
import xarray as xr
from jaxtyping import Float
from numpy.typing import ArrayLike

from jaxsgd.analysis.best import check_same_values, tuned_by
from jaxsgd.analysis.choice import seed_median
from jaxsgd.analysis.scaling import target_reach
from jaxsgd.error import InputError, check_finite, shown
from jaxsgd.measure.observable import better_of, direction
from jaxsgd.results.axes import axis_dim, axis_names, axis_values, cell_dims, check_finished, coords_along, seed_dims
from jaxsgd.results.metric import cost, metric_named

STEPS = "steps_to_target"
"""The variable with the steps of each run to the target."""


def performance_ratio(value: ArrayLike, *, higher: bool = False) -> Float[np.ndarray, "*problems V"]:
    """Return the performance ratio of V settings on each problem: 1 for the best, 2 for one that is twice as bad.

    Dolan and More 2002, r = t / min t; of a metric of which higher is better, max / value.

    Args:
      value: [..., V], positive; infinite or NaN for a setting that failed.
      higher: True if higher is better.

    Returns:
      [..., V], 1 or more; infinite for a failure, and for all settings of a problem on which all failed.

    Raises:
      InputError: for a value that is zero or negative, of which a ratio means nothing.
    """
    value = np.asarray(value, np.float64)
    works = np.isfinite(value)
    if (value[works] <= 0).any():
        raise InputError(f"a ratio to the best needs values above 0, got {shown(float(value[works].min()))}")
    spent = np.where(works, 1 / np.where(works, value, 1) if higher else value, np.inf)
    best = spent.min(axis=-1, keepdims=True, initial=np.inf)
    with np.errstate(invalid="ignore"):
        return np.where(works, spent / best, np.inf)


def profile_share(ratio: ArrayLike, factor: ArrayLike) -> Float[np.ndarray, "V factors"]:
    """Return the share of problems on which each setting is within a factor of the best.

    Dolan and More 2002: rho(tau), the number of problems with a ratio of at most tau, divided by the number of problems.

    Args:
      ratio: [P, V], as `performance_ratio` returns it.
      factor: [T], tau; infinity counts the problems on which the setting did not fail.

    Returns:
      [V, T], from 0 to 1.
    """
    ratio, factor = np.asarray(ratio, np.float64), np.atleast_1d(np.asarray(factor, np.float64))
    # A hair of rounding must not put a tie on the other side of a factor.
    within = np.isfinite(ratio)[..., None] & (ratio[..., None] <= factor * (1 + 1e-12))
    return within.mean(axis=0)


def performance_profile(
    results: Mapping[str, xr.Dataset],
    axis: str = "optimizer",
    metric: str | None = None,
    *,
    target: float | Mapping[str, float] | None = None,
    tuning_seeds: int = 0,
    tune: str = "learning_rate",
) -> xr.Dataset:
    """Return the performance profile of the values of an axis over several problems.

    A problem is a result at a value of each of its other axes, such as the batch count. On each, a setting counts by the median
    over the seeds: of the steps to a target, or of the metric after the last epoch. A run that diverged or never reached the
    target is infinitely bad.

    Args:
      results: finished results by the problem's name; all with the same values of `axis`.
      axis: the axis that is compared.
      metric: by which settings are judged; by default "validation_loss" if the result has it, else "train_loss", else
        "loss_epoch".
      target: of the metric, for all problems or by the problem's name: the steps to it are compared. By default the metric
        itself, which must be positive, so that a ratio to the best means something.
      tuning_seeds: how many seeds, from the first, choose the best value of `tune` for each setting; the others count. 0 if
        nothing is tuned.
      tune: the axis that is tuned.

    Returns:
      A Dataset along `problem` and `axis`: `value`, the median over the seeds (infinite, or minus infinity where higher is
      better, for a failure), and `ratio`, that to the best value on the problem. Along `axis` and `factor`: `share` of the
      problems with a ratio of at most the factor; the factors are all ratios, so that nothing changes between two of them.
      `solved` along `axis`: the share of problems without a failure.

    Raises:
      InputError: for an axis or a metric that a result does not have; other values of the axis than in the first result; an
        unfinished result; an axis `tune` of several values that is not tuned; a metric that may be zero or negative; a metric
        of which neither direction is better; no result.
    """
    if not results:
        raise InputError("a performance profile needs at least one result")
    names: list[str] = []
    rows: list[np.ndarray] = []
    seeds = []
    check_same_values({name: ds for name, ds in results.items() if axis_dim(ds, axis)}, axis)
    for name, ds in results.items():
        metric = metric_named(ds, metric, by_epoch=target is not None)
        costs, used = _costs(name, ds, axis, metric, _target_of(target, name), tuning_seeds, tune)
        instances, medians = _instances(name, costs, axis_dim(ds, axis), used)
        names += instances
        rows.append(medians)
        seeds.append(int(np.prod([costs.sizes[dim] for dim in seed_dims(used) if dim in costs.dims], dtype=int)))
    first = next(iter(results.values()))
    assert metric is not None
    sign = 1.0 if target is not None else direction(metric)
    values = sign * np.concatenate(rows)
    works = np.isfinite(values)
    if (values[works] <= 0).any():
        problem, place = (int(part[0]) for part in np.nonzero(works & (values <= 0)))
        where = f"{axis_values(first, axis)[place]} on {names[problem]}"
        raise InputError(
            f"{metric if target is None else STEPS} is {values[problem, place]:.3g} for {where}, and a ratio to the best means "
            "something for numbers above 0 only: name another metric, or a target, and the steps to it are compared"
        )
    ratio = performance_ratio(values, higher=sign < 0)
    factors = np.unique(np.append(ratio[np.isfinite(ratio)], 1.0))
    units = "steps" if target is not None else str(first[metric].attrs.get("units", "1"))
    what = f"steps to the target of {metric}" if target is not None else metric
    described = {
        "value": (("problem", axis), values, units, f"median {what} over the seeds"),
        "ratio": (("problem", axis), ratio, "1", "factor to the best value on the problem; infinite for a failure"),
        "share": ((axis, "factor"), profile_share(ratio, factors), "1", "share of problems within a factor of the best"),
        "solved": ((axis,), np.isfinite(ratio).mean(axis=0), "1", "share of problems without a failure"),
    }
    attrs = {"title": f"performance profile of {axis} by {what}", "axis": axis, "metric": metric, "seeds": min(seeds)}
    return xr.Dataset(
        {name: (dims, array, {"units": unit, "long_name": text}) for name, (dims, array, unit, text) in described.items()},
        {"problem": names, axis: axis_values(first, axis), "factor": factors},
        attrs | {"what": what},
    )


def _target_of(target: float | Mapping[str, float] | None, name: str) -> float | None:
    if isinstance(target, Mapping):
        if name not in target:
            raise InputError(f"{name} has no target: give a target for each result, or the same for all")
        target = target[name]
    return None if target is None else check_finite("target", target)


def _costs(
    name: str, ds: xr.Dataset, axis: str, metric: str, target: float | None, tuning_seeds: int, tune: str
) -> tuple[xr.DataArray, xr.Dataset]:
    """Return the cost of each run, lower is better and infinite for a failure; and the result, tuned where that is wanted."""
    if target is None and better_of(metric) == "neither":
        raise InputError(f"no setting is better than another by {metric}: name another metric")
    check_finished(ds, "compared", name)
    own = metric
    if target is not None:
        steps = target_reach(ds, target, metric).steps
        ds = ds.assign({STEPS: steps.fillna(np.inf)})
        own = STEPS
    if tuning_seeds:
        ds = tuned_by(ds, tuning_seeds, own, tune)
    elif (
        tune in axis_names(ds) and tune != axis and axis_dim(ds, tune) != axis_dim(ds, axis) and len(axis_values(ds, tune)) > 1
    ):
        count = len(axis_values(ds, tune))
        raise InputError(f"{name}: {tune} has {count} values: let seeds choose the best with tuning_seeds, or select one")
    return cost(ds, own), ds


def _instances(name: str, costs: xr.DataArray, dim: str, ds: xr.Dataset) -> tuple[list[str], np.ndarray]:
    """Return the names of a result's problems, one for each place of its other axes, and the median costs [P, V]."""
    seeds = [other for other in seed_dims(ds, (dim,)) if other in costs.dims]
    others = [other for other in cell_dims(ds) if other in costs.dims and other not in (dim, *seeds)]
    values = costs.transpose(*others, dim, *seeds).values
    medians = seed_median(
        values.reshape(-1, costs.sizes[dim], max(1, int(np.prod([costs.sizes[s] for s in seeds], dtype=int))))
    )
    names = []
    for place in np.ndindex(*[costs.sizes[other] for other in others]):
        parts = [name]
        for other, at in zip(others, place, strict=True):
            if costs.sizes[other] > 1:
                axis = other if other in ds.coords else (coords_along(ds, other) or [other])[0]
                parts.append(f"{axis} {axis_values(ds, axis)[at]}")
        names.append(", ".join(parts))
    return names, medians
