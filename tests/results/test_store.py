"""The result folder: what is there is whole, or known not to be."""

import json
import pickle

import numpy as np
import pytest

import jaxsgd
from jaxsgd import InputError, Study
from jaxsgd.results.store import BrokenChunk, Folder
from jaxsgd.study import subject
from jaxsgd.study.fields import StudyFields

FIELDS = {
    "problem_args": {"num_samples": 40, "num_hidden": 5}, "seeds": range(2), "batch_counts": [2, 4], "learning_rates": [0.5],
    "epochs": 2,
}  # fmt: skip
HELD = {"vectorize": "one_program", "chunk_width": 2, "lanes": 1}
STUDY = Study(**FIELDS)


class Trap:
    """An object that leaves a file behind when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("store") / "whole"
    jaxsgd.sweep(STUDY, folder, **HELD)
    return folder


@pytest.fixture
def copy(whole, tmp_path):
    import shutil

    return shutil.copytree(whole, tmp_path / "copy")


def go_on(folder, study=STUDY, **how):
    """Runs the study on the folder again: the result, and the progress told."""
    reports = []
    return jaxsgd.sweep(study, folder, on_progress=reports.append, **how), reports


def numbers(ds):
    return ds.drop_attrs()


def test_a_finished_result_is_not_run_again(whole):
    before = {path: path.read_bytes() for path in whole.rglob("*.npz")}
    ds, reports = go_on(whole)
    assert reports == [jaxsgd.Progress(cells=4, done=4, resumed=4, chunks=2, chunks_done=2)]
    assert {path: path.read_bytes() for path in whole.rglob("*.npz")} == before
    assert numbers(ds).identical(numbers(jaxsgd.load(whole)))


def damage(name):
    """Ways in which a chunk file can be other than what was written."""
    return {
        "missing": lambda path: path.unlink(),
        "empty": lambda path: path.write_bytes(b""),
        "truncated": lambda path: path.write_bytes(path.read_bytes()[:-7]),
        "text": lambda path: path.write_text("no archive"),
        "another chunk": lambda path: path.write_bytes((path.parent / "000001.npz").read_bytes()),
        "unsigned": lambda path: np.savez(path, cell=np.arange(2)),
    }[name]


@pytest.mark.parametrize("name", ["missing", "empty", "truncated", "text", "another chunk", "unsigned"])
def test_a_chunk_that_is_not_what_was_written_is_run_again_and_said(name, copy, whole):
    damage(name)(copy / "chunks" / "000000.npz")
    partial = jaxsgd.load(copy)
    if name != "another chunk":
        assert partial.attrs["missing_cells"] == 2
        assert np.isnan(partial.loss_epoch.values[partial.missing.values]).all()
    ds, reports = go_on(copy)
    assert reports[0].resumed == 2
    # Of two files with the same cells the second is one too many.
    wrong = {"missing": [], "another chunk": ["000001.npz"]}.get(name, ["000000.npz"])
    assert [text.split(":")[0] for text in reports[0].broken] == wrong
    assert json.loads(ds.attrs["manifest"])["broken_chunks"] == list(reports[0].broken)
    assert numbers(ds).identical(numbers(jaxsgd.load(whole)))
    assert (copy / "chunks/000000.npz").exists()


def test_a_flipped_bit_anywhere_is_found_or_changes_nothing(whole, tmp_path):
    content = (whole / "chunks/000000.npz").read_bytes()
    folder = Folder(tmp_path)
    folder.chunk_file(0).parent.mkdir()
    good = Folder(whole).read_chunk(0, STUDY.fixed_identity)
    detected = 0
    for place in range(0, len(content), max(1, len(content) // 300)):
        flipped = bytearray(content)
        flipped[place] ^= 0x10
        folder.chunk_file(0).write_bytes(bytes(flipped))
        try:
            read = folder.read_chunk(0, STUDY.fixed_identity)
        except BrokenChunk:
            detected += 1
        else:  # a bit of the archive's own bookkeeping, such as a date
            assert {name: array.tobytes() for name, array in read.items()} == {n: a.tobytes() for n, a in good.items()}
    assert detected > 150


def test_a_chunk_of_another_study_is_not_taken(copy, tmp_path):
    other = tmp_path / "other"
    jaxsgd.sweep(STUDY.replaced(eval_interval=2), other, **HELD)
    (copy / "chunks/000000.npz").write_bytes((other / "chunks/000000.npz").read_bytes())
    _, reports = go_on(copy)
    assert reports[0].broken == ("000000.npz: its checksum does not match",)


def test_pickled_objects_are_refused_and_not_run(copy, tmp_path):
    trap = np.empty(1, object)
    trap[0] = Trap(tmp_path / "sprung")
    np.savez(copy / "chunks/000000.npz", cell=trap, checksum=np.asarray(""))
    assert jaxsgd.load(copy).attrs["missing_cells"] == 2
    (copy / "chunks/000001.npz").write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
    assert jaxsgd.load(copy).attrs["missing_cells"] == 4
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    ("fields", "how", "message"),
    [
        ({"epochs": 3}, {}, "has the result of another study (epochs: 2 in the result, 3 now)"),
        (
            {"batch_counts": None, "batch_sizes": [5]},
            {},
            "has the result of another study (batch_counts: [2, 4] in the result, None now; batch_sizes: None in the",
        ),
        ({}, {"chunk_width": 4}, "chunk_width: 2 in the result, 4 now"),
        ({}, {"lanes": 2}, "lanes: 1 in the result, 2 now"),
        ({}, {"vectorize": "grouped"}, "vectorize: one_program in the result, grouped now"),
    ],
)
def test_another_study_or_width_is_refused_naming_the_difference(fields, how, message, copy):
    before = {path: path.read_bytes() for path in copy.rglob("*.*")}
    with pytest.raises(InputError) as error:
        go_on(copy, STUDY.replaced(**fields), **how)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert {path: path.read_bytes() for path in copy.rglob("*.*")} == before


@pytest.mark.parametrize(
    ("group", "name", "message"),
    [("versions", "jax", "jax: 0.0.1 in the result"), ("device", "kind", "device kind: 0.0.1 in the result")],
)
def test_another_version_or_device_is_refused_naming_the_difference(group, name, message, copy):
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest[group][name] = "0.0.1"
    (copy / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(InputError, match=message):
        go_on(copy)


def test_data_that_changed_meanwhile_is_refused(tmp_path):
    rows = np.random.default_rng(0).normal(size=(20, 3))
    np.savetxt(tmp_path / "rows.csv", rows, delimiter=",")
    args = {"path": str(tmp_path / "rows.csv"), "num_hidden": 4}
    swept = Study(problem="from_file", problem_args=args, batch_counts=[2], learning_rates=[0.1], epochs=1)
    jaxsgd.sweep(swept, tmp_path / "result")
    np.savetxt(tmp_path / "rows.csv", rows + 1, delimiter=",")
    subject._subjects.clear()  # as in a new process
    with pytest.raises(InputError, match=r"other settings \(samples \(data_sha256\): \w{8}\.\.\. in the result, "):
        jaxsgd.sweep(swept, tmp_path / "result")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("[]", "holds no study"),
        ('{"epochs": 2, "sedes": [1]}', "unknown field 'sedes'"),
        ('{"epochs": "many"}', "epochs"),
    ],
)
def test_a_study_json_that_is_none_is_one_line(text, message, copy):
    (copy / "study.json").write_text(text)
    with pytest.raises(InputError) as error:
        jaxsgd.load(copy)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_load_imports_nothing_that_a_study_json_names(copy, tmp_path, monkeypatch):
    (tmp_path / "trap_module.py").write_text(f"open({str(tmp_path / 'sprung')!r}, 'w')\nproblem = None\n")
    monkeypatch.syspath_prepend(tmp_path)
    fields = json.loads((copy / "study.json").read_text())
    fields["problem"] = "trap_module:problem"
    fields["orders"] = fields["optimizers"] = fields["schedules"] = ["trap_module:problem"]
    (copy / "study.json").write_text(json.dumps(fields))
    with pytest.raises(InputError, match=r"study.json is not the study of manifest.json"):
        jaxsgd.load(copy)
    # And not either where the manifest was made to fit; its chunks belong to another study, so all cells are missing.
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["fixed_identity"] = StudyFields(**fields).fixed_identity
    (copy / "manifest.json").write_text(json.dumps(manifest))
    assert jaxsgd.load(copy).attrs["missing_cells"] == 4
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(("place", "message"), [("nothing here", "no such folder"), (".", "this folder is not a result ")])
def test_a_folder_without_a_result_is_said(place, message, tmp_path):
    for read in (jaxsgd.load, jaxsgd.verify):
        with pytest.raises(InputError, match=message):
            read(tmp_path / place)


def test_a_file_where_the_folder_should_be_is_said(tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(InputError, match="this is a file; a result needs a folder"):
        jaxsgd.sweep(STUDY, tmp_path / "taken")


def test_leftovers_of_killed_writers_are_removed(copy):
    leftover = copy / "chunks" / ".000000.npz.123.tmp"
    leftover.write_bytes(b"half a chu")
    go_on(copy)
    assert not leftover.exists()


def forged(folder, **changed):
    """Writes chunk 0 anew with other arrays and the checksum that goes with them, which anyone can work out."""
    arrays = Folder(folder).read_chunk(0, STUDY.fixed_identity)
    arrays |= {name: change(arrays[name]) for name, change in changed.items()}
    Folder(folder).write_chunk(0, arrays, STUDY.fixed_identity)


@pytest.mark.parametrize(
    "changed",
    [
        {"key": lambda key: np.asarray(["../../sprung", "../1"])},
        {"key": lambda key: key[:, :3]},
        {"key": lambda key: key * 0},
        {"key": lambda key: key.astype(float)},
        {"key": lambda key: key[:0]},
        {"loss": lambda loss: loss[:, :1]},
        {"loss_epoch": lambda loss: loss.astype(str)},
        {"diverged_epoch": lambda epoch: epoch[:1]},
    ],
    ids=["../", "short", "twice", "floats", "none", "fewer epochs", "text", "fewer cells"],
)
def test_a_forged_chunk_with_a_right_checksum_counts_as_missing_and_is_run_again(changed, copy, whole, tmp_path):
    forged(copy, **changed)
    before = sorted(tmp_path.rglob("*"))
    assert jaxsgd.load(copy).attrs["missing_cells"] == 2
    ds, reports = go_on(copy)
    assert reports[0].broken[0].startswith("000000.npz: ")
    assert numbers(ds).identical(numbers(jaxsgd.load(whole)))
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    "changed",
    [
        {"format": 10**12},
        {"format": -1},
        {"fixed_identity": None},
        {"num_samples": 0},
        {"num_samples": -5},
        {"observed": ["../sprung"]},
        {"held": {"lanes": 1}},
    ],
)
def test_a_manifest_of_nonsense_is_refused_at_once(changed, copy):
    manifest = json.loads((copy / "manifest.json").read_text())
    (copy / "manifest.json").write_text(json.dumps(manifest | changed))
    with pytest.raises(InputError, match=r"manifest\.json"):
        jaxsgd.load(copy)


def test_a_study_json_has_no_field_that_leads_out_of_its_folder(copy):
    fields = json.loads((copy / "study.json").read_text())
    for field in ("folder", "../sprung", "out", "__class__"):
        (copy / "study.json").write_text(json.dumps(fields | {field: "../sprung"}))
        with pytest.raises(InputError, match=f"unknown field '{field}'"):
            jaxsgd.load(copy)


@pytest.mark.parametrize(
    ("problem", "args"),
    [
        ("os:system", {"command": "touch sprung"}),
        ("subprocess:run", {"args": ["touch", "sprung"]}),
        ("pickle:load", {"file": "trap.pickle"}),
        ("pandas:read_pickle", {"filepath_or_buffer": "trap.pickle"}),
        ("numpy:load", {"file": "trap.pickle", "allow_pickle": True}),
        ("joblib:load", {"filename": "trap.pickle"}),
        ("jaxsgd.cli.output:write_files", {"folder": ".", "contents": {"sprung": ""}}),
        ("jaxsgd.study.study_file:look_beside", {}),
        ("tests.study_parts:os", {}),
        ("trap_module:system", {"command": "touch sprung"}),
        ("../trap_module:make", {}),
    ],
)
def test_what_a_hostile_study_points_at_is_not_called(problem, args, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "trap.pickle").write_bytes(pickle.dumps(Trap("sprung")))
    (tmp_path / "trap_module.py").write_text("import jaxsgd\nfrom os import system\n")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(InputError) as error:
        Study(problem=problem, problem_args=args, batch_counts=[1], learning_rates=[0.1], epochs=1)
    assert problem.partition(":")[0] in str(error.value) or "posix" in str(error.value)
    assert [path for path in sorted(tmp_path.iterdir()) if path.name != "__pycache__"] == before


@pytest.mark.parametrize("reader", [jaxsgd.load, jaxsgd.verify, jaxsgd.parameters, lambda path: jaxsgd.sweep(STUDY, path)])
@pytest.mark.parametrize("path", [5, ["results"]])
def test_a_value_that_is_no_path_is_refused_in_one_line(reader, path, unchecked):
    with pytest.raises(InputError) as error:
        reader(path)
    assert str(error.value).startswith("the folder of a result must be a path, such as 'results/mine', got ")
