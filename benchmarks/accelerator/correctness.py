"""Sweeps on the accelerator against the same sweeps on this machine's CPU, and their bits over several runs."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import numpy as np

from benchmarks.accelerator.sizes import Sizes
from benchmarks.accelerator.timing import train_call
from jaxsgd.engine.execution import Execution
from jaxsgd.engine.plan import Plan, cores, plan
from jaxsgd.order import ORDERS
from jaxsgd.results.store import ChunkArrays
from jaxsgd.study.study import Study

TOLERANCE = {"float32": 1e-4, "float64": 1e-10}
"""The largest share by which a loss may differ from that on the CPU, after the few epochs that are run here."""

PATHS = ("grouped", "one_program")

Losses = dict[str, np.ndarray]
"""The losses of the batches of all cells by order, [cells E m]."""


STUDIES: dict[str, dict[str, Any]] = {
    "article": {"problem": "square_regression", "learning_rates": [1e-3]},
    "digits": {"problem": "digits", "learning_rates": [0.1], "optimizer": "adam"},
    "convnet": {"problem": "convnet", "learning_rates": [0.05]},
    "least squares": {"problem": "least_squares", "learning_rates": [0.01], "optimizer": "momentum"},
    "least squares, float64": {"problem": "least_squares", "learning_rates": [0.01], "dtype": "float64"},
}
"""The fields of the studies that are compared, by name."""


def study_named(name: str, sizes: Sizes) -> Study:
    """Return a study that is compared, in all six orders; the last batch of an epoch is smaller than the others."""
    fields = {**STUDIES[name], "seeds": range(2), "batch_counts": [7], "orders": list(ORDERS), "epochs": 2}
    return Study(**fields, problem_args={"num_hidden": sizes.hidden} if name == "article" else {})


def losses(own: Plan, device: Any) -> Losses:
    """Return the losses of a plan's runs on a device; its programs are compiled side by side."""
    execution = Execution(own)
    with ThreadPoolExecutor(max(1, min(cores(), len(own.chunks)))) as pool:
        results = list(pool.map(lambda number: execution.run(number, device), range(len(own.chunks))))
    return _by_order(own, results)


def _by_order(own: Plan, results: Iterable[ChunkArrays]) -> Losses:
    parts: dict[str, list[np.ndarray]] = {}
    for chunk, arrays in zip(own.chunks, results, strict=True):
        parts.setdefault(own.programs[chunk.program].order, []).append(np.ravel(arrays["loss"]))
    return {order: np.concatenate(arrays) for order, arrays in parts.items()}


def against_cpu(sizes: Sizes, name: str, orders: Sequence[str] = tuple(ORDERS)) -> Iterator[dict[str, Any]]:
    """Yield, for each path, by how much the losses of a study differ from those on the CPU, as a share of them."""
    device, cpu, study = jax.local_devices()[0], jax.devices("cpu")[0], study_named(name, sizes).replaced(orders=orders)
    for path in PATHS:
        own = plan(study if path == "grouped" else study.replaced(batch_counts=[7, 10]), vectorize=path)
        here, on_cpu = losses(own, device), losses(own, cpu)
        apart = {order: _apart(here[order], on_cpu[order]) for order in here}
        tolerance = TOLERANCE[study.dtype]
        passes = all(share <= tolerance for share in apart.values())
        yield {"path": path, "largest difference": apart, "tolerance": tolerance, "passes": passes}


def tensorfloat32(sizes: Sizes) -> dict[str, float]:
    """Return by how much the article's losses differ from the CPU's with each precision of the products.

    An accelerator that multiplied in TensorFloat-32 in spite of "float32" would show as much for both.
    """
    device, cpu = jax.local_devices()[0], jax.devices("cpu")[0]
    apart = {}
    for precision in ("float32", "tensorfloat32"):
        own = plan(study_named("article", sizes).replaced(orders=["fixed"], batch_counts=[10], precision=precision))
        apart[precision] = _apart(losses(own, device)["fixed"], losses(own, cpu)["fixed"])
    return apart


def digests(sizes: Sizes, options: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return, for each study and path, a digest of the bits of the losses in three runs; the third is compiled anew.

    Args:
      sizes: the amount of work.
      options: options of XLA for the training programs.
    """
    result: dict[str, list[str]] = {}
    for name in ("article", "digits"):
        study = study_named(name, sizes).replaced(orders=["reshuffle"])
        for path in PATHS:
            own = plan(study, vectorize=path)
            train = train_call(own, options)
            for number in range(3):
                if number == 2:
                    jax.clear_caches()
                    train = train_call(own, options)
                digest = hashlib.sha256(np.asarray(train.call().loss).tobytes()).hexdigest()
                result.setdefault(f"{name}, {path}", []).append(digest[:16])
    return result


def _apart(here: np.ndarray, expected: np.ndarray) -> float:
    if (np.isnan(here) != np.isnan(expected)).any():
        return float("inf")
    return float(np.nanmax(np.abs(here / expected - 1)))
