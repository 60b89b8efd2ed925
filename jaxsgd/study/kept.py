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
from jaxsgd.study.cells import Cells, traced_hyperparameters
from jaxsgd.study.dimensions import problem_settings, setting_text
from jaxsgd.study.fields import StudyFields
from jaxsgd.study.study import Study
from jaxsgd.study.subject import Subject, Subjects, precision_of


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


class ProblemLeaves(NamedTuple):
    """The leaves that a result keeps of the runs of one problem.

    Attributes:
      params: the leaves of the parameters, in the order of the pytree; empty if none are kept.
      states: by optimizer, the leaves of its state; empty if none are kept.
    """

    params: Leaves
    states: Mapping[str, Leaves]

    def described(self) -> dict[str, Any]:
        """Return the leaves as plain values, as a manifest has them."""
        states = {optimizer: [leaf.described() for leaf in leaves] for optimizer, leaves in self.states.items()}
        return {"params": [leaf.described() for leaf in self.params], "states": states}


class Kept(NamedTuple):
    """The arrays that a result keeps of each run besides its losses and observables.

    Attributes:
      epochs: K numbers of epochs done, ascending, after which they are kept; None if they are kept after the last step only.
      problems: the leaves, by problem.
      of_cell: [R], the number of each cell's problem.
    """

    epochs: tuple[int, ...] | None
    problems: tuple[ProblemLeaves, ...]
    of_cell: np.ndarray

    def leaves(self, problem: int, optimizer: str) -> dict[str, KeptLeaf]:
        """Return the leaves of a run by the names of their arrays in a chunk: `params/0`, `state/0`, ...

        Args:
          problem: the number of its problem.
          optimizer: the name of its optimizer.
        """
        own = self.problems[problem]
        groups = {"params": own.params, "state": own.states.get(optimizer, ())}
        return {f"{group}/{number}": leaf for group, leaves in groups.items() for number, leaf in enumerate(leaves)}

    def inner(self, leaf: KeptLeaf) -> tuple[int, ...]:
        """Return the shape of a leaf's array of one run: with a leading axis K, if there is a list of epochs."""
        return leaf.shape if self.epochs is None else (len(self.epochs), *leaf.shape)

    def cell_bytes(self, cells: Cells) -> tuple[np.ndarray, np.ndarray]:
        """Return the bytes that parameters, and states, of each cell take on disk, [R] each."""
        times = 1 if self.epochs is None else len(self.epochs)
        params, states = np.zeros(cells.num_cells, np.int64), np.zeros(cells.num_cells, np.int64)
        for number, own in enumerate(self.problems):
            members = self.of_cell == number
            params[members] = times * sum(leaf.num_bytes for leaf in own.params)
            for optimizer, leaves in own.states.items():
                states[members & (cells.values["optimizer"] == optimizer)] = times * sum(leaf.num_bytes for leaf in leaves)
        return params, states


def kept_of(study: Study, subjects: Subjects, cells: Cells) -> Kept:
    """Return the arrays that a study keeps of its runs.

    Raises:
      InputError: if an optimizer's state has a random key, which cannot be kept.
    """

    def leaves(subject: Subject) -> ProblemLeaves:
        if study.keep is None:
            return ProblemLeaves((), {})
        optimizers = study.optimizers if study.keep_state else ()
        states = {optimizer: state_leaves(study, subject, cells, optimizer) for optimizer in optimizers}
        return ProblemLeaves(parameter_leaves(subject.problem, study.dtype), states)

    epochs = study.keep if isinstance(study.keep, tuple) else None
    return Kept(epochs, tuple(map(leaves, subjects.distinct)), subjects.of_cell)


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
        return jax.eval_shape(state, jax.random.key(0), number, dict.fromkeys(traced_hyperparameters(study, cells), number))


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


def stored_kept(study: StudyFields, manifest: Mapping[str, Any]) -> Kept:
    """Return the arrays that a result keeps, from a manifest with `stored_leaves`; no code that they name is run.

    Args:
      study: of the result.
      manifest: of the result.
    """
    settings = problem_settings(study, manifest["problem_axes"])
    facts = [manifest["problems"].get(setting_text(args)) if args else manifest for args in settings.args]
    leaves = [stored_leaves(own) if own else ProblemLeaves((), {}) for own in facts]
    assert None not in leaves, "a manifest that was read is sound"
    epochs = study.keep if isinstance(study.keep, tuple) else None
    return Kept(epochs, tuple(leaves), settings.of_cell)  # type: ignore[arg-type]


def stored_leaves(facts: Mapping[str, Any]) -> ProblemLeaves | None:
    """Return the leaves that are kept of the runs of one problem; None if they are not sound.

    Args:
      facts: with `params` and `states`, as `ProblemLeaves.described` has them.
    """
    params = _stored_leaves(facts.get("params"))
    described = facts.get("states")
    states = {name: _stored_leaves(leaves) for name, leaves in described.items()} if isinstance(described, dict) else {"": None}
    return None if params is None or None in states.values() else ProblemLeaves(params, states)  # type: ignore[arg-type]


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
