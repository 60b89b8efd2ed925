"""`jaxsgd export`: a result in another format."""

from pathlib import Path
from typing import Annotated

import typer

from jaxsgd.cli.output import check_output_folder, make_console, missing_cells, to_json, working


def export(
    result: Annotated[Path, typer.Argument(help="A result folder.")],
    to: Annotated[str, typer.Option(help="netcdf, zarr, csv or parquet.")],
    out: Annotated[Path | None, typer.Option(help="File to write.", show_default="beside the result")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, and nothing else there.")] = False,
) -> None:
    """Write a result in another format: NetCDF and Zarr hold all of it, CSV and Parquet a tidy table."""
    from jaxsgd.error import no_such
    from jaxsgd.results.export import FORMATS, SUFFIXES
    from jaxsgd.results.export import export as export_result
    from jaxsgd.results.load import load

    if to not in FORMATS:
        raise no_such("format", to, FORMATS)
    with working("reading the result"):
        ds = load(result)
    path = out or result.with_name(result.name + SUFFIXES[to])
    check_output_folder(path.parent, path)
    with working("writing the file"):
        written = export_result(ds, path, to)
    missing = ds.attrs["missing_cells"]
    if as_json:
        typer.echo(to_json({"file": str(written), "format": to, "missing_cells": missing}))
    note = f" ({missing_cells(missing)})" if missing else ""
    make_console(quiet=as_json).print(f"wrote {written}{note}", soft_wrap=True)
