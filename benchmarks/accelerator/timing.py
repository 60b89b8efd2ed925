"""The time of sweeps on the accelerator: beside hand-written programs, and over lanes, orders, options and forms."""

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import torch_loop, user_loop, user_problem
from benchmarks.accelerator import peers, whole_training
from benchmarks.accelerator.sizes import Sizes
from benchmarks.peer import LOSS_RTOL, executing, largest_difference, losses_of
from benchmarks.round import interleaved, ratio
from benchmarks.workload import start
from jaxsgd.compiling.compiler_options import compiler_options
from jaxsgd.engine.draw_program import DrawSpec, draw_function
from jaxsgd.engine.execution import Execution, summary
from jaxsgd.engine.plan import GPU_LANES, Plan, plan
from jaxsgd.engine.program import inputs, seeds
from jaxsgd.engine.train_program import lowered_train
from jaxsgd.order import ORDERS
from jaxsgd.study.study import Study

Calls = Mapping[str, Callable[[], Any]]

OPTIONS: dict[str, dict[str, str | int | bool]] = {
    "loops in command buffers": {
        "xla_gpu_enable_command_buffer": "FUSION,CUBLAS,CUBLASLT,CUSTOM_CALL,CUDNN,DYNAMIC_SLICE_FUSION,WHILE,CONDITIONAL",
        "xla_gpu_graph_min_graph_size": 1,
    },
    "no command buffers": {"xla_gpu_graph_min_graph_size": 1_000_000},
    "no Triton products": {"xla_gpu_enable_triton_gemm": False},
    "latency hiding": {"xla_gpu_enable_latency_hiding_scheduler": True},
    "Triton products only": {"xla_gpu_triton_gemm_any": True, "xla_gpu_cublas_fallback": False},
    "small products fused": {"xla_gpu_gemm_rewrite_size_threshold": 2_000_000},
    "double buffering": {"xla_gpu_enable_while_loop_double_buffering": True},
}
"""Options of XLA for a program, each tried alone."""

REPEATABLE: dict[str, dict[str, str | int | bool]] = {
    "default": {},
    "no autotuning": {"xla_gpu_autotune_level": 0},
    "deterministic": {"xla_gpu_exclude_nondeterministic_ops": True},
}
"""Options that may give the same bits in every process. Each is tried in a process of its own: within one, XLA remembers the
choices that it has made before, also for programs with other options.
"""

STARTING = ("loops in command buffers", "no command buffers", "double buffering")
"""Those of them that change how operations are started, and not the operations: tried for few short runs."""


class Timed(NamedTuple):
    """The time of something.

    Attributes:
      name: of it.
      seconds: median over the rounds.
      low, high: the least and the greatest.
      ratio: the median of its time over that of the first, round by round.
      first_seconds: the time of the first call, with compiling; None if it was not measured alone.
    """

    name: str
    seconds: float
    low: float
    high: float
    ratio: float
    first_seconds: float | None


def timed(calls: Calls, repeats: int, first_seconds: Mapping[str, float] | None = None) -> list[dict[str, Any]]:
    """Return the times of some calls, interleaved; each was called before."""
    seconds = interleaved(calls, repeats)
    base = next(iter(seconds.values()))
    firsts = first_seconds or {}
    return [
        Timed(
            name,
            float(np.median(own)),
            float(own.min()),
            float(own.max()),
            ratio(own, base).median,
            firsts.get(name),
        )._asdict()
        for name, own in seconds.items()
    ]


def called(calls: Calls) -> tuple[dict[str, Any], dict[str, float]]:
    """Call everything once, and return the results and the times; what fails is left out of both."""
    results, seconds = {}, {}
    for name, call in calls.items():
        began = time.perf_counter()
        results[name] = call()
        seconds[name] = time.perf_counter() - began
    return results, seconds


def ceilings(sizes: Sizes) -> dict[str, float]:
    """Return the measured ceilings: bytes a second of a copy, read and written, and operations a second of a product."""
    numbers = jnp.arange(sizes.copy_numbers, dtype=jnp.float32)
    copy = jax.jit(lambda x: x + 1)
    side = jax.random.normal(jax.random.key(0), (sizes.square, sizes.square))
    product = jax.jit(lambda x: jnp.matmul(x, x, precision="float32"))
    calls = {"copy": lambda: copy(numbers).block_until_ready(), "product": lambda: product(side).block_until_ready()}
    called(calls)
    seconds = interleaved(calls, 7)
    return {
        "bytes_per_second": 8 * sizes.copy_numbers / float(np.median(seconds["copy"])),
        "float32_flops_per_second": 2 * sizes.square**3 / float(np.median(seconds["product"])),
    }


class TrainCall(NamedTuple):
    """A plan's training program, compiled with options of its own, and ready to be called.

    Attributes:
      call: runs the program for the first chunk, and waits for its end.
      compile_seconds: the time of compiling.
      program: the compiled program.
    """

    call: Callable[[], Any]
    compile_seconds: float
    program: Any


class Lowered(NamedTuple):
    """A plan's training program before it is compiled.

    Attributes:
      program: the program.
      arguments: its arguments for the plan's first chunk.
    """

    program: Any
    arguments: tuple[Any, ...]


def lowered(own: Plan) -> Lowered:
    """Return the training program of a plan's first chunk, to be compiled with options."""
    chunk = own.chunks[0]
    program, members = own.programs[chunk.program], np.resize(chunk.cells, own.width)
    subject = own.subjects.distinct[program.subject]
    spec = Execution(own).spec(chunk.program, own.lanes, by_span=False)
    given = jax.device_put(inputs(own.study, own.cells, program, members))
    drawn = DrawSpec(subject, own.study.dtype, own.width).compile()(seeds(own.cells, members))
    return Lowered(lowered_train(spec), (given, drawn, jax.device_put(subject.own)))


def compiled(lowered: Lowered, options: Mapping[str, Any]) -> TrainCall:
    """Return a training program compiled with some options."""
    began = time.perf_counter()
    program = lowered.program.compile({**compiler_options(), **options})
    seconds = time.perf_counter() - began
    return TrainCall(lambda: jax.block_until_ready(program(*lowered.arguments)), seconds, program)


def train_call(own: Plan, options: Mapping[str, Any]) -> TrainCall:
    """Return the training program of a plan's first chunk, compiled with some options."""
    return compiled(lowered(own), options)


def beside_peers(sizes: Sizes) -> Iterator[dict[str, Any]]:
    """Yield, for each number of runs, the times of a sweep of the article's network and of what people write by hand."""
    for runs in sizes.runs:
        workload = sizes.workload(runs)
        begin, how = start(workload), (workload.batch_count, workload.epochs, workload.rate)
        calls: dict[str, Callable[[], np.ndarray]] = {
            "jaxsgd": losses_of(plan(workload.study())),
            "jit(vmap(scan))": peers.article(begin, *how),
            "the same, with a rate of each run": peers.article(begin, *how[:2], np.full(runs, workload.rate)),
        }
        if torch_loop.torch is not None:
            calls["PyTorch, vmap in a CUDA graph"] = peers.torch_graph(begin, *how)
        results, firsts = called(calls)
        apart = {name: largest_difference(losses, results["jaxsgd"]) for name, losses in results.items()}
        steps = workload.epochs * workload.batch_count
        yield {
            "runs": runs,
            "epochs": workload.epochs,
            "steps": runs * steps,
            "times": timed(calls, sizes.repeats, firsts),
            "largest difference": apart,
            "passes": all(share <= LOSS_RTOL for share in apart.values()),
        }


DIGITS = user_problem.USER_PROBLEMS["digits"]._replace(words="digits, B = 179", args={"num_samples": 1790}, batch_count=10)
"""The classifier of digits with as many steps in an epoch as the article's network."""


def digits(sizes: Sizes) -> Iterator[dict[str, Any]]:
    """Yield the times of the classifier of digits, for each number of runs."""
    for runs in sizes.runs:
        yield beside_loops(DIGITS, runs, sizes.epochs(runs), sizes.repeats)


def problems(sizes: Sizes) -> Iterator[dict[str, Any]]:
    """Yield the times of other problems of users, for the two smallest numbers of runs."""
    for name, share in sizes.problems.items():
        user = user_problem.USER_PROBLEMS[name]
        for runs in sizes.runs[:2]:
            yield beside_loops(user, runs, share * user.epochs(sizes.runs[0]), sizes.repeats)


def beside_loops(user: user_problem.UserProblem, runs: int, epochs: int, repeats: int) -> dict[str, Any]:
    """Return the times of a sweep of a user's problem, and of all runs at once and one run after another by hand.

    They pass if no loss of the first epoch differs by more than rounding: over many steps that may grow.
    """
    study = user.study(runs, epochs)
    start = user_problem.begun(study)
    start = start._replace(params=jax.device_put(start.params), batches=jax.device_put(start.batches))
    calls = {
        "jaxsgd": losses_of(plan(study)),
        "jit(vmap(scan))": partial(user_loop.side_by_side(user), start, epochs),
        "two runs, one after another": partial(user_loop.by_runs(user), start.first(2), epochs),
    }
    with jax.default_matmul_precision("float32"):
        results, firsts = called(calls)
        times = timed(calls, repeats, firsts)
    ours = results["jaxsgd"]
    first_epoch = [largest_difference(losses[:, :1], ours[:, :1]) for losses in results.values()]
    return {
        "problem": user.words,
        "runs": runs,
        "epochs": epochs,
        "steps": runs * epochs * user.batch_count,
        "times": times,
        "largest difference": {name: largest_difference(losses, ours) for name, losses in results.items()},
        "passes": max(first_epoch) <= LOSS_RTOL,
    }


def in_one_kernel(sizes: Sizes) -> dict[str, Any]:
    """Return the times of the article's network trained in one kernel for each number of runs, beside the script by hand."""
    reason = whole_training.missing()
    if reason:
        return {"not run": reason}
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        library = whole_training.compiled(Path(folder))
        for runs in sizes.runs:
            workload = sizes.workload(runs)
            begin, how = start(workload), (workload.batch_count, workload.epochs, workload.rate)
            calls = {
                "jit(vmap(scan))": peers.article(begin, *how),
                "one kernel": whole_training.article(library, begin, *how),
            }
            results, _ = called(calls)
            apart = largest_difference(results["one kernel"], results["jit(vmap(scan))"])
            times = timed(calls, sizes.repeats)
            rows.append({"runs": runs, "epochs": workload.epochs, "times": times, "largest difference": apart})
    return {"rows": rows}


def forms(sizes: Sizes) -> Iterator[dict[str, Any]]:
    """Yield the times of hand-written forms of the program: products as sums, and several steps in a turn of the loop."""
    for runs in sizes.form_runs:
        workload = sizes.workload(runs)
        begin, how = start(workload), (workload.batch_count, workload.epochs, workload.rate)
        calls = {
            "jit(vmap(scan))": peers.article(begin, *how),
            "small products as sums": peers.article(begin, *how, product=peers.with_sums),
            "five steps a turn": peers.article(begin, *how, unroll=5),
        }
        _, firsts = called(calls)
        yield {"runs": runs, "times": timed(calls, sizes.repeats, firsts)}


def parts(sizes: Sizes) -> Iterator[dict[str, Any]]:
    """Yield the times of a sweep's parts: all of it, its outputs and measures, drawing, and the training program."""
    for runs in sizes.runs:
        own = plan(sizes.workload(runs).study())
        chunk = own.chunks[0]
        subject = own.subjects.distinct[0]
        draw = DrawSpec(subject, "float32", own.width).compile()
        one_by_one = jax.jit(partial(jax.lax.map, draw_function(subject)))
        given = seeds(own.cells, np.resize(chunk.cells, own.width))
        train = train_call(own, {})
        execution, device = Execution(own), jax.local_devices()[0]
        outputs, _ = execution.outputs(chunk, device)
        calls = {
            "a chunk": partial(execution.run_chunk, chunk, device),
            "its outputs": partial(execution.outputs, chunk, device),
            "its measures": partial(summary, own, chunk, outputs),
            "drawing": lambda draw=draw, given=given: jax.block_until_ready(draw(given)),
            "drawing one by one": lambda draw=one_by_one, given=given: jax.block_until_ready(draw(given)),
            "training": train.call,
        }
        called(calls)
        yield {
            "runs": runs,
            "width": own.width,
            "lanes": own.lanes,
            "chunks": len(own.chunks),
            "compile_seconds": train.compile_seconds,
            "times": timed(calls, sizes.repeats),
        }


def over_lanes(sizes: Sizes) -> dict[str, Any]:
    """Return the times of the largest number of runs over the number of lanes, the training program alone."""
    runs = sizes.runs[-1]
    study = sizes.workload(runs).study(epochs=sizes.least_epochs)
    plans = {lanes: plan(study, chunk_width=runs, lanes=lanes) for lanes in sizes.lanes}
    trains = _side_by_side({str(lanes): partial(train_call, own, {}) for lanes, own in plans.items()})
    calls = {lanes: train.call for lanes, train in reversed(trains.items())}
    called(calls)
    return {"runs": runs, "epochs": sizes.least_epochs, "times": timed(calls, max(2, sizes.repeats // 2))}


def _article(sizes: Sizes) -> Study:
    """Return as many runs of the article's network as a GPU's lanes."""
    return sizes.workload(sizes.runs[-1]).study(seeds=range(min(sizes.runs[-1], GPU_LANES)))


def over_options(sizes: Sizes, texts: dict[str, str]) -> Iterator[dict[str, Any]]:
    """Yield the times of the training program with each option of XLA alone.

    Args:
      sizes: the amount of work.
      texts: takes the texts of the programs with no option.
    """
    cases = {
        "article": (_article(sizes), OPTIONS),
        "digits": (DIGITS.study(sizes.runs[0], sizes.epochs(sizes.runs[0])), {name: OPTIONS[name] for name in STARTING}),
    }
    for case, (study, all_options) in cases.items():
        own = plan(study)
        program, trains, failed = lowered(own), {}, {}
        for name, options in {"default": {}, **all_options}.items():
            try:
                train = compiled(program, options)
                train.call()
            except jax.errors.JaxRuntimeError as error:
                failed[name] = str(error).splitlines()[0][:200]
            else:
                trains[name] = train
        texts[case] = trains["default"].program.as_text()
        firsts = {name: train.compile_seconds for name, train in trains.items()}
        rows = timed({name: train.call for name, train in trains.items()}, sizes.repeats, firsts)
        yield {"study": case, "runs": len(own.cells.split), "lanes": own.lanes, "times": rows, "failed": failed}


def with_option(sizes: Sizes, options: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the time of the article's training program with some options of XLA."""
    train = train_call(plan(_article(sizes)), options)
    train.call()
    return timed({"training": train.call}, sizes.repeats, {"training": train.compile_seconds})


def over_orders(sizes: Sizes) -> dict[str, Any]:
    """Return the times of the training program in each order, for the largest number of runs."""
    runs = sizes.runs[-1]
    study = sizes.workload(runs).study(epochs=sizes.least_epochs)
    own = {order: plan(study.replaced(orders=[order])) for order in ORDERS}
    trains = _side_by_side({order: partial(train_call, plan, {}) for order, plan in own.items()})
    calls = {order: train.call for order, train in trains.items()}
    called(calls)
    return {"runs": runs, "epochs": sizes.least_epochs, "times": timed(calls, max(2, sizes.repeats // 2))}


def over_paths(sizes: Sizes) -> dict[str, Any]:
    """Return the times of several batch counts in one program, and in a program for each."""
    runs = sizes.runs[1]
    study = sizes.workload(runs).study(
        batch_counts=[1, 5, 10, 20], epochs=4 * sizes.least_epochs, seeds=range(max(1, runs // 4))
    )
    calls = {path: executing(plan(study, vectorize=path)) for path in ("one_program", "grouped")}
    _, firsts = called(calls)
    return {"runs": runs, "batch_counts": [1, 5, 10, 20], "times": timed(calls, sizes.repeats, firsts)}


def _side_by_side(calls: Mapping[str, Callable[[], TrainCall]]) -> dict[str, TrainCall]:
    """Return the results of calls that compile, made in threads."""
    with ThreadPoolExecutor(len(calls)) as pool:
        futures = {name: pool.submit(call) for name, call in calls.items()}
        return {name: future.result() for name, future in futures.items()}
