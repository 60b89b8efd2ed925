"""The numbers of a Dataset as the flat rows of a table."""

from typing import Any

import xarray as xr


def rows(ds: xr.Dataset) -> list[dict[str, Any]]:
    """Return one flat row for each position of a Dataset; a single row for a Dataset without dimensions."""
    if not ds.dims:
        return [{str(name): ds[name].item() for name in ds.variables}]
    table = ds.to_dataframe().reset_index()
    # A dimension without values of its own, of zipped axes, is only numbered.
    return table.drop(columns=[dim for dim in ds.dims if dim not in ds.coords]).to_dict("records")  # type: ignore[return-value]


def best_rows(best: xr.Dataset) -> list[dict[str, Any]]:
    """Return the rows of the best settings, with a column of booleans for each searched axis: `learning_rate_at_edge`."""
    edges = {
        f"{name}_at_edge": best["at_edge"].isel(searched=place, drop=True)
        for place, name in enumerate(best["searched"].values.tolist())
    }
    return rows(best.drop_dims("searched").assign(edges))
