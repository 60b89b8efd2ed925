"""Budgets in steps and in samples: where runs of each batch count end, and that they are otherwise the runs of whole epochs."""

import jax
import numpy as np
import pytest
import xarray as xr
from matplotlib.text import Text

import jaxsgd
from jaxsgd import InputError, Study
from jaxsgd.engine.plan import plan
from jaxsgd.problems import least_squares
from jaxsgd.results.metric import final, record_epochs, record_steps

SAMPLES, STEPS = 40, 13
FIELDS = {
    "problem": "least_squares", "problem_args": {"num_samples": SAMPLES, "num_inputs": 3}, "seeds": [0, 1],
    "batch_counts": [2, 4, 16], "learning_rates": [0.1],
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("budget") / "steps"
    jaxsgd.sweep(Study(**FIELDS, steps=STEPS, schedules="linear"), folder)
    return folder


@pytest.fixture
def ds(folder):
    return jaxsgd.load(folder)


def by_hand(seed, batch_count, taken=STEPS):
    """Batch losses and weights of the first steps of a plain NumPy loop whose rate falls linearly to 0 over all `STEPS`."""
    x, target = least_squares(SAMPLES, 3).sample_data(jaxsgd.streams(jax.random.key(seed)).data)
    x, target = np.asarray(x, np.float64), np.asarray(target, np.float64)
    weights, batches, losses = np.zeros(3), np.array_split(np.arange(SAMPLES), batch_count), []
    for step in range(taken):
        own = batches[step % batch_count]
        error = x[own] @ weights - target[own]
        losses.append(np.mean(error**2) / 2)
        weights = weights - 0.1 * (1 - step / STEPS) * x[own].T @ error / len(own)
    return np.asarray(losses), weights, x, target


def test_each_run_takes_as_many_steps_whatever_its_batch_count(ds):
    # 13 steps are 7, 4 and 1 epochs begun with 2, 4 and 16 batches.
    assert (ds.sizes["epoch"], ds.sizes["batch"]) == (7, 16)
    for m in (2, 4, 16):
        for seed in (0, 1):
            losses, weights, x, target = by_hand(seed, m)
            cell = ds.sel(seed=seed, batch_count=m).squeeze()
            taken = cell.loss.values[:, :m].ravel()
            np.testing.assert_allclose(taken[:STEPS], losses, rtol=1e-5)
            assert np.isnan(taken[STEPS:]).all()
            optimum = np.linalg.lstsq(x, target)[0]
            end = final(ds, "distance").sel(seed=seed, batch_count=m)
            np.testing.assert_allclose(end, np.linalg.norm(weights - optimum), rtol=1e-5)


def test_no_run_has_diverged_for_having_ended(ds):
    assert not ds.diverged.any()
    # Stripes are of whole epochs, and 16 batches have none in 13 steps.
    assert np.isfinite(ds.stripe_gap).all("seed").values.ravel().tolist() == [True, True, False]


def test_the_mean_loss_of_the_last_epoch_is_over_its_samples(ds):
    losses, *_ = by_hand(0, 4)
    epoch = ds.loss_epoch.sel(seed=0, batch_count=4).squeeze()
    np.testing.assert_allclose(epoch[:4], [*losses[:12].reshape(3, 4).mean(axis=1), losses[12]], rtol=1e-5)
    assert np.isnan(epoch[4:]).all()


def test_where_each_record_was_taken(ds):
    four = {
        name: record(ds, name).sel(batch_count=4).values for name in ("distance", "loss_epoch") for record in (record_steps,)
    }
    np.testing.assert_array_equal(four["distance"], [4, 8, 12, 13, np.nan, np.nan, np.nan])
    # Before steps 0 to 3, 4 to 7, 8 to 11, and 12 alone.
    np.testing.assert_array_equal(four["loss_epoch"], [1.5, 5.5, 9.5, 12, np.nan, np.nan, np.nan])
    np.testing.assert_array_equal(record_epochs(ds, "distance").sel(batch_count=16)[:2], [13 / 16, np.nan])
    ends = [by_hand(0, m)[0] for m in (2, 4, 16)]
    expected = [ends[0][12], ends[1][12], np.nan]  # epochs of one step
    np.testing.assert_allclose(final(ds, "loss_epoch").sel(seed=0).squeeze()[:2], expected[:2], rtol=1e-5)
    assert jaxsgd.best(ds)["median_value"].notnull().all()


def test_figures_of_runs_with_a_budget_in_steps_are_against_the_steps(ds):
    """Their x axis ends with the last step, and lines are drawn to it."""
    figure = jaxsgd.plot.curves(ds, axis="batch_count", metric="distance")
    assert figure.axes[0].get_xlim() == (0, STEPS)
    drawn = [line.get_xdata() for line in figure.axes[0].lines if not str(line.get_label()).startswith("_joint")]
    ends = [[2, 4, 6, 8, 10, 12, 13], [4, 8, 12, 13], [13]]
    assert [np.asarray(x).tolist() for x in drawn] == ends
    assert "step" in {text.get_text() for text in figure.findobj(Text)}


def test_evaluations_end_with_the_last_step():
    often = jaxsgd.sweep(Study(**FIELDS, steps=STEPS, evaluate_every=5, record="epoch"))
    for m in (2, 4, 16):
        assert often.evaluation_step.sel(batch_count=m).values.tolist() == [5, 10, 13]
    assert np.isfinite(often.train_loss).all()


def test_a_stored_result_is_read_and_verified(folder, ds):
    assert jaxsgd.verify(folder).passed
    xr.testing.assert_equal(jaxsgd.load(folder), ds)


def test_whole_epochs_of_samples_are_the_same_as_epochs():
    fields = {**FIELDS, "batch_counts": [2, 4]}
    samples, epochs = Study(**fields, samples=3 * SAMPLES), Study(**fields, epochs=3)
    assert plan(samples).vectorize == plan(epochs).vectorize == "one_program"
    xr.testing.assert_equal(jaxsgd.sweep(samples).drop_vars("epoch_step"), jaxsgd.sweep(epochs))


@pytest.mark.parametrize(
    ("sizes", "samples", "steps"),
    [
        # 40 samples in batches of 20 or of 14, 13, 13: one epoch, and then the step that reaches 50.
        ({"batch_counts": [2, 3]}, 50, [3, 4]),
        # Batches of 16, 16 and 8: an epoch and 17 samples take one batch more than an epoch and 16.
        ({"batch_counts": None, "batch_sizes": [16]}, 57, [5]),
        ({"batch_counts": None, "batch_sizes": [16]}, 56, [4]),
        # The last 8 are left out: an epoch is of 32 samples.
        ({"batch_counts": None, "batch_sizes": [16], "drop_last": True}, 64, [4]),
        ({"batch_counts": [2, 4]}, 1, [1, 1]),
    ],
)
def test_a_run_ends_with_the_step_that_reaches_the_budget_of_samples(sizes, samples, steps):
    assert plan(Study(**{**FIELDS, **sizes}, samples=samples)).cells.steps.tolist() == steps


def test_a_new_budget_takes_the_place_of_the_old_one():
    replaced = Study(**FIELDS, epochs=3).replaced(steps=STEPS)
    assert (replaced.epochs, replaced.steps) == (None, STEPS)
    assert replaced.replaced(epochs=3) == Study(**FIELDS, epochs=3)
    with pytest.raises(InputError, match="epochs: give epochs, or instead steps or samples"):
        replaced.replaced(steps=None)
    with pytest.raises(InputError, match="epochs: give exactly one of epochs, steps and samples, got epochs=3, samples=80"):
        Study(**FIELDS, epochs=3, samples=80)


def test_runs_that_end_within_an_epoch_have_a_program_for_each_batch_count():
    stopping = Study(**FIELDS, steps=STEPS)
    assert plan(stopping).vectorize == "grouped"
    with pytest.raises(InputError, match="cannot run this study, because its runs do not have the same number of epochs"):
        plan(stopping, vectorize="one_program")


def test_the_noise_of_a_run_that_ends_within_an_epoch_is_measured_along_its_own_schedule(ds):
    # 13 steps of 4 batches: the epochs 0 to 3 are begun, the last after 12 steps.
    noise = jaxsgd.run_noise(ds.sel(batch_count=[4], seed=[1]), [0, 3])
    for place, taken in enumerate((0, 12)):
        _, weights, x, target = by_hand(1, 4, taken)
        gradients = x * (x @ weights - target)[:, None]
        np.testing.assert_allclose(noise.trace[place], gradients.var(axis=0, ddof=1).sum(), rtol=1e-4)
    with pytest.raises(InputError, match=r"^at must list epochs from 0 to 3 \(0-based whole numbers\), got 4"):
        jaxsgd.run_noise(ds.sel(batch_count=[4]), [4])
