"""Comparisons of a result against SciPy's paired test on the same numbers, cell by cell, and by hand where runs are missing."""

import math

import numpy as np
import pytest
import xarray as xr
from scipy import stats

import jaxsgd
from jaxsgd import InputError
from jaxsgd.analysis.compare import paired_difference, rank_table

SEEDS, ORDERS, COUNTS, EPOCHS = 6, ["fixed", "reshuffle", "replacement"], [10, 20], 4
DIMS = ("seed", "order", "batch_count")


def result(**changed):
    """A result of 6 seeds, three orders and two batch counts, with random numbers in the place of runs."""
    rng = np.random.default_rng(0)
    shape = (SEEDS, len(ORDERS), len(COUNTS))
    variables = {
        "loss_epoch": ((*DIMS, "epoch"), rng.normal(size=(*shape, EPOCHS)), {"units": "loss"}),
        "loss": ((*DIMS, "epoch", "batch"), rng.normal(size=(*shape, EPOCHS, 2))),
        "stripe_index": (DIMS, rng.normal(size=shape)),
        "diverged_epoch": (DIMS, np.full(shape, np.nan)),
        "missing": (DIMS, np.zeros(shape, bool)),
    }
    coords = {"seed": np.arange(SEEDS), "order": ORDERS, "batch_count": COUNTS, "epoch": np.arange(EPOCHS)}
    coords["batch_size"] = ("batch_count", [100, 50])
    return xr.Dataset({**variables, **changed}, coords)


@pytest.mark.parametrize(("epoch", "place"), [(None, 3), (1, 1)])
def test_each_cell_is_the_paired_t_test_of_its_seeds(epoch, place):
    ds = result()
    comparison = jaxsgd.compare(ds, "order", reference="reshuffle", epoch=epoch, confidence=0.9)
    assert comparison.difference.dims == ("batch_count", "order")
    for m in COUNTS:
        runs = ds.loss_epoch.sel(batch_count=m).isel(epoch=place)
        for order in ORDERS:
            cell = comparison.sel(batch_count=m, order=order)
            np.testing.assert_allclose(cell["mean_value"], runs.sel(order=order).mean())
            if order == "reshuffle":
                assert (cell.difference, cell.low, cell.high, cell.tie) == (0, 0, 0, True)
                continue
            t_test = stats.ttest_rel(runs.sel(order=order), runs.sel(order="reshuffle"))
            np.testing.assert_allclose([cell.low, cell.high], t_test.confidence_interval(0.9))
            np.testing.assert_allclose(cell.difference, (runs.sel(order=order) - runs.sel(order="reshuffle")).mean())
            assert (cell.tie, cell.pairs, cell.left_out) == (t_test.pvalue > 0.1, SEEDS, 0)
        np.testing.assert_allclose(comparison["mean_rank"].sel(batch_count=m), stats.rankdata(runs, axis=1).mean(axis=0))


def test_it_says_what_was_compared_with_what():
    comparison = jaxsgd.compare(result(), "order")
    assert comparison.attrs == {
        "title": "loss_epoch by order, less that of order fixed, paired by seed",
        "axis": "order", "metric": "loss_epoch", "reference": "fixed", "confidence": 0.95, "seeds": "seed", "epoch": 3,
    }  # fmt: skip
    assert comparison.low.attrs == {"units": "loss", "long_name": "lower end of the 95 % interval of the difference"}
    assert all(comparison[name].attrs["units"] and comparison[name].attrs["long_name"] for name in comparison.data_vars)
    assert comparison.batch_size.values.tolist() == [100, 50]


def test_a_measure_of_whole_runs_over_another_axis():
    ds = result()
    comparison = jaxsgd.compare(ds, "batch_count", "stripe_index", reference=20)
    assert (comparison.difference.dims, "epoch" in comparison.attrs) == (("order", "batch_count"), False)
    runs = ds.stripe_index.sel(order="fixed")
    difference = runs.sel(batch_count=10) - runs.sel(batch_count=20)
    np.testing.assert_allclose(comparison.difference.sel(order="fixed", batch_count=10), difference.mean())


def test_runs_missing_and_diverged_are_left_out_of_differences_and_diverged_ones_rank_last():
    loss = np.broadcast_to(np.array([1.0, 2.0, 3.0])[:, None, None], (SEEDS, 3, 2, EPOCHS)).copy()
    diverged = np.full((SEEDS, 3, 2), np.nan)
    loss[0, 0, 0] = np.nan  # never run
    loss[1, 0, 0, 2:] = np.nan  # diverges in epoch 2, and its number in epoch 1 still counts
    diverged[1, 0, 0] = 2
    diverged[2, 0, 0] = 3  # only the parameters are not finite, after the last epoch
    ds = result(loss_epoch=((*DIMS, "epoch"), loss), diverged_epoch=(DIMS, diverged))
    last = jaxsgd.compare(ds, "order", reference="reshuffle").sel(batch_count=10)
    assert (last.pairs.values.tolist(), last.left_out.values.tolist()) == ([3, 6, 6], [3, 0, 0])
    assert last.difference.values.tolist() == [-1, 0, 1]
    # Five seeds have a rank: `fixed` is first in three of them, last in the two that diverged.
    np.testing.assert_allclose(last["mean_rank"], [(3 * 1 + 2 * 3) / 5, (3 * 2 + 2 * 1) / 5, (3 * 3 + 2 * 2) / 5])
    assert last.ranked.values.tolist() == [5, 5, 5]
    before = jaxsgd.compare(ds, "order", epoch=1).sel(batch_count=10)
    assert before.pairs.values.tolist() == [5, 5, 5]


def test_seeds_of_several_streams_are_one_set_of_pairs():
    ds = result().rename(seed="data_seed").expand_dims(order_seed=[0, 1]).copy(deep=True)
    comparison = jaxsgd.compare(ds, "order")
    assert (comparison.attrs["seeds"], comparison.difference.dims) == ("order_seed, data_seed", ("batch_count", "order"))
    assert (comparison.pairs == 2 * SEEDS).all()


def test_something_that_is_no_result():
    with pytest.raises(InputError, match=r"^a result has a variable loss_epoch, as sweep and load give it; got stripe_index$"):
        jaxsgd.compare(result()[["stripe_index"]], "order")


@pytest.mark.parametrize("selection", [{"seed": [0]}, {"seed": 0}])
def test_one_seed_has_no_interval(selection):
    comparison = jaxsgd.compare(result().isel(selection), "order").sel(order="reshuffle")
    assert np.isfinite(comparison.difference).all()
    assert np.isnan(comparison.low).all()
    assert not comparison.tie.any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"axis": "ordr"}, "unknown axis 'ordr': did you mean 'order'? valid: batch_count, batch_size, order, seed"),
        ({"metric": "los_epoch"}, "unknown metric 'los_epoch': did you mean 'loss_epoch'? valid: loss_epoch, stripe_index"),
        ({"metric": "loss"}, "unknown metric 'loss': did you mean 'loss_epoch'? valid: loss_epoch, stripe_index"),
        ({"reference": "fixd"}, "unknown order 'fixd': did you mean 'fixed'? valid: fixed, replacement, reshuffle"),
        ({"axis": "batch_count", "reference": 21}, "no batch_count 21: there is 10, 20"),
        ({"epoch": 4}, "epoch must be one of 0, 1, 2, 3 (0-based), got 4"),
        (
            {"metric": "stripe_index", "epoch": 1},
            "stripe_index has one value for a whole run and none for an epoch, got epoch=1",
        ),
        ({"confidence": 2.0}, "confidence must lie between 0 and 1, such as 0.95, got 2.0"),
    ],
)
def test_a_mistake_is_named_with_what_would_be_right(arguments, message):
    with pytest.raises(InputError) as caught:
        jaxsgd.compare(result(), **{"axis": "order", **arguments})
    assert str(caught.value) == message


def test_rank_1_is_the_highest_accuracy_and_a_run_that_diverged_is_last():
    values = np.random.default_rng(3).permuted(np.linspace(0.1, 0.9, SEEDS * 3 * 2)).reshape(SEEDS, 3, 2)
    accuracy = np.stack([np.zeros_like(values)] * (EPOCHS - 1) + [values], axis=-1)
    comparison = jaxsgd.compare(result(validation_accuracy=((*DIMS, "epoch"), accuracy)), "order", "validation_accuracy")
    for place, m in enumerate(COUNTS):
        expected = stats.rankdata(-values[..., place], axis=1).mean(axis=0)
        np.testing.assert_allclose(comparison["mean_rank"].sel(batch_count=m), expected)
    gone = np.full((SEEDS, 3, 2), np.nan)
    gone[:, 0] = 1
    again = jaxsgd.compare(
        result(validation_accuracy=((*DIMS, "epoch"), accuracy), diverged_epoch=(DIMS, gone)), "order", "validation_accuracy"
    )
    assert (again["mean_rank"].sel(order="fixed") == 3).all()


def test_a_stripe_index_of_too_few_windows_is_not_compared():
    # Printed every 5 batches, 4 epochs of 10 batches have 8 windows in 2 stripes; of 20 batches 16 windows in 4 stripes.
    ds = result()
    assert (
        np.isfinite(
            jaxsgd.compare(ds.assign_attrs(eval_interval=10), "order", "stripe_index")["mean_value"].sel(batch_count=10)
        ).sum()
        == 0
    )
    assert np.isnan(jaxsgd.compare(ds.assign_attrs(eval_interval=5), "order", "stripe_index")["mean_value"]).all()


NAN = np.nan


def test_intervals_of_two_and_three_pairs_in_closed_form():
    # Cauchy: P(|T| <= t) = 2 atan(t) / pi, so t = 1 at one half. With two degrees of freedom P(|T| <= t) = t / sqrt(2 + t^2).
    two, three = paired_difference([-1.0, 1.0], [0.0, 0.0], 0.5), paired_difference([-1.0, 0.0, 1.0], [0.0] * 3, 0.5)
    # s / sqrt(n) is sqrt(2) / sqrt(2) of the two, and 1 / sqrt(3) of the three.
    np.testing.assert_allclose([two.high, three.high], [1, math.sqrt(2 / 3) / math.sqrt(3)])


def test_ranks_by_seed_of_settings_without_a_value_are_missing_for_that_seed_alone():
    value = np.array([[[1.0, NAN], [2.0, 1.0]], [[3.0, 4.0], [3.0, 5.0]]])
    ranks = rank_table(value)
    np.testing.assert_allclose(ranks.mean, [[1, 2], [(1.5 + 1) / 2, (1.5 + 2) / 2]])
    np.testing.assert_allclose(ranks.share_first, [[1, 0], [0.75, 0.25]])
    assert ranks.seeds.tolist() == [1, 2]


def test_the_interval_is_that_of_the_paired_t_test():
    rng = np.random.default_rng(0)
    value, reference = rng.normal(size=(2, 3, 7)) + 10 * rng.normal(size=7)
    paired = paired_difference(value, reference, 0.9)
    for i in range(3):
        t_test = stats.ttest_rel(value[i], reference[i])
        low, high = t_test.confidence_interval(0.9)
        np.testing.assert_allclose([paired.low[i], paired.high[i]], [low, high])
        # The interval leaves 0 out exactly where the test rejects at 1 - level.
        assert paired.clear[i] == (t_test.pvalue < 0.1) == (not paired.tie[i])
    np.testing.assert_allclose(paired.difference, (value - reference).mean(axis=1))
    assert paired.pairs.tolist() == [7, 7, 7]


def test_what_a_seed_adds_to_both_sides_drops_out():
    # Differences 1, 2, 3: mean 2, s = 1, and t = 4.303 with two degrees of freedom (any printed table).
    seeds = np.array([0.0, 1e3, -1e3])
    paired = paired_difference(seeds + np.array([1, 2, 3]), seeds)
    reach = 4.303 / 3**0.5
    np.testing.assert_allclose([paired.difference, paired.low, paired.high], [2, 2 - reach, 2 + reach], rtol=1e-3)
    assert bool(paired.tie)


def test_pairs_with_a_missing_side_are_left_out_and_counted():
    value = np.array([[1.0, NAN, 3.0, np.inf, 5.0], [NAN] * 5])
    reference = np.array([0.0, 0.0, NAN, 0.0, 1.0])
    paired = paired_difference(value, reference)
    # Seeds 0 and 4 are left in the first row: differences 1 and 4.
    whole = paired_difference([1.0, 5.0], [0.0, 1.0])
    assert [paired.difference[0], paired.low[0], paired.high[0]] == [2.5, whole.low, whole.high]
    assert (paired.pairs.tolist(), paired.left_out.tolist()) == ([2, 0], [3, 5])
    assert np.isnan([paired.difference[1], paired.low[1], paired.high[1]]).all()


def test_one_pair_has_a_difference_and_no_interval_and_is_neither_clear_nor_a_tie():
    paired = paired_difference([3.0, NAN], [1.0, 1.0])
    assert (paired.difference, paired.pairs) == (2, 1)
    assert np.isnan([paired.low, paired.high]).all()
    assert not paired.tie
    assert not paired.clear


def test_equal_values_are_a_tie_and_a_constant_difference_is_clear():
    same, shifted = paired_difference([1.0, 2.0], [1.0, 2.0]), paired_difference([2.0, 3.0], [1.0, 2.0])
    assert (same.low, same.high, bool(same.tie)) == (0, 0, True)
    assert (shifted.low, shifted.high, bool(shifted.clear)) == (1, 1, True)


def test_the_interval_covers_the_true_difference_as_often_as_it_says():
    # 4,000 intervals of 5 normal differences around 1: the share that covers is 0.8 with a standard error of 0.0063.
    value = 1 + np.random.default_rng(1).normal(size=(4000, 5))
    paired = paired_difference(value, np.zeros(5), 0.8)
    assert abs(np.mean((paired.low <= 1) & (paired.high >= 1)) - 0.8) < 0.02


@pytest.mark.parametrize("confidence", [0, 1, 95, NAN])
@pytest.mark.usefixtures("unchecked")
def test_a_level_that_is_none(confidence):
    with pytest.raises(InputError, match=r"^confidence must lie between 0 and 1, such as 0\.95, got "):
        paired_difference([1.0, 2.0], [1.0, 2.0], confidence)


@pytest.mark.parametrize(("shape", "other"), [((3,), (2,)), ((2, 3), (3, 3)), ((3,), (1,)), ((), (3,))])
def test_sides_with_other_seeds(shape, other):
    with pytest.raises(InputError, match=r"must share their last axis, the seeds, got shapes \("):
        paired_difference(np.zeros(shape), np.zeros(other))


def test_ranks_by_hand():
    # Seed 0: 1, 2, 3. Seed 1: the first two share 1 and 2. Seed 2: 3, 1, 2. Seed 3 lacks one and is left out.
    value = np.array([[0.1, 5.0, 9.0, 1.0], [0.2, 5.0, 7.0, NAN], [0.3, 6.0, 8.0, 0.0]])
    ranks = rank_table(value)
    np.testing.assert_allclose(ranks.mean, [(1 + 1.5 + 3) / 3, (2 + 1.5 + 1) / 3, (3 + 3 + 2) / 3])
    np.testing.assert_allclose(ranks.share_first, [1.5 / 3, 1.5 / 3, 0])
    assert ranks.seeds == 3


def test_ranks_of_many_tables_are_one_more_than_the_lower_values_and_half_the_equal_ones():
    value = np.random.default_rng(2).integers(0, 4, size=(5, 4, 6)).astype(float)
    value[0, 1, 2] = np.inf  # ranks last
    own, others = value[:, :, None], value[:, None]
    ranks = 1 + (others < own).sum(axis=2) + ((others == own).sum(axis=2) - 1) / 2
    np.testing.assert_allclose(rank_table(value).mean, ranks.mean(axis=-1))


def test_ranks_without_a_whole_seed_are_missing():
    ranks = rank_table([[NAN, 1.0], [1.0, NAN]])
    assert np.isnan(ranks.mean).all()
    assert ranks.seeds == 0
    with pytest.raises(InputError, match=r"must be an array \[\.\.\., settings, seeds\], got shape \(3,\)"):
        rank_table([1.0, 2.0, 3.0])
