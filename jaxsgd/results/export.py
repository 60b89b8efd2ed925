"""Results in other file formats."""

import importlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from jaxsgd.error import InputError, no_such
from jaxsgd.results.axes import WITHIN_CELLS

FORMATS = ("netcdf", "zarr", "csv", "parquet")
"""Formats to which a result can be exported."""

SUFFIXES = {"netcdf": ".nc", "zarr": ".zarr", "csv": ".csv", "parquet": ".parquet"}


def export(ds: xr.Dataset, path: str | Path, to: str) -> Path:
    """Write a result in another format and return its path.

    NetCDF and Zarr hold the whole result. CSV and Parquet hold a tidy table, one row per cell and epoch (and batch, if every
    batch's loss was recorded): the cell's value on every axis, then the variables.

    Args:
      ds: a result.
      path: of the new file or folder; an existing one is replaced.
      to: one of `FORMATS`.

    Raises:
      InputError: for an unknown format, or if its library is not installed (extra `export`).
    """
    if to not in FORMATS:
        raise no_such("format", to, FORMATS)
    path = Path(path)
    writers: dict[str, Callable[[xr.Dataset, Path], Any]] = {
        "netcdf": _netcdf,
        "zarr": _zarr,
        "csv": lambda ds, path: table(ds).to_csv(path, index=False),
        "parquet": _parquet,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        writers[to](ds, temporary)
        if path.is_dir():
            shutil.rmtree(path)
        temporary.replace(path)
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary)
        temporary.unlink(missing_ok=True)
    return path


def need(*modules: str) -> None:
    """Check that optional libraries are installed.

    Raises:
      InputError: for the first that is not, with the command that installs it.
    """
    for module in modules:
        try:
            importlib.import_module(module)
        except ImportError:
            raise InputError(f"this format needs {module}: pip install 'jaxsgd[export]'") from None


def _netcdf(ds: xr.Dataset, path: Path) -> None:
    need("h5netcdf", "h5py")
    ds.to_netcdf(path, engine="h5netcdf")


def _zarr(ds: xr.Dataset, path: Path) -> None:
    need("zarr")
    # Zarr's third format has no fixed-width text; readers in other languages know its variable-length text.
    plain = ds.assign_coords({name: ds[name].astype(object) for name in ds.coords if ds[name].dtype.kind == "U"})
    plain.to_zarr(path, mode="w", consolidated=False)


def _parquet(ds: xr.Dataset, path: Path) -> None:
    need("pyarrow")
    table(ds).to_parquet(path, index=False)


def _with_entries(ds: xr.Dataset) -> xr.Dataset:
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


def table(ds: xr.Dataset) -> pd.DataFrame:
    """Return a result as a tidy `pandas.DataFrame`: one row per cell and epoch (and batch, if recorded).

    If observables were measured within epochs, or after some epochs only, rows for each cell and evaluation, or each
    observation, follow, without an epoch and a batch; of those measured before steps, rows for each
    observation and batch. An array has a column for each of its entries: `name_0`, `name_1`, ...
    """
    ds = _with_entries(ds)
    of_steps = [name for name, variable in ds.data_vars.items() if {"observation", "batch"} <= set(variable.dims)]
    if of_steps and len(of_steps) < len(ds.data_vars):
        others = ds.drop_vars(of_steps)
        if not any("batch" in variable.dims for variable in others.data_vars.values()):
            others = others.drop_dims("batch")
        return pd.concat([table(others), table(ds[of_steps])], ignore_index=True)
    times = [["observation", "batch"]] if of_steps else [["epoch", "batch"], ["evaluation"], ["observation"]]
    groups = [group for group in ([dim for dim in dims if dim in ds.dims] for dims in times) if group]
    if len(groups) > 1:
        others = [[dim for other in groups if other is not group for dim in other] for group in groups]
        return pd.concat([table(ds.drop_dims(dims)) for dims in others], ignore_index=True)
    frame = ds.to_dataframe().reset_index()
    if "batch" in frame:
        frame = frame[frame["batch"] < frame["batch_count"]]
    axes = [name for name in ds.coords if name in frame]
    variables = [str(name) for name in ds.data_vars]
    return frame.loc[:, [*map(str, axes), *variables]]
