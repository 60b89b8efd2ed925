"""The numbers behind a verdict, each in a sentence that a person can check."""

from collections.abc import Mapping
from math import exp, isfinite
from typing import NamedTuple

from jaxsgd.diagnosis.measures import Features
from jaxsgd.diagnosis.period import Period


class Evidence(NamedTuple):
    """One measure that speaks for or against a cause.

    Attributes:
      measure: its name.
      text: what it says, in words and numbers.
      log_odds: what it adds to the log odds of the cause.
    """

    measure: str
    text: str
    log_odds: float


_SENTENCES: dict[str, str] = {
    "repeat": "the place in the epoch explains {repeat_index:.0%} of the detrended variance (z = {repeat_z:.1f})",
    "jagged": "without a smooth curve over the epoch it explains {jagged_index:.0%} (z = {jagged_z:.1f})",
    "agreement": "levels by place in the first and second half of the log correlate by {agreement:.2f}",
    "slides": "{slide_words}",
    "settle": "the change from print to print goes as the epoch's batches so far to the power {settle:.2f} "
    "(a running mean: -1; log likelihood {settle_likelihood:+.1f})",
    "reset": "across epochs' boundaries the loss changes {reset_factor:.2g} times as much as between an epoch's last prints",
    "last_level": "the epoch's last place is {last_level:+.1f} times the other places' scatter off (z = {last_level_z:.1f})",
    "last_spread": "its values scatter {spread_factor:.2g} times as much as at the other places (z = {last_spread_z:.1f})",
    "ramp": "within the epoch the loss moves by {ramp:+.2f} of its scatter against the trend (z = {ramp_z:.1f}), "
    "a line being {ramp_share:.0%} of the levels' variance",
    "step": "after {step_after:.0f} epochs their level steps by {step:+.2g}, the most of all places (z = {step_z:.1f}; half an "
    "epoch beside it {beside_z:.1f})",
    "recurs": "{recurs_words} (z = {recurs_z:.1f})",
    "rate": "{rate_words}",
    "places": "prints fall on {per_epoch:.3g} places of the epoch",
}

_OF_READING = {
    "repeat_index": "repeat",
    "repeat_z": "repeat",
    "sliding_repeat": "repeat",
    "jagged_index": "jagged",
    "jagged_z": "jagged",
    "jagged_beyond": "jagged",
    "sliding_jagged": "jagged",
    "agreement": "agreement",
    "slides": "slides",
    "settled": "settle",
    "settle_likelihood": "settle",
    "reset": "reset",
    "last_off": "last_level",
    "last_both": "last_level",
    "narrow_last": "last_spread",
    "wide_last": "last_spread",
    "wide_last_z": "last_spread",
    "wide_both": "last_spread",
    "rise_z": "ramp",
    "rise_both": "ramp",
    "smooth_rise": "ramp",
    "fall_z": "ramp",
    "smooth_fall": "ramp",
    "step_beyond": "step",
    "step_here": "step",
    "recurs_beyond": "recurs",
    "rate_steps": "rate",
    "rate_steady": "rate",
    "few_places": "places",
    "few_repeat": "places",
}
"""Which sentence tells of each of the model's readings."""

_RATES = {
    1.0: "the learning rate in the log jumps at boundaries of epochs",
    -1.0: "the learning rate in the log never jumps at boundaries of epochs",
    0.0: "the log does not say its learning rate",
}


def cause_evidence(
    cause: str, features: Features, period: Period, contributions: Mapping[str, float], most: int = 3
) -> tuple[Evidence, ...]:
    """The measures that carried a cause's probability, the weightiest first.

    Args:
      cause: its name; aliasing is always told by the interval and the epoch.
      features: of the log.
      period: of the log.
      contributions: log odds by reading.
      most: how many sentences at most.
    """
    odds: dict[str, float] = {}
    for reading, value in contributions.items():
        sentence = _OF_READING[reading]
        odds[sentence] = odds.get(sentence, 0.0) + value
    if cause == "aliasing":
        odds["slides"] = max(odds.values(), default=0.0) + odds.get("slides", 0.0)
    ranked = sorted(odds, key=lambda name: -abs(odds[name]))
    told = [name for name in ranked if abs(odds[name]) > 0.1][:most] or ranked[:1]
    words = _words(features, period)
    return tuple(Evidence(name, _SENTENCES[name].format(**words), odds[name]) for name in told)


def _words(features: Features, period: Period) -> dict[str, object]:

    values: dict[str, object] = dict(features._asdict())
    values["reset_factor"] = exp(features.reset)
    values["spread_factor"] = exp(features.last_spread)
    values["beside_z"] = max((abs(features.step_z) + 1) / exp(features.step_local) - 1, 0.0)
    repeats = f"the level of the epochs repeats every {features.recurs:.0f}"
    values["recurs_words"] = repeats if features.recurs else "the level of the epochs does not repeat"
    values["rate_words"] = _RATES[features.rate_steps]
    count, per_epoch = period.stripe_count, features.per_epoch
    if isfinite(period.batch_count) and isfinite(period.interval):
        m, w = f"{period.batch_count:g}", f"{period.interval:g}"
        where = f"printed every {w} batches of {m} an epoch, the loss falls on {count} places"
    else:
        where = f"with {per_epoch:.3g} prints an epoch, the loss falls on {count} places"
    comes = f", which come back after {count / per_epoch:.3g} epochs" if features.slides else ", the same in every epoch"
    values["slide_words"] = where + comes
    return values
