"""`jaxsgd article`: the article end to end."""

from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer

from jaxsgd.cli.output import check_output_folder, make_console, to_json, working, write_files
from jaxsgd.cli.runtime import Background, start_jax

_NOTE = (
    "run, 1-{0}: the shown run's first {0} epochs; seeds: the same epochs of {1} seeds; its place: the percentile of the "
    "article's number among them; expected gap: what sampling alone gives. "
    "Experiment 3 reads the training of experiment 2 once an epoch; it is not trained again."
)


def article(
    context: typer.Context,
    out: Annotated[Path, typer.Option(help="Folder for the figures, the log and report.json.")] = Path("article"),
    seed: Annotated[int, typer.Option(help="Seed of the shown runs: data, initial weights.")] = 0,
    learning_rate: Annotated[float, typer.Option(help="Learning rate of all three experiments.")] = 1e-3,
    quick: Annotated[bool, typer.Option("--quick", help="20 epochs an experiment, and 5 for each of the 64 seeds.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, and nothing else there.")] = False,
) -> None:
    """Reproduce the article: train, print its log, draw its three figures, hold the result against it, and test its claim.

    Experiment 1 prints twice an epoch and shows two stripes, experiment 2 four times and shows a band, experiment 3 reads the
    training of experiment 2 once an epoch. 64 seeds say how ordinary the article's numbers are, and how much of a batch's
    fall its own step makes.
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
    # Experiment 3 trains as experiment 2 does.
    trained = {"Experiment 1": one, "Experiments 2 and 3": two}
    networks = [problems.square_regression(experiment.num_samples) for experiment in trained.values()]

    with working("compiling experiment 1"):
        training = article.train_by_window(networks[0], seed, one)
    logged = print_log(console, training, one, "Experiment 1 (striped)")
    files: dict[str, bytes | str] = {"training_log.txt": "".join(f"{line}\n" for line in logged.lines)}

    with Background() as background:
        whole = background.start(lambda: article.run_whole(networks[1], seed, two))
        pairs = list(zip(networks, trained.values(), strict=True))
        seed_runs = background.start(article.seed_calls(pairs, first_epochs))
        claim_runs = background.start(article.claim_calls(pairs, seed, quick))
        striped = article.run_outcome(one, logged.loss, training.sample_loss, first_epochs)
        files |= article.picture_files("striped", article.striped_view(striped.whole, f"Experiment 1: {one}"))
        loss, sample_loss = (np.asarray(array) for array in background.wait(whole))
        stop_if_diverged(loss, two, "Experiment 2 (band)")
        with working(f"{article.SEEDS} seeds of each training"):
            band, averaged = (article.run_outcome(experiment, loss, sample_loss, first_epochs) for experiment in (two, three))
            files |= article.picture_files("band", article.band_view(band.whole, f"Experiment 2: {two}"))
            averaged_view = article.averaged_view(averaged.whole, band.whole, f"Experiment 3: {three}")
            files |= article.picture_files("averaged", averaged_view)
            ones, twos = background.wait(seed_runs)
        with working("which step made which loss fall"):
            runs = background.wait(claim_runs)

    seeds = [article.seed_outcome(*pair) for pair in ((one, ones), (two, twos), (three, twos))]
    printed = stripes(article.printed_losses(first_epochs), 1)
    percentile = article.places(printed, seeds[0])
    findings = article.article_findings(striped, band, averaged, (seeds[0], seeds[1]), percentile)
    claims = article.measure_claims(runs, trained)
    maps = article.claim_maps(runs, quick)
    files |= article.claim_files(claims, maps, runs.shown[0], one)
    claim_findings = article.claim_findings(claims, maps)
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
        "claim": article.claim_report(claims, maps),
        "findings": findings + claim_findings,
        "files": [*files, "report.json"],
    }
    console.rule("End of the log: what the runs show")
    titles = ("1 striped", "2 band", "3 averaged")
    held_against = (report["article"], {}, {})
    sections = [Section(*parts) for parts in zip(titles, report["experiments"].values(), held_against, strict=True)]
    console.print(comparison_table(sections, caption=_NOTE.format(first_epochs, article.SEEDS)))
    console.print()
    for sentence in findings:
        console.print(f"- {sentence}", markup=False)
    console.rule("The article's claim: a batch's loss falls mainly through its own step")
    for sentence in claim_findings:
        console.print(f"- {sentence}", markup=False)
    return report, files
