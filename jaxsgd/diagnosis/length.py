"""What a log must have to be judged."""

import math

from jaxsgd.diagnosis.period import Period

FEWEST_EPOCHS, FEWEST_PRINTS = 4, 12
"""What a log must have to be judged: places must come back a few times to be told from chance."""


def missing_length(period: Period) -> str:
    """What a log lacks to be judged, in words; empty where it lacks nothing."""
    prints = len(period.position)
    if period.is_estimated:
        if prints >= 2 * FEWEST_PRINTS:
            return ""
        return (
            f"The log is too short: it has {prints} losses and does not say where epochs begin. "
            f"At least {2 * FEWEST_PRINTS} are needed, or --batches-per-epoch."
        )
    if period.per_epoch <= 1.01 and not period.slides:
        return (
            "The log is too coarse: it has one loss an epoch, which shows nothing of what happens within one. "
            "Print at least twice an epoch."
        )
    # A cycle that is longer than an epoch must come back, too.
    epochs = float(FEWEST_EPOCHS)
    if period.slides and period.per_epoch < 2:
        epochs = max(epochs, 3 * period.stripe_count / period.per_epoch)
    needed = max(FEWEST_PRINTS, math.ceil(epochs * period.per_epoch - 1e-9))
    if prints >= needed:
        return ""
    more = needed - prints
    return (
        f"The log is too short: {prints} losses over {period.epochs:.3g} epochs. {needed} over {needed / period.per_epoch:.3g} "
        f"are needed, {more} more ({more / period.per_epoch:.3g} more epochs)."
    )
