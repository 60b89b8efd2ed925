"""The limit cycle: the end state of runs with a constant rate and a repeating order, computed directly.

On a quadratic loss, a step of SGD is an affine map of the state, and so is a whole epoch. A repeating order applies the same
map again and again. If the map contracts, every run approaches its fixed point, and that is not the optimum: the weights follow
a small loop, once per period, at a distance from the optimum that is proportional to the rate. The losses along this loop are
the stripes that never disappear.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float
from numpy.typing import ArrayLike

from jaxsgd.compiling.jit import jit
from jaxsgd.error import InputError, shown
from jaxsgd.order import ORDERS, Order, Split, Visits, as_order, split
from jaxsgd.problem import Batch, Params, Problem, check_training, num_samples
from jaxsgd.simulator import Keys, as_keys, draw_start, initial_state, make_simulator
from jaxsgd.summary import short_repr

LONGEST_PERIOD = 4
"""The longest period of an order, in epochs, that is detected."""

_EPOCHS_COMPARED = 16


class LimitCycle(NamedTuple):
    """A period of a limit cycle, of C epochs: C is the order's period, such as 1 for `fixed` and 2 for `flip_flop`.

    A run approaches row c in its epochs c, c + C, c + 2C, ...

    Attributes:
      loss: [C, m], mean loss of each batch before its update, as in `Run.loss`; loss units.
      params: parameters before each update, arrays with leading axes [C, m]. The parameters after an epoch, as `observe` gets
        them, are those of the next epoch at position 0.
      spectral_radius: the factor by which the slowest part of the distance to the cycle shrinks, per C epochs.
    """

    loss: Float[Array, "C m"]
    params: Params
    spectral_radius: float

    __repr__ = short_repr


def limit_cycle(
    problem: Problem,
    key: Array | Keys,
    *,
    optimizer: optax.GradientTransformation,
    batch_count: int | None = None,
    batch_size: int | None = None,
    drop_last: bool = False,
    order: str | Order | Callable = "fixed",
) -> LimitCycle:
    """Return the limit cycle that `simulate` with the same arguments approaches, for a quadratic loss and a repeating order.

    The updates of C epochs are an affine map s -> M s + c of the state s: the parameters, and the momentum if there is one. M
    is its derivative, exact to rounding; it needs the work of a period for each number in the state. The cycle starts at
    s = (I - M)^-1 c. Computed in the parameters' precision (float64 needs JAX's x64 mode). It does not work under `jit`.

    Luo 1991, "On the convergence of the LMS algorithm with adaptive learning rate for linear feedforward networks"; Wang, Manry
    and Schiano 2000, "LMS learning algorithms: misconceptions and new results on convergence" (a limit cycle, not the optimum).

    Args:
      problem: the problem to train; its loss must be quadratic in the parameters.
      key: a JAX random key, or `Keys`, with the same meaning as for `simulate`.
      optimizer: an optax transformation that is linear in the gradient, such as `optax.sgd`, with or without momentum.
      batch_count: m, batches per epoch.
      batch_size: B, in place of `batch_count`.
      drop_last: with `batch_size`, leave out a smaller last batch.
      order: an order that repeats after at most `LONGEST_PERIOD` epochs, such as "fixed", "shuffle_once" or "flip_flop".

    Raises:
      InputError: for an order that does not repeat, a loss or an optimizer without an affine map (checked at two points and
        along the computed cycle), or a map that does not contract; and as `simulate`.
    """
    check_training(problem)
    if problem.has_noise:
        raise InputError(f"the loss of {problem.name!r} takes a random key, so its training does not repeat: it has no cycle")
    if not isinstance(optimizer, optax.GradientTransformation):
        raise InputError(f"optimizer must be an optax transformation such as optax.sgd(1e-3), got {shown(optimizer)}")
    keys = as_keys(key)
    samples = num_samples(jax.eval_shape(problem.sample_data, keys.data))
    cut = split(samples, batch_count=batch_count, batch_size=batch_size, drop_last=drop_last)
    params, data = jax.tree.map(jnp.asarray, draw_start(problem, keys))
    simulator = make_simulator(problem, optimizer, cut, order)
    visits = _one_period(simulator.epoch_visits, keys.order, as_order(order))
    state = jit(lambda params: initial_state(optimizer, params))(params)
    if not all(jnp.issubdtype(jnp.result_type(leaf), jnp.floating) for leaf in jax.tree.leaves(state)):
        raise InputError(
            "optimizer must be the same at every step, such as optax.sgd(1e-3, momentum=0.9), got a state with: "
            + ", ".join(sorted({str(jnp.result_type(leaf)) for leaf in jax.tree.leaves(state)}))
        )
    return _solve(simulator.advance, state, data, visits, cut, problem.name)


def _one_period(epoch_visits, key: Array, order: Order) -> Visits:
    """Return the visits of the C epochs after which the order repeats, leading axes [C, m]."""
    if order.feedback is None:
        visits = jit(jax.vmap(epoch_visits, (None, 0)))(key, np.arange(_EPOCHS_COMPARED))
        visits = jax.tree.map(np.asarray, visits)
        # The order of samples within a batch does not change its gradient.
        members = np.sort(visits.sample, axis=-1)
        for period in range(1, LONGEST_PERIOD + 1):
            if np.array_equal(members[period:], members[:-period]):
                return Visits(visits.sample[:period], visits.size[:period])
    repeating = [name for name, order in ORDERS.items() if order.period and order.period <= LONGEST_PERIOD]
    raise InputError(f"order must repeat within {LONGEST_PERIOD} epochs, such as {', '.join(repeating)}, got {order.name!r}")


def _solve(advance, state: Any, data: Batch, visits: Visits, cut: Split, name: str) -> LimitCycle:
    period = visits.size.shape[0]
    steps = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), visits)
    _, unravel = ravel_pytree(jax.tree.map(np.zeros_like, state))

    def raveled(tree: Any) -> Array:
        return ravel_pytree(tree)[0]

    def moved(flat: Array) -> Array:
        """Return the change of a state over a period: a difference, so that it stays above rounding at any rate."""
        return raveled(advance(unravel(flat), data, steps)[0]) - flat

    def trace(flat: Array) -> tuple[Array, Params, Array, Array]:
        """Return the losses and parameters before each step, leading axes [C, m], the largest change of a parameter since the
        first step, and the state after the last step."""

        def body(state: Any, step: Visits) -> tuple[Any, tuple[Array, Params]]:
            after, loss = advance(state, data, jax.tree.map(lambda leaf: leaf[None], step))
            return after, (loss[0], state.params)

        after, (loss, params) = jax.lax.scan(body, unravel(flat), steps)
        travelled = jnp.abs(raveled(jax.tree.map(lambda leaf: leaf - leaf[:1], params))).max()
        in_epochs = jax.tree.map(lambda leaf: leaf.reshape(period, cut.batch_count, *leaf.shape[1:]), (loss, params))
        return *in_epochs, travelled, raveled(after)

    flat = np.asarray(jit(raveled)(state))
    eps = float(jnp.finfo(flat.dtype).eps)

    def differ(got: ArrayLike, expected: ArrayLike, size: ArrayLike, scale: ArrayLike) -> bool:
        """Return True if two arrays differ by more than rounding, for numbers of a size and sums of states of a scale."""
        rounding = np.sqrt(eps) * np.abs(size).max() + 16 * eps * steps.size.shape[0] * np.abs(scale).max()
        return not np.abs(np.asarray(got) - np.asarray(expected)).max() <= rounding

    # Near the start and far on its other side: a loss made of pieces, or a sign, may be affine around any one point.
    direction = np.random.default_rng(0).normal(size=flat.size).astype(flat.dtype)
    probes = flat[None, :] + np.outer(np.asarray([1, -16], flat.dtype), direction)
    slope, offset, probed = jit(lambda at, to: (jax.jacfwd(moved)(at), moved(0 * at), jax.vmap(moved)(to)))(flat, probes)
    slope, offset = np.asarray(slope, np.float64), np.asarray(offset, np.float64)
    for probe, got in zip(probes, np.asarray(probed), strict=True):
        expected = offset + slope @ probe
        if differ(got, expected, expected, probe):
            raise _not_affine(name)

    radius = float(np.abs(np.linalg.eigvals(np.eye(flat.size) + slope)).max())
    if not 1 - radius > 8 * flat.size * eps:
        raise InputError(
            f"the updates of a period must contract, with a spectral radius below 1, got {radius:.6g}: "
            "use a smaller learning rate, or a loss with a single optimum"
        )
    start = np.linalg.solve(slope, -offset).astype(flat.dtype)
    loss, params, travelled, end = jit(trace)(start)
    if differ(end, start, travelled, start):
        raise _not_affine(name)
    return LimitCycle(loss, params, radius)


def _not_affine(name: str) -> InputError:
    return InputError(
        f"the updates of {name!r} must be affine in the parameters, and they are not: use a quadratic loss, such as "
        "least_squares, and an optimizer that is linear in the gradient, such as optax.sgd"
    )
