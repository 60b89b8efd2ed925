"""A title says no more of stripes than their indices do."""

import numpy as np
import pytest

from jaxsgd.plot.axis import Axis
from jaxsgd.plot.finding import stripe_finding

COUNTS = Axis("batch_count", "batch_count", np.asarray([10, 20]), {})
ORDERS = Axis("order", "order", np.asarray(["fixed", "reshuffle", "flip_flop"]), {})
NAN = float("nan")


@pytest.mark.parametrize(
    ("index", "sentence"),
    [
        ([[1, 0, 0], [1, 0.1, -0.1]], "has stripes with the order fixed, none with reshuffle or flip_flop"),
        ([[1, 0, 0.4], [1, 0, 0]], "has stripes with the order fixed, faint ones with flip_flop, none with reshuffle"),
        ([[NAN, NAN, NAN], [1, 0, 0.9]], "has stripes with the order fixed or flip_flop, none with reshuffle"),
        # Every order both ways: the batch count decides.
        ([[0, 0, 0], [1, 1, 1]], "has stripes at m = 20, none at m = 10"),
        ([[0, 1, 0], [1, 0, 1]], "has stripes in 3 of the 6 settings with an index"),
        ([[1, 1, NAN], [1, 0.9, 1]], "splits into stripes wherever windows cut an epoch (median index 1.00)"),
        ([[0, 0.1, 0], [0, 0, 0]], "has no clear stripes wherever windows cut an epoch (median index 0.00)"),
        ([[0.4, 0.3, 0.3], [0.4, 0.3, 0.3]], "has faint stripes wherever windows cut an epoch (median index 0.30)"),
    ],
)
def test_the_first_axis_that_decides_is_named(index, sentence):
    assert stripe_finding(np.asarray(index, float), COUNTS, ORDERS) == f"The printed loss {sentence}"


def test_without_any_index_nothing_is_said():
    assert stripe_finding(np.full((2, 3), np.nan), COUNTS, ORDERS) == "No stripe index can be measured here"
