"""The quality of the model: its answers about examples that it was not trained on, counted and drawn."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from jaxsgd.diagnosis.cause import CAUSE_NAMES, CAUSES
from jaxsgd.diagnosis.diagnose import cause_chances
from jaxsgd.diagnosis.model import CauseModel
from jaxsgd.plot.layout import panels
from jaxsgd.plot.style import COLOURS, DASHED, PALE, slide, styled
from tools.diagnosis_model.examples import Example
from tools.diagnosis_model.train import PRIOR, prior_weights

LONG_PRINTS = 60
"""Smallest number of prints of a held-out log that is counted."""


class Assessment(NamedTuple):
    """The model's answers about n examples; C causes, in the order of `CAUSE_NAMES`.

    A cause is reported from probability 0.5 on.

    Attributes:
      probability: [n, C], the model's answers.
      truth: [n, C], 1 or 0; NaN where it cannot be known.
      right: share of all known answers, over logs and causes, that are right.
      whole: share of the logs in which every known answer is right.
      recall: [C], share of the logs with the cause for which it is reported.
      precision: [C], share of the logs for which the cause is reported that have it.
      false_alarm: share of the logs with nothing periodic for which some cause is reported.
    """

    probability: Float[np.ndarray, "n C"]
    truth: Float[np.ndarray, "n C"]
    right: float
    whole: float
    recall: Float[np.ndarray, " C"]
    precision: Float[np.ndarray, " C"]
    false_alarm: float


def assess(models: dict[str, CauseModel], examples: Sequence[Example]) -> Assessment:
    """Return the model's answers about examples, compared with the truth."""
    chances = [cause_chances(example.features, models) for example in examples]
    chance = np.array([[known[name] for name in CAUSE_NAMES] for known in chances])
    truth = np.stack([example.truth for example in examples])
    known: np.ndarray = np.isfinite(truth)
    reported: np.ndarray = chance >= 0.5
    acts: np.ndarray = np.equal(truth, 1)
    nothing = (truth == 0).all(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        recall = (reported & acts).sum(axis=0) / acts.sum(axis=0)
        precision = (reported & acts).sum(axis=0) / (reported & known).sum(axis=0)
    return Assessment(
        chance,
        truth,
        float(np.mean(reported[known] == acts[known])),
        float((np.equal(reported, acts) | ~known).all(axis=1).mean()),
        recall,
        precision,
        float(reported[nothing].any(axis=1).mean()) if nothing.any() else float("nan"),
    )


def confusion(assessment: Assessment) -> Float[np.ndarray, "C1 C1"]:
    """Return the number of logs by acting cause (rows) and reported cause (columns): the causes, and last "nothing".

    A log with several causes counts in each of their rows. Causes that cannot be known of a log are left out of it.
    """
    known = np.isfinite(assessment.truth)
    masks = (assessment.truth == 1, (assessment.probability >= 0.5) & known)
    acts, reported = (np.column_stack([mask, ~mask.any(axis=1)]).astype(np.float64) for mask in masks)
    # A cause that acts and is reported counts in its own cell; the rest of a row counts where another was reported instead.
    matched = acts * reported
    missed, extra = acts - matched, reported - matched
    table = np.diag(matched.sum(axis=0))
    with np.errstate(invalid="ignore", divide="ignore"):
        instead = np.where(np.any(extra, axis=1, keepdims=True), extra, matched)
        spread = np.nan_to_num(instead / instead.sum(axis=1, keepdims=True))
    return table + missed.T @ spread


class Reliability(NamedTuple):
    """The stated probabilities against what is true; K bins of probability.

    Attributes:
      stated: [K], mean stated probability; NaN for an empty bin.
      acts: [K], share of the answers in which the cause acts, weighted as in training.
      answers: [K], number of answers.
      effective: [K], number of equally weighted answers whose share is known as well: (sum w)^2 / sum w^2 (Kish 1965).
    """

    stated: Float[np.ndarray, " K"]
    acts: Float[np.ndarray, " K"]
    answers: Float[np.ndarray, " K"]
    effective: Float[np.ndarray, " K"]

    @property
    def error(self) -> Float[np.ndarray, " K"]:
        """Standard error of the share that a probability which is right would have, [K]."""
        return np.sqrt(self.stated * (1 - self.stated) / np.maximum(self.effective, 1))


def reliability(assessment: Assessment, bins: int = 10) -> Reliability:
    """Return how often causes act at each stated probability, over all causes together (Murphy and Winkler 1977)."""
    stated, truth, weight = [], [], []
    for column in range(len(CAUSE_NAMES)):
        known = np.isfinite(assessment.truth[:, column])
        acts = assessment.truth[known, column] == 1
        stated.append(assessment.probability[known, column])
        truth.append(acts)
        weight.append(prior_weights(acts, PRIOR))
    chance, acts, weights = np.concatenate(stated), np.concatenate(truth), np.concatenate(weight)
    number = np.minimum((chance * bins).astype(int), bins - 1)
    total = np.bincount(number, weights, bins)
    with np.errstate(invalid="ignore", divide="ignore"):
        return Reliability(
            np.bincount(number, weights * chance, bins) / total,
            np.bincount(number, weights * acts, bins) / total,
            np.bincount(number, minlength=bins).astype(np.float64),
            total**2 / np.bincount(number, weights**2, bins),
        )


@styled
def reliability_figure(bins: Reliability, title: str, subtitle: str) -> Figure:
    """Return the figure of how often a cause acts over the stated probability.

    Args:
      bins: the stated probabilities and the shares.
      title: the finding, in words.
      subtitle: the answers that are counted.
    """
    stated, acts, count, _ = bins
    figure = slide(title, subtitle)
    axes, histogram = panels(figure, 1, 2, apart=(0.15, 0.05), width_ratios=[2, 1])[0]
    axes.plot([0, 1], [0, 1], color=PALE, linewidth=1.4, linestyle=DASHED, zorder=1)
    known = np.isfinite(stated) & np.isfinite(acts)
    drawn = axes.errorbar(stated[known], acts[known], 2 * bins.error[known], color=COLOURS[0], fmt="o-", capsize=3)
    drawn.lines[0].set(markersize=7, linewidth=1.6)
    axes.set_xlim(-0.03, 1.03)
    axes.set_ylim(-0.03, 1.05)
    axes.set_xlabel("stated probability")
    axes.set_ylabel("share of the logs in which the cause acts")
    axes.text(0.86, 0.74, "as stated", color="#666666", rotation=38, ha="left", va="bottom")
    histogram.barh((np.arange(len(count)) + 0.5) / len(count), np.maximum(count, 0.5), height=0.08, color=COLOURS[0], alpha=0.8)
    histogram.set_xscale("log")
    histogram.set_ylim(-0.03, 1.05)
    histogram.set_xlabel("answers")
    histogram.set_ylabel("stated probability")
    return figure


def assessment_text(assessment: Assessment, taught: int) -> str:
    """Return the numbers of an assessment as the documentation has them: sentences and tables in Markdown.

    Args:
      assessment: of the held-out examples.
      taught: number of examples to train on.
    """
    known = np.isfinite(assessment.truth)
    lines = [
        f"Trained on {taught:,} logs, tried on {len(assessment.truth):,} others: {assessment.right:.1%} of all answers are "
        f"right, and all answers of a log in {assessment.whole:.1%}. False alarms on logs with nothing periodic: "
        f"{assessment.false_alarm:.1%} of {int((assessment.truth == 0).all(axis=1).sum())}.",
        "",
        "| cause | logs with it | recall | precision |",
        "|---|---|---|---|",
    ]
    for place, cause in enumerate(CAUSES):
        count = int((assessment.truth[:, place] == 1).sum())
        lines.append(f"| {cause.title} | {count} | {assessment.recall[place]:.3f} | {assessment.precision[place]:.3f} |")
    names = [*(cause.title for cause in CAUSES), "nothing"]
    lines += ["", f"| acts, reported: | {' | '.join(names)} |", f"|---|{'---|' * len(names)}"]
    for name, row in zip(names, confusion(assessment), strict=True):
        lines.append(f"| {name} | {' | '.join(f'{value:.0f}' for value in row)} |")
    lines += ["", "| stated probability | acts | standard error | answers |", "|---|---|---|---|"]
    bins = reliability(assessment)
    for stated, acts, error, count in zip(bins.stated, bins.acts, bins.error, bins.answers, strict=True):
        lines.append(f"| {stated:.2f} | {acts:.2f} | {error:.2f} | {count:.0f} |")
    lines += ["", f"Answers that cannot be known are left out: {(~known).mean():.0%} of {known.size:,}."]
    return "\n".join(lines) + "\n"
