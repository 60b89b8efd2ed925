"""Observables within epochs: the same on every path, where each of them was measured, and what they cost."""

import json

import jax
import numpy as np
import pytest
import xarray as xr

import jaxsgd
from jaxsgd import InputError, Problem, Study
from jaxsgd.engine.plan import plan
from jaxsgd.problems import least_squares
from jaxsgd.results.export import table
from jaxsgd.results.metric import final, record_epochs, record_steps
from tests.study_parts import drawn_squares

SAMPLES, RATE, EPOCHS = 40, 0.1, 3
FIELDS = {
    "problem": "least_squares", "problem_args": {"num_samples": SAMPLES, "num_inputs": 3}, "seeds": [0, 1],
    "batch_counts": [2, 4, 8], "learning_rates": [RATE],
}  # fmt: skip


def study(**changed):
    return Study(**{"epochs": EPOCHS, **FIELDS, **changed})


def by_hand(seed, batch_count, steps):
    """Training losses before the first and after each step, [steps + 1], of a plain NumPy loop on the same batches."""
    x, target = drawn_squares(seed)
    x, target = np.asarray(x, np.float64), np.asarray(target, np.float64)
    weights, batches = np.zeros(3), np.array_split(np.arange(SAMPLES), batch_count)
    losses = [np.mean((x @ weights - target) ** 2) / 2]
    for step in range(steps):
        own = batches[step % batch_count]
        weights = weights - RATE * x[own].T @ (x[own] @ weights - target[own]) / len(own)
        losses.append(np.mean((x @ weights - target) ** 2) / 2)
    return np.asarray(losses)


def assert_by_hand(ds, steps):
    """Checks the training losses of all runs, and that the steps they were taken at are those expected, [V] by batch count."""
    for m, done in steps.items():
        cell = ds.sel(batch_count=m)
        np.testing.assert_array_equal(cell.evaluation_step[: len(done)], done)
        assert np.isnan(cell.evaluation_step[len(done) :]).all()
        np.testing.assert_array_equal(cell.evaluation_epoch, cell.evaluation_step / m)
        for seed in (0, 1):
            losses = cell.train_loss.sel(seed=seed).squeeze()
            np.testing.assert_allclose(losses[: len(done)], by_hand(seed, m, done[-1])[done], rtol=1e-5)
            assert np.isnan(losses[len(done) :]).all()


QUARTERS = {
    2: [0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6],
    4: list(range(1, 13)),
    8: list(range(2, 25, 2)),
}
"""Steps done at quarters of three epochs, by batch count."""


# Where each batch count has a program of its own: fewer steps in a quarter than one, and several.
@pytest.mark.parametrize(("path", "counts"), [("one_program", [2, 4, 8]), ("grouped", [2, 8])])
def test_quarters_of_an_epoch_are_those_of_a_plain_loop(path, counts):
    ds = jaxsgd.sweep(study(evaluate_every=0.25, batch_counts=counts), vectorize=path)
    assert_by_hand(ds, {m: QUARTERS[m] for m in counts})


@pytest.fixture(scope="module")
def every_5_steps():
    return jaxsgd.sweep(study(evaluate_every=5, batch_counts=[2, 8], learning_rates=[0.1, 0.2]))


def test_every_so_many_steps_and_after_the_last_are_those_of_a_plain_loop(every_5_steps):
    ds = every_5_steps.sel(learning_rate=[RATE])
    assert_by_hand(ds, {2: [5, 6], 8: [5, 10, 15, 20, 24]})
    # What a run ends at is at its own last evaluation.
    ends = [by_hand(0, m, EPOCHS * m)[-1] for m in (2, 8)]
    np.testing.assert_allclose(final(ds, "train_loss").sel(seed=0).squeeze(), ends, rtol=1e-5)
    assert final(ds, "train_loss").dims == ds.loss_epoch.dims[:-1]


def test_batch_counts_without_common_micro_steps_have_a_program_each():
    odd = study(batch_counts=[4, 7], evaluate_every=0.5)
    assert plan(odd).vectorize == "grouped"
    assert plan(odd.replaced(evaluate_every=None)).vectorize == "one_program"
    assert plan(study(evaluate_every=0.25)).vectorize == "one_program"
    with pytest.raises(
        InputError, match="vectorize='one_program' cannot run this study, because its batch counts cannot be evaluated"
    ):
        plan(odd, vectorize="one_program")
    with pytest.raises(InputError, match="evaluate_every must be at most 24, the steps of the longest run, got 25"):
        plan(study(evaluate_every=25))


def test_losses_are_the_same_bits_with_evaluations_and_the_layout_without_them_is_as_before():
    plain, often = (jaxsgd.sweep(study(evaluate_every=every, batch_counts=[4]), vectorize="grouped") for every in (None, 1))
    np.testing.assert_array_equal(plain.loss, often.loss)
    assert plain.distance.dims == plain.loss_epoch.dims
    assert plain.distance.attrs["long_name"].endswith(", after each epoch")
    assert "epoch" not in often.distance.attrs["long_name"]
    assert not {"train_loss", "evaluation", "evaluation_step", "evaluation_epoch", "epoch_step"} & set(plain.variables)
    np.testing.assert_allclose(plain.distance, often.distance.isel(evaluation=np.arange(1, EPOCHS + 1) * 4 - 1), rtol=1e-6)


COUNTED = []
"""One entry each time that a running program works out the held-out losses of the runs that are side by side."""


def counting():
    problem = least_squares(SAMPLES, 3)

    def loss(params, batch):
        if len(batch[1]) == 3:  # the samples held out, and no batch
            jax.debug.callback(lambda: COUNTED.append(1))
        return problem.loss(params, batch)

    held_out = jax.tree.map(lambda leaf: leaf[:3], problem.sample_data(jax.random.key(9)))
    return Problem(problem.init, loss, problem.sample_data(jax.random.key(8)), held_out=held_out)


@pytest.mark.parametrize(("path", "programs"), [("one_program", 1), ("grouped", 2)])
def test_steps_between_evaluations_cost_nothing(path, programs):
    """Two seeds at 4 and 8 batches, side by side in one program or two, with two evaluations in each of three epochs."""
    evaluated = Study(
        **{**FIELDS, "problem": "tests.engine.test_evaluation:counting", "problem_args": {}, "batch_counts": [4, 8]},
        epochs=EPOCHS, evaluate_every=0.5,
    )  # fmt: skip
    COUNTED.clear()
    jaxsgd.sweep(evaluated, vectorize=path, chunk_width=4 // programs)
    jax.effects_barrier()
    assert len(COUNTED) == programs * 2 * EPOCHS


@pytest.fixture(scope="module")
def quarters(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluation") / "quarters"
    return jaxsgd.sweep(study(evaluate_every=0.25, held_out=0.2, learning_rates=[0.1, 0.2]), folder), folder


def test_a_stored_result_is_read_and_verified(quarters):
    ds, folder = quarters
    xr.testing.assert_equal(jaxsgd.load(folder), ds)
    assert jaxsgd.load(folder, variables=["validation_loss"]).validation_loss.dims[-1] == "evaluation"
    assert jaxsgd.verify(folder, sample=2).passed
    assert json.loads((folder / "manifest.json").read_text())["observed"][-1] == "train_loss"


def test_the_metrics_of_a_result_are_read_at_their_evaluations(quarters):
    ds, _ = quarters
    assert record_steps(ds, "validation_loss").sel(batch_count=8).values.tolist() == QUARTERS[8]
    np.testing.assert_allclose(record_epochs(ds, "train_loss").sel(batch_count=8), np.arange(1, 13) / 4)
    # The mean over an epoch stands for the middle of its steps.
    assert record_steps(ds, "loss_epoch").sel(batch_count=4).values.tolist() == [1.5, 5.5, 9.5]
    best = jaxsgd.best(ds)
    assert best.attrs["metric"] == "validation_loss"
    ends = ds.validation_loss.isel(evaluation=-1)
    np.testing.assert_allclose(best["median_value"].values.ravel(), ends.median("seed").min("learning_rate").values.ravel())


def test_values_are_compared_at_the_end_of_an_epoch_where_they_were_evaluated(quarters, every_5_steps):
    ds, _ = quarters
    comparison = jaxsgd.compare(ds, "learning_rate", "train_loss", epoch=1)
    at = ds.train_loss.isel(evaluation=7)  # the eighth quarter
    expected = (at.sel(learning_rate=0.2) - at.sel(learning_rate=0.1)).mean("seed")
    np.testing.assert_allclose(comparison.difference.sel(learning_rate=0.2).values.ravel(), expected.values.ravel(), rtol=1e-5)
    with pytest.raises(InputError, match="train_loss was evaluated every 5 steps, and not at the end of epoch 1 of every run"):
        jaxsgd.compare(every_5_steps, "learning_rate", "train_loss", epoch=1)


def test_the_tidy_table_has_rows_for_epochs_and_for_evaluations(quarters):
    ds, _ = quarters
    frame = table(ds)
    cells = 2 * 2  # seeds and rates, at each of 2, 4 and 8 batches
    assert len(frame) == cells * (EPOCHS * (2 + 4 + 8) + 3 * 12)
    row = frame[(frame.seed == 1) & (frame.batch_count == 8) & (frame.learning_rate == 0.1) & (frame.evaluation == 4)]
    own = ds.sel(seed=1, batch_count=8, learning_rate=0.1).squeeze()
    assert (row.train_loss.item(), row.evaluation_step.item()) == (own.train_loss[4].item(), 10)
