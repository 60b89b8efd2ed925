"""Logistic regression: a probability from a few named measures."""

import numpy as np
from jaxtyping import Float


def probability(score: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """1 / (1 + exp(-score))."""
    return 1 / (1 + np.exp(-np.clip(score, -40, 40)))


def fit_logistic(
    measures: Float[np.ndarray, "n p"],
    truth: Float[np.ndarray, " n"],
    weight: Float[np.ndarray, " n"],
    ridge: float = 1e-3,
    steps: int = 60,
) -> tuple[float, Float[np.ndarray, " p"]]:
    """Intercept and coefficients of largest likelihood, less half the ridge times the coefficients' squared length times n.

    By Newton's method with halved steps (Cox 1958, "The regression analysis of binary sequences"; Hoerl and Kennard 1970 for
    the ridge). Measures should be of size about 1.

    Args:
      measures: [n, p].
      truth: [n], 0 or 1.
      weight: [n], how much each counts.
      ridge: of the coefficients; the intercept has none.
      steps: at most.
    """
    count, width = measures.shape
    rows = np.column_stack([np.ones(count), measures])
    penalty = ridge * count * np.concatenate([[0.0], np.ones(width)])

    def loss(weights: np.ndarray) -> float:
        score = rows @ weights
        return float(np.sum(weight * (np.logaddexp(0, score) - truth * score)) + (penalty * weights**2).sum() / 2)

    weights = np.zeros(width + 1)
    now = loss(weights)
    for _ in range(steps):
        chance = probability(rows @ weights)
        slope = rows.T @ (weight * (chance - truth)) + penalty * weights
        curve = (rows * (weight * chance * (1 - chance))[:, None]).T @ rows + np.diag(penalty + 1e-9)
        move = np.linalg.solve(curve, slope)
        for halving in range(30):
            tried = weights - move / 2**halving
            then = loss(tried)
            if then <= now:
                break
        else:
            break
        done = now - then < 1e-9 * max(1.0, abs(now))
        weights, now = tried, then
        if done:
            break
    return float(weights[0]), weights[1:]
