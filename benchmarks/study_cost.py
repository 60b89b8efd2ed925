"""`python -m benchmarks.study_cost`: CPU seconds of observing sharpness, and of growing a result. Compiling is not counted."""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import typer

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


def main(cells: int = 1000, rounds: int = 4) -> None:
    """Print the CPU seconds of both."""
    cost = observing(cells, rounds)
    typer.echo(
        f"{cells:,} cells of 100 epochs: {cost.first:.1f} CPU s with the sharpness at 10 epochs, {cost.second:.1f} without"
    )
    cost = growing(64, 640, rounds)
    typer.echo(
        f"64 cells grow to 640: {cost.first:.1f} CPU s for the {cost.cells[0]}, {cost.second:.1f} for {cost.cells[1]} at once"
    )


if __name__ == "__main__":
    typer.run(main)
