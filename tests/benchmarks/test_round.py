"""The clockwork of the comparison: the order of calls, ratios round by round, and the arithmetic of the rows."""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from benchmarks import round as rounds
from benchmarks.core_pool import one_thread_each
from benchmarks.floor import TIMES, Part, fastest, floor_call, loop, parts, steps_of_call
from benchmarks.round import Ratio, interleaved, ratio
from benchmarks.timing_row import row
from benchmarks.workload import Workload


def test_calls_take_turns_and_every_other_round_goes_backwards():
    calls = []
    seconds = interleaved({name: lambda name=name: calls.append(name) for name in "abc"}, 3)
    assert calls == list("abccbaabc")
    assert {name: values.shape for name, values in seconds.items()} == dict.fromkeys("abc", (3,))


def test_seconds_are_those_of_the_call(monkeypatch):
    clock = iter([0.0, 1.0, 10.0, 12.0, 20.0, 24.0, 30.0, 33.0])
    monkeypatch.setattr(rounds.time, "perf_counter", lambda: next(clock))
    seconds = interleaved({"a": lambda: None, "b": lambda: None}, 2)
    assert seconds["a"].tolist() == [1, 3]
    assert seconds["b"].tolist() == [2, 4]


def test_a_ratio_is_taken_within_each_round():
    """The machine was ten times slower in the second round; the quotients do not see it."""
    assert ratio(np.array([2.0, 30.0, 4.0]), np.array([1.0, 10.0, 1.0])) == Ratio(3.0, 2.0, 4.0)


def test_a_row_is_per_unit_of_work():
    timed = row("b", np.array([4.0, 8.0]), np.array([0.5, 0.5]), 4, "group")
    assert timed == ("b", 1500.0, 1000.0, 2000.0, Ratio(3.0, 2.0, 4.0), "group", None)


def test_the_floor_has_the_fastest_layout_of_every_part():
    layouts = parts(Workload(1, 1, batch_count=2, num_samples=8, num_hidden=4))
    names = ["x w1", "h w2", "dz w2'", "h' dz", "x' dh", "sigmoids"]
    assert [part.name for part in layouts] == [name for name in names for _ in range(8 if name != "sigmoids" else 1)]
    given = []

    class Noting(ThreadPoolExecutor):
        def submit(self, fn, own):
            given.append([part.name for part in own])
            return super().submit(fn, own)

    with Noting(1) as pool:
        best = fastest(pool, layouts, 1)
        given.clear()
        floor_call(pool, best)()
    assert [part in layouts and part.name for part in best.values()] == names
    # Every part once on every core.
    assert given == [names] * (steps_of_call() // TIMES)


@pytest.mark.parametrize("transposed", [(left, right, out) for left in (0, 1) for right in (0, 1) for out in (0, 1)])
def test_every_layout_is_the_same_product(transposed):
    """Ones over 3, [2, 3], times ones, [3, 4], is ones; the loop ends with the last turn's."""
    product = loop(Part("x w1", (2, 3, 4), tuple(map(bool, transposed))))()
    assert product.shape == ((4, 2) if transposed[2] else (2, 4))
    np.testing.assert_allclose(product, 1, rtol=1e-6)


def test_a_process_for_each_core_has_one_thread_for_linear_algebra(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("NPROC", raising=False)
    with one_thread_each(1) as pool:
        assert [pool.submit(os.getenv, name).result() for name in ("OMP_NUM_THREADS", "NPROC")] == ["1", "1"]
    assert (os.environ["OMP_NUM_THREADS"], os.environ.get("NPROC")) == ("7", None)
