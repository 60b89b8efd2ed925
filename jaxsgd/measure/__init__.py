"""What to read off a run."""

from jaxsgd.measure.cycle import LimitCycle, limit_cycle
from jaxsgd.measure.divergence import diverged_epoch
from jaxsgd.measure.effect import GapSources, Influence, gap_sources, influence, own_share, visit_to_visit
from jaxsgd.measure.gradient_noise import Noise, noise, noise_scale
from jaxsgd.measure.paired import PairedDifference, RankTable, paired_difference, rank_table
from jaxsgd.measure.scaling_law import (
    Bend,
    CriticalBatchSize,
    critical_batch_size,
    fit_bend,
    power_of_size,
    regimes,
    steps_to_target,
)
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
    "Bend",
    "CriticalBatchSize",
    "GapSources",
    "Influence",
    "LimitCycle",
    "Noise",
    "PairedDifference",
    "RankTable",
    "Scatter",
    "Stripes",
    "critical_batch_size",
    "diverged_epoch",
    "expected_range",
    "fit_bend",
    "gap_sources",
    "hiding_interval",
    "influence",
    "limit_cycle",
    "noise",
    "noise_scale",
    "own_share",
    "paired_difference",
    "power_of_size",
    "rank_table",
    "regimes",
    "sampling_spread",
    "scatter",
    "steps_to_target",
    "stripe_count",
    "stripes",
    "visit_to_visit",
    "windows",
]
