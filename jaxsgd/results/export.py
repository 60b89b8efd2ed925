"""Results in other file formats."""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr

from jaxsgd.error import InputError, no_such
from jaxsgd.results.cell_runs import cell_runs
from jaxsgd.results.entries import with_entries
from jaxsgd.results.need import need
from jaxsgd.results.trackers import TRACKERS, write_runs

SUFFIXES = {"netcdf": ".nc", "zarr": ".zarr", "csv": ".csv", "parquet": ".parquet", **{name: f".{name}" for name in TRACKERS}}
"""The ending of the name of an exported result, by format."""

FORMATS = tuple(SUFFIXES)
"""Formats to which a result can be exported."""


def export(ds: xr.Dataset, path: str | Path, to: str, *, batch_losses: bool = False) -> Path:
    """Write a result in another format and return its path.

    NetCDF and Zarr hold the whole result. CSV and Parquet hold a tidy table, one row per cell and epoch (and batch, if every
    batch's loss was recorded): the cell's value on every axis, then the variables. TensorBoard, Weights & Biases and MLflow
    hold a run for each cell that has been run, with its settings and curves; a run that diverged is marked as failed.

    Args:
      ds: a result.
      path: of the new file or folder. An existing one is replaced, but for the folder of a tracker, which may hold other runs.
      to: one of `FORMATS`.
      batch_losses: for a tracker, True for every batch's loss too.

    Raises:
      InputError: for an unknown format, or if its library is not installed; for a tracker also if the folder exists, or no cell
        has been run.
    """
    if to not in FORMATS:
        raise no_such("format", to, FORMATS)
    path = Path(path)
    if to in TRACKERS:
        return _export_runs(ds, path, to, batch_losses)
    if batch_losses:
        raise InputError(f"batch_losses is for {', '.join(TRACKERS)}; {to} has every batch's loss anyway")
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


def _export_runs(ds: xr.Dataset, path: Path, to: str, batch_losses: bool) -> Path:
    """Write the runs of a result into the folder of a tracker: whole, or not at all."""
    if path.exists():
        raise InputError(f"{path} exists already, and may hold other runs: name a new folder")
    runs = cell_runs(ds, batch_losses=batch_losses)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as hidden:
        written = Path(hidden).absolute() / "runs"
        write_runs(runs, written, to, path)
        written.replace(path)
    return path


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


def table(ds: xr.Dataset) -> pd.DataFrame:
    """Return a result as a tidy `pandas.DataFrame`: one row per cell and epoch (and batch, if recorded).

    If observables were measured within epochs, or after some epochs only, rows for each cell and evaluation, or each
    observation, follow, without an epoch and a batch; of those measured before steps, rows for each
    observation and batch. An array has a column for each of its entries: `name_0`, `name_1`, ...
    """
    ds = with_entries(ds)
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
