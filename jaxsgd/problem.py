"""Problem: initial parameters, a loss for each sample and data, and the checks that they fit together."""

import dataclasses
import inspect
import weakref
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from jaxsgd.error import InputError, no_such, shown
from jaxsgd.summary import brief

Params = Any
"""A pytree of floating-point arrays."""

Batch = Any
"""A pytree of arrays with one leading axis: N for a whole data set, B for a batch of it."""


UNNAMED = "problem"
"""The default name of a problem."""

TARGET_NAMES = ("t", "target", "targets", "y", "label", "labels")
"""The names that targets may have in a file or a dictionary, in the order of preference."""

ARRANGEMENTS = ("given", "label")
"""The sequences that samples may have: as they are given, or sorted by class or target."""


class Arrangement(NamedTuple):
    """The sequence of a problem's samples.

    Attributes:
      name: in `ARRANGEMENTS`.
      given: the data as they were given.
      result: the data in this sequence.
    """

    name: str
    given: Any
    result: Any


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
        batch, not per sample, and the simulator cannot detect that. A loss with random parts, such as dropout or label noise,
        takes a third argument, a random key: `(params, batch, key)`. Each batch of each epoch has a key of its own.
      data: `key -> batch` with leading axis N, or the arrays themselves.
      optimum: `data -> params`, the minimizer of the mean loss over all samples, if it is known in closed form.
      held_out: samples to validate on, which no step sees: `key -> batch`, called with the key of the data, or arrays if
        the data are arrays. `hold_out` sets some of the data's samples aside.
      accuracy: `(params, batch) -> correct [B]`, 1 for each sample that is predicted correctly and 0 for the others.
      name: its name in figures and messages.
      origin: the source of its data, in words: for `from_file`, the columns that are inputs and targets.
      loss_unit: the unit of the loss, in words, such as "cross-entropy, nats"; empty if it is not stated.
      evaluation_loss: `(params, batch) -> losses [B]`, the loss for whatever is measured besides the losses of the training,
        such as the validation loss: usually the loss without its random parts. Without it, that is `loss`, and a loss that
        takes a key gets the same fixed key in every measurement.
      arrangement: the sequence of the samples, if it is not the one given (see `arranged`).
    """

    init: Callable[[jax.Array], Params]
    loss: Callable[..., jax.Array]
    data: Callable[[jax.Array], Batch] | Batch
    optimum: Callable[[Batch], Params] | None = None
    held_out: Callable[[jax.Array], Batch] | Batch | None = None
    accuracy: Callable[[Params, Batch], jax.Array] | None = None
    name: str = UNNAMED
    origin: str = ""
    loss_unit: str = ""
    evaluation_loss: Callable[[Params, Batch], jax.Array] | None = None
    arrangement: Arrangement | None = None

    def __repr__(self) -> str:
        """Return its name, and the types and shapes of its data."""
        parts = [repr(self.name), f"data: {_kind_of_data(self.data)}"]
        parts += [f"held_out: {_kind_of_data(self.held_out)}"] if self.held_out is not None else []
        parts += [f"sorted by {self.arrangement.name}"] if self.arrangement is not None else []
        has = [name for name in ("optimum", "accuracy") if getattr(self, name) is not None]
        parts += [f"with {' and '.join(has)}"] if has else []
        return f"Problem({', '.join(parts)}{f'; {self.origin}' if self.origin else ''})"

    @property
    def has_noise(self) -> bool:
        """True if the loss takes a key besides the parameters and the batch."""
        return _takes_key(self.loss)

    def training_losses(self, params: Params, batch: Batch, key: jax.Array | None) -> jax.Array:
        """Return the loss of each sample in a step, [B]; the key is used if the loss takes one."""
        return self.loss(params, batch, key) if self.has_noise else self.loss(params, batch)

    def losses(self, params: Params, batch: Batch) -> jax.Array:
        """Return the loss of each sample in a measurement, [B]."""
        if self.evaluation_loss is not None:
            return self.evaluation_loss(params, batch)
        return self.training_losses(params, batch, jax.random.key(0) if self.has_noise else None)

    def sample_data(self, key: jax.Array) -> Batch:
        """Return the data set, leading axis N: drawn with `key`, or the problem's own arrays."""
        # At full precision, whatever the precision of the training, so that a key gives the same data on every device.
        with jax.default_matmul_precision("float32"):
            return self.data(key) if callable(self.data) else self.data

    def sample_held_out(self, key: jax.Array) -> Batch | None:
        """Return the held-out samples, drawn with the data's `key`, or the problem's own arrays; None without any."""
        with jax.default_matmul_precision("float32"):
            return self.held_out(key) if callable(self.held_out) else self.held_out

    def arranged(self, arrangement: str) -> "Problem":
        """Return the problem with its samples in another sequence, so that it matters how far an order mixes them.

        Held-out samples, those that there are and those that `hold_out` will take, are the same as without it.

        Args:
          arrangement: "given", or "label": sorted by class, or by target for a regression, by the first output that differs.
            Samples with the same label keep their sequence. The labels are the last part of data `(inputs, targets)`, or the
            part called t, target, y or label of a dictionary.

        Raises:
          InputError: for another arrangement, or data without such a part; if the data are drawn, when they are drawn.
        """
        if arrangement not in ARRANGEMENTS:
            raise no_such("arrangement", arrangement, ARRANGEMENTS)
        if arrangement == "given":
            return self
        data = self.data
        if callable(data):
            draw = data

            def result(key: jax.Array) -> Batch:
                return _sorted_by_label(draw(key), self.name)
        else:
            result = _sorted_by_label(data, self.name)
        return dataclasses.replace(self, data=result, arrangement=Arrangement(arrangement, data, result))


def _sorted_by_label(batch: Batch, name: str) -> Batch:
    """Return samples sorted by their labels; `name` is that of their problem."""
    labels: Any = None
    if isinstance(batch, tuple | list) and len(batch) > 1:
        labels = batch[-1]
    elif isinstance(batch, Mapping):
        labels = next((batch[key] for key in TARGET_NAMES if key in batch), None)
    if not getattr(labels, "shape", ()):
        wanted = f"(inputs, targets), or a dictionary with one of {', '.join(TARGET_NAMES)}"
        raise InputError(f"to be sorted by label, data of {name!r} must be {wanted}, got {shown(batch)}")
    # In NumPy if possible, because JAX would start a backend even if the problem is only named.
    numpy = jnp if isinstance(labels, jax.Array) else np
    sequence = numpy.lexsort(labels.reshape(len(labels), -1).T[::-1])
    return jax.tree.map(lambda leaf: leaf[sequence], batch)


def _takes_key(loss: Callable) -> bool:
    try:
        parameters = inspect.signature(loss).parameters.values()
    except (TypeError, ValueError):  # a function without a signature, or no function
        return False
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(own.kind in positional and own.default is inspect.Parameter.empty for own in parameters) == 3


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


def _shapes_of_params(problem: Problem, key: jax.Array) -> Params:
    """Return the shapes and types of the initial parameters.

    Raises:
      InputError: if there is anything among them that JAX does not know, such as the functions of an Equinox module.
    """
    try:
        return jax.eval_shape(problem.init, key)
    except TypeError as error:
        if "not a valid JAX type" not in str(error):
            raise
        raise InputError(
            f"init of {problem.name!r} must return floating-point arrays alone, and returns something else among them: "
            "keep the arrays of a module, as equinox.filter(net, equinox.is_inexact_array) does"
        ) from error


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


def take_samples(data: Batch, which: Any) -> Batch:
    """Return the samples at given places of a data set, the same of all its arrays.

    Args:
      data: arrays with leading axis N.
      which: numbers [B], a slice, or a mask [N], as arrays are indexed.
    """
    return jax.tree.map(lambda leaf: leaf[which], data)


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
    arrangement = problem.arrangement
    if arrangement is not None and problem.data is arrangement.result:
        given = dataclasses.replace(problem, data=arrangement.given, arrangement=None)
        return hold_out(given, share, seed).arranged(arrangement.name)
    samples = num_samples(jax.eval_shape(problem.sample_data, jax.random.key(0)))
    if samples < 2:
        raise InputError("to hold out samples, a problem must have at least 2, got 1")
    held_count = min(max(round(share * samples), 1), samples - 1)
    if callable(problem.data):
        draw, kept = problem.data, samples - held_count

        def rest(key: jax.Array) -> Batch:
            return take_samples(draw(key), slice(kept))

        def last(key: jax.Array) -> Batch:
            return take_samples(draw(key), slice(kept, None))

        return dataclasses.replace(problem, data=rest, held_out=last)
    drawn = np.zeros(samples, bool)
    drawn[np.random.default_rng(seed).permutation(samples)[:held_count]] = True
    rest_data, held_data = (_samples_at(problem.data, np.flatnonzero(own)) for own in (~drawn, drawn))
    return dataclasses.replace(problem, data=rest_data, held_out=held_data)


def _samples_at(data: Batch, places: np.ndarray) -> Batch:
    """Return `take_samples`, where each operation on an array of JAX is not a program of its own."""
    return jax.tree.map(lambda leaf: jnp.take(leaf, places, axis=0) if isinstance(leaf, jax.Array) else leaf[places], data)


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
    params, data = _shapes_of_params(problem, key), jax.eval_shape(problem.sample_data, key)
    num_samples(data)
    _check_params(problem, params)
    noise_key = (key,) if problem.has_noise else ()
    try:
        _check_losses(f"the loss of {problem.name!r}", problem.loss, params, data, *noise_key)
    except Exception as error:
        if problem.has_noise:
            error.add_note(f"the loss of {problem.name!r} takes three arguments, so it is called as loss(params, batch, key)")
        raise
    if problem.evaluation_loss is not None:
        _check_losses(f"the evaluation_loss of {problem.name!r}", problem.evaluation_loss, params, data)
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
        if isinstance(leaf, int | float | str | np.generic):
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


def _check_losses(name: str, loss: Callable, params: Params, batch: Batch, *key: jax.Array) -> None:
    """Check by shapes alone, running nothing, that a loss is one number per sample.

    Args:
      name: of the loss, for the message.
      loss: the function.
      params, batch: its arguments, or their shapes.
      key: its third argument, if it takes one.

    Raises:
      InputError: if it is not.
    """
    # With two sizes, because a loss per output has the right shape if there are as many outputs as samples.
    for size in (num_samples(batch), num_samples(batch) + 1):
        sized = jax.tree.map(lambda leaf, size=size: jax.ShapeDtypeStruct((size, *leaf.shape[1:]), leaf.dtype), batch)
        losses = jax.eval_shape(loss, params, sized, *key)
        if getattr(losses, "shape", None) != (size,):
            got = getattr(losses, "shape", type(losses).__name__)
            raise InputError(f"{name} must be one number per sample, shape ({size},), got {got}: {_losses_hint(got, size)}")
        if not jnp.issubdtype(losses.dtype, np.floating):
            raise InputError(f"{name} must be floating-point numbers, got {losses.dtype}, which has no gradient")


def _losses_hint(shape: tuple[int, ...] | str, size: int) -> str:
    """Return what to write for losses of the wrong shape; of another type, by its name."""
    if shape == (size, size):
        return f"predictions or targets have an axis too many and were broadcast, give both the shape ({size},)"
    if len(shape) > 1 and shape[0] == size:
        return "take the mean or the sum over the other axes"
    return "leave the mean over the batch to the simulator"
