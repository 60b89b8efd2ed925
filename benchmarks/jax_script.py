"""The same training as people write it in a single JAX file, at three levels of compiling."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.workload import Start

Weights = tuple[jax.Array, jax.Array]


def loss(weights: Weights, x: jax.Array, target: jax.Array) -> jax.Array:
    """Mean squared error of the network."""
    w1, w2 = weights
    return jnp.mean((jax.nn.sigmoid(jax.nn.sigmoid(x @ w1) @ w2) - target) ** 2)


def update(weights: Weights, batch: tuple[jax.Array, jax.Array], rate: Any) -> tuple[Weights, jax.Array]:
    """One step: new weights, and the loss before it."""
    value, gradients = jax.value_and_grad(loss)(weights, *batch)
    return jax.tree.map(lambda weight, gradient: weight - rate * gradient, weights, gradients), value


_update = jax.jit(update)


@partial(jax.jit, static_argnames="epochs")
def _run(weights: Weights, batches: tuple[jax.Array, jax.Array], rate: Any, epochs: int) -> jax.Array:
    def step(weights: Weights, batch: tuple[jax.Array, jax.Array]) -> tuple[Weights, jax.Array]:
        return update(weights, batch, rate)

    def epoch(weights: Weights, _: None) -> tuple[Weights, jax.Array]:
        return jax.lax.scan(step, weights, batches)

    return jax.lax.scan(epoch, weights, None, length=epochs)[1]


_run_all = jax.jit(jax.vmap(_run, in_axes=(0, 0, None, None)), static_argnums=3)


def _batches(arrays: Start, batch_count: int) -> tuple[np.ndarray, np.ndarray]:
    """x and target cut into batches, [R, m, B, ...]."""
    runs = len(arrays.x)
    return arrays.x.reshape(runs, batch_count, -1, arrays.x.shape[-1]), arrays.target.reshape(
        runs, batch_count, -1, arrays.target.shape[-1]
    )


def train_by_steps(arrays: Start, batch_count: int, epochs: int, rate: float) -> np.ndarray:
    """Losses [R, E, m]: a compiled step, called from Python for every batch."""
    x, target = _batches(arrays, batch_count)
    losses = []
    for run in range(len(x)):
        weights = (jnp.asarray(arrays.w1[run]), jnp.asarray(arrays.w2[run]))
        batches = [(jnp.asarray(x[run, j]), jnp.asarray(target[run, j])) for j in range(batch_count)]
        for _ in range(epochs):
            for batch in batches:
                weights, value = _update(weights, batch, rate)
                losses.append(value)
    return np.asarray(jnp.stack(losses)).reshape(len(x), epochs, batch_count)


def train_by_runs(arrays: Start, batch_count: int, epochs: int, rate: float) -> np.ndarray:
    """Losses [R, E, m]: a compiled run (a scan in a scan), called from Python for every run."""
    x, target = _batches(arrays, batch_count)
    runs = zip(arrays.w1, arrays.w2, x, target, strict=True)
    return np.stack([np.asarray(_run((w1, w2), (own_x, own_target), rate, epochs)) for w1, w2, own_x, own_target in runs])


def train_side_by_side(arrays: Start, batch_count: int, epochs: int, rate: float) -> np.ndarray:
    """Losses [R, E, m]: `jit(vmap(scan))` over all runs at once."""
    return np.asarray(_run_all((arrays.w1, arrays.w2), _batches(arrays, batch_count), rate, epochs))
