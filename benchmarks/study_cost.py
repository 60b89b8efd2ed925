"""`python -m benchmarks.study_cost`: CPU seconds of observing sharpness, growing a result and halving, without compiling."""

import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import typer
import xarray as xr

import jaxsgd

PROBLEM = {"problem": "tanh_network", "problem_args": {"num_samples": 64, "num_inputs": 8, "num_hidden": 32}}


class Cost(NamedTuple):
    """CPU seconds of two ways of running the same cells.

    Attributes:
      first, second: CPU seconds of the two, all threads together.
      cells: the cells of each.
    """

    first: float
    second: float
    cells: tuple[int, int]


def cpu_seconds(call: Callable[[], object]) -> float:
    """Return the CPU seconds that a call takes in this process, all threads together."""
    began = time.process_time()
    call()
    return time.process_time() - began


def observing(cells: int, rounds: int, epochs: int = 100) -> Cost:
    """Return the CPU seconds of runs with the sharpness at 10 epochs, and without it.

    The cells are divided among rounds, and each round times both, so that other work on the machine meets both.

    Args:
      cells: number of runs of each kind; a multiple of `rounds`.
      rounds: number of interleaved rounds.
      epochs: of a run, a multiple of 10.
    """
    plain = jaxsgd.Study(**PROBLEM, seeds=[0], batch_counts=[8], learning_rates=[0.05], epochs=epochs, record="epoch")
    observed = plain.replaced(observe=["sharpness"], observe_every=epochs // 10)
    width, seconds = min(cells // rounds, 64), [0.0, 0.0]
    for number in range(-1, rounds):  # the first round compiles, and is not counted
        seeds = range(number * cells // rounds, (number + 1) * cells // rounds) if number >= 0 else range(width)
        for place, study in enumerate((observed, plain)):
            chosen = study.replaced(seeds=seeds)
            took = cpu_seconds(lambda chosen=chosen: jaxsgd.sweep(chosen, chunk_width=width))
            seconds[place] += took if number >= 0 else 0.0
    return Cost(seconds[0], seconds[1], (cells, cells))


def growing(before: int, after: int, rounds: int, epochs: int = 200) -> Cost:
    """Return the CPU seconds of growing a result from fewer seeds to more, and of running all of them at once.

    Args:
      before: seeds of the result that grows.
      after: seeds in the end.
      rounds: number of interleaved rounds; the mean is returned.
      epochs: of a run.
    """
    study = jaxsgd.Study(**PROBLEM, seeds=range(before), batch_counts=[8], learning_rates=[0.05], epochs=epochs)
    whole, width, seconds = study.replaced(seeds=range(after)), min(before, 64), [0.0, 0.0]
    with tempfile.TemporaryDirectory() as folder:
        for number in range(rounds):
            begun, once = Path(folder) / f"begun{number}", Path(folder) / f"once{number}"
            jaxsgd.sweep(study, begun, chunk_width=width)
            seconds[0] += cpu_seconds(lambda begun=begun: jaxsgd.sweep(whole, begun)) / rounds
            seconds[1] += cpu_seconds(lambda once=once: jaxsgd.sweep(whole, once, chunk_width=width)) / rounds
    return Cost(seconds[0], seconds[1], (after - before, after))


class Search(NamedTuple):
    """A search for the best setting on a grid.

    Attributes:
      seconds: CPU seconds, all threads together, median over the rounds.
      epochs: epochs trained, all runs together.
      best: the best setting's value on each axis of the grid.
      loss, low, high: its median validation loss over the seeds, with the bootstrap interval.
    """

    seconds: float
    epochs: int
    best: dict[str, float]
    loss: float
    low: float
    high: float


GRID: dict[str, Any] = {
    "learning_rates": [1e-3, 3.1623e-3, 1e-2, 3.1623e-2, 0.1, 0.31623, 1, 3.1623, 10],
    "hyper": {"momentum": [0, 0.5, 0.9]},
}
"""The axes of the grid of `halving`."""


def halving(rounds: int, rungs: Sequence[Sequence[int] | None], epochs: int = 81, seeds: int = 10, **grid: Any) -> list[Search]:
    """Return the search of a whole grid on `digits`, and that by successive halving with each list of rungs.

    Args:
      rounds: interleaved rounds of all searches that are counted; one more comes first and compiles.
      rungs: lists of rungs; None for the default ones.
      epochs: of a run that is trained to its end.
      seeds: number of seeds.
      grid: axes in place of those of `GRID`.
    """
    whole = jaxsgd.Study(
        **{"problem": "digits", "held_out": 0.2, "seeds": range(seeds), "batch_counts": [20], "orders": ["reshuffle"],
           "optimizers": ["nesterov"], "epochs": epochs, "record": "epoch"} | GRID | grid
    )  # fmt: skip
    halved = [whole.replaced(halving={"metric": "validation_loss", "eta": 3, "rungs": listed}) for listed in rungs]
    seconds = np.empty((rounds + 1, len(halved) + 1))
    results: list[xr.Dataset] = []
    for number in range(rounds + 1):
        results.clear()
        for place, study in enumerate([whole, *halved]):
            seconds[number, place] = cpu_seconds(lambda study=study: results.append(jaxsgd.sweep(study)))
    return [_search(ds, took) for ds, took in zip(results, np.median(seconds[1:], axis=0), strict=True)]


def _search(ds: xr.Dataset, seconds: float) -> Search:
    best = jaxsgd.best(ds, "validation_loss").squeeze()
    setting = {axis: float(best[axis]) for axis in ("learning_rate", "momentum")}
    numbers = (float(best[name]) for name in ("median_value", "low", "high"))
    return Search(float(seconds), int(ds.loss_epoch.notnull().sum()), setting, *numbers)


def main(cells: int = 1000, rounds: int = 4) -> None:
    """Print the CPU seconds of all three."""
    cost = observing(cells, rounds)
    typer.echo(
        f"{cells:,} cells of 100 epochs: {cost.first:.1f} CPU s with the sharpness at 10 epochs, {cost.second:.1f} without"
    )
    cost = growing(64, 640, rounds)
    typer.echo(
        f"64 cells grow to 640: {cost.first:.1f} CPU s for the {cost.cells[0]}, {cost.second:.1f} for {cost.cells[1]} at once"
    )
    rungs = [[9, 27], None]
    for listed, search in zip(["whole grid", *rungs], halving(rounds, rungs), strict=True):
        name = listed if isinstance(listed, str) else f"rungs {listed or 'by default'}"
        typer.echo(
            f"{name}: {search.seconds:.1f} CPU s, {search.epochs:,} epochs, best {search.best}, validation loss "
            f"{search.loss:.4f} ({search.low:.4f} to {search.high:.4f})"
        )


if __name__ == "__main__":
    typer.run(main)
