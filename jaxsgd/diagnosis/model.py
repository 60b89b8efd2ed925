"""The small model: for each cause one logistic regression on a handful of the measures of a log.

Its coefficients stand in `model.json`, which `python -m tools.diagnosis_model` writes. Each coefficient times its measure is a
contribution to the log odds, so that every verdict can be taken apart into the measures that carried it.
"""

import functools
import importlib.resources
import json
import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from jaxsgd.diagnosis.measures import Features
from jaxsgd.diagnosis.series import student_score

MEASURES: dict[str, tuple[str, ...]] = {
    "fixed_order": ("repeat_index", "repeat_z", "jagged_index", "jagged_z", "few_repeat", "smooth_rise", "smooth_fall"),
    "aliasing": ("slides", "sliding_repeat", "sliding_jagged"),
    "running_mean": ("settled", "settle_likelihood", "reset", "repeat_index"),
    "ragged_batch": (
        "last_off",
        "last_both",
        "narrow_last",
        "wide_last",
        "wide_last_z",
        "wide_both",
        "repeat_index",
        "settled",
    ),
    "re_exposure": ("rise_z", "rise_both", "few_places", "jagged_beyond", "settle_likelihood"),
    "schedule": ("step_beyond", "step_here", "recurs_beyond", "rate_steps", "rate_steady", "fall_z", "smooth_fall"),
}
"""The measures that each cause is judged by."""


CHANCE, CHANCE_AMONG_MANY = 2.5, 3.0
"""Scores up to which nothing is said: of one that chance seldom passes, and of the largest of some dozens."""

MOST_RISE = 6.0
"""Score from which a rise within the epoch is sure; what is left to ask then is whether it is one of levels that repeat."""


def _rarity_of_line(f: Features) -> float:
    """Normal score of a line through the levels against their own scatter: levels that repeat have one by chance."""
    freedom = max(round(f.per_epoch) - 2, 1)
    share = min(f.ramp_share, 1 - 1e-9)
    return student_score(math.sqrt(freedom * share / (1 - share)), freedom)


def readings(features: Features) -> dict[str, float]:
    """The measures as the model takes them: large scores drawn in (asinh), opposite signs apart, all of size about 1."""
    f = features

    def drawn(z: float | int) -> float:
        return math.asinh(z / 2) / 2

    repeat, jagged = drawn(max(f.repeat_z, -2)), drawn(max(f.jagged_z, -2))
    settled, rise = float(np.clip(-f.settle, 0, 1.2)), drawn(float(np.clip(f.ramp_z, -1, MOST_RISE)))
    step = drawn(max(abs(f.step_z) - CHANCE_AMONG_MANY, 0))
    unexplained = 1 - float(np.clip(f.repeat_index, 0, 1))
    return {
        "repeat_index": float(np.clip(f.repeat_index, 0, 1)),
        "repeat_z": repeat,
        "jagged_index": float(np.clip(f.jagged_index, 0, 1)),
        "jagged_z": jagged,
        "jagged_beyond": drawn(max(f.jagged_z - CHANCE, 0)),
        "agreement": max(f.agreement, 0.0),
        "few_places": float(f.per_epoch < 7),
        "few_repeat": float(f.per_epoch < 7) * float(np.clip(f.repeat_index, 0, 1)) * (1 - f.slides),
        "slides": f.slides,
        "sliding_repeat": f.slides * repeat,
        "sliding_jagged": f.slides * jagged,
        "settled": settled,
        "settle_likelihood": drawn(2 * f.settle_likelihood),
        "reset": float(np.clip(f.reset, -2, 5)) / 2,
        "last_off": math.log1p(abs(f.last_level_rare)) / 2,
        "last_both": drawn(min(abs(f.last_level_rare), abs(f.last_level_z))),
        "narrow_last": float(np.clip(-f.last_spread, 0, 2)) * float(f.last_level < 0),
        "wide_last": float(np.clip(f.last_spread, 0, 4)) * unexplained,
        "wide_last_z": drawn(max(f.last_spread_z, 0)) * unexplained,
        "wide_both": drawn(max(min(f.last_spread_z, f.last_spread_rare), 0)) * unexplained,
        "rise_z": rise,
        "rise_both": drawn(max(min(f.ramp_z, _rarity_of_line(f)), -1)),
        "smooth_rise": f.ramp_share * float(f.ramp > 0) * drawn(max(f.ramp_z, 0)),
        "fall_z": drawn(max(-f.ramp_z, 0)) * (1 - float(np.clip(f.jagged_index, 0, 1))),
        "smooth_fall": f.ramp_share * float(f.ramp < 0) * drawn(max(-f.ramp_z, 0)),
        "step_beyond": step,
        "step_here": step * float(np.clip(f.step_local, 0, 1)),
        "recurs_beyond": drawn(max(f.recurs_z - CHANCE_AMONG_MANY, 0)),
        "rate_steps": float(f.rate_steps > 0),
        "rate_steady": float(f.rate_steps < 0),
    }


class CauseModel(NamedTuple):
    """The logistic regression of one cause.

    Attributes:
      intercept: log odds with all readings at 0.
      weights: log odds for each unit of a reading.
    """

    intercept: float
    weights: Mapping[str, float]

    def contributions(self, read: Mapping[str, float]) -> dict[str, float]:
        """What each reading adds to the log odds."""
        return {name: weight * read[name] for name, weight in self.weights.items()}

    def probability(self, read: Mapping[str, float]) -> float:
        """The probability that the cause acts."""
        score = self.intercept + sum(self.contributions(read).values())
        return 1 / (1 + math.exp(-max(min(score, 40.0), -40.0)))


@functools.cache
def _stored() -> dict:
    return json.loads(importlib.resources.files("jaxsgd.diagnosis").joinpath("model.json").read_text(encoding="utf-8"))


@functools.cache
def learned() -> dict[str, CauseModel]:
    """The model that comes with the package, by cause."""
    return {name: CauseModel(**each) for name, each in _stored()["causes"].items()}


def period_confidence(score: float) -> float:
    """The probability that a period that is estimated with such a score is right."""
    model = _stored()["period"]
    return 1 / (1 + math.exp(-max(min(model["intercept"] + model["slope"] * score, 40.0), -40.0)))
