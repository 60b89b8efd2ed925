"""The noisy quadratic model of Zhang et al. 2019, "Which algorithmic choices matter at which batch sizes?"."""

import numpy as np
import pytest

from tests.validation import noisy_quadratic


@pytest.mark.parametrize("batch_size", noisy_quadratic.BATCH_SIZES)
def test_at_every_step_the_mean_risk_is_the_recurrences(x64, batch_size):
    result = noisy_quadratic.measure(batch_size)
    # 20 means of 4000 runs, normal to a good approximation: one beyond 4.5 has a chance of at most 20 * 7e-6 = 0.00014.
    assert np.abs(result.z).max() < 4.5
    # Sharp enough to tell: a risk 8 % off would not pass.
    assert np.all(result.error < 0.016 * result.exact)
