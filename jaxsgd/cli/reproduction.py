"""The article's three experiments, of which each part is printed and drawn as soon as it is ready."""

import shlex
from collections.abc import Sequence
from contextlib import AbstractContextManager
from functools import partial
from importlib.metadata import version
from typing import Any, NamedTuple

from rich.console import Console

from jaxsgd import article
from jaxsgd.article.experiment import Experiment
from jaxsgd.cli.output import Writer, working
from jaxsgd.cli.runtime import Background
from jaxsgd.cli.table import Section, comparison_rows, comparison_table
from jaxsgd.cli.training_log import print_log, stop_if_diverged
from jaxsgd.engine.sweep import sweep
from jaxsgd.measure.stripes import stripes

_NOTE = (
    "run, 1-{0}: the shown run's first {0} epochs; seeds: the same epochs of {1} seeds; its place: the "
    "percentile of the article's number among them; expected gap: what sampling alone gives. "
    "Experiment 3 averages the training of experiment 2 over each epoch; it is not trained again."
)


class _Started(NamedTuple):
    """The computations that run while parts are printed and drawn, about in the order in which they are waited for.

    Attributes:
      first, second: the shown runs of experiments 1 and 2; experiment 3 has the training of experiment 2.
      influence: of experiment 1, in its first epoch.
      map_steps: the influence of small problems, for the map of the claim.
      first_seeds, second_seeds: the runs of other seeds.
      measures: of both trainings, for the claim.
    """

    first: Any
    second: Any
    influence: Any
    map_steps: Any
    first_seeds: Any
    second_seeds: Any
    measures: Any


class Reproduction:
    """The article, reproduced with one seed for the shown runs, and with 64 seeds beside them."""

    def __init__(
        self, console: Console, writer: Writer, experiments: Sequence[Experiment], *, seed: int, quick: bool, svg: bool
    ):
        """Compute nothing yet.

        Args:
          console: for the text.
          writer: for the log and the figures; its folder has the trainings' results too.
          experiments: the three experiments.
          seed: of the shown runs.
          quick: True for fewer epochs.
          svg: True to write each figure as SVG too.
        """
        self.console, self.writer = console, writer
        self.experiments, self.seed, self.quick, self.svg = experiments, seed, quick, svg
        self.findings: list[str] = []
        self.outcomes: dict[str, Any] = {}
        self.seeds: dict[str, Any] = {}
        self.claims: dict[str, Any] = {}

    def run(self) -> None:
        """Run everything, and print and write each part as soon as it is ready."""
        first, second, third = self.experiments
        with Background() as background:
            self.background = background
            started = self._start()
            self._show_stripes(started.first)
            self._show_band(started.second)
            self._map_claim(started)
            self.printed = stripes(article.printed_losses(article.first_epochs(self.quick)), 1)
            with self._doing(f"training {article.SEEDS} seeds of experiment 1"):
                self._add_outcome(first, self.log_loss, started.first_seeds, started.measures.sample_loss[0])
            self.percentile = article.percentiles(self.printed, self.seeds["striped"])
            self._print_findings(article.seed_findings("Experiment 1", self.seeds["striped"], self.percentile))
            self._test_claim("Experiment 1", first, started.measures, 0)
            with self._doing(f"training {article.SEEDS} seeds of experiments 2 and 3"):
                for experiment in (second, third):
                    self._add_outcome(experiment, self.band_loss, started.second_seeds, started.measures.sample_loss[1])
            self._print_findings(article.seed_findings("Experiment 2", self.seeds["band"]))
            self._test_claim("Experiments 2 and 3", second, started.measures, 1)
            self._draw(own_share=article.share_view(self.claims))
        self._compare()

    def report(self) -> dict[str, Any]:
        """Return all numbers and findings, as plain values."""
        return {
            "command": "article",
            "version": version("jaxsgd"),
            "seed": self.seed,
            "quick": self.quick,
            "trained_once": ["band", "averaged"],
            "experiments": self.reports,
            "article": self.article_numbers,
            "claim": article.claim_report(self.claims, self.maps),
            "findings": self.findings,
        }

    def page(self) -> str:
        """Return the findings and figures as an HTML page."""
        first, second, third = self.experiments
        charts = [
            article.striped_chart(self.striped, f"Experiment 1: {first}"),
            article.band_chart(self.band, f"Experiment 2: {second}"),
            article.averaged_chart(self.averaged, self.band, f"Experiment 3: {third}"),
            article.influence_chart(self.influence, f"Experiment 1, first epoch: {first}"),
            article.share_chart(self.claims),
            *article.map_charts(self.maps),
        ]
        headings, parts = comparison_rows(self.sections)
        rows = [[f"{title}: {name}", *numbers] for title, own in parts for name, *numbers in own]
        fewer = " (quick: fewer epochs)" if self.quick else ""
        ran = f"Three experiments with seed {self.seed}, and {article.SEEDS} seeds beside them{fewer}."
        options = [f"--seed {self.seed}", f"--learning-rate {first.learning_rate:g}", *(["--quick"] if self.quick else [])]
        command = f"jaxsgd article {' '.join(options)} --out {shlex.quote(str(self.writer.folder))}"
        question = "The article, reproduced: does the printed loss have stripes, and why?"
        head = [heading.strip().replace("\n", " ") for heading in headings]
        return article.article_page(question, ran, self.findings, charts, [head, *rows], command)

    def _start(self) -> _Started:
        """Start everything that takes long."""
        first, second, _ = self.experiments
        studies = article.article_studies(self.seed, first.learning_rate, self.quick)
        first_problem, second_problem = (studies[experiment.name].subject().problem for experiment in (first, second))
        trainings = ((first_problem, first), (second_problem, second))

        def training(name: str) -> partial:
            return partial(sweep, studies[name], self.writer.folder / name, progress=False)

        return _Started(
            first=self.background.start(training("striped")),
            second=self.background.start(training("band")),
            influence=self.background.start(partial(article.shown_influence, first_problem, self.seed, first)),
            map_steps=self.background.start(article.map_calls(self.quick)),
            first_seeds=self.background.start(training("striped_seeds")),
            second_seeds=self.background.start(training("band_seeds")),
            measures=self.background.start(article.measure_calls(trainings, self.seed, self.quick)),
        )

    def _show_stripes(self, run: Any) -> None:
        """Show experiment 1: its log as the article prints it, its stripes and its figure."""
        first = self.experiments[0]
        with self._doing("training experiment 1"):
            result = self.background.wait(run)
        windows = article.stored_windows(article.run_losses(result)[0], first.eval_interval, article.training_seconds(result))
        logged = print_log(self.console, windows, first, "Experiment 1 (striped)")
        self.console.rule("End of the log: what the runs show")
        self.writer.write({"training_log.txt": "".join(f"{line}\n" for line in logged.lines)})
        self.log_loss = logged.loss
        self.striped = stripes(logged.loss, first.eval_interval)
        self._print_findings(article.striped_findings(self.striped))
        with self._doing("drawing experiment 1"):
            self._draw(striped=article.striped_view(self.striped, f"Experiment 1: {first}"))

    def _show_band(self, run: Any) -> None:
        """Show experiments 2 and 3: the same training, printed four times an epoch and once."""
        _, second, third = self.experiments
        with self._doing("training experiment 2"):
            (self.band_loss,) = article.run_losses(self.background.wait(run))
        stop_if_diverged(self.band_loss, second, "Experiment 2 (band)")
        self.band, self.averaged = (stripes(self.band_loss, experiment.eval_interval) for experiment in (second, third))
        self._print_findings(article.band_findings(self.band, self.averaged))
        with self._doing("drawing experiments 2 and 3"):
            self._draw(band=article.band_view(self.band, f"Experiment 2: {second}"))
            self._draw(averaged=article.averaged_view(self.averaged, self.band, f"Experiment 3: {third}"))

    def _map_claim(self, started: _Started) -> None:
        """Show which step makes which loss fall in experiment 1, and where the article's claim holds on small problems."""
        self.console.rule("The article's claim: a batch's loss falls mainly through its own step")
        with self._doing("measuring which step makes which loss fall"):
            self.influence = self.background.wait(started.influence)
            self._draw(influence=article.influence_view(self.influence, self.experiments[0]))
        with self._doing("training small problems at six batch counts, to map where the claim holds"):
            lands = zip(article.territories(), self.background.wait(started.map_steps), strict=True)
            epochs = article.map_epochs(self.quick)
            self.maps = [article.claim_map(land, article.joined(parts), epochs) for land, parts in lands]
        self._print_findings(article.map_findings(self.maps))
        self._draw(claim_map=article.map_view(self.maps))

    def _add_outcome(self, experiment: Experiment, loss: Any, seed_runs: Any, sample_loss: Any) -> None:
        """Measure the shown run of an experiment, and the seeds beside it."""
        start, *seed_starts = self.background.wait(sample_loss)
        self.outcomes[experiment.name] = article.run_outcome(experiment, loss, start, article.first_epochs(self.quick))
        seed_losses = article.run_losses(self.background.wait(seed_runs))
        self.seeds[experiment.name] = article.seed_outcome(experiment, seed_losses, seed_starts)

    def _test_claim(self, name: str, experiment: Experiment, measures: Any, training: int) -> None:
        """Test the claim on a training, and print what comes out."""
        steps, shown = self.background.wait((measures.steps[training], measures.shown[training]))
        last = experiment.epochs - 1
        self.claims[name] = article.measure_claim(article.joined(steps), shown, last, experiment.eval_interval)
        self._print_findings(article.claim_findings(name, self.claims[name]))

    def _compare(self) -> None:
        """Print the runs beside the article's numbers and the seeds."""
        self.reports = {name: article.outcome_report(outcome, self.seeds[name]) for name, outcome in self.outcomes.items()}
        self.article_numbers = article.stripes_report(self.printed) | {"percentile": self.percentile}
        self.console.rule(f"The runs, beside the article and {article.SEEDS} seeds")
        titles = ("1 striped", "2 band", "3 averaged")
        parts = zip(titles, self.reports.values(), (self.article_numbers, {}, {}), strict=True)
        self.sections = [Section(*part) for part in parts]
        caption = _NOTE.format(article.first_epochs(self.quick), article.SEEDS)
        self.console.print(comparison_table(self.sections, caption=caption))
        self.console.print()

    def _doing(self, message: str) -> AbstractContextManager[None]:
        """Show what is being computed while a block runs."""
        return working(message, lines=not self.console.quiet)

    def _print_findings(self, sentences: list[str]) -> None:
        """Print sentences, and keep them for the report."""
        self.findings.extend(sentences)
        for sentence in sentences:
            self.console.print(f"- {sentence}")

    def _draw(self, **figures: Any) -> None:
        """Write figures, by the names of their files."""
        for name, figure in figures.items():
            self.writer.write(article.picture_files(name, figure, self.svg))
