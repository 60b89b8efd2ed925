"""Gradient noise: the scatter of single samples' gradients around their mean, and the batch size at which it matters.

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
from jaxsgd.measure.blocks import mean_gradient
from jaxsgd.measure.checkpoint import Epoch, TrainingSpec, measured, prepare
from jaxsgd.measure.norms import squared_norm
from jaxsgd.order import Order
from jaxsgd.problem import Batch, Params, Problem, num_samples, take_samples
from jaxsgd.simulator import Keys, Optimizer, batch_loss, sample_losses
from jaxsgd.summary import short_repr


class Noise(NamedTuple):
    """Gradient noise before the first step of C epochs, for the population that the N samples were drawn from.

    Attributes:
      epoch: [C], the epochs, 0-based.
      trace: [C], unbiased estimate of tr(Sigma), the summed variance of a single sample's gradient.
      gradient_square: [C], unbiased estimate of |G|^2, the squared length of the expected gradient. It can be negative, or
        mostly chance, if the noise of N samples hides it.
      loss_deviation: [C], standard deviation sigma of a single sample's loss: a batch's loss scatters by sigma / sqrt(B).
    """

    epoch: Int[Array, "*runs C"]
    trace: Float[Array, "*runs C"]
    gradient_square: Float[Array, "*runs C"]
    loss_deviation: Float[Array, "*runs C"]

    __repr__ = short_repr

    @property
    def scale(self) -> Float[np.ndarray, "*runs C"]:
        """[C], the gradient noise scale tr(Sigma) / |G|^2, in samples: much larger batches gain little from more samples.

        NaN if the estimate of |G|^2 is not above 0. A quotient of unbiased estimates is not unbiased: average the two parts
        over seeds before the division, with `noise_scale`.
        """
        return noise_scale(self.trace, self.gradient_square)


def noise_scale(trace: ArrayLike, gradient_square: ArrayLike) -> Float[np.ndarray, "..."]:
    """Return the gradient noise scale tr(Sigma) / |G|^2, in samples; NaN where |G|^2 is not above 0.

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
    steps: int | None = None,
    batch_count: int | Sequence[int] | None = None,
    batch_size: int | None = None,
    drop_last: bool = False,
    order: str | Order | Callable = "fixed",
    precision: str = "float32",
    small_batch: int = 1,
) -> Noise:
    """Return the gradient noise before chosen epochs of the run of `simulate` with the same arguments.

    With g_b the gradient over b samples, E |g_b|^2 = |G|^2 + tr(Sigma) / b. The gradients of b and of all N samples give

        tr(Sigma) = (|g_b|^2 - |g_N|^2) / (1/b - 1/N),    |G|^2 = (N |g_N|^2 - b |g_b|^2) / (N - b),

    with |g_b|^2 averaged over the N // b disjoint groups of b samples (McCandlish et al. 2018, appendix A.1). All gradients are
    taken at the same parameters, so that b = 1 gives the sample variance itself.

    Works under `vmap`, over keys and rates like `simulate`; several batch counts become a leading axis of the result.

    Args:
      problem, key, optimizer, batch_size, drop_last, order, precision: as `simulate`.
      at: the epochs to measure, at their beginning, 0-based.
      epochs: E of the whole training, for an optimizer with a schedule; by default the training ends with the last measured
        epoch.
      steps: the steps of the whole training, in place of `epochs`; the last epoch may be incomplete.
      batch_count: m of the training, or a sequence of batch counts.
      small_batch: b, samples in a small group. 1 gives the least scatter; larger groups are faster.

    Raises:
      InputError: as `simulate`, for epochs outside the training, or for a small batch of more than half the samples.
    """
    given = prepare(
        problem,
        key,
        optimizer=optimizer,
        at=at,
        epochs=epochs,
        steps=steps,
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
    return measured(given, _epoch_noise, small)


def _epoch_noise(problem: Problem, training: TrainingSpec, data: Batch, epoch: Epoch, small_batch: int) -> Noise:
    """Return the noise before the first step of an epoch, each []; see `Noise`."""
    del training  # as all measures of an epoch take it
    trace, square = gradient_noise(problem, epoch.state.params, data, small_batch)
    deviation = jnp.std(sample_losses(problem, epoch.state.params, data), ddof=1)
    return Noise(epoch.number, trace, square, deviation)


def gradient_noise(
    problem: Problem, params: Params, data: Batch, small_batch: int = 1
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Return unbiased estimates of tr(Sigma) and |G|^2 at given parameters, both []; NaN for a single sample.

    Args:
      problem: gives the loss of each sample.
      params: the parameters.
      data: arrays with leading axis N.
      small_batch: b, samples in a small group, as for `noise`.
    """

    def gradient(batch: Batch) -> Params:
        return jax.grad(lambda params: batch_loss(problem, params, batch))(params)

    count = num_samples(data) // small_batch

    def group(start: Array) -> Array:
        sample = start + jnp.arange(small_batch)
        return squared_norm(gradient(take_samples(data, sample)))

    small = jnp.mean(jax.lax.map(group, small_batch * jnp.arange(count), batch_size=min(count, 16)))
    return noise_parts(small, squared_norm(mean_gradient(problem, params, data)), small_batch, num_samples(data))


def noise_parts(small_square: Array, large_square: Array, small: int, large: int) -> tuple[Array, Array]:
    """Return unbiased estimates of tr(Sigma) and |G|^2 from the squared lengths of gradients of `small` and `large` samples."""
    trace = (small_square - large_square) / (1 / small - 1 / large)
    return trace, (large * large_square - small * small_square) / (large - small)
