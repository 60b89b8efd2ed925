"""The parameters as observables."""

import jax
import numpy as np
import pytest

import jaxsgd
from jaxsgd.context import Context
from jaxsgd.measure import deviation, weights

KEY = jax.random.key(0)


def context(problem, optimum=None):
    return Context(problem, problem.sample_data(KEY), None, None, None, None, optimum, None)


def test_all_parameters_stand_in_one_row():
    problem = jaxsgd.problems.deep_linear(num_samples=2, num_inputs=2, num_hidden=3)
    first, last = problem.init(KEY)
    np.testing.assert_array_equal(weights([first, last], context(problem)), [*np.ravel(first), *np.ravel(last)])


def test_the_deviation_is_measured_from_the_optimum_of_the_runs_own_data():
    problem = jaxsgd.problems.least_squares(20, 3)
    optimum = problem.optimum(problem.sample_data(KEY))
    np.testing.assert_allclose(deviation(optimum + 2, context(problem, optimum)), [2, 2, 2], rtol=1e-6)


@pytest.mark.parametrize("name", ["weights", "deviation"])
def test_a_study_measures_them_by_name(name):
    study = jaxsgd.Study(
        problem="least_squares",
        problem_args={"num_samples": 12, "num_inputs": 3},
        seeds=[0],
        batch_counts=[2],
        learning_rates=[0.1],
        epochs=2,
        observe=[f"jaxsgd.measure.weights:{name}"],
    )
    ds = jaxsgd.sweep(study)
    assert ds[name].sizes["parameter"] == 3
    assert ds[name].attrs["units"] == "parameters"
