"""`jaxsgd compare`, in this process, on results made by hand."""

import csv
import json
import math

import pytest

import jaxsgd
from jaxsgd.analysis.confidence import SAME
from jaxsgd.cli.compare_command import compare
from jaxsgd.cli.compare_sections import _few_seeds_note

PROBLEM = {"num_samples": 20, "num_inputs": 2}
FIELDS = {"batch_counts": [5], "learning_rates": [0.01, 0.03, 0.1], "epochs": 2, "record": "epoch", "orders": ["reshuffle"]}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    # Other data are another problem, with the same programs. The other studies here have them too, in chunks of the same width.
    for name, seeds in (("near", range(5)), ("far", range(5, 10))):
        sweep({**FIELDS, "seeds": seeds}, folder / name)
    return folder


def sweep(fields, folder):
    """Run two optimizers on least squares."""
    study = jaxsgd.Study(problem="least_squares", problem_args=PROBLEM, optimizers=["sgd", "adam"], **fields)
    return jaxsgd.sweep(study, folder, chunk_width=5)


def test_a_benchmark_is_the_librarys_in_json_and_csv(results, tmp_path, capsys):
    compare([results / "near", results / "far"], tuning_seeds=2, csv=tmp_path / "t.csv", as_json=True)
    payload = json.loads(capsys.readouterr().out)
    benchmark = jaxsgd.benchmark({name: jaxsgd.load(results / name) for name in ("near", "far")}, tuning_seeds=2)
    assert [(row["problem"], row["optimizer"]) for row in payload["rows"]] == [
        (problem, optimizer) for problem in ("near", "far") for optimizer in ("sgd", "adam")
    ]
    for row in payload["rows"]:
        place = benchmark.sel(problem=row["problem"], optimizer=row["optimizer"])
        for name in ("mean_value", "difference", "low", "high", "mean_rank", "learning_rate"):
            assert row[name] == pytest.approx(float(place[name]))
    assert payload["overall_rank"] == pytest.approx(dict(zip(["sgd", "adam"], benchmark.overall_rank.values, strict=True)))
    with (tmp_path / "t.csv").open() as file:
        assert [float(row["mean_value"]) for row in csv.DictReader(file)] == pytest.approx(
            [row["mean_value"] for row in payload["rows"]]
        )


def test_results_with_other_axes_are_compared_side_by_side(results, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "140")
    sweep({**FIELDS, "seeds": range(5), "schedules": ["constant", "linear"]}, tmp_path / "scheduled")
    folders = [tmp_path / "scheduled", results / "near"]
    for order in (folders, folders[::-1]):
        compare(order, plan=True, as_json=True)
        payload = json.loads(capsys.readouterr().out)
        assert {(row["problem"], row["schedule"]) for row in payload["rows"]} == {
            ("scheduled", "constant"), ("scheduled", "linear"), ("near", None)
        }  # fmt: skip
        assert {row["schedule"] for row in payload["plan"]} == {"constant", "linear", None}
        compare(order)
        assert " linear " in capsys.readouterr().out


def test_without_tuning_it_is_said_how_each_value_is_compared_at_its_own_best_rate(results, capsys):
    hint = "at each learning rate by itself: --tuning-seeds 2 compares each optimizer at its own best"
    compare([results / "near"])
    assert hint in capsys.readouterr().out
    compare([results / "near"], tuning_seeds=2)
    assert "by itself" not in capsys.readouterr().out
    compare([results / "near"], axis="learning_rate")
    assert "by itself" not in capsys.readouterr().out
    compare([results / "near"], select=["learning_rate=0.03"])
    assert "by itself" not in capsys.readouterr().out


def test_an_axis_that_is_zipped_with_another_is_compared_by_its_values(tmp_path, capsys):
    fields = {**FIELDS, "learning_rates": [0.1, 0.03], "zipped": [["optimizer", "learning_rate"]]}
    ds = sweep({**fields, "seeds": range(5)}, tmp_path / "pilot")
    compare([tmp_path / "pilot"], wanted=0.01, as_json=True)
    payload = json.loads(capsys.readouterr().out)
    assert [(row["optimizer"], row["reference"]) for row in payload["rows"]] == [("sgd", True), ("adam", False)]
    ends = ds.loss_epoch.isel(epoch=-1).squeeze().mean("seed").values
    assert [row["mean_value"] for row in payload["rows"]] == pytest.approx(ends.tolist())
    assert [row["optimizer"] for row in payload["plan"]] == ["adam"]


def test_a_table_that_cannot_be_written_is_said_of_its_own_option(results, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(jaxsgd.InputError, match=r"^--csv .*t\.csv: .*file is a file; name a file in a folder"):
        compare([results / "near"], csv=tmp_path / "file" / "t.csv")


def test_the_table_says_reference_rates_and_edges(results, capsys):
    compare([results / "near", results / "far"], tuning_seeds=2, reference="adam")
    output = " ".join(capsys.readouterr().out.split())
    assert output.count("reference") == 2
    assert "mean rank over 2 problems: " in output
    assert "best learning rate at the edge of its range" in output


def test_another_axis_than_the_rate_can_be_tuned(results, capsys):
    # The rates are compared, each with its own best optimizer.
    compare([results / "near"], axis="learning_rate", tune="optimizer", tuning_seeds=2, as_json=True)
    rows = json.loads(capsys.readouterr().out)["rows"]
    tuned = jaxsgd.tune(jaxsgd.load(results / "near"), 2, tune="optimizer")
    assert [row["optimizer"] for row in rows] == tuned.optimizer.values.ravel().tolist()
    compare([results / "near"], axis="learning_rate", tune="optimizer", tuning_seeds=2)
    assert capsys.readouterr().out.split()[:2] == ["learning", "rate"]


def test_one_result_is_compared_at_every_place_of_its_other_axes(results, capsys):
    compare([results / "near"], metric="distance", as_json=True)
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [(row["learning_rate"], row["optimizer"]) for row in rows] == [
        (rate, optimizer) for rate in (0.01, 0.03, 0.1) for optimizer in ("sgd", "adam")
    ]
    assert all(row["pairs"] == 5 for row in rows)


def test_an_axis_with_one_value_is_refused_with_the_axes_that_have_several(results, capsys):
    message = "order has one value, so nothing is compared: name another axis, --axis optimizer or --axis learning_rate"
    with pytest.raises(jaxsgd.InputError, match=f"^{message}$"):
        compare([results / "near"], axis="order")
    assert capsys.readouterr().out == ""


def test_without_an_axis_it_is_the_optimizer_else_the_only_one_with_several_values(results, tmp_path, capsys):
    def axis_of(path, **options):
        compare([path], as_json=True, **options)
        return json.loads(capsys.readouterr().out)["axis"]

    assert axis_of(results / "near") == "optimizer"
    single = tmp_path / "single"
    study = {"problem": "least_squares", "problem_args": PROBLEM, **FIELDS, "optimizer": "sgd", "seeds": range(5)}
    jaxsgd.sweep(jaxsgd.Study(**study), single, chunk_width=5)
    assert axis_of(single) == "learning_rate"
    # The rate is tuned, and so is not compared.
    with pytest.raises(jaxsgd.InputError, match="optimizer has one value, so nothing is compared: no other axis has several"):
        compare([single], tuning_seeds=2)
    with pytest.raises(jaxsgd.InputError, match=r"optimizer has one value, .*: no other axis has several values$"):
        compare([single], select=["learning_rate=0.01"])
    both = tmp_path / "both"
    jaxsgd.sweep(jaxsgd.Study(**study | {"orders": ["fixed", "reshuffle"]}), both, chunk_width=5)
    with pytest.raises(jaxsgd.InputError, match=r"name another axis, --axis order or --axis learning_rate$"):
        compare([both])
    assert axis_of(both, select=["learning_rate=0.01"]) == "order"


def test_seeds_that_make_no_difference_give_no_interval_and_that_is_said(tmp_path, capsys):
    # One data set, a start at 0 and a fixed order: the seeds of the order change nothing.
    fields = FIELDS | {"orders": ["fixed"], "learning_rates": [0.01]}
    sweep({**fields, "data_seeds": [0], "order_seeds": range(3)}, tmp_path / "same")
    compare([tmp_path / "same"])
    out = capsys.readouterr().out
    assert f"no interval: {SAME}" in " ".join(out.split())
    assert "tie" not in out
    compare([tmp_path / "same"], as_json=True)
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [(row["low"], row["high"], row["no_interval"]) for row in rows] == [(None, None, SAME)] * 2


def test_ties_of_few_seeds_are_said_to_show_little(results, capsys):
    compare([results / "near"], metric="distance")
    few = "with so few, the intervals are wide, and a tie does not show that two settings are alike"
    shown = capsys.readouterr().out
    assert (f"5 seeds: {few}" in " ".join(shown.split())) == ("tie " in shown)
    ties = [{"tie": True, "pairs": pairs} for pairs in (2, 5)]
    assert _few_seeds_note(ties) == [f"5 seeds: {few}"]
    assert _few_seeds_note([*ties, {"tie": True, "pairs": 6}]) == []
    assert _few_seeds_note([{"tie": False, "pairs": 2}]) == []


def test_a_pilot_gives_the_seeds_needed_for_each_difference(results, capsys):
    folders = [results / "near", results / "far"]
    compare(folders, tuning_seeds=2, wanted=0.01, power=0.9, as_json=True)
    rows = json.loads(capsys.readouterr().out)["plan"]
    pilot = jaxsgd.benchmark({name: jaxsgd.load(results / name) for name in ("near", "far")}, tuning_seeds=2)
    needed = jaxsgd.analysis.seeds_needed(pilot, 0.01, power=0.9)
    assert [(row["problem"], row["optimizer"]) for row in rows] == [("near", "adam"), ("far", "adam")]
    for name in ("seeds", "low", "high", "deviation"):
        assert [row[name] for row in rows] == pytest.approx(needed[name].values.ravel().tolist())
    compare(folders[:1], tuning_seeds=2, plan=True)
    assert "Seeds at which the 95 % interval excludes zero with probability 0.8" in capsys.readouterr().out


def test_a_pilot_gives_the_seeds_needed_for_a_rank(results, capsys):
    folders = [results / "near", results / "far"]
    compare(folders, tuning_seeds=2, rank=1, power=0.9, as_json=True)
    rows = json.loads(capsys.readouterr().out)["rank_plan"]
    tuned = [jaxsgd.tune(jaxsgd.load(folder), 2) for folder in folders]
    needed = [jaxsgd.analysis.seeds_for_rank(ds, "optimizer", rank=1, power=0.9).squeeze() for ds in tuned]
    assert [(row["problem"], row["setting"]) for row in rows] == [
        (name, own.setting.item()) for name, own in zip(("near", "far"), needed, strict=True)
    ]
    for name in ("seeds", "low", "difference", "kept"):
        numbers = [own[name].item() for own in needed]
        # JSON has no infinite numbers.
        expected = [number if math.isfinite(number) else None for number in numbers]
        assert [row[name] for row in rows] == pytest.approx(expected)
    compare(folders[:1], rank=1)
    shown = " ".join(capsys.readouterr().out.split())
    assert "Seeds at which the 95 % interval separates rank 1 from rank 2 with probability 0.8:" in shown
    assert "the same seeds choose the two settings and judge them" in shown


def test_a_profile_over_results_is_the_librarys_and_has_a_figure(results, tmp_path, capsys):
    folders = [results / "near", results / "far"]
    compare(folders, tuning_seeds=2, profile=True, target=[1.0], out=tmp_path, as_json=True)
    rows = json.loads(capsys.readouterr().out)["profile"]
    loaded = {name: jaxsgd.load(results / name) for name in ("near", "far")}
    profiles = jaxsgd.analysis.performance_profile(loaded, target=1.0, tuning_seeds=2)
    assert [row["optimizer"] for row in rows] == ["sgd", "adam"]
    assert [row["within_1"] for row in rows] == pytest.approx(profiles.share.sel(factor=1.0).values)
    assert [row["solved"] for row in rows] == pytest.approx(profiles.solved.values)
    assert (tmp_path / "profile.png").stat().st_size > 10_000
    compare(folders, tuning_seeds=2, profile=True)
    shown = " ".join(capsys.readouterr().out.split())
    assert "Share of 2 problems within a factor of the best, by loss epoch" in shown


def test_the_collapse_of_the_curves_of_an_axis_is_the_librarys(results, capsys):
    compare([results / "near"], collapse=True, as_json=True)
    rows = json.loads(capsys.readouterr().out)["collapse"]
    expected = jaxsgd.analysis.collapse(jaxsgd.load(results / "near"), "optimizer")
    assert [row["ratio"] for row in rows] == pytest.approx(expected.ratio.values.ravel().tolist())
    compare([results / "near"], collapse=True)
    assert "Factor between the curves of optimizer, 1 if they lie on one another" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": [1.0]}, "--target is only for use with --profile"),
        ({"profile": True, "target": [1.0, 2.0]}, "--target is given once, or once for each of the 1 results, got 2"),
        ({"profile": True}, "learning_rate has 3 values: let seeds choose the best with tuning_seeds, or select one"),
        ({"wanted": -1.0}, "wanted must be a positive difference, in the units of the metric, got -1"),
        ({"axis": "optimiser"}, "unknown axis 'optimiser': did you mean 'optimizer'?"),
        ({"reference": "adm", "tuning_seeds": 2}, "unknown optimizer 'adm': did you mean 'adam'?"),
        ({"tune": "order"}, "--tune order needs --tuning-seeds, the number of seeds that choose its best value"),
        ({"tuning_seeds": 5}, "tuning_seeds must be a whole number from 1 to 4"),
    ],
)
def test_bad_input_is_told(options, message, results):
    with pytest.raises(jaxsgd.InputError) as caught:
        compare([results / "near"], **options)
    assert message in str(caught.value)


def test_a_selection_compares_at_one_value_of_another_axis(results, capsys):
    compare([results / "near"], select=["learning_rate=0.03"], as_json=True)
    rows = json.loads(capsys.readouterr().out)["rows"]
    whole = jaxsgd.compare(jaxsgd.load(results / "near"), "optimizer").sel(learning_rate=0.03, method="nearest")
    assert [row["optimizer"] for row in rows] == ["sgd", "adam"]
    assert [row["difference"] for row in rows] == pytest.approx(whole.difference.values.ravel().tolist())
    with pytest.raises(jaxsgd.InputError, match="learning_rate"):
        compare([results / "near"], select=["learning_rate=0.04"])
