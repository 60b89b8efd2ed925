"""Gradient noise: how far single samples' gradients scatter around their mean, and the batch size at which that matters.

Reference:
  McCandlish, Kaplan, Amodei and the OpenAI Dota team 2018, "An empirical model of large-batch training": the noise scale
  tr(Sigma) / |G|^2 (their equation 2.9) and the unbiased estimators of its two parts (their appendix A.1).
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from numpy.typing import ArrayLike

from jaxsgd.error import InputError, check_count
from jaxsgd.measure.checkpoint import Cuts, Epoch, Training, at_epochs, prepare
from jaxsgd.order import Order
from jaxsgd.problem import Batch, Params, Problem, num_samples
from jaxsgd.simulator import Keys, Optimizer, batch_loss, sample_losses
from jaxsgd.summary import short_repr


class Noise(NamedTuple):
    """Gradient noise before the first step of C epochs, for the population that the N samples were drawn from.

    Attributes:
      epoch: [C], the epochs, 0-based.
      trace: [C], unbiased estimate of tr(Sigma), the summed variance of a single sample's gradient.
      gradient_square: [C], unbiased estimate of |G|^2, the squared length of the expected gradient. Negative, or mostly chance,
        where the noise of N samples hides it.
      loss_deviation: [C], standard deviation sigma of a single sample's loss: a batch's loss scatters by sigma / sqrt(B).
    """

    epoch: Int[Array, "*runs C"]
    trace: Float[Array, "*runs C"]
    gradient_square: Float[Array, "*runs C"]
    loss_deviation: Float[Array, "*runs C"]

    __repr__ = short_repr

    @property
    def scale(self) -> Float[np.ndarray, "*runs C"]:
        """The gradient noise scale tr(Sigma) / |G|^2, in samples: batches far larger gain little from more samples.

        NaN where the estimate of |G|^2 is not above 0. A quotient of unbiased estimates is not unbiased itself: average the two
        parts over seeds before dividing, with `noise_scale`.
        """
        return noise_scale(self.trace, self.gradient_square)


def noise_scale(trace: ArrayLike, gradient_square: ArrayLike) -> Float[np.ndarray, "..."]:
    """tr(Sigma) / |G|^2, in samples; NaN where |G|^2 is not above 0.

    Args:
      trace: tr(Sigma), or its mean over runs.
      gradient_square: |G|^2, or its mean over the same runs.
    """
    trace, square = np.asarray(trace, np.float64), np.asarray(gradient_square, np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(square > 0, trace / square, np.nan))


def noise(
    problem: Problem,
    key: Array | Keys,
    *,
    optimizer: Optimizer,
    at: Sequence[int] | int,
    epochs: int | None = None,
    batch_count: int | Sequence[int] | None = None,
    batch_size: int | None = None,
    drop_last: bool = False,
    order: str | Order | Callable = "fixed",
    precision: str = "float32",
    small_batch: int = 1,
) -> Noise:
    """The gradient noise of the run that `simulate` makes of the same arguments, before chosen epochs.

    With g_b the gradient over b samples, E |g_b|^2 = |G|^2 + tr(Sigma) / b. From b samples and from all N of them,

        tr(Sigma) = (|g_b|^2 - |g_N|^2) / (1/b - 1/N),    |G|^2 = (N |g_N|^2 - b |g_b|^2) / (N - b),

    with |g_b|^2 averaged over the N // b disjoint groups of b samples (McCandlish et al. 2018, appendix A.1). The gradients are
    all taken at the same parameters, so that b = 1 gives the sample variance itself.

    Works under `vmap`, over keys and over rates as `simulate` does; several batch counts are a leading axis of the result.

    Args:
      problem, key, optimizer, batch_size, drop_last, order, precision: as `simulate`.
      at: the epochs to measure before, 0-based.
      epochs: E of the whole training, of which an optimizer's schedule is a function; by default up to the last measured.
      batch_count: m of the training, or several.
      small_batch: b, samples in a small group. 1 gives the least scatter; more is faster.

    Raises:
      InputError: for what `simulate` refuses, epochs that are not there, or groups that do not divide at least two times into
        the samples.
    """
    given = prepare(
        problem,
        key,
        optimizer=optimizer,
        at=at,
        epochs=epochs,
        batch_count=batch_count,
        batch_size=batch_size,
        drop_last=drop_last,
        order=order,
        precision=precision,
    )
    samples = given.training.whole.num_samples
    if samples < 2:
        raise InputError(f"noise needs at least 2 samples, got {samples}")
    small = check_count("small_batch", small_batch, samples // 2, "half the samples")
    run = _runs if given.runs else _run
    return run(given.params, given.data, given.order_key, given.cuts, given.at, training=given.training, small_batch=small)


def noise_at(
    params: Params, data: Batch, order_key: Array, cuts: Cuts, at: Int[Array, " C"], *, training: Training, small_batch: int
) -> Noise:
    """`noise` of one run with everything settled and checked: what is mapped over."""

    def measure(epoch: Epoch) -> Noise:
        squares = gradient_squares(training.problem, epoch.state.params, data, small_batch)
        deviation = jnp.std(sample_losses(training.problem, epoch.state.params, data), ddof=1)
        return Noise(epoch.number, *noise_parts(*squares, small_batch, num_samples(data)), deviation)

    return at_epochs(training, params, data, order_key, cuts, at, measure)


def _noise_of_several(params, data, order_key, cuts, at, **how) -> Noise:
    return jax.lax.map(lambda cuts: noise_at(params, data, order_key, cuts, at, **how), cuts)


_run = jax.jit(noise_at, static_argnames=("training", "small_batch"))
_runs = jax.jit(_noise_of_several, static_argnames=("training", "small_batch"))


def gradient_squares(
    problem: Problem, params: Params, data: Batch, small_batch: int
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """(mean squared length of the gradients over disjoint groups of b samples, squared length of that over all N samples)."""

    def gradient(batch: Batch) -> Params:
        return jax.grad(lambda params: batch_loss(problem, params, batch))(params)

    count = num_samples(data) // small_batch

    def group(start: Array) -> Array:
        sample = start + jnp.arange(small_batch)
        return squared_length(gradient(jax.tree.map(lambda leaf: leaf[sample], data)))

    small = jax.lax.map(group, small_batch * jnp.arange(count), batch_size=min(count, 16))
    return jnp.mean(small), squared_length(gradient(data))


def squared_length(tree: Params) -> Float[Array, ""]:
    """Sum of the squares of all entries."""
    return sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(tree))  # type: ignore[return-value]


def noise_parts(small_square: Array, large_square: Array, small: int, large: int) -> tuple[Array, Array]:
    """Unbiased estimates (tr(Sigma), |G|^2) from the squared lengths of gradients over `small` and over `large` samples."""
    trace = (small_square - large_square) / (1 / small - 1 / large)
    return trace, (large * large_square - small * small_square) / (large - small)
