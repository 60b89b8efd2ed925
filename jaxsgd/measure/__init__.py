"""What to read off a run."""

from jaxsgd.measure.cycle import LimitCycle, limit_cycle
from jaxsgd.measure.divergence import diverged_epoch
from jaxsgd.measure.effect import GapSources, Influence, gap_sources, influence, own_share, visit_to_visit
from jaxsgd.measure.gradient_noise import Noise, noise, noise_scale
from jaxsgd.measure.paired import PairedDifference, RankTable, paired_difference, rank_table
from jaxsgd.measure.stripe import (
    Stripes,
    expected_range,
    hiding_interval,
    sampling_spread,
    stripe_count,
    stripes,
    windows,
)
from jaxsgd.measure.variance import Scatter, scatter

__all__ = [
    "GapSources",
    "Influence",
    "LimitCycle",
    "Noise",
    "PairedDifference",
    "RankTable",
    "Scatter",
    "Stripes",
    "diverged_epoch",
    "expected_range",
    "gap_sources",
    "hiding_interval",
    "influence",
    "limit_cycle",
    "noise",
    "noise_scale",
    "own_share",
    "paired_difference",
    "rank_table",
    "sampling_spread",
    "scatter",
    "stripe_count",
    "stripes",
    "visit_to_visit",
    "windows",
]
