"""A result with one axis tuned away: the best value of it for each setting, chosen on seeds that are then set aside."""

import numpy as np
import xarray as xr

from jaxsgd.analysis.choice import best_place, is_edge, seed_median
from jaxsgd.analysis.compare import compare
from jaxsgd.error import InputError, check_count
from jaxsgd.results.axes import axis_dim, axis_values, cell_dims, seed_dims
from jaxsgd.results.metric import cost, metric_named


def tuned(ds: xr.Dataset, tuning_seeds: int, value: str | None = None, *, by: str = "learning_rate") -> xr.Dataset:
    """Each setting at its own best value of an axis: the runs of the seeds that were not used to choose it.

    All settings are tuned on the same values and seeds, so with the same budget. The best is the value whose median over the
    tuning seeds is lowest after the last epoch (of an accuracy highest), where a run that diverged counts as infinitely bad:
    the choice that `best_settings` makes. Judging on other seeds keeps it from flattering what has been tuned (Bouthillier
    et al. 2021).

    Args:
      ds: a result with a dimension of seeds.
      tuning_seeds: how many seeds, from the first, choose; at least one is left to judge on.
      value: the metric; by default "validation_loss" where there is one, and otherwise "loss_epoch".
      by: the axis to tune.

    Returns:
      The Dataset without that dimension and those seeds. `by` is a coordinate along the other axes, and so is `at_edge`, a
      boolean: true where the best value is the least or the greatest of three numbers or more and not 0, so that a better one
      may lie beyond. Where every value diverges, the first stands for all.

    Raises:
      InputError: for an axis or a measure that is not there, no dimension of seeds or too few, or an unfinished result.
    """
    dim = axis_dim(ds, by)
    value = metric_named(ds, value)
    seeds = seed_dims(ds, (dim,))
    if len(seeds) != 1:
        raise InputError(f"to tune and judge on different seeds a result needs one dimension of seeds, got {seeds or 'none'}")
    count = ds.sizes[seeds[0]]
    if count < 2:
        raise InputError("to tune and judge on different seeds there must be at least 2 seeds, got 1")
    chosen_on = check_count("tuning_seeds", tuning_seeds, count - 1, "one seed to judge on or more")
    if ds["missing"].any():
        raise InputError(f"only a finished result can be tuned, and {int(ds['missing'].sum())} of its cells are missing")
    ranked = cost(ds.isel({seeds[0]: slice(chosen_on)}), value)
    others = [str(name) for name in ranked.dims if name not in (dim, seeds[0])]
    best = best_place(seed_median(ranked.transpose(*others, dim, seeds[0]).values))
    along = xr.DataArray(np.maximum(best, 0), dims=others)
    judged = ds.isel({seeds[0]: slice(chosen_on, None)}).isel({dim: along})
    told = {"units": "1", "long_name": f"true where the best {by} is the least or the greatest that was tried"}
    return judged.assign_coords(at_edge=(others, is_edge(axis_values(ds, by), best), told))


def benchmark(
    results: dict[str, xr.Dataset],
    axis: str = "optimizer",
    *,
    tuning_seeds: int,
    value: str | None = None,
    by: str = "learning_rate",
    reference: object = None,
) -> xr.Dataset:
    """Settings compared on several problems, each tuned there under the same budget and judged on other, shared seeds.

    Args:
      results: by the problem's name; all with the same values of `axis`, and no others besides `by` and the seeds.
      axis: what is compared.
      tuning_seeds, value, by: as in `tuned`.
      reference: as in `compare`.

    Returns:
      What `compare` gives, along a first dimension `problem`, with the tuned values of `by` and `at_edge`, and `overall_rank`
      along `axis`: the mean of the ranks over the problems.

    Raises:
      InputError: as `tuned` and `compare`; no result; or results that do not have the same values of `axis`.
    """
    if not results:
        raise InputError("benchmark needs at least one result")
    compared = []
    for name, ds in results.items():
        value = metric_named(ds, value)
        one = tuned(ds, tuning_seeds, value, by=by)
        extra = [dim for dim in cell_dims(one) if dim not in (axis_dim(one, axis), *seed_dims(one)) and one.sizes[dim] > 1]
        if extra:
            raise InputError(f"{name}: a benchmark has one axis, {axis}; select one value of {', '.join(extra)}")
        one = one.squeeze([dim for dim in cell_dims(one) if one.sizes[dim] == 1 and dim != axis_dim(one, axis)], drop=True)
        own = compare(one, axis, value, reference=reference)
        compared.append(own.assign({name: one[name] for name in (by, "at_edge")}).reset_coords(drop=False))
    first = axis_values(compared[0], axis).tolist()
    for name, own in zip(results, compared, strict=True):
        if axis_values(own, axis).tolist() != first:
            raise InputError(f"{name}: has {axis} {axis_values(own, axis).tolist()}, and the others {first}")
    names = xr.DataArray(list(results), dims="problem", name="problem")
    joined: xr.Dataset = xr.concat(compared, names, combine_attrs="drop_conflicts")  # type: ignore[assignment]
    mean = joined["mean_rank"].mean("problem", skipna=False)
    mean.attrs = {"units": "1", "long_name": "mean over the problems of the mean rank over the seeds, 1 for the lowest"}
    return joined.assign(overall_rank=mean)
