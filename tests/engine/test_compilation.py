"""The programs that are compiled: one training program for each optimizer and order, however many cells there are."""

import importlib
import json
import logging
import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor

import jax
import jax.numpy as jnp
import pytest

import jaxsgd
from jaxsgd import Study
from jaxsgd.engine import loss_cost
from jaxsgd.engine.draw_program import DrawSpec
from jaxsgd.engine.plan import plan
from jaxsgd.engine.program_cache import PROGRAM_BYTES, PROGRAMS, ProgramCache
from jaxsgd.study.subject import OwnArrays, Subject

TRACES = []
"""One entry each time that the loss of `counted` is traced."""

WIDE = {
    "seeds": range(3),
    "batch_counts": [1, 2, 3, 4],
    "learning_rates": [0.01, 0.02],
    "hyper": {"momentum": [0, 0.9]},
}
NARROW = {"seeds": [0], "batch_counts": [2, 3], "learning_rates": [0.01], "hyper": {"momentum": [0.5]}}
HELD = {"vectorize": "one_program", "chunk_width": 6}


def counted(dtype="float32"):
    """Return least squares whose data are drawn by a program that is quick to compile: they are the same for all keys."""

    def loss(params, batch):
        TRACES.append(1)
        x, target = batch
        return (x @ params - target) ** 2

    def data(key):
        return jnp.arange(24, dtype=dtype).reshape(12, 2) / 24, jnp.zeros(12, dtype)

    return jaxsgd.Problem(lambda key: jnp.ones(2, dtype), loss, data)


def counted_again():
    """Return the same problem by another function."""
    return counted()


def study(**fields):
    return Study(problem="tests.engine.test_compilation:counted", epochs=1, **fields)


@pytest.fixture
def compiled(caplog, nothing_compiled):
    """Call something, and return the names of the programs that were compiled meanwhile."""
    jax.config.update("jax_log_compiles", True)

    def during(call):
        caplog.clear()
        with caplog.at_level(logging.WARNING, logger="jax"):
            call()
        messages = [record.getMessage() for record in caplog.records]
        return [text.split()[4] for text in messages if text.startswith("Finished XLA compilation of ")]

    yield during
    jax.config.update("jax_log_compiles", False)


def traced(sweep):
    """Return how often the loss was traced, with nothing remembered from before."""
    jax.clear_caches()
    PROGRAMS.clear()
    loss_cost.COSTS.clear()
    TRACES.clear()
    sweep()
    return len(TRACES)


def test_the_number_of_traces_does_not_grow_with_seeds_batch_counts_rates_or_momenta():
    # A new study is traced by shapes alone, to be checked.
    narrow, wide = study(**NARROW), study(**WIDE)
    count = traced(lambda: jaxsgd.sweep(narrow, **HELD))
    assert count > 0
    assert traced(lambda: jaxsgd.sweep(wide, **HELD)) == count


@pytest.mark.slow
def test_traces_grow_by_the_same_number_for_each_optimizer_and_order():
    def with_programs(optimizers, orders):
        planned = study(**NARROW, optimizers=optimizers, orders=orders)
        assert len(plan(planned, **HELD).programs) == len(optimizers) * len(orders)
        return traced(lambda: jaxsgd.sweep(planned, **HELD))

    single = with_programs(["sgd"], ["fixed"])
    two = with_programs(["sgd"], ["fixed", "flip_flop"])
    four = with_programs(["sgd", "nesterov"], ["fixed", "flip_flop"])
    assert two - single > 0
    # From two programs to four, as much twice over.
    assert four - two == 2 * (two - single)


OTHERS = {**WIDE, "seeds": range(3, 6), "learning_rates": [0.015, 0.025], "hyper": {"momentum": [0.1, 0.2]}}
"""Other values of every axis that is data to a program, as many as `WIDE` has."""


def test_xla_compiles_a_training_program_for_each_optimizer_and_order_and_one_draw_and_nothing_for_other_values(compiled):
    several = {"optimizers": ["sgd", "nesterov"], "orders": ["fixed", "flip_flop"]}
    planned = study(**WIDE, **several)
    names = compiled(lambda: jaxsgd.sweep(planned, **HELD))
    assert names.count("jit(chunk)") == len(plan(planned, **HELD).programs) == 4
    # The only other program of the sweep is the one that draws data and initial parameters.
    assert names.count("jit(drawn)") == 1
    assert compiled(lambda: jaxsgd.sweep(study(**OTHERS, **several), **HELD)) == []


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="an accelerator draws all cells at once")
def test_one_program_draws_the_cells_of_chunks_of_all_widths(compiled):
    assert "jit(drawn)" in compiled(lambda: jaxsgd.sweep(study(**NARROW), vectorize="one_program", chunk_width=2))
    assert compiled(lambda: jaxsgd.sweep(study(**NARROW), vectorize="one_program", chunk_width=1)) == ["jit(chunk)"]


def test_a_sweep_over_a_buffers_size_compiles_one_program_for_each_size_once(compiled):
    fields = {**NARROW, "orders": ["buffer(3)", "buffer(5)"]}
    assert compiled(lambda: jaxsgd.sweep(study(**fields), **HELD)).count("jit(chunk)") == 2
    again = {**fields, "seeds": [1], "orders": ["buffer( 5 )", "buffer(3)"]}
    assert compiled(lambda: jaxsgd.sweep(study(**again), **HELD)) == []


def test_grouped_runs_compile_a_program_for_each_batch_count_and_nothing_for_other_values(compiled):
    counts = {"batch_counts": [2, 3]}
    names = compiled(lambda: jaxsgd.sweep(study(**{**WIDE, **counts}), vectorize="grouped"))
    assert names.count("jit(chunk)") == 2
    assert compiled(lambda: jaxsgd.sweep(study(**{**OTHERS, **counts}), vectorize="grouped")) == []


def test_a_finished_result_its_reading_and_its_verification_compile_nothing(compiled, tmp_path):
    same = study(**NARROW)
    assert "jit(chunk)" in compiled(lambda: jaxsgd.sweep(same, tmp_path / "result"))
    assert compiled(lambda: jaxsgd.sweep(same, tmp_path / "result")) == []
    assert compiled(lambda: jaxsgd.load(tmp_path / "result")) == []
    assert compiled(lambda: jaxsgd.verify(tmp_path / "result")) == []


def test_a_worker_compiles_each_program_once():
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        times = []
        for rate in (0.01, 0.02):
            ds = jaxsgd.sweep(study(**{**NARROW, "learning_rates": [rate]}), executor=pool, **HELD)
            times.append(json.loads(ds.attrs["manifest"])["times"]["compile_seconds"])
    assert times[0] > 0
    assert times[1] == 0


def test_schedules_have_a_program_each_and_batch_rules_are_data(compiled):
    rules = {"batch_rules": [{}, {"learning_rate": "sqrt", "momentum": "half_life"}], "reference_batch_count": 2}
    schedules = ["constant", "wsd(0.1, 0.2)"]
    several = study(**NARROW, schedules=schedules, **rules)
    assert compiled(lambda: jaxsgd.sweep(several, **HELD)).count("jit(chunk)") == 2
    # Other rules for the same hyperparameters, from another reference, are other values of the same data.
    rules = {"batch_rules": {"learning_rate": "linear", "momentum": "complement"}, "reference_batch_size": 6}
    assert compiled(lambda: jaxsgd.sweep(study(**NARROW, schedules=["wsd(.1, .2)"], **rules), **HELD)) == []


CHANGES = [
    {"epochs": 2},
    {"precision": "bfloat16"},
    {"schedules": "linear"},
    {"optimizer_args": {"nesterov": True}},
    {"dtype": "float64"},
    {"orders": ["flip_flop"]},
    {"problem": "tests.engine.test_compilation:counted_again"},
]


def test_another_static_part_is_another_program(compiled):
    jaxsgd.sweep(study(**NARROW), **HELD)

    def programs(changed):
        fields = {"problem": "tests.engine.test_compilation:counted", "epochs": 1, **NARROW, **changed}
        return compiled(lambda: jaxsgd.sweep(Study(**fields), **HELD)).count("jit(chunk)")

    assert [(changed, programs(changed)) for changed in CHANGES] == [(changed, 1) for changed in CHANGES]


MODULE = """
import jax.numpy as jnp
from jaxsgd import Problem

def loss(params, batch):
    return {factor} * (batch - params) ** 2

def make():
    return Problem(lambda key: jnp.zeros(()), loss, jnp.arange(4.0))
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Write a module with a loss that is multiplied by a factor, and return it imported; an edit keeps it loaded."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # two edits within a second look alike to Python's cache

    def written(factor):
        (tmp_path / "edited_problem.py").write_text(MODULE.format(factor=factor))
        importlib.invalidate_caches()
        return importlib.import_module("edited_problem")

    yield written
    sys.modules.pop("edited_problem", None)


def first_loss():
    pointed = Study(problem="edited_problem:make", batch_counts=[1], learning_rates=[0.1], epochs=1)
    return float(jaxsgd.sweep(pointed).loss.squeeze())


def test_a_module_that_was_edited_and_reloaded_runs_its_new_code(module):
    # The samples are 0, 1, 2, 3 and the parameter is 0: their mean square is 14 / 4.
    loaded = module(1)
    assert first_loss() == 3.5
    module(10)
    importlib.reload(loaded)
    assert first_loss() == 35


def test_a_problem_of_the_same_name_and_arguments_is_made_once():
    problems = [study(**fields).subject() for fields in (NARROW, WIDE)]
    assert problems[0] is problems[1]
    assert problems[0].data_fingerprint is None  # its data are drawn
    sizes = [
        Study(problem="least_squares", problem_args={"num_samples": n}, batch_counts=[1], learning_rates=[1], epochs=1)
        for n in (8, 9)
    ]
    assert sizes[0].subject() is not sizes[1].subject()


def test_a_function_that_was_defined_anew_beside_the_maker_runs_its_new_code(module):
    # As in a notebook where the cell of the loss is run again, and not that of the function that makes the problem.
    loaded = module(1)
    assert first_loss() == 3.5
    loaded.loss = lambda params, batch: 10 * (batch - params) ** 2
    assert first_loss() == 35


def test_the_cache_keeps_the_newest_programs_within_its_bounds(nothing_compiled):
    def drawing(count):
        problem = jaxsgd.Problem(
            lambda key: jnp.ones(2), lambda params, batch: batch @ params, lambda key: jnp.ones((count, 2))
        )
        return DrawSpec(Subject(problem, count, OwnArrays(None, None)), "float32", 1)

    draws = [drawing(count) for count in (1, 2, 3, 4)]
    small, large = ProgramCache(most_programs=2), ProgramCache(most_bytes=3 * PROGRAM_BYTES)
    device = jax.local_devices()[0]
    for cache, kept in ((small, 2), (large, 3)):
        for draw in draws:
            _, seconds = cache.compiled(draw, device)
            assert seconds > 0
        assert len(cache) == kept
        assert cache.compiled(draws[-1], device)[1] == 0
        assert cache.compiled(draws[0], device)[1] > 0  # the oldest had gone


def test_a_program_that_cannot_be_compiled_is_not_kept_and_its_error_is_raised_each_time():
    def init(key):
        raise ArithmeticError("no parameters today")

    problem = jaxsgd.Problem(init, lambda params, batch: batch, jnp.zeros(4))
    spec, cache = DrawSpec(Subject(problem, 4, OwnArrays(problem.data, None)), "float32", 1), ProgramCache()
    for _ in range(2):
        with pytest.raises(ArithmeticError, match="no parameters today"):
            cache.compiled(spec, jax.local_devices()[0])
        assert len(cache) == 0
