"""Verify: the same bits on a like machine, a tolerance on another, and the cell's name where it differs."""

import json
import os
import re
import shutil

import numpy as np
import pytest

import jaxsgd
from jaxsgd import InputError, Study
from jaxsgd.engine.verify import DETERMINISTIC, why_not_bitwise
from jaxsgd.results.store import Folder
from jaxsgd.study.cells import cells

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
    arrays = place.read_chunk(number, STUDY.fixed_identity)
    arrays["loss"][1, 2, 0] *= factor
    place.write_chunk(number, arrays, STUDY.fixed_identity)
    return cells(STUDY, STUDY.subject().num_samples).keys().index(arrays["key"][1].tobytes())


def test_a_copied_result_passes_bit_by_bit(copy):
    verdict = jaxsgd.verify(copy)
    assert (verdict.cells, verdict.bitwise, verdict.passed) == (6, True, True)


def test_one_changed_number_fails_and_names_the_cell(copy):
    cell = scale(copy, 1, 1 + 3e-7)  # a few units in the last place of float32
    verdict = jaxsgd.verify(copy)
    assert not verdict.passed
    (difference,) = verdict.differences
    # Cells run through seeds and, fastest, through the two batch counts.
    seed, m = cell // 2, [2, 5][cell % 2]
    assert difference.cell == f"seed={seed}, optimizer=sgd, order=fixed, learning_rate=0.5, batch_count={m}"
    assert difference.what == "loss"
    assert 0 < difference.relative < 1e-6


def test_on_another_machine_a_tolerance_decides(copy):
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["device"]["machine"] = "other"
    (copy / "manifest.json").write_text(json.dumps(manifest))
    scale(copy, 0, 1 + 3e-7)
    verdict = jaxsgd.verify(copy)
    assert (verdict.bitwise, verdict.passed) == (False, True)
    assert verdict.reason.startswith("device machine: other in the result, ")
    scale(copy, 0, 1 + 1e-4)
    assert not jaxsgd.verify(copy).passed


def test_a_sample_runs_that_many_cells(copy):
    assert jaxsgd.verify(copy, sample=2).cells == 2


def test_a_damaged_chunk_fails_and_is_named(copy):
    (copy / "chunks/000000.npz").write_bytes(b"")
    verdict = jaxsgd.verify(copy)
    assert not verdict.passed
    assert verdict.broken[0].startswith("000000.npz")


def test_nothing_finished_is_nothing_to_verify(copy):
    for path in (copy / "chunks").iterdir():
        path.unlink()
    with pytest.raises(InputError, match="nothing to verify"):
        jaxsgd.verify(copy)


def test_a_missing_chunk_fails_and_its_cells_are_counted(copy):
    (copy / "chunks/000001.npz").unlink()
    outcome = jaxsgd.verify(copy)
    assert not outcome.passed
    # Chunks of two cells each.
    assert (outcome.cells, outcome.missing, outcome.differences, outcome.broken) == (4, 2, [], [])


def test_a_damaged_or_missing_chunk_outside_the_sample_fails(copy):
    chunks = sorted((copy / "chunks").glob("*.npz"))
    chunks[1].write_bytes(chunks[1].read_bytes()[:-1])
    chunks[2].unlink()
    # One of six cells; whichever it is, two of the three chunks, of two cells each, are outside the sample or not whole.
    for seed in range(3):
        outcome = jaxsgd.verify(copy, sample=1, seed=seed)
        assert (len(outcome.broken), outcome.missing, outcome.passed) == (1, 4, False)


def test_other_flags_of_xla_are_named_and_a_tolerance_decides(copy, monkeypatch):
    before = os.environ["XLA_FLAGS"]
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=false")
    outcome = jaxsgd.verify(copy)
    assert (outcome.passed, outcome.bitwise) == (True, False)
    assert outcome.reason == f"XLA_FLAGS: {before} in the result, --xla_cpu_enable_fast_math=false here"


def test_on_an_accelerator_a_tolerance_decides(copy):
    stored = json.loads((copy / "manifest.json").read_text())
    on_gpu = {**stored, "device": {**stored["device"], "backend": "gpu"}}
    assert why_not_bitwise(stored, stored) == ""
    assert why_not_bitwise(on_gpu, on_gpu) == (
        "on an accelerator, each process chooses the products that were fastest when it tried them, "
        "unless XLA_FLAGS has --xla_gpu_exclude_nondeterministic_ops=true"
    )
    # XLA chooses nothing by timing then.
    flags = {**stored["flags"], "XLA_FLAGS": "--xla_force_host_platform_device_count=1 " + DETERMINISTIC}
    assert why_not_bitwise({**on_gpu, "flags": flags}, {**on_gpu, "flags": flags}) == ""
    assert why_not_bitwise(on_gpu, {**on_gpu, "flags": flags}).startswith("XLA_FLAGS: ")


def test_samples_that_changed_are_named_and_nothing_is_run(tmp_path):
    rows = np.random.default_rng(0).normal(size=(20, 3))
    np.savetxt(tmp_path / "rows.csv", rows, delimiter=",")
    args = {"path": str(tmp_path / "rows.csv"), "num_hidden": 4}
    jaxsgd.sweep(
        Study(problem="from_file", problem_args=args, batch_counts=[2], learning_rates=[0.1], epochs=1), tmp_path / "result"
    )
    assert jaxsgd.verify(tmp_path / "result").passed
    np.savetxt(tmp_path / "rows.csv", rows + 1, delimiter=",")
    outcome = jaxsgd.verify(tmp_path / "result")
    assert (outcome.passed, outcome.cells) == (False, 0)
    # Two hashes of 64 letters would hide what the line says.
    assert re.fullmatch(r"data_sha256: \w{8}\.\.\. in the result, \w{8}\.\.\. now", outcome.other_samples)
