"""Problem: what a user brings."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax

from jaxsgd.error import InputError

Params = Any
"""A pytree of floating-point arrays."""

Batch = Any
"""A pytree of arrays with one leading axis: N for a whole data set, B for a batch of it."""


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
      name: what figures and messages call it.
    """

    init: Callable[[jax.Array], Params]
    loss: Callable[[Params, Batch], jax.Array]
    data: Callable[[jax.Array], Batch] | Batch
    optimum: Callable[[Batch], Params] | None = None
    name: str = "problem"

    def sample_data(self, key: jax.Array) -> Batch:
        """The data set, leading axis N: drawn with `key`, or the arrays that the problem holds."""
        # At full precision whatever the training's, so that a key's data are the same on every device.
        with jax.default_matmul_precision("float32"):
            return self.data(key) if callable(self.data) else self.data


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
