"""Evaluation times: the steps after which a run's observables are measured, if that is not after each epoch."""

from numbers import Real

import numpy as np
from jaxtyping import Int

from jaxsgd.error import InputError, shown

_ROUNDING = 1e-3
"""The most by which 1 / share may differ from a whole number: 0.3333 means a third."""


def check_every(value: object) -> int | float:
    """Return `evaluate_every` in its exact form: a share of an epoch as exactly 1/q, a number of steps as an int.

    Args:
      value: a share of an epoch, 1/q with a whole q of 2 or more; or a whole number of steps, 1 or more.

    Raises:
      InputError: for anything else.
    """
    wanted = "evaluate_every must be 1/q of an epoch with a whole q, such as 0.25, or a whole number of steps, such as 10"
    if isinstance(value, bool) or not isinstance(value, Real):
        raise InputError(f"{wanted}, got {shown(value)}")
    if isinstance(value, int | np.integer):
        if value < 1:
            raise InputError(f"{wanted}, got {shown(value)}")
        return int(value)
    share = float(value)
    if share == 1:
        raise InputError(f"{wanted}, got 1.0 (write 1 for every step, or None for once after each epoch)")
    parts = round(1 / share) if 0 < share < 1 else 0
    if parts < 2 or abs(1 / share - parts) > _ROUNDING:
        raise InputError(f"{wanted}, got {shown(share)}")
    return 1 / parts


def parts_of_epoch(every: int | float) -> int | None:
    """Return q, the number of evaluations in an epoch; None if they are a number of steps apart."""
    return None if isinstance(every, int) else round(1 / every)


def evaluation_steps(every: int | float, batch_count: int, steps: int) -> Int[np.ndarray, " V"]:
    """Return the number of steps done before each evaluation of a run, ascending; the last is after its last step.

    Args:
      every: what `check_every` returns. A share 1/q evaluates after floor(m r / q) steps of each epoch, for r = 1 ... q; with
        fewer than q steps an epoch, some evaluations have the same number of steps, and the first may have 0. A number of
        steps k evaluates after steps k, 2k, ... and after the last one.
      batch_count: m, steps of an epoch.
      steps: steps of the run.
    """
    parts = parts_of_epoch(every)
    if parts is None:
        done = np.arange(every, steps + 1, every)
    else:
        epoch, part = np.divmod(np.arange(-(-steps // batch_count) * parts), parts)
        done = epoch * batch_count + batch_count * (part + 1) // parts
        done = done[done <= steps]
    return done if len(done) and done[-1] == steps else np.append(done, steps)


def observed_epochs(every: int, epochs: int) -> Int[np.ndarray, " V"]:
    """Return the epochs, 0-based, after which a run is observed: each so many epochs, and the last one."""
    return evaluation_steps(every, 1, epochs) - 1
