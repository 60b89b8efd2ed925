"""Arrays among the observables of a result, entry by entry."""

import numpy as np
import xarray as xr

from jaxsgd.results.axes import WITHIN_CELLS


def with_entries(ds: xr.Dataset) -> xr.Dataset:
    """Return a result with a variable for each entry of the arrays among its observables."""
    if "missing" not in ds:
        return ds
    known = {*ds["missing"].dims, *WITHIN_CELLS}
    for name, variable in ds.data_vars.items():
        own = [dim for dim in variable.dims if dim not in known]
        if own:
            entries = np.ndindex(*(variable.sizes[dim] for dim in own))
            columns = {"_".join(map(str, (name, *at))): variable.isel(dict(zip(own, at, strict=True))) for at in entries}
            ds = ds.drop_vars([name]).assign(columns)
    return ds
