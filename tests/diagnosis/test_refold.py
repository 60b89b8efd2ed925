"""A log is folded with another period, or as if it had been printed less often."""

import numpy as np
import pytest

from jaxsgd.diagnosis.diagnose import diagnose
from jaxsgd.diagnosis.fold import fold
from jaxsgd.diagnosis.refold import refold
from tests.diagnosis.test_diagnose import FOLDER


@pytest.mark.parametrize("name", ["torch_shuffle_false_every_7.txt", "torch_ragged_sum.txt", "keras_progress.txt"])
def test_the_own_period_gives_the_fold_of_the_diagnosis(name):
    diagnosis = diagnose(FOLDER / name)
    result = refold(diagnosis.log.loss, diagnosis.period)
    assert result is not None
    for part, own in zip(result.folded, fold(diagnosis.log.loss, diagnosis.period), strict=True):
        np.testing.assert_allclose(part, own, rtol=1e-12, atol=1e-12)


def test_levels_that_return_are_explained_by_their_own_period_only():
    # Levels 0, 1, 4, 2 in each of 50 epochs and nothing else. With epochs of 5 the positions mix all levels.
    diagnosis = diagnose(np.tile([0.0, 1.0, 4.0, 2.0], (50, 1)))
    own, other = (refold(diagnosis.log.loss, diagnosis.period, length) for length in (None, 5))
    assert own is not None
    assert other is not None
    assert own.share == pytest.approx(1)
    assert other.share < 0.1


def test_printed_less_often_the_values_are_means_of_successive_losses():
    diagnosis = diagnose(np.tile([0.0, 1.0, 4.0, 2.0], (50, 1)))
    halves, whole = (refold(diagnosis.log.loss, diagnosis.period, count=count) for count in (2, 4))
    assert halves is not None
    assert whole is not None
    np.testing.assert_array_equal(halves.loss[:4], [0.5, 3, 0.5, 3])
    np.testing.assert_array_equal(halves.last[:4], [1, 3, 5, 7])
    assert (halves.period.stripe_count, halves.period.interval) == (2, 2)
    # A value for each epoch: the pattern is gone.
    np.testing.assert_array_equal(whole.loss, 7 / 4)
    assert whole.period.stripe_count == 1
    assert whole.share == 0


def test_fewer_than_eight_values_are_not_folded():
    diagnosis = diagnose(np.tile([0.0, 1.0, 4.0, 2.0], (50, 1)))
    assert refold(diagnosis.log.loss, diagnosis.period, count=26) is None  # 200 / 26 is below 8
    assert refold(diagnosis.log.loss, diagnosis.period, count=25) is not None
