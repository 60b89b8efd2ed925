"""The accelerator's memory: the largest width, a width that does not fit, and what is free after a study."""

import gc
from typing import Any

import jax

from benchmarks.accelerator.correctness import TOLERANCE
from benchmarks.accelerator.sizes import Sizes
from benchmarks.peer import largest_difference
from jaxsgd.engine.execution import Execution
from jaxsgd.engine.plan import plan
from jaxsgd.engine.program_cache import PROGRAMS
from jaxsgd.study.study import Study


def memory_stat(name: str) -> int | None:
    """Return a number of bytes from JAX's statistics of the accelerator's memory; None where JAX has none."""
    return (jax.local_devices()[0].memory_stats() or {}).get(name)


def _study(sizes: Sizes, runs: int, hidden: int) -> Study:
    return sizes.workload(runs).study(problem_args={"num_samples": 1000, "num_hidden": hidden}, epochs=1)


def measured(sizes: Sizes) -> dict[str, Any]:
    """Return the memory of wide networks, how a chunk ends that is far too wide, and what two studies leave.

    The wide networks come first, because JAX knows only the peak since the process began.
    """
    return {"width": width_that_fits(sizes), "forced failure": forced_failure(sizes), "freed": freed(sizes)}


def width_that_fits(sizes: Sizes) -> dict[str, Any]:
    """Return the width that the plan chooses for wide networks, and its real use of memory beside the plan's estimate."""
    runs, hidden = sizes.runs[-1], 10 * sizes.hidden
    own = plan(_study(sizes, runs, hidden))
    execution, device = Execution(own), jax.local_devices()[0]
    execution.run_chunk(own.chunks[0], device)
    return {
        "hidden": hidden,
        "lanes": own.lanes,
        "width": own.width,
        "estimated_bytes": own.width * own.run_bytes,
        "peak_bytes": memory_stat("peak_bytes_in_use"),
        "limit_bytes": memory_stat("bytes_limit"),
        "narrowed": [step._asdict() for step in execution.narrowed],
    }


def forced_failure(sizes: Sizes) -> dict[str, Any]:
    """Return how a chunk ends that is far too wide: narrower, with the losses of a width that fits."""
    runs, hidden = sizes.runs[-1], 40 * sizes.hidden
    study = _study(sizes, runs, hidden)
    device = jax.local_devices()[0]
    wide = Execution(plan(study, chunk_width=runs, lanes=runs))
    arrays, seconds = wide.run_chunk(wide.plan.chunks[0], device)
    narrow = Execution(plan(_study(sizes, 4, hidden), chunk_width=4, lanes=4))
    expected, _ = narrow.run_chunk(narrow.plan.chunks[0], device)
    apart = largest_difference(arrays["loss"][:4], expected["loss"])
    return {
        "hidden": hidden,
        "lanes": runs,
        "narrowed": [step.lanes for step in wide.narrowed],
        "seconds": seconds,
        "largest difference": apart,
        "passes": apart <= TOLERANCE["float32"],
    }


def freed(sizes: Sizes) -> dict[str, Any]:
    """Return the memory in use before, after a first and after a second study, and when their programs are dropped."""
    steps = {"before": memory_stat("bytes_in_use")}
    for name, hidden in (("after a study", sizes.hidden), ("after another", 2 * sizes.hidden)):
        own = plan(_study(sizes, sizes.runs[-1], hidden))
        Execution(own).run_all(range(len(own.chunks)), lambda number, arrays: None)
        gc.collect()
        steps[name] = memory_stat("bytes_in_use")
    PROGRAMS.clear()
    gc.collect()
    steps["without their programs"] = memory_stat("bytes_in_use")
    return steps
