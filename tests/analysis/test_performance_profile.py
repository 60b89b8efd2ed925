"""Performance profiles, worked out by hand."""

import numpy as np
import pytest
import xarray as xr

from jaxsgd import InputError
from jaxsgd.analysis.performance_profile import performance_profile, performance_ratio, profile_share

# Steps of three settings on four problems; the second never reaches the last target, the third fails on two problems.
STEPS = np.array([[10, 20, np.inf], [30, 15, 60], [40, 40, np.inf], [25, np.inf, 50]])


def test_ratios_and_shares_by_hand():
    ratio = performance_ratio(STEPS)
    # Divided by 10, 15, 40 and 25.
    np.testing.assert_array_equal(ratio, [[1, 2, np.inf], [2, 1, 4], [1, 1, np.inf], [1, np.inf, 2]])
    # First: 1 on three of four, 2 on all. Second: 1 on two, 2 on three. Third: never best, 2 on one, 4 on two.
    expected = [[0.75, 1, 1, 1], [0.5, 0.75, 0.75, 0.75], [0, 0.25, 0.5, 0.5]]
    np.testing.assert_array_equal(profile_share(ratio, [1, 2, 4, np.inf]), expected)


def test_of_an_accuracy_the_highest_is_best_and_a_failure_is_infinite():
    ratio = performance_ratio([[0.9, 0.45, np.nan], [-np.inf, np.nan, np.inf]], higher=True)
    np.testing.assert_allclose(ratio, [[1, 2, np.inf], [np.inf] * 3])
    with pytest.raises(InputError, match="a ratio to the best needs values above 0, got -1"):
        performance_ratio([1.0, -1.0])


def result(loss, better="lower", diverged=None, **dims):
    """A result along (batch_count, optimizer, seed, epoch), with 4 batches an epoch."""
    loss = np.asarray(loss, float)
    names = ("batch_count", "optimizer", "seed")
    flags = np.zeros(loss.shape[:3], bool)
    return xr.Dataset(
        {
            "loss_epoch": ((*names, "epoch"), loss),
            "score": ((*names, "epoch"), loss, {"better": better, "units": "1"}),
            "diverged": (names, flags if diverged is None else np.asarray(diverged)),
            "missing": (names, flags.copy()),
        },
        {"batch_count": [4, 8][: loss.shape[0]], "optimizer": ["sgd", "adam"], "seed": np.arange(loss.shape[2])}
        | {"epoch": np.arange(loss.shape[3]), **dims},
    )


# Two epochs; three seeds of each optimizer, the same but for the last, which must not move a median.
EASY = result([[[[2, 1.0]] * 2 + [[2, 9.0]], [[2, 0.5]] * 2 + [[2, 0.1]]]])
HARD = result(
    [[[[4, 2.0]] * 3, [[4, 3.0]] * 3], [[[4, 2.0]] * 3, [[4, np.nan]] * 3]],
    diverged=[[[False] * 3] * 2, [[False] * 3, [True] * 3]],
)


def test_each_value_of_another_axis_is_a_problem_and_a_diverged_setting_fails_there():
    profiles = performance_profile({"easy": EASY, "hard": HARD}, metric="score")
    assert profiles.problem.values.tolist() == ["easy", "hard, batch_count 4", "hard, batch_count 8"]
    np.testing.assert_array_equal(profiles.value, [[1, 0.5], [2, 3], [2, np.inf]])
    np.testing.assert_array_equal(profiles.ratio, [[2, 1], [1, 1.5], [1, np.inf]])
    assert profiles.factor.values.tolist() == [1, 1.5, 2]
    np.testing.assert_allclose(profiles.share, [[2 / 3, 2 / 3, 1], [1 / 3, 2 / 3, 2 / 3]])
    np.testing.assert_allclose(profiles.solved, [1, 2 / 3])
    assert profiles.attrs["seeds"] == 3


def test_of_a_metric_of_which_higher_is_better_the_highest_is_best():
    higher = EASY.assign(score=EASY.score.assign_attrs(better="higher"))
    profiles = performance_profile({"easy": higher}, metric="score")
    np.testing.assert_array_equal(profiles.value, [[1, 0.5]])
    np.testing.assert_array_equal(profiles.ratio, [[1, 2]])


def test_steps_to_a_target_of_each_problem():
    # After 4 and 8 steps. A score of 1: sgd reaches it after 8 steps, adam falls from 2 to 0.5 and passes it two thirds on.
    profiles = performance_profile({"easy": EASY, "again": EASY}, metric="score", target={"easy": 1.0, "again": 0.5})
    np.testing.assert_allclose(profiles.value, [[8, 4 + 4 * 2 / 3], [np.inf, 8]])
    np.testing.assert_allclose(profiles.ratio, [[1.2, 1], [np.inf, 1]])
    assert profiles.value.attrs["units"] == "steps"


def test_each_setting_is_tuned_on_seeds_that_do_not_count():
    slow = EASY.assign(score=3 * EASY.score)
    rates = xr.concat([slow, EASY], xr.DataArray([0.1, 1.0], dims="learning_rate", name="learning_rate"))
    with pytest.raises(InputError, match="easy: learning_rate has 2 values: let seeds choose the best with tuning_seeds"):
        performance_profile({"easy": rates}, metric="score")
    # Two seeds choose the second rate for both; the third, 9 and 0.1, counts.
    profiles = performance_profile({"easy": rates}, metric="score", tuning_seeds=2)
    np.testing.assert_allclose(profiles.value, [[9, 0.1]])


@pytest.mark.parametrize(
    ("results", "options", "message"),
    [
        (
            {"easy": EASY.assign(score=EASY.score - 1)},
            {},
            "score is 0 for sgd on easy, and a ratio to the best means something",
        ),
        (
            {"easy": EASY.assign(score=EASY.score.assign_attrs(better="neither"))},
            {},
            "no setting is better than another by score",
        ),
        ({"easy": EASY, "other": EASY.isel(optimizer=[0])}, {}, "other: has optimizer .'sgd'., and the others"),
        (
            {"easy": EASY.assign(missing=~EASY.missing)},
            {},
            "easy: only a finished result can be compared, and 6 of its cells are missing",
        ),
        ({"easy": EASY}, {"target": {"hard": 1.0}}, "easy has no target"),
        ({"easy": EASY}, {"target": np.nan}, "target must be a finite number"),
        ({}, {}, "needs at least one result"),
    ],
)
def test_what_has_no_profile_is_one_line(results, options, message):
    with pytest.raises(InputError, match=message):
        performance_profile(results, metric="score", **options)
