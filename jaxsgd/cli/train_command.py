"""`jaxsgd train`: the article's network, log and figures on a user's own data."""

from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer

from jaxsgd.cli.output import Writer, check_output_folder, make_console, to_json, working
from jaxsgd.cli.runtime import start_jax


def train(
    context: typer.Context,
    file: Annotated[
        Path, typer.Argument(help="Samples: .npz (arrays x and t), .npy (with --targets), or .csv.", metavar="FILE")
    ],
    targets: Annotated[
        list[str] | None,
        typer.Option(help="Target array (.npz), file (.npy) or column (.csv; repeat for several columns).", metavar="NAME"),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the figures, the log and report.json.", show_default="results/NAME")
    ] = None,
    batch_count: Annotated[int | None, typer.Option(help="Batches per epoch.", show_default="10, or fewer samples")] = None,
    eval_interval: Annotated[
        int | None, typer.Option(help="Batches per printed value.", show_default="half an epoch's")
    ] = None,
    epochs: Annotated[int, typer.Option(help="Passes over the data.")] = 100,
    learning_rate: Annotated[float, typer.Option(help="Of plain SGD.")] = 1e-3,
    order: Annotated[
        str, typer.Option(help="How samples are assigned to batches each epoch: fixed, 'buffer(100)', ...")
    ] = "fixed",
    seed: Annotated[int, typer.Option(help="Seed of the initial weights and of the order.")] = 0,
    svg: Annotated[bool, typer.Option("--svg", help="Write each figure as SVG too, beside its PNG.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, and nothing else there.")] = False,
) -> None:
    """Train the article's network on your own data and see whether its printed loss has stripes, and why."""
    from jaxsgd.article.experiment import check_rate, check_seed
    from jaxsgd.error import counted
    from jaxsgd.problem import num_samples
    from jaxsgd.problems import from_file

    check_rate(learning_rate)
    check_seed(seed)
    folder = Path("results") / file.stem if out is None else out
    problem = from_file(file, targets[0] if targets and len(targets) == 1 else targets or None)
    experiment = _experiment(problem, file.stem, batch_count, eval_interval, epochs, learning_rate, order)
    check_output_folder(folder)
    start_jax(context)

    console = make_console(quiet=as_json)
    console.print(f"{file}: {counted(num_samples(problem.data), 'sample')}; {problem.origin}\n", soft_wrap=True)
    writer = Writer(console, folder)
    report = writer.write_report(_train(console, writer, problem, experiment, seed, svg))
    if as_json:
        typer.echo(to_json(report))


def _experiment(problem, name, batch_count, eval_interval, epochs, learning_rate, order):
    from jaxsgd.article.experiment import Experiment
    from jaxsgd.error import check_count
    from jaxsgd.order import as_order
    from jaxsgd.problem import num_samples

    samples = num_samples(problem.data)
    count = (
        min(10, samples) if batch_count is None else check_count("--batch-count", batch_count, samples, "samples in the file")
    )
    check_count("--epochs", epochs)
    width = max(1, count // 2) if eval_interval is None else eval_interval
    check_count("--eval-interval", width, count * epochs, "batches in all epochs")
    return Experiment(name, samples, count, width, epochs, learning_rate, as_order(order).name)


def _train(console, writer: Writer, problem, experiment, seed: int, svg: bool) -> dict[str, Any]:
    """Train, print and write each part as soon as it is ready, and return the report without the list of files."""
    import dataclasses

    from jaxsgd import article
    from jaxsgd.cli.table import Section, comparison_table
    from jaxsgd.cli.training_log import print_log

    name = problem.name
    averaging = dataclasses.replace(experiment, name=f"{experiment.name}, averaged", eval_interval=experiment.batch_count)
    with working("compiling"):
        windows = article.train_by_window(problem, seed, experiment)
    logged = print_log(console, windows, experiment, name)
    console.rule("End of the log: what the run shows")
    writer.write({"training_log.txt": "".join(f"{line}\n" for line in logged.lines)})
    (sample_loss,) = article.start_losses(problem, [seed])
    outcome, averaged = (
        article.run_outcome(settings, logged.loss, sample_loss, early_epochs=10) for settings in (experiment, averaging)
    )
    striped_report, averaged_report = article.outcome_report(outcome), article.outcome_report(averaged)
    sections = [Section(experiment.printed, striped_report), Section("averaged over each epoch", averaged_report)]
    console.print(comparison_table(sections))
    console.print()
    findings = article.run_findings(outcome, averaged)
    for sentence in findings:
        console.print(f"- {sentence}")
    console.print()
    subtitle = f"{name}: {experiment}"
    views = {
        "striped": lambda: article.striped_view(outcome.whole, subtitle),
        "band": lambda: article.band_view(outcome.whole, subtitle),
        "averaged": lambda: article.averaged_view(averaged.whole, outcome.whole, f"{name}: {averaging}"),
    }
    with working("drawing"):
        for view, figure in views.items():
            writer.write(article.picture_files(view, figure(), svg))
    return {
        "command": "train",
        "data": problem.origin,
        "version": version("jaxsgd"),
        "seed": seed,
        "training_seconds": logged.seconds,
        "striped": striped_report,
        "averaged": averaged_report,
        "findings": findings,
    }
