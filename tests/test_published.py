"""The published results: each study, shrunk, gives the number that its file states, and its figure can be read."""

import functools
import re
import runpy

import numpy as np
import pytest

import jaxsgd
from jaxsgd.plot import own
from jaxsgd.study.study_file import read_study, study_path
from tests.plot.drawn import check_legible, words


def _run(name, diverges=False, **changed):
    """Return the result of a shrunk study, and what its file defines, with its figure, `drawn`, if it has one, which was read.

    Args:
      name: of the file, without its folder.
      diverges: True if some runs end with losses that are not finite.
      **changed: fields of the study that are shrunk.
    """
    path = study_path(f"published/{name}")
    study, defined = read_study(path), runpy.run_path(str(path))
    ds = jaxsgd.sweep(study.replaced(**changed))
    assert ds.attrs["missing_cells"] == 0
    assert ds.diverged.any() == diverges
    assert ("loss" in ds) == (study.record == "batch")
    if "figure" in defined:
        defined["drawn"] = own(ds, f"published/{name}")
        check_legible(defined["drawn"])
    return ds, defined


RUN_HERE = []
"""The published studies that a test of this file runs with a check of their number; `test_sweeps.py` runs the others."""


def of_study(name):
    """Return the mark of a test of a study: its argument `run` runs the study, with the fields that are shrunk."""
    RUN_HERE.append(f"published/{name}")
    return pytest.mark.parametrize("run", [functools.partial(_run, name)], ids=[name])


@of_study("catapult")
def test_above_two_the_loss_spikes_and_ends_flatter_and_far_above_four_it_diverges(run):
    args = {"num_samples": 16, "num_inputs": 4, "num_hidden": 64}
    rates = [0.75, 1.6, 3.0]
    ds, study = run(diverges=True, problem_args=args, seeds=[0, 1], learning_rates=rates, epochs=40)
    runs = study["phases"](ds)
    below, between, above = runs.between(0, 1.9), runs.between(2.5, 4), runs.between(4.5, np.inf)
    assert [len(part.product) for part in (below, between, above)] == [2, 2, 2]
    np.testing.assert_array_equal(below.spike, 1)
    np.testing.assert_allclose(below.flatter, 1, atol=0.15)
    assert (between.spike > 3).all()
    assert (between.flatter < 0.8).all()
    assert (between.end < 0.01).all()
    assert np.isinf(above.spike).all()


@of_study("implicit_regularization")
def test_the_mean_over_all_orders_follows_the_flow_with_the_penalty_a_power_of_the_rate_closer(run):
    ds, study = run(learning_rates=[0.0125, 0.00625, 0.003125])
    assert study["mean_ends"](ds)[1] == 24  # 4!
    with_penalty, without = map(study["halvings"], study["errors"](ds))
    # Off by lr^3 and lr^2.
    np.testing.assert_allclose(with_penalty, 3, atol=0.1)
    np.testing.assert_allclose(without, 2, atol=0.1)


@of_study("anti_correlated_noise")
def test_weights_fluctuate_as_the_autocorrelation_of_the_noise_says_and_less_in_flat_directions_if_reshuffled(run):
    args = {"num_samples": 256, "num_inputs": 20}
    ds, study = run(problem_args=args, seeds=range(8), epochs=160)
    measured, exact = ([study[name](ds, order) for order in ("replacement", "reshuffle")] for name in ("measured", "exact"))
    # A variance from 10 nearly independent epochs of 8 runs has a standard error of 0.16, the mean over 20 directions of 0.04.
    for simulated, theory in zip(measured, exact, strict=True):
        assert np.mean(simulated / theory) == pytest.approx(1, abs=0.12)
    assert exact[0][-1] / exact[0][0] == pytest.approx(1, abs=0.02)
    assert measured[0][-1] / measured[1][-1] > 4


@of_study("exact_noise")
def test_noise_at_large_rates_has_its_exact_variance_and_not_that_of_continuous_time(run):
    args = {"num_samples": 1024, "num_inputs": 3, "condition": 4.0, "noise": 1.0}
    ds, study = run(problem_args=args, seeds=range(100), learning_rates=[0.4, 1.0])
    rates, size = ds.learning_rate.values, 8
    simulated, error = study["measured"](ds)
    assert (abs(simulated - study["exact"](rates, size)) < 4 * error).all()
    assert (simulated[1] / study["continuous"](rates, size)[1] > 1.3).all()


@of_study("momentum_and_averaging")
def test_momentum_and_averages_follow_their_recursions(run):
    ds, study = run(seeds=range(200))
    risk, error = study["measured"](ds)
    # 200 steps of three curves, which are correlated along each: 5 standard errors leave room for the largest.
    assert (abs(risk - study["exact"](ds))[:, 1:] < 5 * error[:, 1:]).all()
    sgd, momentum, averaged = risk[:, -50:].mean(axis=1)
    assert averaged < 0.5 * sgd
    assert momentum == pytest.approx(sgd, rel=0.25)


@of_study("reshuffling_beats_replacement")
def test_reshuffling_beats_replacement_with_the_better_power_of_the_epochs(run):
    args = {"num_samples": 16, "num_inputs": 4, "noise": 1.0}
    rates = [0.16 / 2**halvings for halvings in range(6)]
    ds, study = run(problem_args=args, batch_counts=[16], learning_rates=rates, epochs=64)
    assert study["crossing"](ds) <= 2
    # O(1 / T^2) and O(1 / T): a whole power apart.
    assert study["power"](ds, "reshuffle") < study["power"](ds, "replacement") - 0.6
    assert study["best"](ds, "replacement")[-1] / study["best"](ds, "reshuffle")[-1] > 5


@of_study("one_changed_bit")
def test_a_changed_bit_stays_small_where_training_is_stable_and_grows_to_a_seeds_scatter_where_it_is_not(run):
    rates = [rate * (1 + bits * 2**-23) for rate in (0.25, 2.0) for bits in range(4)]
    ds, study = run(init_seeds=[0, 1], order_seeds=[0, 1], learning_rates=rates, epochs=12)
    (stable, unstable), (_, by_weights) = (study["scatter"](ds, source)[:, 1:] for source in ("bits", "init_seed"))
    # Rounding in float32 is 1e-7 of a loss below 1.
    assert 0 < stable.max() < 1e-5
    assert unstable.max() > 0.1 * by_weights.max() > 1e-3


@of_study("stochastic_edge")
def test_with_small_batches_the_batch_sharpness_ends_at_the_edge_and_the_sharpness_far_below_it(run):
    ds, study = run(seeds=[0, 1], batch_sizes=[4], learning_rates=[0.1], epochs=400)
    batch_sharpness, sharpness = (study["levels"](ds, measure)[0] for measure in study["MEASURES"])
    # The batch sharpness swings around the edge, here a mean of four measurements; the sharpness hardly moves any more.
    np.testing.assert_allclose(batch_sharpness, 1, atol=0.2)
    assert (sharpness < 0.6).all()


@of_study("edge_of_stability")
def test_the_sharpness_ends_at_the_edge_of_stability(run):
    # Cohen et al. 2021: gradient descent raises the sharpness to 2 / rate, which a small rate would exceed.
    rates = [0.1, 0.2, 0.4]
    ds, _ = run(seeds=[0], learning_rates=rates, epochs=1000, observe_every=1000)
    np.testing.assert_allclose(ds.sharpness.isel(observation=-1).squeeze() * rates / 2, 1, atol=0.03)


@of_study("variance_over_orders")
def test_orders_scatter_with_the_fourth_power_of_the_rate_but_with_the_square_if_the_optimizer_has_a_memory(run):
    ds, study = run(order_seeds=range(6), learning_rates=[0.000125, 0.0000625])
    # The ends are lr^2 and lr apart. Halving the rate changes the distances of all orders alike: few orders are enough.
    np.testing.assert_allclose(study["slopes"](ds)[:, 0], [4, 2, 2], atol=0.05)


@of_study("linear_scaling_and_warmup")
def test_a_rate_in_proportion_to_the_batch_size_fails_beyond_a_limit_where_a_warmup_helps(run):
    ds, study = run(batch_sizes=[256, 512], learning_rates=[0.04])
    at_once, warmed_up = np.median(study["errors"](ds)[0], axis=-1)
    # In percent; a guess is wrong in 90 of 100.
    assert warmed_up[0] < min(10, at_once[0])
    assert min(at_once[1], warmed_up[1]) > 30


@of_study("adam_square_root_rule")
def test_the_square_root_rule_lays_the_curves_of_adam_on_one_another_where_noise_dominates_and_the_linear_rule_does_not(run):
    args = {"num_samples": 1024, "num_inputs": 10, "noise": 20.0}
    changed = {"seeds": range(16), "batch_sizes": [4, 64], "learning_rates": [0.014], "epochs": 8}
    ds, study = run(problem_args=args, **changed)
    unchanged, linear, square_root = (study["factor"](ds, rule) for rule in study["SHOWN"])
    # The median of 16 seeds scatters by some 15 %, so that the factor of two equal curves is about 1.2.
    assert square_root < 1.6
    assert min(unchanged, linear) > 2


@of_study("half_life_of_beta2")
def test_a_fixed_half_life_of_b2_suits_batches_of_one_sample_better_than_a_fixed_b2(run):
    args = {"num_samples": 1024, "context": 16, "width": 16, "num_heads": 2}
    ds, study = run(problem_args=args, seeds=[0, 1], batch_sizes=[1], learning_rates=[0.016])
    # The half-life at 16 samples a batch, in batches of 1: b2 to the power 1/16.
    np.testing.assert_allclose(ds.b2_used.isel(seed=0).values.ravel(), [0.95, 0.95 ** (1 / 16)], rtol=1e-6)
    fixed, half_life = study["losses"](ds)[0, :, 0]
    assert (half_life < fixed).all()


@of_study("best_batch_size")
def test_twice_the_rate_trains_alike_with_twice_the_batch_size_and_much_worse_with_the_same(run):
    args = {"num_samples": 2500, "num_hidden": 40, "depth": 1}
    changed = {
        "seeds": range(4),
        "batch_sizes": [4, 8],
        "learning_rates": [0.16, 0.32],
        "steps": 500,
        "evaluate_every": 500,
    }
    ds, study = run(problem_args=args, **changed)
    lower, higher = study["accuracies"](ds).mean(axis=-1)
    # In percent; a guess is right in 10 of 100. At the same rate / batch size training is alike, up to the scatter of 4 seeds.
    assert higher[1] == pytest.approx(lower[0], abs=6)
    assert lower[0] > higher[0] + 8


@of_study("critical_batch_size")
def test_steps_follow_the_curve_of_the_critical_batch_size_which_grows_with_the_data(run):
    changed = {"seeds": range(16), "batch_sizes": [8, 32, 128], "learning_rates": [2**-1.5, 2**-0.5, 2**0.5], "epochs": 96}
    ds, study = run(**changed)
    groups = study["grouped"](ds)
    np.testing.assert_allclose(groups.excess_loss.isel(seed=1), ds.excess_loss.isel(seed=[2, 3]).mean("seed"), rtol=1e-6)
    scaled = study["fits"](groups)
    # The fit has two parameters for three sizes; the median of 8 pairs of runs scatters by some 20 %.
    assert (study["misfit"](scaled) < 1.5).all()
    assert ((scaled.critical_batch_size > 8) & (scaled.critical_batch_size < 256)).all()
    # Harder targets take more samples, and the critical batch size has the power 0.5 of them in theory.
    assert (np.diff(scaled.fewest_samples) > 0).all()
    # The interval, which takes a fit without each pair of seeds, is read off the figure.
    power, low, high = map(float, re.search(r"power (\S+) \((\S+) to (\S+)\)", words(study["drawn"])).groups())
    assert power == pytest.approx(study["growth"](scaled), abs=0.005)
    assert 0 < low < power < high
