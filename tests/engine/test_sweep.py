"""A sweep's numbers: the same whichever path computes them, and each cell's its own."""

import json

import jax
import numpy as np
import optax
import pytest

import jaxsgd
from jaxsgd import Study
from jaxsgd.engine import sweep as sweep_module
from jaxsgd.order import as_order
from tests import reference
from tests.study_parts import drawn_squares

SMALL = {"problem_args": {"num_samples": 100, "num_hidden": 10}, "learning_rates": [0.5], "epochs": 4, "eval_interval": 2}
HELD = {"vectorize": "one_program", "chunk_width": 4, "lanes": 2}


def study(**fields):
    """A study; those of 4 and 10 batches, and those of 10 batches and a divisor, have one program for each order."""
    return Study(**{**SMALL, **fields})


def bits(ds, **where):
    """The bytes of every variable at one place of a result."""
    cell = ds.sel(where).isel(batch=slice(where["batch_count"]))
    return {name: array.values.tobytes() for name, array in cell.items()}


@pytest.mark.slow
@pytest.mark.parametrize("order", ["fixed", "reshuffle_batches"])
def test_both_paths_agree_with_single_runs_at_every_batch_loss(order):
    # 3, 7 and 30 do not divide 100.
    counts = [1, 2, 4, 5, 10, 20, 50, 3, 7, 30]
    swept = study(seeds=[3], batch_counts=counts, orders=[order], hyper={"momentum": [0.9]})
    one_program, grouped = (jaxsgd.sweep(swept, vectorize=path) for path in ("one_program", "grouped"))
    assert json.loads(one_program.attrs["manifest"])["held"]["vectorize"] == "one_program"
    assert json.loads(grouped.attrs["manifest"])["held"]["vectorize"] == "grouped"
    problem = jaxsgd.problems.square_regression(100, num_hidden=10)
    optimizer = optax.sgd(0.5, momentum=0.9)
    for m in counts:
        single = jaxsgd.simulate(problem, jax.random.key(3), optimizer=optimizer, epochs=4, batch_count=m, order=order)
        for ds in (one_program, grouped):
            cell = ds.sel(batch_count=m).squeeze()
            np.testing.assert_allclose(cell.loss[:, :m], single.loss, rtol=1e-5)
            assert np.isnan(cell.loss[:, m:]).all()
            # The averaged view weighs a batch by its size.
            weighted = (np.asarray(single.loss, float) * single.size).sum(1) / np.asarray(single.size).sum(1)
            np.testing.assert_allclose(cell.loss_epoch, weighted, rtol=1e-6)


LOADERS = ["buffer(17)", "blocks(9)", "block_buffer(9, 3)"]


# Where each batch count and each order has a program of its own, one of them shows that the path takes the order's samples.
@pytest.mark.parametrize(("path", "counts", "loaders"), [("one_program", [4, 7], LOADERS), ("grouped", [7], LOADERS[:1])])
def test_both_paths_agree_with_a_plain_loop_in_the_orders_of_loaders(path, counts, loaders):
    key = jaxsgd.streams(jax.random.key(3)).order
    fields = {"problem": "least_squares", "problem_args": {"num_samples": 60, "num_inputs": 3}, "seeds": [3], "epochs": 3}
    swept = Study(**fields, batch_counts=counts, orders=loaders, optimizer="momentum", learning_rates=[0.05])
    ds = jaxsgd.sweep(swept, vectorize=path)
    x, target = drawn_squares(3, 60)

    def samples(epoch):
        return [as_order(order).samples(key, epoch, 60) for order in loaders]

    for order, sequences in zip(loaders, jax.jit(jax.vmap(samples))(np.arange(3)), strict=True):
        for m in counts:
            weights, change, losses = np.zeros(3), reference.momentum(0.05, 0.9), []
            for own in (batch for epoch in np.asarray(sequences) for batch in np.array_split(epoch, m)):
                residual = x[own] @ weights - target[own]
                losses.append(np.mean(residual**2) / 2)
                weights = weights + change(x[own].T @ residual / len(own))
            cell = ds.loss.sel(batch_count=m, order=order).squeeze()[:, :m]
            np.testing.assert_allclose(cell, np.reshape(losses, (3, m)), rtol=1e-5)


# Where each batch count has a program of its own, a second one says no more.
@pytest.mark.parametrize(("path", "counts"), [("one_program", [2, 10]), ("grouped", [10])])
def test_a_cells_bits_do_not_depend_on_the_other_cells(path, counts):
    settings = HELD | {"vectorize": path}
    alone = jaxsgd.sweep(study(seeds=[5], batch_counts=counts, orders=["reshuffle"]), **settings)
    among = jaxsgd.sweep(
        study(seeds=[7, 5, 1], batch_counts=counts[::-1], orders=["fixed", "reshuffle"], learning_rates=[0.1, 0.5, 2.0]),
        **settings,
    )
    for m in counts:
        where = {"seed": 5, "order": "reshuffle", "learning_rate": 0.5, "optimizer": "sgd", "batch_count": m}
        assert bits(alone, **where) == bits(among, **where)


def test_data_and_initial_weights_are_paired_across_orders_and_counts():
    ds = jaxsgd.sweep(study(seeds=[1, 2], batch_counts=[1, 10], orders=["fixed", "reshuffle"]), **HELD)
    # With one batch the first loss is that of all samples at the initial weights: the order only changes the rounding.
    first = ds.loss.sel(batch_count=1).isel(epoch=0, batch=0).squeeze()
    np.testing.assert_allclose(first.sel(order="fixed"), first.sel(order="reshuffle"), rtol=1e-6)
    assert first.sel(seed=1, order="fixed") != first.sel(seed=2, order="fixed")


def test_seeds_apart_change_only_their_own_stream():
    ds = jaxsgd.sweep(
        study(data_seeds=[0, 1], init_seeds=[0, 1], order_seeds=[0, 1], batch_counts=[1, 10], orders=["reshuffle"]), **HELD
    )
    assert ds.loss.dims[:3] == ("data_seed", "init_seed", "order_seed")
    first = ds.loss.isel(epoch=0, batch=0).squeeze()
    whole = first.sel(batch_count=1)
    np.testing.assert_allclose(whole.sel(order_seed=0), whole.sel(order_seed=1), rtol=1e-6)
    assert len(np.unique(np.round(whole.sel(order_seed=0).values, 4))) == 4
    assert (first.sel(batch_count=10, order_seed=0) != first.sel(batch_count=10, order_seed=1)).all()


def test_a_run_that_overflows_is_marked_and_leaves_its_siblings_bits_alone():
    fields = {"problem": "least_squares", "problem_args": {"num_samples": 40}, "seeds": [0, 1], "batch_counts": [4]}
    calm = jaxsgd.sweep(study(**fields, learning_rates=[0.1, 0.2]), **HELD)
    wild = jaxsgd.sweep(study(**fields, learning_rates=[0.1, 1e30, 0.2]), **HELD)
    assert not calm.diverged.any()
    assert wild.diverged.sel(learning_rate=1e30).all()
    assert not wild.diverged.sel(learning_rate=[0.1, 0.2]).any()
    # 1e30 times a gradient of order 1 gives weights of 1e30: their squared error overflows float32 at once.
    assert (wild.diverged_epoch.sel(learning_rate=1e30) == 0).all()
    for rate in (0.1, 0.2):
        for seed in (0, 1):
            where = {"seed": seed, "order": "fixed", "learning_rate": rate, "optimizer": "sgd", "batch_count": 4}
            assert bits(calm, **where) == bits(wild, **where)


def test_a_run_with_nan_weights_is_marked_and_leaves_its_siblings_bits_alone():
    fields = {"problem": "tests.study_parts:sometimes_nan", "problem_args": {}, "batch_counts": [4], "learning_rates": [0.1]}
    all_seeds = jaxsgd.sweep(study(**fields, seeds=range(8)), **HELD)
    ill = all_seeds.diverged.squeeze().values
    assert 0 < ill.sum() < 8
    assert (all_seeds.diverged_epoch.squeeze().values[ill] == 0).all()
    well = [int(seed) for seed in np.flatnonzero(~ill)]
    without = jaxsgd.sweep(study(**fields, seeds=well), **HELD)
    for seed in well:
        where = {"seed": seed, "order": "fixed", "learning_rate": 0.1, "optimizer": "sgd", "batch_count": 4}
        assert bits(all_seeds, **where) == bits(without, **where)


def test_epoch_records_hold_what_batch_records_hold_but_the_batch_losses():
    fields = {"seeds": [0, 1], "batch_counts": [4, 10]}
    every, epochs = (jaxsgd.sweep(study(**fields, record=record), **HELD) for record in ("batch", "epoch"))
    assert "loss" not in epochs
    assert epochs.drop_attrs().identical(every.drop_vars(["loss", "batch"]).drop_attrs())
    with pytest.raises(jaxsgd.InputError, match="record='batch'"):
        jaxsgd.views(epochs)


def test_stripe_measures_are_those_of_the_cells_loss():
    ds = jaxsgd.sweep(study(seeds=[0, 1], batch_counts=[4, 10], eval_interval=3), **HELD)
    for m in (4, 10):
        expected = jaxsgd.stripes(ds.loss.sel(batch_count=m).values[..., :m], 3)
        cell = ds.sel(batch_count=m)
        np.testing.assert_array_equal(cell.stripe_gap, expected.gap)
        np.testing.assert_array_equal(cell.stripe_index, expected.stripe_index)
        np.testing.assert_array_equal(cell.stripe_slope, expected.slope.mean(axis=-1))


@pytest.fixture(scope="module")
def two_counts():
    return jaxsgd.sweep(study(seeds=[0, 1], batch_counts=[4, 10]), **HELD)


@pytest.mark.parametrize("eval_interval", [None, 1, 3, 10])
def test_views_are_the_windows_of_every_cell(eval_interval, two_counts):
    seen = jaxsgd.views(two_counts, eval_interval)
    width = eval_interval or 2
    for m in (4, 10):
        own = jaxsgd.measure.windows(two_counts.loss.sel(batch_count=m).values[..., :m], width)
        striped = seen.striped.sel(batch_count=m)
        np.testing.assert_array_equal(striped[..., : own.shape[-1]], own)
        assert np.isnan(striped[..., own.shape[-1] :]).all()
        time = seen.window_time.sel(batch_count=m)[: own.shape[-1]]
        np.testing.assert_allclose(time, np.arange(1, own.shape[-1] + 1) * width / m)
        stripe = seen.stripe.sel(batch_count=m)[: own.shape[-1]]
        np.testing.assert_array_equal(stripe, np.arange(own.shape[-1]) % jaxsgd.measure.stripe_count(m, width))
    np.testing.assert_array_equal(seen.averaged, two_counts.loss_epoch)


@pytest.mark.slow
def test_batch_sizes_and_drop_last():
    ds = jaxsgd.sweep(study(batch_sizes=[30, 50], seeds=[0]), **HELD)
    dropped = jaxsgd.sweep(study(batch_sizes=[30, 50], seeds=[0], drop_last=True), **HELD)
    assert ds.batch_count.values.tolist() == [4, 2]
    assert dropped.batch_count.values.tolist() == [3, 2]
    problem = jaxsgd.problems.square_regression(100, num_hidden=10)
    for result, drop_last in ((ds, False), (dropped, True)):
        single = jaxsgd.simulate(
            problem, jax.random.key(0), optimizer=optax.sgd(0.5), epochs=4, batch_size=30, drop_last=drop_last
        )
        loss = result.loss.sel(batch_size=30).squeeze()[:, : single.loss.shape[1]]
        np.testing.assert_allclose(loss, single.loss, rtol=1e-5)


@pytest.mark.slow
def test_float64_studies_are_float64_throughout():
    fields = {"seeds": [0], "batch_counts": [4, 7]}
    wide = jaxsgd.sweep(study(**fields, dtype="float64"), **HELD)
    other = jaxsgd.sweep(study(**fields, dtype="float64"), vectorize="grouped")
    assert wide.loss.dtype == np.float64
    np.testing.assert_allclose(wide.loss, other.loss, rtol=1e-12)
    assert jax.numpy.ones(()).dtype == np.float32  # and the mode is as it was


def test_the_dataset_tells_units_meanings_the_study_and_the_manifest(tmp_path, monkeypatch):
    monkeypatch.setattr(sweep_module, "git_commit", lambda: "the commit")
    swept = study(seeds=[0], batch_counts=[4, 10])
    ds = jaxsgd.sweep(swept, **HELD)
    assert ds.loss.dims == ("seed", "optimizer", "order", "learning_rate", "batch_count", "epoch", "batch")
    for name in [*ds.data_vars, *ds.coords]:
        assert ds[name].attrs["units"], name
        assert ds[name].attrs["long_name"], name
    assert Study(**json.loads(ds.attrs["study"])) == swept
    manifest = json.loads(ds.attrs["manifest"])
    assert manifest["identity"] == ds.attrs["identity"] == swept.identity
    assert {"versions", "device", "precision", "flags", "held", "git_commit", "times"} <= set(manifest)
    in_folder = json.loads(jaxsgd.sweep(swept, tmp_path / "result", **HELD).attrs["manifest"])
    assert manifest["git_commit"] == in_folder["git_commit"] == "the commit"
