"""Results in other file formats."""

import importlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr

from jaxsgd.error import InputError, no_such

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


def _need(*modules: str) -> None:
    for module in modules:
        try:
            importlib.import_module(module)
        except ImportError:
            raise InputError(f"this format needs {module}: pip install 'jaxsgd[export]'") from None


def _netcdf(ds: xr.Dataset, path: Path) -> None:
    _need("h5netcdf", "h5py")
    ds.to_netcdf(path, engine="h5netcdf")


def _zarr(ds: xr.Dataset, path: Path) -> None:
    _need("zarr")
    # Zarr's third format has no fixed-width text; readers in other languages know its variable-length text.
    plain = ds.assign_coords({name: ds[name].astype(object) for name in ds.coords if ds[name].dtype.kind == "U"})
    plain.to_zarr(path, mode="w", consolidated=False)


def _parquet(ds: xr.Dataset, path: Path) -> None:
    _need("pyarrow")
    table(ds).to_parquet(path, index=False)


def table(ds: xr.Dataset) -> pd.DataFrame:
    """Return a result as a tidy `pandas.DataFrame`: one row per cell and epoch (and batch, if recorded).

    If the observables were measured within epochs, rows for each cell and evaluation follow, without an epoch and a batch.
    """
    within_epochs = [dim for dim in ("epoch", "batch") if dim in ds.dims]
    if "evaluation" in ds.dims and within_epochs:
        rows = [table(ds.drop_dims("evaluation")), table(ds.drop_dims(within_epochs))]
        return pd.concat(rows, ignore_index=True)
    frame = ds.to_dataframe().reset_index()
    if "batch" in frame:
        frame = frame[frame["batch"] < frame["batch_count"]]
    axes = [name for name in ds.coords if name in frame]
    variables = [str(name) for name in ds.data_vars]
    return frame.loc[:, [*map(str, axes), *variables]]
