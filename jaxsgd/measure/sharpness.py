"""Sharpness: the largest eigenvalue of the Hessian of the mean training loss, matrix-free.

References:
  Cohen, Kaur, Li, Kolter and Talwalkar 2021, "Gradient descent on neural networks typically occurs at the edge of stability",
    arXiv 2103.00065: by their definition the sharpness is the maximum eigenvalue of the training loss's Hessian. Under
    full-batch gradient descent it tends to rise until it is just above 2 / (learning rate), and stays there.
  Kuczynski and Wozniakowski 1992, "Estimating the largest eigenvalue by the power and Lanczos algorithms with a random start":
    after k products with a positive definite matrix of P rows, the mean relative error of the Lanczos method is
    O((ln P / k)^2), and that of the power method ln P / k.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jax.scipy.linalg import eigh_tridiagonal
from jaxtyping import Array, Float, Int

from jaxsgd.compiling.jit import as_one_program
from jaxsgd.error import check_count
from jaxsgd.measure.blocks import hessian_product, random_signs
from jaxsgd.problem import Batch, Params, Problem

ITERATIONS = 50
"""The most products with the Hessian, by default."""

TOLERANCE = 1e-3
"""The relative residual at which the iterations stop, by default."""


class _Lanczos(NamedTuple):
    """The state of the iterations.

    Attributes:
      basis: [k, P], orthonormal rows; zeros where no iteration has come to.
      diagonal: [k], of the tridiagonal matrix.
      beside: [k], next to its diagonal.
      done: [], the number of iterations done.
      value: [], the largest eigenvalue so far.
      residual: [], the bound on its distance from an eigenvalue of the Hessian.
    """

    basis: Float[Array, "k P"]
    diagonal: Float[Array, " k"]
    beside: Float[Array, " k"]
    done: Int[Array, ""]
    value: Float[Array, ""]
    residual: Float[Array, ""]


def sharpness(
    problem: Problem,
    params: Params,
    data: Batch,
    key: Array,
    *,
    iterations: int = ITERATIONS,
    tolerance: float | Float[Array, ""] = TOLERANCE,
) -> Float[Array, ""]:
    """Return the largest eigenvalue of the Hessian of the mean loss over all samples, [], in loss per squared parameter.

    By the Lanczos method with a random start and full reorthogonalization: each iteration multiplies the Hessian by a vector,
    and nothing of size P x P is formed; the basis takes `iterations` times the memory of the parameters. It is the largest
    eigenvalue and not the largest in size: of a Hessian without positive eigenvalues it is the one nearest to 0.

    Args:
      problem: gives the loss of each sample.
      params: the parameters.
      data: arrays with leading axis N; more than 1,024 samples are taken in blocks.
      key: of the random start.
      iterations: the most products with the Hessian; never more than P are taken.
      tolerance: the iterations stop when the residual |H v - value v| is at most this share of the value. The error of the
        value is smaller, for it falls with the square of the residual.

    Raises:
      InputError: for less than 1 iteration.
    """
    return _sharpness(problem, params, data, key, tolerance, iterations=check_count("iterations", iterations))


@functools.partial(as_one_program, static_argnames="iterations")
def _sharpness(
    problem: Problem, params: Params, data: Batch, key: Array, tolerance: float | Float[Array, ""], iterations: int
) -> Float[Array, ""]:
    flat, unravel = ravel_pytree(params)
    length = min(iterations, flat.size)

    def product(vector: Array) -> Array:
        return ravel_pytree(hessian_product(problem, params, data, unravel(vector)))[0]

    def goes_on(state: _Lanczos) -> Array:
        # Written so that a residual that is not a number goes on to the end, and gives a value that is not one.
        return (state.done < length) & ~(state.residual <= tolerance * jnp.abs(state.value))

    def iterate(state: _Lanczos) -> _Lanczos:
        place = state.done
        vector = state.basis[place]
        image = product(vector)
        diagonal = state.diagonal.at[place].set(vector @ image)
        # Twice, because rounding leaves a part of the basis in the first remainder.
        for _ in range(2):
            image = image - state.basis.T @ (state.basis @ image)
        rest = jnp.sqrt(jnp.sum(image**2))
        beside = state.beside.at[place].set(rest)
        value, last = _largest(diagonal, beside, place)
        following = jnp.where(rest > 0, image / jnp.where(rest > 0, rest, 1), 0)
        return _Lanczos(
            basis=state.basis.at[place + 1].set(following, mode="drop"),
            diagonal=diagonal,
            beside=beside,
            done=place + 1,
            value=value,
            residual=jnp.abs(rest * last),
        )

    start = random_signs(key, flat) / jnp.sqrt(jnp.asarray(flat.size, flat.dtype))
    zeros, number = jnp.zeros(length, flat.dtype), jnp.asarray(0, jnp.int32)
    begun = _Lanczos(
        jnp.zeros((length, flat.size), flat.dtype).at[0].set(start),
        zeros,
        zeros,
        number,
        zeros[0],
        jnp.asarray(jnp.inf, flat.dtype),
    )
    return jax.lax.while_loop(goes_on, iterate, begun).value


def _largest(diagonal: Array, beside: Array, place: Array) -> tuple[Array, Array]:
    """Return the largest eigenvalue of the first `place + 1` rows of a tridiagonal matrix, and its vector's last entry."""
    number = jnp.arange(diagonal.shape[0])
    # The largest eigenvalue is never below the first entry of the diagonal, so rows not reached yet stand apart below that.
    low = diagonal[0] - jnp.max(jnp.abs(diagonal)) - jnp.max(beside)
    on = jnp.where(number <= place, diagonal, low)
    off = jnp.where(number < place, beside, 0)[:-1]
    if not len(off):
        return on[0], jnp.ones_like(on[0])
    # Not `jnp.linalg.eigh`, which would take all eigenvalues; and in programs side by side LAPACK's routines may hang.
    most = diagonal.shape[0] - 1
    value = eigh_tridiagonal(on, off, eigvals_only=True, select="i", select_range=(most, most))[0]

    def eliminate(before: tuple[Array, Array], row: tuple[Array, Array]) -> tuple[tuple[Array, Array], Array]:
        # The pivots of T - value, and their derivatives with respect to the value: at an eigenvalue the last entry of its
        # vector has the square -1 / (derivative of the last pivot).
        (pivot, slope), (own, above) = before, row
        after = own - value - above**2 / pivot, -1 + above**2 * slope / pivot**2
        return after, after[1]

    above = jnp.concatenate([jnp.zeros(1, off.dtype), off])
    _, slopes = jax.lax.scan(eliminate, (-jnp.ones_like(value), jnp.zeros_like(value)), (on, above))
    return value, 1 / jnp.sqrt(jnp.abs(slopes[place]))
