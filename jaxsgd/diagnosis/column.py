"""What the columns of a log are called, and which of several losses is meant."""

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
"""Values that a column needs to be taken for the one that is meant; a trainer's summary has one."""


def role(name: str) -> str:
    """What a column holds: "epoch", "step", "rate", "run", "split", "loss", or "" for anything else.

    The extremes that W&B exports beside each curve, `...__MIN` and `...__MAX`, are nothing.
    """
    plain = name.strip().lower()
    for names, meant in ((_EPOCH, "epoch"), (_STEP, "step"), (_RATE, "rate"), (_RUN, "run"), (_SPLIT, "split")):
        if plain in names:
            return meant
    if plain.endswith(("__min", "__max")):
        return ""
    return "loss" if "loss" in plain else ""


def chosen_loss(losses: dict[str, Float[np.ndarray, " K"]], wanted: str | None, where: str) -> str:
    """The loss column that is meant.

    Args:
      losses: the columns.
      wanted: what the user asks for; None for the training loss, if only one column can be that.
      where: the file, for messages.

    Raises:
      InputError: when there is none, none of that name, or more than one that may be meant; it lists them.
    """
    if wanted is not None:
        if wanted in losses:
            return wanted
        if not losses:
            raise InputError(f"{where}: has no loss column, and none called {wanted!r}")
        raise no_such(f"loss column in {where}:", wanted, losses)
    if not losses:
        raise InputError(f"{where}: has no loss column; name it so that it contains 'loss', as in 'step,loss'")
    counts = {name: int(np.isfinite(values).sum()) for name, values in losses.items()}
    many = [name for name, count in counts.items() if count >= FEWEST] or list(losses)
    training = [name for name in many if not _HELD_OUT.search(name)] or many
    stepwise = [name for name in training if not name.lower().endswith("_epoch")] or training
    if len(stepwise) == 1:
        return stepwise[0]
    for name in _PREFERRED:
        same = [each for each in stepwise if each.lower() == name]
        if len(same) == 1:
            return same[0]
    listed = ", ".join(f"{name!r} ({counts[name]:,} values)" for name in stepwise)
    raise InputError(f"{where}: has {len(stepwise)} loss columns: {listed}; choose one with --column")
