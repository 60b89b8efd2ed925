"""Batch-count scaling of results made by hand, in which the steps of every run are known."""

import json
import re

import jax
import numpy as np
import pytest
import xarray as xr

import jaxsgd
from jaxsgd import InputError
from jaxsgd.analysis.confidence import SAME
from jaxsgd.problems import square_regression
from tests import reference

RATES = [0.1, 0.2, 0.4, 0.8, 1.6]
SEEDS = 7
DIMS = ("seed", "learning_rate", "batch_count")


def stored(values, counts, rates=RATES, name="loss_epoch", along="batch_count", samples=None, **dims):
    """A finished result of `values` [seed, ..., learning_rate, batch_count, epoch]; `dims` come after the seed."""
    values = np.asarray(values, np.float64)
    names = ["seed", *dims, "learning_rate", along]
    counts = np.asarray(counts)
    samples = counts.max() * 10 if samples is None else samples
    coords = {"seed": np.arange(len(values)), "learning_rate": list(rates), "epoch": np.arange(values.shape[-1]), **dims}
    coords |= {"batch_count": (along, counts), "batch_size": (along, -(-samples // counts))}
    variables = {
        "loss_epoch": ([*names, "epoch"], np.full(values.shape, 9.0), {"units": "loss"}),
        "missing": (names, np.zeros(values.shape[:-1], bool)),
    }
    variables[name] = ([*names, "epoch"], values, {"units": "loss"})
    return xr.Dataset(variables, coords, {"manifest": json.dumps({"num_samples": int(samples)})})


def middles(counts, epochs):
    """Steps taken at the middle of each epoch, [K, E]: its m losses are those before steps m e, ..., m e + m - 1."""
    return np.stack([[np.mean(np.arange(m * e, m * (e + 1))) for e in range(epochs)] for m in counts])


def falling(steps, counts, epochs):
    """Losses [..., K, E] that fall in a straight line from 2 and are at 1 after `steps` [..., K]; infinite steps: never."""
    return 2 - middles(counts, epochs) / np.asarray(steps, np.float64)[..., None]


def known(steps, counts, epochs=40, rates=RATES, **how):
    """A result whose runs are at loss 1 after `steps` [rates, counts], for every seed."""
    steps = np.broadcast_to(steps, (SEEDS, *np.shape(steps)))
    return stored(falling(steps, counts, epochs), counts, rates, **how)


# Columns: batch counts 1, 4, 16, which are batch sizes 160, 40, 10. Best rates: 1.6, 0.4, 0.1.
COUNTS = [1, 4, 16]
STEPS = [[30, 40, 100], [25, 33, 120], [20, 30, 150], [16, 36, 170], [13, 38, np.inf]]


def test_the_best_rate_and_its_steps_are_those_of_the_lowest_median():
    rng = np.random.default_rng(0)
    speed = rng.uniform(0.02, 0.2, (SEEDS, 5, 3, 1))
    loss = np.exp(-speed * np.arange(12))  # all begin at 1, and a few stay above the target
    scaling = jaxsgd.scaling(stored(loss, [12, 2, 6]), 0.3)
    assert scaling.batch_count.values.tolist() == [12, 6, 2]  # by ascending batch size, whatever the result's order
    assert scaling.samples_per_step.values.tolist() == [10, 20, 60]
    for m in (12, 2, 6):
        curves, taken = loss[:, :, [12, 2, 6].index(m)], middles([m], 12)[0]
        steps = [
            [np.interp(0.3, curve[::-1], taken[::-1]) if curve[-1] <= 0.3 else np.inf for curve in of_seed]
            for of_seed in curves
        ]
        medians = np.median(steps, axis=0)
        cell = scaling.sel(batch_count=m)
        assert cell.learning_rate == RATES[medians.argmin()]
        np.testing.assert_allclose(cell.steps, medians.min())
        np.testing.assert_allclose(cell.epochs, medians.min() / m)
        np.testing.assert_allclose(cell.samples, medians.min() * 120 / m)
        assert cell.reached == np.isfinite(steps)[:, medians.argmin()].sum()


def test_known_steps_come_back():
    scaling = jaxsgd.scaling(known(STEPS, COUNTS), 1.0)
    np.testing.assert_allclose(scaling.steps, [100, 30, 13])
    assert scaling.learning_rate.values.tolist() == [0.1, 0.4, 1.6]
    assert scaling.reached.values.tolist() == [SEEDS] * 3
    # Of 15 pairs of rate and batch count one never reaches it, with any seed.
    assert (scaling.attrs["runs"], scaling.attrs["runs_reached"]) == (15 * SEEDS, 14 * SEEDS)


def test_the_order_of_the_rates_does_not_matter():
    ds = known(STEPS, COUNTS)
    again = jaxsgd.scaling(ds.isel(learning_rate=[3, 0, 4, 1, 2]), 1.0)
    xr.testing.assert_identical(again, jaxsgd.scaling(ds, 1.0))


def test_the_best_at_the_least_or_the_greatest_rate_is_at_the_edge():
    assert jaxsgd.scaling(known(STEPS, COUNTS), 1.0).at_edge.values.tolist() == [True, False, True]
    assert not jaxsgd.scaling(known(STEPS[:1], COUNTS, rates=RATES[:1]), 1.0).at_edge.any()  # one rate is no range


def test_a_target_never_reached_has_no_steps_and_names_the_nearest():
    ds = known(STEPS, COUNTS)
    scaling = jaxsgd.scaling(ds, -100.0)
    for name in ("steps", "epochs", "samples", "learning_rate", "rule_steps", "rule_ratio"):
        assert np.isnan(scaling[name]).all()
    assert scaling.regime.values.tolist() == [""] * 3
    assert scaling.reached.values.tolist() == [0] * 3
    assert not scaling.at_edge.any()
    assert scaling.nearest == ds.loss_epoch.min()
    assert np.isnan([scaling.critical_batch_size, scaling.rate_power]).all()


def test_each_value_of_another_axis_is_scaled_by_itself():
    table = np.stack([STEPS, np.full((5, 3), np.inf)])
    loss = falling(np.broadcast_to(table, (SEEDS, 2, 5, 3)), COUNTS, 40)
    scaling = jaxsgd.scaling(stored(loss, COUNTS, optimizer=["sgd", "adam"]), 1.0)
    assert scaling.steps.dims == ("optimizer", "batch_count")
    np.testing.assert_allclose(scaling.steps, [[100, 30, 13], [np.nan] * 3])
    assert scaling.nearest.sel(optimizer="adam") == 2  # its losses stay there


def test_two_rates_are_no_range_with_an_edge():
    assert not jaxsgd.scaling(known(STEPS[:2], COUNTS, rates=RATES[:2]), 1.0).at_edge.any()


def test_an_overflow_downwards_reaches_nothing():
    ds = known(STEPS, COUNTS)
    ds.loss_epoch[:, 4, 0, 1:] = -np.inf  # all seeds at the best rate of m = 1
    scaling = jaxsgd.scaling(ds, 1.0).sel(batch_count=1)
    assert (scaling.learning_rate, scaling.steps) == (0.8, pytest.approx(16))
    assert np.isfinite(scaling.nearest)


def test_a_run_that_turns_nan_never_reaches_the_target_and_nan_is_not_the_nearest():
    ds = known(STEPS, COUNTS)
    ds.loss_epoch[:4, 0, 2, 2:] = np.nan  # four of seven seeds at the best rate of m = 16
    scaling = jaxsgd.scaling(ds, 1.0).sel(batch_count=16)
    assert (scaling.learning_rate, scaling.steps) == (0.2, pytest.approx(120))
    assert scaling.nearest == np.nanmin(ds.loss_epoch)


def test_one_seed_has_no_interval():
    scaling = jaxsgd.scaling(known(STEPS, COUNTS).isel(seed=[0]), 1.0)
    np.testing.assert_allclose(scaling.steps, [100, 30, 13])
    for name in ("steps", "rate", "critical", "power"):
        assert np.isnan(scaling[f"{name}_low"]).all()
        assert np.isnan(scaling[f"{name}_high"]).all()


def test_the_interval_is_that_of_the_medians_of_resampled_seeds():
    """A resample of three seeds with 100, 110 and 120 steps has one as its median, with chances 7/27, 13/27 and 7/27."""
    steps = np.array([[[100, 50]], [[110, 55]], [[120, 60]]])
    ds = stored(falling(steps, [4, 1], 130), [4, 1], [0.1])
    wide, narrow = jaxsgd.scaling(ds, 1.0, confidence=0.7), jaxsgd.scaling(ds, 1.0, confidence=0.4)
    np.testing.assert_allclose([wide.steps_low, wide.steps, wide.steps_high], [[100, 50], [110, 55], [120, 60]])
    # Both ends of the narrow one are the middle seed, which is no interval; and three seeds are too few for the usual 95 %.
    assert np.isnan([narrow.steps_low, narrow.steps_high]).all()
    assert "would have no width" in narrow.no_interval.values[0]
    usual = jaxsgd.scaling(ds, 1.0)
    assert np.isnan([usual.steps_low, usual.steps_high]).all()
    assert usual.no_interval.values.tolist() == ["3 seeds: a 95 % interval for a median needs 6 or more"] * 2


def test_the_interval_is_open_where_some_seeds_never_reach_the_target():
    steps = np.full((SEEDS, 1, 2), 20.0)
    steps[5:] = np.inf  # two of seven: of four or more in a resample the chance is 11 %
    scaling = jaxsgd.scaling(stored(falling(steps, [4, 1], 40), [4, 1], [0.1]), 1.0)
    np.testing.assert_allclose([scaling.steps_low, scaling.steps, scaling.steps_high], [[20] * 2, [20] * 2, [np.inf] * 2])
    assert scaling.reached.values.tolist() == [5, 5]


def test_resamples_tune_the_rate_again():
    steps = np.full((SEEDS, 2, 2), 30.0)
    steps[:4, 1], steps[4:, 1] = 20, 50  # four seeds are faster at the second rate, and three slower
    scaling = jaxsgd.scaling(stored(falling(steps, [4, 1], 60), [4, 1], [0.1, 0.2]), 1.0)
    assert scaling.learning_rate.values.tolist() == [0.2, 0.2]
    np.testing.assert_allclose([scaling.rate_low, scaling.rate_high], [[0.1] * 2, [0.2] * 2])
    # Where 50 would be the median, the other rate gives 30.
    np.testing.assert_allclose([scaling.steps_low, scaling.steps_high], [[20] * 2, [30] * 2])


def test_rules_start_from_the_smallest_batches_by_default():
    scaling = jaxsgd.scaling(known(STEPS, COUNTS), 1.0)
    assert scaling.attrs["reference"] == 16
    # From 0.1 at B = 10: times 4 and 16 at B = 40 and 160, or times the roots of these.
    np.testing.assert_allclose(scaling.rule_rate, [[0.1, 0.4, 1.6], [0.1, 0.2, 0.4]])
    np.testing.assert_allclose(scaling.rule_steps, [[100, 30, 13], [100, 33, 20]])
    np.testing.assert_allclose(scaling.rule_ratio, [[1, 1, 1], [1, 33 / 30, 20 / 13]])


def test_rules_start_from_another_reference_and_end_with_the_range_of_rates():
    scaling = jaxsgd.scaling(known(STEPS, COUNTS), 1.0, reference=1)
    # From 1.6 at B = 160.
    np.testing.assert_allclose(scaling.rule_rate, [[0.1, 0.4, 1.6], [0.4, 0.8, 1.6]])
    np.testing.assert_allclose(scaling.rule_steps, [[100, 30, 13], [150, 36, 13]])
    short = jaxsgd.scaling(known(STEPS, COUNTS).isel(learning_rate=slice(1, None)), 1.0, reference=1)
    np.testing.assert_allclose(short.rule_steps.sel(rule="linear"), [np.nan, 30, 13])


def test_rules_for_a_memory_compare_what_it_forgets_in_a_step():
    # The best b2 are 0.99 at B = 10, and its 4th and 16th powers at 40 and 160: the same half-life in samples. No seed reaches
    # the target at the values at both ends, so that the best ones lie inside the range.
    values = 0.99 ** np.array([32, 16, 8, 4, 2, 1, 0.5])
    never = [np.inf] * 3
    ds = known([never, *reversed(STEPS), never], COUNTS, rates=values).rename(learning_rate="b2")
    scaling = jaxsgd.scaling(ds, 1.0, tune="b2")
    assert scaling.rule.values.tolist() == ["half_life", "complement"]
    np.testing.assert_allclose(scaling.b2, 0.99 ** np.array([1, 4, 16]))
    # 1 - 4 * 0.01, and 1 - 16 * 0.01, which are nearest to the same powers.
    np.testing.assert_allclose(scaling.rule_rate, [0.99 ** np.array([1, 4, 16]), [0.99, 0.96, 0.84]])
    np.testing.assert_allclose(scaling.rule_ratio, np.ones((2, 3)))
    assert float(scaling.rate_power) == pytest.approx(1)
    assert scaling.rate_power.attrs["long_name"] == "p of best -log(b2) ~ batch size^p"


@pytest.mark.parametrize(
    ("rules", "names", "rates"),
    [
        ("constant,power(0.25)", ["constant", "power(0.25)"], [[0.1, 0.1, 0.1], [0.1, 0.1 * 2**0.5, 0.2]]),
        (["linear"], ["linear"], [[0.1, 0.4, 1.6]]),
    ],
)
def test_any_rules_can_be_compared(rules, names, rates):
    scaling = jaxsgd.scaling(known(STEPS, COUNTS), 1.0, rules=rules)
    assert scaling.rule.values.tolist() == names
    np.testing.assert_allclose(scaling.rule_rate, rates)


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ("linaer", "unknown batch rule 'linaer': did you mean 'linear'"),
        ("half_life", "the rule 'half_life' is for the decay of a memory, such as b2: learning_rate takes constant"),
        ("timescale", "the rule 'timescale' depends on the rate"),
        ([], "rules must have at least one name"),
    ],
)
def test_rules_that_do_not_suit_the_axis_are_refused(rules, words):
    with pytest.raises(InputError, match=re.escape(words)):
        jaxsgd.scaling(known(STEPS, COUNTS), 1.0, rules=rules)


def test_a_rate_by_a_rule_that_never_reaches_the_target_takes_infinitely_many_times_the_steps():
    steps = np.array(STEPS)
    steps[2, 0] = np.inf  # 0.4 at m = 1, which is what the square root gives
    scaling = jaxsgd.scaling(known(steps, COUNTS), 1.0)
    assert scaling.rule_ratio.sel(rule="sqrt", batch_count=1) == np.inf


SIZES = np.array([4, 8, 16, 32, 64, 128, 256])
LARGE = 1024 // SIZES


def curve(factor=1.0):
    """Steps [7] on the curve with 100 as the fewest and the critical batch size 32."""
    return factor * 100 * (1 + 32 / SIZES)


def bent(factors):
    """A result with one rate whose seeds' steps are the curve's times a factor each."""
    steps = np.stack([curve(factor)[None] for factor in factors])
    return stored(falling(steps, LARGE, 60), LARGE, [0.1], samples=1024)


def test_the_critical_batch_size_is_that_of_the_curve_the_steps_lie_on():
    scaling = jaxsgd.scaling(bent(np.linspace(0.9, 1.1, SEEDS)), 1.0)
    np.testing.assert_allclose(scaling.steps, curve())
    # The seeds move all batch sizes alike, and so do resamples, which keep them paired: the bend stays where it is.
    ends = [scaling.critical_low, scaling.critical_batch_size, scaling.critical_high]
    np.testing.assert_allclose(ends, 32, rtol=2e-3)
    np.testing.assert_allclose([scaling.fewest_steps, scaling.fewest_samples], [100, 3200], rtol=2e-3)


def test_regimes_of_the_curve():
    # Samples are 100 (B + 32): up to 1.25 * 3600 = 4500 they are perfect; steps up to 1.25 * 112.5 = 141 fall no further.
    expected = ["perfect"] * 2 + ["diminishing"] * 3 + ["none"] * 2
    assert jaxsgd.scaling(bent([1.0]), 1.0).regime.values.tolist() == expected


def test_steps_that_are_only_a_bound_are_told_and_left_out_of_the_fit():
    ds = bent([1.0, 1.0, 1.0])
    ds.loss_epoch[:, :, 0] = 0.5  # B = 4 has reached it at the first record
    scaling = jaxsgd.scaling(ds, 1.0)
    assert scaling.regime.values.tolist() == ["bound", "perfect", *scaling.regime.values[2:].tolist()]
    assert scaling.bounds.values.tolist() == [3, 0, 0, 0, 0, 0, 0]
    assert scaling.steps[0] == (256 - 1) / 2  # the middle of the first of 256-step epochs
    np.testing.assert_allclose(scaling.critical_batch_size, 32, rtol=2e-3)


WIDE = [0.05 * 2**k for k in range(7)]


def best_at(places, seeds=SEEDS):
    """A result whose best rates at m = 1, 4, 16 have these places among `WIDE`, [3] or [R, 3] by seed."""
    places = np.broadcast_to(places, (seeds, 3))
    steps = np.full((seeds, len(WIDE), 3), 30.0)
    np.put_along_axis(steps, places[:, None], 20.0, axis=1)
    return stored(falling(steps, COUNTS, 40), COUNTS, WIDE)


@pytest.mark.parametrize(("places", "power"), [([3, 2, 1], 0.5), ([5, 3, 1], 1)])
def test_the_power_with_which_the_best_rate_grows(places, power):
    """Batch sizes 160, 40, 10 have the best rates 0.1 and 2 or 4 times as much each time; all seeds agree."""
    scaling = jaxsgd.scaling(best_at(places), 1.0)
    np.testing.assert_allclose(scaling.rate_power, power)
    assert scaling.no_power == ""
    assert scaling.no_power_interval == SAME
    assert np.isnan([scaling.power_low, scaling.power_high]).all()


def test_the_interval_of_the_power_is_that_of_seeds_that_differ():
    places = np.array([[3, 2, 1]] * 4 + [[5, 3, 1]] * 3)
    scaling = jaxsgd.scaling(best_at(places), 1.0)
    np.testing.assert_allclose([scaling.power_low, scaling.rate_power, scaling.power_high], [0.5, 0.5, 1])


def test_the_same_best_rates_in_nearly_all_resamples_have_no_interval():
    """Steps scatter, and the best rates do not: one rate, the same at all batch sizes."""
    ds = best_at([3, 3, 3])
    factors = np.linspace(0.9, 1.1, SEEDS)[:, None, None, None]
    scaling = jaxsgd.scaling(ds.assign(loss_epoch=ds.loss_epoch.copy(data=2 - (2 - ds.loss_epoch.values) / factors)), 1.0)
    np.testing.assert_allclose(scaling.rate_power, 0, atol=1e-9)
    assert np.isnan([scaling.power_low, scaling.power_high]).all()
    assert "would have no width" in scaling.no_power_interval.item()
    assert np.isfinite(scaling.steps_low).all()


@pytest.mark.parametrize(
    ("places", "reason"),
    [
        ([6, 6, 6], "have their best rate inside its range; at an edge it is only a bound"),
        ([0, 0, 0], "have their best rate inside its range; at an edge it is only a bound"),
        ([3, 2, 0], "have their best rate inside its range; at an edge it is only a bound"),
    ],
)
def test_best_rates_at_an_edge_are_bounds_that_no_power_is_fitted_to(places, reason):
    scaling = jaxsgd.scaling(best_at(places), 1.0)
    assert np.isnan([scaling.rate_power, scaling.power_low, scaling.power_high]).all()
    assert scaling.no_power == f"fewer than 3 batch counts {reason}"


def test_seeds_that_are_all_the_same_run_have_no_interval():
    scaling = jaxsgd.scaling(known(STEPS, COUNTS), 1.0)
    for name in ("steps", "rate", "critical", "power"):
        assert np.isnan([scaling[f"{name}_low"], scaling[f"{name}_high"]]).all()
    assert set(scaling.no_interval.values.tolist()) == {SAME}


def test_an_accuracy_is_reached_from_below():
    # After epochs, that is after 4, 8, ... and 1, 2, ... steps, it is steps / 100 and steps / 50.
    taken = np.array([4, 1])[:, None] * (np.arange(40) + 1)
    accuracy = np.broadcast_to(taken / np.array([100, 50])[:, None], (SEEDS, 1, 2, 40))
    ds = stored(accuracy, [4, 1], [0.1], name="validation_accuracy")
    scaling = jaxsgd.scaling(ds, 0.5, "validation_accuracy")
    np.testing.assert_allclose(scaling.steps, [50, 25])
    never = jaxsgd.scaling(ds, 1.7, "validation_accuracy")
    assert np.isnan(never.steps).all()
    assert never.nearest == 1.6  # of m = 4, after 160 steps


def test_a_validation_loss_comes_first_and_counts_after_the_epoch():
    taken = np.array([4, 1])[:, None] * (np.arange(40) + 1)
    loss = np.broadcast_to(2 - taken / np.array([100, 30])[:, None], (SEEDS, 1, 2, 40))
    scaling = jaxsgd.scaling(stored(loss, [4, 1], [0.1], name="validation_loss"), 1.0)
    assert scaling.attrs["metric"] == "validation_loss"
    np.testing.assert_allclose(scaling.steps, [100, 30])


def test_an_axis_of_batch_sizes():
    """20 samples in batches of 3 and 10 are 7 and 2 steps an epoch; the last batch of 3 is short."""
    ds = known([[40, 30]], [7, 2], epochs=40, rates=[0.1], along="batch_size", samples=20)
    scaling = jaxsgd.scaling(ds, 1.0, reference=2)
    assert scaling.attrs["along"] == "batch_size"
    assert scaling.batch_size.values.tolist() == [3, 10]
    assert scaling.batch_count.values.tolist() == [7, 2]
    np.testing.assert_allclose(scaling.samples_per_step, [20 / 7, 10])
    np.testing.assert_allclose(scaling.steps, [40, 30])
    np.testing.assert_allclose(scaling.samples, [40 * 20 / 7, 300])


def test_another_axis_than_the_rate_can_be_tuned():
    ds = known(STEPS, COUNTS).rename(learning_rate="weight_decay").expand_dims(learning_rate=[0.5], axis=1)
    scaling = jaxsgd.scaling(ds, 1.0, tune="weight_decay")
    assert scaling.weight_decay.sel(learning_rate=0.5).values.tolist() == [0.1, 0.4, 1.6]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"reference": 5}, "unknown reference 5: valid: 1, 16, 4"),
        ({"tune": "learning_rat"}, "unknown axis 'learning_rat': did you mean 'learning_rate'?"),
        ({"tune": "batch_count"}, "tune must be an axis of positive numbers, not the batch count, such as learning_rate"),
        ({"tune": "optimizer"}, "such as learning_rate, got 'optimizer'"),
        ({"metric": "los_epoch"}, "unknown metric 'los_epoch': did you mean 'loss_epoch'? valid: loss_epoch"),
        ({"metric": "stripe_index"}, "unknown metric 'stripe_index': valid: loss_epoch"),
        ({"target": np.nan}, "target must be a finite number, got nan"),
        ({"confidence": 1.0}, "confidence must lie between 0 and 1, such as 0.95, got 1.0"),
        ({"resamples": 0}, "resamples must be a whole number of at least 1, got 0"),
    ],
)
def test_a_mistake_is_named(arguments, message):
    ds = known(STEPS, COUNTS).expand_dims(optimizer=["sgd"], axis=1)
    ds["stripe_index"] = ds.missing * 1.0  # of whole runs: it has no steps
    with pytest.raises(InputError) as caught:
        jaxsgd.scaling(ds, **{"target": 1.0, **arguments})
    assert message in str(caught.value)


def test_results_that_cannot_be_scaled():
    ds = known(STEPS, COUNTS)
    with pytest.raises(InputError, match="needs an axis of batch counts or batch sizes with several values"):
        jaxsgd.scaling(ds.isel(batch_count=[0]), 1.0)
    ds.missing[0, 0, 0] = True
    with pytest.raises(InputError, match="only a finished result can be scaled, and 1 of its cells is missing"):
        jaxsgd.scaling(ds, 1.0)


NETWORK = {"num_samples": 48, "num_inputs": 3, "num_hidden": 8}
LOOP = {
    "problem": "square_regression", "problem_args": NETWORK, "data_seeds": [0], "init_seeds": [0, 1], "batch_counts": [2, 4, 8],
    "learning_rates": [0.3, 1.0], "epochs": 12, "record": "epoch",
}  # fmt: skip


def loop_losses(seed, batch_count, rate):
    """Losses over all samples after each step, [E m], of the plain NumPy loop, which looks after every one."""
    keys, problem = jaxsgd.streams(jax.random.key(0), init=jax.random.key(seed)), square_regression(**NETWORK)
    x, t = (np.asarray(leaf, np.float64) for leaf in problem.sample_data(keys.data))
    weights = {name: np.asarray(leaf, np.float64) for name, leaf in problem.init(keys.init).items()}
    w1, w2, losses = weights["w1"], weights["w2"], []
    for own in [*np.array_split(np.arange(len(x)), batch_count)] * LOOP["epochs"]:
        _, grad1, grad2 = reference.loss_and_gradient(w1, w2, x[own], t[own])
        w1, w2 = w1 - rate * grad1, w2 - rate * grad2
        losses.append(reference.loss_and_gradient(w1, w2, x, t)[0])
    return np.asarray(losses)


def first_steps(target):
    """The number of steps to the target, [batch count, rate, seed], of the loop; infinite where it is not reached."""
    steps = np.full((3, 2, 2), np.inf)
    for place in np.ndindex(steps.shape):
        m, rate, seed = (LOOP[name][i] for name, i in zip(("batch_counts", "learning_rates", "init_seeds"), place, strict=True))
        losses = loop_losses(seed, m, rate)
        assert np.abs(losses - target).min() > 1e-5 * target, "the target must not be a matter of rounding"
        reached = np.flatnonzero(losses <= target)
        steps[place] = reached[0] + 1 if len(reached) else np.inf
    return steps


TARGET = 1.96


@pytest.fixture(scope="module")
def loop_steps():
    steps = first_steps(TARGET)
    assert np.isfinite(steps.min(axis=1)).all(), "a test of steps needs runs that reach the target"
    return steps


def test_with_an_evaluation_after_every_step_the_steps_are_those_of_a_plain_loop_that_looks_after_every_step(loop_steps):
    scaling = jaxsgd.scaling(jaxsgd.sweep(jaxsgd.Study(**LOOP, evaluate_every=1)), TARGET, "train_loss").squeeze()
    medians = np.median(loop_steps, axis=-1).min(axis=-1)
    assert scaling.steps.sel(batch_count=[2, 4, 8]).values.tolist() == medians.tolist()
    assert scaling.exact.all()
    assert scaling.attrs["resolution"] == "exact to the step"
    assert not scaling.bounds.any()


def test_each_run_reaches_the_target_after_as_many_steps_as_in_the_loop(loop_steps):
    """One seed and one rate at a time: no median hides a step."""
    ds = jaxsgd.sweep(jaxsgd.Study(**LOOP, evaluate_every=1))
    for i, rate in enumerate(LOOP["learning_rates"]):
        for seed in LOOP["init_seeds"]:
            scaling = jaxsgd.scaling(ds.sel(learning_rate=[rate], init_seed=[seed]), TARGET, "train_loss").squeeze()
            steps = np.where(np.isnan(scaling.steps), np.inf, scaling.steps)
            assert steps.tolist() == loop_steps[::-1, i, seed].tolist()  # larger batch counts first


def test_with_evaluations_further_apart_the_steps_are_interpolated_and_say_so(loop_steps):
    """Quarters of an epoch are every step at 2 and 4 batches, and every second one at 8."""
    scaling = jaxsgd.scaling(jaxsgd.sweep(jaxsgd.Study(**LOOP, evaluate_every=0.25)), TARGET).squeeze()
    assert scaling.attrs["metric"] == "train_loss"
    assert scaling.exact.values.tolist() == [False, True, True]
    assert scaling.attrs["resolution"] == (
        "interpolated between evaluations every 0.25 epochs, but exact to the step where every step was evaluated"
    )
    medians = np.median(loop_steps, axis=-1).min(axis=-1)
    assert scaling.steps.sel(batch_count=[2, 4]).values.tolist() == medians[:2].tolist()
    # The loop's steps are rounded up to whole ones.
    assert medians[2] - 1 <= scaling.steps.sel(batch_count=8) <= medians[2]
    by_epoch = jaxsgd.scaling(known(STEPS, COUNTS), 1.0)
    assert by_epoch.attrs["resolution"] == "interpolated between the middles of epochs"
    assert not by_epoch.exact.any()
