"""Exact results of SGD on least squares, by NumPy in float64: no simulator, no JAX, nothing drawn.

A step on batch t is affine in the distance d = w - w* to the optimum: d <- (I - lr A_t) d - lr g_t, with A_t the batch's
Hessian and g_t its gradient at the optimum. On (d, 1) it is the matrix

    T_t = [[I - lr A_t, -lr g_t], [0, 1]],

an epoch is a product of those, and the second moments of (d, 1), as a vector, are multiplied by kron(T_t, T_t). Where batches
are drawn at random, independently of what came before, second moments are multiplied by the mean of that.
"""

import itertools

import numpy as np


def steps(x: np.ndarray, target: np.ndarray, rate: float, batches=None) -> np.ndarray:
    """T_t of each batch, [m, D+1, D+1]; batches of one sample each, or as given by their samples' indices."""
    optimum = np.linalg.lstsq(x, target)[0]
    residual = x @ optimum - target
    matrices = []
    for samples in batches if batches is not None else np.arange(len(x))[:, None]:
        hessian = x[samples].T @ x[samples] / len(samples)
        gradient = x[samples].T @ residual[samples] / len(samples)
        step = np.eye(x.shape[1] + 1)
        step[:-1, :-1] -= rate * hessian
        step[:-1, -1] = -rate * gradient
        matrices.append(step)
    return np.array(matrices)


def product(steps: np.ndarray) -> np.ndarray:
    """The steps one after another, the first of them first."""
    total = np.eye(steps.shape[-1])
    for step in steps:
        total = step @ total
    return total


def fixed_point(step: np.ndarray) -> np.ndarray:
    """The vector that a step leaves as it is, ending in 1."""
    size = len(step) - 1
    return np.append(np.linalg.solve(np.eye(size) - step[:size, :size], step[:size, size]), 1.0)


def cycle(epochs: list[np.ndarray]) -> np.ndarray:
    """Distances (d, 1) before each step of a round of epochs, each of them steps [m, D+1, D+1]; [C, m, D+1]."""
    here = fixed_point(product(np.concatenate(epochs)))
    places = []
    for step in np.concatenate(epochs):
        places.append(here)
        here = step @ here
    return np.array(places).reshape(len(epochs), -1, len(here))


def squared_distance(moments: np.ndarray) -> float:
    """E |d|^2 from the second moments of (d, 1)."""
    size = int(np.sqrt(len(moments)))
    return float(np.trace(moments.reshape(size, size)) - 1)


def floor_with_replacement(steps: np.ndarray) -> float:
    """E |d|^2 that a run has in the end, each step being drawn from all."""
    return squared_distance(fixed_point(np.mean([np.kron(step, step) for step in steps], axis=0)))


def floor_in_order(steps: np.ndarray) -> float:
    """|d|^2 at the epochs' ends that a run has in the end, the steps being taken in this order."""
    return float(np.sum(fixed_point(product(steps))[:-1] ** 2))


def floor_forwards_and_backwards(steps: np.ndarray) -> float:
    """Mean |d|^2 at the epochs' ends, the steps being taken in this order and in its reverse, alternately."""
    places = cycle([steps, steps[::-1]])[:, 0, :-1]
    return float(np.mean(np.sum(places**2, axis=-1)))


def floor_reshuffled(steps: np.ndarray) -> float:
    """E |d|^2 at the epochs' ends that a run has in the end, all orders of the steps being equally likely in every epoch.

    The mean over all orders of a set of steps ends with each of them equally often: mean(S) = mean over t of K_t mean(S - t).
    It takes 2^n sets, not n! orders.
    """
    kron = [np.kron(step, step) for step in steps]
    mean = {frozenset(): np.eye(len(kron[0]))}
    for count in range(1, len(steps) + 1):
        mean = {
            members: np.mean([kron[last] @ mean[members - {last}] for last in members], axis=0)
            for members in map(frozenset, itertools.combinations(range(len(steps)), count))
        }
    (over_all,) = mean.values()
    return squared_distance(fixed_point(over_all))
