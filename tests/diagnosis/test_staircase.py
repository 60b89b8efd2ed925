"""A drop at each boundary with a flat run within is a staircase; smooth falls, levels that repeat and single steps are not."""

import numpy as np
import pytest

from jaxsgd.diagnosis.diagnose import diagnose
from jaxsgd.diagnosis.staircase import find_staircase, without_staircase
from tests.diagnosis.test_features import logged
from tools.diagnosis_model.staircases import plain_answers, plain_log, staircase_answers


def stairs(level, batches=40, noise=0.02, seed=0):
    """Losses [E, m] that stay at a level in each epoch."""
    rng = np.random.default_rng(seed)
    return np.asarray(level)[:, None] * (1 + noise * rng.standard_normal((len(level), batches)))


def measured(loss, interval=1, **habit):
    log, period = logged(loss, interval, **habit)
    return find_staircase(log.loss, period)


@pytest.mark.parametrize("interval", [1, 4, 3])
def test_a_staircase_has_its_drop_its_flat_run_and_no_drop_elsewhere(interval):
    seen = measured(stairs([1.0, 0.7, 0.49, 0.343]), interval)
    # Of the log of the loss: log(0.7) from epoch to epoch.
    assert seen.drop == pytest.approx(-np.log(0.7), abs=0.05)
    assert seen.slope == pytest.approx(0, abs=0.05)
    assert seen.z > 10
    assert seen.beside < seen.z / 2
    assert seen.every == pytest.approx(1, abs=0.1)
    assert seen.share > 0.8


def test_a_smooth_fall_drops_nowhere_more_than_elsewhere():
    time = np.arange(6 * 40).reshape(6, 40) / 40
    noise = 0.02 * np.random.default_rng(1).standard_normal(time.shape)
    for fall in (np.exp(-time / 3), 1 / (1 + 3 * time), 1 - 0.1 * time):
        assert measured(1 + fall + noise).score < 2


def test_one_step_among_many_boundaries_is_no_staircase():
    seen = measured(stairs([1.0] * 5 + [0.5] * 5))
    assert seen.every < 0.2
    assert seen.score < 2


@pytest.mark.parametrize("batches", [6, 40])
def test_levels_that_drop_where_an_epoch_begins_by_as_much_as_they_rise_within_it_are_no_staircase(batches):
    levels = np.linspace(0.0, 0.3, batches)
    seen = measured(1 + np.tile(levels, (8, 1)) + 0.02 * np.random.default_rng(4).standard_normal((8, batches)))
    # The drop itself is clear: what speaks against a staircase is the rise.
    assert seen.z > 5
    assert seen.score == 0


def test_a_drop_that_explains_less_than_its_score_promises_counts_for_less():
    # The line among the levels is measured apart: it does not limit the score here.
    seen = measured(stairs([1.0, 0.7, 0.49, 0.343]))._replace(rare=np.inf)
    assert seen._replace(share=0.0).score == 0
    # Of 160 values, a drop with a score of z explains z^2 / (z^2 + 160) of the variance at least.
    expected = seen.z**2 / (seen.z**2 + 160)
    assert seen.share > expected / 2
    assert seen._replace(share=expected / 4).score == pytest.approx(seen.score / 2)


@pytest.mark.parametrize("epochs", [6, 14])
def test_stairs_of_means_that_are_reset_at_each_print_are_no_running_mean(tmp_path, epochs):
    # Lines as in PyTorch's CIFAR tutorial: 12,500 batches an epoch, a mean over each 2,000. Fourteen epochs are a long log.
    loss = stairs(2.2 * 0.85 ** np.arange(epochs), batches=6, noise=0.015, seed=6)
    lines = [
        f"[{epoch + 1}, {2000 * (number + 1):5d}] loss: {value:.3f}"
        for epoch, values in enumerate(loss)
        for number, value in enumerate(values)
    ]
    (tmp_path / "cifar.txt").write_text("\n".join(lines) + "\n")
    assert diagnose(tmp_path / "cifar.txt").causes == ("re_exposure",)


def test_among_levels_that_repeat_a_drop_is_no_staircase_though_it_is_the_largest():
    # Levels that return, of which the last is the highest and the first the lowest by chance, on a loss that falls by 0.1.
    levels = 0.3 * np.array([-1.0, 0.8, -0.7, 0.9, -0.6, 0.7, -0.8, 1.0])
    fall = 0.1 * np.arange(8)[:, None]
    seen = measured(3 - fall + levels + 0.02 * np.random.default_rng(5).standard_normal((8, 8)))
    assert seen.rare < 1.5
    assert seen.score < 1.5


def test_a_running_mean_of_a_falling_loss_drops_where_it_is_reset_but_settles():
    time = np.arange(8 * 40).reshape(8, 40) / 40
    loss = np.exp(-time / 8) * (1 + 0.1 * np.random.default_rng(2).standard_normal(time.shape))
    assert measured(loss, form="running").score < 2


@pytest.mark.parametrize(("interval", "form"), [(1, "batch"), (4, "window"), (3, "window"), (3, "batch")])
def test_without_its_staircase_a_loss_keeps_its_noise_only(interval, form):
    loss = stairs([1.0, 0.6, 0.4], 200, noise=0.05)
    log, period = logged(loss, interval, form=form)
    left = np.log(without_staircase(log.loss, period))
    size = 0.05 / np.sqrt(interval if form == "window" else 1)
    assert left.std() == pytest.approx(size, rel=0.2)
    assert np.ptp([left[period.epoch == epoch].mean() for epoch in range(3)]) < size


def test_two_epochs_of_a_staircase_are_enough_and_other_causes_stay_unknown():
    diagnosis = diagnose(stairs([1.0, 0.6], 12))
    assert diagnosis.causes == ("re_exposure",)
    assert all(np.isnan(verdict.probability) for verdict in diagnosis.verdicts if verdict.cause.name != "re_exposure")
    assert "too short" in str(diagnose(stairs([1.0, 1.0], 12)))


def test_what_a_log_has_beside_its_staircase_is_diagnosed_too():
    levels = 0.04 * np.random.default_rng(3).standard_normal(12)
    diagnosis = diagnose(stairs([1.0, 0.8, 0.64, 0.512, 0.41, 0.328], 12) * (1 + levels))
    assert set(diagnosis.causes) == {"re_exposure", "fixed_order"}
    shares = {verdict.cause.name: verdict.share for verdict in diagnosis.verdicts}
    # Around their mean over an epoch, sawteeth of 0.22 in the log have a variance of 0.22^2 / 12 = 0.0040, the levels of about
    # 0.0016.
    assert shares["re_exposure"] > shares["fixed_order"] > 0.1


def test_of_sixty_staircases_nearly_all_are_re_exposure_and_nothing_else():
    # The 95 % of `docs/diagnosis_trust.md` less two standard errors of 60 draws: 0.95 - 2 sqrt(0.95 * 0.05 / 60).
    assert staircase_answers(60)["re_exposure",] >= 0.89 * 60


def test_logs_without_a_staircase_are_hardly_re_exposure():
    shares = plain_answers(10)
    assert np.mean(list(shares.values())) < 0.06
    assert shares["never_reset"] == shares["smooth"] == 0


@pytest.mark.parametrize("seed", range(5))
def test_a_mean_that_is_never_reset_is_nothing_periodic(seed):
    assert diagnose(plain_log(np.random.default_rng([9, seed]), "never_reset")).causes == ()
