"""Influence and noise against what first-order theory says of them."""

import numpy as np
import pytest

from tests.validation import own_steps


def test_own_shares_are_those_of_the_gradients_within_a_percent(x64):
    shares = own_steps.shares(seeds=2, num_hidden=50)
    np.testing.assert_allclose(shares.exact, shares.predicted, rtol=0.01)
    # Not all steps do the same: with gradients alike it would be 1/m.
    assert (shares.exact > 1.05 / np.asarray(own_steps.BATCH_COUNTS)).all()


@pytest.mark.slow
def test_frozen_gradients_are_off_by_the_square_of_the_rate(x64):
    for slopes in own_steps.frozen_slopes(own_steps.frozen(seeds=2, num_hidden=50)):
        np.testing.assert_allclose(slopes, 2, atol=0.1)
