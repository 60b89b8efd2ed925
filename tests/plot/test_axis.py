"""Axes of a result in words, and numbers in few letters."""

import numpy as np
import pytest

import jaxsgd
from jaxsgd.plot.axis import find_axis, open_axes, problem_name, seed_texts, setting, table, value_text
from jaxsgd.plot.facets import check_room
from jaxsgd.plot.scale import short_number, three_digits
from jaxsgd.results.axes import selected

MINUS = "\N{MINUS SIGN}"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (10, "10"), (0.001, "0.001"), (1e-4, "10⁻⁴"), (3.2e-4, "3.2 \N{MULTIPLICATION SIGN} 10⁻⁴"), (0.0316227, "0.0316"),
        (1.0, "1"), (1000.0, "1000"), ("adam", "adam"), ("package.module:schedule", "schedule"),
        (np.float64(0.5), "0.5"), (np.int64(3), "3"),
    ],
)  # fmt: skip
def test_values_of_axes_in_few_letters(value, text):
    assert value_text(value) == text


@pytest.mark.parametrize(
    ("value", "short", "three"),
    [
        (0.05, "0.05", "0.0500"), (1.9, "1.9", "1.90"), (-2e-5, f"{MINUS}2e{MINUS}5", f"{MINUS}2e{MINUS}5"), (0.0, "0", "0.00"),
        (3.04e35, "3.04e35", "3.04e35"), (250.0, "250", "250"), (12.34, "12.34", "12.3"), (0.1 + 0.2, "0.3", "0.300"),
    ],
)  # fmt: skip
def test_numbers_in_few_letters(value, short, three):
    assert (short_number(value), three_digits(value)) == (short, three)


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
    with pytest.raises(jaxsgd.InputError, match="64 rows and 1 columns of panels are more than 40 and 10"):
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
