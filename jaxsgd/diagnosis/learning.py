"""Learning the model from examples, and how good it is on others."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from jaxsgd.diagnosis.cause import CAUSE_NAMES
from jaxsgd.diagnosis.logistic import fit_logistic
from jaxsgd.diagnosis.model import MEASURES, CauseModel, readings
from jaxsgd.diagnosis.teaching import Example

RIDGE = 3e-4


def fit_models(examples: Sequence[Example], ridge: float = RIDGE) -> dict[str, CauseModel]:
    """The model of each cause, from the examples in which it is known whether the cause acts."""
    read = [readings(example.features) for example in examples]
    truth = np.stack([example.truth for example in examples])
    models = {}
    for place, (name, measures) in enumerate(MEASURES.items()):
        known = np.isfinite(truth[:, place])
        rows = np.array([[each[measure] for measure in measures] for each in read])[known]
        intercept, weights = fit_logistic(rows, truth[known, place], ridge)
        models[name] = CauseModel(round(intercept, 4), dict(zip(measures, np.round(weights, 4).tolist(), strict=True)))
    return models


class Report(NamedTuple):
    """How the model does on examples; C causes.

    Attributes:
      probability: [n, C], what the model says.
      truth: [n, C], what is known; NaN where it cannot be told.
      right: share of all known answers, over logs and causes, that are right.
      recall: [C], share of the logs with the cause that are told to have it.
      precision: [C], share of the logs told to have the cause that have it.
      false_alarm: share of the logs with nothing periodic in which some cause is told.
      whole: share of the logs in which every known answer is right.
    """

    probability: Float[np.ndarray, "n C"]
    truth: Float[np.ndarray, "n C"]
    right: float
    recall: Float[np.ndarray, " C"]
    precision: Float[np.ndarray, " C"]
    false_alarm: float
    whole: float


def assess(models: dict[str, CauseModel], examples: Sequence[Example]) -> Report:
    """How the model does on examples."""
    read = [readings(example.features) for example in examples]
    chance = np.array([[models[name].probability(each) for name in CAUSE_NAMES] for each in read])
    truth = np.stack([example.truth for example in examples])
    known, said, acts = np.isfinite(truth), chance >= 0.5, truth == 1
    nothing = (truth == 0).all(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        recall = (said & acts).sum(axis=0) / acts.sum(axis=0)
        precision = (said & acts).sum(axis=0) / (said & known).sum(axis=0)
    return Report(
        chance,
        truth,
        float((said == acts)[known].mean()),
        recall,
        precision,
        float(said[nothing].any(axis=1).mean()) if nothing.any() else float("nan"),
        float(((said == acts) | ~known).all(axis=1).mean()),
    )
