"""The ways in which trainers log: the values that are printed of the losses of single batches."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from jaxsgd.diagnosis.log import Log


class Habit(NamedTuple):
    """A way to log.

    Attributes:
      interval: w, batches from one print to the next.
      form: "window" prints the mean since the last print, "batch" the loss of the last batch, "running" the mean since the
        epoch began, "smooth" an exponential mean over about ten batches.
      restarts: True if the count of batches begins again with each epoch, False if it goes on through the run.
      last_factor: the factor on the last batch's loss: 1 for a mean over its own samples, B_last / B where a sum is
        divided by the usual batch size, B / B_last where it is divided by its own size twice.
      from_first: True if the first batch of the count is printed, as by `if batch % interval == 0` with a count from 0; False
        if the first print comes after w batches.
    """

    interval: int
    form: str = "window"
    restarts: bool = False
    last_factor: float = 1.0
    from_first: bool = False


def printed(loss: Float[np.ndarray, "E m"], habit: Habit) -> tuple[Float[np.ndarray, " n"], Int[np.ndarray, " n"]]:
    """Return (the printed values, the number of the last batch in each, from 0 through the run).

    The values are linear in the losses: those of a sum of losses are the sum of the values.
    """
    epochs, batches = loss.shape
    loss = np.asarray(loss, np.float64).copy()
    loss[:, -1] *= habit.last_factor
    flat = loss.reshape(-1)
    first = 0 if habit.from_first else habit.interval - 1
    if habit.restarts:
        inner = np.arange(first, batches, habit.interval)
        at = (np.arange(epochs)[:, None] * batches + inner).reshape(-1)
    else:
        at = np.arange(first, epochs * batches, habit.interval)
    total = np.concatenate([[0.0], np.cumsum(flat)])
    if habit.form == "batch":
        return flat[at], at
    if habit.form == "running":
        begin = at // batches * batches
        return (total[at + 1] - total[begin]) / (at + 1 - begin), at
    if habit.form == "smooth":
        smooth = np.empty_like(flat)
        mean = flat[0]
        for place, value in enumerate(flat):
            mean = 0.9 * mean + 0.1 * value
            smooth[place] = mean
        return smooth[at], at
    # The window of a first batch that is printed contains it alone.
    begin = np.maximum(at + 1 - habit.interval, at // batches * batches if habit.restarts else 0)
    return (total[at + 1] - total[begin]) / (at + 1 - begin), at


def habit_log(
    values: Float[np.ndarray, " n"], at: Int[np.ndarray, " n"], batches: int, rate: Float[np.ndarray, " n"] | None = None
) -> Log:
    """Return the log of printed values, with the counters that a trainer prints beside them.

    Args:
      values: the printed values.
      at: the last batch of each print, from 0 through the run.
      batches: m.
      rate: learning rate at each print; None for a log that does not contain it.
    """
    missing = np.full(len(values), np.nan)
    epoch, inner = np.divmod(at, batches)
    total = np.full(len(values), float(batches))
    return Log(values, epoch + 1.0, inner + 1.0, total, missing if rate is None else rate, form="simulated")
