"""Kept: the parameters and the optimizers' states that a result keeps of its runs, and their arrays in a chunk."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxsgd.error import InputError
from jaxsgd.optimizer import optimizer_named, scheduled
from jaxsgd.problem import Problem
from jaxsgd.simulator import initial_state
from jaxsgd.study.cells import Cells, hyper_axes
from jaxsgd.study.study import Study
from jaxsgd.study.subject import Subject, precision_of


class KeptLeaf(NamedTuple):
    """A leaf of the parameters, or of an optimizer's state, that a result keeps.

    Attributes:
      path: of the leaf in the pytree, as text.
      shape: of one run's.
      dtype: of the run's.
    """

    path: str
    shape: tuple[int, ...]
    dtype: np.dtype

    @property
    def stored(self) -> np.dtype:
        """The type in the file: a type that NumPy does not have, such as bfloat16, is stored as float32, which has all its
        values."""
        return self.dtype if self.dtype.kind in _NUMPY_KINDS else np.dtype(np.float32)

    @property
    def num_bytes(self) -> int:
        """Bytes in the file, of one run's."""
        return math.prod(self.shape) * self.stored.itemsize

    def described(self) -> list[Any]:
        """Return path, shape and type as plain values, as a manifest has them."""
        return [self.path, list(self.shape), self.dtype.name]


_NUMPY_KINDS = "fciub"
"""NumPy's letters for the kinds of types that are stored as they are."""

Leaves = tuple[KeptLeaf, ...]


class Kept(NamedTuple):
    """The arrays that a result keeps of each run besides its losses and observables.

    Attributes:
      epochs: K numbers of epochs done, ascending, after which they are kept; None if they are kept after the last step only.
      params: the leaves of the parameters, in the order of the pytree; empty if none are kept.
      states: by optimizer, the leaves of its state; empty if none are kept.
    """

    epochs: tuple[int, ...] | None
    params: Leaves
    states: Mapping[str, Leaves]

    def leaves(self, optimizer: str) -> dict[str, KeptLeaf]:
        """Return the leaves of a run with an optimizer, by the names of their arrays in a chunk: `params/0`, `state/0`, ..."""
        groups = {"params": self.params, "state": self.states.get(optimizer, ())}
        return {f"{group}/{number}": leaf for group, leaves in groups.items() for number, leaf in enumerate(leaves)}

    def inner(self, leaf: KeptLeaf) -> tuple[int, ...]:
        """Return the shape of a leaf's array of one run: with a leading axis K, if there is a list of epochs."""
        return leaf.shape if self.epochs is None else (len(self.epochs), *leaf.shape)

    def num_bytes(self, leaves: Leaves) -> int:
        """Return the bytes that leaves take on disk for one run."""
        return (1 if self.epochs is None else len(self.epochs)) * sum(leaf.num_bytes for leaf in leaves)


def kept_of(study: Study, subject: Subject, cells: Cells) -> Kept:
    """Return the arrays that a study keeps of its runs.

    Raises:
      InputError: if an optimizer's state has a random key, which cannot be kept.
    """
    if study.keep is None:
        return Kept(None, (), {})
    states = {}
    if study.keep_state:
        states = {optimizer: state_leaves(study, subject, cells, optimizer) for optimizer in study.optimizers}
    epochs = study.keep if isinstance(study.keep, tuple) else None
    return Kept(epochs, parameter_leaves(subject.problem, study.dtype), states)


def parameter_leaves(problem: Problem, dtype: str) -> Leaves:
    """Return the leaves of a problem's parameters, by shapes alone.

    Args:
      problem: the problem of the runs.
      dtype: of the study.
    """
    with precision_of(dtype):
        return _leaves_of(jax.eval_shape(problem.init, jax.random.key(0)))


def state_shapes(study: Study, subject: Subject, cells: Cells, optimizer: str) -> Any:
    """Return the shapes and types of an optimizer's state, in its own pytree.

    Args:
      study: gives the fixed arguments of the optimizer.
      subject: its problem.
      cells: its cells, which have the other arguments.
      optimizer: its name.
    """
    make = optimizer_named(optimizer)

    def state(key: Any, rate: Any, hyper: dict[str, Any]) -> Any:
        return initial_state(scheduled(make, rate, {**study.optimizer_args, **hyper}), subject.problem.init(key)).opt_state

    with precision_of(study.dtype):
        number = jax.ShapeDtypeStruct((), np.dtype(study.dtype))
        return jax.eval_shape(state, jax.random.key(0), number, dict.fromkeys(hyper_axes(cells), number))


def state_leaves(study: Study, subject: Subject, cells: Cells, optimizer: str) -> Leaves:
    """Return the leaves of an optimizer's state, as `state_shapes` has them.

    Raises:
      InputError: if the state has a random key.
    """
    shapes = state_shapes(study, subject, cells, optimizer)
    if any(jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) for leaf in jax.tree.leaves(shapes)):
        raise InputError(f"the state of optimizer {optimizer!r} has a random key, which cannot be kept")
    return _leaves_of(shapes)


def _leaves_of(shapes: Any) -> Leaves:
    paths = jax.tree_util.tree_flatten_with_path(shapes)[0]
    return tuple(
        KeptLeaf(jax.tree_util.keystr(path, simple=True, separator="/"), tuple(leaf.shape), np.dtype(leaf.dtype))
        for path, leaf in paths
    )


def plain_states(kept: Kept) -> dict[str, list[Any]]:
    """Return the leaves of the states by optimizer, as plain values, as a manifest has them."""
    return {optimizer: [leaf.described() for leaf in leaves] for optimizer, leaves in kept.states.items()}


def stored_kept(keep: Any, manifest: Mapping[str, Any]) -> Kept | None:
    """Return the arrays that a result keeps, from its manifest; None if the manifest is not sound.

    Args:
      keep: the field of the study.
      manifest: with `params` and `states`, the leaves as `KeptLeaf.described` has them.
    """
    params = _stored_leaves(manifest["params"])
    states = {optimizer: _stored_leaves(leaves) for optimizer, leaves in manifest["states"].items()}
    if params is None or None in states.values():
        return None
    return Kept(keep if isinstance(keep, tuple) else None, params, states)  # type: ignore[arg-type]


def _stored_leaves(described: Any) -> Leaves | None:
    leaves = [_stored_leaf(fields) for fields in described] if isinstance(described, list) else [None]
    return None if None in leaves else tuple(leaves)  # type: ignore[return-value]


def _stored_leaf(fields: Any) -> KeptLeaf | None:
    """Return a stored leaf; None if it is not a path, a shape and the name of a type of numbers."""
    if not (isinstance(fields, list) and len(fields) == 3):
        return None
    path, shape, name = fields
    sound = isinstance(path, str) and isinstance(name, str) and isinstance(shape, list)
    if not sound or not all(type(size) is int and 0 <= size < 2**31 for size in shape):
        return None
    try:
        dtype = jnp.dtype(name)
    except TypeError:
        return None
    return KeptLeaf(path, tuple(shape), dtype) if dtype.kind in f"{_NUMPY_KINDS}V" else None
