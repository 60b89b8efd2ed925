"""The time left of a sweep, estimated from its finished chunks."""

from collections.abc import Iterable

import numpy as np

from jaxsgd.engine.plan import Plan


class TimeLeft:
    """An estimate of the time left: the plan's cost of the remaining chunks, corrected by the times of the finished chunks.

    The plan has the relative costs of the chunks (batch counts differ), and the finished chunks give the speed of this machine.
    So the estimate is steady from the first chunk on.
    """

    def __init__(self, planned: Plan):
        """Begin with all chunks of a plan left."""
        self._program = np.asarray([chunk.program for chunk in planned.chunks])
        # A short chunk is padded to the width, and takes as long as the others.
        self._cost = np.asarray([planned.width * planned.cell_seconds[chunk.cells].mean() for chunk in planned.chunks])
        self._is_left = np.ones(len(planned.chunks), bool)
        self._seconds = self._estimated = 0.0

    def finished(self, number: int, seconds: float) -> None:
        """Count a chunk as finished.

        Args:
          number: of the chunk.
          seconds: its time without compiling.
        """
        self._is_left[number] = False
        self._seconds += seconds
        self._estimated += self._cost[number]

    def seconds(self, workers: int, compile_seconds: float, compiled: Iterable[int]) -> float | None:
        """Return the seconds until all chunks are finished; None while no chunk is.

        Args:
          workers: the number of chunks that run at the same time.
          compile_seconds: the time that all workers together have spent on compiling so far.
          compiled: numbers of the programs with finished chunks.
        """
        left = self._cost[self._is_left]
        if not len(left):
            return 0.0
        if not self._estimated:
            return None
        workers = max(1, min(workers, len(left)))
        # The running chunks are half done on average.
        cost = left.sum() - workers * left.mean() / 2
        seconds = cost * self._seconds / self._estimated / workers
        known = set(compiled)
        programs = set(self._program[self._is_left].tolist()) - known
        if programs and known:
            seconds += compile_seconds / len(known) * len(programs) / min(workers, len(programs))
        return float(seconds)
