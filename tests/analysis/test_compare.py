"""Comparisons of a result against SciPy's paired test on the same numbers, cell by cell, and by hand where runs are missing."""

import numpy as np
import pytest
import xarray as xr
from scipy import stats

import jaxsgd
from jaxsgd import InputError

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
    found = jaxsgd.compare(ds, "order", reference="reshuffle", epoch=epoch, level=0.9)
    assert found.difference.dims == ("batch_count", "order")
    for m in COUNTS:
        runs = ds.loss_epoch.sel(batch_count=m).isel(epoch=place)
        for order in ORDERS:
            cell = found.sel(batch_count=m, order=order)
            np.testing.assert_allclose(cell["mean_value"], runs.sel(order=order).mean())
            if order == "reshuffle":
                assert (cell.difference, cell.low, cell.high, cell.tie) == (0, 0, 0, True)
                continue
            told = stats.ttest_rel(runs.sel(order=order), runs.sel(order="reshuffle"))
            np.testing.assert_allclose([cell.low, cell.high], told.confidence_interval(0.9))
            np.testing.assert_allclose(cell.difference, (runs.sel(order=order) - runs.sel(order="reshuffle")).mean())
            assert (cell.tie, cell.pairs, cell.left_out) == (told.pvalue > 0.1, SEEDS, 0)
        np.testing.assert_allclose(found["mean_rank"].sel(batch_count=m), stats.rankdata(runs, axis=1).mean(axis=0))


def test_it_says_what_was_compared_with_what():
    found = jaxsgd.compare(result(), "order")
    assert found.attrs == {
        "title": "loss_epoch by order, less that of order fixed, paired by seed",
        "axis": "order", "value": "loss_epoch", "reference": "fixed", "level": 0.95, "seeds": "seed", "epoch": 3,
    }  # fmt: skip
    assert found.low.attrs == {"units": "loss", "long_name": "lower end of the 95 % interval of the difference"}
    assert all(found[name].attrs["units"] and found[name].attrs["long_name"] for name in found.data_vars)
    assert found.batch_size.values.tolist() == [100, 50]


def test_a_measure_of_whole_runs_over_another_axis():
    ds = result()
    found = jaxsgd.compare(ds, "batch_count", "stripe_index", reference=20)
    assert (found.difference.dims, "epoch" in found.attrs) == (("order", "batch_count"), False)
    runs = ds.stripe_index.sel(order="fixed")
    difference = runs.sel(batch_count=10) - runs.sel(batch_count=20)
    np.testing.assert_allclose(found.difference.sel(order="fixed", batch_count=10), difference.mean())


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
    found = jaxsgd.compare(ds, "order")
    assert (found.attrs["seeds"], found.difference.dims) == ("order_seed, data_seed", ("batch_count", "order"))
    assert (found.pairs == 2 * SEEDS).all()


def test_something_that_is_no_result():
    with pytest.raises(InputError, match=r"^a result has a variable loss_epoch, as sweep and load give it; got stripe_index$"):
        jaxsgd.compare(result()[["stripe_index"]], "order")


@pytest.mark.parametrize("one", [{"seed": [0]}, {"seed": 0}])
def test_one_seed_has_no_interval(one):
    found = jaxsgd.compare(result().isel(one), "order").sel(order="reshuffle")
    assert np.isfinite(found.difference).all()
    assert np.isnan(found.low).all()
    assert not found.tie.any()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"axis": "ordr"}, "unknown axis 'ordr': did you mean 'order'? valid: batch_count, batch_size, order, seed"),
        ({"value": "los_epoch"}, "unknown value 'los_epoch': did you mean 'loss_epoch'? valid: loss_epoch, stripe_index"),
        ({"value": "loss"}, "unknown value 'loss': did you mean 'loss_epoch'? valid: loss_epoch, stripe_index"),
        ({"reference": "fixd"}, "unknown order 'fixd': did you mean 'fixed'? valid: fixed, replacement, reshuffle"),
        ({"axis": "batch_count", "reference": 21}, "no batch_count 21: there is 10, 20"),
        ({"epoch": 4}, "epoch must be one of 0, 1, 2, 3 (0-based), got 4"),
        ({"value": "stripe_index", "epoch": 1}, "stripe_index is of whole runs and has no epochs, got epoch=1"),
        ({"level": 2.0}, "level must lie between 0 and 1, such as 0.95, got 2.0"),
    ],
)
def test_a_mistake_is_named_with_what_would_be_right(arguments, said):
    with pytest.raises(InputError) as caught:
        jaxsgd.compare(result(), **{"axis": "order", **arguments})
    assert str(caught.value) == said


def test_rank_1_is_the_highest_accuracy_and_a_run_that_diverged_is_last():
    values = np.random.default_rng(3).permuted(np.linspace(0.1, 0.9, SEEDS * 3 * 2)).reshape(SEEDS, 3, 2)
    accuracy = np.stack([np.zeros_like(values)] * (EPOCHS - 1) + [values], axis=-1)
    found = jaxsgd.compare(result(validation_accuracy=((*DIMS, "epoch"), accuracy)), "order", "validation_accuracy")
    for place, m in enumerate(COUNTS):
        expected = stats.rankdata(-values[..., place], axis=1).mean(axis=0)
        np.testing.assert_allclose(found["mean_rank"].sel(batch_count=m), expected)
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
