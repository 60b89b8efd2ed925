"""The benchmark's reference result in the repository: its own numbers, made again."""

import csv

import numpy as np
import pytest

import jaxsgd
from jaxsgd.study.study_file import read_study, study_path

TOLERANCE = 0.01
"""Between machines, of a mean over the judging seeds; a change of rounding alone moves one by up to 0.002."""


@pytest.fixture(scope="module")
def reference(pytestconfig):
    with (pytestconfig.rootpath / "docs/results/optimizer_benchmark.csv").open() as file:
        return list(csv.DictReader(file))


def test_it_has_every_optimizer_of_the_study_on_four_problems(reference):
    optimizers = read_study(study_path("optimizer_benchmark")).optimizers
    problems = ["digits", "square_regression", "least_squares", "noisy_quadratic"]
    assert [(row["problem"], row["optimizer"]) for row in reference] == [(p, o) for p in problems for o in optimizers]


@pytest.mark.parametrize(("problem", "optimizer"), [("digits", "adam"), ("least_squares", "sgd")])
def test_the_means_come_out_again(problem, optimizer, reference):
    (row,) = (row for row in reference if (row["problem"], row["optimizer"]) == (problem, optimizer))
    study = read_study(study_path("optimizer_benchmark")).replaced(
        problem=problem, seeds=range(20, 40), optimizers=[optimizer], learning_rates=[float(row["learning_rate"])]
    )
    ended = jaxsgd.sweep(study).validation_loss.isel(epoch=-1)
    np.testing.assert_allclose(ended.mean(), float(row["mean_value"]), rtol=TOLERANCE)
