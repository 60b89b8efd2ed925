"""The distance from the optimum and the loss above its least: where it is known, after each epoch, in every result and on every
way to one."""

import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsgd
from jaxsgd import InputError, Problem, Study
from jaxsgd.cli.errors import run_app
from jaxsgd.measure.observable import METRICS, Metric
from jaxsgd.plot.axis import metric_label
from jaxsgd.problems import least_squares
from jaxsgd.results.export import table
from jaxsgd.results.store import Folder
from tests.study_parts import HELD_INPUTS, HELD_TARGETS, drawn_squares

RATE, EPOCHS, SAMPLES = 0.1, 4, 40
FIELDS = {"batch_counts": [4, 7], "learning_rates": [RATE], "epochs": EPOCHS}
SQUARES = {"problem": "least_squares", "problem_args": {"num_samples": SAMPLES, "num_inputs": 3}, "seeds": [0, 1], **FIELDS}


def by_hand(x, target, batch_count):
    """Distances [E] of a plain NumPy loop in float64: gradient x'(x w - t) / B on the same batches every epoch."""
    x, target = np.asarray(x, np.float64), np.asarray(target, np.float64)
    weights, optimum, distances = np.zeros(x.shape[1]), np.linalg.lstsq(x, target)[0], []
    for _ in range(EPOCHS):
        for own in np.array_split(np.arange(len(x)), batch_count):
            weights = weights - RATE * x[own].T @ (x[own] @ weights - target[own]) / len(own)
        distances.append(np.sqrt(np.sum((weights - optimum) ** 2)))
    return np.asarray(distances)


@pytest.mark.parametrize("path", ["one_program", "grouped"])
def test_the_distance_is_that_of_a_plain_loop_on_each_runs_own_data(path):
    ds = jaxsgd.sweep(Study(**SQUARES), vectorize=path)
    assert ds.distance.dims == ds.loss_epoch.dims
    assert (ds.distance.dtype, ds.distance.attrs["units"]) == (np.float32, "parameters")
    for seed in (0, 1):
        x, target = drawn_squares(seed)
        for m in (4, 7):
            # 7 does not divide 40: batches of 6 and of 5.
            cell = ds.distance.sel(seed=seed, batch_count=m).squeeze()
            np.testing.assert_allclose(cell, by_hand(x, target, m), rtol=1e-5)


@pytest.mark.parametrize("path", ["one_program", "grouped"])
def test_a_problem_that_holds_its_data_has_one_optimum_for_all_runs(path):
    ds = jaxsgd.sweep(Study(problem="tests.study_parts:holding", seeds=[0, 1], **FIELDS), vectorize=path)
    for m in (4, 7):
        cells = ds.distance.sel(batch_count=m).squeeze()
        np.testing.assert_allclose(cells[0], by_hand(HELD_INPUTS, HELD_TARGETS, m), rtol=1e-5)
        np.testing.assert_array_equal(cells[0], cells[1])


@pytest.mark.parametrize("path", ["one_program", "grouped"])
@pytest.mark.parametrize("problem", ["least_squares", "tests.study_parts:holding"])
def test_the_excess_loss_is_the_quadratic_form_of_the_way_to_the_optimum(path, problem):
    study = Study(
        **{**SQUARES, "problem": problem, "problem_args": SQUARES["problem_args"] if problem == "least_squares" else {}}
    )
    ds = jaxsgd.sweep(study, vectorize=path)
    x, target = HELD_INPUTS, HELD_TARGETS
    for seed in (0, 1):
        if problem == "least_squares":
            x, target = drawn_squares(seed)
        x, target = np.asarray(x, np.float64), np.asarray(target, np.float64)
        weights, least = np.zeros(x.shape[1]), np.linalg.lstsq(x, target)[0]
        for epoch in range(EPOCHS):
            for own in np.array_split(np.arange(len(x)), 7):
                weights = weights - RATE * x[own].T @ (x[own] @ weights - target[own]) / len(own)
            # Half the squared error is a quadratic form around its optimum: (w - w*)' X'X (w - w*) / (2 N).
            expected = np.sum((x @ (weights - least)) ** 2) / (2 * len(x))
            excess = ds.excess_loss.sel(seed=seed, batch_count=7, epoch=epoch).item()
            np.testing.assert_allclose(excess, expected, rtol=1e-3, atol=2e-6)


def test_it_is_over_all_parameters_together():
    study = Study(problem="tests.study_parts:two_leaves", batch_counts=[1], learning_rates=[1e-9], epochs=1)
    # Parameters stay at 0 and the optimum is {a: (2, 2), b: 1}: sqrt(4 + 4 + 1) = 3, and not 2.83 + 1.
    np.testing.assert_allclose(jaxsgd.sweep(study).distance.squeeze(), 3, rtol=1e-6)


@pytest.mark.parametrize(("maker", "times"), [("counting", 2), ("counting_for_all", 1)])
def test_the_optimum_is_worked_out_once_a_run_and_once_for_all_runs_of_a_problem_that_holds_its_data(maker, times):
    study = Study(problem=f"tests.measure.test_observable:{maker}", seeds=[0, 1], **{**FIELDS, "batch_counts": [4]})
    WORKED_OUT.clear()
    jaxsgd.sweep(study, vectorize="grouped", chunk_width=2)
    jax.effects_barrier()
    assert len(WORKED_OUT) == times


WORKED_OUT = []
"""One entry each time that the optimum of `counting` or of `counting_for_all` is worked out by a running program."""


def counting(data=None):
    problem = least_squares(SAMPLES, 3)

    def optimum(data):
        jax.debug.callback(lambda: WORKED_OUT.append(1))
        return problem.optimum(data)

    return Problem(problem.init, problem.loss, problem.data if data is None else data, optimum)


def counting_for_all():
    return counting((HELD_INPUTS, HELD_TARGETS))


def test_a_problem_without_a_known_optimum_has_no_distance():
    ds = jaxsgd.sweep(Study(problem_args={"num_samples": 20, "num_hidden": 2}, **FIELDS))
    assert "distance" not in ds


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("observation") / "whole"
    jaxsgd.sweep(Study(**SQUARES), folder, chunk_width=2)
    return folder


@pytest.fixture
def copy(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "copy")


def rewrite(folder, change):
    """Changes the arrays of the first chunk, with a checksum that is right."""
    place, identity = Folder(folder), Study(**SQUARES).fixed_identity
    arrays = place.read_chunk(0, identity)
    change(arrays)
    place.write_chunk(0, arrays, identity)


def retell(folder, change):
    manifest = json.loads((folder / "manifest.json").read_text())
    change(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_it_is_stored_and_in_the_tidy_table(whole):
    ds = jaxsgd.load(whole)
    assert np.isfinite(ds.distance).all()
    frame = table(ds)
    row = frame[(frame.seed == 1) & (frame.batch_count == 7) & (frame.epoch == 2) & (frame.batch == 3)]
    assert row.distance.item() == ds.distance.sel(seed=1, batch_count=7, epoch=2).item()


def test_cells_that_have_not_been_run_have_none(copy):
    for path in (copy / "chunks").iterdir():
        path.unlink()
    assert np.isnan(jaxsgd.load(copy).distance).all()


def test_verify_compares_it_bit_by_bit_on_a_like_machine(copy):
    assert jaxsgd.verify(copy).passed

    def change(arrays):
        arrays["distance"][0, 1] *= 1 + 3e-7  # a few units in the last place of float32

    rewrite(copy, change)
    assert [difference.what for difference in jaxsgd.verify(copy).differences] == ["distance"]


@pytest.mark.parametrize(("factor", "passes"), [(1 + 1e-4, True), (1.1, False)])
def test_verify_compares_it_within_a_tolerance_on_another(copy, factor, passes):
    retell(copy, lambda manifest: manifest["device"].update(machine="other"))

    def change(arrays):
        arrays["distance"][0] *= factor

    rewrite(copy, change)
    verdict = jaxsgd.verify(copy)
    assert (verdict.bitwise, verdict.passed) == (False, passes)


@pytest.fixture
def older(copy):
    """A result as it was before anything was observed."""
    for number, path in enumerate(sorted((copy / "chunks").iterdir())):
        place, identity = Folder(copy), Study(**SQUARES).fixed_identity
        arrays = place.read_chunk(number, identity)
        del arrays["distance"], arrays["excess_loss"]
        assert path == place.chunk_file(number)
        place.write_chunk(number, arrays, identity)
    retell(copy, lambda manifest: manifest.pop("observed"))
    return copy


def test_an_older_result_is_read_and_verified_without_it(older):
    assert "distance" not in jaxsgd.load(older)
    assert jaxsgd.verify(older).passed


def test_an_older_result_is_not_gone_on_with(older):
    with pytest.raises(InputError, match=r"observed: \[\] in the result, \['distance', 'excess_loss'\] now"):
        jaxsgd.sweep(Study(**SQUARES), older)


def test_a_manifest_that_names_something_unknown_is_refused(copy):
    retell(copy, lambda manifest: manifest.update(observed=["cell"]))
    with pytest.raises(InputError, match=r"manifest\.json is not of format"):
        jaxsgd.load(copy)


def test_an_optimum_that_is_no_parameters_is_refused():
    with pytest.raises(InputError, match=r"the optimum of 'askew' must have the shapes of its parameters, \(3,\), got \(2,\)"):
        Study(problem="tests.measure.test_observable:askew", **FIELDS)


def askew():
    problem = least_squares(SAMPLES, 3)
    return Problem(problem.init, problem.loss, problem.data, lambda data: jnp.zeros(2), name="askew")


@pytest.fixture
def largest_weight(monkeypatch, tmp_path):
    """A study, and its result in a folder, with a metric that is one new entry of `METRICS`."""
    metric = Metric(
        "parameters", "largest weight", better="higher", tolerance=0.2,
        measure=lambda params, context: jnp.max(jnp.abs(params)), words="size of the largest weight", shown_unit="weights",
    )  # fmt: skip
    monkeypatch.setitem(METRICS, "largest_weight", metric)
    args = {"num_samples": 18, "num_inputs": 2}  # sizes of no other test: a compiled program keeps what it measures
    study = Study(problem="least_squares", problem_args=args, batch_counts=[3], learning_rates=[1e-3, 1e-2], epochs=2)
    jaxsgd.sweep(study, tmp_path / "result")
    return study, tmp_path / "result"


@pytest.mark.usefixtures("unchecked")  # Typer hands out other types than its annotations say
def test_a_new_metric_is_one_entry(largest_weight, capsys):
    _, folder = largest_weight
    ds = jaxsgd.load(folder)
    assert ds.largest_weight.dims == ds.distance.dims
    assert ds.largest_weight.attrs == {"units": "parameters", "long_name": "largest weight, after each epoch"}
    # From 0 towards the optimum, so far below the rate of stability, weights are larger at the larger rate; larger is better.
    small, large = ds.largest_weight.isel(epoch=-1).squeeze().values
    assert 0 < small < large
    best = jaxsgd.best(ds, "largest_weight")
    assert (best.learning_rate, best["median_value"], best.attrs["units"]) == (1e-2, large, "parameters")
    assert run_app(["measure", str(folder), "--metric", "largest_weight"]) == 0
    out = capsys.readouterr().out
    assert "median largest weight" in out
    assert metric_label(ds, "largest_weight") == "size of the largest weight (weights)"
    assert f"{large:.4g}" in out


@pytest.mark.parametrize(("factor", "passes"), [(1.15, True), (1.3, False)])
def test_verify_has_the_tolerance_of_a_new_metric(largest_weight, factor, passes):
    study, folder = largest_weight
    retell(folder, lambda manifest: manifest["device"].update(machine="other"))
    place = Folder(folder)
    arrays = place.read_chunk(0, study.fixed_identity)
    arrays["largest_weight"] *= factor
    place.write_chunk(0, arrays, study.fixed_identity)
    verdict = jaxsgd.verify(folder)
    assert (verdict.bitwise, verdict.passed) == (False, passes)
