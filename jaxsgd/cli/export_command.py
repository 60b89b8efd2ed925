"""`jaxsgd export`: a result in another format."""

from pathlib import Path
from typing import Annotated

import typer

from jaxsgd.cli.output import check_output_folder, make_console, missing_cells, to_json, working


def export(
    result: Annotated[Path, typer.Argument(help="A result folder.")],
    to: Annotated[
        str | None, typer.Option(help="netcdf, zarr, csv, parquet; tensorboard, wandb or mlflow.", show_default=False)
    ] = None,
    batch_losses: Annotated[
        bool, typer.Option("--batch-losses", help="With tensorboard, wandb or mlflow: the loss of every batch too.")
    ] = False,
    select: Annotated[
        list[str] | None, typer.Option(metavar="AXIS=VALUE", help="With --to: only this value of an axis; may be given again.")
    ] = None,
    params: Annotated[
        Path | None,
        typer.Option(
            help="Kept parameters, into FILE.npz or FILE.safetensors, or with --per-cell a folder.", show_default=False
        ),
    ] = None,
    per_cell: Annotated[
        str | None, typer.Option(help="With --params: a file for each cell, npz or safetensors.", show_default=False)
    ] = None,
    out: Annotated[Path | None, typer.Option(help="File to write.", show_default="beside the result")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, and nothing else there.")] = False,
) -> None:
    """Write a result in another format, or into the offline folder of an experiment tracker.

    NetCDF and Zarr hold all of it, CSV and Parquet a tidy table. TensorBoard, Weights & Biases and MLflow get a run for each
    cell, with its settings and curves; runs that diverged are marked as failed. Nothing is sent over a network.

    With --params it writes the parameters that the result kept, in place of its numbers. Modules of your own that the study
    names are then looked up as by `jaxsgd run`.
    """
    from jaxsgd.cli.selection import load_selected
    from jaxsgd.error import InputError, no_such
    from jaxsgd.results.export import FORMATS, SUFFIXES
    from jaxsgd.results.export import export as export_result

    if (to is None) == (params is None):
        raise InputError(
            f"give either --to FORMAT, for the numbers ({', '.join(FORMATS)}), or --params FILE.npz for the parameters"
        )
    if params is not None:
        if select or batch_losses:
            raise InputError("--select and --batch-losses are for use with --to: --params writes the parameters of all cells")
        _export_parameters(result, params, per_cell, out, as_json)
        return
    if per_cell is not None:
        raise InputError("--per-cell needs --params FOLDER: it writes the parameters of each cell into a file of its own")
    if to not in FORMATS:
        raise no_such("format", to, FORMATS)
    with working("reading the result"):
        ds = load_selected(result, select)
    path = out or result.with_name(result.name + SUFFIXES[to])
    check_output_folder(path.parent, path)
    with working("writing the file"):
        written = export_result(ds, path, to, batch_losses=batch_losses)
    missing = int(ds["missing"].sum())
    if as_json:
        typer.echo(to_json({"file": str(written), "format": to, "missing_cells": missing}))
    note = f" ({missing_cells(missing)})" if missing else ""
    make_console(quiet=as_json).print(f"wrote {written}{note}", soft_wrap=True)


def _export_parameters(result: Path, params: Path, per_cell: str | None, out: Path | None, as_json: bool) -> None:
    from jaxsgd.error import InputError
    from jaxsgd.results.parameter_files import export_cells, export_parameters
    from jaxsgd.study.study_file import look_beside

    if out is not None:
        raise InputError(f"--params names the file itself; leave out --out {out}")
    check_output_folder(params.parent, params)
    look_beside(result)
    with working("writing the parameters"):
        written = export_parameters(result, params) if per_cell is None else export_cells(result, params, per_cell)
    if as_json:
        to = written.suffix.removeprefix(".") if per_cell is None else per_cell
        typer.echo(to_json({"file": str(written), "format": to, "per_cell": per_cell is not None}))
    make_console(quiet=as_json).print(f"wrote {written}", soft_wrap=True)
