"""The limit cycle: what it is solved from, and what is refused. Its numbers are held to NumPy in `tests/validation`."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxsgd

KEY = jax.random.key(0)
LINE = jaxsgd.problems.least_squares(12, 3)
LINE_IN_FLOAT64 = jaxsgd.problems.least_squares(12, 3, dtype="float64")


def cycle(problem=LINE, rate=0.05, **how):
    return jaxsgd.limit_cycle(problem, KEY, **{"optimizer": optax.sgd(rate), "batch_count": 5} | how)


def test_a_run_with_momentum_ends_on_it(x64):
    how = {"optimizer": optax.sgd(0.02, momentum=0.5), "batch_size": 5, "order": "flip_flop"}
    limit = jaxsgd.limit_cycle(LINE_IN_FLOAT64, KEY, **how)
    assert limit.loss.shape == (2, 3)
    assert limit.params.shape == (2, 3, 3)
    # The slowest part of the start is left as radius^periods, and the start is a few units away.
    periods = int(np.ceil(np.log(1e-12) / np.log(limit.spectral_radius)))
    run = jaxsgd.simulate(LINE_IN_FLOAT64, KEY, epochs=2 * periods, observe=lambda weights, context: weights, **how)
    np.testing.assert_allclose(run.loss[-2:], limit.loss, atol=1e-10)
    np.testing.assert_allclose(run.observed[-2:], np.roll(limit.params[:, 0], -1, axis=0), atol=1e-10)


def test_the_spectral_radius_is_the_factor_by_which_the_distance_shrinks(x64):
    # One weight and one sample, loss w^2 / 2: two epochs of one step each multiply w by (1 - 0.1)^2, forwards or backwards.
    problem = jaxsgd.Problem(lambda key: jnp.ones(1), lambda w, x: w[0] ** 2 / 2 + 0 * x, jnp.zeros(2))
    assert cycle(problem, 0.1, batch_count=2).spectral_radius == pytest.approx(0.9**2, rel=1e-12)


def test_in_one_batch_samples_may_change_places_and_the_cycle_is_the_optimum(x64):
    limit = cycle(LINE_IN_FLOAT64, 0.1, batch_count=1, order="reshuffle")
    optimum = LINE_IN_FLOAT64.optimum(LINE_IN_FLOAT64.sample_data(jaxsgd.streams(KEY).data))
    np.testing.assert_allclose(limit.params[0, 0], optimum, atol=1e-12)


def test_parameters_of_any_structure():
    problem = jaxsgd.Problem(
        lambda key: {"slope": jnp.zeros(2), "offset": jnp.zeros(())},
        lambda params, batch: (batch[:, :2] @ params["slope"] + params["offset"] - batch[:, 2]) ** 2,
        np.random.default_rng(0).normal(size=(20, 3)).astype("float32"),
    )
    limit = cycle(problem)
    assert limit.params["slope"].shape == (1, 5, 2)
    run = jaxsgd.simulate(problem, KEY, optimizer=optax.sgd(0.05), batch_count=5, epochs=200)
    np.testing.assert_allclose(run.loss[-1], limit.loss[0], rtol=1e-4)
    np.testing.assert_allclose(run.params["slope"], limit.params["slope"][0, 0], rtol=1e-4)


def named(name, loss):
    """A problem with two weights, starting at 9, and the samples 0, 1, 2 and 3."""
    return jaxsgd.Problem(lambda key: jnp.full(2, 9.0), loss, jnp.arange(4.0), name=name)


QUARTIC = named("quartic", lambda w, x: (w[0] - x) ** 2 + w[1] ** 4)
VALLEY = named("valley", lambda w, x: (w[0] + w[1] - x) ** 2)
# Around its minimum it has another curvature than where it starts, and than where it is looked at: nothing but going round the
# cycle tells.
DENT = named("dent", lambda w, x: jnp.where(abs(w[0] - 1.5) < 1, 2, 1) * (w[0] - x) ** 2 + w[1] ** 2)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"order": "reshuffle"}, r"order must repeat within 4 epochs, such as fixed, shuffle_once, flip_flop, got 'reshuffle'"),
        ({"rate": 5.0}, r"the updates of a period must contract, with a spectral radius below 1, got \d+"),
        ({"problem": VALLEY, "batch_count": 2}, r"must contract, .* got 1: use"),
        ({"problem": QUARTIC, "batch_count": 2}, "the updates of 'quartic' must be affine in the parameters"),
        ({"problem": DENT, "batch_count": 2}, "the updates of 'dent' must be affine in the parameters"),
        (
            {"optimizer": optax.sign_sgd(0.05)},
            r"must be affine .* an optimizer that is linear in the gradient, such as optax.sgd",
        ),
        ({"optimizer": optax.adam(0.05)}, r"optimizer must be the same at every step, .* got a state with: float32, int32"),
        ({"batch_count": 13}, "batch_count must be a whole number from 1 to 12"),
        ({"order": "fliflop"}, "did you mean 'flip_flop'"),
    ],
)
def test_what_has_no_limit_cycle_is_refused(how, message):
    with pytest.raises(jaxsgd.InputError, match=message):
        cycle(**how)


@pytest.mark.usefixtures("unchecked")
def test_an_optimizer_that_depends_on_progress_is_refused():
    with pytest.raises(jaxsgd.InputError, match=r"^optimizer must be an optax transformation such as .*, got <function"):
        cycle(optimizer=lambda progress: optax.sgd(1 - progress))
