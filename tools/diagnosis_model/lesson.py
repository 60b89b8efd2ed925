"""The lesson: the teaching runs, the logs made of them, and the model that is learned. `python -m tools.diagnosis_model`
gives it.

The runs are those of the shipped study `training_logs`, on several problems, with courses of the learning rate and ragged
splits. What is learned from and what is held out have no problem setting, seed or batch count in common.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from jaxsgd.diagnosis.cause import CAUSES
from jaxsgd.engine.sweep import sweep
from jaxsgd.optimizer import schedule_named
from jaxsgd.plot.style import figure_file
from jaxsgd.study.study import Study
from jaxsgd.study.study_file import read_study, study_path
from tools.diagnosis_model.learning import Report, assess, confusion, fit_models, fit_period, reliability
from tools.diagnosis_model.reliability import reliability_figure
from tools.diagnosis_model.teaching import Example, Runs, make_examples

STEPS, EACH_EPOCH = ("steps", "restarts"), "restarts_each_epoch"
COURSES = (*STEPS, EACH_EPOCH)
"""Schedules of `tools.diagnosis_model.rate_course`."""


class Subject(NamedTuple):
    """A problem with the rates at which it is trained.

    Attributes:
      problem, args: as in a study.
      rates: of SGD and Adam.
      steps_only: whether logs are made only of its runs in which the rate steps or restarts every few epochs.
    """

    problem: str
    args: dict
    rates: tuple[float, float]
    steps_only: bool = False


TAUGHT = (
    Subject("digits", {"num_samples": 400}, (0.3, 0.01)),
    Subject("least_squares", {"num_samples": 200, "num_inputs": 120, "noise": 2.0}, (0.005, 0.05)),
    Subject("noisy_quadratic", {"num_samples": 600}, (0.1, 0.05)),
    # Rates so large that they, and not the training's length, say where the loss ends: it steps where they do.
    Subject("noisy_quadratic", {"num_samples": 600}, (1.0, 0.3), steps_only=True),
    Subject("least_squares", {"num_samples": 200, "num_inputs": 20, "noise": 2.0}, (0.03, 0.5), steps_only=True),
)
HELD_OUT = (
    Subject("square_regression", {"num_samples": 200, "num_hidden": 100}, (10.0, 0.03)),
    Subject("digits", {"num_samples": 1000, "num_hidden": 64}, (0.5, 0.005)),
    Subject("least_squares", {"num_samples": 300, "num_inputs": 100, "noise": 4.0}, (0.004, 0.04)),
    Subject("noisy_quadratic", {"num_samples": 300, "num_inputs": 40}, (0.15, 0.03)),
    Subject("noisy_quadratic", {"num_samples": 300, "num_inputs": 40}, (0.8, 0.4)),
    Subject("least_squares", {"num_samples": 300, "num_inputs": 30, "noise": 3.0}, (0.02, 0.3)),
)


class Share(NamedTuple):
    """One side of the lesson.

    Attributes:
      subjects: what is trained.
      seeds: of the runs.
      counts: batches per epoch.
      last_shares: of the ragged runs, samples of the last batch over those of the others.
      logs: made of each setting's runs.
    """

    subjects: tuple[Subject, ...]
    seeds: tuple[int, ...]
    counts: tuple[int, ...]
    last_shares: tuple[float, ...]
    logs: int


SHARES = {
    "taught": Share(TAUGHT, tuple(range(32)), (4, 12, 20, 30), (0.05, 0.2), logs=30),
    "held_out": Share(HELD_OUT, tuple(range(700, 732)), (5, 15, 25), (0.08, 0.3), logs=25),
}


def studies(share: Share) -> Iterator[tuple[str, Study]]:
    """The studies of one side, with the names of their folders."""
    base = read_study(study_path("training_logs"))
    for name, subject in zip(_names(share), share.subjects, strict=True):
        fields = {
            "problem": subject.problem,
            "problem_args": subject.args,
            "seeds": share.seeds,
            "batch_counts": share.counts,
            "learning_rates": subject.rates,
        }
        yield name, base.replaced(**fields)
        for course in STEPS if subject.steps_only else COURSES:
            pointer = f"tools.diagnosis_model.rate_course:{course}"
            orders = ["reshuffle"] if course == EACH_EPOCH else ["fixed", "reshuffle"]
            yield f"{name}_{course}", base.replaced(**fields, schedule=pointer, orders=orders)
        if subject.steps_only:
            continue
        sizes = _ragged_sizes(subject.args["num_samples"], share)
        ragged = fields | {"batch_counts": None, "batch_sizes": sizes, "orders": ["fixed", "reshuffle"]}
        yield f"{name}_ragged", base.replaced(**ragged)


def _names(share: Share) -> list[str]:
    return [f"{number}_{subject.problem}" for number, subject in enumerate(share.subjects)]


def _ragged_sizes(samples: int, share: Share) -> list[int]:
    """Batch sizes that leave a last batch of about each wanted share of the others."""
    found = []
    for wanted in share.last_shares:
        sizes = range(max(4, samples // 40), samples // 8)
        found.append(min(sizes, key=lambda size: abs((samples % size or size) / size - wanted)))
    return sorted(set(found))


def recorded_runs(share: Share, folder: Path, say: Callable[[str], None]) -> Iterator[Runs]:
    """Every setting's runs, from the results in a folder; what is missing is run first."""
    plain: dict[str, dict[tuple, np.ndarray]] = {}
    partners = {name for name, subject in zip(_names(share), share.subjects, strict=True) if subject.steps_only}
    for name, study in studies(share):
        say(name)
        # One program for all batch counts: here most of the time is compiling.
        dataset = sweep(study, folder / name, vectorize="one_program")
        subject = name.removesuffix("_ragged")
        course = next((each for each in COURSES if name.endswith(each)), None)
        if course:
            subject = name.removesuffix(f"_{course}")
        along = "batch_size" if study.batch_sizes else "batch_count"
        for key, loss, sizes in _cells(dataset, along):
            batches = loss.shape[-1]
            rate = None
            if course:
                at = np.arange(study.epochs * batches) / (study.epochs * batches)
                rate = np.asarray(jax.vmap(schedule_named(study.schedule))(at.astype(np.float32)), np.float64)
            elif along == "batch_count":
                plain.setdefault(subject, {})[key] = loss
            if name in partners:
                continue
            share_of_last = float(sizes[-1] / sizes[0]) if along == "batch_size" else 1.0
            partner = plain.get(subject, {}).get(key) if course else None
            yield Runs(loss, key[0], rate, share_of_last, partner, f"{name} {key}")


def _cells(dataset, along: str) -> Iterator[tuple[tuple, np.ndarray, np.ndarray]]:
    """Losses [R, E, m] of every order, optimizer and batch count or size, without runs that diverged."""
    for order in dataset["order"].values:
        for place in range(dataset.sizes["optimizer_learning_rate"]):
            for value in dataset[along].values:
                cell = dataset.sel({"order": order, along: value}).isel(optimizer_learning_rate=place)
                loss = np.asarray(cell["loss"].transpose("seed", "epoch", "batch").values, np.float64)
                loss = loss[..., : int(cell["batch_count"])]
                loss = loss[np.isfinite(loss).all(axis=(1, 2))]
                if len(loss) < 4:
                    continue
                samples = json.loads(dataset.attrs["manifest"])["num_samples"]
                batches = loss.shape[-1]
                size = int(cell["batch_size"]) if along == "batch_size" else samples // batches
                sizes = np.minimum(size, samples - size * np.arange(batches))
                yield (str(order), str(cell["optimizer"].values), int(value)), loss, sizes


def examples(folder: Path, say: Callable[[str], None], seed: int = 0) -> dict[str, list[Example]]:
    """The logs of both sides."""
    # Each setting has random numbers of its own, so that its logs do not depend on who makes them, or on other settings.
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        made = {
            name: [
                pool.submit(make_examples, runs, share.logs, np.random.default_rng([seed, side, number]))
                for number, runs in enumerate(recorded_runs(share, folder / name, say))
            ]
            for side, (name, share) in enumerate(SHARES.items())
        }
        return {name: [example for each in settings for example in each.result()] for name, settings in made.items()}


LONG_PRINTS = 60
"""Prints that a held-out log must have to be counted."""


def main(words: Sequence[str] | None = None) -> None:
    """Runs what is missing, learns, and writes model.json, report.md and reliability.png and .svg into a folder."""
    parser = argparse.ArgumentParser(prog="python -m tools.diagnosis_model", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("results/training_logs"), help="folder for runs and results")
    folder: Path = parser.parse_args(words).out
    made = examples(folder, _say)
    models = fit_models(made["taught"])
    held_out = [each for each in made["held_out"] if each.prints >= LONG_PRINTS]
    report = assess(models, held_out)
    stored = {
        "causes": {name: {"intercept": model.intercept, "weights": model.weights} for name, model in models.items()},
        "period": fit_period(made["taught"]),
    }
    (folder / "model.json").write_text(json.dumps(stored, indent=1) + "\n")
    text = lesson_text(report, len(made["taught"]))
    (folder / "report.md").write_text(text)
    found = reliability(report)
    title = f"How often a cause acts that is said to, in {len(held_out):,} logs that were not learned from"
    subtitle = "All causes together; each weighted to its prior share of the logs"
    figure = reliability_figure(found.said, found.came, found.answers, title, subtitle)
    for kind in ("png", "svg"):
        (folder / f"reliability.{kind}").write_bytes(figure_file(figure, kind))
    sys.stdout.write(text)


def _say(name: str) -> None:
    sys.stderr.write(f"{name}\n")


def lesson_text(report: Report, taught: int) -> str:
    """The numbers of a lesson, as a page has them."""
    known = np.isfinite(report.truth)
    lines = [
        f"Learned from {taught:,} logs, tried on {len(report.truth):,} others: {report.right:.1%} of all answers are right, "
        f"and all answers of a log in {report.whole:.1%}. False alarms on logs with nothing periodic: "
        f"{report.false_alarm:.1%} of {int((report.truth == 0).all(axis=1).sum())}.",
        "",
        "| cause | logs with it | recall | precision |",
        "|---|---|---|---|",
    ]
    for place, cause in enumerate(CAUSES):
        count = int((report.truth[:, place] == 1).sum())
        lines.append(f"| {cause.title} | {count} | {report.recall[place]:.3f} | {report.precision[place]:.3f} |")
    names = [*(cause.title for cause in CAUSES), "nothing"]
    lines += ["", f"| acts, told: | {' | '.join(names)} |", f"|---|{'---|' * len(names)}"]
    for name, row in zip(names, confusion(report), strict=True):
        lines.append(f"| {name} | {' | '.join(f'{value:.0f}' for value in row)} |")
    lines += ["", f"Answers that cannot be known are left out: {(~known).mean():.0%} of {known.size:,}."]
    return "\n".join(lines) + "\n"
