"""`jaxsgd report`: a result as one HTML page."""

from pathlib import Path
from typing import Annotated

import typer

from jaxsgd.cli.output import check_output_folder, make_console, missing_cells, to_json, working
from jaxsgd.cli.selection import read_selection
from jaxsgd.error import InputError


def report(
    result: Annotated[Path, typer.Argument(help="A result folder.")],
    out: Annotated[Path | None, typer.Option(help="HTML file to write.", show_default="beside the result")] = None,
    metric: Annotated[
        str | None,
        typer.Option(help="The metric that is shown first.", show_default="validation_loss, else train_loss, else loss_epoch"),
    ] = None,
    target: Annotated[
        float | None,
        typer.Option(help="Value of the metric, for the steps to it.", show_default="one that every batch count reaches"),
    ] = None,
    select: Annotated[
        list[str] | None, typer.Option(metavar="AXIS=VALUE", help="Keep this value of an axis only; may be given again.")
    ] = None,
    question: Annotated[
        str | None,
        typer.Option(help="The question that the study answers, as the title.", show_default="that of the shipped study"),
    ] = None,
    study: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Study file whose docstring begins with the question. It is read, not run.", show_default=False
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, and nothing else there.")] = False,
) -> None:
    """Write a result as one HTML page with linked views, to be opened in a browser without a network, and to be sent by mail.

    What is selected in one view is selected in all: all runs on parallel axes, two axes as a heat map, the seeds' curves of a
    setting, best settings, paired comparisons, stripes, and steps to a target that the reader can change.
    """
    from jaxsgd.report.report import report as report_of
    from jaxsgd.results.load import load
    from jaxsgd.study.shipped import question as question_of
    from jaxsgd.study.shipped import shipped
    from jaxsgd.study.study_file import study_path

    path = result.with_name(f"{result.resolve().name}.html") if out is None else out
    check_output_folder(path.parent, path)
    selection = read_selection(select or [])
    with working("reading the result"):
        ds = load(result)
    if question is None:
        name = result.resolve().name
        study_file = study_path(study) if study else shipped().get(name) or shipped().get(f"published/{name}")
        question = question_of(study_file) if study_file else ""
        if study and not question:
            raise InputError(f"--study {study}: has no docstring with a question; give one with --question")
    with working("putting the page together"):
        page = report_of(ds, metric, target=target, select=selection, question=question, folder=str(result))
    page.save(path)
    missing = ds.attrs["missing_cells"]
    if as_json:
        typer.echo(to_json({"file": str(path), "bytes": path.stat().st_size, "missing_cells": missing, "notes": page.notes}))
    console = make_console(quiet=as_json)
    note = f" ({missing_cells(missing)})" if missing else ""
    console.print(f"wrote {path}{note}", soft_wrap=True)
    for line in page.notes:
        console.print(f"- {line}", soft_wrap=True)
