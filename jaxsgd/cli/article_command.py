"""`jaxsgd article`: the article end to end."""

from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer

from jaxsgd.cli.output import Writer, check_output_folder, make_console, to_json, working
from jaxsgd.cli.runtime import Background, start_jax

_NOTE = (
    "run, 1-{0}: the shown run's first {0} epochs; seeds: the same epochs of {1} seeds; percentile: the rank of the "
    "article's number among them; expected gap: what sampling alone gives. "
    "Experiment 3 averages the training of experiment 2 over each epoch; it is not trained again."
)


def article(
    context: typer.Context,
    out: Annotated[Path, typer.Option(help="Folder for the figures, the log and report.json.")] = Path("article"),
    seed: Annotated[int, typer.Option(help="Seed of the shown runs: data, initial weights.")] = 0,
    learning_rate: Annotated[float, typer.Option(help="Learning rate of all three experiments.")] = 1e-3,
    svg: Annotated[bool, typer.Option("--svg", help="Write each figure as SVG too, beside its PNG.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="20 epochs an experiment, and 5 for each of the 64 seeds.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, and nothing else there.")] = False,
) -> None:
    """Reproduce the article: train, print its log, draw its three figures, compare the result with it, and test its claim.

    Experiment 1 prints twice an epoch and shows two stripes. Experiment 2 prints four times and shows a band. Experiment 3
    prints the training of experiment 2 once an epoch. 64 seeds give the rank of the article's numbers, and the share of a
    batch's own step in the fall of its loss.
    """
    from jaxsgd.article.experiment import article_experiments, check_seed

    experiments = article_experiments(learning_rate, quick)
    check_seed(seed)
    check_output_folder(out)
    start_jax(context)

    console = make_console(quiet=as_json)
    writer = Writer(console, out)
    report = writer.write_report(_reproduce(console, writer, experiments, seed, quick, svg))
    if as_json:
        typer.echo(to_json(report))


def _reproduce(console, writer: Writer, experiments, seed: int, quick: bool, svg: bool) -> dict[str, Any]:
    """Run everything, print and write each part as soon as it is ready, and return the report without the list of files."""
    from jaxsgd import article, problems
    from jaxsgd.cli.table import Section, comparison_table
    from jaxsgd.cli.training_log import print_log, stop_if_diverged
    from jaxsgd.measure.stripes import stripes

    def doing(message: str):
        return working(message, lines=not console.quiet)

    findings: list[str] = []

    def print_findings(sentences: list[str]) -> None:
        findings.extend(sentences)
        for sentence in sentences:
            console.print(f"- {sentence}", markup=False)

    def draw(**figures) -> None:
        for name, figure in figures.items():
            writer.write(article.picture_files(name, figure, svg))

    first, second, third = experiments
    first_epochs = 5 if quick else 10
    # Experiment 3 has the same training as experiment 2.
    first_network, second_network = (problems.square_regression(experiment.num_samples) for experiment in (first, second))

    with doing("compiling experiment 1"):
        training = article.train_by_window(first_network, seed, first)
    logged = print_log(console, training, first, "Experiment 1 (striped)")
    console.rule("End of the log: what the runs show")
    writer.write({"training_log.txt": "".join(f"{line}\n" for line in logged.lines)})

    with Background() as background:
        # In the order in which they are waited for; the first ones compile the programs that the later ones use too.
        second_run = background.start(lambda: article.run_whole(second_network, seed, second))
        shown_influence = background.start(lambda: article.shown_influence(first_network, seed, first))
        first_run = background.start(lambda: article.run_whole(first_network, seed, first))
        map_runs = background.start(article.map_calls(quick))
        first_seeds, second_seeds = (
            background.start(article.seed_calls(network, experiment, first_epochs, article.measured_seeds(quick)))
            for network, experiment in ((first_network, first), (second_network, second))
        )

        striped = article.run_outcome(first, logged.loss, training.sample_loss, first_epochs)
        print_findings(article.striped_findings(striped))
        with doing("drawing experiment 1"):
            draw(striped=article.striped_view(striped.whole, f"Experiment 1: {first}"))

        with doing("training experiment 2"):
            band_run = background.wait(second_run)
        loss, sample_loss = band_run.loss[0], band_run.sample_loss[0]
        stop_if_diverged(loss, second, "Experiment 2 (band)")
        band, averaged = (article.run_outcome(experiment, loss, sample_loss, first_epochs) for experiment in (second, third))
        print_findings(article.band_findings(band, averaged))
        with doing("drawing experiments 2 and 3"):
            draw(band=article.band_view(band.whole, f"Experiment 2: {second}"))
            draw(averaged=article.averaged_view(averaged.whole, band.whole, f"Experiment 3: {third}"))

        console.rule("The article's claim: a batch's loss falls mainly through its own step")
        with doing("measuring which step makes which loss fall"):
            draw(influence=article.influence_view(background.wait(shown_influence), first))
        with doing("training small problems at six batch counts, to map where the claim holds"):
            lands = zip(article.territories(), background.wait(map_runs), strict=True)
            maps = [article.claim_map(land, article.joined(parts), article.map_epochs(quick)) for land, parts in lands]
        print_findings(article.map_findings(maps))
        draw(claim_map=article.map_view(maps))

        def claim_of(name: str, experiment, runs, shown):
            claim = article.measure_claim(
                article.measured_steps(runs, quick), shown.steps, experiment.epochs - 1, experiment.eval_interval
            )
            print_findings(article.claim_findings(name, claim))
            return claim

        printed = stripes(article.printed_losses(first_epochs), 1)
        claims = {}
        with doing(f"training {article.SEEDS} seeds of experiment 1"):
            runs, shown = article.joined(background.wait(first_seeds)), background.wait(first_run)
        striped_seeds = article.seed_outcome(first, runs)
        percentile = article.percentiles(printed, striped_seeds)
        print_findings(article.seed_findings("Experiment 1", striped_seeds, percentile))
        claims["Experiment 1"] = claim_of("Experiment 1", first, runs, shown)
        with doing(f"training {article.SEEDS} seeds of experiments 2 and 3"):
            runs = article.joined(background.wait(second_seeds))
        band_seeds, averaged_seeds = (article.seed_outcome(experiment, runs) for experiment in (second, third))
        print_findings(article.seed_findings("Experiment 2", band_seeds))
        claims["Experiments 2 and 3"] = claim_of("Experiments 2 and 3", second, runs, band_run)
        draw(own_share=article.share_view(claims))

    seeds = (striped_seeds, band_seeds, averaged_seeds)
    outcomes = {
        outcome.experiment.name: article.outcome_report(outcome, spread)
        for outcome, spread in zip((striped, band, averaged), seeds, strict=True)
    }
    article_numbers = article.stripes_report(printed) | {"percentile": percentile}
    console.rule(f"The runs, beside the article and {article.SEEDS} seeds")
    titles = ("1 striped", "2 band", "3 averaged")
    sections = [Section(*parts) for parts in zip(titles, outcomes.values(), (article_numbers, {}, {}), strict=True)]
    console.print(comparison_table(sections, caption=_NOTE.format(first_epochs, article.SEEDS)))
    console.print()
    return {
        "command": "article",
        "version": version("jaxsgd"),
        "seed": seed,
        "quick": quick,
        "training_seconds": logged.seconds,
        "trained_once": ["band", "averaged"],
        "experiments": outcomes,
        "article": article_numbers,
        "claim": article.claim_report(claims, maps),
        "findings": findings,
    }
