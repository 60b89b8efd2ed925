"""The commands of `jaxsgd`, one file each."""

from importlib.metadata import version
from typing import Annotated

import typer

from jaxsgd.cli.article_command import article
from jaxsgd.cli.compare_command import compare
from jaxsgd.cli.diagnose_command import diagnose
from jaxsgd.cli.export_command import export
from jaxsgd.cli.info_command import info
from jaxsgd.cli.measure_command import measure
from jaxsgd.cli.plot_command import plot
from jaxsgd.cli.report_command import report
from jaxsgd.cli.run_command import run
from jaxsgd.cli.runtime import Settings
from jaxsgd.cli.studies_command import studies
from jaxsgd.cli.train_command import train
from jaxsgd.cli.verify_command import verify

app = typer.Typer(
    name="jaxsgd",
    help="A functional simulator of mini-batch SGD: thousands of small training runs, and what made their losses fall.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"jaxsgd {version('jaxsgd')}")
        raise typer.Exit


@app.callback()
def common(
    context: typer.Context,
    no_cache: Annotated[
        bool, typer.Option("--no-cache", help="Compile anew; neither read nor keep compiled programs.")
    ] = False,
    show_traceback: Annotated[
        bool, typer.Option("--traceback", help="Show the whole Python traceback of an error, for a report.")
    ] = False,
    show_version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """A functional simulator of mini-batch SGD."""
    del show_traceback  # `jaxsgd.cli.errors` reads it, for it must be known when anything at all goes wrong
    context.obj = Settings(cache=not no_cache)


for command in (article, train, diagnose, run, measure, compare, verify, export, report, studies, info):
    app.command()(command)
app.add_typer(plot, name="plot")
