"""The training of the model: the coefficients of each cause and of an estimated period, from examples."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float
from sklearn.linear_model import LogisticRegression

from jaxsgd.diagnosis.cause import CAUSE_NAMES
from jaxsgd.diagnosis.features import cause_readings, readings
from jaxsgd.diagnosis.model import CauseModel
from jaxsgd.diagnosis.period import find_period
from jaxsgd.diagnosis.staircase import find_staircase
from tools.diagnosis_model.examples import Example
from tools.diagnosis_model.staircases import WITHOUT, plain_log, staircase_log

RIDGE = 2e-4
"""Penalty on half the squared length of the coefficients, for each example."""

PRIOR = 1 / 7
"""Assumed share of the logs on which a cause acts: one of six causes or none. The share among the examples depends only on how
they were made."""


SURE = 40.0
"""Log odds of an answer that no example contradicts."""


def fit_logistic(
    rows: Float[np.ndarray, "n p"], target: Float[np.ndarray, " n"], weight: Float[np.ndarray, " n"], ridge: float
) -> tuple[float, Float[np.ndarray, " p"]]:
    """Return (intercept, coefficients) of a logistic regression.

    Args:
      rows: [n, p], of size about 1.
      target: [n], 0 or 1.
      weight: [n], of each row.
      ridge: penalty on half the squared length of the coefficients, for each row; the intercept has none.

    Returns:
      The values of largest likelihood less the penalty. Where all targets are equal: coefficients 0 and a sure intercept.
    """
    if np.ptp(target) == 0:
        return (SURE if target[0] else -SURE), np.zeros(rows.shape[1])
    strength = 1 / (ridge * len(rows)) if ridge else np.inf
    model = LogisticRegression(C=strength, solver="newton-cholesky", tol=1e-10, max_iter=1000)
    model.fit(rows, target, weight)
    return float(np.ravel(model.intercept_)[0]), model.coef_[0]


def prior_weights(acts: Bool[np.ndarray, " n"], prior: float) -> Float[np.ndarray, " n"]:
    """Return weights with which a cause acts on a share `prior` of the examples, 1 on average."""
    share = np.clip(acts.mean(), 1e-9, 1 - 1e-9)
    return np.where(acts, prior / share, (1 - prior) / (1 - share))


def fit_models(examples: Sequence[Example], ridge: float = RIDGE) -> dict[str, CauseModel]:
    """Return the model of each cause, from the examples in which it is known whether the cause acts."""
    read = [readings(example.features) for example in examples]
    truth = np.stack([example.truth for example in examples])
    names_of = cause_readings()
    models = {}
    for column, cause in enumerate(CAUSE_NAMES):
        known = np.isfinite(truth[:, column])
        acts = np.asarray(truth[known, column] == 1)
        rows = np.array([[values[name] for name in names_of[cause]] for values in read])[known]
        target, weight = acts.astype(np.float64), prior_weights(acts, PRIOR)
        intercept, weights = _rescaled(rows, target, weight, *fit_logistic(rows, target, weight, ridge))
        coefficients = dict(zip(names_of[cause], np.round(weights, 4).tolist(), strict=True))
        models[cause] = CauseModel(round(intercept, 4), coefficients)
    return models


def _rescaled(
    rows: np.ndarray, target: np.ndarray, weight: np.ndarray, intercept: float, weights: np.ndarray
) -> tuple[float, np.ndarray]:
    """Return the same direction with the scale and offset of largest likelihood: the ridge draws probabilities to the middle.

    Platt 1999, "Probabilistic outputs for support vector machines". Where the score separates the examples completely, no
    scale has the largest likelihood, and that of the ridge stays.
    """
    score = intercept + rows @ weights
    if score[target == 1].min(initial=np.inf) > score[target == 0].max(initial=-np.inf):
        return intercept, weights
    size = float(score.std()) or 1.0
    offset, (scale,) = fit_logistic(score[:, None] / size, target, weight, ridge=0.0)
    scale /= size
    return offset + scale * intercept, scale * weights


def fit_period(examples: Sequence[Example]) -> dict[str, float]:
    """Return intercept and slope of the log odds that an estimated period is right, over its score."""
    right = np.array([example.period_right for example in examples])
    score = np.array([[example.period_score] for example in examples])
    intercept, (slope,) = fit_logistic(score, right.astype(np.float64), np.ones(len(right)), RIDGE)
    return {"intercept": round(intercept, 4), "slope": round(float(slope), 4)}


STAIRCASES, STAIRCASE_SEED = 1000, 1
"""Number of staircases to train on, and of logs without one; and the first number of their seeds."""

STAIRCASE_PRIOR = 1 / 4
"""Assumed share of the logs with several values an epoch that are staircases."""


def fit_staircase() -> dict[str, float]:
    """Return intercept and slope of the log odds that a loss is a staircase, over its score.

    Half of the logs without a staircase fall smoothly, as most logs do.
    """
    seeds = [np.random.default_rng([STAIRCASE_SEED, number]) for number in range(2 * STAIRCASES)]
    logs = [staircase_log(rng) for rng in seeds[:STAIRCASES]]
    logs += [
        plain_log(rng, WITHOUT[number // 2 % len(WITHOUT)] if number % 2 else "smooth")
        for number, rng in enumerate(seeds[STAIRCASES:])
    ]
    score = np.array([[find_staircase(log.loss, find_period(log)).score] for log in logs])
    acts = np.arange(2 * STAIRCASES) < STAIRCASES
    # From a score of 5 on there is nothing to learn.
    weight = prior_weights(acts, STAIRCASE_PRIOR)
    intercept, (slope,) = fit_logistic(np.minimum(score, 5.0), acts.astype(np.float64), weight, RIDGE)
    return {"intercept": round(intercept, 4), "slope": round(float(slope), 4)}
