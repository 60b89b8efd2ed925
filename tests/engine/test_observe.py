"""Observables that a study asks for: on both paths, in a folder, and in every command that reads a result."""

import functools
import importlib
import json
import sys

import jax
import numpy as np
import optax
import pytest

import jaxsgd
from jaxsgd import InputError, Study
from jaxsgd.cli.errors import run_app
from jaxsgd.problems import least_squares
from jaxsgd.results.export import table
from tests.study_parts import drawn_squares

SAMPLES, EPOCHS = 40, 5
POINTER = "tests.study_measures"
FIELDS = {
    "problem": "least_squares", "problem_args": {"num_samples": SAMPLES, "num_inputs": 3}, "seeds": [0, 1],
    "batch_counts": [4, 7], "learning_rates": [0.05, 0.1], "orders": ["reshuffle"], "epochs": EPOCHS,
}  # fmt: skip
OURS = (
    *("sharpness", "batch_sharpness", "gradient_norm", "batch_gradient_norm", "update_norm", "parameter_norm"),
    *("noise_scale", "hessian_trace"),
)


def study(**changed):
    return Study(**{**FIELDS, "observe": [*OURS, f"{POINTER}:middle", f"{POINTER}:spread"], "observe_every": 2} | changed)


# Where each batch count has a program of its own, a second one says no more.
@pytest.fixture(scope="module", params=[("one_program", [4, 7]), ("grouped", [7])], ids=lambda param: param[0])
def swept(request):
    path, counts = request.param
    return jaxsgd.sweep(study(batch_counts=counts), vectorize=path)


@functools.cache
def simulated(seed, batch_count, rate):
    problem = least_squares(SAMPLES, 3)
    names = [*OURS, f"{POINTER}:middle", f"{POINTER}:spread"]
    how = {"optimizer": optax.sgd(rate), "order": "reshuffle", "epochs": EPOCHS, "batch_count": batch_count}
    return jaxsgd.simulate(problem, jax.random.key(seed), observe=names, observe_every=2, **how).observed


def test_both_paths_measure_what_a_single_run_measures(swept):
    np.testing.assert_array_equal(swept.observation_epoch.sel(batch_count=7), [2, 4, 5])
    np.testing.assert_array_equal(swept.observation_step.sel(batch_count=7), [14, 28, 35])
    cell = swept.sel(seed=1, batch_count=7, learning_rate=0.1).squeeze()
    for name, values in simulated(1, 7, 0.1).items():
        # The noise scale divides by a small difference; the others agree to the order of their sums.
        np.testing.assert_allclose(cell[name], values, rtol=1e-3 if name == "noise_scale" else 1e-5, err_msg=name)


def test_both_paths_measure_what_a_plain_loop_measures(swept):
    """In float64 NumPy: gradient X'(X w - t) / B, Hessian X'X / N."""
    keys = jaxsgd.streams(jax.random.key(1))
    x, target = (array.astype(np.float64) for array in drawn_squares(1))
    weights, before = np.zeros(3), np.zeros(3)
    measured = {name: [] for name in OURS[:6]}
    samples = jax.jit(jax.vmap(lambda epoch: jaxsgd.ORDERS["reshuffle"].samples(keys.order, epoch, SAMPLES)))
    for epoch, sequence in enumerate(np.asarray(samples(np.arange(EPOCHS)))):
        batches = np.array_split(sequence, 7)
        for own in batches:
            before = weights
            weights = weights - 0.1 * x[own].T @ (x[own] @ weights - target[own]) / len(own)
        if epoch not in (1, 3, 4):
            continue
        curvatures, lengths = [], []
        for own in batches:
            gradient = x[own].T @ (x[own] @ weights - target[own]) / len(own)
            lengths.append(np.linalg.norm(gradient))
            curvatures.append(np.sum((x[own] @ gradient) ** 2) / len(own) / np.sum(gradient**2))
        measured["batch_sharpness"].append(np.mean(curvatures))
        measured["batch_gradient_norm"].append(np.mean(lengths))
        measured["sharpness"].append(np.linalg.eigvalsh(x.T @ x / SAMPLES)[-1])
        measured["gradient_norm"].append(np.linalg.norm(x.T @ (x @ weights - target) / SAMPLES))
        measured["update_norm"].append(np.linalg.norm(weights - before))
        measured["parameter_norm"].append(np.linalg.norm(weights))
    cell = swept.sel(seed=1, batch_count=7, learning_rate=0.1).squeeze()
    for name, values in measured.items():
        # A small gradient, and an update that is a difference of weights, have rounding of the weights themselves.
        np.testing.assert_allclose(cell[name], values, rtol=1e-5, atol=1e-6, err_msg=name)


def test_the_usual_observables_stay_as_they_were(swept):
    fields = FIELDS | {"batch_counts": swept.batch_count.values.tolist()}
    without = jaxsgd.sweep(Study(**fields), vectorize=json.loads(swept.attrs["manifest"])["held"]["vectorize"])
    assert set(without.data_vars) == set(swept.data_vars) - {
        *OURS, "hessian_trace_error", "middle", "spread_ends", "spread_loss",
    }  # fmt: skip
    for name in ("loss", "distance", "excess_loss"):
        np.testing.assert_allclose(swept[name], without[name], rtol=1e-5, atol=1e-6)


def test_values_have_their_units_and_dimensions(swept):
    cells = ("seed", "optimizer", "order", "learning_rate", "batch_count")
    assert set(swept.sharpness.dims) == {*cells, "observation"}
    assert swept.sharpness.attrs["units"] == "loss/parameter^2"
    assert swept.middle.attrs == {"units": "parameters", "long_name": "mean parameter", "better": "higher"}
    assert swept.spread_ends.dims[-2:] == ("observation", "spread_ends_0")


def test_a_study_without_observables_is_the_one_that_it_was():
    fields = Study(**FIELDS).resolved()
    assert (fields["observe"], fields["observe_every"]) == (None, None)
    # Without them it is that of a study in which they do not exist.
    assert Study(**FIELDS).identity == IDENTITY


IDENTITY = "45fe3cdf16e5d95f087c534be4a1e93ee7dc34159877cb1370d88bfcf27d6394"


def test_with_the_others_by_default_and_with_dims_of_their_own():
    asked = study(observe=[f"{POINTER}:shapes", "distance"], observe_every=None, batch_counts=[4], learning_rates=[0.1])
    ds = jaxsgd.sweep(asked)
    assert ds.shapes.dims[-3:] == ("epoch", "power", "weight")
    np.testing.assert_allclose(ds.shapes.isel(power=0) ** 2, ds.shapes.isel(power=1), rtol=1e-6)
    assert ds.distance.dims == ds.loss_epoch.dims


def test_a_budget_in_steps_is_measured_at_its_end():
    # 10 steps are 2.5 epochs of 4 batches, and 1.43 of 7.
    ds = jaxsgd.sweep(study(epochs=None, steps=10, learning_rates=[0.1], observe=["parameter_norm"]))
    np.testing.assert_array_equal(ds.observation_step.sel(batch_count=4), [8, 10])
    np.testing.assert_array_equal(ds.observation_step.sel(batch_count=7), [10, np.nan])
    assert np.isnan(ds.parameter_norm.sel(batch_count=7).isel(observation=1)).all()
    assert jaxsgd.best(ds, "parameter_norm").median_value.notnull().all()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("observe") / "result"
    jaxsgd.sweep(study(observe=["sharpness", "noise_scale", f"{POINTER}:middle", f"{POINTER}:spread"]), path)
    return path


def test_a_folder_is_read_without_running_the_code_that_it_names(folder, monkeypatch):
    monkeypatch.delitem(sys.modules, POINTER)
    ds = jaxsgd.load(folder)
    assert POINTER not in sys.modules
    assert ds.middle.attrs["better"] == "higher"
    assert ds.spread_ends.sizes["spread_ends_0"] == 2
    assert np.isfinite(ds.sharpness).all()


def test_best_and_compare_know_the_direction_of_a_users_metric(folder):
    ds = jaxsgd.load(folder)
    best = jaxsgd.best(ds, "middle")
    last = ds.middle.isel(observation=-1).astype(float)
    np.testing.assert_allclose(best.median_value, last.median("seed").max("learning_rate"), rtol=1e-6)
    ranks = jaxsgd.compare(ds, "learning_rate", "middle")
    higher = ds.middle.isel(observation=-1).mean("seed").squeeze().idxmax("learning_rate")
    assert (ranks.mean_rank.squeeze().sel(learning_rate=higher) <= 1.5).all()


@pytest.mark.parametrize(
    ("metric", "kinds"), [("sharpness", ["curves"]), ("middle", ["curves", "heatmap"]), ("spread_loss", ["heatmap"])]
)
@pytest.mark.usefixtures("unchecked")
def test_the_commands_read_them(folder, metric, kinds, capsys, tmp_path):
    place = str(folder)
    assert run_app(["measure", place, "--metric", metric]) == 0
    assert f"median {metric.replace('_', ' ')}" in capsys.readouterr().out
    assert run_app(["compare", place, "--axis", "learning_rate", "--metric", metric]) == 0
    for kind in kinds:
        assert run_app(["plot", kind, place, "--metric", metric, "--out", str(tmp_path)]) == 0
    assert len(list(tmp_path.glob("*.*"))) >= len(kinds)


@pytest.mark.usefixtures("unchecked")
def test_export_and_verify(folder, tmp_path, capsys):
    assert run_app(["export", str(folder), "--to", "csv", "--out", str(tmp_path / "all.csv")]) == 0
    frame = table(jaxsgd.load(folder))
    assert {"sharpness", "middle", "spread_loss"} <= set(frame.columns)
    assert frame.sharpness.notnull().sum() == 2 * 2 * 2 * 3
    assert run_app(["verify", str(folder)]) == 0
    assert "verified: 8 cells" in capsys.readouterr().out


def test_a_measure_that_was_edited_and_reloaded_runs_its_new_code(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # two edits within a second look alike to Python's cache
    file = tmp_path / "edited_measure.py"
    asked = {"batch_counts": [1], "learning_rates": [0.1], "epochs": 1, "seeds": [0], "observe_every": None}

    def measured():
        return float(jaxsgd.sweep(study(**asked, observe=["edited_measure:constant"])).constant.squeeze())

    file.write_text("def constant(params, context):\n    return 1.0\n")
    assert measured() == 1
    file.write_text("def constant(params, context):\n    return 2.0\n")
    importlib.reload(sys.modules["edited_measure"])
    assert measured() == 2
    monkeypatch.delitem(sys.modules, "edited_measure")


@pytest.mark.parametrize(
    ("observe", "message"),
    [
        (["sharpnes"], "observe: unknown observable 'sharpnes': did you mean 'sharpness'?"),
        ([f"{POINTER}:midle"], "did you mean 'middle'?"),
        ([f"{POINTER}:words"], "observable 'words' must return a number, an array or a dictionary of these, got 'far away'"),
        ([f"{POINTER}:NUMBER"], f"observable '{POINTER}:NUMBER' must be a function (params, context) -> arrays, got 3"),
        (["validation_loss"], "problem 'least_squares' has no validation_loss"),
        ([], "observe: must have at least one value"),
    ],
)
def test_bad_observables(observe, message):
    with pytest.raises(InputError) as raised:
        study(observe=observe)
    assert message in str(raised.value)


def test_an_interval_without_observables():
    with pytest.raises(InputError, match="observe_every: give it together with observe"):
        study(observe=None)


@pytest.mark.parametrize(("name", "line"), [("careless", "careless"), ("of_a_library", "of_a_library")])
@pytest.mark.usefixtures("unchecked")
def test_an_error_in_a_users_measure_is_one_line_and_the_users_own_places(name, line, tmp_path, capsys):
    (tmp_path / "own_study.py").write_text(f"import jaxsgd\nSTUDY = jaxsgd.Study(**{FIELDS!r}, observe=['{POINTER}:{name}'])\n")
    assert run_app(["run", str(tmp_path / "own_study.py"), "--out", str(tmp_path / "result")]) == 2
    first, *frames = capsys.readouterr().err.splitlines()
    assert f"in the observable '{name}'" in first
    assert any(f"in {line}" in frame for frame in frames)
    assert not any("site-packages" in frame or "jaxsgd/" in frame for frame in frames)
