"""Problems that users have, each with its loss in PyTorch: what a sweep of them is timed against."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from benchmarks.torch_loop import torch
from jaxsgd.engine.draw_program import draw_function
from jaxsgd.engine.program import seeds
from jaxsgd.problem import Batch, Params
from jaxsgd.problems import problem_named
from jaxsgd.study.cells import cells
from jaxsgd.study.study import Study


class UserProblem(NamedTuple):
    """A problem, the size of its batches, and the same loss in PyTorch.

    Attributes:
      words: what it is.
      problem: its name.
      args: the arguments of the function that makes it; the batch count divides its samples.
      batch_count: m.
      rate: the learning rate, per step.
      steps: about how many steps all runs take together.
      torch_losses: `(leaves of the parameters, *leaves of the batch) -> losses [B]`, for PyTorch's tensors.
    """

    words: str
    problem: str
    args: dict[str, Any]
    batch_count: int
    rate: float
    steps: int
    torch_losses: Callable[..., Any]

    def study(self, runs: int, epochs: int) -> Study:
        """Return runs of it in a fixed order of its batches, which differ by seed.

        A known optimum is left out, because a sweep would measure the distance to it, and no loop does.
        """
        return Study(
            problem=dataclasses.replace(problem_named(self.problem)(**self.args), optimum=None),
            seeds=range(runs),
            batch_counts=[self.batch_count],
            orders=["fixed"],
            learning_rates=[self.rate],
            epochs=epochs,
        )

    def epochs(self, runs: int) -> int:
        """Return the epochs of each of so many runs, with which all take about `steps` steps together."""
        return max(1, self.steps // (runs * self.batch_count))


class Begun(NamedTuple):
    """The initial parameters of runs, and their batches.

    Attributes:
      params: NumPy arrays with a leading axis R.
      batches: NumPy arrays [R, m, B, ...], or [m, B, ...] if all runs have the same.
      is_shared: True if all runs have the same batches.
    """

    params: Params
    batches: Batch
    is_shared: bool

    def first(self, runs: int) -> "Begun":
        """Return the first runs alone."""
        params = jax.tree.map(lambda leaf: leaf[:runs], self.params)
        batches = self.batches if self.is_shared else jax.tree.map(lambda leaf: leaf[:runs], self.batches)
        return Begun(params, batches, self.is_shared)

    def run(self, number: int) -> tuple[Params, Batch]:
        """Return the parameters of one run, and its batches [m, B, ...]."""
        params = jax.tree.map(lambda leaf: leaf[number], self.params)
        return params, self.batches if self.is_shared else jax.tree.map(lambda leaf: leaf[number], self.batches)

    @property
    def runs(self) -> int:
        """The number of runs, R."""
        return len(jax.tree.leaves(self.params)[0])


def begun(study: Study) -> Begun:
    """Return what the simulator draws for the seeds of a study with one batch count that divides the samples."""
    subject = study.subject()
    all_cells = cells(study, subject.num_samples)
    drawn = jax.jit(jax.vmap(draw_function(subject)))(seeds(all_cells, np.arange(all_cells.num_cells)))
    is_shared = drawn.data is None
    lead, count = () if is_shared else (all_cells.num_cells,), all_cells.splits[0].batch_count

    def in_batches(leaf: Any) -> np.ndarray:
        array = np.asarray(leaf)
        return array.reshape(*lead, count, -1, *array.shape[len(lead) + 1 :])

    batches = jax.tree.map(in_batches, subject.data if is_shared else drawn.data)
    return Begun(jax.tree.map(np.asarray, drawn.params), batches, is_shared)


def _torch_article(leaves: Sequence[Any], x: Any, target: Any) -> Any:
    w1, w2 = leaves
    return ((torch.sigmoid(torch.sigmoid(x @ w1) @ w2.T) - target) ** 2).mean(dim=1)


def _torch_least_squares(leaves: Sequence[Any], x: Any, target: Any) -> Any:
    (weights,) = leaves
    return (x @ weights - target) ** 2 / 2


def _torch_layers(leaves: Sequence[Any], x: Any, activation: Callable[[Any], Any]) -> Any:
    """Return the outputs of layers whose weights and biases take turns."""
    *hidden, last = zip(leaves[::2], leaves[1::2], strict=True)
    for weights, biases in hidden:
        x = activation(torch.addmm(biases, x, weights))
    return torch.addmm(last[1], x, last[0])


def _torch_tanh(leaves: Sequence[Any], x: Any, target: Any) -> Any:
    return (_torch_layers(leaves, x, torch.tanh)[:, 0] - target) ** 2


def _cross_entropy(logits: Any, label: Any) -> Any:
    return torch.nn.functional.cross_entropy(logits, label.long(), reduction="none")


def _torch_digits(leaves: Sequence[Any], x: Any, label: Any) -> Any:
    return _cross_entropy(_torch_layers(leaves, x, torch.relu), label)


def _torch_convnet(leaves: Sequence[Any], x: Any, label: Any) -> Any:
    first, second, first_biases, second_biases, *output = leaves
    x = x.reshape(-1, 1, 8, 8)
    # PyTorch pads alike on all sides; with a stride of 2 JAX's "SAME" pads 8 pixels at their end only.
    x = torch.relu(torch.nn.functional.conv2d(x, first.permute(3, 2, 0, 1), first_biases, padding=1))
    x = torch.nn.functional.pad(x, (0, 1, 0, 1))
    x = torch.relu(torch.nn.functional.conv2d(x, second.permute(3, 2, 0, 1), second_biases, stride=2))
    return _cross_entropy(_torch_layers(output, x.permute(0, 2, 3, 1).flatten(1), torch.relu), label)


def _torch_char_lm(leaves: Sequence[Any], windows: Any) -> Any:
    functions = torch.nn.functional
    characters, places, *layers, scale, shift, output = leaves
    x = characters[windows[:, :-1].long()] + places
    for first in range(0, len(layers), 12):
        before_attention, parts, attended = layers[first : first + 2], layers[first + 2 : first + 5], layers[first + 5]
        before_network, (wide, wide_bias, narrow, narrow_bias) = layers[first + 6 : first + 8], layers[first + 8 : first + 12]
        normal = functions.layer_norm(x, x.shape[-1:], *before_attention)
        heads = (torch.einsum("bcw,whd->bhcd", normal, part) for part in parts)
        mixed = functions.scaled_dot_product_attention(*heads, is_causal=True)
        x = x + torch.einsum("bhcd,hdw->bcw", mixed, attended)
        hidden = functions.layer_norm(x, x.shape[-1:], *before_network) @ wide + wide_bias
        x = x + functions.gelu(hidden, approximate="tanh") @ narrow + narrow_bias
    logits = functions.layer_norm(x, x.shape[-1:], scale, shift) @ output
    following = windows[:, 1:]
    return _cross_entropy(logits.flatten(0, 1), following.flatten()).reshape(following.shape).mean(dim=1)


USER_PROBLEMS: dict[str, UserProblem] = {
    "article": UserProblem(
        "article's network, B = 100", "square_regression", {"num_samples": 1000}, 10, 1e-3, 640, _torch_article
    ),
    "digits": UserProblem("digits, B = 32", "digits", {"num_samples": 1792}, 56, 0.1, 3_600, _torch_digits),
    "tanh": UserProblem("three tanh layers, B = 8", "tanh_network", {"depth": 3}, 8, 0.02, 8_000, _torch_tanh),
    "convnet": UserProblem("convnet, B = 32", "convnet", {"num_samples": 512}, 16, 0.05, 512, _torch_convnet),
    "char_lm": UserProblem(
        "transformer on characters, B = 32", "char_lm", {"num_samples": 512, "context": 16}, 16, 0.1, 256, _torch_char_lm
    ),
    "least_squares": UserProblem(
        "least squares, B = 50", "least_squares", {"num_samples": 1000}, 20, 0.05, 40_000, _torch_least_squares
    ),
}
"""The problems by name."""
