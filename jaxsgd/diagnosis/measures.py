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
      shift: the bend of the loss that stands out most at a boundary, in the usual size of bends.
      shift_lead: log of that over the largest bend two cycles before or after.
      shift_local: log of that over the largest bend half a cycle before or after.
      shift_size: the same bend in the scatter of the detrended prints.
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
    shift: float
    shift_lead: float
    shift_local: float
    shift_size: float
    rate_steps: float
    slides: float
    per_epoch: float
    epochs: float
