"""`jaxsgd diagnose`: why the loss in a real training log has stripes, sawteeth or stairs."""

import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from jaxsgd.cli.output import check_output_folder, make_console, to_json, working, write_files
from jaxsgd.cli.runtime import start_jax
from jaxsgd.error import InputError


def diagnose(
    context: typer.Context,
    log: Annotated[
        Path,
        typer.Argument(
            help="Text, CSV, JSON lines, trainer_state.json, an MLflow metric, a TensorBoard event file; or -, standard input.",
            metavar="LOG",
        ),
    ],
    column: Annotated[
        str | None, typer.Option(help="The loss column.", show_default="the training loss, where only one can be that")
    ] = None,
    batches_per_epoch: Annotated[
        float | None, typer.Option(help="Batches in an epoch.", show_default="from the log's epochs, or estimated")
    ] = None,
    run: Annotated[int | None, typer.Option(help="Which run of a file that holds several, from 1.", show_default=False)] = None,
    simulate: Annotated[
        bool, typer.Option("--simulate", help="Simulate a case like it under the six orders, and say which is nearest.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Folder for the figures and report.json.", show_default="no files")] = None,
    html: Annotated[
        Path | None,
        typer.Option(help="HTML file to write: the log, its fold and the causes as one page.", show_default="no file"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, and nothing else there.")] = False,
) -> None:
    """Find out why the loss of a training log has stripes, sawteeth or stairs with the period of an epoch.

    Each cause comes with its probability, the numbers that speak for it, what to do about it, and where others met it: a fixed
    order, a print interval that does not fit the epoch, a running mean reset each epoch, a ragged last batch, re-exposure to
    the samples, or steps of the learning rate. The file is only read.
    """
    from jaxsgd.diagnosis.diagnose import diagnose as diagnose_log
    from jaxsgd.diagnosis.report import diagnosis_lines, diagnosis_report

    if out:
        check_output_folder(out)
    if html:
        check_output_folder(html.parent, html, "--html")
    with _file_of(log) as file, working("reading the log"):
        diagnosis = diagnose_log(file, batches_per_epoch=batches_per_epoch, column=column, run=run)
    name = "standard input" if str(log) == "-" else log.name
    report = {"command": "diagnose", "version": version("jaxsgd"), "file": str(log)} | diagnosis_report(diagnosis)
    console = make_console(quiet=as_json)
    for line in diagnosis_lines(diagnosis, name):
        console.print(line, soft_wrap=True)
    nearest = None
    if simulate and not diagnosis.too_short:
        start_jax(context)
        from jaxsgd.diagnosis.nearest import nearest_lines, nearest_report, simulated_cases

        with working("simulating a case like it under the six orders"):
            nearest = simulated_cases(diagnosis)
        report["simulated"] = nearest_report(nearest)
        for line in nearest_lines(nearest):
            console.print(line, soft_wrap=True)
    if out:
        with working("drawing"):
            from jaxsgd.diagnosis.picture import diagnosis_files

            files: dict[str, bytes | str] = dict(diagnosis_files(diagnosis, name, nearest))
        report["files"] = [*files, "report.json"]
        files["report.json"] = to_json(report) + "\n"
        for path in write_files(out, files):
            console.print(f"wrote {path}", soft_wrap=True)
    if html:
        with working("putting the page together"):
            from jaxsgd.diagnosis.page import diagnosis_page

            text = diagnosis_page(diagnosis, name, _command(log, column, batches_per_epoch, run))
        (path,) = write_files(html.parent, {html.name: text})
        report["html"] = str(path)
        console.print(f"wrote {path}", soft_wrap=True)
    if as_json:
        typer.echo(to_json(report))


@contextmanager
def _file_of(log: Path) -> Iterator[Path]:
    """Give the path of a log; for "-" that of a copy of standard input, because a log is read several times."""
    if str(log) != "-":
        yield log
        return
    if sys.stdin.isatty():
        typer.echo("jaxsgd: paste the log, then press Enter and Ctrl-D", err=True)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "log"
        with copy.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        try:
            yield copy
        except InputError as error:
            raise InputError(str(error).replace(str(copy), "standard input")) from None


def _command(log: Path, column: str | None, batches_per_epoch: float | None, run: int | None) -> str:
    """Return the command that gives the same diagnosis."""
    options = {"--column": column, "--batches-per-epoch": batches_per_epoch, "--run": run}
    given = [word for name, value in options.items() if value is not None for word in (name, f"{value}")]
    return shlex.join(["jaxsgd", "diagnose", str(log), *given])
