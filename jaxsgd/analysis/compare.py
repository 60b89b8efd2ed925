"""The values of one axis of a result compared: paired over the seeds, and ranked."""

import numpy as np
import xarray as xr

from jaxsgd.analysis.confidence import why_no_difference
from jaxsgd.analysis.paired import paired_difference, rank_table
from jaxsgd.error import InputError, shown
from jaxsgd.measure.observable import direction
from jaxsgd.results.axes import axis_dim, axis_values, listed, places, seed_dims
from jaxsgd.results.metric import final, metric_named, record_epochs, resolution, time_dim


def compare(
    ds: xr.Dataset,
    axis: str,
    value: str | None = None,
    *,
    reference: object = None,
    epoch: int | None = None,
    level: float = 0.95,
) -> xr.Dataset:
    """What each value of an axis does, less what a reference does on the same seeds, at every place of the other axes.

    A run that diverged by then has no difference; in the ranks it comes last. A cell that has not been run has neither.

    Args:
      ds: a result.
      axis: such as "order".
      value: the metric: "loss_epoch", "distance", "stripe_index", ... or a variable of your own along the same axes; by
        default "validation_loss" where there is one, and otherwise "loss_epoch".
      reference: the value of the axis that the others are compared with; the first by default.
      epoch: at whose end, 0-based, for a measure with several records of a run; by default it is the end of the run.
      level: of the confidence intervals, between 0 and 1.

    Returns:
      A Dataset along the result's axes without the seeds. In the units of `value`: `mean_value` over the seeds with a finite
      one, the paired `difference`, and `low` and `high` of its interval (NaN where the seeds give none, and `no_interval` says
      why). Besides: `pairs`, `left_out`, `tie` (the interval contains 0), `mean_rank` (over the seeds; 1 for the best, which is
      the lowest, of an accuracy the highest) and `ranked` (how many seeds that is). See `jaxsgd.measure.paired_difference` and
      `rank_table`.

    Raises:
      InputError: for an axis, a value, a reference, an epoch or a level that is not there, with the nearest that is.
    """
    dim = axis_dim(ds, axis)
    value = metric_named(ds, value)
    along = axis_values(ds, axis)
    at = 0 if reference is None else int(np.flatnonzero(places(axis, along, reference))[0])
    measured, when = _at_epoch(ds, value, epoch)
    seeds = [name for name in seed_dims(ds, (dim,)) if name in measured.dims]
    if dim not in measured.dims:
        raise InputError(
            f"{value} is the same for every {axis}: it has no such dimension, only {', '.join(map(str, measured.dims))}"
        )
    others = [str(name) for name in measured.dims if name not in (dim, *seeds)]
    found = measured.transpose(*others, dim, *seeds)
    values = found.values.astype(np.float64).reshape(*found.shape[: len(others) + 1], -1)
    ended = _ended(ds, measured, when).transpose(*found.dims).values.reshape(values.shape)

    finite = np.where(ended | ~np.isfinite(values), np.nan, values)
    pairs = paired_difference(finite, finite[..., at, None, :], level)
    ranks = rank_table(np.where(ended | np.isinf(values), np.inf, direction(value) * values))
    with np.errstate(invalid="ignore"):
        mean = np.nansum(finite, axis=-1) / np.isfinite(finite).sum(axis=-1)
    dims, units = (*others, dim), ds[value].attrs.get("units", "1")
    by = f"less that of {axis} {along[at]}, paired by seed"
    told = {
        "mean_value": (mean, units, f"mean {value} over the seeds with a finite one"),
        "difference": (pairs.difference, units, f"mean {value} {by}"),
        "low": (pairs.low, units, f"lower end of the {100 * level:g} % interval of the difference"),
        "high": (pairs.high, units, f"upper end of the {100 * level:g} % interval of the difference"),
        "no_interval": (why_no_difference(finite, finite[..., at, None, :]), "1", "why there is no interval; empty with one"),
        "pairs": (pairs.pairs, "seeds", "seeds with a finite value on both sides"),
        "left_out": (pairs.left_out, "seeds", "seeds without"),
        "tie": (pairs.tie, "1", "whether the interval contains 0"),
        "mean_rank": (ranks.mean, "1", f"mean rank among the values of {axis}, 1 for the best; diverged runs rank last"),
        "ranked": (np.broadcast_to(ranks.seeds[..., None], mean.shape), "seeds", "seeds that the rank is a mean over"),
    }
    variables = {name: (dims, array, {"units": unit, "long_name": text}) for name, (array, unit, text) in told.items()}
    coords = {name: coord for name, coord in ds.coords.items() if set(coord.dims) <= set(dims)}
    attrs = {"title": f"{value} by {axis}, {by}", "axis": axis, "value": value, "reference": _plain(along[at])}
    attrs |= {"level": float(level), "seeds": ", ".join(seeds), **({} if when is None else {"epoch": when})}
    return xr.Dataset(variables, coords, attrs)


def _at_epoch(ds: xr.Dataset, value: str, epoch: int | None) -> tuple[xr.DataArray, int | None]:
    """The measure at the end of an epoch, and which that is; None for the end of runs that have no last epoch in common."""
    measured, dim = ds[value], time_dim(ds, value)
    epochs = ds["epoch"].values.tolist()
    if dim is None and epoch is not None:
        raise InputError(f"{value} is of whole runs and has no epochs, got epoch={shown(epoch)}")
    if epoch is None:
        return final(ds, value), epochs[-1] if dim == "epoch" and "epoch_step" not in ds.coords else None
    if isinstance(epoch, bool) or epoch not in epochs:
        raise InputError(f"epoch must be one of {listed(np.asarray(epochs))} (0-based), got {shown(epoch)}")
    if dim == "epoch":
        return measured.isel(epoch=epochs.index(epoch)), int(epoch)
    at_end = abs(record_epochs(ds, value) - (epoch + 1)) < 1e-9
    if not at_end.any("evaluation").all():
        raise InputError(f"{value} was evaluated {resolution(ds, value)}, and not at the end of epoch {epoch} of every run")
    return measured.isel(evaluation=at_end.argmax("evaluation")), int(epoch)


def _ended(ds: xr.Dataset, measured: xr.DataArray, when: int | None) -> xr.DataArray:
    """Whether each run had diverged by then."""
    if "diverged_epoch" not in ds:
        return xr.zeros_like(measured, bool)
    by = np.inf if when is None else when
    return (ds["diverged_epoch"] <= by).broadcast_like(measured)


def _plain(value: object) -> object:
    return value.item() if isinstance(value, np.generic) else value
