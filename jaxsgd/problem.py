"""Problem: what a user brings."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jaxsgd.error import InputError

Params = Any
"""A pytree of floating-point arrays."""

Batch = Any
"""A pytree of arrays with one leading axis: N for a whole data set, B for a batch of it."""


UNNAMED = "problem"
"""The name of a problem that was given none."""


@dataclasses.dataclass(frozen=True, eq=False)
class Problem:
    """A training problem: initial parameters, a loss for each sample, and data.

    All three are pure. Two problems are equal only if they are the same object, so that a compiled program is reused
    exactly when the same problem is simulated again.

    Attributes:
      init: `key -> params`; the parameters are any pytree of floating-point arrays.
      loss: `(params, batch) -> losses [B]`, one loss per sample. The simulator takes the mean, and with single losses
        at hand it can also mask ragged batches, accumulate micro-steps and measure noise exactly. This rules out losses
        in which the samples of a batch meet, such as batch normalization or contrastive losses: they have a loss per
        batch, not per sample, and the simulator cannot tell that from the outside.
      data: `key -> batch` with leading axis N, or the arrays themselves.
      optimum: `data -> params`, the minimizer of the mean loss over all samples, where it is known in closed form.
      held_out: samples to validate on, which no step sees: `key -> batch`, given the key of the data, or arrays where the
        data are arrays. `hold_out` sets some of the data's samples aside.
      accuracy: `(params, batch) -> correct [B]`, 1 for each sample that is predicted rightly and 0 for the others.
      name: what figures and messages call it.
    """

    init: Callable[[jax.Array], Params]
    loss: Callable[[Params, Batch], jax.Array]
    data: Callable[[jax.Array], Batch] | Batch
    optimum: Callable[[Batch], Params] | None = None
    held_out: Callable[[jax.Array], Batch] | Batch | None = None
    accuracy: Callable[[Params, Batch], jax.Array] | None = None
    name: str = UNNAMED

    def sample_data(self, key: jax.Array) -> Batch:
        """The data set, leading axis N: drawn with `key`, or the arrays that the problem holds."""
        # At full precision whatever the training's, so that a key's data are the same on every device.
        with jax.default_matmul_precision("float32"):
            return self.data(key) if callable(self.data) else self.data

    def sample_held_out(self, key: jax.Array) -> Batch | None:
        """The held-out samples, drawn with the data's `key`, or the arrays that the problem holds; None if there are none."""
        with jax.default_matmul_precision("float32"):
            return self.held_out(key) if callable(self.held_out) else self.held_out


def check_optimum(problem: Problem, params: Params, data: Batch) -> None:
    """Checks by shapes alone, running nothing, that the optimum, if there is one, is parameters like the initial ones.

    Raises:
      InputError: when it is not.
    """
    if problem.optimum is None:
        return
    optimum = jax.eval_shape(problem.optimum, data)
    wanted, got = (jax.tree.map(lambda leaf: leaf.shape, tree) for tree in (params, optimum))
    if wanted != got:
        raise InputError(f"the optimum of {problem.name!r} must have the shapes of its parameters, {wanted}, got {got}")


def num_samples(data: Batch) -> int:
    """N, the length of the leading axis that all arrays of `data` share.

    Raises:
      InputError: when there is no array, an array has no axis, or their leading axes differ.
    """
    shapes = [leaf.shape for leaf in jax.tree.leaves(data)]
    leading = {shape[0] if shape else 0 for shape in shapes}
    if len(leading) != 1 or leading == {0}:
        raise InputError(f"data must be arrays that share one leading axis of at least 1 sample, got shapes {shapes}")
    return leading.pop()


def hold_out(problem: Problem, share: float, seed: int = 0) -> Problem:
    """The problem with some of its samples set aside to validate on.

    Of data that are drawn with a key the last samples are held out: which they are is chance already. Of arrays that the
    problem holds they are drawn by `seed`, once, and the others keep their order.

    Args:
      problem: that holds nothing out yet.
      share: of its N samples, above 0 and below 1; rounded to a whole number of them, at least 1 and at most N - 1.
      seed: of the draw.

    Raises:
      InputError: for another share, fewer than two samples, or a problem that holds samples out already.
    """
    if not (isinstance(share, int | float) and 0 < share < 1):
        raise InputError(f"the share to hold out must be above 0 and below 1, such as 0.2, got {share!r}")
    if problem.held_out is not None:
        raise InputError(f"problem {problem.name!r} holds samples out already")
    samples = num_samples(jax.eval_shape(problem.sample_data, jax.random.key(0)))
    if samples < 2:
        raise InputError("to hold samples out there must be at least 2, got 1")
    held = min(max(round(share * samples), 1), samples - 1)
    if callable(problem.data):
        draw, kept = problem.data, samples - held

        def rest(key: jax.Array) -> Batch:
            return jax.tree.map(lambda leaf: leaf[:kept], draw(key))

        def last(key: jax.Array) -> Batch:
            return jax.tree.map(lambda leaf: leaf[kept:], draw(key))

        return dataclasses.replace(problem, data=rest, held_out=last)
    drawn = np.zeros(samples, bool)
    drawn[np.random.default_rng(seed).permutation(samples)[:held]] = True
    rest_data, held_data = (jax.tree.map(lambda leaf, own=own: leaf[own], problem.data) for own in (~drawn, drawn))
    return dataclasses.replace(problem, data=rest_data, held_out=held_data)


def check_held_out(problem: Problem, data: Batch) -> None:
    """Checks by shapes alone that the held-out samples, if there are any, are like the data.

    Args:
      problem: which may hold samples out.
      data: the data, or their shapes.

    Raises:
      InputError: when they differ in more than their number, or one is drawn and the other is not.
    """
    if problem.held_out is None:
        return
    if callable(problem.held_out) != callable(problem.data):
        raise InputError(f"data and held_out of {problem.name!r} must both be arrays, or both be functions of a key")
    held_out = jax.eval_shape(problem.sample_held_out, jax.random.key(0))
    num_samples(held_out)
    kinds = [jax.tree.map(lambda leaf: f"{leaf.dtype}{list(leaf.shape[1:])}", each) for each in (data, held_out)]
    if kinds[0] != kinds[1]:
        raise InputError(f"a held-out sample of {problem.name!r} must be like one of its data, {kinds[0]}, got {kinds[1]}")


def check_losses(problem: Problem, params: Params, batch: Batch) -> None:
    """Checks by shapes alone, running nothing, that the loss is one number per sample.

    Raises:
      InputError: when it is not.
    """
    # Of two sizes, for a loss per output has the right shape where the outputs are as many as the samples.
    for size in (num_samples(batch), num_samples(batch) + 1):
        sized = jax.tree.map(lambda leaf, size=size: jax.ShapeDtypeStruct((size, *leaf.shape[1:]), leaf.dtype), batch)
        losses = jax.eval_shape(problem.loss, params, sized)
        if getattr(losses, "shape", None) != (size,):
            got = getattr(losses, "shape", type(losses).__name__)
            raise InputError(
                f"the loss of {problem.name!r} must be one number per sample, shape ({size},), got {got}: "
                "leave the mean over the batch to the simulator"
            )
