"""One sentence on each finding. Every conclusion is drawn here from the numbers, so that other numbers get other sentences."""

import math

import numpy as np
from numpy.typing import ArrayLike

from jaxsgd.article.comparison import chance_of_wider, rises, spread
from jaxsgd.article.report import Outcome, SeedOutcome
from jaxsgd.measure.stripes import HIDDEN, STRIPED, Stripes

LABELS = {"first_loss": "first loss", "gap": "gap", "slope": "slope"}


def is_striped(measured: Stripes) -> bool:
    """Whether a value's place in the epoch explains most of what the trend leaves; not so where that is unknown."""
    return float(measured.readable_index) >= STRIPED


def stripes_found(measured: Stripes) -> str:
    """Whether the printed loss falls into stripes."""
    count, index = measured.stripe_count, float(measured.readable_index)
    if count == 1:
        return "Each printed value averages whole epochs, so there is one curve and no stripe."
    if math.isnan(index):
        return f"The run is too short, or too even, to tell whether its printed loss has {count} stripes."
    share = f"{_percent(max(index, 0.0))} of what the trend leaves"
    if is_striped(measured):
        return (
            f"The printed loss splits into {count} stripes {float(measured.gap):.3g} apart: "
            f"a value's place in the epoch explains {share}."
        )
    if index >= HIDDEN:
        return f"The printed loss has {count} faint stripes: a value's place in the epoch explains {share}."
    return f"The printed loss has no stripes: a value's place in the epoch explains {share}."


def _percent(share: float) -> str:
    return "more than 99.9 %" if share > 0.9995 else f"{100 * share:.1f} %"


def pace_found(measured: Stripes) -> str:
    """Whether the stripes fall, and how long they take to fall as far as they lie apart.

    A slope counts as none when it moves a stripe by less than float32 can tell over the whole run.
    """
    slope, level = np.asarray(measured.slope), np.abs(measured.level)
    if not is_striped(measured):
        return ""
    falls = slope * measured.time[-1] < -np.finfo(np.float32).eps * level
    between = f"{in_digits(slope.min())} to {in_digits(slope.max())} per epoch"
    if not falls.any():
        return f"No stripe falls: their slopes are {between}."
    if not falls.all():
        return f"Not all stripes fall, but {falls.sum()} of {len(falls)}: their slopes are {between}."
    epochs = float(measured.gap) / -slope.mean()
    return (
        f"All stripes fall: their slopes are {between}. "
        f"At that pace the loss takes {in_digits(epochs)} epochs to fall as far as the stripes lie apart."
    )


def in_digits(value: float) -> str:
    """The number in words' company: three digits, with an exponent only below 0.001 and from a million."""
    if value == 0 or 1e-3 <= abs(value) < 100:
        return f"{value:.3g}"
    return f"{value:.0f}" if 100 <= abs(value) < 1e6 else f"{value:.2e}"


def averaging_found(averaged: Stripes, striped: Stripes) -> str:
    """Whether averaging over the epoch hides the stripes."""
    if striped.stripe_count == 1 or len(averaged.windows) < 2:
        return ""
    up, of = rises(averaged.windows)
    striped_up, striped_of = rises(striped.windows)
    before = f"Printed more often, {striped_up} of {striped_of} values are higher than the one before"
    after = f"averaged over the epoch, {up} of {of}"
    if up / of < striped_up / striped_of:
        return f"{before}; {after}: averaging hides the stripes."
    return f"{before}; {after}: averaging does not make this curve smoother."


def place_found(places: dict[str, float], epochs: int, seeds: int) -> str:
    """Whether the article's numbers are ordinary among the seeds; `places` are percentiles by quantity."""
    known = {name: place for name, place in places.items() if name in LABELS and math.isfinite(place)}
    if not known:
        return "No seed stayed finite, so the article's numbers cannot be placed."
    listed = ", ".join(f"{LABELS[name]} at percentile {place:.1f}" for name, place in known.items())
    outside = [LABELS[name] for name, place in known.items() if not 5 <= place <= 95]
    where = f"The article's first {epochs} epochs among {seeds} seeds: {listed}; "
    if not outside:
        return where + "all lie within the central 90 %."
    return where + f"{' and '.join(outside)} {'lies' if len(outside) == 1 else 'lie'} outside the central 90 %."


def sampling_found(gaps: ArrayLike, expected: ArrayLike) -> str:
    """Whether the gaps [R] over the seeds are those that sampling alone gives, `expected` [R].

    They are called so when the mean difference is less than two of its standard errors from 0.
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
        return f"{numbers}: batches differ as far as chance made their samples differ."
    return f"{numbers}: batches differ {'more' if difference.mean > 0 else 'less'} than chance makes their samples differ."


def chance_found(gap: float, expected: float, chance: float) -> str:
    """Whether one run's gap is what sampling alone gives; `chance` is the probability of a wider one."""
    if not math.isfinite(chance):
        return ""
    numbers = f"The gap is {gap:.3g}; samples that fall into the batches by chance give {expected:.3g} on average"
    likely = f"a wider one with probability {chance:.2g}" if chance >= 0.001 else "one as wide in fewer than 1 of 1000 cases"
    if chance < 0.05:
        return f"{numbers}, and {likely}: the order of the samples in the file carries something."
    return f"{numbers}, and {likely}: chance is enough to explain it."


def run_findings(outcome: Outcome, averaged: Outcome) -> list[str]:
    """What one run shows: its stripes, their pace, what averaging does, and whether chance explains the gap."""
    striped = outcome.whole
    chance = chance_of_wider(float(striped.gap), outcome.expected_gap, striped.stripe_count)
    sentences = [
        stripes_found(striped),
        pace_found(striped),
        averaging_found(averaged.whole, striped),
        chance_found(float(striped.gap), outcome.expected_gap, chance),
    ]
    return [sentence for sentence in sentences if sentence]


def striped_findings(striped: Outcome) -> list[str]:
    """Return what the shown run of experiment 1 says."""
    return _said(("Experiment 1", stripes_found(striped.whole)), ("Experiment 1", pace_found(striped.whole)))


def band_findings(band: Outcome, averaged: Outcome) -> list[str]:
    """Return what the shown run of experiments 2 and 3 says."""
    return _said(("Experiment 2", stripes_found(band.whole)), ("Experiment 3", averaging_found(averaged.whole, band.whole)))


def seed_findings(name: str, seeds: SeedOutcome, article_places: dict[str, float] | None = None) -> list[str]:
    """Return what the seeds of an experiment say.

    Args:
      name: of the experiment, before each sentence.
      seeds: many runs of it.
      article_places: percentile of the article's quantities among the seeds, where the article printed any.
    """
    placed = "" if article_places is None else place_found(article_places, seeds.epochs, len(seeds.expected_gap))
    return _said((name, placed), (name, sampling_found(seeds.measured.gap, seeds.expected_gap)))


def _said(*sentences: tuple[str, str]) -> list[str]:
    return [f"{name}: {sentence}" for name, sentence in sentences if sentence]
