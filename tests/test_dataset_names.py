"""The names that a user reads in results and types in calls.

No variable of a Dataset has the name of one of xarray's methods, so that `ds.name` is always the variable, and arguments that
mean one thing have one name.
"""

import inspect

import pytest
import xarray as xr

import jaxsgd
from jaxsgd import Study
from jaxsgd.cli import compare_command, measure_command

FIELDS = {
    "problem": "least_squares", "problem_args": {"num_samples": 12, "num_inputs": 2}, "held_out": 0.25, "batch_counts": [1, 3],
    "orders": ["fixed", "reshuffle"], "learning_rates": [0.01, 0.1], "epochs": 4,
}  # fmt: skip


@pytest.fixture(scope="module")
def datasets(tmp_path_factory):
    """Return the Dataset of each public function that returns one, for a small result, by the function's name."""
    folder = tmp_path_factory.mktemp("names") / "result"
    ds = jaxsgd.sweep(Study(**FIELDS, seeds=range(3)), folder)
    # In one of the programs of the first sweep: it has as many cells of one order.
    fields = FIELDS | {"orders": ["reshuffle"], "learning_rates": [0.1]}
    apart = jaxsgd.sweep(Study(**fields, data_seeds=[0, 1], order_seeds=[0, 1, 2]))
    single = ds.sel(batch_count=[3])
    return {
        "sweep": ds,
        "load": jaxsgd.load(folder),
        "views": jaxsgd.views(ds),
        "best": jaxsgd.best(ds),
        "compare": jaxsgd.compare(ds, "order"),
        "tune": jaxsgd.tune(ds, 2),
        "benchmark": jaxsgd.benchmark({"first": single, "second": single}, "order", tuning_seeds=2),
        "scaling": jaxsgd.scaling(ds, float(ds.loss_epoch.max()), "loss_epoch"),
        "seed_variance": jaxsgd.seed_variance(apart),
        "run_noise": jaxsgd.run_noise(single.isel(order=1, learning_rate=1), [0, 3]),
    }


def test_every_public_function_that_returns_a_dataset_is_here(datasets):
    functions = {name: getattr(jaxsgd, name) for name in dir(jaxsgd) if inspect.isfunction(getattr(jaxsgd, name))}
    returned = {name: inspect.signature(f, eval_str=True).return_annotation for name, f in functions.items()}
    assert set(datasets) == {name for name, kind in returned.items() if kind is xr.Dataset}


def test_no_variable_or_coordinate_has_the_name_of_a_method(datasets):
    for function, ds in datasets.items():
        taken = [name for name in ds.variables if hasattr(xr.Dataset, str(name)) or hasattr(xr.DataArray, str(name))]
        assert not taken, f"{function}: {taken}"
        assert ds.data_vars


OTHER_NAMES = {"value": "metric", "by": "tune or axis", "level": "confidence"}
"""Names that no argument has that means a metric, an axis or a confidence level, and the right ones."""


def arguments(function):
    return list(inspect.signature(function).parameters)


def test_arguments_of_functions_of_results_that_mean_one_thing_have_one_name():
    functions = {name: getattr(jaxsgd.analysis, name) for name in jaxsgd.analysis.__all__}
    of_results = {
        name: arguments(f) for name, f in functions.items() if inspect.isfunction(f) and arguments(f)[0] in ("ds", "results")
    }
    names = {"best", "tune", "benchmark", "collapse", "compare", "performance_profile", "scaling", "seed_variance", "run_noise"}
    names |= {"seeds_for_rank", "over_seeds"}
    assert set(of_results) == names
    assert {name: own for name, own in of_results.items() if OTHER_NAMES.keys() & set(own)} == {}
    assert all("metric" in own for name, own in of_results.items() if name != "run_noise")
    levels = [name for name, f in functions.items() if inspect.isfunction(f) and "level" in arguments(f)]
    assert levels == []


@pytest.mark.parametrize("command", [compare_command.compare, measure_command.measure])
def test_options_have_the_names_of_the_arguments(command):
    assert {"metric", "tune"} <= set(arguments(command))
    assert not OTHER_NAMES.keys() & set(arguments(command))


def test_attributes_of_answers_have_the_names_of_the_arguments(datasets):
    for name in ("best", "compare", "benchmark", "scaling", "seed_variance"):
        attrs = datasets[name].attrs
        assert attrs["metric"] in ("validation_loss", "loss_epoch")
        assert not OTHER_NAMES.keys() & set(attrs)
    assert datasets["benchmark"].attrs["tune"] == datasets["scaling"].attrs["tune"] == "learning_rate"
    assert datasets["best"].attrs["confidence"] == datasets["scaling"].attrs["confidence"] == 0.95
