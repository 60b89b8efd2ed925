"""The numbers of an experiment, as one object that JSON can hold once NaN is written as null."""

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from jaxsgd.article.claim import Claim, ClaimMap
from jaxsgd.article.comparison import Quantities, measure_seeds, percentile_place, quantities, sampling_gap, spread
from jaxsgd.article.experiment import Experiment
from jaxsgd.article.training import Recorded
from jaxsgd.measure.stripes import Stripes, stripes
from jaxsgd.order import ORDERS

PLACED = ("first_loss", "gap", "slope")
"""The quantities whose place among the seeds is told."""


class Outcome(NamedTuple):
    """One shown run of an experiment, measured.

    Attributes:
      experiment: its settings.
      whole: stripes of the whole run.
      early: stripes of its first epochs.
      expected_gap: that sampling alone gives with the run's data and initial parameters; NaN where that is not defined.
    """

    experiment: Experiment
    whole: Stripes
    early: Stripes
    expected_gap: float


class SeedOutcome(NamedTuple):
    """Many seeds of an experiment, measured over their first epochs.

    Attributes:
      epochs: how many.
      measured: the quantities, [R]; NaN for a run that became non-finite.
      expected_gap: [R], that sampling alone gives.
    """

    epochs: int
    measured: Quantities
    expected_gap: Float[np.ndarray, " R"]


def run_outcome(experiment: Experiment, loss: ArrayLike, sample_loss: ArrayLike, early_epochs: int) -> Outcome:
    """Measure one run.

    Args:
      experiment: its settings.
      loss: [E, m].
      sample_loss: [N], at the initial parameters.
      early_epochs: epochs of the short comparison.
    """
    loss = np.asarray(loss)
    # A gap from sampling alone is defined if the samples are drawn into batches once, and not again in later epochs.
    mixed = experiment.order not in ORDERS or ORDERS[experiment.order].period != 1
    width = experiment.eval_interval
    early = loss[: max(early_epochs, -(-width // experiment.batch_count))]
    expected = np.nan if mixed else float(sampling_gap(sample_loss, experiment.batch_count, width))
    return Outcome(experiment, stripes(loss, width), stripes(early, width), expected)


def seed_outcome(experiment: Experiment, runs: Recorded) -> SeedOutcome:
    """Measure R runs that differ by their seed.

    Args:
      experiment: their settings.
      runs: [R, ...].
    """
    expected = sampling_gap(np.asarray(runs.sample_loss), experiment.batch_count, experiment.eval_interval)
    return SeedOutcome(runs.loss.shape[1], measure_seeds(np.asarray(runs.loss), experiment.eval_interval), expected)


def places(measured: Stripes, seeds: SeedOutcome) -> dict[str, float]:
    """The percentile of a run's quantities among the seeds."""
    own = quantities(measured)
    return {name: percentile_place(float(getattr(own, name)), getattr(seeds.measured, name)) for name in PLACED}


def stripes_report(measured: Stripes) -> dict[str, Any]:
    """A run's quantities, with level and slope of each stripe."""
    numbers: dict[str, Any] = {name: float(value) for name, value in quantities(measured)._asdict().items()}
    numbers["stripe_count"] = measured.stripe_count
    numbers["epochs"] = float(measured.time[-1])
    return numbers | {"level": measured.level.tolist(), "stripe_slope": measured.slope.tolist()}


def outcome_report(outcome: Outcome, seeds: SeedOutcome | None = None) -> dict[str, Any]:
    """Settings, measures of the whole run and of its first epochs, and the spread over seeds."""
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
    """The claim's measures by setting, each with its spread over seeds, and the map."""

    def one(claim: Claim) -> dict[str, Any]:
        arrays = {name: value for name, value in claim._asdict().items() if isinstance(value, np.ndarray)}
        single = {name: value for name, value in claim._asdict().items() if name not in arrays}
        return single | {name: spread(value)._asdict() for name, value in arrays.items()}

    def panel(each: ClaimMap) -> dict[str, Any]:
        above = np.isposinf(each.share)
        share = np.where(above, np.nan, each.share).tolist()
        return each._asdict() | {"share": share, "others_undo_all": above.tolist(), "loss": each.loss.tolist()}

    return {"settings": {name: one(claim) for name, claim in claims.items()}, "map": [panel(each) for each in maps]}
