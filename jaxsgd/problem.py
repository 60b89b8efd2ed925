"""Problem: what a user brings."""

import dataclasses
import weakref
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from jaxsgd.error import InputError, shown
from jaxsgd.summary import brief

Params = Any
"""A pytree of floating-point arrays."""

Batch = Any
"""A pytree of arrays with one leading axis: N for a whole data set, B for a batch of it."""


UNNAMED = "problem"
"""The name of a problem that was given none."""


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
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
      origin: where its data are from, in words: `from_file` says which columns are inputs and which are targets.
    """

    init: Callable[[jax.Array], Params]
    loss: Callable[[Params, Batch], jax.Array]
    data: Callable[[jax.Array], Batch] | Batch
    optimum: Callable[[Batch], Params] | None = None
    held_out: Callable[[jax.Array], Batch] | Batch | None = None
    accuracy: Callable[[Params, Batch], jax.Array] | None = None
    name: str = UNNAMED
    origin: str = ""

    def __repr__(self) -> str:
        """Its name, and the types and shapes of its data."""
        parts = [repr(self.name), f"data: {_kind_of_data(self.data)}"]
        parts += [f"held_out: {_kind_of_data(self.held_out)}"] if self.held_out is not None else []
        has = [name for name in ("optimum", "accuracy") if getattr(self, name) is not None]
        parts += [f"with {' and '.join(has)}"] if has else []
        return f"Problem({', '.join(parts)}{f'; {self.origin}' if self.origin else ''})"

    def sample_data(self, key: jax.Array) -> Batch:
        """The data set, leading axis N: drawn with `key`, or the arrays that the problem holds."""
        # At full precision whatever the training's, so that a key's data are the same on every device.
        with jax.default_matmul_precision("float32"):
            return self.data(key) if callable(self.data) else self.data

    def sample_held_out(self, key: jax.Array) -> Batch | None:
        """The held-out samples, drawn with the data's `key`, or the arrays that the problem holds; None if there are none."""
        with jax.default_matmul_precision("float32"):
            return self.held_out(key) if callable(self.held_out) else self.held_out


def _kind_of_data(data: Any) -> str:
    return "drawn with a key" if callable(data) else brief(data)


def check_problem(problem: Any) -> None:
    """Checks that what is given as a problem is a `Problem`.

    Raises:
      InputError: when it is not; it shows what to write.
    """
    if isinstance(problem, Problem):
        return
    if isinstance(problem, str):
        pointed = problem.replace(":", ".") if ":" in problem else f"jaxsgd.problems.{problem}"
        hint = f"write {pointed}()" if pointed.replace(".", "").isidentifier() else "write jaxsgd.problems.digits()"
        raise InputError(f"problem must be a jaxsgd.Problem, got the text {shown(problem)}: {hint} (only a Study takes names)")
    if callable(problem):
        name = getattr(problem, "__name__", "make")
        raise InputError(f"problem must be a jaxsgd.Problem, got the function {name}: call it, as {name}()")
    raise InputError(f"problem must be a jaxsgd.Problem, got {shown(problem)}: write jaxsgd.Problem(init, loss, data)")


def check_params(problem: Problem, params: Params) -> None:
    """Checks by types alone that all parameters are floating-point arrays.

    Args:
      problem: for its name.
      params: the initial parameters, or their shapes.

    Raises:
      InputError: when one is not, or when there are none.
    """
    leaves = jax.tree_util.tree_leaves_with_path(params)
    if not leaves:
        raise InputError(f"init of {problem.name!r} must return floating-point arrays, got {shown(params)}: nothing to train")
    for path, leaf in leaves:
        dtype = getattr(leaf, "dtype", None)
        if dtype is None or not jax.numpy.issubdtype(dtype, np.floating):
            place = f" at {jax.tree_util.keystr(path)}" if path else ""
            raise InputError(
                f"parameters of {problem.name!r} must be floating-point arrays, got {shown(leaf)}{place}: make them float32, "
                "as in jax.numpy.zeros(3)"
            )


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
    shapes = [tuple(getattr(leaf, "shape", ())) for leaf in jax.tree.leaves(data)]
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
    check_problem(problem)
    if not (isinstance(share, int | float) and 0 < share < 1):
        raise InputError(f"the share to hold out must be above 0 and below 1, such as 0.2, got {shown(share)}")
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


def check_training(problem: Problem) -> None:
    """Check that a problem can be trained: by shapes alone, and by the values of the arrays that it holds.

    Raises:
      InputError: when it is no `Problem`; when the data are no numbers, not finite, or of unequal lengths; when the parameters
        are not floating-point arrays; when the loss is not one number per sample; or when the optimum or the held-out samples
        do not fit. What the problem's own functions raise comes through.
    """
    check_problem(problem)
    if problem not in _checked:
        _check_training(problem)
        _checked.add(problem)


_checked: weakref.WeakSet[Problem] = weakref.WeakSet()
"""Problems that passed: each is checked once, for its arrays may be large."""


def _check_training(problem: Problem) -> None:
    for field in ("data", "held_out"):
        value = getattr(problem, field)
        if value is not None and not callable(value):
            _check_values(problem.name, field, value)
    key = jax.random.key(0)
    params, data = jax.eval_shape(problem.init, key), jax.eval_shape(problem.sample_data, key)
    num_samples(data)
    check_params(problem, params)
    check_losses(problem, params, data)
    check_optimum(problem, params, data)
    check_held_out(problem, data)


def _check_values(name: str, field: str, value: Any) -> None:
    """Check that arrays hold finite numbers."""
    for path, leaf in jax.tree.leaves_with_path(value):
        if isinstance(leaf, Tracer) or (hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jax.dtypes.extended)):
            continue  # no values yet, or random keys
        where = f"{field}{jax.tree_util.keystr(path)} of {name!r}"
        if hasattr(leaf, "to_numpy"):
            raise InputError(f"{where} is a {type(leaf).__name__}: give an array, such as {field}.to_numpy()")
        if isinstance(leaf, int | float | str):
            kind = type(leaf).__name__
            raise InputError(f"{where} is one {kind}, {shown(leaf)}: give an array, such as numpy.asarray(...), not a list")
        array = np.asarray(leaf)
        if array.dtype.kind not in "biufcV" and not jnp.issubdtype(array.dtype, jnp.number):
            example = f" such as {array.flat[0].item()!r}" if array.size else ""
            raise InputError(f"{where} must be numbers, got {array.dtype}{example}")
        if jnp.issubdtype(array.dtype, jnp.inexact):
            wrong = np.argwhere(~np.isfinite(array))
            if len(wrong):
                place = tuple(wrong[0])
                sample = f"sample {place[0]}" if place else "it"
                count = f"{len(wrong):,} such values" if len(wrong) > 1 else "the only one"
                raise InputError(f"{where} must be finite, got {array[place]} in {sample} ({count}): leave such samples out")


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
