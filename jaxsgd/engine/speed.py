"""The speed of this machine's processor, from which a plan estimates times: measured at its first use, and kept.

Small training programs are compiled as those of a sweep and timed in CPU seconds, so that other work on the machine hardly
matters. The numbers lie in the folder of compiled programs (`jaxsgd info` names it), in a file for each kind of processor and
version of JAX; without such a folder a plan takes `USUAL`. They matter before a result is begun: a result keeps its plan.
"""

import hashlib
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxsgd.engine.draw_program import Drawn
from jaxsgd.engine.loss_cost import LossCost, loss_cost
from jaxsgd.engine.program import inputs, programs
from jaxsgd.engine.program_folder import program_folder
from jaxsgd.engine.train_program import train_spec
from jaxsgd.error import InputError
from jaxsgd.machine import processor
from jaxsgd.problem import Problem
from jaxsgd.problems.article_network import squared_error
from jaxsgd.results.store import read_json, write_json
from jaxsgd.study.cells import cells as cells_of
from jaxsgd.study.study import Study
from jaxsgd.study.subject import precision_of

COMPILE_SECONDS = 0.5
"""The time to compile the training of a small network, times `Speed.compile_factor`."""

EQUATION_COMPILE_SECONDS = 0.02
"""The further time to compile, for each operation (equation of the jaxpr) of the loss and its gradient."""

OBSERVABLE_EQUATION_COMPILE_SECONDS = 0.006
"""The further time to compile, for each operation of the observables that a study asks for: few of them are large products."""


class Speed(NamedTuple):
    """The speed of one core.

    Attributes:
      flops: floating-point operations per second of small products and their element-wise rest.
      convolution_flops: the same, of a loss with convolutions.
      equation_seconds: the time of a step besides its arithmetic, for each operation (equation) of the loss and its gradient.
      compile_factor: the time to compile a program, over what the constants of this module and of the plan give.
    """

    flops: float
    convolution_flops: float
    equation_seconds: float
    compile_factor: float

    def compile_seconds(self, equations: int = 0, observable_equations: int = 0) -> float:
        """Return the estimated time to compile a training program.

        Args:
          equations: operations of the loss and its gradient.
          observable_equations: operations of the observables that a study asks for.
        """
        further = EQUATION_COMPILE_SECONDS * equations + OBSERVABLE_EQUATION_COMPILE_SECONDS * observable_equations
        return self.compile_factor * (COMPILE_SECONDS + further)


USUAL = Speed(flops=10e9, convolution_flops=20e9, equation_seconds=1e-7, compile_factor=1.0)
"""The speed that is taken where none is measured."""

MOST_APART = 30.0
"""A measured number that differs from the usual one by a larger factor is a fault of the measurement, and is cut there."""

REPEATS = 8
"""Times that each program runs; the least CPU time counts."""


def speed(convolves: bool) -> Speed:
    """Return the speed of this machine's processor: as it was measured before, or measured now, in about two seconds.

    Without a folder for it, with JAX's cache turned off, and on an accelerator, that is `USUAL`.

    Args:
      convolves: True if the speed of convolutions is needed too, which is measured apart.
    """
    folder = _folder()
    if folder is None or jax.default_backend() != "cpu":
        return USUAL
    parts = ("products", "convolutions") if convolves else ("products",)
    return USUAL._replace(**{name: value for part in parts for name, value in _kept(folder, part).items()})


def speed_file(folder: Path, part: str) -> Path:
    """Return the file of one part of the speed, by its name in `PARTS`, of this processor and version of JAX."""
    machine = hashlib.sha256(f"{processor()} {jax.__version__}".encode()).hexdigest()[:12]
    return folder / f"speed-{part}-{machine}.json"


def _folder() -> Path | None:
    """Return the folder of compiled programs; None if none is to be used."""
    if not jax.config.values["jax_enable_compilation_cache"]:
        return None
    return Path(jax.config.values["jax_compilation_cache_dir"] or program_folder())


_known: dict[Path, dict[str, float]] = {}
_lock = threading.Lock()


def _kept(folder: Path, part: str) -> dict[str, float]:
    """Return one part of the speed from its file, which is written now if it is missing or damaged; {} if it cannot be."""
    file = speed_file(folder, part)
    with _lock:
        if file not in _known:
            _known[file] = _read(file, part) or _written(folder, part)
        return _known[file]


def _read(file: Path, part: str) -> dict[str, float]:
    """Return the numbers of a file; {} if it is missing or damaged."""
    try:
        numbers = read_json(file)["speed"]
        return {name: _plausible(name, float(numbers[name])) for name in PARTS[part].names}
    except (InputError, KeyError, TypeError, ValueError):
        return {}


def _written(folder: Path, part: str) -> dict[str, float]:
    """Measure and write one part of the speed, and return it; {} if the file cannot be written, and then nothing is measured.

    To measure anew at every start would cost more than better estimates save.
    """
    try:
        keep(folder, part, {})
        numbers = {name: _plausible(name, value) for name, value in PARTS[part].measure().items()}
        keep(folder, part, numbers)
    except OSError:
        return {}
    return numbers


def keep(folder: Path, part: str, numbers: dict[str, float]) -> None:
    """Write one part of the speed, by its name in `PARTS`, into a folder, which is made if it is missing.

    Raises:
      OSError: if it cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_json(speed_file(folder, part), {"processor": processor(), "jax": jax.__version__, "speed": numbers})


def _plausible(name: str, value: float) -> float:
    """Return a number to two digits, and not far from the usual one.

    Raises:
      ValueError: if it is not finite.
    """
    usual = getattr(USUAL, name)
    if not np.isfinite(value):
        raise ValueError(value)
    return float(f"{np.clip(value, usual / MOST_APART, usual * MOST_APART):.1e}")


class _Timed(NamedTuple):
    """A small training program that was timed.

    Attributes:
      step_seconds: CPU seconds of a step of one run.
      compile_seconds: CPU seconds to compile it.
      cost: of a pass over its data.
      batch_count: steps in a pass.
    """

    step_seconds: float
    compile_seconds: float
    cost: LossCost
    batch_count: int

    @property
    def flops(self) -> float:
        """Floating-point operations of a step with its update."""
        return self.cost.work.flops / self.batch_count + 3 * self.cost.params_bytes


def _timed(problem: Problem, batch_count: int, epochs: int, lanes: int) -> _Timed:
    """Compile and time the training program of a problem with its own arrays, whose runs go side by side in so many lanes."""
    study = Study(
        problem=problem, seeds=range(lanes), batch_counts=[batch_count], learning_rates=[1e-3], orders=["fixed"], epochs=epochs
    )
    subject = study.subject()
    cells = cells_of(study, subject.num_samples)
    program = programs(cells, np.zeros(lanes, int), one_program=False)[0]
    with precision_of(study.dtype):
        params = jax.tree.map(lambda leaf: np.stack([leaf] * lanes), problem.init(jax.random.key(0)))
        given = (inputs(study, cells, program, np.arange(lanes)), Drawn(params, None, None), subject.own)
        began = time.process_time()
        train = train_spec(study, subject, cells, program, lanes, lanes).compile()
        compile_seconds, seconds = time.process_time() - began, []
        for _ in range(REPEATS):
            began = time.process_time()
            jax.block_until_ready(train(*given))
            seconds.append(time.process_time() - began)
    steps = lanes * epochs * batch_count
    return _Timed(min(seconds) / steps, compile_seconds, loss_cost(subject, study.dtype), batch_count)


def _measured_products() -> dict[str, float]:
    """Return what a network that is large in products and a line that has next to none tell."""
    network, line = _timed(_network(), batch_count=2, epochs=3, lanes=4), _timed(_line(), batch_count=16, epochs=50, lanes=8)
    equation_seconds = line.step_seconds / line.cost.work.equations
    arithmetic = max(network.step_seconds - equation_seconds * network.cost.work.equations, network.step_seconds / 10)
    expected = [USUAL.compile_seconds(timed.cost.work.equations) for timed in (network, line)]
    return {
        "flops": network.flops / arithmetic,
        "equation_seconds": equation_seconds,
        "compile_factor": (network.compile_seconds + line.compile_seconds) / sum(expected),
    }


def _measured_convolutions() -> dict[str, float]:
    """Return what a small convolutional network tells; its steps are long, and all their time counts as arithmetic."""
    network = _timed(_convolutional_network(), batch_count=2, epochs=2, lanes=1)
    return {"convolution_flops": network.flops / network.step_seconds}


def _network() -> Problem:
    """Return the article's network on 200 samples."""
    x = np.random.default_rng(0).normal(size=(200, 10)).astype(np.float32)
    weights = np.random.default_rng(1).normal(size=(10, 1000)).astype(np.float32)
    return Problem(lambda key: {"w1": weights, "w2": weights}, squared_error, (x, x**2))


def _line() -> Problem:
    """Return least squares with 4 inputs on 64 samples."""
    x = np.random.default_rng(0).normal(size=(64, 4)).astype(np.float32)
    return Problem(
        lambda key: np.zeros(4, np.float32), lambda weights, batch: (batch[0] @ weights - batch[1]) ** 2, (x, x[:, 0])
    )


def _convolutional_network() -> Problem:
    """Return two convolutions of 8 x 8 pixels, the second with a stride of 2, on 64 images."""
    x = np.random.default_rng(0).normal(size=(64, 8, 8, 1)).astype(np.float32)
    kernels = [np.random.default_rng(1).normal(0, 0.3, size=size).astype(np.float32) for size in ((3, 3, 1, 8), (3, 3, 8, 16))]

    def loss(kernels: list[Any], batch: tuple[Any, Any]) -> Any:
        maps, target = batch
        for kernel, stride in zip(kernels, (1, 2), strict=True):
            axes = ("NHWC", "HWIO", "NHWC")
            maps = jax.nn.relu(jax.lax.conv_general_dilated(maps, kernel, (stride, stride), "SAME", dimension_numbers=axes))
        return (maps.mean(axis=(1, 2, 3)) - target) ** 2

    return Problem(lambda key: kernels, loss, (x, x[:, 0, 0, 0]))


class Measurement(NamedTuple):
    """A part of the speed that is measured by itself.

    Attributes:
      names: the numbers of `Speed` that it gives.
      measure: returns them.
    """

    names: tuple[str, ...]
    measure: Callable[[], dict[str, float]]


PARTS = {
    "products": Measurement(("flops", "equation_seconds", "compile_factor"), _measured_products),
    "convolutions": Measurement(("convolution_flops",), _measured_convolutions),
}
"""The parts of the speed by name; convolutions are measured when a study first has some."""
