"""Steps to a target with the best fixed rate, against the exact recurrence of the noisy quadratic model (Zhang et al. 2019)."""

import numpy as np

from tests.validation import scaling


def test_the_best_fixed_rate_and_its_steps_are_the_recurrences():
    result = scaling.measure((8, 50), seeds=20, epochs=14)
    mean, exact = result.tuned
    np.testing.assert_array_equal(*result.best)
    # Means of 20 runs, whose loss near the target scatters by some percent and moves the steps by as much.
    np.testing.assert_allclose(mean, exact, rtol=0.02)
    # The neighbouring rates need other steps by far more than that, so this tells.
    assert np.nanmin(np.abs(result.exact / exact[:, None] - 1)[result.exact != exact[:, None]]) > 0.1
    assert np.all(result.runs < 1.05 * exact)
