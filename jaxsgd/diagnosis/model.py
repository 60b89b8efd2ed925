"""The coefficients of the model of `jaxsgd diagnose`, and the probabilities that follow from them.

For each cause there is one logistic regression on a handful of readings of a log (`jaxsgd.diagnosis.features`). A coefficient
times its reading is a contribution to the log odds, so that every verdict can be taken apart into the features behind it. The
coefficients are stored in `model.json`, which `python -m tools.diagnosis_model` makes.
"""

import functools
import importlib.resources
import json
import math
from collections.abc import Mapping
from typing import Any, NamedTuple


class CauseModel(NamedTuple):
    """The logistic regression of one cause.

    Attributes:
      intercept: log odds with all readings at 0.
      weights: log odds for each unit of a reading, by the reading's name.
    """

    intercept: float
    weights: Mapping[str, float]

    def contributions(self, readings: Mapping[str, float]) -> dict[str, float]:
        """Return the part of the log odds that comes from each reading."""
        return {name: weight * readings[name] for name, weight in self.weights.items()}

    def probability(self, readings: Mapping[str, float]) -> float:
        """Return the probability that the cause acts."""
        return chance(self.intercept + sum(self.contributions(readings).values()))


def chance(log_odds: float) -> float:
    """Return the probability with these log odds, which are cut at -40 and 40."""
    return 1 / (1 + math.exp(-max(min(log_odds, 40.0), -40.0)))


@functools.cache
def stored_model() -> dict[str, Any]:
    """Return the content of `model.json`: the coefficients of each cause, of an estimated period, and of a staircase."""
    return json.loads(importlib.resources.files("jaxsgd.diagnosis").joinpath("model.json").read_text(encoding="utf-8"))


def staircase_chance(score: float) -> float:
    """Return the probability that a loss whose drops at boundaries have such a score is a staircase."""
    line = stored_model()["staircase"]
    return chance(line["intercept"] + line["slope"] * score)


@functools.cache
def learned() -> dict[str, CauseModel]:
    """Return the model that comes with the package, by cause."""
    return {name: CauseModel(**coefficients) for name, coefficients in stored_model()["causes"].items()}
