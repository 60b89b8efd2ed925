"""The measures of a log, as one value."""

from typing import NamedTuple


class Features(NamedTuple):
    """The measures of a log.

    Attributes:
      repeat_index: share of the detrended variance that the place in the epoch explains, chance taken off (as the stripe
        index).
      repeat_z: z of that share.
      jagged_index, jagged_z: the same without what a smooth curve over the epoch explains and without the epoch's ends.
      agreement: correlation of the levels by place in the first half of the log with those in the second, smooth part taken
        off.
      ramp: rise of the loss from the epoch's begin to its end against the trend, in its scatter; below 0 for a fall.
      ramp_z: z of that rise, from its scatter over epochs.
      ramp_share: part of the levels' variance that a straight line over the epoch explains.
      settle: slope of the log of the change from print to print over the log of the print's number in the epoch; a running
        mean has -1.
      settle_likelihood: log likelihood of the slope -1 over the slope 0.
      reset: log of the change across the epoch's boundary over the change between its last prints.
      last_level: distance of the epoch's last place from the other places' mean, in their scatter; signed.
      last_level_rare: the same as a normal score: among few places one may lie far off by chance.
      last_level_z: z of that distance, by the last place's own scatter over epochs.
      last_spread: log of the scatter over epochs at the last place over that at the others.
      last_spread_z: z of that ratio, for normal values.
      last_spread_rare: normal score of the last place's log scatter among those of the other places, one by one.
      step: the step between the levels of two epochs that stands out most, loss units; signed.
      step_z: its normal score; of as many as there are epochs the largest.
      step_after: epochs before it.
      step_local: log of its score over the larger of those half an epoch before and after.
      recurs: epochs after which the levels of epochs come back best; 0 where that cannot be told.
      recurs_z: z of that; of up to thirty numbers of epochs the largest.
      rate_steps: 1 if the learning rate jumps at boundaries only, -1 if the log shows it never does, 0 if unknown.
      slides: 1 if prints fall on other places from epoch to epoch.
      per_epoch: prints per epoch.
      epochs: epochs in the log.
    """

    repeat_index: float
    repeat_z: float
    jagged_index: float
    jagged_z: float
    agreement: float
    ramp: float
    ramp_z: float
    ramp_share: float
    settle: float
    settle_likelihood: float
    reset: float
    last_level: float
    last_level_rare: float
    last_level_z: float
    last_spread: float
    last_spread_z: float
    last_spread_rare: float
    step: float
    step_z: float
    step_after: float
    step_local: float
    recurs: float
    recurs_z: float
    rate_steps: float
    slides: float
    per_epoch: float
    epochs: float
