"""The estimated time of a plan: from constants without compiling, and from chunks whose programs the run then uses."""

import numpy as np

from jaxsgd import Study
from jaxsgd.engine.estimate import estimate, probe
from jaxsgd.engine.execution import Execution, workers
from jaxsgd.engine.plan import RANDOM_NUMBER_FLOPS, plan
from jaxsgd.engine.program_cache import PROGRAM_BYTES, PROGRAMS
from jaxsgd.engine.speed import OBSERVABLE_EQUATION_COMPILE_SECONDS, USUAL
from jaxsgd.memory import peak_memory, process_memory

STUDY = Study(
    problem="least_squares", problem_args={"num_samples": 30, "num_inputs": 3}, seeds=range(4), batch_counts=[1, 3, 5],
    learning_rates=[0.1], epochs=3,
)  # fmt: skip


def test_an_estimate_from_constants_compiles_nothing_and_counts_the_process(nothing_compiled):
    planned = plan(STUDY)
    expected = estimate(planned)
    assert len(PROGRAMS) == 0
    assert (expected.probed, expected.seconds) == (0, planned.seconds)
    # Each of the programs, the one that draws among them, and no less than this process has now.
    assert expected.memory_bytes > (len(planned.programs) + 1) * PROGRAM_BYTES + planned.memory_bytes + 2**20 * 50
    # The system counts the peak and the size of now apart, to a megabyte or so.
    programs = (len(planned.programs) + 1) * PROGRAM_BYTES
    assert expected.memory_bytes <= 1.05 * peak_memory() + programs + planned.memory_bytes


def test_an_estimate_counts_the_compiling_of_the_observables():
    def compiling(**observed):
        return plan(STUDY.replaced(**observed)).compile_seconds - plan(STUDY).compile_seconds

    # An iteration has the Hessian's product with a vector, a gradient of the loss and its derivative: dozens of operations.
    sharpness, norm = compiling(observe=["sharpness"]), compiling(observe=["gradient_norm"])
    assert sharpness > 50 * OBSERVABLE_EQUATION_COMPILE_SECONDS
    # Two may share some operations of their context.
    assert sharpness < compiling(observe=["sharpness", "gradient_norm"]) < 1.01 * (sharpness + norm)
    # What is measured before steps is compiled besides what is measured after epochs.
    assert compiling(observe=["sharpness"], observe_every=2, observe_batches=["gradient_norm"]) > sharpness
    assert compiling(evaluate_every=0.5) > 0 == compiling(eval_interval=2)


def test_an_estimate_counts_each_measurement_of_an_observable():
    fields = {"problem": "square_regression", "batch_counts": [5], "epochs": 40}

    def seconds(**observed):
        return plan(STUDY.replaced(problem_args={}, **fields, **observed)).cell_seconds.mean()

    alone = seconds()
    # The gradient of all samples takes as much as a pass of the training without its updates.
    assert 1.5 < seconds(observe=["gradient_norm"]) / alone < 2.5
    every, fourth = (seconds(observe=["sharpness"], observe_every=every) - alone for every in (1, 4))
    assert every > 10 * alone
    # 40 epochs, and 10 of them.
    np.testing.assert_allclose(every / fourth, 4, rtol=1e-6)
    before_steps = seconds(observe=["gradient_norm"], observe_every=4, observe_batches=["sharpness"])
    # Sharpness before each of the 5 steps, and the length of the gradient after them.
    np.testing.assert_allclose(before_steps - alone, 5 * fourth, rtol=0.05)
    # The gradients of the batches of an epoch are a pass over the samples together, and the run has 40 passes.
    batch_gradients = seconds(observe=["parameter_norm"], observe_every=4, observe_batches=["batch_gradient_norm"])
    np.testing.assert_allclose(batch_gradients - alone, alone / 4, rtol=0.05)
    lengths = seconds(observe=["parameter_norm"], observe_every=4, observe_batches=["parameter_norm"])
    assert lengths - alone < 0.01 * (batch_gradients - alone)


def test_an_estimate_counts_the_drawing_of_the_data():
    def seconds(epochs):
        wide = STUDY.replaced(problem_args={"num_samples": 4096, "num_inputs": 10}, batch_counts=[1], epochs=epochs)
        return plan(wide).cell_seconds.mean()

    epoch = seconds(2) - seconds(1)
    # 4,096 samples of ten inputs and a target take longer to draw than to train on for one epoch.
    np.testing.assert_allclose(seconds(1) - epoch, 4096 * 11 * RANDOM_NUMBER_FLOPS / USUAL.flops, rtol=0.1)
    assert seconds(1) > 5 * epoch


def test_what_a_probe_compiles_the_run_finds_compiled(nothing_compiled):
    planned = plan(STUDY, vectorize="grouped")
    expected = probe(planned)
    assert expected.probed == len(planned.programs) == 3
    assert 0 < expected.seconds < np.inf
    assert expected.memory_bytes >= process_memory() * 0.5
    execution = Execution(planned)
    for number in range(len(planned.chunks)):
        execution.run(number, workers()[0])
    assert execution.compile_seconds == 0
    # Nothing is compiled now, so a second probe tells the time of the chunks alone: less than with compiling.
    assert probe(planned).seconds < expected.seconds
