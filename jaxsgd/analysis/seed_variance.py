"""Which kind of seed makes a result scatter."""

import numpy as np
import xarray as xr

from jaxsgd.analysis.variance import scatter
from jaxsgd.error import InputError
from jaxsgd.results.axes import seed_dims
from jaxsgd.results.metric import final, metric_named


def seed_variance(ds: xr.Dataset, value: str | None = None) -> xr.Dataset:
    """How much of a measure's scatter each kind of seed makes, after the last epoch.

    Args:
      ds: a result with at least two of the axes data_seed, init_seed and order_seed.
      value: the metric; by default "validation_loss" where there is one, and otherwise "loss_epoch".

    Returns:
      `deviation` along a dimension `source` (the seeds' axes, and "all" for all drawn anew together) and the result's other
      axes: standard deviations, in the units of `value`; `share`, each variance over that of all; and `left_out`, runs without
      a finite value. See `jaxsgd.measure.scatter`.

    Raises:
      InputError: for fewer than two axes of seeds, or a measure that is not there.
    """
    value = metric_named(ds, value)
    measured = final(ds, value)
    seeds = [dim for dim in seed_dims(ds) if dim in measured.dims]
    if len(seeds) < 2:
        raise InputError(f"to tell seeds apart a result needs two of data_seeds, init_seeds and order_seeds, got {seeds}")
    others = [str(dim) for dim in measured.dims if dim not in seeds]
    good = xr.where(ds["diverged"], np.nan, measured).transpose(*others, *seeds)
    found = scatter(good.values, len(seeds))
    variance = np.concatenate([found.alone, found.together[..., None]], axis=-1)
    units = ds[value].attrs.get("units", "1")
    with np.errstate(invalid="ignore", divide="ignore"):
        share = variance / found.together[..., None]
    return xr.Dataset(
        {
            "deviation": (
                (*others, "source"),
                np.sqrt(variance),
                {"units": units, "long_name": f"standard deviation of {value}"},
            ),
            "share": ((*others, "source"), share, {"units": "1", "long_name": "variance over that of all seeds drawn anew"}),
            "left_out": (others, found.left_out, {"units": "runs", "long_name": "runs without a finite value"}),
        },
        {"source": [*seeds, "all"], **{name: c for name, c in ds.coords.items() if c.dims and set(c.dims) <= set(others)}},
        {"title": f"scatter of {value} by what is drawn anew", "value": value},
    )
