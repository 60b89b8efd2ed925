"""The plan: the same each time, every cell once, and what a caller overrides is held."""

import itertools
import re

import numpy as np
import pytest

from jaxsgd import InputError, Study, sweep
from jaxsgd.engine.plan import MEMORY_SHARE, Plan, _width, lanes_within, plan
from jaxsgd.memory import machine_memory

FIELDS = {"problem": "least_squares", "problem_args": {"num_samples": 60}, "learning_rates": [0.1], "epochs": 2}


def study(**changed):
    fields = {**FIELDS, "seeds": range(5), "batch_counts": [1, 2, 3], "orders": ["fixed", "reshuffle"], **changed}
    return Study(**{name: value for name, value in fields.items() if value is not None})


def plain(planned):
    """A plan as values that can be compared."""
    chunks = [(chunk.program, chunk.cells.tolist()) for chunk in planned.chunks]
    programs = [program._replace(cells=program.cells.tolist()) for program in planned.programs]
    rest = (planned.width, planned.lanes, planned.micro_size, planned.seconds, planned.run_bytes, planned.result_bytes)
    return chunks, programs, rest


@pytest.mark.parametrize("vectorize", ["auto", "one_program", "grouped"])
def test_the_same_study_has_the_same_plan(vectorize):
    assert plain(plan(study(), vectorize=vectorize)) == plain(plan(study(), vectorize=vectorize))


@pytest.mark.parametrize("vectorize", ["auto", "one_program", "grouped"])
@pytest.mark.parametrize("width", [None, 1, 4, 7, 1000])
@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"batch_counts": [60]},
        {"batch_counts": None, "batch_sizes": [7, 20, 60]},
        {"seeds": range(2), "optimizers": ["sgd", "adam", "lion"]},
        {"batch_counts": None, "random": {"batch_count": {"choice": [2, 3, 5]}}, "draws": 9},
    ],
    ids=["counts", "one count", "sizes", "optimizers", "random counts"],
)
def test_chunks_hold_every_cell_exactly_once_within_its_own_program_and_no_more_than_the_width(vectorize, width, changed):
    planned = plan(study(**changed), vectorize=vectorize, chunk_width=width)
    numbers = np.concatenate([chunk.cells for chunk in planned.chunks])
    np.testing.assert_array_equal(np.sort(numbers), np.arange(planned.cells.num_cells))
    for chunk in planned.chunks:
        program = planned.programs[chunk.program]
        assert 1 <= len(chunk.cells) <= planned.width
        assert np.isin(chunk.cells, program.cells).all()
        assert set(planned.cells.values["order"][chunk.cells]) == {program.order}
        assert set(planned.cells.values["optimizer"][chunk.cells]) == {program.optimizer}
        if program.split:
            assert {planned.cells.splits[number] for number in planned.cells.split[chunk.cells]} == {program.split}
    if width:
        assert planned.width == width


@pytest.mark.parametrize(("vectorize", "count"), [("one_program", 2 * 3), ("grouped", 2 * 3 * 4)])
def test_programs_are_one_for_each_optimizer_and_order_and_when_grouped_for_each_batch_count(vectorize, count):
    planned = plan(
        study(batch_counts=[1, 2, 3, 4], optimizers=["sgd", "adam", "lion"], learning_rates=[0.1, 0.2]), vectorize=vectorize
    )
    assert len(planned.programs) == count
    assert planned.vectorize == vectorize
    assert all((program.split is None) == (vectorize == "one_program") for program in planned.programs)


def test_auto_groups_a_single_batch_count_for_there_is_nothing_to_share():
    assert plan(study(batch_counts=[3])).vectorize == "grouped"


@pytest.mark.parametrize(
    ("how", "settings"),
    [
        ({"vectorize": "grouped", "chunk_width": 6, "lanes": 3}, ("grouped", 6, 3, None)),
        ({"vectorize": "one_program", "chunk_width": 6, "lanes": 2, "micro_size": 5}, ("one_program", 6, 2, 5)),
        # More lanes than the chunk is wide are as many as it is wide.
        ({"vectorize": "grouped", "chunk_width": 3, "lanes": 64}, ("grouped", 3, 3, None)),
        ({"vectorize": "grouped", "chunk_width": 1}, ("grouped", 1, 1, None)),
    ],
)
def test_overrides_are_held(how, settings):
    planned = plan(study(), **how)
    assert tuple(planned.settings().values()) == settings
    assert (planned.vectorize, planned.width, planned.lanes, planned.micro_size) == settings


@pytest.mark.parametrize("runs", [2, 5, 9, 64, 77, 100, 512])
def test_no_core_waits_for_padded_chunks(runs, monkeypatch):
    """4 seconds are about twenty of these runs: 64 of them are 4 chunks of 16, and not 3 of 20 and one of 4."""
    monkeypatch.setattr("jaxsgd.engine.plan.threads", lambda: 2)
    network = {"problem": "square_regression", "problem_args": None, "epochs": 20}
    planned = plan(study(**network, seeds=range(runs), batch_counts=[10], orders=["fixed"]))
    rounds = -(-len(planned.chunks) // 2)
    # Of the even half, one group of lanes more, and of long studies a fifth at most.
    assert runs / 2 <= rounds * planned.width <= max(runs / 2 + planned.lanes, 0.6 * runs)
    if runs == 64:
        assert (len(planned.chunks), planned.width) == (4, 16)


@pytest.mark.parametrize(("runs", "width"), [(64, 64), (1024, 1024), (1500, 750), (4096, 1024), (4097, 820)])
def test_chunks_of_an_accelerator_are_even_and_no_wider_than_its_lanes(runs, width):
    program = plan(study()).programs[0]._replace(cells=np.arange(runs))
    # Two threads take turns on the one device; a program is not divided between them.
    assert _width([program], run_seconds=1e-3, run_bytes=1000, lanes=1024, on_cpu=False) == width


@pytest.mark.parametrize("width", [1, 5, 7, 9, 10, 11])
def test_lanes_divide_the_width_so_that_every_group_of_lanes_is_the_same_computation(width):
    planned = plan(study(), vectorize="one_program", chunk_width=width)
    assert width % planned.lanes == 0


def test_lanes_within_is_the_largest_divisor_up_to_a_limit():
    for width, most in itertools.product(range(1, 30), range(1, 40)):
        assert lanes_within(width, most) == max(lanes for lanes in range(1, most + 1) if width % lanes == 0)


@pytest.mark.parametrize("vectorize", ["one_program", "grouped"])
def test_what_is_held_gives_the_plan_again(vectorize):
    planned = plan(study(), vectorize=vectorize)
    assert plain(plan(study(), **planned.settings())) == plain(planned)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"vectorize": "groups"}, "vectorize must be auto, one_program or grouped, got 'groups'"),
        ({"chunk_width": 0}, "chunk_width must be a whole number of at least 1, got 0"),
        ({"lanes": -1}, "lanes must be a whole number of at least 1, got -1"),
        ({"micro_size": 0}, "micro_size must be a whole number of at least 1, got 0"),
        ({"chunk_width": 6, "lanes": 4}, "lanes must divide chunk_width, got lanes=4, chunk_width=6"),
    ],
)
def test_settings_that_cannot_be_are_refused(how, message):
    with pytest.raises(InputError) as caught:
        plan(study(), **how)
    assert str(caught.value) == message


def test_the_estimates_grow_with_what_is_asked_for():
    few, many = plan(study(), chunk_width=4), plan(study(seeds=range(50), epochs=20), chunk_width=4)
    assert 0 < few.seconds < many.seconds
    assert 0 < few.memory_bytes < many.memory_bytes
    # 30 cells of 2 epochs: 3 batch losses, an epoch's mean, distance from the optimum and excess loss each, of 4 bytes.
    assert few.result_bytes == 30 * 2 * (3 + 1 + 2) * 4
    assert plan(study(record="epoch")).result_bytes == 30 * 2 * (1 + 2) * 4
    unknown = {"problem": "square_regression", "problem_args": {"num_samples": 60, "num_hidden": 2}}
    assert plan(study(record="epoch", **unknown)).result_bytes == 30 * 2 * 4
    assert isinstance(few, Plan)


@pytest.mark.parametrize(("record", "hint"), [("batch", "record='epoch'"), ("epoch", "run fewer cells or epochs")])
def test_a_study_that_cannot_fit_into_memory_is_refused_before_it_runs(record, hint, tmp_path):
    # 1e12 epochs of one float32 are 4 TB.
    huge = Study(problem="least_squares", batch_counts=[1], learning_rates=[0.1], epochs=10**12, record=record)
    with pytest.raises(InputError, match=r"needs about [\d,.]+ GiB of memory, and the machine has") as error:
        sweep(huge, tmp_path / "result")
    assert hint in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_chunks_are_narrower_where_a_cell_takes_more_memory():
    # A cell that keeps 1/1000 of the machine's memory: at most MEMORY_SHARE of it is in hand on all cores together.
    epochs = machine_memory() // 4000
    study = Study(problem="least_squares", seeds=range(5000), batch_counts=[1], learning_rates=[0.1], epochs=epochs)
    planned = plan(study)
    assert planned.width <= MEMORY_SHARE * 1000


def rises(progress):
    return 0.2 + progress


def falls_below_zero(progress):
    return 0.5 - progress


def test_a_schedule_of_ones_own_that_makes_a_rate_negative_is_refused_with_the_time():
    def with_schedule(name):
        return study(schedules=["linear", f"tests.engine.test_plan:{name}"])

    plan(with_schedule("rises"))
    message = (
        "schedule 'tests.engine.test_plan:falls_below_zero' must return a factor of at least 0, got -0.01 at progress 0.51"
    )
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        plan(with_schedule("falls_below_zero"))
