"""The measured speed of the processor: measured once, kept, and of no effect on a result that has begun."""

import json

import jax
import numpy as np
import pytest

import jaxsgd
from jaxsgd.engine import speed as speed_module
from jaxsgd.engine.plan import plan
from jaxsgd.engine.program_folder import keep_programs
from jaxsgd.engine.speed import MOST_APART, PARTS, USUAL, keep, speed, speed_file
from jaxsgd.results.store import Folder, read_json

FIELDS = {"problem": "least_squares", "problem_args": {"num_samples": 60}, "learning_rates": [0.1], "orders": ["fixed"]}


@pytest.fixture
def folder(tmp_path, programs):
    """A folder of programs without a speed."""
    assert keep_programs(tmp_path / "programs")
    speed_module._known.clear()
    yield tmp_path / "programs"
    keep_programs(programs)
    speed_module._known.clear()


def forget():
    """Be a new process, which knows the files alone."""
    speed_module._known.clear()


def test_the_speed_is_measured_once_and_read_afterwards(folder):
    first = speed(convolves=True)
    written = [json.loads(speed_file(folder, part).read_text())["speed"] for part in PARTS]
    assert USUAL._replace(**{name: value for numbers in written for name, value in numbers.items()}) == first
    # Of this machine: between a tenth of a billion and a million billion operations a second, and steps below a millisecond.
    assert 1e8 < first.convolution_flops < 1e15
    assert 1e8 < first.flops < 1e15
    assert 0 < first.equation_seconds < 1e-3
    keep(folder, "products", {"flops": 7e9, "equation_seconds": 3e-7, "compile_factor": 2.0})
    assert speed(convolves=True) == first  # a process plans by one speed
    forget()
    assert speed(convolves=False) == USUAL._replace(flops=7e9, equation_seconds=3e-7, compile_factor=2.0)


def test_an_impossible_number_of_a_file_is_cut(folder):
    keep(folder, "products", {"flops": 1.0, "equation_seconds": 1e9, "compile_factor": 1.234})
    cut = speed(convolves=False)
    assert cut.flops == pytest.approx(USUAL.flops / MOST_APART, rel=0.05)
    assert cut.equation_seconds == pytest.approx(USUAL.equation_seconds * MOST_APART, rel=0.05)
    assert cut.compile_factor == 1.2  # two digits


@pytest.mark.parametrize("text", ["", "[]", '{"speed": {"flops": 1e9}}', '{"speed": {"flops": "fast"}}'])
def test_a_damaged_file_is_no_speed(folder, text):
    file = speed_file(folder, "products")
    file.write_text(text)
    assert speed_module._read(file, "products") == {}


def test_without_a_folder_or_with_the_cache_off_nothing_is_measured(folder, tmp_path, monkeypatch):
    never = PARTS["products"]._replace(measure=lambda: pytest.fail("measured"))
    monkeypatch.setitem(PARTS, "products", never)
    (tmp_path / "file").touch()
    jax.config.update("jax_compilation_cache_dir", str(tmp_path / "file" / "below"))  # no folder can be made below a file
    assert speed(convolves=False) == USUAL
    jax.config.update("jax_enable_compilation_cache", False)
    try:
        jax.config.update("jax_compilation_cache_dir", str(folder))
        assert speed(convolves=False) == USUAL
        assert not speed_file(folder, "products").exists()
    finally:
        jax.config.update("jax_enable_compilation_cache", True)


def test_estimates_follow_the_speed_and_a_result_keeps_the_plan_it_began_with(folder, tmp_path):
    study = jaxsgd.Study(**FIELDS, seeds=range(3), batch_counts=[2, 3], epochs=2000, record="epoch")
    keep(folder, "products", {"flops": 10e9, "equation_seconds": 1e-7, "compile_factor": 1.0})
    begun = plan(study)
    assert begun.vectorize == "one_program"  # compiling a second program takes longer than so short runs
    first = jaxsgd.sweep(study, tmp_path / "result")
    forget()
    keep(folder, "products", {"flops": 1e9, "equation_seconds": 1e-6, "compile_factor": 0.04})
    # A tenth of the speed is ten times the time; compiling is so cheap now that each batch count has its own program.
    slower = plan(study, **begun.settings())
    assert slower.cell_seconds == pytest.approx(10 * begun.cell_seconds)
    assert slower.compile_seconds == pytest.approx(0.04 * begun.compile_seconds)
    assert plan(study).vectorize == "grouped"
    again = jaxsgd.sweep(study.replaced(seeds=range(4)), tmp_path / "result")
    assert read_json(Folder(tmp_path / "result").manifest_file)["held"] == begun.settings()
    np.testing.assert_array_equal(again.loss_epoch.sel(seed=first.seed).values, first.loss_epoch.values)
