"""Computations that go on beside the command."""

import os
import threading
from functools import partial

import numpy as np
import pytest

from jaxsgd.cli.runtime import Background


def test_results_come_in_the_shape_of_the_calls():
    with Background() as background:
        started = background.start({"one": partial(np.ones, 3), "two": [partial(np.zeros, 2), partial(np.ones, 1)]})
        results = background.wait(started)
    np.testing.assert_array_equal(results["one"], np.ones(3))
    assert [list(values) for values in results["two"]] == [[0, 0], [1]]


def test_two_calls_run_at_the_same_time():
    both = threading.Barrier(2, timeout=60)
    with Background() as background:
        arrived = background.wait(background.start([both.wait, both.wait]))
    assert sorted(arrived) == [0, 1]


def test_a_failure_is_raised_where_it_is_waited_for():
    with Background() as background:
        started = background.start([partial(int, "no number")])
        with pytest.raises(ValueError, match="no number"):
            background.wait(started)


def test_what_has_not_begun_when_the_command_leaves_never_begins():
    begun, leave, ran = threading.Event(), threading.Event(), []

    def busy():
        begun.set()
        leave.wait(60)

    with Background() as background:
        workers = max(2, os.cpu_count() or 1)
        started = background.start([busy] * workers + [lambda: ran.append(1)])
        assert begun.wait(60)
    leave.set()
    for future in started[:workers]:
        assert future.exception(timeout=60) is None
    assert started[-1].cancelled()
    assert ran == []
