"""The training that people write by hand for an accelerator, with all data on it before the clock starts."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import torch_loop
from benchmarks.workload import Start

Call = Callable[[], np.ndarray]
"""A call that trains all runs and returns their losses, [R, E, m]."""

Product = Callable[[jax.Array, jax.Array], jax.Array]
"""A matrix product."""


def by_sums(x: jax.Array, weight: jax.Array) -> jax.Array:
    """Return x @ weight as a sum over the few columns of x, which XLA can fuse with what uses it."""
    return sum(x[:, k, None] * weight[None, k] for k in range(x.shape[1]))  # type: ignore[return-value]


@jax.custom_vjp
def with_sums(x: jax.Array, weight: jax.Array) -> jax.Array:
    """Return x @ weight; it and the products of its gradient are sums where they have few terms."""
    return _product(x, weight)


def _product(x: jax.Array, weight: jax.Array) -> jax.Array:
    return by_sums(x, weight) if x.shape[1] <= 16 else x @ weight


def _forward(x: jax.Array, weight: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return with_sums(x, weight), (x, weight)


def _backward(kept: tuple[jax.Array, jax.Array], out: jax.Array) -> tuple[jax.Array, jax.Array]:
    x, weight = kept
    return _product(out, weight.T), x.T @ out


with_sums.defvjp(_forward, _backward)


def article_loss(product: Product, weights: Any, batch: Any) -> jax.Array:
    """Return the mean squared error of the article's network."""
    (w1, w2), (x, target) = weights, batch
    return jnp.mean((jax.nn.sigmoid(product(jax.nn.sigmoid(product(x, w1)), w2)) - target) ** 2)


def vmap_of_scan(
    loss: Callable[[Any, Any], jax.Array],
    weights: Any,
    batches: Any,
    epochs: int,
    rate: float | np.ndarray,
    unroll: int = 1,
) -> Call:
    """Return `jit(vmap(scan))` over all runs.

    Args:
      loss: `(weights, batch) -> []`.
      weights: with leading axis R.
      batches: with leading axes R and m.
      epochs: E.
      rate: the learning rate; an array [R] for runs with a rate each, which is then an input of the program.
      unroll: steps in one turn of the compiled loop.
    """

    own_rates = np.ndim(rate) > 0

    def run(weights: Any, batches: Any, rate: Any) -> jax.Array:
        def step(weights: Any, batch: Any) -> tuple[Any, jax.Array]:
            value, gradients = jax.value_and_grad(loss)(weights, batch)
            return jax.tree.map(lambda weight, gradient: weight - rate * gradient, weights, gradients), value

        def epoch(weights: Any, _: None) -> tuple[Any, jax.Array]:
            return jax.lax.scan(step, weights, batches, unroll=unroll)

        return jax.lax.scan(epoch, weights, None, length=epochs)[1]

    compiled = jax.jit(jax.vmap(run if own_rates else partial(run, rate=rate)))
    inputs = jax.device_put((weights, batches, *([np.asarray(rate, np.float32)] if own_rates else [])))

    def call() -> np.ndarray:
        with jax.default_matmul_precision("float32"):
            return np.asarray(compiled(*inputs))

    return call


def article(
    start: Start,
    batch_count: int,
    epochs: int,
    rate: float | np.ndarray,
    product: Product = jnp.matmul,
    unroll: int = 1,
) -> Call:
    """Return `jit(vmap(scan))` over runs of the article's network; `rate` as `vmap_of_scan` takes it."""
    batches = tuple(array.reshape(len(array), batch_count, -1, array.shape[-1]) for array in (start.x, start.target))
    loss = partial(article_loss, product)
    return vmap_of_scan(loss, (start.w1, start.w2), batches, epochs, rate, unroll)


def torch_graph(start: Start, batch_count: int, epochs: int, rate: float) -> Call:
    """Return a loop over epochs of PyTorch's `torch.func.vmap`, whose steps are one CUDA graph where there is CUDA."""
    torch = torch_loop.torch
    on_gpu = torch.cuda.is_available()
    device = "cuda" if on_gpu else "cpu"
    torch.backends.cuda.matmul.allow_tf32 = False
    x, target, *begin = (torch.tensor(array, device=device) for array in start)
    w1, w2 = (weight.clone() for weight in begin)
    step = torch.func.vmap(torch.func.grad_and_value(torch_loop.loss, argnums=(0, 1)))
    batches = list(zip(x.chunk(batch_count, dim=1), target.chunk(batch_count, dim=1), strict=True))
    losses = torch.empty((batch_count, len(x)), device=device)

    def epoch() -> None:
        for position, (inputs, wanted) in enumerate(batches):
            (first, second), value = step(w1, w2, inputs, wanted)
            w1.sub_(first, alpha=rate)
            w2.sub_(second, alpha=rate)
            losses[position].copy_(value)

    replay = epoch
    if on_gpu:
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            epoch()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            epoch()
        replay = graph.replay

    def call() -> np.ndarray:
        w1.copy_(begin[0])
        w2.copy_(begin[1])
        rows = []
        for _ in range(epochs):
            replay()
            rows.append(losses.clone())
        return torch.stack(rows).permute(2, 0, 1).cpu().numpy()

    return call
