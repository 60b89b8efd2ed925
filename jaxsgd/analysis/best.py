"""The best setting of a result for each optimizer, order and batch count, with what its stripes look like."""

import numpy as np
import xarray as xr

from jaxsgd.analysis.choice import best_place, is_edge, seed_median
from jaxsgd.analysis.confidence import supported, why_no_interval
from jaxsgd.analysis.scaling_law import interval, resampled_seeds
from jaxsgd.error import InputError, check_count, shown
from jaxsgd.measure.observable import direction
from jaxsgd.results.axes import axis_names, cell_dims, coords_along, is_numeric, seed_dims
from jaxsgd.results.metric import STRIPES, cost, final, metric_named

KEPT = ("optimizer", "order", "batch_count", "batch_size")
"""Axes whose values are each given their best setting. All others, but for the seeds, are searched."""


def best_settings(
    ds: xr.Dataset, value: str | None = None, *, level: float = 0.95, resamples: int = 1000, seed: int = 0
) -> xr.Dataset:
    """For each optimizer, order and batch count, the best setting of all other axes: rate, momentum, ..., or the best draw.

    The best has the lowest median over the seeds after the last epoch (of an accuracy the highest); a run that diverged
    counts as infinitely bad. The seeds that chose also judge, so the best is flattered a little: `tuned` judges on others.

    Args:
      ds: a result; cells that have not been run are left out.
      value: the measure; by default "validation_loss" where there is one, and otherwise "loss_epoch".
      level: of the interval.
      resamples, seed: of the bootstrap over the seeds that it comes from.

    Returns:
      A Dataset along those of the axes "optimizer", "order", "batch_count", "batch_size" that have a dimension of their own:

      - `median_value` of the measure with `low` and `high` of its interval; NaN where there is none, infinite where too many of
        the seeds diverged; the interval is NaN where the seeds give none, and `no_interval` says why;
      - each searched axis, at the best setting; NaN, or empty, where nothing was run;
      - `at_edge`: booleans along a first dimension `searched` too, which names the searched axes: true where the axis's best
        value is the least or the greatest of three numbers or more, so that a better one may lie beyond; a 0 is no edge, for
        there is nothing beyond;
      - `diverged` and `seeds`: of the runs at the best setting (where too many runs of every setting diverged, at that with
        the fewest); `diverged_share`: of all that were tried;
      - `stripe_gap`, `stripe_index`, `stripe_slope`: medians over the seeds there; the index is NaN where there is too little
        to tell (`jaxsgd.measure.stripes.is_telling`).

    Raises:
      InputError: for a measure that is not there, or a level outside (0, 1).
    """
    value = metric_named(ds, value)
    if not 0 < level < 1:
        raise InputError(f"level must lie between 0 and 1, such as 0.95, got {shown(level)}")
    sign = direction(value)
    dims, seeds = cell_dims(ds), seed_dims(ds)
    kept = [dim for dim in dims if dim not in seeds and set(coords_along(ds, dim)) & set(KEPT) and dim != "draw"]
    searched = [dim for dim in dims if dim not in (*kept, *seeds)]

    def flat(array: xr.DataArray) -> np.ndarray:
        """[P, T, R]: places of the kept axes, settings tried, seeds."""
        lengths = [int(np.prod([ds.sizes[dim] for dim in group], dtype=int)) for group in (kept, searched, seeds)]
        return array.transpose(*kept, *searched, *seeds).values.astype(np.float64).reshape(lengths)

    diverged = flat(ds["diverged"]) > 0
    values = flat(cost(ds, value))
    known = ~np.isnan(values)
    medians = seed_median(values)
    chosen_at = best_place(medians)
    # Where no setting is good, the counts are those of the one that comes nearest to it.
    best = np.where(chosen_at < 0, np.where(known.any(axis=-1), diverged.sum(axis=-1), np.inf).argmin(axis=-1), chosen_at)

    def there(array: np.ndarray) -> np.ndarray:
        return np.take_along_axis(array, best.reshape(-1, 1, *[1] * (array.ndim - 2)), axis=1)[:, 0]

    own = there(values)
    drawn = resampled_seeds(own.shape[-1], check_count("resamples", resamples), seed)
    again = np.stack([seed_median(own[:, places]) for places in drawn]) if len(drawn) else np.zeros((0, len(own)))
    ends = [sign * end for end in interval(again, level)]
    low, high = ends if sign > 0 else ends[::-1]
    low, high, why = supported(low, high, why_no_interval(own, level))

    shape = [ds.sizes[dim] for dim in kept]
    places = np.unravel_index(best, [ds.sizes[dim] for dim in searched]) if searched else ()
    units = str(ds[value].attrs.get("units", "1"))
    told: dict[str, tuple] = {
        "median_value": (sign * there(medians), units, f"median {value} over the seeds at the best setting"),
        "low": (low, units, f"lower end of its {100 * level:g} % interval"),
        "high": (high, units, f"upper end of its {100 * level:g} % interval"),
        "no_interval": (why, "1", "why there is no interval; empty with one"),
    }
    good = chosen_at >= 0
    edges, names = [], []
    for dim, place in zip(searched, places, strict=True):
        for name in coords_along(ds, dim):
            axis = ds[name].values
            own_units = str(ds[name].attrs.get("units", "1"))
            told[name] = (axis[place] if good.all() else _only(axis[place], good), own_units, f"{name} of the best setting")
            names.append(name)
            edges.append(np.reshape(good & is_edge(axis, place), shape))
    told |= {
        "diverged": (there(diverged).sum(axis=-1), "runs", "diverged runs at the best setting"),
        "seeds": (there(known).sum(axis=-1), "runs", "runs at the best setting"),
        "diverged_share": (_share(diverged, known), "1", "share of all runs that diverged"),
    }
    for name in STRIPES:
        finite = np.where(there(diverged), np.nan, there(flat(final(ds, name))))
        told[name] = (seed_median(finite), *_described(ds, name))
    variables = {
        name: (kept, np.reshape(array, shape), {"units": unit, "long_name": text}) for name, (array, unit, text) in told.items()
    }
    meaning = {"units": "1", "long_name": "true where the best value is the least or the greatest that was tried"}
    variables["at_edge"] = (["searched", *kept], np.reshape(edges, [len(names), *shape]).astype(bool), meaning)
    coords = {name: c for name, c in ds.coords.items() if c.dims and set(c.dims) <= set(kept) and name not in told}
    coords["searched"] = xr.DataArray(np.asarray(names, dtype=str), dims="searched")
    attrs = {"title": f"best settings by {value}", "value": value, "level": float(level), "units": units}
    attrs |= {"seeds": own.shape[-1], "tried": medians.shape[-1], "axes": [name for name in axis_names(ds) if name in KEPT]}
    return xr.Dataset(variables, coords, attrs)


def _only(chosen: np.ndarray, good: np.ndarray) -> np.ndarray:
    """The chosen values; none, which is NaN or an empty text, where there is no best setting."""
    return np.where(good, chosen, np.nan if is_numeric(chosen) else "")


def _share(diverged: np.ndarray, known: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore", divide="ignore"):
        return (diverged & known).sum(axis=(-2, -1)) / known.sum(axis=(-2, -1))


def _described(ds: xr.Dataset, name: str) -> tuple[str, str]:
    return str(ds[name].attrs.get("units", "1")), f"median {name.replace('_', ' ')} over the seeds at the best setting"
