"""The noise of a result's runs is that of the same runs made by hand."""

import jax
import numpy as np
import optax
import pytest

import jaxsgd
from jaxsgd import InputError

ARGS = {"num_samples": 20, "num_inputs": 2}
PROBLEM = jaxsgd.problems.least_squares(**ARGS)
RULED = optax.sgd(0.04, momentum=0.9**0.4)
"""The optimizer of `ruled` at m = 5."""

PARTS = ("trace", "gradient_square", "loss_deviation")


@pytest.fixture(scope="module")
def ruled():
    """Rates that fall as 1/m from 0.1 at m = 2: 0.04 at m = 5; momenta that keep their half-life: 0.9, and 0.9 ** (2 / 5)."""
    study = jaxsgd.Study(
        problem="least_squares", problem_args=ARGS, seeds=[3, 4, 5], orders=["reshuffle"], batch_counts=[2, 5], epochs=4,
        optimizers=["sgd"], learning_rates=[0.1], hyper={"momentum": [0.9]},
        batch_rules={"learning_rate": "linear", "momentum": "half_life"}, reference_batch_count=2, record="epoch",
    )  # fmt: skip
    return jaxsgd.sweep(study)


def by_hand(keys, optimizer, at, **how):
    """Means over the runs of `keys`, by name."""
    runs = [jaxsgd.noise(PROBLEM, key, optimizer=optimizer, at=at, epochs=4, **how) for key in keys]
    return {name: np.mean([getattr(run, name) for run in runs], axis=0) for name in PARTS}


def test_it_is_the_noise_of_the_same_runs_averaged_over_the_seeds(ruled):
    noise = jaxsgd.run_noise(ruled.sel(batch_count=5), [0, 3])
    keys = [jax.random.key(seed) for seed in (3, 4, 5)]
    mean = by_hand(keys, RULED, [0, 3], batch_count=5, order="reshuffle")
    for name in PARTS:
        np.testing.assert_allclose(noise[name], mean[name], rtol=1e-4)
    # The quotient of the means, and not the mean of the quotients.
    np.testing.assert_allclose(noise.noise_scale, mean["trace"] / mean["gradient_square"], rtol=1e-4)
    assert noise.epoch.values.tolist() == [0, 3]
    assert noise.attrs["seeds"] == 3


@pytest.mark.parametrize("pick", [lambda ds: ds.sel(seed=4), lambda ds: ds.sel(seed=[4, 3, 5])])
def test_one_seed_may_be_selected_or_the_first_asked_for(pick, ruled):
    noise = jaxsgd.run_noise(pick(ruled.sel(batch_count=5)), [0, 3], seeds=1)
    mean = by_hand([jax.random.key(4)], RULED, [0, 3], batch_count=5, order="reshuffle")
    np.testing.assert_allclose(noise.trace, mean["trace"], rtol=1e-4)
    assert noise.attrs["seeds"] == 1


def test_each_stream_has_its_own_seed_and_a_schedule_its_progress():
    study = jaxsgd.Study(
        problem="least_squares", problem_args=ARGS, data_seeds=[7, 8], order_seeds=[1], orders=["reshuffle"], batch_sizes=[8],
        epochs=4, learning_rates=[0.1], schedules="linear", record="epoch",
    )  # fmt: skip
    noise = jaxsgd.run_noise(jaxsgd.sweep(study), [3])
    zero, order_key = jax.random.key(0), jax.random.key(1)
    keys = [jaxsgd.streams(zero, data=jax.random.key(seed), order=order_key) for seed in (7, 8)]
    # 20 samples in batches of 8 are 3 steps an epoch: the rate falls to 0 over 12 steps.
    falling = optax.sgd(optax.linear_schedule(0.1, 0.0, 12))
    mean = by_hand(keys, falling, [3], batch_size=8, order="reshuffle")
    for name in PARTS:
        np.testing.assert_allclose(noise[name], mean[name], rtol=1e-4)


def test_a_run_whose_seed_was_dropped_is_not_taken_for_another(ruled):
    with pytest.raises(InputError, match="needs the seed of the run"):
        jaxsgd.run_noise(ruled.sel(batch_count=5).isel(seed=1, drop=True), [3])


def test_several_settings_are_named(ruled):
    message = r"^run_noise measures one setting: select one value of each axis, for batch_count has 2, 5; batch_size has 10, 4$"
    with pytest.raises(InputError, match=message):
        jaxsgd.run_noise(ruled, [0])


@pytest.mark.parametrize(
    ("at", "seeds", "message"),
    [
        ([0, 4], 8, r"at must list epochs from 0 to 3 \(0-based whole numbers\), got 4"),
        ([-1], 8, r"at must list epochs from 0 to 3 \(0-based whole numbers\), got -1"),
        ([0], 0, "seeds must be a whole number of at least 1, got 0"),
    ],
)
def test_epochs_and_seeds_that_are_not_there_are_named(at, seeds, message, ruled):
    with pytest.raises(InputError, match=message):
        jaxsgd.run_noise(ruled.sel(batch_count=5), at, seeds=seeds)
