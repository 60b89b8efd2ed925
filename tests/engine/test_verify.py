"""Verify: the same bits on a like machine, a tolerance on another, and the cell's name where it differs."""

import json
import shutil

import pytest

import jaxsgd
from jaxsgd import InputError, Study
from jaxsgd.engine.store import Folder

STUDY = Study(
    problem_args={"num_samples": 40, "num_hidden": 5}, seeds=range(3), batch_counts=[2, 5], learning_rates=[0.5], epochs=3
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("verify") / "whole"
    jaxsgd.sweep(STUDY, folder, chunk_width=2)
    return folder


@pytest.fixture
def copy(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "copy")


def scale(folder, number, factor):
    """Multiplies one loss of a chunk, with a checksum that is right."""
    place = Folder(folder)
    arrays = place.read_chunk(number, STUDY.identity)
    arrays["loss"][1, 2, 0] *= factor
    place.write_chunk(number, arrays, STUDY.identity)
    return int(arrays["cell"][1])


def test_a_copied_result_passes_bit_by_bit(copy):
    found = jaxsgd.verify(copy)
    assert (found.cells, found.bitwise, found.passed) == (6, True, True)


def test_one_changed_number_fails_and_names_the_cell(copy):
    cell = scale(copy, 1, 1 + 3e-7)  # a few units in the last place of float32
    found = jaxsgd.verify(copy)
    assert not found.passed
    (difference,) = found.differences
    # Cells run through seeds and, fastest, through the two batch counts.
    seed, m = cell // 2, [2, 5][cell % 2]
    assert difference.cell == f"seed={seed}, optimizer=sgd, order=fixed, learning_rate=0.5, batch_count={m}"
    assert difference.what == "loss"
    assert 0 < difference.relative < 1e-6


def test_on_another_machine_a_tolerance_decides(copy):
    told = json.loads((copy / "manifest.json").read_text())
    told["device"]["machine"] = "other"
    (copy / "manifest.json").write_text(json.dumps(told))
    scale(copy, 0, 1 + 3e-7)
    found = jaxsgd.verify(copy)
    assert (found.bitwise, found.passed) == (False, True)
    assert "machine other there" in found.reason
    scale(copy, 0, 1 + 1e-4)
    assert not jaxsgd.verify(copy).passed


def test_a_sample_runs_that_many_cells(copy):
    assert jaxsgd.verify(copy, sample=2).cells == 2


def test_a_damaged_chunk_fails_and_is_named(copy):
    (copy / "chunks/000000.npz").write_bytes(b"")
    found = jaxsgd.verify(copy)
    assert not found.passed
    assert found.broken[0].startswith("000000.npz")


def test_nothing_finished_is_nothing_to_verify(copy):
    for path in (copy / "chunks").iterdir():
        path.unlink()
    with pytest.raises(InputError, match="nothing to verify"):
        jaxsgd.verify(copy)
