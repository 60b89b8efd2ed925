"""The oracle: mini-batch SGD on the article's network as a plain NumPy loop, gradients by hand, no JAX.

    hidden = sigmoid(x w1),  y = sigmoid(hidden w2'),  loss = mean over batch and outputs of (y - t)^2

Shapes: x [N, D], t [N, O], w1 [D, H], w2 [O, H] (held transposed, as the package holds it). The loop computes in the
dtype that it is given.
"""

from collections.abc import Callable, Iterable, Sequence

import numpy as np

Rule = Callable[[np.ndarray], np.ndarray]
"""From one weight's gradient to the change of that weight. A rule may remember: make a new one for every weight."""


def sgd(lr: float) -> Rule:
    """w <- w - lr g."""

    def change(grad):
        return -lr * grad

    return change


def momentum(lr: float, mu: float) -> Rule:
    """v <- g + mu v, then w <- w - lr v, v starting at 0 (Polyak 1964; the rate outside of v, as in optax and PyTorch)."""
    velocity = 0.0

    def change(grad):
        nonlocal velocity
        velocity = grad + mu * velocity
        return -lr * velocity

    return change


def adam(lr: float, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8) -> Rule:
    """Algorithm 1 of Kingma and Ba 2015, "Adam: a method for stochastic optimization"."""
    step, first, second = 0, 0.0, 0.0

    def change(grad):
        nonlocal step, first, second
        step += 1
        first = b1 * first + (1 - b1) * grad
        second = b2 * second + (1 - b2) * grad**2
        return -lr * (first / (1 - b1**step)) / (np.sqrt(second / (1 - b2**step)) + eps)

    return change


def sigmoid(z: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-z)); far to the left exp overflows to inf, and the quotient is the right 0."""
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-z))


def loss_and_gradient(w1: np.ndarray, w2: np.ndarray, x: np.ndarray, t: np.ndarray):
    """One batch: its mean loss, and the loss's gradient in w1 and in w2."""
    hidden = sigmoid(x @ w1)
    y = sigmoid(hidden @ w2.T)
    error = y - t
    into_output = 2 * error / error.size * y * (1 - y)
    into_hidden = into_output @ w2 * hidden * (1 - hidden)
    return np.mean(error**2), x.T @ into_hidden, into_output.T @ hidden


def train(
    x: np.ndarray,
    t: np.ndarray,
    w1: np.ndarray,
    w2: np.ndarray,
    epochs: Iterable[Sequence[np.ndarray]],
    rule: Callable[[], Rule],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Trains and returns (losses [E, m], w1, w2); a batch's loss is taken before its update.

    Args:
      x, t: the samples.
      w1, w2: the initial weights; they are left as they are.
      epochs: for each epoch, for each of its batches, the indices of the batch's samples.
      rule: makes a rule of change; called once for w1 and once for w2.
    """
    w1, w2 = w1.copy(), w2.copy()
    change1, change2 = rule(), rule()
    losses = []
    for batches in epochs:
        losses.append([])
        for samples in batches:
            loss, grad1, grad2 = loss_and_gradient(w1, w2, x[samples], t[samples])
            losses[-1].append(loss)
            w1 += change1(grad1)
            w2 += change2(grad2)
    return np.array(losses), w1, w2
