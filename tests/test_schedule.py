"""Schedules of progress: their values at points of the training, and their names."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxsgd
from jaxsgd.optimizer import schedule_named
from jaxsgd.schedule import SCHEDULE_FAMILIES, SCHEDULES, as_schedule

POINTS = (0.0, 0.05, 0.25, 0.5, 0.9, 1.0)


@pytest.mark.parametrize(
    ("name", "factors"),
    [
        ("constant", [1, 1, 1, 1, 1, 1]),
        ("linear", [1, 0.95, 0.75, 0.5, 0.1, 0]),
        # (1 + cos(pi p)) / 2, with cos(pi / 4) = sqrt(1/2) at a quarter.
        ("cosine", [1, 0.9938442, 0.8535534, 0.5, 0.0244717, 0]),
        # Half of the warmup at 0.05; then half a cosine over the other 0.9: at 0.25 it is (1 + cos(pi / 6)) / 2.
        ("warmup_cosine(0.1)", [0, 0.5, 0.9330127, 0.5868241, 0.0301537, 0]),
        ("warmup_cosine(0)", [1, 0.9938442, 0.8535534, 0.5, 0.0244717, 0]),
        # Half of the warmup at 0.05; half of the decay of 0.2 is left at 0.9.
        ("wsd(0.1, 0.2)", [0, 0.5, 1, 1, 0.5, 0]),
        ("wsd(0, 0)", [1, 1, 1, 1, 1, 1]),
        ("step(0.5, 0.1)", [1, 1, 1, 0.1, 0.1, 0.1]),
        # The warmup ends at a quarter; after it sqrt(0.25 / p).
        ("inverse_sqrt(0.25)", [0, 0.2, 1, 0.7071068, 0.5270463, 0.5]),
    ],
)
def test_factors_at_points_of_the_training(name, factors):
    schedule = schedule_named(name)
    np.testing.assert_allclose(jax.jit(jax.vmap(schedule))(jnp.asarray(POINTS)), factors, atol=1e-6)
    np.testing.assert_allclose([schedule(point) for point in POINTS], factors, atol=1e-6)  # Python's own numbers


def test_every_schedule_is_under_test_and_has_a_finite_slope():
    names = [*SCHEDULES, "warmup_cosine(0.1)", "wsd(0.1, 0.2)", "step(0.5, 0.1)", "inverse_sqrt(0.25)"]
    assert {name.partition("(")[0] for name in names} == {*SCHEDULES, *SCHEDULE_FAMILIES}
    schedules = {name: schedule_named(name) for name in names}
    slopes = jax.jit(jax.vmap(lambda point: {name: jax.grad(own)(point) for name, own in schedules.items()}))
    for name, own in slopes(jnp.asarray(POINTS)).items():
        assert np.isfinite(own).all(), name


def test_a_warmup_and_a_cosine_is_optaxs_own_by_steps():
    # Optax counts steps: 20 of 200 is a share of 0.1.
    optaxs = optax.warmup_cosine_decay_schedule(0.0, 1.0, warmup_steps=20, decay_steps=200)
    own = schedule_named("warmup_cosine(0.1)")
    for count in range(0, 201, 8):
        assert float(own(count / 200)) == pytest.approx(float(optaxs(count)), abs=1e-6)


def test_a_schedule_is_named_in_one_way_and_made_once():
    assert as_schedule("wsd( .1 ,2e-1)").name == "wsd(0.1, 0.2)"
    assert as_schedule("wsd( .1 ,2e-1)").thing is as_schedule("wsd(0.1, 0.2)").thing


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "wsd(0.1)",
            "schedule 'wsd' needs 2 numbers in brackets, wsd(warmup, decay) (warmup: share of the training with a rising",
        ),
        ("wsd(0.7, 0.4)", "the shares of schedule 'wsd' must be at most 1 together, got 0.7 and 0.4"),
        ("cosine(0.1)", "schedule 'cosine' takes no numbers in brackets, got 'cosine(0.1)'"),
        ("inverse_sqrt(0)", "warmup of schedule 'inverse_sqrt(0)' must be a number from 0.001 to 1 "),
        ("step(0.5, -1)", "factor of schedule 'step(0.5, -1)' must be a number from 0 to 1000 "),
    ],
)
def test_a_mistake_in_a_schedule_is_one_line(name, words):
    with pytest.raises(jaxsgd.InputError) as caught:
        schedule_named(name)
    assert str(caught.value).startswith(words)
    assert "\n" not in str(caught.value)
