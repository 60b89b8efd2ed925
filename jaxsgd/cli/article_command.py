"""`jaxsgd article`: the article end to end."""

import dataclasses
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer

from jaxsgd.cli.output import check_output_folder, make_console, to_json, working, write_files
from jaxsgd.cli.runtime import start_jax

_NOTE = "Experiment 3 reads the training of experiment 2 once an epoch; it is not trained again."


def article(
    context: typer.Context,
    out: Annotated[Path, typer.Option(help="Folder for the figures, the log and report.json.")] = Path("article"),
    seed: Annotated[int, typer.Option(help="Seed of the shown runs: data, initial weights.")] = 0,
    learning_rate: Annotated[float, typer.Option(help="Learning rate of all three experiments.")] = 1e-3,
    quick: Annotated[bool, typer.Option("--quick", help="20 epochs an experiment, and 5 for each of the 64 seeds.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, and nothing else there.")] = False,
) -> None:
    """Reproduce the article: train, print its log, draw its three figures, and hold the result against it.

    Experiment 1 prints twice an epoch and shows two stripes, experiment 2 four times and shows a band, experiment 3 reads the
    training of experiment 2 once an epoch. 64 seeds say how ordinary the article's numbers are.
    """
    from jaxsgd.article.experiment import article_experiments, check_seed

    experiments = article_experiments(learning_rate, quick)
    check_seed(seed)
    check_output_folder(out)
    start_jax(context)

    console = make_console(quiet=as_json)
    report, files = _reproduce(console, experiments, seed, quick)
    files["report.json"] = to_json(report) + "\n"
    written = write_files(out, files)
    console.print()
    for path in written:
        console.print(f"wrote {path}", markup=False, soft_wrap=True)
    if as_json:
        typer.echo(to_json(report))


def _reproduce(console, experiments, seed: int, quick: bool) -> tuple[dict[str, Any], dict[str, bytes | str]]:
    import numpy as np

    from jaxsgd import article, problems
    from jaxsgd.cli.table import Section, comparison_table
    from jaxsgd.cli.training_log import print_log, stop_if_diverged
    from jaxsgd.measure import stripes

    one, two, three = experiments
    first_epochs = 5 if quick else 10
    small, large = (problems.square_regression(experiment.num_samples) for experiment in (one, two))

    with working("compiling experiment 1"):
        training = article.train_by_window(small, seed, one)
    logged = print_log(console, training, one, "Experiment 1 (striped)")
    striped = article.run_outcome(one, logged.loss, training.sample_loss, first_epochs)

    # From here on JAX computes in the background while the figures are drawn.
    with working("experiments 2 and 3, and 64 seeds of each training"):
        whole = article.run_whole(large, seed, two)
        many = [
            article.run_seeds(problem, range(article.SEEDS), dataclasses.replace(experiment, epochs=first_epochs))
            for problem, experiment in ((small, one), (large, two))
        ]
        files = {"training_log.txt": "\n".join(logged.lines) + "\n"}
        files |= article.picture_files("striped", article.striped_view(striped.whole, f"Experiment 1: {one}"))

        loss, sample_loss = np.asarray(whole.loss), np.asarray(whole.sample_loss)
        stop_if_diverged(loss, two, "experiment 2")
        band, averaged = (article.run_outcome(experiment, loss, sample_loss, first_epochs) for experiment in (two, three))
        files |= article.picture_files("band", article.band_view(band.whole, f"Experiment 2: {two}"))
        files |= article.picture_files("averaged", article.averaged_view(averaged.whole, band.whole, f"Experiment 3: {three}"))

        seeds = [
            article.seed_outcome(experiment, np.asarray(runs.loss), np.asarray(runs.sample_loss))
            for experiment, runs in ((one, many[0]), (two, many[1]), (three, many[1]))
        ]
    printed = stripes(article.printed_losses(first_epochs), 1)
    percentile = article.places(printed, seeds[0])
    findings = article.article_findings(striped, band, averaged, (seeds[0], seeds[1]), percentile)
    report = {
        "command": "article",
        "version": version("jaxsgd"),
        "seed": seed,
        "quick": quick,
        "training_seconds": logged.seconds,
        "trained_once": ["band", "averaged"],
        "experiments": {
            outcome.experiment.name: article.outcome_report(outcome, spread)
            for outcome, spread in zip((striped, band, averaged), seeds, strict=True)
        },
        "article": article.stripes_report(printed) | {"percentile": percentile},
        "findings": findings,
        "files": [*files, "report.json"],
    }
    console.rule("End of the log: what the runs show")
    titles = ("1 striped", "2 band", "3 averaged")
    held_against = (report["article"], {}, {})
    sections = [Section(*parts) for parts in zip(titles, report["experiments"].values(), held_against, strict=True)]
    console.print(comparison_table(sections, caption=_NOTE))
    console.print()
    for sentence in findings:
        console.print(f"- {sentence}", markup=False)
    return report, files
