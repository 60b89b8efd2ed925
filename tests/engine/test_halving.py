"""Successive halving: which settings stop at which rung, the bits of those that go on, and interruptions."""

import numpy as np
import pytest

import jaxsgd
from jaxsgd.engine.plan import plan
from jaxsgd.engine.program_cache import PROGRAMS
from jaxsgd.study.halving import rungs_of

RATES = [0.001, 0.003, 0.01, 0.03, 0.1, 0.2, 0.5, 1.0, 100.0]
FIELDS = {
    "problem": "least_squares",
    "problem_args": {"num_samples": 24, "num_inputs": 3},
    "held_out": 0.25,
    "seeds": range(3),
    "batch_counts": [2, 3],
    "orders": "grab",
    "optimizer": "momentum",
    "hyper": {"momentum": [0.5]},
    "learning_rates": RATES,
    "schedules": "cosine",
    "epochs": 9,
}
HALVING = {"metric": "validation_loss", "eta": 3}
HOW = {"chunk_width": 6, "vectorize": "one_program"}


@pytest.fixture(scope="module")
def full():
    """The full grid, in one piece."""
    return jaxsgd.sweep(jaxsgd.Study(**FIELDS), **HOW)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """The folder of the same grid with halving, and the number of programs that were compiled for it."""
    path = tmp_path_factory.mktemp("results") / "halved"
    PROGRAMS.clear()
    jaxsgd.sweep(jaxsgd.Study(**FIELDS, halving=HALVING), path, **HOW)
    return path, len(PROGRAMS)


@pytest.fixture(scope="module")
def folder(compiled):
    return compiled[0]


@pytest.fixture(scope="module")
def halved(folder):
    return jaxsgd.load(folder).squeeze(drop=True)


def expected_stops(full):
    """Return the rung at which each rate is stopped, [batch count, rate], from the losses of the full grid in plain NumPy."""
    losses = full.validation_loss.squeeze().transpose("batch_count", "learning_rate", "epoch", "seed").values
    stopped = np.full(losses.shape[:2], np.nan)
    for row, of_count in zip(stopped, losses, strict=True):
        alive = list(range(len(RATES)))
        for rung in (1, 3):
            medians = {rate: np.median(np.nan_to_num(of_count[rate, rung - 1], nan=np.inf)) for rate in alive}
            best = sorted(alive, key=medians.get)[: len(alive) // 3]
            row[[rate for rate in alive if rate not in best]] = rung
            alive = best
    return stopped


def test_the_settings_with_the_worse_median_stop_at_each_rung(full, halved):
    # 9 epochs and 9 rates: rungs after 9 / 9 and 9 / 3 epochs, of 9 settings 3 go on, and of these 1.
    assert halved.rung.values.tolist() == [1, 3]
    expected = expected_stops(full)
    assert [int((expected == rung).sum()) for rung in (1, 3)] == [2 * 6, 2 * 2]
    for seed in range(3):
        actual = halved.stopped_rung.isel(seed=seed).transpose("batch_count", "learning_rate").values
        np.testing.assert_array_equal(actual, expected)


def test_every_run_has_the_bits_of_the_full_grid_as_far_as_it_was_trained(full, halved):
    trained = (halved.epoch < halved.stopped_rung.fillna(9)).transpose(*halved.loss_epoch.dims)
    for name in ("loss", "loss_epoch", "validation_loss"):
        whole = full[name].squeeze(drop=True).where(trained).transpose(*halved[name].dims)
        np.testing.assert_array_equal(halved[name].values, whole.values, err_msg=name)
    survives = halved.stopped_rung.isnull()
    for name in ("stripe_gap", "stripe_index", "stripe_slope", "diverged_epoch"):
        whole = full[name].squeeze(drop=True).where(survives).transpose(*halved[name].dims)
        np.testing.assert_array_equal(halved[name].where(survives).values, whole.values, err_msg=name)
    # The epochs of 9 runs of each seed and batch count: 9 of 1, 3 of 2 more, 1 of 6 more, in place of 9 of 9.
    assert int(trained.sum()) == 3 * 2 * (9 + 3 * 2 + 6)


def test_the_result_has_the_value_of_every_run_at_every_rung_that_it_reached(halved):
    for number, rung in enumerate(halved.rung.values):
        np.testing.assert_array_equal(
            halved.rung_value.isel(rung=number).values, halved.validation_loss.isel(epoch=rung - 1).values.astype(float)
        )


def test_only_settings_that_were_trained_to_the_end_can_be_the_best(full, folder):
    best = jaxsgd.best(jaxsgd.load(folder)).squeeze()
    for count in (2, 3):
        survivor = RATES[int(np.isnan(expected_stops(full)[count - 2]).argmax())]
        assert float(best.learning_rate.sel(batch_count=count)) == survivor


def test_the_dry_run_counts_the_epochs_that_are_trained(halved):
    trained = halved.stopped_rung.fillna(FIELDS["epochs"]).sum()
    share = float(trained / (halved.stopped_rung.size * FIELDS["epochs"]))
    study, full = jaxsgd.Study(**FIELDS, halving=HALVING), plan(jaxsgd.Study(**FIELDS), **HOW)
    assert plan(study, **HOW).trained_share == pytest.approx(share)
    assert full.trained_share == 1
    compiling = full.compile_seconds + full.draw_compile_seconds
    assert plan(study, **HOW).seconds - compiling == pytest.approx(share * (full.seconds - compiling))


def test_all_rungs_share_one_compiled_program(compiled):
    assert compiled[1] == 2  # one draws the starts, one trains


class Interrupted(Exception):
    """Raised by a test to interrupt a sweep."""


def test_an_interrupted_halving_is_finished_with_the_same_decisions_and_bits(tmp_path, halved):
    study, path = jaxsgd.Study(**FIELDS, halving=HALVING), tmp_path / "interrupted"

    def interrupt(progress):
        # 36 of 54 cells stop at the first rung, in chunks of 6; the interruption is in the middle of them.
        if progress.done >= 12:
            raise Interrupted

    with pytest.raises(Interrupted):
        jaxsgd.sweep(study, path, on_progress=interrupt, **HOW)
    assert 0 < int((~jaxsgd.load(path).missing).sum()) < 36
    finished = jaxsgd.sweep(study, path, **HOW).squeeze(drop=True)
    assert not finished.missing.any()
    for name in halved.data_vars:
        np.testing.assert_array_equal(finished[name].values, halved[name].values, err_msg=str(name))


def test_verify_runs_the_whole_runs_again_and_compares_them_as_far_as_they_were_trained(folder):
    verification = jaxsgd.verify(folder)
    assert verification.passed
    assert verification.bitwise
    assert verification.cells == 54


def test_a_halving_cannot_grow(folder):
    more = jaxsgd.Study(**{**FIELDS, "seeds": range(4)}, halving=HALVING)
    with pytest.raises(jaxsgd.InputError, match="another study"):
        jaxsgd.sweep(more, folder)


@pytest.mark.parametrize(
    ("fields", "halving", "message"),
    [
        ({}, {"metric": "validation_los"}, "did you mean 'validation_loss'"),
        ({"learning_rates": [0.1, 0.2]}, HALVING, "needs 3 settings .eta. or more"),
        ({"epochs": 2}, HALVING, "needs 3 epochs .eta. or more"),
        ({}, HALVING | {"eta": 1}, "halving.eta: must be at least 2, got 1"),
        ({}, HALVING | {"rungs": [3, 9]}, "must be before the last of 9 epochs, got 9"),
        ({}, HALVING | {"rungs": [3, 1]}, "must be ascending"),
        ({"epochs": None, "steps": 9}, HALVING, "needs a study with epochs"),
        ({"stop": {"validation_loss": 0.1}}, HALVING, "cannot be given together with stop"),
        ({"keep": "final"}, HALVING, "cannot be given together with keep"),
    ],
)
def test_a_halving_that_cannot_be_run_is_refused_in_one_line(fields, halving, message):
    with pytest.raises(jaxsgd.InputError, match=message):
        jaxsgd.sweep(jaxsgd.Study(**{**FIELDS, **fields}, halving=halving))


@pytest.mark.parametrize(
    ("epochs", "halving", "rungs"),
    [
        (30, HALVING, (3, 10)),  # 9 rates are divided twice
        (5, HALVING, (1,)),  # 5 epochs are divided once
        (30, HALVING | {"eta": 2}, (3, 7, 15)),  # 9 rates are halved three times
        (30, HALVING | {"rungs": [2, 20]}, (2, 20)),
    ],
)
def test_rungs_are_the_epochs_divided_again_and_again(epochs, halving, rungs):
    study = jaxsgd.Study(**{**FIELDS, "epochs": epochs}, halving=halving)
    assert rungs_of(study, plan(study).cells) == rungs
