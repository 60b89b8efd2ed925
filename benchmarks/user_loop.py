"""The loops that users write in place of a sweep, for any problem: compiled steps, compiled runs, all runs at once, PyTorch."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.torch_loop import torch
from benchmarks.user_problem import Begun, UserProblem

Loop = Callable[[Begun, int], np.ndarray]
"""`(R runs, E) -> losses [R, E, m]`."""


def _update(user: UserProblem) -> Callable[[Any, Any], tuple[Any, jax.Array]]:
    """Return one step of SGD: `(params, batch) -> (new params, loss before the step)`."""
    losses = user.study(1, 1).subject().problem.loss

    def update(params: Any, batch: Any) -> tuple[Any, jax.Array]:
        value, gradients = jax.value_and_grad(lambda params: losses(params, batch).mean())(params)
        return jax.tree.map(lambda leaf, gradient: leaf - user.rate * gradient, params, gradients), value

    return update


def _run(user: UserProblem) -> Callable[[Any, Any, int], jax.Array]:
    """Return a run as a scan in a scan: `(params, batches [m, B, ...], E) -> losses [E, m]`."""
    update = _update(user)

    def run(params: Any, batches: Any, epochs: int) -> jax.Array:
        def epoch(params: Any, _: None) -> tuple[Any, jax.Array]:
            return jax.lax.scan(update, params, batches)

        return jax.lax.scan(epoch, params, None, length=epochs)[1]

    return run


def by_steps(user: UserProblem) -> Loop:
    """Return the loop that calls a compiled step for every batch of one run after another."""
    update = jax.jit(_update(user))

    def train(start: Begun, epochs: int) -> np.ndarray:
        losses = []
        for number in range(start.runs):
            params, batches = start.run(number)
            params = jax.tree.map(jnp.asarray, params)
            own = [jax.tree.map(lambda leaf, j=j: jnp.asarray(leaf[j]), batches) for j in range(user.batch_count)]
            for _ in range(epochs):
                for batch in own:
                    params, value = update(params, batch)
                    losses.append(value)
        return np.asarray(jax.device_get(losses)).reshape(start.runs, epochs, user.batch_count)

    return train


def by_runs(user: UserProblem) -> Loop:
    """Return the loop that calls a compiled run for one run after another."""
    run = jax.jit(_run(user), static_argnums=2)

    def train(start: Begun, epochs: int) -> np.ndarray:
        return np.stack([np.asarray(run(*start.run(number), epochs)) for number in range(start.runs)])

    return train


def side_by_side(user: UserProblem) -> Loop:
    """Return the call of `jit(vmap(scan))` over all runs at once."""
    run = _run(user)
    run_all = {
        is_shared: jax.jit(jax.vmap(run, in_axes=(0, None if is_shared else 0, None)), static_argnums=2)
        for is_shared in (False, True)
    }

    def train(start: Begun, epochs: int) -> np.ndarray:
        return np.asarray(run_all[start.is_shared](start.params, start.batches, epochs))

    return train


def in_torch(user: UserProblem) -> Loop:
    """Return the loop over runs and steps in PyTorch, on one thread: a second one only costs time in steps so small."""

    def train(start: Begun, epochs: int) -> np.ndarray:
        torch.set_num_threads(1)
        losses = np.empty((start.runs, epochs, user.batch_count), np.float32)
        for number in range(start.runs):
            params, batches = start.run(number)
            leaves = [torch.tensor(leaf, requires_grad=True) for leaf in jax.tree.leaves(params)]
            arrays = [torch.tensor(array) for array in jax.tree.leaves(batches)]
            for epoch in range(epochs):
                for position in range(user.batch_count):
                    value = user.torch_losses(leaves, *(array[position] for array in arrays)).mean()
                    gradients = torch.autograd.grad(value, leaves)
                    with torch.no_grad():
                        for leaf, gradient in zip(leaves, gradients, strict=True):
                            leaf -= user.rate * gradient
                    losses[number, epoch, position] = value.item()
        return losses

    return train
