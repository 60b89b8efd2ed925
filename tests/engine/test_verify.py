"""Verify: the same bits on a like machine, a tolerance on another, and the cell's name where it differs."""

import json
import shutil

import numpy as np
import pytest

import jaxsgd
from jaxsgd import InputError, Study
from jaxsgd.engine.store import Folder

pytestmark = pytest.mark.usefixtures("compiled_once")

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


def scale_cell(folder, cell):
    """Changes one loss of a cell, chunk by chunk until it is found."""
    place = Folder(folder)
    for number in range(3):
        arrays = place.read_chunk(number, STUDY.identity)
        (own,) = np.nonzero(arrays["cell"] == cell)
        arrays["loss"][own, 0, 0] *= 2
        place.write_chunk(number, arrays, STUDY.identity)


def scale(folder, number, factor):
    """Multiplies one loss of a chunk, with a checksum that is right."""
    place = Folder(folder)
    arrays = place.read_chunk(number, STUDY.identity)
    arrays["loss"][1, 2, 0] *= factor
    place.write_chunk(number, arrays, STUDY.identity)
    return int(arrays["cell"][1])


def test_a_result_and_a_copy_of_it_pass_bit_by_bit(whole, copy):
    for folder in (whole, copy):
        found = jaxsgd.verify(folder)
        assert (found.cells, found.bitwise, found.reason, found.passed) == (6, True, "", True)


def test_verification_writes_nothing(copy):
    def there():
        return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in copy.rglob("*") if path.is_file()}

    before = there()
    jaxsgd.verify(copy)
    assert there() == before


@pytest.mark.parametrize(("place", "content"), [(0, 2), (0, 3), (3, 2)])
def test_a_chunk_under_anothers_name_fails_and_is_named(place, content, tmp_path):
    # Chunks of 4, 4, 4 and 2 cells: the last holds fewer than the others.
    study = STUDY.replaced(seeds=range(7))
    jaxsgd.sweep(study, tmp_path / "result", vectorize="one_program", chunk_width=4)
    chunks = tmp_path / "result/chunks"
    shutil.copy(chunks / f"00000{content}.npz", chunks / f"00000{place}.npz")
    found = jaxsgd.verify(tmp_path / "result")
    assert found.broken == [f"00000{place}.npz: holds other cells"]
    assert not found.passed


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
    told["versions"]["jax"] = "0.0.1"
    (copy / "manifest.json").write_text(json.dumps(told))
    scale(copy, 0, 1 + 3e-7)
    found = jaxsgd.verify(copy)
    assert (found.bitwise, found.passed) == (False, True)
    assert "machine other there, " in found.reason
    assert "jax 0.0.1 there, " in found.reason
    scale(copy, 0, 1 + 1e-4)
    assert not jaxsgd.verify(copy).passed


def test_a_sample_runs_that_many_cells_drawn_by_its_seed(copy):
    for folder_cell in range(6):
        scale_cell(copy, folder_cell)
    drawn = [jaxsgd.verify(copy, sample=2, seed=seed) for seed in (0, 0, 1, 2, 3)]
    assert {found.cells for found in drawn} == {2}
    named = [tuple(difference.cell for difference in found.differences) for found in drawn]
    assert all(len(cells) == 2 for cells in named)
    assert named[0] == named[1]
    assert len(set(named)) > 1
    with pytest.raises(InputError, match="sample must be a whole number of at least 1, got 0"):
        jaxsgd.verify(copy, sample=0)


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
