"""Linear regression on features with a power-law spectrum."""

import jax
import numpy as np
import optax
import pytest

import jaxsgd

KEY = jax.random.key(0)


def test_the_variances_of_the_inputs_fall_with_the_power():
    x, _ = jax.jit(jaxsgd.problems.power_law_regression(20_000, 8, power=2.0).sample_data)(KEY)
    # A variance of 20,000 draws has a relative standard error of sqrt(2 / 20000) = 0.01.
    np.testing.assert_allclose(np.asarray(x).var(axis=0), np.arange(1, 9) ** -2.0, rtol=0.05)


def test_it_trains_to_the_noise_of_its_targets_and_the_flattest_directions_come_last():
    noise, inputs = 0.1, 10
    problem = jaxsgd.problems.power_law_regression(500, inputs, power=1.5, noise=noise)
    run = jaxsgd.simulate(problem, KEY, optimizer=optax.sgd(0.2), epochs=40, batch_count=50, order="reshuffle", keep=[2])
    # The least loss is about noise^2 / 2 = 0.005.
    assert run.epoch_loss[-1] < 0.007 < 0.1 < run.epoch_loss[0]
    data = jax.jit(problem.sample_data)(jaxsgd.streams(KEY).data)
    optimum = np.asarray(problem.optimum(data))
    remaining = abs(np.asarray(run.kept.params)[0] - optimum) / abs(optimum)
    assert remaining[:3].max() < remaining[-3:].min()


@pytest.mark.parametrize("name", ["power", "noise"])
def test_a_negative_power_or_noise_is_refused(name):
    with pytest.raises(jaxsgd.InputError, match=rf"^{name} must be a finite number of at least 0, got -1.0$"):
        jaxsgd.problems.power_law_regression(**{name: -1.0})
