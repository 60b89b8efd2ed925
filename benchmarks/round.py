"""Timing several things in turn, again and again, so that whatever else the machine does falls on all of them alike."""

import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float


class Ratio(NamedTuple):
    """The ratio of two times.

    Attributes:
      median: over the rounds, each round's quotient taken by itself.
      low, high: the least and the greatest of them.
    """

    median: float
    low: float
    high: float


class Times(NamedTuple):
    """The times of one thing, by round.

    Attributes:
      wall: seconds from its start to its end.
      cpu: seconds of this process's threads, all together; those of other processes are not counted.
    """

    wall: Float[np.ndarray, " repeats"]
    cpu: Float[np.ndarray, " repeats"]


def interleaved_times(calls: Mapping[str, Callable[[], Any]], repeats: int) -> dict[str, Times]:
    """Return the times that each call takes, in `repeats` rounds; every other round goes through them backwards.

    What must be compiled or loaded should have been called once before.
    """
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in calls}
    for turn in range(repeats):
        for name in list(calls)[:: 1 if turn % 2 == 0 else -1]:
            began = time.perf_counter(), time.process_time()
            calls[name]()
            seconds[name].append((time.perf_counter() - began[0], time.process_time() - began[1]))
    return {name: Times(*np.array(times).T) for name, times in seconds.items()}


def interleaved(calls: Mapping[str, Callable[[], Any]], repeats: int) -> dict[str, Float[np.ndarray, " repeats"]]:
    """Return the seconds that each call takes, as `interleaved_times` measures them."""
    return {name: times.wall for name, times in interleaved_times(calls, repeats).items()}


def ratio(longer: Float[np.ndarray, " repeats"], shorter: Float[np.ndarray, " repeats"]) -> Ratio:
    """The quotient of two things' seconds, round by round."""
    ratios = longer / shorter
    return Ratio(float(np.median(ratios)), float(ratios.min()), float(ratios.max()))
