"""`jaxsgd article`: the article end to end."""

import shlex
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer

from jaxsgd.cli.output import Writer, check_output_folder, make_console, to_json, working, write_files
from jaxsgd.cli.runtime import Background, start_jax

_NOTE = (
    "run, 1-{0}: the shown run's first {0} epochs; seeds: the same epochs of {1} seeds; its place: the "
    "percentile of the article's number among them; expected gap: what sampling alone gives. "
    "Experiment 3 averages the training of experiment 2 over each epoch; it is not trained again."
)


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

    console = make_console(quiet=as_json)
    writer = Writer(console, folder)
    report, page = _reproduce(console, writer, folder, experiments, seed, quick, svg)
    if html:
        (path,) = write_files(html.parent, {html.name: page()})
        console.print(f"wrote {path}", soft_wrap=True)
    report = writer.write_report(report)
    if as_json:
        typer.echo(to_json(report))


def _reproduce(
    console, writer: Writer, folder: Path, experiments, seed: int, quick: bool, svg: bool
) -> tuple[dict[str, Any], Callable[[], str]]:
    """Run everything, and print and write each part as soon as it is ready.

    Returns:
      (the report without the list of files, a function that returns the same as an HTML page).
    """
    from functools import partial

    from jaxsgd import article
    from jaxsgd.cli.table import Section, comparison_rows, comparison_table
    from jaxsgd.cli.training_log import print_log, stop_if_diverged
    from jaxsgd.engine.sweep import sweep
    from jaxsgd.measure.stripes import stripes

    def doing(message: str):
        return working(message, lines=not console.quiet)

    findings: list[str] = []

    def print_findings(sentences: list[str]) -> None:
        findings.extend(sentences)
        for sentence in sentences:
            console.print(f"- {sentence}")

    def draw(**figures) -> None:
        for name, figure in figures.items():
            writer.write(article.picture_files(name, figure, svg))

    # Experiment 3 has the same training as experiment 2.
    first, second, third = experiments
    studies = article.article_studies(seed, first.learning_rate, quick)
    first_problem, second_problem = (studies[experiment.name].subject().problem for experiment in (first, second))

    with Background() as background:

        def start_runs(name: str):
            return background.start(partial(sweep, studies[name], folder / name, progress=False))

        # About in the order in which they are waited for.
        first_run, second_run = start_runs("striped"), start_runs("band")
        influence = background.start(partial(article.shown_influence, first_problem, seed, first))
        map_steps = background.start(article.map_calls(quick))
        first_seeds, second_seeds = start_runs("striped_seeds"), start_runs("band_seeds")
        trainings = ((first_problem, first), (second_problem, second))
        measures = background.start(article.measure_calls(trainings, seed, quick))

        with doing("training experiment 1"):
            result = background.wait(first_run)
        windows = article.stored_windows(article.run_losses(result)[0], first.eval_interval, article.training_seconds(result))
        logged = print_log(console, windows, first, "Experiment 1 (striped)")
        console.rule("End of the log: what the runs show")
        writer.write({"training_log.txt": "".join(f"{line}\n" for line in logged.lines)})
        striped = stripes(logged.loss, first.eval_interval)
        print_findings(article.striped_findings(striped))
        with doing("drawing experiment 1"):
            draw(striped=article.striped_view(striped, f"Experiment 1: {first}"))

        with doing("training experiment 2"):
            (band_loss,) = article.run_losses(background.wait(second_run))
        stop_if_diverged(band_loss, second, "Experiment 2 (band)")
        band, averaged = (stripes(band_loss, experiment.eval_interval) for experiment in (second, third))
        print_findings(article.band_findings(band, averaged))
        with doing("drawing experiments 2 and 3"):
            draw(band=article.band_view(band, f"Experiment 2: {second}"))
            draw(averaged=article.averaged_view(averaged, band, f"Experiment 3: {third}"))

        console.rule("The article's claim: a batch's loss falls mainly through its own step")
        with doing("measuring which step makes which loss fall"):
            shown_influence = background.wait(influence)
            draw(influence=article.influence_view(shown_influence, first))
        with doing("training small problems at six batch counts, to map where the claim holds"):
            lands = zip(article.territories(), background.wait(map_steps), strict=True)
            maps = [article.claim_map(land, article.joined(parts), article.map_epochs(quick)) for land, parts in lands]
        print_findings(article.map_findings(maps))
        draw(claim_map=article.map_view(maps))

        printed = stripes(article.printed_losses(article.first_epochs(quick)), 1)
        outcomes, seeds, claims = {}, {}, {}

        def compare(experiment, loss, seed_runs, training: int) -> None:
            """Measure the shown run of an experiment, and the seeds beside it."""
            start, *seed_starts = background.wait(measures.sample_loss[training])
            outcomes[experiment.name] = article.run_outcome(experiment, loss, start, article.first_epochs(quick))
            seed_losses = article.run_losses(background.wait(seed_runs))
            seeds[experiment.name] = article.seed_outcome(experiment, seed_losses, seed_starts)

        def test_claim(name: str, experiment, training: int) -> None:
            steps, shown = background.wait((measures.steps[training], measures.shown[training]))
            late = experiment.epochs - 1
            claims[name] = article.measure_claim(article.joined(steps), shown, late, experiment.eval_interval)
            print_findings(article.claim_findings(name, claims[name]))

        with doing(f"training {article.SEEDS} seeds of experiment 1"):
            compare(first, logged.loss, first_seeds, 0)
        percentile = article.percentiles(printed, seeds["striped"])
        print_findings(article.seed_findings("Experiment 1", seeds["striped"], percentile))
        test_claim("Experiment 1", first, 0)
        with doing(f"training {article.SEEDS} seeds of experiments 2 and 3"):
            for experiment in (second, third):
                compare(experiment, band_loss, second_seeds, 1)
        print_findings(article.seed_findings("Experiment 2", seeds["band"]))
        test_claim("Experiments 2 and 3", second, 1)
        draw(own_share=article.share_view(claims))

    reports = {name: article.outcome_report(outcome, seeds[name]) for name, outcome in outcomes.items()}
    article_numbers = article.stripes_report(printed) | {"percentile": percentile}
    console.rule(f"The runs, beside the article and {article.SEEDS} seeds")
    titles = ("1 striped", "2 band", "3 averaged")
    sections = [Section(*parts) for parts in zip(titles, reports.values(), (article_numbers, {}, {}), strict=True)]
    console.print(comparison_table(sections, caption=_NOTE.format(article.first_epochs(quick), article.SEEDS)))
    console.print()

    def page() -> str:
        """Return the findings and figures as an HTML page."""
        charts = [
            article.striped_chart(striped, f"Experiment 1: {first}"),
            article.band_chart(band, f"Experiment 2: {second}"),
            article.averaged_chart(averaged, band, f"Experiment 3: {third}"),
            article.influence_chart(shown_influence, f"Experiment 1, first epoch: {first}"),
            article.share_chart(claims),
            *article.map_charts(maps),
        ]
        headings, parts = comparison_rows(sections)
        rows = [[f"{title}: {name}", *numbers] for title, own in parts for name, *numbers in own]
        fewer = " (quick: fewer epochs)" if quick else ""
        ran = f"Three experiments with seed {seed}, and {article.SEEDS} seeds beside them{fewer}."
        options = [f"--seed {seed}", f"--learning-rate {first.learning_rate:g}", *(["--quick"] if quick else [])]
        command = f"jaxsgd article {' '.join(options)} --out {shlex.quote(str(folder))}"
        question = "The article, reproduced: does the printed loss have stripes, and why?"
        head = [heading.strip().replace("\n", " ") for heading in headings]
        return article.article_page(question, ran, findings, charts, [head, *rows], command)

    report = {
        "command": "article",
        "version": version("jaxsgd"),
        "seed": seed,
        "quick": quick,
        "trained_once": ["band", "averaged"],
        "experiments": reports,
        "article": article_numbers,
        "claim": article.claim_report(claims, maps),
        "findings": findings,
    }
    return report, page
