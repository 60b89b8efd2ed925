"""Axes of a result in words."""

import numpy as np
import pytest
import xarray as xr

import jaxsgd
from jaxsgd.plot.axis import Axis, find_axis, metric_label, open_axes, problem_name, seed_texts, setting, table
from jaxsgd.plot.facets import check_room
from jaxsgd.results.axes import selected


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("loss_epoch", "training loss (nats)"),
        ("validation_loss", "validation loss (nats)"),
        ("stripe_gap", "stripe gap (nats)"),
        ("validation_accuracy", "validation accuracy (share)"),
        ("stripe_index", "stripe index (share of variance)"),
        ("distance", "distance from the optimum"),
        ("stopped_step", "steps to the target"),
        ("noise_scale", "noise scale (samples)"),
        ("gradient_norm", "gradient norm (loss per parameter)"),
        ("sharpness", "sharpness (loss per parameter\N{SUPERSCRIPT TWO})"),
        # Of the user's own, as the result describes it.
        ("temperature", "temperature (kelvin)"),
    ],
)
def test_metrics_are_labelled_with_their_words_and_units(name, label):
    variables = {"validation_loss": 0.0, "temperature": ((), 0.0, {"units": "kelvin"})}
    assert metric_label(xr.Dataset(variables, attrs={"manifest": '{"loss_unit": "nats"}'}), name) == label


def test_without_a_unit_of_the_loss_only_other_metrics_say_that_they_are_losses():
    labels = [metric_label(xr.Dataset(), name) for name in ("loss_epoch", "train_loss", "stripe_gap")]
    assert labels == ["loss", "training loss", "stripe gap (loss)"]


def test_headings_say_what_lies_beside(striped, apart):
    assert find_axis(striped, "batch_count").heading(3) == "m = 10 (B = 20)"
    assert find_axis(striped, "batch_size").heading(3) == "B = 20 (m = 10)"
    assert find_axis(apart, "learning_rate").heading(1) == "learning rate 0.1 (momentum 0.9)"
    assert find_axis(striped, "order").heading(0) == "fixed"


def test_open_axes_are_those_with_several_values_but_seeds(striped, apart):
    assert [axis.name for axis in open_axes(striped)] == ["order", "batch_count"]
    assert [axis.name for axis in open_axes(apart)] == ["learning_rate", "batch_size"]
    assert [axis.name for axis in open_axes(apart, ("batch_size",))] == ["learning_rate"]


def test_selected_numbers_may_be_text_as_printed(striped):
    assert selected(striped, {"batch_count": "10"}).sizes["batch_count"] == 1
    assert selected(striped, {"batch_count": [10, "20"], "seed": 2}).sizes["batch_count"] == 2
    moved = striped.assign_coords(learning_rate=[0.7494178])
    # %g of it, as messages show it.
    assert selected(moved, {"learning_rate": "0.749418"}).sizes["learning_rate"] == 1
    assert selected(striped, None) is striped


def test_all_seeds_are_one_axis_in_the_order_of_their_names(apart):
    values = table(apart, "loss_epoch", ["batch_size", "learning_rate_momentum"])
    assert values.shape == (2, 2, 6, 4)
    names = seed_texts(apart, ["batch_size", "learning_rate_momentum"])
    place = names.index("data seed 1, init seed 2")
    run = apart.loss_epoch.sel(data_seed=1, init_seed=2, batch_size=60).isel(learning_rate_momentum=1).squeeze().values
    np.testing.assert_array_equal(values[1, 1, place], run)


def test_too_many_panels_are_refused_before_they_are_drawn():
    check_room(40, 10)
    with pytest.raises(jaxsgd.InputError, match="would have 64 rows and 1 columns of panels, and has room for 40 and 10"):
        check_room(64, 1)


@pytest.mark.parametrize(
    ("pointer", "own", "name"),
    [
        ("my_module:make", "two moons", "two moons"),
        ("my_module:make", "problem", "my_module:make"),  # it was given no name
        ("my_module:make", None, "my_module:make"),  # a result of before names were kept
        ("digits", "digits", "digits"),
    ],
)
def test_a_problem_is_called_by_its_own_name(pointer, own, name):
    assert problem_name(pointer, own) == name


def test_a_result_keeps_the_name_of_its_problem():
    ds = jaxsgd.sweep(
        jaxsgd.Study(problem="tests.study_parts:named", batch_counts=[1], learning_rates=[0.1], epochs=1, orders=["fixed"])
    )
    assert setting(ds, ()).startswith("two moons, 4 samples")


@pytest.mark.parametrize(
    ("name", "words"),
    [("cosine", "cosine schedule"), ("my_parts:decay", "decay schedule"), ("my_parts:my_schedule", "my_schedule")],
)
def test_a_schedule_is_called_one_once(name, words):
    axis = Axis("schedule", "schedule", np.array([name]), {})
    assert axis.phrase(0) == words
