"""From a study to its cells: dimensions, their order, and which seed reaches which stream."""

import jax
import numpy as np
import pytest

import jaxsgd
from jaxsgd import Study
from jaxsgd.engine.draw_program import draw_function
from jaxsgd.engine.program import seeds as seeds_of
from jaxsgd.study.cells import cells, traced_hyperparameters
from jaxsgd.study.dimensions import dimensions, problem_settings
from jaxsgd.study.fields import StudyFields

FIELDS = {"problem": "least_squares", "problem_args": {"num_samples": 60, "num_inputs": 3}, "epochs": 2}


def study_of(**changed):
    fields = {"seeds": [0], "batch_counts": [2], "learning_rates": [0.1], **FIELDS, **changed}
    return Study(**{name: value for name, value in fields.items() if value is not None})


def cells_of(**changed):
    return cells(study_of(**changed), 60)


def names(result):
    return [dim.name for dim in result.dims]


def test_the_dimensions_in_their_order_whatever_order_they_are_given_in():
    result = cells_of(
        batch_counts=[1, 2, 3, 4, 5, 6], learning_rates=[0.1, 0.2], hyper={"momentum": [0, 0.9]},
        orders=["fixed", "reshuffle"], optimizers=["sgd", "momentum"], order_seeds=[1, 2], init_seeds=[3], data_seeds=[4, 5, 6],
        seeds=[7, 8],
    )  # fmt: skip
    assert names(result) == [
        "seed", "data_seed", "init_seed", "order_seed", "optimizer", "order", "momentum", "learning_rate", "batch_count",
    ]  # fmt: skip
    assert result.shape == (2, 3, 1, 2, 2, 2, 2, 2, 6)
    assert result.num_cells == 2 * 3 * 1 * 2 * 2 * 2 * 2 * 2 * 6


def test_seeds_come_first_and_the_batch_count_last_where_little_is_given():
    assert names(cells_of()) == ["seed", "optimizer", "order", "learning_rate", "batch_count"]
    assert names(cells_of(seeds=None)) == ["optimizer", "order", "learning_rate", "batch_count"]
    assert names(cells_of(batch_counts=None, batch_sizes=[20])) == ["seed", "optimizer", "order", "learning_rate", "batch_size"]


def test_the_cells_are_the_product_with_the_last_dimension_fastest():
    result = cells_of(seeds=[5, 3], learning_rates=[0.2, 0.1], batch_counts=[4, 1, 2])
    expected = [(seed, rate, m) for seed in (5, 3) for rate in (0.2, 0.1) for m in (4, 1, 2)]
    values = (result.values["seed"], result.values["learning_rate"], result.values["batch_count"])
    assert list(zip(*(value.tolist() for value in values), strict=True)) == expected
    assert result.batch_count.tolist() == [m for _, _, m in expected]
    assert result.rate.tolist() == [rate for _, rate, _ in expected]
    assert [result.splits[number].batch_count for number in result.split] == [m for _, _, m in expected]
    assert result.name(4) == "seed=5, optimizer=sgd, order=fixed, learning_rate=0.1, batch_count=1"


def test_batch_sizes_give_the_counts_with_and_without_the_last_batch():
    # 60 = 2 * 25 + 10.
    assert cells_of(batch_counts=None, batch_sizes=[25, 60]).batch_count.tolist() == [3, 1]
    assert cells_of(batch_counts=None, batch_sizes=[25, 60], drop_last=True).batch_count.tolist() == [2, 1]


def test_zipped_axes_vary_together_along_one_dimension_where_the_first_of_them_would_be():
    study = study_of(
        seeds=[0, 1], learning_rates=[0.1, 0.2, 0.3], hyper={"momentum": [0, 0.5, 0.9]}, zipped=[["learning_rate", "momentum"]]
    )
    result = cells(study, 60)
    assert names(result) == ["seed", "optimizer", "order", "learning_rate_momentum", "batch_count"]
    assert result.num_cells == 2 * 3
    pairs = list(zip(result.values["learning_rate"].tolist(), result.values["momentum"].tolist(), strict=True))
    assert pairs == [(0.1, 0.0), (0.2, 0.5), (0.3, 0.9)] * 2
    assert traced_hyperparameters(study, result) == ["momentum"]


def test_two_zipped_groups():
    result = cells_of(
        seeds=[0, 1], orders=["fixed", "reshuffle"], learning_rates=[0.1, 0.2], batch_counts=[2, 4],
        zipped=[["seed", "order"], ["learning_rate", "batch_count"]],
    )  # fmt: skip
    assert names(result) == ["seed_order", "optimizer", "learning_rate_batch_count"]
    axes = ("seed", "order", "learning_rate", "batch_count")
    rows = list(zip(*(result.values[axis].tolist() for axis in axes), strict=True))
    assert rows == [
        (0, "fixed", 0.1, 2), (0, "fixed", 0.2, 4), (1, "reshuffle", 0.1, 2), (1, "reshuffle", 0.2, 4),
    ]  # fmt: skip


def test_random_axes_are_drawn_together_along_a_dimension_before_the_batch_count():
    random = {"learning_rate": {"log_uniform": [1e-3, 1]}, "momentum": {"uniform": [0, 0.9]}}
    study = study_of(seeds=[0, 1], learning_rates=None, random=random, draws=3, batch_counts=[2, 4])
    result = cells(study, 60)
    assert names(result) == ["seed", "optimizer", "order", "draw", "batch_count"]
    (draw,) = (dim for dim in result.dims if dim.name == "draw")
    assert set(draw.values) == {"learning_rate", "momentum"}
    # The same three pairs for every seed and batch count.
    table = result.rate.reshape(2, 3, 2)
    np.testing.assert_array_equal(table, np.broadcast_to(draw.values["learning_rate"][None, :, None], (2, 3, 2)))
    assert traced_hyperparameters(study, result) == ["momentum"]


def test_the_arguments_of_the_problem_in_the_cells_are_each_listed_once():
    axes = {"num_inputs": [3, 2], "noise": [1.0, 0.5]}
    study = study_of(problem_args={"num_samples": 60}, problem_axes=axes, seeds=[0, 1])
    result = cells(study, 60)
    assert names(result) == ["seed", "noise", "num_inputs", "optimizer", "order", "learning_rate", "batch_count"]
    assert traced_hyperparameters(study, result) == []
    args, of_cell = problem_settings(study, study.problem_axis_names)
    assert args == [{"noise": noise, "num_inputs": inputs} for noise in (1.0, 0.5) for inputs in (3, 2)]
    assert of_cell.tolist() == [0, 1, 2, 3, 0, 1, 2, 3]
    random = {"num_inputs": {"choice": [3, 2]}}
    drawn_study = study_of(problem_args={"num_samples": 60}, random=random, draws=20)
    drawn = problem_settings(drawn_study, drawn_study.problem_axis_names)
    assert sorted(args["num_inputs"] for args in drawn.args) == [2, 3]
    assert all(isinstance(args["num_inputs"], int) for args in drawn.args)


def test_a_whole_number_is_the_same_value_beside_whole_numbers_and_others():
    fields = {"seeds": [0], "batch_counts": [2], "learning_rates": [0.1], **FIELDS}
    studies = [StudyFields(**fields, problem_axes={"noise": values}) for values in ([1, 2], [1.0, 2], [1, 0.5])]
    keys = [set(cells(study, 60).keys()) for study in studies]
    assert keys[0] == keys[1]
    assert len(keys[0] & keys[2]) == 1


def test_random_batch_counts_are_drawn_along_the_last_dimension():
    result = cells_of(batch_counts=None, random={"batch_count": {"choice": [2, 4, 8]}}, draws=5)
    assert names(result) == ["seed", "optimizer", "order", "learning_rate", "draw"]
    assert set(result.batch_count.tolist()) <= {2, 4, 8}


def test_dimensions_need_no_look_up_of_the_problem():
    study = Study(seeds=range(3), batch_counts=[2], learning_rates=[0.1], **FIELDS)
    assert [dim.length for dim in dimensions(study)] == [3, 1, 1, 1, 1]


def test_a_streams_own_seeds_take_the_place_of_the_common_ones():
    result = cells_of(seeds=[10, 11], init_seeds=[20, 21])
    assert result.seeds("data").tolist() == [10, 10, 11, 11]
    assert result.seeds("order").tolist() == [10, 10, 11, 11]
    assert result.seeds("init").tolist() == [20, 21, 20, 21]
    assert cells_of(seeds=None).seeds("data").tolist() == [0]


def drawn(seed, **changed):
    """Initial parameters and data of the cells of a study with `seed` as its only seed of data and of parameters."""
    fields = {"batch_counts": [2], "learning_rates": [0.1], **FIELDS, "problem": "noisy_quadratic", **seed, **changed}
    study = Study(**{name: value for name, value in fields.items() if value is not None})
    result = cells(study, 60)
    begun = jax.vmap(draw_function(study.subject()))(seeds_of(result, np.arange(result.num_cells)))
    return np.asarray(begun.params), np.asarray(begun.data)


CHANGES = [
    {},
    {"order_seeds": [9]},
    {"orders": ["reshuffle"], "batch_counts": [5], "learning_rates": [0.7]},
    {"optimizer": "adam", "batch_counts": None, "batch_sizes": [7], "epochs": 3, "record": "epoch"},
]


@pytest.mark.parametrize("seed", [{"seeds": [4]}, {"data_seeds": [4], "init_seeds": [4]}], ids=["together", "apart"])
def test_a_seed_has_the_same_data_and_initial_parameters_whatever_else_is_in_the_study(seed):
    problem = jaxsgd.problems.noisy_quadratic(60, 3)
    keys = jaxsgd.streams(jax.random.key(4))
    for changed in CHANGES:
        params, data = drawn(seed, **changed)
        np.testing.assert_array_equal(params[0], problem.init(keys.init))
        np.testing.assert_array_equal(data[0], problem.sample_data(keys.data))


def test_data_seeds_change_only_the_data_and_init_seeds_only_the_initial_parameters():
    params, data = drawn({"data_seeds": [1, 2], "init_seeds": [1, 2]})
    # The cells are (1, 1), (1, 2), (2, 1), (2, 2).
    for first, other, same_data, same_params in [
        (0, 1, True, False),
        (0, 2, False, True),
        (1, 3, False, True),
        (2, 3, True, False),
    ]:
        assert np.array_equal(data[first], data[other]) == same_data
        assert np.array_equal(params[first], params[other]) == same_params
