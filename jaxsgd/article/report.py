"""The numbers of an experiment, as an object for JSON, in which NaN is written as null."""

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from jaxsgd.article.claim import Claim, ClaimMap
from jaxsgd.article.comparison import Quantities, measure_seeds, percentile_rank, quantities, sampling_gap, spread
from jaxsgd.article.experiment import Experiment
from jaxsgd.measure.stripes import Stripes, stripes
from jaxsgd.order import built_in

RANKED = ("first_loss", "gap", "slope")
"""The quantities that are ranked among the seeds."""


class Outcome(NamedTuple):
    """The measures of an experiment's shown run.

    Attributes:
      experiment: its settings.
      whole: stripes of the whole run.
      early: stripes of its first epochs.
      expected_gap: the gap expected from sampling alone, with the run's data and initial parameters; NaN if not defined.
    """

    experiment: Experiment
    whole: Stripes
    early: Stripes
    expected_gap: float


class SeedOutcome(NamedTuple):
    """The measures of the first epochs of many seeds of an experiment.

    Attributes:
      epochs: the number of these epochs.
      measured: the quantities, [R]; NaN for a run that became non-finite.
      expected_gap: [R], the gap expected from sampling alone.
    """

    epochs: int
    measured: Quantities
    expected_gap: Float[np.ndarray, " R"]


def run_outcome(experiment: Experiment, loss: ArrayLike, sample_loss: ArrayLike, early_epochs: int) -> Outcome:
    """Return the measures of a run.

    Args:
      experiment: its settings.
      loss: [E, m].
      sample_loss: [N], at the initial parameters.
      early_epochs: epochs of the short comparison.
    """
    loss = np.asarray(loss)
    # A gap from sampling alone is defined if the samples are drawn into batches once, and not again in later epochs.
    order = built_in(experiment.order)
    mixed = order is None or order.period != 1
    width = experiment.eval_interval
    early = loss[: max(early_epochs, -(-width // experiment.batch_count))]
    expected = np.nan if mixed else float(sampling_gap(sample_loss, experiment.batch_count, width))
    return Outcome(experiment, stripes(loss, width), stripes(early, width), expected)


def seed_outcome(experiment: Experiment, loss: ArrayLike, sample_loss: ArrayLike) -> SeedOutcome:
    """Return the measures of R runs that differ by their seed.

    Args:
      experiment: their settings.
      loss: [R, E, m], of their first epochs.
      sample_loss: [R, N], at the initial parameters.
    """
    loss, width = np.asarray(loss), experiment.eval_interval
    return SeedOutcome(loss.shape[1], measure_seeds(loss, width), sampling_gap(sample_loss, experiment.batch_count, width))


def percentiles(measured: Stripes, seeds: SeedOutcome) -> dict[str, float]:
    """Return the percentile of a run's quantities among the seeds, by quantity."""
    own = quantities(measured)
    return {name: percentile_rank(float(getattr(own, name)), getattr(seeds.measured, name)) for name in RANKED}


def stripes_report(measured: Stripes) -> dict[str, Any]:
    """Return a run's quantities, with level and slope of each stripe."""
    numbers: dict[str, Any] = {name: float(value) for name, value in quantities(measured)._asdict().items()}
    numbers["stripe_count"] = measured.stripe_count
    numbers["epochs"] = float(measured.time[-1])
    return numbers | {"level": measured.level.tolist(), "stripe_slope": measured.slope.tolist()}


def outcome_report(outcome: Outcome, seeds: SeedOutcome | None = None) -> dict[str, Any]:
    """Return the settings, the measures of the whole run and of its first epochs, and the spread over seeds."""
    report: dict[str, Any] = {
        "settings": dataclasses.asdict(outcome.experiment),
        "whole_run": {"expected_gap": outcome.expected_gap} | stripes_report(outcome.whole),
        "first_epochs": {"expected_gap": outcome.expected_gap} | stripes_report(outcome.early),
    }
    if seeds is not None:
        finite = np.isfinite(seeds.measured.first_loss)
        values = seeds.measured._asdict() | {"expected_gap": seeds.expected_gap}
        report["seeds"] = {
            "count": len(finite),
            "became_non_finite": int((~finite).sum()),
            "epochs": seeds.epochs,
            **{name: spread(value)._asdict() for name, value in values.items()},
        }
    return report


def claim_report(claims: dict[str, Claim], maps: Sequence[ClaimMap]) -> dict[str, Any]:
    """Return the claim's measures by setting, with their spread over seeds, and the map."""

    def setting(claim: Claim) -> dict[str, Any]:
        arrays = {name: value for name, value in claim._asdict().items() if isinstance(value, np.ndarray)}
        single = {name: value for name, value in claim._asdict().items() if name not in arrays}
        return single | {name: spread(value)._asdict() for name, value in arrays.items()}

    def panel(measured: ClaimMap) -> dict[str, Any]:
        above = np.isposinf(measured.share)
        share = np.where(above, np.nan, measured.share).tolist()
        return measured._asdict() | {"share": share, "others_undo_all": above.tolist(), "loss": measured.loss.tolist()}

    return {
        "settings": {name: setting(claim) for name, claim in claims.items()},
        "map": [panel(measured) for measured in maps],
    }
