"""A result as labelled arrays: dimensions, coordinates, and the views of it."""

import numpy as np
import pytest

import jaxsgd
from jaxsgd import InputError, Study

pytestmark = pytest.mark.usefixtures("compiled_once")

FIELDS = {"problem": "tests.probe:line", "seeds": [0], "batch_counts": [2, 4], "learning_rates": [0.01], "epochs": 3}


def swept(**changed):
    fields = {name: value for name, value in {**FIELDS, **changed}.items() if value is not None}
    return jaxsgd.sweep(Study(**fields), vectorize="one_program", chunk_width=2)


def test_every_axis_is_a_dimension_with_its_values_in_the_studys_order():
    ds = swept(
        seeds=[3, 1], orders=["reshuffle", "fixed"], optimizers=["sgd", "nesterov"], learning_rates=[0.02, 0.01],
        hyper={"momentum": [0.9, 0.5]}, batch_counts=[4, 2],
    )  # fmt: skip
    assert dict(ds.sizes) == {
        "seed": 2, "optimizer": 2, "order": 2, "momentum": 2, "learning_rate": 2, "batch_count": 2, "epoch": 3, "batch": 4,
    }  # fmt: skip
    for axis, values in {
        "seed": [3, 1],
        "optimizer": ["sgd", "nesterov"],
        "order": ["reshuffle", "fixed"],
        "momentum": [0.9, 0.5],
        "learning_rate": [0.02, 0.01],
        "batch_count": [4, 2],
        "epoch": [0, 1, 2],
        "batch": [0, 1, 2, 3],
    }.items():
        assert ds[axis].values.tolist() == values
        assert ds[axis].dims == (axis,)
    assert ds.batch_size.dims == ("batch_count",)
    assert ds.batch_size.values.tolist() == [15, 30]
    # Every cell lies where its values say: the cell of the last place, alone.
    alone = swept(seeds=[1], optimizers=["nesterov"], hyper={"momentum": [0.5]}, batch_counts=[4, 2])
    where = {"seed": 1, "optimizer": "nesterov", "order": "fixed", "momentum": 0.5, "learning_rate": 0.01}
    np.testing.assert_array_equal(ds.loss.sel(where), alone.loss.sel(where))


def test_zipped_axes_are_coordinates_along_one_dimension():
    ds = swept(
        learning_rates=[0.01, 0.02], zipped=[["learning_rate", "batch_count"]], rate_rule="linear", reference_batch_count=4
    )
    assert ds.loss.dims == ("seed", "optimizer", "order", "learning_rate_batch_count", "epoch", "batch")
    assert ds.learning_rate.dims == ds.batch_count.dims == ds.batch_size.dims == ("learning_rate_batch_count",)
    assert ds.learning_rate.values.tolist() == [0.01, 0.02]
    assert ds.batch_count.values.tolist() == [2, 4]
    # The rate in force is 0.01 * 4/2 and 0.02 * 4/4.
    np.testing.assert_allclose(ds.rate.squeeze(), [0.02, 0.02])


def test_drawn_axes_are_coordinates_along_the_draws():
    random = {"learning_rate": {"log_uniform": [1e-3, 1e-2]}, "batch_count": {"choice": [2, 3, 5]}}
    ds = swept(learning_rates=None, batch_counts=None, random=random, draws=6)
    assert ds.loss.dims == ("seed", "optimizer", "order", "draw", "epoch", "batch")
    assert ds.learning_rate.dims == ds.batch_count.dims == ("draw",)
    np.testing.assert_array_equal(ds.rate.squeeze(), ds.learning_rate)
    held = np.isfinite(ds.loss.squeeze().isel(epoch=0)).sum("batch")
    np.testing.assert_array_equal(held, ds.batch_count)


def test_batch_sizes_are_an_axis_and_their_counts_a_coordinate():
    # 60 samples: 3 batches of 25, 25 and 10, or 2 if the last is left out.
    for drop_last, counts in ((False, [3, 2]), (True, [2, 2])):
        ds = swept(batch_counts=None, batch_sizes=[25, 30], drop_last=drop_last)
        assert ds.loss.dims[-3:] == ("batch_size", "epoch", "batch")
        assert ds.batch_size.values.tolist() == [25, 30]
        assert ds.batch_count.dims == ("batch_size",)
        assert ds.batch_count.values.tolist() == counts
        held = np.isfinite(ds.loss.squeeze().isel(epoch=0)).sum("batch")
        assert held.values.tolist() == counts


def test_views_along_zipped_and_drawn_batch_counts():
    for changed in (
        {"learning_rates": [0.01, 0.02], "zipped": [["learning_rate", "batch_count"]]},
        {"batch_counts": None, "random": {"batch_count": {"choice": [2, 4]}}, "draws": 5},
    ):
        ds = swept(**changed)
        (along,) = ds.batch_count.dims
        seen = jaxsgd.views(ds, 3)
        assert seen.striped.dims == (*ds.loss.dims[:-2], "window")
        assert seen.window_time.dims == seen.stripe.dims == (along, "window")
        for place, m in enumerate(ds.batch_count.values):
            own = jaxsgd.windows(ds.loss.isel({along: place}).values[..., :m], 3)
            striped = seen.striped.isel({along: place})
            np.testing.assert_array_equal(striped[..., : own.shape[-1]], own)
            assert np.isnan(striped[..., own.shape[-1] :]).all()


def test_views_of_one_cell_taken_out():
    ds = swept()
    cell = ds.sel(batch_count=4)
    seen = jaxsgd.views(cell, 2)
    assert seen.striped.dims == ("seed", "optimizer", "order", "learning_rate", "window")
    assert seen.window_time.dims == seen.stripe.dims == ("window",)
    np.testing.assert_array_equal(seen.striped, jaxsgd.windows(ds.loss.sel(batch_count=4), 2))
    assert seen.stripe.values.tolist() == [0, 1] * 3
    assert seen.attrs["eval_interval"] == 2


@pytest.mark.parametrize(
    ("interval", "said"),
    [
        (0, "eval_interval must be a whole number of at least 1, got 0"),
        (-2, "eval_interval must be a whole number of at least 1, got -2"),
        # 3 epochs of at most 4 batches.
        (13, "eval_interval must be at most 12, the batches of a run, got 13"),
    ],
)
def test_views_at_an_interval_that_cannot_be(interval, said):
    ds = swept()
    with pytest.raises(InputError) as caught:
        jaxsgd.views(ds, interval)
    assert str(caught.value) == said


def test_an_interval_longer_than_the_runs_of_one_count_leaves_only_those_missing():
    # 3 epochs of 2 batches are 6 losses; of 4 batches 12, one window of 7.
    ds = swept(eval_interval=7)
    assert np.isnan(ds.stripe_gap.sel(batch_count=2)).all()
    seen = jaxsgd.views(ds)
    assert seen.sizes["window"] == 1
    assert np.isnan(seen.striped.sel(batch_count=2)).all()
    assert (seen.stripe.sel(batch_count=2) == -1).all()
    first_seven = ds.loss.sel(batch_count=4).values.ravel()[:7].astype(float)
    np.testing.assert_allclose(seen.striped.sel(batch_count=4).squeeze(), first_seven.mean())


def test_data_that_change_while_a_sweep_runs_do_not_reach_it(tmp_path):
    rows = np.random.default_rng(0).normal(size=(20, 3))
    file = tmp_path / "rows.csv"
    np.savetxt(file, rows, delimiter=",")
    args = {"path": str(file), "num_hidden": 4}
    study = Study(problem="from_file", problem_args=args, seeds=range(6), batch_counts=[2], learning_rates=[0.1], epochs=1)
    undisturbed = jaxsgd.sweep(study, chunk_width=1)

    def change(progress):
        np.savetxt(file, rows * progress.done, delimiter=",")

    disturbed = jaxsgd.sweep(study, chunk_width=1, on_progress=change)
    assert disturbed.loss.values.tobytes() == undisturbed.loss.values.tobytes()
