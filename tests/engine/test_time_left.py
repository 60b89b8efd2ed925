"""The time left: from the finished chunks, by the plan's costs."""

import numpy as np
import pytest

from jaxsgd import Study
from jaxsgd.engine.plan import plan
from jaxsgd.engine.time_left import TimeLeft


@pytest.fixture(scope="module")
def planned():
    """Eight chunks of one cell: four of batch count 1, and four of 20, which cost more."""
    study = Study(problem="least_squares", seeds=range(4), batch_counts=[1, 20], learning_rates=[0.1], epochs=5)
    return plan(study, vectorize="grouped", chunk_width=1)


def test_nothing_is_known_before_the_first_chunk_and_nothing_is_left_after_the_last(planned):
    assert TimeLeft(planned).seconds(2, 0.0, ()) is None
    assert TimeLeft(planned.of_cells(np.zeros(planned.cells.num_cells, bool))).seconds(2, 0.0, ()) == 0


def test_a_machine_that_is_as_fast_throughout_gives_the_true_time_from_the_first_chunk_on(planned):
    cost = np.asarray([planned.cell_seconds[chunk.cells].mean() for chunk in planned.chunks])
    # Seven times slower than the plan's constants; one worker, and the chunk in hand is half done.
    left = TimeLeft(planned)
    for number in range(8):
        left.finished(number, 7 * cost[number])
        rest = 7 * cost[number + 1 :]
        expected = rest.sum() - rest.mean() / 2 if len(rest) else 0
        assert left.seconds(1, 0.0, (0, 1)) == pytest.approx(expected)


def test_workers_share_the_chunks_and_programs_that_are_not_compiled_yet_count(planned):
    cost = np.asarray([planned.cell_seconds[chunk.cells].mean() for chunk in planned.chunks])
    left = TimeLeft(planned)
    left.finished(0, cost[0])
    alone, two = (left.seconds(workers, 0.0, (0, 1)) for workers in (1, 2))
    rest = cost[1:]
    assert (alone, two) == (pytest.approx(rest.sum() - rest.mean() / 2), pytest.approx((rest.sum() - rest.mean()) / 2))
    # One program took 3 s to compile, and another one is left.
    assert left.seconds(1, 3.0, (0,)) == pytest.approx(alone + 3)
