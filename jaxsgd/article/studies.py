"""The article's trainings as studies, for the engine to run and store."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from jaxtyping import Float

from jaxsgd.article.experiment import Experiment, article_experiments, check_seed
from jaxsgd.results.axes import stored
from jaxsgd.results.lazy_xarray import xr
from jaxsgd.study.study import Study

SEEDS = 64
"""The number of seeds for the spread of ordinary runs."""


def first_epochs(quick: bool = False) -> int:
    """Return the number of epochs that are compared over the seeds: those that the article prints, or 5."""
    return 5 if quick else 10


def article_studies(seed: int = 0, learning_rate: float = 1e-3, quick: bool = False) -> dict[str, Study]:
    """Return the studies of the article by name: of each training, the shown run and the first epochs of `SEEDS` seeds.

    Experiment 3 averages the training of experiment 2, and has no study of its own.

    Args:
      seed: of the shown runs.
      learning_rate: of all runs.
      quick: True for fewer epochs.

    Raises:
      InputError: for a seed or a learning rate that is out of range.
    """
    studies = {}
    for training in article_experiments(learning_rate, quick)[:2]:
        studies[training.name] = _study(training, [check_seed(seed)], training.epochs)
        studies[f"{training.name}_seeds"] = _study(training, range(SEEDS), first_epochs(quick))
    return studies


def _study(experiment: Experiment, seeds: Iterable[int], epochs: int) -> Study:
    return Study(
        problem="square_regression",
        problem_args={"num_samples": experiment.num_samples},
        seeds=seeds,
        batch_counts=[experiment.batch_count],
        orders=[experiment.order],
        optimizer="sgd",
        learning_rates=[experiment.learning_rate],
        epochs=epochs,
        eval_interval=experiment.eval_interval,
    )


def run_losses(result: xr.Dataset) -> Float[np.ndarray, "R E m"]:
    """Return the losses of a study's runs, a run for each seed."""
    loss = result.loss.transpose("seed", ..., "epoch", "batch").values
    return loss.reshape(len(loss), *loss.shape[-2:])


def training_seconds(result: xr.Dataset) -> float:
    """Return the time of a study's runs without compiling."""
    times = stored(result, "manifest")["times"]
    return max(0.0, times["seconds"] - times["compile_seconds"])
