"""Problem: initial parameters, a loss for each sample and data, and the checks that they fit together."""

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
"""The default name of a problem."""


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Problem:
    """A training problem: initial parameters, a loss for each sample, and data.

    All three are pure. Two problems are equal only if they are the same object, so that a compiled program is reused
    exactly when the same problem is simulated again.

    Attributes:
      init: `key -> params`; the parameters are any pytree of floating-point arrays.
      loss: `(params, batch) -> losses [B]`, one loss per sample. The simulator takes the mean. With the loss of every
        sample it can also mask ragged batches, accumulate micro-steps and measure noise exactly. This rules out losses
        that couple the samples of a batch, such as batch normalization or contrastive losses: they have a loss per
        batch, not per sample, and the simulator cannot detect that.
      data: `key -> batch` with leading axis N, or the arrays themselves.
      optimum: `data -> params`, the minimizer of the mean loss over all samples, if it is known in closed form.
      held_out: samples to validate on, which no step sees: `key -> batch`, called with the key of the data, or arrays if
        the data are arrays. `hold_out` sets some of the data's samples aside.
      accuracy: `(params, batch) -> correct [B]`, 1 for each sample that is predicted correctly and 0 for the others.
      name: its name in figures and messages.
      origin: the source of its data, in words: for `from_file`, the columns that are inputs and targets.
      loss_unit: the unit of the loss, in words, such as "cross-entropy, nats"; empty if it is not stated.
    """

    init: Callable[[jax.Array], Params]
    loss: Callable[[Params, Batch], jax.Array]
    data: Callable[[jax.Array], Batch] | Batch
    optimum: Callable[[Batch], Params] | None = None
    held_out: Callable[[jax.Array], Batch] | Batch | None = None
    accuracy: Callable[[Params, Batch], jax.Array] | None = None
    name: str = UNNAMED
    origin: str = ""
    loss_unit: str = ""

    def __repr__(self) -> str:
        """Return its name, and the types and shapes of its data."""
        parts = [repr(self.name), f"data: {_kind_of_data(self.data)}"]
        parts += [f"held_out: {_kind_of_data(self.held_out)}"] if self.held_out is not None else []
        has = [name for name in ("optimum", "accuracy") if getattr(self, name) is not None]
        parts += [f"with {' and '.join(has)}"] if has else []
        return f"Problem({', '.join(parts)}{f'; {self.origin}' if self.origin else ''})"

    def sample_data(self, key: jax.Array) -> Batch:
        """Return the data set, leading axis N: drawn with `key`, or the problem's own arrays."""
        # At full precision, whatever the precision of the training, so that a key gives the same data on every device.
        with jax.default_matmul_precision("float32"):
            return self.data(key) if callable(self.data) else self.data

    def sample_held_out(self, key: jax.Array) -> Batch | None:
        """Return the held-out samples, drawn with the data's `key`, or the problem's own arrays; None without any."""
        with jax.default_matmul_precision("float32"):
            return self.held_out(key) if callable(self.held_out) else self.held_out


def _kind_of_data(data: Any) -> str:
    return "drawn with a key" if callable(data) else brief(data)


def check_problem(problem: Any) -> None:
    """Check that a value is a `Problem`.

    Raises:
      InputError: if it is not; the message shows how to write it.
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


def _check_params(problem: Problem, params: Params) -> None:
    """Check by types alone that all parameters are floating-point arrays.

    Args:
      problem: its name is for the message.
      params: the initial parameters, or their shapes.

    Raises:
      InputError: if a parameter is not, or if there are no parameters.
    """
    leaves = jax.tree_util.tree_leaves_with_path(params)
    if not leaves:
        raise InputError(f"init of {problem.name!r} must return floating-point arrays, got {shown(params)}: nothing to train")
    for path, leaf in leaves:
        dtype = getattr(leaf, "dtype", None)
        if dtype is None or not jax.numpy.issubdtype(dtype, np.floating):
            at = f" at {jax.tree_util.keystr(path)}" if path else ""
            raise InputError(
                f"parameters of {problem.name!r} must be floating-point arrays, got {shown(leaf)}{at}: make them float32, "
                "as in jax.numpy.zeros(3)"
            )


def _check_optimum(problem: Problem, params: Params, data: Batch) -> None:
    """Check by shapes alone, running nothing, that the optimum, if any, has the shapes of the initial parameters.

    Raises:
      InputError: if it does not.
    """
    if problem.optimum is None:
        return
    optimum = jax.eval_shape(problem.optimum, data)
    wanted, got = (jax.tree.map(lambda leaf: leaf.shape, tree) for tree in (params, optimum))
    if wanted != got:
        raise InputError(f"the optimum of {problem.name!r} must have the shapes of its parameters, {wanted}, got {got}")


def num_samples(data: Batch) -> int:
    """Return N, the length of the leading axis that all arrays of `data` share.

    Raises:
      InputError: if there is no array, an array has no axis, or the leading axes differ.
    """
    shapes = [tuple(getattr(leaf, "shape", ())) for leaf in jax.tree.leaves(data)]
    leading = {shape[0] if shape else 0 for shape in shapes}
    if len(leading) != 1 or leading == {0}:
        raise InputError(f"data must be arrays that share one leading axis of at least 1 sample, got shapes {shapes}")
    return leading.pop()


def hold_out(problem: Problem, share: float, seed: int = 0) -> Problem:
    """Return the problem with some of its samples set aside to validate on.

    If the data are drawn with a key, the last samples are held out: the draw is random already. If the problem has arrays,
    the held-out samples are drawn once with `seed`, and the others keep their order.

    Args:
      problem: a problem without held-out samples.
      share: of its N samples, above 0 and below 1; rounded to a whole number of samples, from 1 to N - 1.
      seed: seed of the draw.

    Raises:
      InputError: for another share, fewer than two samples, or a problem that has held-out samples already.
    """
    check_problem(problem)
    if not (isinstance(share, int | float) and 0 < share < 1):
        raise InputError(f"the share to hold out must be above 0 and below 1, such as 0.2, got {shown(share)}")
    if problem.held_out is not None:
        raise InputError(f"problem {problem.name!r} has held-out samples already")
    samples = num_samples(jax.eval_shape(problem.sample_data, jax.random.key(0)))
    if samples < 2:
        raise InputError("to hold out samples, a problem must have at least 2, got 1")
    held_count = min(max(round(share * samples), 1), samples - 1)
    if callable(problem.data):
        draw, kept = problem.data, samples - held_count

        def rest(key: jax.Array) -> Batch:
            return jax.tree.map(lambda leaf: leaf[:kept], draw(key))

        def last(key: jax.Array) -> Batch:
            return jax.tree.map(lambda leaf: leaf[kept:], draw(key))

        return dataclasses.replace(problem, data=rest, held_out=last)
    drawn = np.zeros(samples, bool)
    drawn[np.random.default_rng(seed).permutation(samples)[:held_count]] = True
    rest_data, held_data = (jax.tree.map(lambda leaf, own=own: leaf[own], problem.data) for own in (~drawn, drawn))
    return dataclasses.replace(problem, data=rest_data, held_out=held_data)


def check_held_out(problem: Problem, data: Batch) -> None:
    """Check by shapes alone that the held-out samples, if any, are like the data.

    Args:
      problem: a problem, with or without held-out samples.
      data: the data, or their shapes.

    Raises:
      InputError: if they differ in more than their number, or if only one of the two is drawn.
    """
    if problem.held_out is None:
        return
    if callable(problem.held_out) != callable(problem.data):
        raise InputError(f"data and held_out of {problem.name!r} must both be arrays, or both be functions of a key")
    held_out = jax.eval_shape(problem.sample_held_out, jax.random.key(0))
    num_samples(held_out)
    kinds = [jax.tree.map(lambda leaf: f"{leaf.dtype}{list(leaf.shape[1:])}", batch) for batch in (data, held_out)]
    if kinds[0] != kinds[1]:
        raise InputError(f"a held-out sample of {problem.name!r} must be like a sample of its data, {kinds[0]}, got {kinds[1]}")


def check_training(problem: Problem) -> None:
    """Check that a problem can be trained, by shapes and by the values of its arrays; no step is run.

    Raises:
      InputError: if it is not a `Problem`; if the data are not numbers, not finite, too large for their type, or of unequal
        lengths; if the parameters are not floating-point arrays; if the loss is not one floating-point number per sample; or if
        the optimum or the held-out samples do not fit. Exceptions of the problem's own functions are not caught.
    """
    check_problem(problem)
    if problem not in _checked:
        _check_training(problem)
        _checked.add(problem)


_checked: weakref.WeakSet[Problem] = weakref.WeakSet()
"""Problems that passed: a problem is checked once, because its arrays may be large."""


def _check_training(problem: Problem) -> None:
    for field in ("init", "loss"):
        function = getattr(problem, field)
        if not callable(function):
            raise InputError(f"{field} of {problem.name!r} must be a function, got {shown(function)}")
    for field in ("data", "held_out"):
        value = getattr(problem, field)
        if value is not None and not callable(value):
            _check_values(problem.name, field, value)
    key = jax.random.key(0)
    params, data = jax.eval_shape(problem.init, key), jax.eval_shape(problem.sample_data, key)
    num_samples(data)
    _check_params(problem, params)
    _check_losses(problem, params, data)
    _check_optimum(problem, params, data)
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
            raise InputError(
                f"{where} is a single {kind}, {shown(leaf)}: give an array, such as numpy.asarray(...), not a list"
            )
        array = np.asarray(leaf)
        if array.dtype.kind not in "biufcV" and not jnp.issubdtype(array.dtype, jnp.number):
            strange = [item for item in array.flat if not isinstance(item, int | float)][:1]
            example = "".join(f" such as {shown(item.item() if hasattr(item, 'item') else item)}" for item in strange)
            raise InputError(f"{where} must be numbers, got {array.dtype}{example}")
        _check_fits_type(where, array)
        if jnp.issubdtype(array.dtype, jnp.inexact):
            wrong = np.argwhere(~np.isfinite(array))
            if len(wrong):
                index = tuple(wrong[0])
                sample = f"sample {index[0]}" if index else "it"
                count = f"{len(wrong):,} such values" if len(wrong) > 1 else "the only such value"
                raise InputError(f"{where} must be finite, got {array[index]} in {sample} ({count}): leave such samples out")


def _check_fits_type(where: str, array: np.ndarray) -> None:
    """Check that numbers of 64 bits fit into the type that JAX takes for them; whole numbers would wrap round in silence."""
    kind = jax.dtypes.canonicalize_dtype(array.dtype) if array.dtype.kind in "iuf" and array.size else array.dtype
    if kind.itemsize >= array.dtype.itemsize:
        return
    largest = float((jnp.finfo if array.dtype.kind == "f" else jnp.iinfo)(kind).max)
    past = array[np.isfinite(array) & (np.abs(array.astype(np.float64)) > largest)]
    if past.size:
        raise InputError(
            f"{where} must fit into {kind}, whose largest number is {largest:.4g}, got {past[0].item():.6g}: scale the data"
        )


def _check_losses(problem: Problem, params: Params, batch: Batch) -> None:
    """Check by shapes alone, running nothing, that the loss is one number per sample.

    Raises:
      InputError: if it is not.
    """
    # With two sizes, because a loss per output has the right shape if there are as many outputs as samples.
    for size in (num_samples(batch), num_samples(batch) + 1):
        sized = jax.tree.map(lambda leaf, size=size: jax.ShapeDtypeStruct((size, *leaf.shape[1:]), leaf.dtype), batch)
        losses = jax.eval_shape(problem.loss, params, sized)
        if getattr(losses, "shape", None) != (size,):
            got = getattr(losses, "shape", type(losses).__name__)
            raise InputError(
                f"the loss of {problem.name!r} must be one number per sample, shape ({size},), got {got}: "
                "leave the mean over the batch to the simulator"
            )
        if not jnp.issubdtype(losses.dtype, np.floating):
            raise InputError(
                f"the loss of {problem.name!r} must be floating-point numbers, got {losses.dtype}, which has no gradient"
            )
