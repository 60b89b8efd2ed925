"""Learning the model from examples, and how good it is on others."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from jaxsgd.diagnosis.cause import CAUSE_NAMES
from jaxsgd.diagnosis.model import MEASURES, CauseModel, readings
from tools.diagnosis_model.logistic import fit_logistic
from tools.diagnosis_model.teaching import Example

RIDGE = 2e-4

PRIOR = dict.fromkeys(CAUSE_NAMES, 1 / 7) | {"aliasing": 0.05}
"""Share of the logs that a cause is taken to act on: one of six or none; but a sliding interval less often, for it needs a
fixed order beside it. How many examples have a cause is an accident of how they were made.
"""


def prior_weights(acts: Bool[np.ndarray, " n"], prior: float) -> Float[np.ndarray, " n"]:
    """Weights with which a cause acts on a share `prior` of the examples, 1 on average."""
    share = np.clip(acts.mean(), 1e-9, 1 - 1e-9)
    return np.where(acts, prior / share, (1 - prior) / (1 - share))


def fit_models(examples: Sequence[Example], ridge: float = RIDGE) -> dict[str, CauseModel]:
    """The model of each cause, from the examples in which it is known whether the cause acts."""
    read = [readings(example.features) for example in examples]
    truth = np.stack([example.truth for example in examples])
    models = {}
    for place, (name, measures) in enumerate(MEASURES.items()):
        known = np.isfinite(truth[:, place])
        acts = np.asarray(truth[known, place] == 1)
        rows = np.array([[each[measure] for measure in measures] for each in read])[known]
        target, importance = acts.astype(np.float64), prior_weights(acts, PRIOR[name])
        intercept, weights = fit_logistic(rows, target, importance, ridge)
        intercept, weights = _rescaled(rows, target, importance, intercept, weights)
        models[name] = CauseModel(round(intercept, 4), dict(zip(measures, np.round(weights, 4).tolist(), strict=True)))
    return models


def _rescaled(
    rows: np.ndarray, target: np.ndarray, importance: np.ndarray, intercept: float, weights: np.ndarray
) -> tuple[float, np.ndarray]:
    """The same direction with the scale and offset of largest likelihood, for the ridge draws all probabilities to the middle.

    Platt 1999, "Probabilistic outputs for support vector machines".
    """
    score = intercept + rows @ weights
    size = float(score.std()) or 1.0
    offset, (scale,) = fit_logistic(score[:, None] / size, target, importance, ridge=0.0)
    scale /= size
    return offset + scale * intercept, scale * weights


def fit_period(examples: Sequence[Example]) -> dict[str, float]:
    """Intercept and slope of the log odds that an estimated period is right, over its score."""
    right = np.array([example.period_right for example in examples])
    score = np.array([[example.period_score] for example in examples])
    intercept, (slope,) = fit_logistic(score, right.astype(np.float64), np.ones(len(right)), RIDGE)
    return {"intercept": round(intercept, 4), "slope": round(float(slope), 4)}


class Report(NamedTuple):
    """How the model does on n examples; C causes, in the order of `CAUSE_NAMES`.

    Attributes:
      probability: [n, C], what the model says.
      truth: [n, C], what is known; NaN where it cannot be told.
      right: share of all known answers, over logs and causes, that are right.
      whole: share of the logs in which every known answer is right.
      recall: [C], share of the logs with the cause that are told to have it.
      precision: [C], share of the logs told to have the cause that have it.
      false_alarm: share of the logs with nothing periodic in which some cause is told.
    """

    probability: Float[np.ndarray, "n C"]
    truth: Float[np.ndarray, "n C"]
    right: float
    whole: float
    recall: Float[np.ndarray, " C"]
    precision: Float[np.ndarray, " C"]
    false_alarm: float


def assess(models: dict[str, CauseModel], examples: Sequence[Example]) -> Report:
    """How the model does on examples."""
    read = [readings(example.features) for example in examples]
    chance = np.array([[models[name].probability(each) for name in CAUSE_NAMES] for each in read])
    truth = np.stack([example.truth for example in examples])
    known: np.ndarray = np.isfinite(truth)
    said: np.ndarray = chance >= 0.5
    acts: np.ndarray = np.equal(truth, 1)
    nothing = (truth == 0).all(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        recall = (said & acts).sum(axis=0) / acts.sum(axis=0)
        precision = (said & acts).sum(axis=0) / (said & known).sum(axis=0)
    return Report(
        chance,
        truth,
        float(np.mean(said[known] == acts[known])),
        float((np.equal(said, acts) | ~known).all(axis=1).mean()),
        recall,
        precision,
        float(said[nothing].any(axis=1).mean()) if nothing.any() else float("nan"),
    )


def confusion(report: Report) -> Float[np.ndarray, "C1 C1"]:
    """Logs by what acts (rows) and what is told (columns), the causes and last "nothing"; a log with several shares its row.

    Logs in which some cause cannot be told are counted by those that can.
    """
    acts, said = report.truth == 1, report.probability >= 0.5
    said = said & np.isfinite(report.truth)
    acts, said = (np.column_stack([each, ~each.any(axis=1)]).astype(np.float64) for each in (acts, said))
    # A cause that acts and is told goes to its own cell; what is left of a row goes to what was told instead.
    matched = acts * said
    missed, extra = acts - matched, said - matched
    table = np.diag(matched.sum(axis=0))
    with np.errstate(invalid="ignore", divide="ignore"):
        instead = np.where(np.any(extra, axis=1, keepdims=True), extra, matched)
        spread = np.nan_to_num(instead / instead.sum(axis=1, keepdims=True))
    return table + missed.T @ spread


class Reliability(NamedTuple):
    """What comes of what is said; K bins of probability.

    Attributes:
      said: [K], mean probability said.
      came: [K], share in which the cause acts, weighted as in learning.
      answers: [K], how many.
    """

    said: Float[np.ndarray, " K"]
    came: Float[np.ndarray, " K"]
    answers: Float[np.ndarray, " K"]


def reliability(report: Report, bins: int = 10) -> Reliability:
    """How often causes act that are said to do so with some probability, over all causes together."""
    said, came, weight = [], [], []
    for place in range(report.truth.shape[1]):
        known = np.isfinite(report.truth[:, place])
        acts = report.truth[known, place] == 1
        said.append(report.probability[known, place])
        came.append(acts)
        weight.append(prior_weights(acts, PRIOR[CAUSE_NAMES[place]]))
    chance, acts, weights = np.concatenate(said), np.concatenate(came), np.concatenate(weight)
    place = np.minimum((chance * bins).astype(int), bins - 1)
    total = np.bincount(place, weights, bins)
    with np.errstate(invalid="ignore", divide="ignore"):
        return Reliability(
            np.bincount(place, weights * chance, bins) / total,
            np.bincount(place, weights * acts, bins) / total,
            np.bincount(place, minlength=bins).astype(np.float64),
        )
