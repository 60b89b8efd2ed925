"""The article's trainings as studies."""

import jax
import numpy as np
import optax
import pytest

import jaxsgd
from jaxsgd.article.studies import SEEDS, article_studies, run_losses, training_seconds
from jaxsgd.study.study_file import read_studies, study_path


def test_the_studies_are_the_shown_runs_and_the_first_epochs_of_the_seeds():
    studies = article_studies(seed=7, learning_rate=0.5)
    sizes = {
        name: (study.problem_args["num_samples"], study.batch_counts, study.seeds, study.epochs, study.eval_interval)
        for name, study in studies.items()
    }
    # The article's table; it prints ten epochs.
    assert sizes == {
        "striped": (1000, (10,), (7,), 100, 5),
        "striped_seeds": (1000, (10,), tuple(range(SEEDS)), 10, 5),
        "band": (2000, (20,), (7,), 200, 5),
        "band_seeds": (2000, (20,), tuple(range(SEEDS)), 10, 5),
    }
    assert {study.learning_rates for study in studies.values()} == {(0.5,)}
    assert [study.epochs for study in article_studies(quick=True).values()] == [20, 5, 20, 5]


def test_the_shipped_studies_are_those_of_the_command():
    assert read_studies(study_path("article")) == article_studies()


def test_a_wrong_seed_is_refused():
    with pytest.raises(jaxsgd.InputError, match="seed must be a whole number from 0"):
        article_studies(seed=-1)


def test_the_losses_of_a_result_are_the_simulators_seed_by_seed():
    args = {"num_samples": 23, "num_hidden": 8}
    study = article_studies(learning_rate=0.5)["striped_seeds"].replaced(problem_args=args, seeds=[3, 5], epochs=2)
    result = jaxsgd.sweep(study)
    loss = run_losses(result)
    assert loss.shape == (2, 2, 10)
    problem = jaxsgd.problems.square_regression(**args)
    run = jaxsgd.simulate(problem, jax.random.key(5), optimizer=optax.sgd(0.5), epochs=2, batch_count=10)
    np.testing.assert_allclose(loss[1], run.loss, rtol=1e-5)
    assert training_seconds(result) > 0
