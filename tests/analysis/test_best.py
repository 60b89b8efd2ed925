"""The best settings of results made by hand, in which they are known."""

import numpy as np
import pytest
import xarray as xr

import jaxsgd
from jaxsgd import InputError
from jaxsgd.analysis.confidence import SAME
from jaxsgd.plot.heatmap import heatmap
from jaxsgd.plot.slices import slices

RATES = [0.01, 0.1, 1.0]
SEEDS = 7


def stored(last, diverged=None, missing=None, name="loss_epoch", **dims):
    """A result whose last epoch's values [seed, *dims] are given; the first epoch's are random."""
    last = np.asarray(last, np.float64)
    names = ["seed", *dims]
    rng = np.random.default_rng(1)
    by_epoch = np.stack([rng.normal(size=last.shape), last], axis=-1)
    nowhere = np.zeros(last.shape, bool)
    variables = {
        "loss_epoch": ([*names, "epoch"], np.zeros(by_epoch.shape), {"units": "loss"}),
        "diverged": (names, nowhere if diverged is None else diverged),
        "missing": (names, nowhere if missing is None else missing),
        **{name: (names, rng.normal(size=last.shape)) for name in ("stripe_gap", "stripe_index", "stripe_slope")},
    }
    variables[name] = ([*names, "epoch"], by_epoch, {"units": "loss"})
    return xr.Dataset(variables, {"seed": np.arange(len(last)), "epoch": [0, 1], **dims})


def by_rate(*losses, **how):
    """A result whose seeds all have the same losses at the three rates."""
    return stored(np.broadcast_to(losses, (SEEDS, 3)).copy(), learning_rate=RATES, **how)


def edges(best):
    """The searched axes whose best value is at an edge, of a result with one best setting."""
    assert best.at_edge.dtype == bool
    return best.searched.values[best.at_edge.values].tolist()


def test_each_optimizer_and_batch_count_has_the_setting_with_the_lowest_median():
    momenta = [0.1, 0.5, 0.9, 0.99]
    last = np.random.default_rng(0).normal(size=(SEEDS, 2, 3, 4, 2))
    ds = stored(last, optimizer=["sgd", "adam"], learning_rate=RATES, momentum=momenta, batch_count=[10, 2])
    selected = jaxsgd.best(ds)
    assert selected["median_value"].dims == ("optimizer", "batch_count")
    for i, optimizer in enumerate(["sgd", "adam"]):
        for k, count in enumerate([10, 2]):
            medians = np.median(last[:, i, :, :, k], axis=0)
            rate, momentum = np.unravel_index(medians.argmin(), medians.shape)
            cell = selected.sel(optimizer=optimizer, batch_count=count)
            assert (cell["median_value"], cell.learning_rate, cell.momentum) == (medians.min(), RATES[rate], momenta[momentum])
            own = ds.sel(optimizer=optimizer, batch_count=count, learning_rate=RATES[rate], momentum=momenta[momentum])
            for name in ("stripe_gap", "stripe_index", "stripe_slope"):
                assert cell[name] == np.median(own[name])
            assert (cell.seeds, cell.diverged, cell.diverged_share) == (SEEDS, 0, 0)
    assert (selected.searched.values.tolist(), selected.attrs["tried"]) == (["learning_rate", "momentum"], 12)


def test_a_validation_loss_is_judged_by_where_there_is_one():
    ds = by_rate(3, 1, 2, name="validation_loss")  # the losses of the epochs are all 0
    assert jaxsgd.best(ds)["median_value"] == 1
    assert jaxsgd.best(ds, "loss_epoch")["median_value"] == 0


def test_of_an_accuracy_the_highest_is_best():
    accuracy = np.array([[0.5, 0.6, 0.9], [0.5, 0.8, 0.1]] * 3)
    selected = jaxsgd.best(stored(accuracy, name="validation_accuracy", learning_rate=RATES), "validation_accuracy")
    # The medians are 0.5, 0.7 and 0.5; of three seeds each the interval goes from the ones to the others.
    assert selected.learning_rate == 0.1
    np.testing.assert_allclose([selected.low, selected["median_value"], selected.high], [0.6, 0.7, 0.8])


@pytest.mark.parametrize(("losses", "edge"), [((1, 2, 3), ["learning_rate"]), ((2, 1, 3), []), ((3, 2, 1), ["learning_rate"])])
def test_the_least_and_the_greatest_rate_are_edges(losses, edge):
    assert edges(jaxsgd.best(by_rate(*losses))) == edge


@pytest.mark.parametrize(("best", "edge"), [(0, []), (1, []), (2, ["momentum"])])
def test_a_zero_is_no_edge(best, edge):
    last = np.ones((SEEDS, 3))
    last[:, best] = 0
    assert edges(jaxsgd.best(stored(last, momentum=[0.0, 0.5, 0.9]))) == edge


def test_several_edges_are_all_named_and_two_values_are_no_range():
    last = np.ones((SEEDS, 3, 3, 2))
    last[:, 0, 2, 1] = 0
    ds = stored(last, learning_rate=RATES, momentum=[0.1, 0.5, 0.9], decay=[0.1, 0.2])
    assert edges(jaxsgd.best(ds)) == ["learning_rate", "momentum"]


@pytest.mark.parametrize(("gone", "rate", "counted"), [(3, 1.0, 3), (4, 0.1, 0)])
def test_diverged_runs_are_infinitely_bad_and_counted(gone, rate, counted):
    diverged = np.zeros((SEEDS, 3), bool)
    diverged[:gone, 2] = True  # the rate with the lowest losses, which are finite
    selected = jaxsgd.best(by_rate(3, 2, 1, diverged=diverged))
    assert (selected.learning_rate, selected.diverged, selected.seeds) == (rate, counted, SEEDS)
    assert selected.diverged_share == gone / 21
    # With three of seven gone, four or more are in a third of the resamples. The others' losses are all the same.
    np.testing.assert_array_equal([selected.low, selected.high], [1, np.inf] if gone == 3 else [np.nan] * 2)
    assert selected.no_interval == ("" if gone == 3 else SAME)


def test_stripes_are_those_of_the_runs_that_did_not_diverge():
    diverged = np.zeros((SEEDS, 3), bool)
    diverged[:2, 2] = True
    ds = by_rate(3, 2, 1, diverged=diverged)
    assert jaxsgd.best(ds).stripe_gap == np.median(ds.stripe_gap.values[2:, 2])


def test_the_interval_is_that_of_the_medians_of_resampled_seeds():
    """The median of a resample of three seeds at 1, 2 and 3 is 1, 2 or 3, with chances 7/27, 13/27 and 7/27."""
    ds = stored([[1.0, 9.0, 9.0], [2.0, 9.0, 9.0], [3.0, 9.0, 9.0]], learning_rate=RATES)
    wide, narrow, usual = (jaxsgd.best(ds, confidence=confidence) for confidence in (0.7, 0.4, 0.95))
    assert (wide.low, wide.median_value, wide.high) == (1, 2, 3)
    assert np.isnan([narrow.low, narrow.high, usual.low, usual.high]).all()
    assert "would have no width" in narrow.no_interval.item()
    assert usual.no_interval == "3 seeds: a 95 % interval for a median needs 6 or more"


def test_one_seed_has_no_interval():
    selected = jaxsgd.best(by_rate(3, 1, 2).isel(seed=[0]))
    assert selected["median_value"] == 1
    assert np.isnan([selected.low, selected.high]).all()
    assert selected.no_interval == "one seed shows no spread"


def test_missing_cells_are_left_out():
    last = np.broadcast_to(np.array([3.0, 1, 2])[:, None], (SEEDS, 3, 2)).copy()
    last[:, 1, 0] = [np.nan] * 4 + [1.5, 1.6, 1.7]  # four seeds of the best rate
    last[:, 1, 1] = np.nan  # the best rate altogether
    ds = stored(last, missing=np.isnan(last), learning_rate=RATES, batch_count=[10, 2])
    selected = jaxsgd.best(ds)
    assert selected.learning_rate.values.tolist() == [0.1, 1.0]
    assert selected["median_value"].values.tolist() == [1.6, 2]
    assert selected.seeds.values.tolist() == [3, SEEDS]


def test_a_batch_count_that_has_not_been_run_has_no_median_no_setting_and_no_edge():
    last = np.broadcast_to(np.array([3.0, 1, 2])[:, None], (SEEDS, 3, 2)).copy()
    last[..., 1] = np.nan
    selected = jaxsgd.best(stored(last, missing=np.isnan(last), learning_rate=RATES, batch_count=[10, 2]))
    np.testing.assert_array_equal(selected["median_value"], [1, np.nan])
    np.testing.assert_array_equal(selected.learning_rate, [0.1, np.nan])
    assert np.isnan([selected.low[1], selected.high[1], selected.diverged_share[1]]).all()
    assert (selected.at_edge.values.tolist(), selected.seeds.values.tolist()) == ([[False, False]], [SEEDS, 0])


def test_the_best_of_random_draws_has_the_values_of_all_drawn_axes():
    last = np.random.default_rng(0).normal(size=(SEEDS, 2, 4))
    ds = stored(last, batch_count=[10, 2], draw=np.arange(4)).drop_vars("draw")
    rates, momenta = np.array([0.3, 0.1, 0.2, 0.4]), np.array([0.9, 0.8, 0.6, 0.7])
    ds = ds.assign_coords(learning_rate=("draw", rates), momentum=("draw", momenta))
    selected = jaxsgd.best(ds)
    best = np.median(last, axis=0).argmin(axis=1)
    assert selected["median_value"].dims == ("batch_count",)
    np.testing.assert_array_equal(selected.learning_rate, rates[best])
    np.testing.assert_array_equal(selected.momentum, momenta[best])
    assert selected.searched.values.tolist() == ["learning_rate", "momentum"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"metric": "los_epoch"}, "unknown metric 'los_epoch': did you mean 'loss_epoch'? valid: loss_epoch, stripe_gap"),
        ({"metric": "diverged"}, "unknown metric 'diverged'"),
        ({"confidence": 0.0}, "confidence must lie between 0 and 1, such as 0.95, got 0.0"),
        ({"confidence": np.nan}, "confidence must lie between 0 and 1, such as 0.95, got nan"),
        ({"resamples": 0}, "resamples must be a whole number of at least 1, got 0"),
    ],
)
def test_a_mistake_is_named(arguments, message):
    with pytest.raises(InputError) as caught:
        jaxsgd.best(by_rate(3, 1, 2), **arguments)
    assert message in str(caught.value)


OPTIMIZERS = ["sgd", "adam"]
TUNED_SEEDS = 6
RNG = np.random.default_rng(0)


def result(last, diverged=None, seeds=TUNED_SEEDS, **dims):
    """A result whose last epoch's losses [seed, optimizer, learning_rate, ...] are given; the first epoch's are 9."""
    last = np.asarray(last, np.float64)
    names = ["seed", "optimizer", "learning_rate", *dims]
    loss = np.stack([np.full(last.shape, 9.0), last], axis=-1)
    diverged = np.zeros(last.shape, bool) if diverged is None else diverged
    coords = {"seed": np.arange(seeds), "optimizer": OPTIMIZERS, "learning_rate": RATES, "epoch": [0, 1], **dims}
    return xr.Dataset(
        {
            "loss_epoch": ([*names, "epoch"], loss, {"units": "loss"}),
            "diverged": (names, diverged),
            "diverged_epoch": (names, np.where(diverged, 1.0, np.nan)),
            "missing": (names, np.zeros(last.shape, bool)),
        },
        coords,
    )


def losses(sgd, adam):
    """The same losses by rate for every seed."""
    return np.broadcast_to([sgd, adam], (TUNED_SEEDS, 2, 3)).copy()


def test_each_setting_gets_its_own_best_rate_and_the_tuning_seeds_are_gone():
    selected = jaxsgd.tune(result(losses([3, 1, 2], [1, 2, 3])), 2)
    assert selected.learning_rate.values.tolist() == [0.1, 0.01]
    assert selected.at_edge.values.tolist() == [False, True]
    assert selected.seed.values.tolist() == [2, 3, 4, 5]
    assert "learning_rate" not in selected.dims
    np.testing.assert_array_equal(selected.loss_epoch.isel(epoch=-1), np.ones((4, 2)))


def test_with_no_tuning_seeds_all_seeds_choose_and_are_returned():
    values = losses([3, 1, 2], [1, 2, 3])
    # The first two seeds alone would choose the third rate for the first optimizer.
    values[:2, 0] = [3, 1, 0]
    ds = result(values)
    assert jaxsgd.tune(ds, 2).learning_rate.values.tolist() == [1, 0.01]
    selected = jaxsgd.tune(ds, 0)
    assert selected.learning_rate.values.tolist() == [0.1, 0.01]
    assert selected.seed.values.tolist() == ds.seed.values.tolist()
    assert selected.attrs["tuned"] == "learning_rate"
    # One seed is enough, and several dimensions of seeds are chosen by together.
    assert jaxsgd.tune(ds.isel(seed=[0]), 0).learning_rate.values.tolist() == [1, 0.01]
    apart = ds.rename(seed="init_seed").expand_dims(order_seed=[0, 1])
    assert jaxsgd.tune(apart, 0).learning_rate.values.tolist() == [0.1, 0.01]
    assert jaxsgd.tune(apart, 0).sizes["order_seed"] == 2


def test_of_an_accuracy_the_highest_is_chosen_and_ranked_first():
    accuracy = losses([0.09, 0.92, 0.5], [0.3, 0.2, 0.1]) + 0.001 * RNG.normal(size=(TUNED_SEEDS, 1, 1))
    ds = result(accuracy)
    ds = ds.assign(validation_accuracy=ds.loss_epoch)
    selected = jaxsgd.tune(ds, 2, "validation_accuracy")
    assert selected.learning_rate.values.tolist() == [0.1, 0.01]
    best = jaxsgd.best(ds.assign(stripes(ds)), "validation_accuracy")
    assert best.learning_rate.values.tolist() == selected.learning_rate.values.tolist()
    assert best.at_edge.sel(searched="learning_rate").values.tolist() == selected.at_edge.values.tolist() == [False, True]
    ranked = jaxsgd.benchmark({"one": ds}, tuning_seeds=2, metric="validation_accuracy")
    assert ranked.overall_rank.values.tolist() == [1, 2]


def stripes(ds):
    """Measures of stripes that a result has besides."""
    return dict.fromkeys(("stripe_gap", "stripe_index", "stripe_slope"), 0.0 * ds.loss_epoch.isel(epoch=-1, drop=True))


@pytest.mark.parametrize("seed", range(4))
def test_tables_tuning_and_figures_choose_the_same_setting(seed):
    """On random losses or accuracies with diverged runs, for which medians over few seeds are often infinite."""
    rng = np.random.default_rng(seed)
    values = rng.uniform(0.1, 0.9, size=(TUNED_SEEDS, 2, 3))
    ds = result(values, rng.uniform(size=values.shape) < 0.3)
    value = "validation_accuracy" if seed % 2 else "loss_epoch"
    ds = ds.assign(stripes(ds)).assign({value: ds.loss_epoch})
    sign = -1 if seed % 2 else 1
    medians = np.median(np.where(ds.diverged, np.inf, sign * values), axis=0)
    rates = np.asarray(RATES)[medians.argmin(axis=1)]
    best = jaxsgd.best(ds, value)
    np.testing.assert_array_equal(best.learning_rate, rates)
    # The last seed is left to judge on, and so has no part in either choice.
    tuned = jaxsgd.tune(ds, TUNED_SEEDS - 1, value)
    np.testing.assert_array_equal(tuned.learning_rate, jaxsgd.best(ds.isel(seed=slice(TUNED_SEEDS - 1)), value).learning_rate)
    ds = ds.expand_dims(batch_count=[4]).assign_coords(batch_size=("batch_count", [5]))
    for place, optimizer in enumerate(OPTIMIZERS):
        marks = [
            line.get_xdata()[0] if np.ndim(line.get_xdata()) else line.get_xdata()
            for line in slices(ds, axis="optimizer", metric=value, select={"optimizer": optimizer}).axes[0].lines
            if line.get_marker() in ("o", "D") and line.get_markersize() > 8
        ]
        assert marks == [rates[place]]
    (axes, *_) = heatmap(ds, x="learning_rate", y="optimizer", metric=value).axes
    (outline,) = [patch for patch in axes.patches if not patch.get_fill()]
    row, column = np.unravel_index(medians.argmin(), medians.shape)
    assert (int(outline.get_y()), int(outline.get_x())) == (row, column)


def test_the_seeds_that_judge_do_not_choose():
    values = losses([3, 1, 2], [1, 2, 3])
    values[2:, 0] = [1, 3, 3]  # other seeds would choose the first rate
    selected = jaxsgd.tune(result(values), 2)
    assert selected.learning_rate.values[0] == 0.1
    np.testing.assert_array_equal(selected.loss_epoch.isel(epoch=-1, optimizer=0), 3)


def test_a_rate_at_which_most_runs_diverge_is_not_the_best():
    values, diverged = losses([3, 2, 1], [1, 2, 3]), np.zeros((TUNED_SEEDS, 2, 3), bool)
    diverged[:2, 0, 2] = True
    assert jaxsgd.tune(result(values, diverged), 3).learning_rate.values[0] == 0.1
    diverged[1, 0, 2] = False  # one of three: the median is finite
    assert jaxsgd.tune(result(values, diverged), 3).learning_rate.values[0] == 1


@pytest.mark.parametrize(
    ("changed", "seeds", "message"),
    [
        ({"tune": "rate"}, 2, "unknown axis 'rate'"),
        ({"metric": "loss_epoc"}, 2, "unknown metric 'loss_epoc': did you mean 'loss_epoch'"),
        ({}, 6, r"tuning_seeds must be a whole number from 1 to 5 \(at least one seed is left to evaluate\), got 6"),
    ],
)
def test_bad_input(changed, seeds, message):
    with pytest.raises(InputError, match=message):
        jaxsgd.tune(result(losses([3, 1, 2], [1, 2, 3])), seeds, **changed)


def test_what_cannot_be_tuned():
    ds = result(losses([3, 1, 2], [1, 2, 3]))
    with pytest.raises(InputError, match="there must be at least 2 seeds, got 1"):
        jaxsgd.tune(ds.isel(seed=[0]), 1)
    with pytest.raises(InputError, match=r"needs one dimension of seeds, got none"):
        jaxsgd.tune(ds.isel(seed=0, drop=True), 1)
    with pytest.raises(InputError, match="only a finished result can be tuned, and 36 of its cells are missing"):
        jaxsgd.tune(ds.assign(missing=~ds.missing), 1)


def shifted(sgd, adam, own):
    """Best losses, what each seed does to all settings, and what it does to Adam alone."""
    values = losses(sgd, adam) + RNG.normal(size=(TUNED_SEEDS, 1, 1))
    values[:, 1] += np.asarray(own)[:, None]
    return result(values)


def test_a_benchmark_pairs_ranks_and_calls_ties():
    apart = shifted([8, 5, 8], [4, 8, 8], [0, 0, 0.01, -0.01, 0.02, -0.02])
    alike = shifted([8, 8, 5], [5, 8, 8], [0, 0, 0.1, -0.1, 0.2, -0.2])
    results = {"far": apart, "near": alike}
    selected = jaxsgd.benchmark(results, tuning_seeds=2, reference="sgd")
    assert selected.problem.values.tolist() == ["far", "near"]
    # What the seeds share is gone from the differences: -1, and nothing.
    assert selected.difference.sel(optimizer="adam", problem="far") == pytest.approx(-1)
    assert selected.tie.sel(optimizer="adam").values.tolist() == [False, True]
    assert selected["mean_rank"].sel(problem="far").values.tolist() == [2, 1]
    assert selected.learning_rate.values.tolist() == [[0.1, 0.01], [1.0, 0.01]]
    np.testing.assert_allclose(selected.overall_rank, selected["mean_rank"].mean("problem"))


def test_a_benchmark_has_one_axis_and_the_same_settings_everywhere():
    complete = result(losses([3, 1, 2], [1, 2, 3]))
    with pytest.raises(InputError, match=r"^b: has optimizer \['sgd'\], and the others \['sgd', 'adam'\]$"):
        jaxsgd.benchmark({"a": complete, "b": complete.isel(optimizer=[0])}, tuning_seeds=2)
    wide = result(np.repeat(losses([3, 1, 2], [1, 2, 3])[..., None], 2, axis=-1), batch_count=[1, 10])
    with pytest.raises(InputError, match=r"^a: .* one axis, optimizer: select one value of batch_count, as select=") as caught:
        jaxsgd.benchmark({"a": wide}, tuning_seeds=2)
    assert str(caught.value).endswith("or compare all in Python: jaxsgd.compare(jaxsgd.tune(ds, 2), 'optimizer')")
    both = jaxsgd.compare(jaxsgd.tune(wide, 2), "optimizer")
    assert both.sizes["batch_count"] == both.sizes["optimizer"] == 2
    with pytest.raises(InputError, match=r"^benchmark needs at least one result$"):
        jaxsgd.benchmark({}, tuning_seeds=2)
