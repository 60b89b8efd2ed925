"""`jaxsgd article`: the article end to end."""

from pathlib import Path
from typing import Annotated

import typer

from jaxsgd.cli.output import Writer, check_output_folder, make_console, to_json, write_files
from jaxsgd.cli.runtime import start_jax


def article(
    context: typer.Context,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for the results, the figures, the log and report.json.", show_default="results/article"),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the shown runs: data, initial weights.")] = 0,
    learning_rate: Annotated[float, typer.Option(help="Learning rate of all three experiments.")] = 1e-3,
    svg: Annotated[bool, typer.Option("--svg", help="Write each figure as SVG too, beside its PNG.")] = False,
    quick: Annotated[
        bool,
        typer.Option("--quick", help="20 epochs an experiment, and 5 for each of the 64 seeds, in results/article_quick."),
    ] = False,
    html: Annotated[
        Path | None, typer.Option(help="HTML file to write: the findings and figures as one page.", show_default="no file")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, and nothing else there.")] = False,
) -> None:
    """Reproduce the article: train, print its log, draw its three figures, compare the result with it, and test its claim.

    Experiment 1 prints twice an epoch and shows two stripes. Experiment 2 prints four times and shows a band. Experiment 3
    prints the training of experiment 2 once an epoch. 64 seeds give the rank of the article's numbers, and the share of a
    batch's own step in the fall of its loss. The trainings are the studies of `jaxsgd run article`: after an interruption
    the same command finishes the rest.
    """
    from jaxsgd.article.experiment import article_experiments, check_seed

    experiments = article_experiments(learning_rate, quick)
    check_seed(seed)
    folder = out or Path("results") / ("article_quick" if quick else "article")
    check_output_folder(folder)
    if html:
        check_output_folder(html.parent, html, "--html")
        # A missing library is reported before the trainings, not after them.
        from jaxsgd.report.page import library_script

        library_script()
    start_jax(context)
    from jaxsgd.cli.reproduction import Reproduction

    console = make_console(quiet=as_json)
    writer = Writer(console, folder)
    reproduction = Reproduction(console, writer, experiments, seed=seed, quick=quick, svg=svg)
    reproduction.run()
    if html:
        (path,) = write_files(html.parent, {html.name: reproduction.page()})
        console.print(f"wrote {path}", soft_wrap=True)
    report = writer.write_report(reproduction.report())
    if as_json:
        typer.echo(to_json(report))
