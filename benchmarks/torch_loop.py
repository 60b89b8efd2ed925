"""The same training in PyTorch: a loop over runs and steps, and a loop over steps with `torch.func.vmap` over runs."""

from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

# It is no dependency: the comparison goes without it, and says so.
torch: Any = import_module("torch") if find_spec("torch") else None


def loss(w1: Any, w2: Any, x: Any, target: Any) -> Any:
    """Mean squared error of the network."""
    return ((torch.sigmoid(torch.sigmoid(x @ w1) @ w2) - target) ** 2).mean()


def train_each(arrays: Any, batch_count: int, epochs: int, rate: float) -> np.ndarray:
    """Losses [R, E, m] by automatic differentiation, one run after another."""
    losses = np.empty((len(arrays.x), epochs, batch_count), np.float32)
    for run in range(len(arrays.x)):
        x, target, w1, w2 = (torch.tensor(array[run]) for array in arrays)
        w1.requires_grad_()
        w2.requires_grad_()
        batches = list(zip(x.chunk(batch_count), target.chunk(batch_count), strict=True))
        for epoch in range(epochs):
            for position, (inputs, wanted) in enumerate(batches):
                value = loss(w1, w2, inputs, wanted)
                gradients = torch.autograd.grad(value, (w1, w2))
                with torch.no_grad():
                    for weight, gradient in zip((w1, w2), gradients, strict=True):
                        weight -= rate * gradient
                losses[run, epoch, position] = value.item()
    return losses


def train_side_by_side(arrays: Any, batch_count: int, epochs: int, rate: float) -> np.ndarray:
    """Losses [R, E, m] of all runs at once, each step mapped over them."""
    x, target, w1, w2 = (torch.tensor(array) for array in arrays)
    step = torch.func.vmap(torch.func.grad_and_value(loss, argnums=(0, 1)))
    batches = list(zip(x.chunk(batch_count, dim=1), target.chunk(batch_count, dim=1), strict=True))
    losses = np.empty((len(x), epochs, batch_count), np.float32)
    for epoch in range(epochs):
        for position, (inputs, wanted) in enumerate(batches):
            (first, second), value = step(w1, w2, inputs, wanted)
            w1 -= rate * first
            w2 -= rate * second
            losses[:, epoch, position] = value.numpy()
    return losses
