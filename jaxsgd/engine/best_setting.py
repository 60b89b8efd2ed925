"""The best setting of a result for each optimizer, order and batch count, with what its stripes look like."""

import numpy as np
import xarray as xr

from jaxsgd.engine.batch_scaling import default_value
from jaxsgd.engine.comparison import measures
from jaxsgd.engine.observation import direction
from jaxsgd.engine.result_axis import axis_names, cell_dims, coords_along, is_numeric, seed_dims
from jaxsgd.error import InputError, check_count, no_such, shown
from jaxsgd.measure.scaling_law import interval, resampled_seeds

KEPT = ("optimizer", "order", "batch_count", "batch_size")
"""Axes whose values are each given their best setting. All others, but for the seeds, are searched."""

STRIPES = ("stripe_gap", "stripe_index", "stripe_slope")


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

      - `median` of the measure with `low` and `high` of its interval; NaN where there is none, infinite where too many of the
        seeds diverged; the interval is NaN with one seed;
      - each searched axis, at the best setting; NaN, or empty, where nothing was run;
      - `at_edge`: the searched axes whose best value is the least or the greatest of three or more, so that a better one may
        lie beyond, joined by commas; a 0 is no edge, for there is nothing beyond;
      - `diverged` and `seeds`: of the runs at the best setting; `diverged_share`: of all that were tried;
      - `stripe_gap`, `stripe_index`, `stripe_slope`: medians over the seeds there.

    Raises:
      InputError: for a measure that is not there, or a level outside (0, 1).
    """
    value = default_value(ds) if value is None else value
    if value not in measures(ds):
        raise no_such("value", value, measures(ds))
    if not 0 < level < 1:
        raise InputError(f"level must lie between 0 and 1, such as 0.95, got {shown(level)}")
    sign = direction(value)
    dims, seeds = cell_dims(ds), seed_dims(ds)
    kept = [dim for dim in dims if dim not in seeds and set(coords_along(ds, dim)) & set(KEPT) and dim != "draw"]
    searched = [dim for dim in dims if dim not in (*kept, *seeds)]

    def flat(name: str) -> np.ndarray:
        """[P, T, R]: places of the kept axes, settings tried, seeds."""
        array = ds[name].isel(epoch=-1) if "epoch" in ds[name].dims else ds[name]
        lengths = [int(np.prod([ds.sizes[dim] for dim in group], dtype=int)) for group in (kept, searched, seeds)]
        return array.transpose(*kept, *searched, *seeds).values.astype(np.float64).reshape(lengths)

    diverged = flat("diverged") > 0
    values = np.where(diverged, np.inf, sign * flat(value))
    known = ~np.isnan(values)
    medians = _median(values)
    best = np.where(np.isnan(medians), np.inf, medians).argmin(axis=-1)
    ran = np.asarray(known.any(axis=(-2, -1)))

    def there(array: np.ndarray) -> np.ndarray:
        return np.take_along_axis(array, best.reshape(-1, 1, *[1] * (array.ndim - 2)), axis=1)[:, 0]

    own = there(values)
    drawn = resampled_seeds(own.shape[-1], check_count("resamples", resamples), seed)
    again = np.stack([_median(own[:, places]) for places in drawn]) if len(drawn) else np.zeros((0, len(own)))
    ends = [sign * end for end in interval(again, level)]
    low, high = ends if sign > 0 else ends[::-1]

    shape = [ds.sizes[dim] for dim in kept]
    places = np.unravel_index(best, [ds.sizes[dim] for dim in searched]) if searched else ()
    units = str(ds[value].attrs.get("units", "1"))
    told: dict[str, tuple] = {
        "median": (sign * there(medians), units, f"median {value} over the seeds at the best setting"),
        "low": (low, units, f"lower end of its {100 * level:g} % interval"),
        "high": (high, units, f"upper end of its {100 * level:g} % interval"),
    }
    edges = [[] for _ in best]
    for dim, place in zip(searched, places, strict=True):
        for name in coords_along(ds, dim):
            axis = ds[name].values
            chosen = axis[place]
            own_units = str(ds[name].attrs.get("units", "1"))
            told[name] = (chosen if ran.all() else _only(chosen, ran), own_units, f"{name} of the best setting")
            if is_numeric(axis) and len(np.unique(axis)) > 2:
                for edge, at in zip(edges, np.atleast_1d(chosen).tolist(), strict=True):
                    edge.extend([name] if at in (axis.min(), axis.max()) and at != 0 else [])
    told |= {
        "at_edge": (np.asarray([", ".join(edge) if one else "" for edge, one in zip(edges, ran.tolist(), strict=True)]), "1",
                    "axes whose best value is the least or the greatest that was tried"),
        "diverged": (there(diverged).sum(axis=-1), "runs", "diverged runs at the best setting"),
        "seeds": (there(known).sum(axis=-1), "runs", "runs at the best setting"),
        "diverged_share": (_share(diverged, known), "1", "share of all runs that diverged"),
    }  # fmt: skip
    for name in STRIPES:
        told[name] = (_median(np.where(there(diverged), np.nan, there(flat(name)))), *_described(ds, name))
    variables = {
        name: (kept, np.reshape(array, shape), {"units": unit, "long_name": text}) for name, (array, unit, text) in told.items()
    }
    coords = {name: c for name, c in ds.coords.items() if c.dims and set(c.dims) <= set(kept) and name not in told}
    attrs = {"title": f"best settings by {value}", "value": value, "level": float(level), "units": units}
    attrs |= {"searched": [name for dim in searched for name in coords_along(ds, dim)]}
    attrs |= {"seeds": own.shape[-1], "tried": medians.shape[-1], "axes": [name for name in axis_names(ds) if name in KEPT]}
    return xr.Dataset(variables, coords, attrs)


def _only(chosen: np.ndarray, ran: np.ndarray) -> np.ndarray:
    """The chosen values; none, which is NaN or an empty text, where nothing ran."""
    return np.where(ran, chosen, np.nan if is_numeric(chosen) else "")


def _median(values: np.ndarray) -> np.ndarray:
    """Median over the last axis of those that are not NaN; infinite numbers count."""
    ordered = np.sort(values, axis=-1)
    count = (~np.isnan(values)).sum(axis=-1)
    low, high = (
        np.take_along_axis(ordered, np.maximum(place, 0)[..., None], axis=-1)[..., 0]
        for place in ((count - 1) // 2, count // 2)
    )
    with np.errstate(invalid="ignore"):
        middle = np.where(low == high, low, (low + high) / 2)
    return np.where(count > 0, middle, np.nan)


def _share(diverged: np.ndarray, known: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore", divide="ignore"):
        return (diverged & known).sum(axis=(-2, -1)) / known.sum(axis=(-2, -1))


def _described(ds: xr.Dataset, name: str) -> tuple[str, str]:
    return str(ds[name].attrs.get("units", "1")), f"median {name.replace('_', ' ')} over the seeds at the best setting"
