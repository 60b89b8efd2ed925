"""The names of a log's columns, and the choice of the loss column."""

import re

import numpy as np
from jaxtyping import Float

from jaxsgd.error import InputError, no_such

_EPOCH = {"epoch", "epochs", "train/epoch", "current_epoch"}
_STEP = {
    "step", "steps", "_step", "global_step", "iteration", "iterations", "iter", "batch", "it", "train_step", "train/step",
    "train/global_step", "trainer/global_step", "num_updates", "update",
}  # fmt: skip
_RATE = {"lr", "learning_rate", "train/learning_rate", "train/lr", "rate"}
_RUN = {"run", "run_id", "run_name", "experiment_id", "trial", "trial_id"}
_SPLIT = {"mode", "split", "phase", "stage"}

_HELD_OUT = re.compile(
    r"(^|[^a-z])(val|valid|validation|eval|evaluation|test|dev)([^a-z]|$)|^(val|eval|test)loss", re.IGNORECASE
)
_PREFERRED = (
    "loss",
    "train_loss",
    "train/loss",
    "training_loss",
    "train loss",
    "training loss",
    "train_loss_step",
    "loss_step",
)

FEWEST = 4
"""Number of values from which a column counts as a log; a trainer's summary has one value."""


def role(name: str) -> str:
    """Return the content of a column: "epoch", "step", "rate", "run", "split", "loss", or "" for anything else.

    The extremes that W&B exports beside each curve, `...__MIN` and `...__MAX`, count as anything else.
    """
    plain = name.strip().lower()
    for names, meant in ((_EPOCH, "epoch"), (_STEP, "step"), (_RATE, "rate"), (_RUN, "run"), (_SPLIT, "split")):
        if plain in names:
            return meant
    if plain.endswith(("__min", "__max")):
        return ""
    return "loss" if "loss" in plain else ""


def chosen_loss(losses: dict[str, Float[np.ndarray, " K"]], wanted: str | None, where: str) -> str:
    """Return the name of the loss column to read.

    Args:
      losses: the columns.
      wanted: the name that the user gives; None for the training loss, if only one column can be that.
      where: the file, for messages.

    Raises:
      InputError: when there is no loss column, none of that name, or several that may be meant; the message lists them.
    """
    if wanted is not None:
        if wanted in losses:
            return wanted
        if not losses:
            raise InputError(f"{where}: has no loss column, so none called {wanted!r} either")
        raise no_such(f"loss column in {where}:", wanted, losses)
    if not losses:
        raise InputError(f"{where}: has no loss column; give the column a name that contains 'loss', as in 'step,loss'")
    counts = {name: int(np.isfinite(values).sum()) for name, values in losses.items()}
    many = [name for name, count in counts.items() if count >= FEWEST] or list(losses)
    training = [name for name in many if not _HELD_OUT.search(name)] or many
    stepwise = [name for name in training if not name.lower().endswith("_epoch")] or training
    if len(stepwise) == 1:
        return stepwise[0]
    for name in _PREFERRED:
        same = [column for column in stepwise if column.lower() == name]
        if len(same) == 1:
            return same[0]
    listed = ", ".join(f"{name!r} ({counts[name]:,} values)" for name in stepwise)
    raise InputError(f"{where}: has {len(stepwise)} loss columns: {listed}; choose one with --column")
