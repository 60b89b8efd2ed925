"""What to read off a run."""

from jaxsgd.measure.divergence import diverged_epoch
from jaxsgd.measure.stripe import (
    Stripes,
    expected_range,
    hiding_interval,
    sampling_spread,
    stripe_count,
    stripes,
    windows,
)

__all__ = [
    "Stripes",
    "diverged_epoch",
    "expected_range",
    "hiding_interval",
    "sampling_spread",
    "stripe_count",
    "stripes",
    "windows",
]
