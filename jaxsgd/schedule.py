"""Schedules: the factor on the learning rate as a function of training progress, so it means the same at every batch count."""

from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxsgd.error import InputError
from jaxsgd.family import Family, Member, Parameter, member

TrainingShare = Float[Array, ""] | float
"""The share of the training that is done before a step, from 0 to 1: (epoch + position / m) / E."""

Schedule = Callable[[TrainingShare], Array]
"""`progress -> factor on the learning rate`."""


def constant(progress: TrainingShare) -> Float[Array, ""]:
    """Return the factor 1 at every progress."""
    return jnp.ones_like(progress)


def linear(progress: TrainingShare) -> Float[Array, ""]:
    """Return a factor that falls from 1 to 0 in a straight line: 1 - progress."""
    return 1 - jnp.asarray(progress)


def cosine(progress: TrainingShare) -> Float[Array, ""]:
    """Return a factor that falls from 1 to 0 along half a cosine, (1 + cos(pi progress)) / 2.

    Source: Loshchilov and Hutter 2017, "SGDR".
    """
    return (1 + jnp.cos(jnp.pi * progress)) / 2


def warmup_cosine(share: float) -> Schedule:
    """Return a schedule that rises from 0 to 1 in a straight line over a share of the training, and falls along half a cosine.

    Args:
      share: of the warmup, from 0 to below 1.
    """

    def factor(progress: TrainingShare) -> Array:
        after = cosine((progress - share) / (1 - share))
        return after if share == 0 else jnp.where(progress < share, progress / share, after)

    return factor


def wsd(warmup: float, decay: float) -> Schedule:
    """Return a schedule in three parts: it rises from 0 to 1, stays at 1, and falls to 0, both in straight lines.

    Source: Hu et al. 2024, "MiniCPM", section 4 (warmup-stable-decay).

    Args:
      warmup, decay: their shares of the training, together at most 1.

    Raises:
      InputError: if together they are longer than the training.
    """
    if warmup + decay > 1:
        raise InputError(f"the shares of schedule 'wsd' must be at most 1 together, got {warmup:g} and {decay:g}")

    def factor(progress: TrainingShare) -> Array:
        rise = progress / warmup if warmup else 1.0
        fall = (1 - jnp.asarray(progress)) / decay if decay else 1.0
        return jnp.minimum(1.0, jnp.minimum(rise, fall)) * jnp.ones_like(progress)

    return factor


def step(at: float, factor: float) -> Schedule:
    """Return a schedule of 1 that from a share of the training on is another factor.

    Args:
      at: the share of the training.
      factor: from there on.
    """
    return lambda progress: jnp.where(progress < at, 1.0, factor) * jnp.ones_like(progress)


def inverse_sqrt(warmup: float) -> Schedule:
    """Return a schedule that rises from 0 to 1 in a straight line, then falls as 1 / sqrt(progress): min(p / w, sqrt(w / p)).

    Source: Vaswani et al. 2017, "Attention is all you need", equation 3, there in steps.

    Args:
      warmup: w, the share of the training, above 0.
    """

    def factor(progress: TrainingShare) -> Array:
        # The root has a finite gradient everywhere.
        return jnp.minimum(progress / warmup, jnp.sqrt(warmup / jnp.maximum(progress, warmup)))

    return factor


SCHEDULES: dict[str, Schedule] = {"constant": constant, "linear": linear, "cosine": cosine}
"""Schedules by name, without numbers."""


def _share(name: str, meaning: str, lowest: float = 0.0, highest: float = 1.0) -> Parameter:
    return Parameter(name, meaning, whole=False, lowest=lowest, highest=highest)


SCHEDULE_FAMILIES: dict[str, Family] = {
    "warmup_cosine": Family(warmup_cosine, (_share("share", "share of the training with a rising rate", highest=0.999),)),
    "wsd": Family(
        wsd,
        (
            _share("warmup", "share of the training with a rising rate"),
            _share("decay", "share of the training with a falling rate"),
        ),
    ),
    "step": Family(
        step,
        (
            _share("at", "share of the training before the drop"),
            _share("factor", "factor on the rate after it", highest=1000.0),
        ),
    ),
    "inverse_sqrt": Family(inverse_sqrt, (_share("warmup", "share of the training with a rising rate", lowest=0.001),)),
}
"""Schedules by name, with numbers in brackets."""


def as_schedule(name: str, own: str = "") -> Member:
    """Return a schedule with its name, written in one way only.

    Args:
      name: such as "cosine" or "wsd(0.1, 0.2)".
      own: how to give a schedule of the user's own, in words, for the message.

    Raises:
      InputError: for an unknown name, with the nearest valid one, and for numbers in brackets that are missing or out of range.
    """
    return member("schedule", name, SCHEDULES, SCHEDULE_FAMILIES, own)
