"""Sentences on the findings of a run. All conclusions are derived from the numbers, so other numbers give other sentences."""

import math

import numpy as np
from numpy.typing import ArrayLike

from jaxsgd.article.comparison import chance_of_wider, rises, spread
from jaxsgd.article.report import Outcome, SeedOutcome
from jaxsgd.measure.stripes import HIDDEN, STRIPED, Stripes

LABELS = {"first_loss": "first loss", "gap": "gap", "slope": "slope"}


def is_striped(measured: Stripes) -> bool:
    """Return True if the position in the epoch explains most of the detrended variance; False if that is unknown."""
    return float(measured.readable_index) >= STRIPED


def stripes_sentence(measured: Stripes) -> str:
    """Return the sentence on the stripes of the printed loss."""
    count, index = measured.stripe_count, float(measured.readable_index)
    if count == 1:
        return "Each printed value is the mean of whole epochs, so there is one curve and there are no stripes."
    if math.isnan(index):
        return f"The run is too short, or varies too little, to decide whether its printed loss has {count} stripes."
    share = f"{_percent(max(index, 0.0))} of the variance without the trend"
    if is_striped(measured):
        return (
            f"The printed loss splits into {count} stripes with a gap of {float(measured.gap):.3g}: "
            f"the position in the epoch explains {share}."
        )
    if index >= HIDDEN:
        return f"The printed loss has {count} faint stripes: the position in the epoch explains {share}."
    return f"The printed loss has no stripes: the position in the epoch explains {share}."


def _percent(share: float) -> str:
    return "more than 99.9 %" if share > 0.9995 else f"{100 * share:.1f} %"


def pace_sentence(measured: Stripes) -> str:
    """Return the sentence on the slopes of the stripes, and on the epochs in which they fall by the gap between them.

    A slope counts as 0 if it moves a stripe over the whole run by less than float32's rounding.
    """
    slope, level = np.asarray(measured.slope), np.abs(measured.level)
    if not is_striped(measured):
        return ""
    falls = slope * measured.time[-1] < -np.finfo(np.float32).eps * level
    between = f"{in_digits(slope.min())} to {in_digits(slope.max())} per epoch"
    if not falls.any():
        return f"No stripe falls: their slopes are {between}."
    if not falls.all():
        return f"Only {falls.sum()} of {len(falls)} stripes fall: their slopes are {between}."
    epochs = float(measured.gap) / -slope.mean()
    return (
        f"All stripes fall: their slopes are {between}. "
        f"At that pace the loss needs {in_digits(epochs)} epochs to fall by the gap between the stripes."
    )


def in_digits(value: float) -> str:
    """Return a number for a sentence: three digits, with an exponent only below 0.001 and from a million."""
    if value == 0 or 1e-3 <= abs(value) < 100:
        return f"{value:.3g}"
    return f"{value:.0f}" if 100 <= abs(value) < 1e6 else f"{value:.2e}"


def averaging_sentence(averaged: Stripes, striped: Stripes) -> str:
    """Return the sentence on the effect of averaging over the epoch."""
    if striped.stripe_count == 1 or len(averaged.windows) < 2:
        return ""
    up, of = rises(averaged.windows)
    striped_up, striped_of = rises(striped.windows)
    before = f"Printed more often, {striped_up} of {striped_of} values are higher than the value before"
    after = f"averaged over the epoch, {up} of {of}"
    if up / of < striped_up / striped_of:
        return f"{before}; {after}: averaging hides the stripes."
    return f"{before}; {after}: averaging does not make this curve smoother."


def percentile_sentence(percentiles: dict[str, float], epochs: int, seeds: int) -> str:
    """Return the sentence on the rank of the article's numbers among the seeds, from percentiles by quantity."""
    known = {name: rank for name, rank in percentiles.items() if name in LABELS and math.isfinite(rank)}
    if not known:
        return "No seed stayed finite, so the article's numbers cannot be ranked."
    listed = ", ".join(f"{LABELS[name]} at percentile {rank:.1f}" for name, rank in known.items())
    outside = [LABELS[name] for name, rank in known.items() if not 5 <= rank <= 95]
    ranks = f"The article's first {epochs} epochs among {seeds} seeds: {listed}; "
    if not outside:
        return ranks + "all are within the central 90 %."
    return ranks + f"{' and '.join(outside)} {'is' if len(outside) == 1 else 'are'} outside the central 90 %."


def sampling_sentence(gaps: ArrayLike, expected: ArrayLike) -> str:
    """Return the sentence on the gaps over the seeds, compared with those from sampling alone.

    They agree if the mean difference is less than two standard errors from 0.

    Args:
      gaps: [R], the measured gaps.
      expected: [R], the expected gaps from sampling alone.
    """
    gaps, expected = np.asarray(gaps, np.float64), np.asarray(expected, np.float64)
    both = np.isfinite(gaps) & np.isfinite(expected)
    if both.sum() < 2:
        return ""
    difference = spread(gaps[both] - expected[both])
    numbers = (
        f"Over {both.sum()} seeds the mean gap is {gaps[both].mean():.3g}, "
        f"and sampling alone gives {expected[both].mean():.3g} (standard error of the difference {difference.error:.2g})"
    )
    if abs(difference.mean) < 2 * difference.error:
        return f"{numbers}: the batches differ as much as expected from random samples."
    return f"{numbers}: the batches differ {'more' if difference.mean > 0 else 'less'} than expected from random samples."


def chance_sentence(gap: float, expected: float, chance: float) -> str:
    """Return the sentence on a run's gap, compared with the gap from sampling alone.

    Args:
      gap: the measured gap.
      expected: the expected gap from sampling alone.
      chance: the probability of a wider gap from sampling alone.
    """
    if not math.isfinite(chance):
        return ""
    numbers = f"The gap is {gap:.3g}; random assignment of the samples to the batches gives {expected:.3g} on average"
    likely = f"a wider gap with probability {chance:.2g}" if chance >= 0.001 else "a wider gap in fewer than 1 of 1000 cases"
    if chance < 0.05:
        return f"{numbers}, and {likely}: the order of the samples in the file has an effect."
    return f"{numbers}, and {likely}: chance is enough to explain the gap."


def run_findings(outcome: Outcome, averaged: Outcome) -> list[str]:
    """Return the sentences on a run: its stripes, their pace, the effect of averaging, and the gap against chance."""
    striped = outcome.whole
    chance = chance_of_wider(float(striped.gap), outcome.expected_gap, striped.stripe_count)
    sentences = [
        stripes_sentence(striped),
        pace_sentence(striped),
        averaging_sentence(averaged.whole, striped),
        chance_sentence(float(striped.gap), outcome.expected_gap, chance),
    ]
    return [sentence for sentence in sentences if sentence]


def striped_findings(striped: Stripes) -> list[str]:
    """Return the sentences on the shown run of experiment 1."""
    return _named(("Experiment 1", stripes_sentence(striped)), ("Experiment 1", pace_sentence(striped)))


def band_findings(band: Stripes, averaged: Stripes) -> list[str]:
    """Return the sentences on the shown run of experiments 2 and 3."""
    return _named(("Experiment 2", stripes_sentence(band)), ("Experiment 3", averaging_sentence(averaged, band)))


def seed_findings(name: str, seeds: SeedOutcome, article_percentiles: dict[str, float] | None = None) -> list[str]:
    """Return the sentences on the seeds of an experiment.

    Args:
      name: of the experiment, before each sentence.
      seeds: many runs of it.
      article_percentiles: percentile of the article's quantities among the seeds, if the article printed any.
    """
    ranks = ""
    if article_percentiles is not None:
        ranks = percentile_sentence(article_percentiles, seeds.epochs, len(seeds.expected_gap))
    return _named((name, ranks), (name, sampling_sentence(seeds.measured.gap, seeds.expected_gap)))


def _named(*sentences: tuple[str, str]) -> list[str]:
    return [f"{name}: {sentence}" for name, sentence in sentences if sentence]
