"""`jaxsgd measure` on a small result: what it prints is what the library finds."""

import csv
import json

import numpy as np
import pytest
import xarray as xr

import jaxsgd
from jaxsgd.cli.errors import run_app
from jaxsgd.cli.measure_table import noise_notes, noise_rows, variance_notes

# Typer hands out other types than its annotations say.
pytestmark = pytest.mark.usefixtures("unchecked")

COUNTS, RATES = [2, 5, 10], [0.01, 0.03, 0.1]


def sweep(folder, **fields):
    """Run least squares in the one program that all results here share: the same epochs, width and micro-steps of 2 samples."""
    study = jaxsgd.Study(
        problem="least_squares", problem_args={"num_samples": 20, "num_inputs": 2}, orders=["reshuffle"], epochs=6,
        record="epoch", **fields,
    )  # fmt: skip
    return jaxsgd.sweep(study, folder, vectorize="one_program", chunk_width=8)


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A folder with the result of three seeds, one optimizer, three batch counts and three rates."""
    folder = tmp_path_factory.mktemp("measured") / "result"
    sweep(folder, seeds=range(3), batch_counts=COUNTS, learning_rates=RATES)
    return folder


@pytest.fixture(scope="module")
def target(measured):
    """Return a loss that all batch counts reach, but not at once: the highest of their lowest median losses, and a bit more."""
    return float(jaxsgd.load(measured).loss_epoch.min("epoch").median("seed").min("learning_rate").max()) + 1e-3


def run_json(capsys, *words):
    """The one JSON object on stdout, and nothing on stderr."""
    assert run_app(["measure", *map(str, words), "--json"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return json.loads(out)


def as_null(values):
    """Numbers as JSON has them: null where they are not finite."""
    return [value if np.isfinite(value) else None for value in np.ravel(values).tolist()]


def test_all_settings_have_a_row_with_the_librarys_numbers(measured, capsys):
    table = run_json(capsys, measured, "--all")["tables"]["settings"]
    settings = jaxsgd.analysis.over_seeds(jaxsgd.load(measured))
    assert [(row["learning_rate"], row["batch_count"]) for row in table] == [(rate, m) for rate in RATES for m in COUNTS]
    for name in ("median_value", "low", "mean_value", "mean_low", "mean_high"):
        assert [row[name] for row in table] == as_null(settings[name])
    assert run_app(["measure", str(measured), "--all"]) == 0
    out = capsys.readouterr().out
    assert "All settings: loss epoch" in out
    lines = [line.split() for line in out.partition("All settings")[2].splitlines()]
    assert len([words for words in lines if words and words[0] in ("0.01", "0.03", "0.1")]) == 9


def test_the_table_has_the_best_setting_of_each_batch_count(measured, capsys):
    assert run_app(["measure", str(measured)]) == 0
    out = capsys.readouterr().out
    settings = jaxsgd.best(jaxsgd.load(measured))
    lines = [line.split() for line in out.splitlines()]
    for count in COUNTS:
        best = settings.sel(batch_count=count)
        edge = "*" if best.at_edge.item() else ""
        row = next(line for line in lines if line[:1] == [str(count)])
        assert row[1:3] == [f"{best.learning_rate.item():g}{edge}", f"{best.median_value.item():.4g}"]
    assert "Best settings" in out
    assert ("at the edge of its range" in out) == ("*" in out) == settings.at_edge.any().item()


def test_json_is_one_object_with_the_numbers_of_the_library(measured, capsys):
    report = run_json(capsys, measured)
    assert (report["command"], report["metric"], report["target"]) == ("measure", "loss_epoch", None)
    assert list(report["tables"]) == ["best"]
    best, rows = jaxsgd.best(jaxsgd.load(measured)), report["tables"]["best"]
    assert [row["batch_count"] for row in rows] == COUNTS
    for name in ("median_value", "low", "high", "learning_rate", "stripe_index", "stripe_gap"):
        assert [row[name] for row in rows] == as_null(best[name])
    assert [row["learning_rate_at_edge"] for row in rows] == best.at_edge.sel(searched="learning_rate").values.ravel().tolist()
    for name in ("diverged", "seeds"):
        assert [row[name] for row in rows] == best[name].values.ravel().tolist()


def test_another_value_is_judged_by(measured, capsys):
    report = run_json(capsys, measured, "--metric", "distance")
    settings = jaxsgd.best(jaxsgd.load(measured), "distance")
    assert report["metric"] == "distance"
    assert [row["median_value"] for row in report["tables"]["best"]] == as_null(settings["median_value"])


def test_a_target_adds_the_scaling_of_the_library(measured, target, capsys):
    tables = run_json(capsys, measured, "--target", target, "--reference", 5)["tables"]
    assert list(tables) == ["best", "scaling", "batch_rules", "fits"]
    scaling = jaxsgd.scaling(jaxsgd.load(measured), target, reference=5)
    assert np.isfinite(scaling.steps).all()
    assert [row["batch_count"] for row in tables["scaling"]] == [10, 5, 2]
    for name in ("steps", "steps_low", "steps_high", "epochs", "learning_rate"):
        assert [row[name] for row in tables["scaling"]] == as_null(scaling[name])
    assert [row["regime"] for row in tables["scaling"]] == scaling.regime.values.ravel().tolist()
    for row in tables["batch_rules"]:
        place = scaling.sel(rule=row["rule"], batch_count=row["batch_count"])
        for name in ("rule_rate", "rule_steps", "rule_ratio"):
            assert [row[name]] == as_null(place[name])
    assert len(tables["batch_rules"]) == 2 * 3
    for name in ("critical_batch_size", "critical_low", "critical_high", "rate_power", "nearest"):
        assert [row[name] for row in tables["fits"]] == as_null(scaling[name])


def test_the_table_of_a_target_has_the_steps(measured, target, capsys):
    assert run_app(["measure", str(measured), "--target", str(target)]) == 0
    out = capsys.readouterr().out
    scaling = jaxsgd.scaling(jaxsgd.load(measured), target)
    table = [line.split() for line in out[out.index("Steps to loss epoch") :].splitlines()]
    for count in COUNTS:
        row = next(line for line in table if line[:2] == [str(count), str(20 // count)])
        assert row[2].removeprefix("<=") == f"{scaling.steps.sel(batch_count=count).item():,.0f}"
    assert f"{scaling.attrs['runs_reached']} of 27 runs reach loss epoch {target:g}" in out


def test_a_target_below_everything_has_no_steps_and_names_the_nearest(measured, capsys):
    report = run_json(capsys, measured, "--target", "0.0001")
    assert [row["steps"] for row in report["tables"]["scaling"]] == [None] * 3
    assert [row["regime"] for row in report["tables"]["scaling"]] == [""] * 3
    nearest = jaxsgd.load(measured).loss_epoch.min().item()
    assert report["tables"]["fits"][0]["nearest"] == nearest
    assert f"no batch count reaches it; the nearest loss epoch is {nearest:.4g}" in report["notes"]
    assert run_app(["measure", str(measured), "--target", "0.0001"]) == 0
    out = capsys.readouterr().out
    assert out.count("not reached") == 3
    assert f"the nearest loss epoch is {nearest:.4g}" in out


def test_the_target_that_it_names_is_reached_at_every_batch_count(measured, capsys):
    note = next(note for note in run_json(capsys, measured)["notes"] if note.startswith("for steps to a target: --target "))
    target = float(note.split()[6])
    assert np.isfinite(jaxsgd.scaling(jaxsgd.load(measured), target).steps).all()


def test_out_has_each_table_as_csv(measured, target, tmp_path, capsys):
    tables = run_json(capsys, measured, "--target", target, "--out", tmp_path / "tables")["tables"]
    files = (tmp_path / "tables").iterdir()
    written = {path.stem: list(csv.DictReader(path.read_text().splitlines())) for path in files}
    assert set(written) == {"best", "scaling", "batch_rules", "fits"}
    assert {name: len(rows) for name, rows in written.items()} == {name: len(rows) for name, rows in tables.items()}
    assert [float(row["median_value"]) for row in written["best"]] == [row["median_value"] for row in tables["best"]]
    assert [float(row["steps"]) for row in written["scaling"]] == [row["steps"] for row in tables["scaling"]]
    assert written["best"][0].keys() == tables["best"][0].keys()


def test_files_are_named_on_stdout(measured, tmp_path, capsys):
    assert run_app(["measure", str(measured), "--out", str(tmp_path / "tables")]) == 0
    assert f"wrote {tmp_path}/tables/best.csv" in capsys.readouterr().out.splitlines()


@pytest.fixture(scope="module")
def noisy(measured, jaxsgd_command, tmp_path_factory):
    """The JSON object that `--noise` prints for the best settings."""
    return json.loads(jaxsgd_command("measure", measured, "--noise", "--json", cwd=tmp_path_factory.mktemp("noisy")).stdout)


def test_noise_is_that_of_the_best_settings_over_their_epochs(noisy, measured):
    ds, rows = jaxsgd.load(measured), noisy["tables"]["noise"]
    assert [row["batch_count"] for row in rows] == COUNTS
    best = jaxsgd.best(ds)
    assert [row["learning_rate"] for row in rows] == best.learning_rate.values.ravel().tolist()
    row = rows[0]
    own = ds.sel(batch_count=2, learning_rate=row["learning_rate"])
    noise = jaxsgd.run_noise(own, [0, 1, 2, 3, 4, 5])
    assert (row["last_epoch"], row["seeds"]) == (5, 3)
    scale = noise.noise_scale.values
    assert (row["measured_epochs"], row["hidden_epochs"]) == (6, np.isnan(scale).sum())
    assert [row["noise_scale"], row["at_first"]] == pytest.approx([np.nanmean(scale), scale[0]], rel=1e-3)
    assert row["loss_deviation"] == pytest.approx(noise.loss_deviation.mean().item(), rel=1e-3)


def test_variances_of_few_seeds_are_said_to_be_rough():
    def notes(data, init):
        loss = (("data_seed", "init_seed", "epoch"), np.ones((data, init, 2)))
        ds = xr.Dataset({"loss_epoch": loss}, {"data_seed": np.arange(data), "init_seed": np.arange(init)})
        return variance_notes(ds, 0.95)

    assert notes(2, 3) == ["only 2 data seeds and 3 init seeds: the variances are rough, 6 of each or more show them better"]
    assert notes(6, 3) == ["only 3 init seeds: the variances are rough, 6 of each or more show them better"]
    assert notes(6, 8) == []


def test_epochs_whose_noise_hides_the_gradient_are_named(noisy):
    rows = [{**row, "hidden_epochs": 0} for row in noisy["tables"]["noise"]]
    assert noise_notes(rows) == []
    rows[1]["hidden_epochs"] = 2
    (note,) = noise_notes(rows)
    assert note.startswith(f"no noise scale in up to 2 of the 6 measured epochs in 1 of {len(rows)} rows: ")


def test_noise_with_a_target_that_nothing_reaches_is_a_note(measured, capsys):
    report = run_json(capsys, measured, "--target", "1e-9", "--noise")
    assert report["tables"]["noise"] == []
    assert any(note.startswith("no noise: ") for note in report["notes"])


def test_noise_with_a_target_is_that_of_its_best_rates_up_to_the_target(measured, target):
    ds = jaxsgd.load(measured)
    scaling = jaxsgd.scaling(ds, target)
    table = noise_rows(ds, jaxsgd.best(ds), scaling)
    assert [row["batch_count"] for row in table] == [10, 5, 2]
    assert [row["learning_rate"] for row in table] == scaling.learning_rate.values.ravel().tolist()
    assert [row["last_epoch"] for row in table] == np.clip(np.ceil(scaling.epochs), 1, 5).values.ravel().tolist()


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["--reference", "5"], ["--reference 5 is only for use with --target"]),
        (["--metric", "los_epoch"], ["unknown metric 'los_epoch'", "did you mean 'loss_epoch'?"]),
        (["--target", "0.6", "--reference", "7"], ["unknown reference 7", "valid: 10, 2, 5"]),
        (["--target", "0.6", "--tune", "learning_rat"], ["unknown axis 'learning_rat'", "did you mean 'learning_rate'?"]),
        (["--target", "nan"], ["target must be a finite number, got nan"]),
        (["--target", "0.1", "--metric", "stripe_gap"], ["unknown metric 'stripe_gap'", "loss_epoch"]),
    ],
)
@pytest.mark.parametrize("json_too", [[], ["--json"]])
def test_a_mistake_is_one_line_and_status_2(words, parts, json_too, measured, capsys):
    assert run_app(["measure", str(measured), *words, *json_too]) == 2
    out, err = capsys.readouterr()
    assert err.startswith("jaxsgd: ")
    assert err.count("\n") == 1
    for part in parts:
        assert part in err
    if json_too:
        assert out == ""


def test_a_folder_without_a_result_is_named(tmp_path, capsys):
    assert run_app(["measure", str(tmp_path / "nothing")]) == 2
    assert str(tmp_path / "nothing") in capsys.readouterr().err


def test_sizes_of_batches_are_shown_where_they_are_the_axis_and_the_best_of_all_is_named(tmp_path, capsys):
    ds = sweep(tmp_path / "sizes", seeds=range(2), batch_sizes=[4, 10], learning_rates=[0.01, 0.1])
    assert run_app(["measure", str(tmp_path / "sizes")]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[2].split()[:2] == ["B", "rate"]
    final = ds.loss_epoch.isel(epoch=-1).median("seed").squeeze()
    size, rate = (final.where(final == final.min(), drop=True)[name].item() for name in ("batch_size", "learning_rate"))
    assert f"best of all: B = {size}, learning rate {rate:g}: median loss epoch {float(final.min()):.4g}" in out
    assert "no interval: 2 seeds: a 95 % interval for a median needs 6 or more" in out


def test_a_selection_measures_a_part_of_the_result(measured, capsys):
    rows = run_json(capsys, measured, "--select", "batch_count=5", "--select", "learning_rate=0.03")["tables"]["best"]
    best = jaxsgd.best(jaxsgd.load(measured).isel(batch_count=[1], learning_rate=[1]))
    assert [row["batch_count"] for row in rows] == [COUNTS[1]]
    assert [row["learning_rate"] for row in rows] == [pytest.approx(RATES[1])]
    assert [row["median_value"] for row in rows] == as_null(best.median_value)


def test_the_best_of_all_names_the_settings_whose_intervals_overlap_with_its_own(tmp_path, capsys):
    best = jaxsgd.best(sweep(tmp_path / "result", seeds=range(8), batch_counts=COUNTS, learning_rates=[0.03]))
    median, low, high = (best[name].values.ravel() for name in ("median_value", "low", "high"))
    first = np.argmin(median)
    overlapping = int(np.sum((low <= high[first]) & (high >= low[first]))) - 1
    assert 0 < overlapping < 3
    assert run_app(["measure", str(tmp_path / "result")]) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("- best of all: "))
    assert f"the intervals of {overlapping} other row" in line
