"""Tuning, benchmarks and scatter on results made by hand, in which the best is known."""

import numpy as np
import pytest
import xarray as xr

import jaxsgd
from jaxsgd import InputError
from jaxsgd.plot.heatmap import heatmap
from jaxsgd.plot.slices import slices

RATES = [0.01, 0.1, 1.0]
OPTIMIZERS = ["sgd", "adam"]
SEEDS = 6
RNG = np.random.default_rng(0)


def result(last, diverged=None, seeds=SEEDS, **dims):
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
    return np.broadcast_to([sgd, adam], (SEEDS, 2, 3)).copy()


def test_each_setting_gets_its_own_best_rate_and_the_tuning_seeds_are_gone():
    found = jaxsgd.tuned(result(losses([3, 1, 2], [1, 2, 3])), 2)
    assert found.learning_rate.values.tolist() == [0.1, 0.01]
    assert found.at_edge.values.tolist() == [False, True]
    assert found.seed.values.tolist() == [2, 3, 4, 5]
    assert "learning_rate" not in found.dims
    np.testing.assert_array_equal(found.loss_epoch.isel(epoch=-1), np.ones((4, 2)))


def test_of_an_accuracy_the_highest_is_chosen_and_ranked_first():
    accuracy = losses([0.09, 0.92, 0.5], [0.3, 0.2, 0.1]) + 0.001 * RNG.normal(size=(SEEDS, 1, 1))
    ds = result(accuracy)
    ds = ds.assign(validation_accuracy=ds.loss_epoch)
    found = jaxsgd.tuned(ds, 2, "validation_accuracy")
    assert found.learning_rate.values.tolist() == [0.1, 0.01]
    best = jaxsgd.best_settings(ds.assign(stripes(ds)), "validation_accuracy")
    assert best.learning_rate.values.tolist() == found.learning_rate.values.tolist()
    assert best.at_edge.sel(searched="learning_rate").values.tolist() == found.at_edge.values.tolist() == [False, True]
    ranked = jaxsgd.benchmark({"one": ds}, tuning_seeds=2, value="validation_accuracy")
    assert ranked.overall_rank.values.tolist() == [1, 2]


def stripes(ds):
    """Measures of stripes that a result has besides."""
    return dict.fromkeys(("stripe_gap", "stripe_index", "stripe_slope"), 0.0 * ds.loss_epoch.isel(epoch=-1, drop=True))


@pytest.mark.parametrize("seed", range(4))
def test_tables_tuning_and_figures_choose_the_same_setting(seed):
    """On random losses or accuracies with diverged runs, for which medians over few seeds are often infinite."""
    rng = np.random.default_rng(seed)
    values = rng.uniform(0.1, 0.9, size=(SEEDS, 2, 3))
    ds = result(values, rng.uniform(size=values.shape) < 0.3)
    value = "validation_accuracy" if seed % 2 else "loss_epoch"
    ds = ds.assign(stripes(ds)).assign({value: ds.loss_epoch})
    sign = -1 if seed % 2 else 1
    medians = np.median(np.where(ds.diverged, np.inf, sign * values), axis=0)
    rates = np.asarray(RATES)[medians.argmin(axis=1)]
    best = jaxsgd.best_settings(ds, value)
    np.testing.assert_array_equal(best.learning_rate, rates)
    # The last seed is left to judge on, and so has no part in either choice.
    tuned = jaxsgd.tuned(ds, SEEDS - 1, value)
    np.testing.assert_array_equal(
        tuned.learning_rate, jaxsgd.best_settings(ds.isel(seed=slice(SEEDS - 1)), value).learning_rate
    )
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
    found = jaxsgd.tuned(result(values), 2)
    assert found.learning_rate.values[0] == 0.1
    np.testing.assert_array_equal(found.loss_epoch.isel(epoch=-1, optimizer=0), 3)


def test_a_rate_at_which_most_runs_diverge_is_not_the_best():
    values, diverged = losses([3, 2, 1], [1, 2, 3]), np.zeros((SEEDS, 2, 3), bool)
    diverged[:2, 0, 2] = True
    assert jaxsgd.tuned(result(values, diverged), 3).learning_rate.values[0] == 0.1
    diverged[1, 0, 2] = False  # one of three: the median is finite
    assert jaxsgd.tuned(result(values, diverged), 3).learning_rate.values[0] == 1


@pytest.mark.parametrize(
    ("changed", "seeds", "message"),
    [
        ({"by": "rate"}, 2, "unknown axis 'rate'"),
        ({"value": "loss_epoc"}, 2, "unknown value 'loss_epoc': did you mean 'loss_epoch'"),
        ({}, 6, r"tuning_seeds must be a whole number from 1 to 5 \(one seed to judge on or more\), got 6"),
    ],
)
def test_bad_input(changed, seeds, message):
    with pytest.raises(InputError, match=message):
        jaxsgd.tuned(result(losses([3, 1, 2], [1, 2, 3])), seeds, **changed)


def test_what_cannot_be_tuned():
    ds = result(losses([3, 1, 2], [1, 2, 3]))
    with pytest.raises(InputError, match="there must be at least 2 seeds, got 1"):
        jaxsgd.tuned(ds.isel(seed=[0]), 1)
    with pytest.raises(InputError, match=r"needs one dimension of seeds, got none"):
        jaxsgd.tuned(ds.isel(seed=0, drop=True), 1)
    with pytest.raises(InputError, match="only a finished result can be tuned, and 36 of its cells are missing"):
        jaxsgd.tuned(ds.assign(missing=~ds.missing), 1)


def shifted(sgd, adam, own):
    """Best losses, what each seed does to all settings, and what it does to Adam alone."""
    values = losses(sgd, adam) + RNG.normal(size=(SEEDS, 1, 1))
    values[:, 1] += np.asarray(own)[:, None]
    return result(values)


def test_a_benchmark_pairs_ranks_and_calls_ties():
    apart = shifted([8, 5, 8], [4, 8, 8], [0, 0, 0.01, -0.01, 0.02, -0.02])
    alike = shifted([8, 8, 5], [5, 8, 8], [0, 0, 0.1, -0.1, 0.2, -0.2])
    results = {"far": apart, "near": alike}
    found = jaxsgd.benchmark(results, tuning_seeds=2, reference="sgd")
    assert found.problem.values.tolist() == ["far", "near"]
    # What the seeds share is gone from the differences: -1, and nothing.
    assert found.difference.sel(optimizer="adam", problem="far") == pytest.approx(-1)
    assert found.tie.sel(optimizer="adam").values.tolist() == [False, True]
    assert found["mean_rank"].sel(problem="far").values.tolist() == [2, 1]
    assert found.learning_rate.values.tolist() == [[0.1, 0.01], [1.0, 0.01]]
    np.testing.assert_allclose(found.overall_rank, found["mean_rank"].mean("problem"))


def test_a_benchmark_has_one_axis_and_the_same_settings_everywhere():
    one = result(losses([3, 1, 2], [1, 2, 3]))
    with pytest.raises(InputError, match=r"^b: has optimizer \['sgd'\], and the others \['sgd', 'adam'\]$"):
        jaxsgd.benchmark({"a": one, "b": one.isel(optimizer=[0])}, tuning_seeds=2)
    wide = result(np.repeat(losses([3, 1, 2], [1, 2, 3])[..., None], 2, axis=-1), batch_count=[1, 10])
    with pytest.raises(InputError, match=r"^a: a benchmark has one axis, optimizer; select one value of batch_count$"):
        jaxsgd.benchmark({"a": wide}, tuning_seeds=2)
    with pytest.raises(InputError, match=r"^benchmark needs at least one result$"):
        jaxsgd.benchmark({}, tuning_seeds=2)


def test_scatter_by_kind_of_seed():
    """Data seeds move the loss by +-3, order seeds by +-1, without interplay: variances 18 and 2 of pairs, 20 together."""
    loss = np.array([-3.0, 3.0])[:, None, None] + np.array([-1.0, 1.0])[None, :, None] + 9
    ds = xr.Dataset(
        {
            "loss_epoch": (["data_seed", "order_seed", "epoch"], loss, {"units": "loss"}),
            "diverged": (["data_seed", "order_seed"], np.zeros((2, 2), bool)),
        },
        {"data_seed": [0, 1], "order_seed": [0, 1], "epoch": [0]},
    )
    found = jaxsgd.seed_variance(ds)
    assert found.source.values.tolist() == ["data_seed", "order_seed", "all"]
    np.testing.assert_allclose(found.deviation**2, [18, 2, 20])
    np.testing.assert_allclose(found.share, [0.9, 0.1, 1])
    assert found.left_out == 0
    with pytest.raises(InputError, match=r"needs two of data_seeds, init_seeds and order_seeds, got \['data_seed'\]"):
        jaxsgd.seed_variance(ds.isel(order_seed=0, drop=True))
