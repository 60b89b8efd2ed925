"""The parts of the comparison, each as rows to tabulate and sentences to say below them."""

from collections.abc import Callable
from statistics import median
from typing import Any, NamedTuple

from benchmarks.beside_loops import USER_LOOPS, WHOLE, beside_loops
from benchmarks.floor import LIBRARIES
from benchmarks.fresh_process import many_runs, start_seconds
from benchmarks.peer import OURS, PEERS
from benchmarks.side_by_side import beside_peers, mixed_counts, over_libraries, over_runs, over_widths
from benchmarks.timing_row import Row
from benchmarks.user_problem import USER_PROBLEMS
from benchmarks.workload import Workload
from jaxsgd.error import no_such
from jaxsgd.study.study import Study

RUNS = (1, 2, 8, 64, 512)
"""Numbers of runs that peers are compared at."""

RUNS_STEPS = 20_000
"""About how many steps all runs together take there."""

COUNTS = (1, 2, 5, 10, 20, 50)
"""Batch counts that are mixed."""

LANES = (1, 2, 4, 8, 16, 32)
"""Lanes that are tried."""

MANY = (1_000, 10_000, 100_000)
"""Numbers of short runs."""


PROBLEM_RUNS = (1, 8, 64)
"""Numbers of runs at which a sweep of users' problems is compared with their loops."""


class Settings(NamedTuple):
    """The amount of work that is timed.

    Attributes:
      runs: R of the article's network.
      epochs: E of a run.
      few: runs that a peer does which goes through them one by one.
      hidden: H.
      repeats: interleaved rounds.
      problem: the user's problem to time alone; "all" for all of them.
    """

    runs: int
    epochs: int
    few: int
    hidden: int
    repeats: int
    problem: str = "all"

    @property
    def workload(self) -> Workload:
        """The runs."""
        return Workload(self.runs, self.epochs, num_hidden=self.hidden)


class Report(NamedTuple):
    """The rows and notes of a part.

    Attributes:
      rows: things timed side by side, in groups.
      notes: sentences.
    """

    rows: list[Row]
    notes: list[str]


def _groups(rows: list[Row]) -> dict[str, list[Row]]:
    return {name: [row for row in rows if row.group == name] for name in dict.fromkeys(row.group for row in rows)}


def _fastest(rows: list[Row]) -> Row:
    return min(rows, key=lambda row: row.ratio.median)


def peers(how: Settings) -> Report:
    """The simulator, everything else that does the same runs, and the floor."""
    left_out = [f"{peer.words}: left out, for {peer.needs} is not installed" for peer in PEERS.values() if not peer.is_there]
    return Report(beside_peers(how.workload, list(PEERS), few=how.few, repeats=how.repeats), left_out)


def runs(how: Settings) -> Report:
    """The simulator and what is compiled by hand, over the number of runs."""
    names = ["jit_step", "jit_run", "jit_vmap"]
    rows = over_runs(RUNS, names, steps=RUNS_STEPS, few=how.few, repeats=how.repeats, num_hidden=how.hidden)
    best = {name: _fastest([row for row in own if row.name != OURS]) for name, own in _groups(rows).items()}
    notes = [f"{name}: the fastest peer, {row.name}, takes {row.ratio.median:.2f} times as long" for name, row in best.items()]
    return Report(rows, notes)


def widths(how: Settings) -> Report:
    """The lanes and widths that the plan chooses beside others, for a large, a small and a tiny problem."""
    common: dict[str, Any] = {"seeds": range(how.runs), "orders": ["reshuffle"], "learning_rates": [1e-3], "batch_counts": [10]}
    network = {"problem": "square_regression", "problem_args": {"num_samples": 1000, "num_hidden": 50}}
    line = {"problem": "least_squares", "problem_args": {"num_samples": 100, "num_inputs": 10}}
    studies = {
        f"network, H = {how.hidden}": how.workload.study(),
        "network, H = 50": Study(**{**common, **network, "epochs": 5 * how.epochs}),
        "least squares": Study(**{**common, **line, "epochs": 50 * how.epochs}),
    }
    tried = sorted({max(1, how.runs // 2), how.runs})
    rows: list[Row] = []
    for name, study in studies.items():
        rows += over_widths(study, name, lanes=LANES, widths=tried, repeats=how.repeats)
    best = {name: _fastest(own) for name, own in _groups(rows).items()}
    return Report(
        rows, [f"{name}: the best, {row.name}, takes {row.ratio.median:.2f} of the time" for name, row in best.items()]
    )


def counts(how: Settings) -> Report:
    """A sweep over batch counts beside a sweep for each."""
    return Report(mixed_counts(how.workload.study(batch_counts=COUNTS), repeats=how.repeats), [])


def start(how: Settings) -> Report:
    """The first start of a command, and later ones."""
    first, *again = start_seconds(["article", "--quick"], 1 + how.repeats)
    spread = f"{min(again):.1f} to {max(again):.1f}"
    return Report([], [f"jaxsgd article --quick: {first:.1f} s at its first start, then {median(again):.1f} s ({spread})"])


def scale(how: Settings) -> Report:
    """Time, memory and storing over the number of short runs."""
    measured = many_runs(MANY, how.repeats)
    notes = []
    for number in MANY:
        own = [item for item in measured if item.runs == number]
        taken = [item.seconds / number * 1e3 for item in own]
        share = median(item.store_seconds / item.seconds for item in own)
        peak, size = max(item.peak_bytes for item in own) / 2**20, own[0].result_bytes / 2**20
        notes.append(
            f"{number:,} runs: {median(taken):.3f} ms a run ({min(taken):.3f} to {max(taken):.3f}), storing "
            f"{100 * share:.2g} % of it, memory at most {peak:,.0f} MiB, result {size:.1f} MiB"
        )
    return Report([], notes)


def libraries(how: Settings) -> Report:
    """The products of a step by each of XLA's libraries."""
    rows = over_libraries(how.workload, repeats=how.repeats)
    usable = {row.name for row in rows}
    notes = [f"{name}: left out, for it cannot compute these products here" for name in LIBRARIES if name not in usable]
    return Report(rows, notes)


def problems(how: Settings) -> Report:
    """A sweep of users' problems beside the loops that their users would have written.

    Raises:
      InputError: for an unknown problem.
    """
    if how.problem not in ("all", *USER_PROBLEMS):
        raise no_such("problem", how.problem, ("all", *USER_PROBLEMS))
    chosen = USER_PROBLEMS if how.problem == "all" else {how.problem: USER_PROBLEMS[how.problem]}
    rows: list[Row] = []
    for user in chosen.values():
        for number in PROBLEM_RUNS:
            rows += beside_loops(user, number, few=how.few, repeats=how.repeats)
    notes = []
    for name, own in _groups(rows).items():
        first, *loops = [row for row in own if row.name != WHOLE]
        best = _fastest(loops)
        cpu = min(row.cpu.median for row in loops if row.cpu)
        notes.append(
            f"{name}: the fastest loop, {best.name}, takes {best.ratio.median:.2f} times as long as {first.name}; the least "
            f"CPU time is {cpu:.2f} times as much"
        )
    notes += [f"{loop.words}: left out, for {loop.needs} is not installed" for loop in USER_LOOPS.values() if not loop.is_there]
    return Report(rows, notes)


PARTS: dict[str, Callable[[Settings], Report]] = {
    "peers": peers,
    "libraries": libraries,
    "problems": problems,
    "runs": runs,
    "widths": widths,
    "counts": counts,
    "start": start,
    "scale": scale,
}
"""The parts by name."""
