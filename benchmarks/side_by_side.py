"""The comparisons: with peers and the floor, over numbers of runs, over widths, and of mixed with uniform batch counts."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np

from benchmarks.core_pool import one_thread_each
from benchmarks.floor import CHOSEN, fastest, floor_call, on_all_cores, parts, steps_of_call, usable_libraries
from benchmarks.peer import OURS, check_same_losses, contenders, executing
from benchmarks.round import interleaved
from benchmarks.timing_row import Row, row
from benchmarks.workload import Workload, start
from jaxsgd.engine.plan import cores, plan
from jaxsgd.study.study import Study

FLOOR = "floor: products and sigmoids"


def beside_peers(workload: Workload, names: Sequence[str], *, few: int, repeats: int, floor: bool = True) -> list[Row]:
    """Milliseconds of a run's epoch, by the simulator, by peers, and at the floor, in interleaved rounds; compiling apart.

    Args:
      workload: what all run.
      names: of peers.
      few: runs that peers do which go through them one by one, for they take as long for each.
      repeats: rounds.
      floor: whether to time the floor too.

    Raises:
      InputError: for an unknown peer, or one whose losses are others.
    """
    with ExitStack() as open_until:
        timed = contenders(workload, start(workload), list(names), few, open_until)
        check_same_losses({name: peer.call() for name, peer in timed.items()})
        calls: dict[str, Callable[[], Any]] = {name: peer.call for name, peer in timed.items()}
        if floor:
            pool = open_until.enter_context(one_thread_each(cores()))
            every = parts(workload, usable_libraries(parts(workload)[0]))
            calls[FLOOR] = floor_call(pool, fastest(pool, every, repeats=3))
        seconds = interleaved(calls, repeats)
    units: dict[str, float] = {name: peer.runs * workload.epochs for name, peer in timed.items()}
    units[FLOOR] = steps_of_call() / workload.batch_count
    words = {name: peer.words for name, peer in timed.items()} | {FLOOR: FLOOR}
    ours = seconds[OURS] / units[OURS]
    return [row(words[name], seconds[name], ours, units[name], f"{workload.runs} runs") for name in calls]


def over_libraries(workload: Workload, *, repeats: int) -> list[Row]:
    """Return the times of each product of a step by each library of XLA, at its fastest layout: milliseconds of a run's epoch.

    Ratios are to XLA's own choice.

    Args:
      workload: the runs whose steps are taken apart.
      repeats: rounds.
    """
    libraries = usable_libraries(parts(workload)[0])
    with one_thread_each(cores()) as pool:
        best = {library: fastest(pool, parts(workload, [library]), repeats=3) for library in libraries}
        products = [name for name, part in best[CHOSEN].items() if part.transposed]
        calls = {f"{name} {library}": on_all_cores(pool, [best[library][name]]) for name in products for library in libraries}
        seconds = interleaved(calls, repeats)
    units = steps_of_call() / workload.batch_count
    return [
        row(library, seconds[f"{name} {library}"], seconds[f"{name} {CHOSEN}"] / units, units, name)
        for name in products
        for library in libraries
    ]


def over_runs(counts: Iterable[int], names: Sequence[str], *, steps: int, few: int, repeats: int, **sizes: Any) -> list[Row]:
    """`beside_peers` for several numbers of runs, each over about as many steps in all."""
    results: list[Row] = []
    for runs in counts:
        epochs = max(4, steps // (runs * Workload(runs, 1, **sizes).batch_count))
        results += beside_peers(Workload(runs, epochs, **sizes), names, few=few, repeats=repeats, floor=False)
    return results


def over_widths(study: Study, name: str, *, lanes: Sequence[int], widths: Sequence[int], repeats: int) -> list[Row]:
    """Milliseconds of a run's epoch at the lanes and chunk width that the plan chooses, and at others.

    Args:
      study: what to run, with one batch count.
      name: of its group of rows.
      lanes, widths: to try, where the lanes divide the width.
      repeats: rounds.
    """
    chosen = plan(study)
    tried = {(chosen.lanes, chosen.width): chosen}
    for width in widths:
        for item in lanes:
            if width % item == 0 and width <= chosen.cells.num_cells:
                tried.setdefault((item, width), plan(study, lanes=item, chunk_width=width))
    calls = {str(key): executing(planned) for key, planned in tried.items()}
    for call in calls.values():
        call()
    seconds = interleaved(calls, repeats)
    units = chosen.cells.num_cells * chosen.cells.epochs
    base = seconds[str((chosen.lanes, chosen.width))] / units
    return [
        row(f"lanes {key[0]}, width {key[1]}{', chosen' if planned is chosen else ''}", seconds[str(key)], base, units, name)
        for key, planned in tried.items()
    ]


def mixed_counts(study: Study, *, repeats: int) -> list[Row]:
    """A sweep over several batch counts beside a sweep for each of them, compiling apart: milliseconds of a run's epoch."""
    calls: dict[str, Callable[[], Any]] = {"mixed": executing(plan(study))}
    counts = study.batch_counts or ()
    for m in counts:
        calls[f"m = {m}"] = executing(plan(study.replaced(batch_counts=[m])))
    for call in calls.values():
        call()
    seconds = interleaved(calls, repeats)
    uniform = np.sum([seconds[f"m = {m}"] for m in counts], axis=0)
    cells = plan(study).cells
    units = cells.num_cells * cells.epochs
    base = seconds["mixed"] / units
    group = f"batch counts {', '.join(map(str, counts))}"
    return [
        row("one sweep", seconds["mixed"], base, units, group),
        row("a sweep for each, in sum", uniform, base, units, group),
    ]
