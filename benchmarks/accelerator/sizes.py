"""The sizes at which everything is measured: full ones for an accelerator, small ones for a test of the script."""

from typing import NamedTuple

from benchmarks.workload import Workload


class Sizes(NamedTuple):
    """The amount of work.

    Attributes:
      runs: the numbers of runs that are timed, ascending.
      run_steps: about how many steps all runs of a timing take together.
      least_epochs: the fewest epochs of a timed run.
      hidden: H of the article's network.
      lanes: the numbers of lanes that are timed, for the largest number of runs.
      form_runs: the numbers of runs for which forms of the network's products are timed.
      problems: by the name of a user's problem that is timed, how many times as many epochs it takes as on a CPU.
      repeats: interleaved rounds.
      copy_numbers: the numbers in the array whose copying shows the memory's bandwidth.
      square: the side of the square matrices whose product shows the rate of float32.
    """

    runs: tuple[int, ...]
    run_steps: int
    least_epochs: int
    hidden: int
    lanes: tuple[int, ...]
    form_runs: tuple[int, ...]
    problems: dict[str, int]
    repeats: int
    copy_numbers: int
    square: int

    def workload(self, runs: int) -> Workload:
        """Return runs of the article's network."""
        return Workload(runs, self.epochs(runs), num_hidden=self.hidden)

    def epochs(self, runs: int) -> int:
        """Return the epochs of each of so many runs, 10 steps each, so that a timing takes about as long for all numbers."""
        return int(min(max(self.run_steps // (10 * runs), self.least_epochs), 200))


FULL = Sizes(
    runs=(64, 512, 4096),
    run_steps=400_000,
    least_epochs=10,
    hidden=1000,
    lanes=(16, 64, 256, 1024, 4096),
    form_runs=(64, 4096),
    problems={"tanh": 20, "least_squares": 20, "convnet": 20, "char_lm": 2},
    repeats=3,
    copy_numbers=2**29,
    square=8192,
)
"""For an accelerator."""

SMALL = Sizes(
    runs=(2, 4),
    run_steps=80,
    least_epochs=2,
    hidden=8,
    lanes=(1, 4),
    form_runs=(4,),
    problems={"tanh": 1},
    repeats=2,
    copy_numbers=2**16,
    square=64,
)
"""For a test of the script."""
