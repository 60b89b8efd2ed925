"""`jaxsgd train`: the article's network, log and figures on a user's own data."""

from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer

from jaxsgd.cli.output import check_output_folder, make_console, to_json, working, write_files
from jaxsgd.cli.runtime import start_jax


def train(
    context: typer.Context,
    file: Annotated[
        Path, typer.Argument(help="Samples: .npz (arrays x and t), .npy (with --targets), or .csv.", metavar="FILE")
    ],
    targets: Annotated[
        list[str] | None,
        typer.Option(help="Target array (.npz), file (.npy) or column (.csv; may be given again for each).", metavar="NAME"),
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
    order: Annotated[str, typer.Option(help="How samples are assigned to batches each epoch.")] = "fixed",
    seed: Annotated[int, typer.Option(help="Seed of the initial weights and of the order.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, and nothing else there.")] = False,
) -> None:
    """Train the article's network on your own data and see whether its printed loss has stripes, and why."""
    from jaxsgd.article.experiment import check_rate, check_seed
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
    console.print(f"{file}: {num_samples(problem.data):,} samples; {problem.origin}\n", markup=False, soft_wrap=True)
    report, files = _train(console, problem, experiment, seed)
    files["report.json"] = to_json(report) + "\n"
    written = write_files(folder, files)
    console.print()
    for path in written:
        console.print(f"wrote {path}", markup=False, soft_wrap=True)
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


def _train(console, problem, experiment, seed: int) -> tuple[dict[str, Any], dict[str, bytes | str]]:
    import dataclasses

    from jaxsgd import article
    from jaxsgd.cli.table import Section, comparison_table
    from jaxsgd.cli.training_log import print_log

    name = problem.name
    averaging = dataclasses.replace(experiment, name=f"{experiment.name}, averaged", eval_interval=experiment.batch_count)
    with working("compiling"):
        training = article.train_by_window(problem, seed, experiment)
    logged = print_log(console, training, experiment, name)
    with working("drawing"):
        outcome, averaged = (
            article.run_outcome(each, logged.loss, training.sample_loss, early_epochs=10) for each in (experiment, averaging)
        )
        subtitle = f"{name}: {experiment}"
        files: dict[str, bytes | str] = {"training_log.txt": "".join(f"{line}\n" for line in logged.lines)}
        files |= article.picture_files("striped", article.striped_view(outcome.whole, subtitle))
        files |= article.picture_files("band", article.band_view(outcome.whole, subtitle))
        files |= article.picture_files("averaged", article.averaged_view(averaged.whole, outcome.whole, f"{name}: {averaging}"))
    report = {
        "command": "train",
        "data": problem.origin,
        "version": version("jaxsgd"),
        "seed": seed,
        "training_seconds": logged.seconds,
        "striped": article.outcome_report(outcome),
        "averaged": article.outcome_report(averaged),
        "findings": article.run_findings(outcome, averaged),
        "files": [*files, "report.json"],
    }
    console.rule("End of the log: what the run shows")
    sections = [Section(experiment.printed, report["striped"]), Section("averaged over each epoch", report["averaged"])]
    console.print(comparison_table(sections))
    console.print()
    for sentence in report["findings"]:
        console.print(f"- {sentence}", markup=False)
    return report, files
