"""What is compiled: one training program for each optimizer and order, however many cells there are."""

import logging

import jax
import jax.numpy as jnp
import pytest

import jaxsgd
from jaxsgd import Study
from jaxsgd.engine.planner import plan
from jaxsgd.problems import least_squares

TRACES = []
"""One entry each time that the loss of `counted` is traced."""

WIDE = {
    "seeds": range(6),
    "batch_counts": [1, 2, 3, 4, 6],
    "learning_rates": [0.01, 0.02, 0.03],
    "hyper": {"momentum": [0, 0.5, 0.9]},
}
NARROW = {"seeds": [0], "batch_counts": [2, 3], "learning_rates": [0.01], "hyper": {"momentum": [0.5]}}
HELD = {"vectorize": "one_program", "chunk_width": 6}


def counted():
    problem = least_squares(num_samples=12, num_inputs=2)

    def loss(params, batch):
        TRACES.append(1)
        return problem.loss(params, batch)

    return jaxsgd.Problem(lambda key: jnp.ones(2), loss, problem.data)


def study(**fields):
    return Study(problem="tests.engine.test_compilation:counted", epochs=1, **fields)


@pytest.fixture
def compiled(caplog):
    """Sweeps, and gives the names of what XLA compiled meanwhile."""
    jax.config.update("jax_log_compiles", True)

    def during(sweep):
        caplog.clear()
        with caplog.at_level(logging.WARNING, logger="jax"):
            sweep()
        said = [record.getMessage() for record in caplog.records]
        return [text.split()[4] for text in said if text.startswith("Finished XLA compilation of ")]

    yield during
    jax.config.update("jax_log_compiles", False)


def traced(sweep):
    """How often the loss was traced, none of it remembered from before."""
    jax.clear_caches()
    TRACES.clear()
    sweep()
    return len(TRACES)


def test_the_number_of_traces_does_not_grow_with_seeds_batch_counts_rates_or_momenta():
    few, many = study(**NARROW), study(**WIDE)  # made before, for a new study traces a step to check it
    narrow = traced(lambda: jaxsgd.sweep(few, **HELD))
    assert narrow > 0
    assert traced(lambda: jaxsgd.sweep(many, **HELD)) == narrow


@pytest.mark.slow
def test_traces_grow_by_the_same_number_for_each_optimizer_and_order():
    def with_programs(optimizers, orders):
        made = study(**NARROW, optimizers=optimizers, orders=orders)
        assert len(plan(made, **HELD).programs) == len(optimizers) * len(orders)
        return traced(lambda: jaxsgd.sweep(made, **HELD))

    one = with_programs(["sgd"], ["fixed"])
    two = with_programs(["sgd"], ["fixed", "flip_flop"])
    four = with_programs(["sgd", "nesterov"], ["fixed", "flip_flop"])
    assert two - one > 0
    # From two programs to four, as much twice over.
    assert four - two == 2 * (two - one)


def test_xla_compiles_one_training_program_for_each_optimizer_and_order_and_one_draw(compiled):
    made = study(**WIDE, optimizers=["sgd", "nesterov"], orders=["fixed", "flip_flop"])
    names = compiled(lambda: jaxsgd.sweep(made, **HELD))
    assert names.count("jit(chunk)") == len(plan(made, **HELD).programs) == 4
    # The only other program of the sweep is the one that draws data and initial parameters.
    assert len([name for name in names if "lambda" in name]) == 1


def test_grouped_runs_compile_a_program_for_each_batch_count(compiled):
    names = compiled(lambda: jaxsgd.sweep(study(**NARROW), vectorize="grouped"))
    assert names.count("jit(chunk)") == 2


def test_a_finished_result_compiles_nothing(compiled, tmp_path):
    made = study(**NARROW)
    assert "jit(chunk)" in compiled(lambda: jaxsgd.sweep(made, tmp_path / "result"))
    assert compiled(lambda: jaxsgd.sweep(made, tmp_path / "result")) == []
    assert compiled(lambda: jaxsgd.load(tmp_path / "result")) == []
