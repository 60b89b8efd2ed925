"""The report's numbers."""

import json

import numpy as np
import pytest

from jaxsgd.article.experiment import BAND, STRIPED, Experiment
from jaxsgd.article.report import outcome_report, percentiles, run_outcome, seed_outcome
from jaxsgd.cli.output import to_json

RNG = np.random.default_rng(0)


def losses(runs, epochs, batch_count):
    fall = -0.001 * np.arange(epochs)[:, None]
    return 2 + RNG.normal(0, 0.2, (runs, 1, batch_count)) + fall


def test_the_first_epochs_are_measured_apart():
    loss = losses(1, 20, 10)[0]
    report = outcome_report(run_outcome(STRIPED, loss, RNG.normal(size=1000), early_epochs=5))
    assert report["whole_run"]["epochs"] == 20
    assert report["first_epochs"]["epochs"] == 5
    assert report["whole_run"]["first_loss"] == pytest.approx(loss[0, :5].mean())
    assert report["whole_run"]["slope"] == pytest.approx(-0.001)
    assert len(report["whole_run"]["level"]) == report["whole_run"]["stripe_count"] == 2
    assert report["settings"]["num_samples"] == 1000


def test_a_window_longer_than_the_first_epochs_has_them_longer():
    settings = Experiment("long", 20, batch_count=2, eval_interval=10, epochs=20)
    outcome = run_outcome(settings, losses(1, 20, 2)[0], np.ones(20), early_epochs=1)
    assert outcome.early.time.tolist() == [5.0]


@pytest.mark.parametrize(("order", "known"), [("fixed", True), ("shuffle_once", True), ("reshuffle", False)])
def test_sampling_explains_gaps_only_where_batches_keep_their_samples(order, known):
    settings = Experiment("order", 20, batch_count=2, eval_interval=1, epochs=20, order=order)
    assert np.isfinite(run_outcome(settings, losses(1, 20, 2)[0], np.arange(20.0), 10).expected_gap) == known


def test_seeds_are_summed_up_with_the_broken_ones_counted():
    loss = losses(9, 10, 20)
    loss[3, 5:] = np.nan
    outcome = run_outcome(BAND, loss[0], np.ones(2000), 10)
    report = outcome_report(outcome, seed_outcome(BAND, loss, RNG.normal(size=(9, 2000))))
    assert report["seeds"]["count"] == 9
    assert report["seeds"]["became_non_finite"] == 1
    assert report["seeds"]["gap"]["finite"] == 8
    assert report["seeds"]["epochs"] == 10


def test_places_are_percentiles_of_the_seeds():
    loss = losses(8, 10, 10)
    seeds = seed_outcome(STRIPED, loss, np.ones((8, 1000)))
    lowest = int(np.argmin(seeds.measured.first_loss))
    # The lowest of 8, of which half counts.
    assert percentiles(run_outcome(STRIPED, loss[lowest], np.ones(1000), 10).whole, seeds)["first_loss"] == pytest.approx(6.25)


def test_the_report_is_json_without_nan():
    one_curve = Experiment("one", 20, batch_count=2, eval_interval=2, epochs=1)
    outcome = run_outcome(one_curve, losses(1, 1, 2)[0], np.ones(20), 10)
    read = json.loads(to_json(outcome_report(outcome)), parse_constant=pytest.fail)
    assert read["whole_run"]["slope"] is None
    assert read["whole_run"]["expected_gap"] is None
