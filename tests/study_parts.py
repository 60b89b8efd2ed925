"""Problems that studies in the tests point at."""

import dataclasses
import functools
import os
import signal
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from jaxsgd import Problem, streams
from jaxsgd.problems import least_squares


def sometimes_nan(num_samples: int = 20) -> Problem:
    """Least squares whose initial weights are NaN for about half of the initial seeds."""
    problem = least_squares(num_samples=num_samples, num_inputs=3)

    def init(key):
        return jnp.where(jax.random.bernoulli(key), jnp.nan, jnp.zeros(3))

    return Problem(init, problem.loss, problem.data)


HELD_INPUTS = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
HELD_TARGETS = np.random.default_rng(1).normal(size=40).astype(np.float32)


def holding() -> Problem:
    """Least squares on arrays of its own."""
    problem = least_squares(num_samples=40, num_inputs=3)
    return Problem(problem.init, problem.loss, (HELD_INPUTS, HELD_TARGETS), problem.optimum)


def named() -> Problem:
    """A problem with a name of its own."""
    return dataclasses.replace(least_squares(num_samples=4, num_inputs=3), name="two moons")


def two_leaves() -> Problem:
    """Parameters {a: [2], b: []} that begin at 0, with the optimum a = (2, 2), b = 1 whatever the four samples."""

    def loss(params, batch):
        return batch * (jnp.sum((params["a"] - 2) ** 2) + (params["b"] - 1) ** 2)

    return Problem(
        init=lambda key: {"a": jnp.zeros(2), "b": jnp.zeros(())},
        loss=loss,
        data=lambda key: jnp.ones(4),
        optimum=lambda data: {"a": jnp.full(2, 2.0), "b": jnp.ones(())},
    )


@functools.cache
def drawn_squares(seed: int, num_samples: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """The inputs [N, 3] and targets [N] of least squares, as a run of this seed draws them."""
    draw = jax.jit(least_squares(num_samples, 3).sample_data)
    x, target = map(np.asarray, draw(streams(jax.random.key(seed)).data))
    return x, target


def waves() -> Problem:
    """Least squares on 20 samples that a program draws which is quick to compile: waves, whose phase depends on the seed."""
    problem = least_squares(num_samples=20, num_inputs=3)

    def data(key):
        phase = (jax.random.key_data(key)[-1] % 1000).astype(np.float32)
        return jnp.cos(jnp.arange(60.0).reshape(20, 3) + phase), jnp.sin(jnp.arange(20.0) + phase)

    return Problem(problem.init, problem.loss, data, problem.optimum)


def obedient(folder: str, num_seeds: int = 8) -> Problem:
    """`waves` whose runs do, before they begin, what a file in a folder says of their seed, wherever they are run.

    `0.wait`: the run of seed 0 waits until the file is gone; `0.raise`: it fails; `0.kill`: its process kills itself. Each run
    leaves a file `0.begun.PID`. None of it touches the numbers, which are those of `waves`.
    """
    problem = waves()
    place = Path(folder)
    keys = {np.asarray(jax.random.key_data(streams(jax.random.key(i)).init)).tobytes(): i for i in range(num_seeds)}

    def obey(key):
        seed = keys[np.asarray(key).tobytes()]
        (place / f"{seed}.begun.{os.getpid()}").touch()
        if (place / f"{seed}.kill").exists():
            os.kill(os.getpid(), signal.SIGKILL)
        if (place / f"{seed}.raise").exists():
            raise ValueError(f"seed {seed} is told to fail")
        give_up = time.monotonic() + 120
        while (place / f"{seed}.wait").exists() and time.monotonic() < give_up:
            time.sleep(0.02)
        return np.float32(0)

    def init(key):
        zero = jax.pure_callback(obey, jax.ShapeDtypeStruct((), np.float32), jax.random.key_data(key), vmap_method="sequential")
        return jnp.zeros(3) + zero

    return Problem(init, problem.loss, problem.data, problem.optimum)


def hold(folder, seeds):
    """Has the runs of some seeds of `obedient` wait."""
    for seed in seeds:
        (folder / f"{seed}.wait").touch()


def let_go(folder):
    """Has all runs of `obedient` go on."""
    for waiting in folder.glob("*.wait"):
        waiting.unlink()
