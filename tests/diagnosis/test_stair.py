"""Steps of the level from epoch to epoch, and levels that repeat after several epochs."""

import numpy as np
import pytest

from jaxsgd.diagnosis.stair import epoch_levels, find_stair, recurring, step_scores
from tests.diagnosis.test_features import logged

EPOCHS, BATCHES = 60, 12


def stair(loss, interval=3, **habit):
    log, period = logged(loss, interval, **habit)
    return find_stair(log.loss, period)


@pytest.fixture
def noise():
    return np.random.default_rng(0).standard_normal((EPOCHS, BATCHES))


@pytest.fixture
def fall():
    """A loss that falls as losses do, at first by more than a step would."""
    return (20 / (1 + np.arange(EPOCHS * BATCHES) / BATCHES)).reshape(EPOCHS, BATCHES)


@pytest.mark.parametrize("interval", [1, 3, 12, 6])
def test_the_level_of_an_epoch_is_the_mean_of_its_prints_without_the_first(noise, interval):
    log, period = logged(noise, interval)
    level, first = epoch_levels(log.loss, period)
    assert first == 1
    np.testing.assert_allclose(level, noise.mean(axis=1)[1:])
    log, period = logged(noise)
    halves, half_first = epoch_levels(log.loss, period, 0.5)
    assert half_first == 1
    np.testing.assert_allclose(halves[:-1], noise.reshape(-1)[18:-6].reshape(-1, BATCHES).mean(axis=1))


@pytest.mark.parametrize("after", [14, 20, 45])
def test_a_step_is_found_where_it_is_with_its_size(noise, fall, after):
    fall[after:] -= 3
    seen = stair(fall + noise)
    assert seen.step_after == after
    assert seen.step == pytest.approx(-3, abs=0.8)
    assert seen.step_z < -4
    # From the middle of an epoch to that of the next less of it is seen.
    assert seen.step_local > 0


def test_a_step_within_an_epoch_is_not_the_epochs(noise):
    loss = noise.reshape(-1)
    loss[20 * BATCHES + BATCHES // 2 :] -= 3
    assert stair(loss.reshape(noise.shape)).step_local < 0


@pytest.mark.parametrize("size", [0.0, 0.01, 1.0])
def test_a_loss_that_falls_has_no_step_that_chance_would_not_leave(fall, size):
    scores = [
        stair(fall + size * np.random.default_rng(seed).standard_normal(fall.shape)).step_z
        for seed in range(1 if not size else 40)
    ]
    assert np.quantile(np.abs(scores), 0.9) < 3.5
    assert np.max(np.abs(scores)) < 5


def test_a_step_too_small_to_be_seen_beside_the_stripes_is_none(noise):
    """Printed with few digits a loss in a fixed order stays as it is and steps by the last digit."""
    loss = np.tile(noise[0], (EPOCHS, 1))
    loss[30:] += 1e-4
    assert abs(stair(loss).step_z) < 2


@pytest.mark.parametrize("period", [3, 5, 12])
def test_levels_that_come_back_do_so_after_their_number_of_epochs(noise, fall, period):
    saw = np.linspace(1.5, -1.5, period)[np.arange(EPOCHS) % period][:, None]
    seen = stair(fall + saw + noise)
    assert seen.recurs % period == 0
    assert seen.recurs_z > 5
    plain = stair(fall + noise)
    assert plain.recurs_z < 3.5


def test_an_interval_that_slides_over_the_epoch_comes_back_by_itself_and_is_not_looked_at(noise):
    seen = stair(np.tile(noise[0], (EPOCHS, 1)), interval=5, form="batch")
    assert seen.recurs == seen.recurs_z == 0


def test_recurring_levels_are_what_is_left_of_them_in_their_own_scale():
    level = 0.5 * np.arange(40) + np.tile([1.0, 0.0, -1.0, 0.0], 10)
    left = recurring(level, 4)
    np.testing.assert_allclose(left[:4], np.tile([-1.0, 0.0, 1.0, 0.0], 1) * np.sqrt(2), atol=1e-12)
    assert len(left) == 36


def test_few_epochs_have_no_steps_and_do_not_come_back(noise):
    assert not step_scores(np.arange(7.0))[1].any()
    seen = stair(noise[:5])
    assert (seen.step_z, seen.recurs_z) == (0, 0)


@pytest.mark.parametrize("epochs", [20, 60, 300])
def test_chance_makes_a_rare_step_or_repeat_equally_often_however_many_epochs_there_are(epochs):
    rng = np.random.default_rng(3)
    seen = [stair(5 + rng.standard_normal((epochs, 4)), 1) for _ in range(60)]
    for scores in ([log.step_rare for log in seen], [log.recurs_rare for log in seen]):
        # A normal score is above 1.28 in one of ten, and above 3.1 in one of a thousand.
        assert np.quantile(scores, 0.9) < 2
        assert np.max(scores) < 3.5
    # The largest of all, as it is, grows with their number.
    assert np.mean([abs(log.step_z) for log in seen]) > np.mean([log.step_rare for log in seen]) + 1


def test_a_clear_step_stays_clear_among_many(noise, fall):
    fall[20:] -= 3
    assert stair(fall + noise).step_rare > 3
