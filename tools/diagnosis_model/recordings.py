"""The recorded runs behind the examples: the studies that are run, on the side to train on and on the held-out side.

The runs are those of the shipped study `training_logs`, on several problems, with courses of the learning rate and ragged
splits. The two sides have no problem setting, seed or batch count in common.

Nearly all of the time is compiling. So the batch counts, the courses and the seeds of a problem are data of one program for
each order and optimizer.
"""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from jaxsgd.engine.sweep import sweep
from jaxsgd.study.study import Study
from jaxsgd.study.study_file import read_study, study_path
from tools.diagnosis_model.examples import Recording
from tools.diagnosis_model.rate_course import COURSES, constant, restarts_each_epoch

STEPPED = tuple(course for course in COURSES if course is not restarts_each_epoch)
"""The courses that step or restart every few epochs, and the constant rate beside them."""


QUICK_TO_COMPILE = "--xla_cpu_use_fusion_emitters=false"
"""Option of XLA with which small programs compile in half the time, and run a little slower."""


def compile_quickly() -> None:
    """Add `QUICK_TO_COMPILE` to the options of XLA; JAX reads them at its first computation."""
    given = os.environ.get("XLA_FLAGS", "")
    if QUICK_TO_COMPILE not in given:
        os.environ["XLA_FLAGS"] = f"{given} {QUICK_TO_COMPILE}".strip()


class TrainedProblem(NamedTuple):
    """A problem with the rates at which it is trained.

    Attributes:
      name, args: of the problem, as in a study.
      rates: of SGD and Adam.
      steps_only: True if logs are made only of its runs in which the rate steps or restarts every few epochs.
    """

    name: str
    args: dict
    rates: tuple[float, float]
    steps_only: bool = False


TAUGHT = (
    TrainedProblem("digits", {"num_samples": 400}, (0.3, 0.01)),
    TrainedProblem("least_squares", {"num_samples": 200, "num_inputs": 120, "noise": 2.0}, (0.005, 0.05)),
    TrainedProblem("noisy_quadratic", {"num_samples": 600}, (0.1, 0.05)),
    # Rates so large that they, and not the training's length, decide where the loss ends: it steps where they do.
    TrainedProblem("noisy_quadratic", {"num_samples": 600}, (1.0, 0.3), steps_only=True),
    TrainedProblem("least_squares", {"num_samples": 200, "num_inputs": 20, "noise": 2.0}, (0.03, 0.5), steps_only=True),
)
HELD_OUT = (
    TrainedProblem("square_regression", {"num_samples": 200, "num_hidden": 100}, (10.0, 0.03)),
    TrainedProblem("digits", {"num_samples": 1000, "num_hidden": 64}, (0.5, 0.005)),
    TrainedProblem("least_squares", {"num_samples": 300, "num_inputs": 100, "noise": 4.0}, (0.004, 0.04)),
    TrainedProblem("noisy_quadratic", {"num_samples": 300, "num_inputs": 40}, (0.15, 0.03)),
    TrainedProblem("noisy_quadratic", {"num_samples": 300, "num_inputs": 40}, (0.8, 0.4)),
    TrainedProblem("least_squares", {"num_samples": 300, "num_inputs": 30, "noise": 3.0}, (0.02, 0.3)),
)


class Side(NamedTuple):
    """A side, to train on or held out.

    Attributes:
      problems: the trained problems.
      seeds: of the runs.
      counts: batches per epoch.
      last_shares: of the ragged runs, samples of the last batch over those of the others.
      logs: number of logs that are made of each setting's runs.
    """

    problems: tuple[TrainedProblem, ...]
    seeds: tuple[int, ...]
    counts: tuple[int, ...]
    last_shares: tuple[float, ...]
    logs: int


SIDES = {
    "taught": Side(TAUGHT, tuple(range(32)), (4, 12, 20, 30), (0.05, 0.2), logs=30),
    "held_out": Side(HELD_OUT, tuple(range(700, 732)), (5, 15, 25), (0.08, 0.3), logs=25),
}


def studies(side: Side) -> Iterator[tuple[str, Study]]:
    """Return the studies of a side, with the names of their folders."""
    base = read_study(study_path("training_logs"))
    optimizers = [f"tools.diagnosis_model.rate_course:{name}" for name in base.optimizers]
    for name, problem in zip(_names(side), side.problems, strict=True):
        fields = {
            "problem": problem.name,
            "problem_args": problem.args,
            "seeds": side.seeds,
            "batch_counts": side.counts,
            "learning_rates": problem.rates,
        }
        courses = STEPPED if problem.steps_only else COURSES
        own = {"course": [COURSES.index(course) for course in courses]}
        yield (
            name,
            base.replaced(
                **fields,
                orders=["fixed", "reshuffle"],
                optimizers=optimizers,
                hyper=own | {"num_steps": [base.epochs * count for count in side.counts]},
                zipped=[*base.zipped, ["num_steps", "batch_count"]],
            ),
        )
        if problem.steps_only:
            continue
        yield f"{name}_replacement", base.replaced(**fields, orders=["replacement"])
        sizes = _ragged_sizes(problem.args["num_samples"], side)
        ragged = fields | {"batch_counts": None, "batch_sizes": sizes, "orders": ["fixed", "reshuffle"]}
        yield f"{name}_ragged", base.replaced(**ragged)


def _names(side: Side) -> list[str]:
    return [f"{number}_{problem.name}" for number, problem in enumerate(side.problems)]


def _ragged_sizes(samples: int, side: Side) -> list[int]:
    """Return batch sizes that leave a last batch of about each wanted share of the others."""
    chosen = []
    for wanted in side.last_shares:
        sizes = range(max(4, samples // 40), samples // 8)
        chosen.append(min(sizes, key=lambda size: abs((samples % size or size) / size - wanted)))
    return sorted(set(chosen))


def recordings(side: Side, folder: Path, report: Callable[[str], None]) -> Iterator[Recording]:
    """Return every setting's runs, from the results in a folder; missing runs are run first.

    Args:
      side: the side.
      folder: the folder of its results.
      report: called with the name of each study when it begins.
    """
    partners = {name for name, problem in zip(_names(side), side.problems, strict=True) if problem.steps_only}
    for name, study in studies(side):
        report(name)
        dataset = sweep(study, folder / name, vectorize="one_program")
        along = "batch_size" if study.batch_sizes else "batch_count"
        numbers = [int(number) for number in study.hyper.get("course", (0,))]
        plain: dict[tuple, np.ndarray] = {}
        for number in numbers:
            course = COURSES[number]
            own = dataset.isel(course=numbers.index(number)) if "course" in dataset.dims else dataset
            for key, loss, sizes in _cells(own, along):
                if course is constant:
                    plain[key] = loss
                if (course is constant and name in partners) or (course is restarts_each_epoch and key[0] == "fixed"):
                    continue
                share_of_last = float(sizes[-1] / sizes[0]) if along == "batch_size" else 1.0
                rate = partner = None
                if course is not constant:
                    rate, partner = _course_rates(course, study.epochs * loss.shape[-1]), plain.get(key)
                yield Recording(loss, key[0], rate, share_of_last, partner, f"{name} {course.__name__} {key}")


def constant_recordings(study: Study, folder: Path) -> Iterator[Recording]:
    """Return the runs of each setting of a study with batch counts and a constant rate; missing runs are run first.

    Args:
      study: the study.
      folder: the folder of its results, of which the settings bear the name.
    """
    dataset = sweep(study, folder, vectorize="one_program")
    for key, loss, _ in _cells(dataset, "batch_count"):
        yield Recording(loss, key[0], setting=f"{folder.name} {constant.__name__} {key}")


def _course_rates(course: Callable, count: int) -> np.ndarray:
    """Return the factor on the rate at each of `count` batches."""
    return np.asarray(jax.vmap(course)(np.arange(count, dtype=np.float32) / count), np.float64)


def _cells(dataset, along: str) -> Iterator[tuple[tuple, np.ndarray, np.ndarray]]:
    """Return the losses [R, E, m] of every order, optimizer and batch count or size, without runs that diverged."""
    dimension = next(name for name in map(str, dataset.dims) if along in name and name != "batch")
    for order in dataset["order"].values:
        for place in range(dataset.sizes["optimizer_learning_rate"]):
            for number in range(dataset.sizes[dimension]):
                cell = dataset.sel(order=order).isel({"optimizer_learning_rate": place, dimension: number})
                loss = np.asarray(cell["loss"].transpose("seed", "epoch", "batch").values, np.float64)
                loss = loss[..., : int(cell["batch_count"])]
                loss = loss[np.isfinite(loss).all(axis=(1, 2))]
                if len(loss) < 4:
                    continue
                samples = json.loads(dataset.attrs["manifest"])["num_samples"]
                batches = loss.shape[-1]
                size = int(cell["batch_size"]) if along == "batch_size" else samples // batches
                sizes = np.minimum(size, samples - size * np.arange(batches))
                optimizer = str(cell["optimizer"].values).rpartition(":")[2]
                yield (str(order), optimizer, int(cell[along])), loss, sizes
