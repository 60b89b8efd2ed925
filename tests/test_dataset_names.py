"""No variable of a Dataset bears the name of one of xarray's methods, so that `ds.name` always is the variable."""

import inspect

import pytest
import xarray as xr

import jaxsgd
from jaxsgd import Study

FIELDS = {
    "problem": "least_squares", "problem_args": {"num_samples": 12, "num_inputs": 2}, "held_out": 0.25, "batch_counts": [1, 3],
    "orders": ["fixed", "reshuffle"], "learning_rates": [0.01, 0.1], "epochs": 4,
}  # fmt: skip


@pytest.fixture(scope="module")
def datasets(tmp_path_factory):
    """What each public function that returns a Dataset makes of a small result, by the function's name."""
    folder = tmp_path_factory.mktemp("names") / "result"
    ds = jaxsgd.sweep(Study(**FIELDS, seeds=range(3)), folder)
    apart = jaxsgd.sweep(Study(**FIELDS, data_seeds=[0, 1], order_seeds=[0, 1, 2]))
    one = ds.sel(batch_count=[3])
    return {
        "sweep": ds,
        "load": jaxsgd.load(folder),
        "views": jaxsgd.views(ds),
        "best": jaxsgd.best(ds),
        "compare": jaxsgd.compare(ds, "order"),
        "tune": jaxsgd.tune(ds, 2),
        "benchmark": jaxsgd.benchmark({"first": one, "second": one}, "order", tuning_seeds=2),
        "scaling": jaxsgd.scaling(ds, float(ds.loss_epoch.max()), "loss_epoch"),
        "seed_variance": jaxsgd.seed_variance(apart),
        "run_noise": jaxsgd.run_noise(one.isel(order=1, learning_rate=1), [0, 3]),
    }


def test_every_public_function_that_returns_a_dataset_is_here(datasets):
    functions = {name: getattr(jaxsgd, name) for name in dir(jaxsgd) if inspect.isfunction(getattr(jaxsgd, name))}
    assert set(datasets) == {name for name, f in functions.items() if inspect.signature(f).return_annotation is xr.Dataset}


def test_no_variable_or_coordinate_has_the_name_of_a_method(datasets):
    for function, ds in datasets.items():
        taken = [name for name in ds.variables if hasattr(xr.Dataset, str(name)) or hasattr(xr.DataArray, str(name))]
        assert not taken, f"{function}: {taken}"
        assert ds.data_vars
