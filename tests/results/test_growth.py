"""Results that grow: new values on a study's axes run the new cells only, with the bits of a study run at once."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import jaxsgd
from jaxsgd import InputError, Study
from jaxsgd.results.load import keyed
from jaxsgd.results.store import Folder
from jaxsgd.study.cells import KEY_BYTES, cells

FIELDS = {
    "problem": "least_squares",
    "problem_args": {"num_samples": 24, "num_inputs": 3},
    "seeds": range(2),
    "batch_counts": [2, 4],
    "orders": ["reshuffle"],
    "learning_rates": [0.1],
    "epochs": 3,
}
STUDY = Study(**FIELDS)
# Another largest batch count, a ragged split, and more of every axis.
GROWN = STUDY.replaced(seeds=range(3), batch_counts=[4, 5, 2], orders=["fixed", "reshuffle"], learning_rates=[0.05, 0.1])
BEFORE, AFTER = 4, 36
"""2 seeds, 2 batch counts; and 3 seeds, 3 batch counts, 2 orders, 2 rates."""
HELD = {"chunk_width": 4, "lanes": 4}


def bits(ds):
    return {name: array.values.tobytes() for name, array in ds.data_vars.items()}


@pytest.fixture(scope="module", params=["one_program", "grouped"])
def begun(request, tmp_path_factory):
    """The result of the small study."""
    folder = tmp_path_factory.mktemp("growth") / request.param
    jaxsgd.sweep(STUDY, folder, vectorize=request.param, **HELD)
    return folder


@pytest.fixture
def copy(begun, tmp_path):
    return Path(shutil.copytree(begun, tmp_path / "copy"))


def settings(folder):
    return json.loads((folder / "manifest.json").read_text())["held"]


def test_only_the_new_cells_are_run_and_have_the_bits_of_a_study_run_at_once(copy):
    seen = []
    ds = jaxsgd.sweep(GROWN, copy, on_progress=seen.append)
    assert (seen[0].resumed, seen[0].cells, seen[-1].done) == (BEFORE, AFTER, AFTER)
    assert bits(ds) == bits(jaxsgd.sweep(GROWN, **settings(copy)))
    assert json.loads((copy / "study.json").read_text()) == GROWN.resolved()
    verdict = jaxsgd.verify(copy)
    assert (verdict.cells, verdict.bitwise, verdict.passed) == (AFTER, True, True)


def test_schedules_and_batch_rules_grow_from_a_study_without_them(copy):
    rules = {"none": {}, "root": {"learning_rate": "sqrt"}}
    grown = STUDY.replaced(schedules=["linear", "constant"], batch_rules=rules, reference_batch_count=4)
    seen = []
    ds = jaxsgd.sweep(grown, copy, on_progress=seen.append)
    # 2 schedules and 2 sets of rules: a quarter of the cells are those of the study without them.
    assert (seen[0].resumed, seen[0].cells) == (BEFORE, 4 * BEFORE)
    assert bits(ds) == bits(jaxsgd.sweep(grown, **settings(copy)))
    # At the reference the rules change nothing, and before the first step no schedule does.
    np.testing.assert_array_equal(ds.loss.sel(batch_rule="root", batch_count=4), ds.loss.sel(batch_rule="none", batch_count=4))
    first = ds.loss.isel(epoch=0, batch=0)
    assert (first == first.isel(schedule=0, batch_rule=0)).all()
    assert (ds.loss_epoch.isel(epoch=-1).sel(schedule="linear") != ds.loss_epoch.isel(epoch=-1).sel(schedule="constant")).all()
    assert jaxsgd.verify(copy).passed


def test_a_study_with_fewer_values_shows_fewer_and_the_cells_stay(copy):
    whole = jaxsgd.sweep(GROWN, copy)
    files = {path.name: path.read_bytes() for path in (copy / "chunks").iterdir()}
    seen = []
    few = {"seeds": [2], "batch_counts": [5], "orders": ["fixed"]}
    ds = jaxsgd.sweep(GROWN.replaced(**few), copy, on_progress=seen.append)
    assert (seen[-1].cells, seen[-1].resumed, seen[-1].others) == (2, 2, AFTER - 2)
    own = whole.sel(seed=[2], batch_count=[5], order=["fixed"])
    np.testing.assert_array_equal(ds.loss, own.loss.isel(batch=slice(5)))
    assert bits(ds.drop_vars("loss")) == bits(own.drop_vars("loss"))
    assert {path.name: path.read_bytes() for path in (copy / "chunks").iterdir()} == files
    again = jaxsgd.sweep(GROWN, copy, on_progress=seen.append)
    assert (seen[-1].resumed, seen[-1].others) == (AFTER, 0)
    assert bits(again) == bits(whole)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"epochs": 4}, "epochs: 3 in the result, 4 now"),
        ({"problem_args": {"num_samples": 25}}, "problem_args: {'num_inputs': 3, 'num_samples': 24} in the result"),
        ({"seeds": None, "data_seeds": [0, 1]}, "seeds: [0, 1] in the result, None now; data_seeds: None in the result"),
        ({"hyper": {"momentum": [0.9]}}, "hyper: {} in the result, {'momentum': [0.9]} now"),
    ],
)
def test_what_is_no_value_of_an_axis_is_refused_by_name(fields, text, copy):
    before = {path: path.read_bytes() for path in copy.rglob("*.*")}
    with pytest.raises(InputError) as error:
        jaxsgd.sweep(STUDY.replaced(**fields), copy)
    assert text in str(error.value)
    assert "\n" not in str(error.value)
    assert {path: path.read_bytes() for path in copy.rglob("*.*")} == before


def test_more_draws_keep_the_first_ones(tmp_path):
    random = {"learning_rate": {"log_uniform": [0.01, 0.2]}, "batch_count": {"choice": [2, 4]}}
    study = STUDY.replaced(learning_rates=None, batch_counts=None, random=random, draws=3)
    first = jaxsgd.sweep(study, tmp_path / "result", vectorize="one_program", **HELD)
    seen = []
    more = jaxsgd.sweep(study.replaced(draws=5), tmp_path / "result", on_progress=seen.append)
    assert (seen[0].resumed, seen[-1].cells) == (6, 10)
    assert bits(more.isel(draw=slice(3))[["loss_epoch"]]) == bits(first[["loss_epoch"]])


def test_a_budget_in_steps_grows_to_batch_counts_with_other_numbers_of_epochs(tmp_path):
    study = STUDY.replaced(epochs=None, steps=12)
    jaxsgd.sweep(study, tmp_path / "result", **HELD)
    grown = study.replaced(batch_counts=[1, 2, 4])
    ds = jaxsgd.sweep(grown, tmp_path / "result")
    assert ds.sizes["epoch"] == 12
    assert bits(ds) == bits(jaxsgd.sweep(grown, **settings(tmp_path / "result")))
    # And back: without the batch count of many epochs the rows are short again.
    assert jaxsgd.sweep(study, tmp_path / "result").sizes["epoch"] == 6


def format_1(folder):
    """Makes a result as version 1 of the format had it: chunks with numbers, a manifest without the identity of the rest."""
    place, keys = Folder(folder), cells(STUDY, 24).keys()
    for number in place.chunk_numbers():
        arrays = place.read_chunk(number, STUDY.fixed_identity)
        numbers = [keys.index(key.tobytes()) for key in arrays.pop("key")]
        place.write_chunk(number, {"cell": np.asarray(numbers), **arrays}, STUDY.identity)
    manifest = json.loads(place.manifest_file.read_text())
    del manifest["fixed_identity"]
    place.manifest_file.write_text(json.dumps(manifest | {"format": 1, "chunks": len(place.chunk_numbers())}))


def test_a_result_of_format_1_is_read_verified_continued_and_grown(copy):
    whole = jaxsgd.load(copy)
    format_1(copy)
    assert bits(jaxsgd.load(copy)) == bits(whole)
    assert jaxsgd.verify(copy).passed
    Folder(copy).chunk_file(0).unlink()
    assert bits(jaxsgd.sweep(STUDY, copy)) == bits(whole)
    format_1(copy)
    seen = []
    ds = jaxsgd.sweep(GROWN, copy, on_progress=seen.append)
    assert seen[0].resumed == BEFORE
    assert bits(ds) == bits(jaxsgd.sweep(GROWN, **settings(copy)))


def test_a_chunk_of_format_1_whose_study_was_changed_is_refused(copy):
    format_1(copy)
    (copy / "study.json").write_text(json.dumps(GROWN.resolved()))
    with pytest.raises(InputError, match=r"study\.json is not the study of manifest\.json"):
        jaxsgd.load(copy)


def test_keys_follow_from_the_values_alone():
    small, large = cells(STUDY, 24), cells(GROWN, 24)
    own = dict(zip(large.keys(), map(large.name, range(large.num_cells)), strict=True))
    assert len(own) == AFTER
    assert {own[key] for key in small.keys()} == set(map(small.name, range(BEFORE)))  # noqa: SIM118
    assert {len(key) for key in own} == {KEY_BYTES}


def test_a_chunk_is_stored_by_keys_in_place_of_numbers():
    keys = cells(STUDY, 24).keys()
    stored = keyed({"cell": np.asarray([2, 0]), "loss_epoch": np.ones((2, 3))}, keys)
    assert [row.tobytes() for row in stored["key"]] == [keys[2], keys[0]]
    assert set(stored) == {"key", "loss_epoch"}


def test_the_dry_run_says_what_is_there_and_what_will_run(copy, capsys, unchecked):
    from jaxsgd.cli.errors import run_app

    (copy / "grown.json").write_text(json.dumps(GROWN.resolved()))
    words = ["run", str(copy / "grown.json"), "--out", str(copy), "--dry-run"]
    assert run_app(words) == 0
    assert f"{AFTER} = " in (text := capsys.readouterr().out)
    assert f"; {BEFORE} are in {copy}, {AFTER - BEFORE} will run" in text
    assert run_app([*words, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["cells"], report["stored_cells"]) == (AFTER, BEFORE)
    assert json.loads((copy / "study.json").read_text()) == STUDY.resolved()


def test_the_command_says_how_many_cells_of_the_folder_the_study_does_not_have(copy, capsys, unchecked):
    from jaxsgd.cli.errors import run_app

    (copy / "fewer.json").write_text(json.dumps(STUDY.replaced(seeds=[0]).resolved()))
    assert run_app(["run", str(copy / "fewer.json"), "--out", str(copy), "--quiet"]) == 0
    assert capsys.readouterr().out == (
        f"nothing to do: all 2 cells are in {copy}\n2 more cells that this study does not have stay in the folder\n"
    )
